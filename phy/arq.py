"""Selective repeat over a return path: only the frames that did not arrive exactly are sent again.

    send ──► channel ──► frames ──► one Assembler for all rounds ──missing──return path──► send(frames=missing) ──► ...

The return path is a function here: given what is missing it says what to send again, or None to give up (one-way use).
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from phy.errors import LinkError
from phy.frame.assembly import Assembler, ReceivedImage
from phy.link import Link

ReturnPath = Callable[[tuple[int, ...]], "tuple[int, ...] | None"]


@dataclass(frozen=True)
class Delivery:
    """image: as the receiver ends with it, None where nothing arrived; rounds: transmissions needed; channel_uses: of
    all of them."""

    image: ReceivedImage | None
    rounds: int
    channel_uses: int

    @property
    def exact(self) -> bool:
        """Whether head and body are there without an error."""
        return self.image is not None and self.image.complete and self.image.body_crc_ok


def deliver(
    link: Link,
    head: bytes,
    body: bytes,
    *,
    k_digest: bytes,
    snr_db: float,
    seed: int,
    image_id: int | None = None,
    max_rounds: int = 8,
    return_path: ReturnPath = lambda missing: missing,
) -> Delivery:
    """Send until head and body are exact or max_rounds is reached; round r draws its channel from seed + r. A round of
    which nothing arrived is sent again whole."""
    if max_rounds < 1:
        raise LinkError(f"max_rounds must be at least 1, got {max_rounds}")
    number = secrets.randbelow(1 << 16) if image_id is None else image_id
    transmitter, receiver = link.transmitter(), link.receiver()
    assembler = Assembler(math.inf, eager=False, max_body=receiver.max_body)
    wanted: tuple[int, ...] | None = None
    uses, best = 0, None
    for done in range(max_rounds):
        sent = transmitter.send(head, body, k_digest=k_digest, image_id=number, frames=wanted)
        uses += sent.channel_uses
        refusals: Counter[str] = Counter()
        for frame in receiver.waveform.receive(sent.through(link.channel_at(snr_db, seed + done)), refusals):
            assembler.add(frame)
        best = max(assembler.peek(), key=lambda image: image.frames, default=None)
        if best is not None and best.complete and best.body_crc_ok:
            break
        if best is None or best.count is None:
            wanted = None
            continue
        wanted = return_path(best.missing)
        if wanted is None:
            break
    return Delivery(best, done + 1, uses)
