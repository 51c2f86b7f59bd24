"""The chain in one page: a transmitter, the authorised receiver Bob, and Eve.

    S ──guard──► (A, i) ──payload──► head, body ──phy──► air
                                                          ├──phy──► bytes ──payload──► (Â, î) ──recovery, K──► Ŝ  Bob
                                                          └──phy──► bytes ──payload──► (Âe, îe) ──recovery──► Ŝe     Eve

Bob and Eve have the same radio, the same codec and the same networks. Eve's channel realisation and SNR are her own,
and she has no K: she recovers with the generic weights and a class word ("cat") where Bob has the entity itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phy.link import Link, Reception, Transmission
from privsc import payload
from privsc.database import Database
from privsc.errors import DatabaseError, PayloadError
from privsc.hiding import MaskShape, shaped
from privsc.levels import reserve_black, restore_black

if TYPE_CHECKING:  # torch is loaded where the networks are made, not where they are used
    from privsc.guard import Guard, GuardResult
    from privsc.recovery import Recovery

Progress = Callable[..., None]  # called with (steps done, steps in all, ...)


@dataclass(frozen=True)
class Sent:
    """What the transmitter did: the image S, what the guard made of it, and what is on the air."""

    image: np.ndarray
    guarded: GuardResult
    on_air: Transmission


@dataclass(frozen=True)
class Heard:
    """What one receiver has of an image before recovery.

    Attributes:
        image: Â, [H, W, 3] uint8, 0 in the region; mid-grey where nothing can be shown.
        region: M̂, [H, W] bool.
        indices: î.
        concealed: [H, W, 3] bool, samples that were lost and made up from their neighbours.
        reception: the link's figures.
        failure: why the image is grey, None when it is not.
    """

    image: np.ndarray
    region: np.ndarray
    indices: tuple[int, ...]
    concealed: np.ndarray
    reception: Reception
    failure: str | None


@dataclass(frozen=True)
class Seen:
    """What one receiver ends with: Ŝ, [H, W, 3] uint8, and what it was made from."""

    restored: np.ndarray
    heard: Heard


class Transmitter:
    """Hides the entities of K in an image and sends the rest; `mask` is the shape of what is removed."""

    def __init__(
        self, guard: Guard, database: Database, link: Link, coding: str = "pixels", quality: int = 80, *,
        mask: str = "silhouette",
    ):  # fmt: skip
        self.guard, self.database, self.link = guard, database, link
        self.coding, self.quality, self.shape = coding, quality, MaskShape.parse(mask)

    def guarded(self, image: np.ndarray) -> GuardResult:
        """S, [H, W, 3] uint8, to (A, M, detections)."""
        return shaped(image, self.guard(image, self.database.entities()), self.shape)

    def send(self, image: np.ndarray, guarded: GuardResult | None = None, image_id: int = 0) -> Sent:
        """S to symbols on the air; `guarded` when the guard has seen the image already."""
        guarded = self.guarded(image) if guarded is None else guarded
        from_left = sorted(
            guarded.detections, key=lambda detection: detection.box[0]
        )  # the order recovery reads them in
        indices = tuple(detection.index for detection in from_left)
        levels = reserve_black(guarded.masked, guarded.mask) if indices else guarded.masked
        head, body = payload.encode(levels, indices, self.coding, self.quality)
        on_air = self.link.transmit(
            head, body, image_id=image_id, k_digest=self.database.digest(), best_effort=self.coding == "pixels"
        )
        return Sent(image, guarded, on_air)


def listen(
    link: Link,
    recovery: Recovery,
    on_air: Transmission,
    snr_db: float,
    seed: int,
    k_digest: bytes | None,
    size: tuple[int, int] = (256, 256),
) -> Heard:
    """Symbols on the air to (Â, î) and M̂.

    Args:
        snr_db: Es/N0 [dB].
        size: (H, W) [px] of the grey image that stands for one of which not even the head arrived.
    """
    reception = link.receive(on_air, snr_db=snr_db, seed=seed, k_digest=k_digest)
    failure = None
    try:
        received, failure = _unpack(reception, size)
    except PayloadError as error:  # the head itself
        received, failure = payload.grey(*size), str(error)
    image, region = received.image, np.zeros(received.image.shape[:2], bool)
    if failure is None and received.indices:
        region = recovery.detect_region(image)
        image = restore_black(image, region)
    return Heard(image, region, received.indices, received.concealed, reception, failure)


def _unpack(reception: Reception, size: tuple[int, int]) -> tuple[payload.Received, str | None]:
    """Payload of a reception, and why it is grey where it is."""
    if reception.head is None:
        return payload.grey(*size), "the head of the payload was lost"
    head = payload.Head.from_bytes(reception.head)
    try:
        return payload.decode(reception.head, reception.body, reception.body_ok), None
    except PayloadError as error:
        return payload.grey(head.height, head.width, head.indices), str(error)


class Receiver:
    """Bob: paints back what the indices name, with the entities of his K.

    A sender with another version of K is an error, since an index would mean another entity; `any_version` lets Bob
    try nevertheless.
    """

    def __init__(
        self, link: Link, recovery: Recovery, database: Database, *, any_version: bool = False, **options: Any
    ):
        self.link, self.recovery, self.database = link, recovery, database
        self.any_version, self.options = any_version, options

    def listen(self, on_air: Transmission, snr_db: float, seed: int, size: tuple[int, int] = (256, 256)) -> Heard:
        """Symbols on the air to (Â, î)."""
        heard = listen(self.link, self.recovery, on_air, snr_db, seed, self.database.digest(), size)
        if heard.reception.k_digest_matches is False and not self.any_version:
            raise DatabaseError(
                f"{self.database.path}: the sender used another version of K; copy the sender's file and receive again"
            )
        return heard

    def restore(self, heard: Heard, seed: int = 0, progress: Progress | None = None) -> Seen:
        """(Â, î) to Ŝ."""
        entities = self.database.by_index(heard.indices)
        if not entities:
            return Seen(heard.image, heard)
        image = self.recovery(heard.image, heard.region, entities, seed=seed, progress=progress, **self.options)
        return Seen(image, heard)

    def receive(self, on_air: Transmission, snr_db: float, seed: int = 0) -> Seen:
        """Symbols on the air to Ŝ, at Es/N0 = `snr_db` [dB]."""
        return self.restore(self.listen(on_air, snr_db, seed), seed)


class Eavesdropper:
    """Eve: Bob's radio and networks, no K; of what was hidden she may know the class word."""

    def __init__(self, link: Link, recovery: Recovery, class_word: str | None = None, **options: Any):
        self.link, self.recovery, self.class_word, self.options = link, recovery, class_word, options

    def listen(self, on_air: Transmission, snr_db: float, seed: int, size: tuple[int, int] = (256, 256)) -> Heard:
        """Symbols on the air to (Âe, îe); an index tells her nothing but that something was hidden."""
        return listen(self.link, self.recovery, on_air, snr_db, seed, None, size)

    def restore(self, heard: Heard, seed: int = 0, progress: Progress | None = None) -> Seen:
        """(Âe, îe) to Ŝe."""
        image = self.recovery(
            heard.image, heard.region, None, class_word=self.class_word, init="noise", seed=seed, progress=progress,
            **self.options,
        )  # fmt: skip
        return Seen(image, heard)

    def receive(self, on_air: Transmission, snr_db: float, seed: int = 1) -> Seen:
        """Symbols on the air to Ŝe, at Es/N0 = `snr_db` [dB]."""
        return self.restore(self.listen(on_air, snr_db, seed), seed)
