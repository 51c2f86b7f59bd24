"""Selective repeat over a return path: only the frames that did not arrive exactly are sent again.

    link.transmit ──► receive ──► missing ──return path──► link.transmit(frames=missing) ──► receive ──merge──► ...

The return path is a function here: given what is missing it says what to send again, or None to give up (one-way use).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from phy.errors import LinkError
from phy.frame.assembly import Reception
from phy.link import Link

ReturnPath = Callable[[tuple[int, ...]], "tuple[int, ...] | None"]


@dataclass(frozen=True)
class Delivery:
    """reception: the merged result; rounds: transmissions needed; channel_uses: of all of them."""

    reception: Reception
    rounds: int
    channel_uses: int


def merge(first: Reception, second: Reception) -> Reception:
    """Two receptions of the same body of which only exact frames were kept (best_effort=False)."""
    if len(first.body) != len(second.body):
        raise LinkError(f"receptions of {len(first.body)} and {len(second.body)} bytes are not of the same body")
    body = np.where(second.body_ok, np.frombuffer(second.body, np.uint8), np.frombuffer(first.body, np.uint8))
    missing = tuple(sorted(set(first.missing) & set(second.missing)))
    head = first.head if first.head is not None else second.head
    return replace(
        second,
        head=head,
        body=body.tobytes(),
        body_ok=first.body_ok | second.body_ok,
        missing=missing,
        body_crc_ok=not missing,
    )


def deliver(
    link: Link,
    head: bytes,
    body: bytes,
    *,
    image_id: int,
    k_digest: bytes,
    snr_db: float,
    seed: int,
    max_rounds: int = 8,
    return_path: ReturnPath = lambda missing: missing,
) -> Delivery:
    """Send until head and body are exact or max_rounds is reached; round r draws its channel from seed + r."""
    if max_rounds < 1:
        raise LinkError(f"max_rounds must be at least 1, got {max_rounds}")
    wanted: tuple[int, ...] | None = None
    got: Reception | None = None
    uses = 0
    for done in range(max_rounds):
        sent = link.transmit(head, body, image_id=image_id, k_digest=k_digest, frames=wanted)
        uses += sent.channel_uses
        now = link.receive(sent, snr_db=snr_db, seed=seed + done, k_digest=k_digest)
        got = now if got is None else merge(got, now)
        if got.body_crc_ok and got.head is not None:
            break
        wanted = return_path(got.missing)
        if wanted is None:
            break
    assert got is not None  # max_rounds is at least 1
    return Delivery(got, done + 1, uses)
