"""The chain in one page: a transmitter, the authorised receiver Bob, and Eve.

    S ──guard──► (A, i) ──payload──► head, body ──phy──► samples ──channel──► samples
        Bob's samples ──phy──► bytes ──payload──► (Â, î) ──recovery, K──► Ŝ
        Eve's samples ──phy──► bytes ──payload──► (Âe, îe) ──recovery──► Ŝe

A receiver is given samples and nothing else of the sender's: what it must know of an image it reads in the head that it
received. Bob and Eve have the same radio, the same codec and the same networks. Eve's channel realisation and SNR are
her own, and she has no K: she recovers with the generic weights and a class word ("cat") where Bob has the entity
itself. `privsc.system.measure` compares what they end with and what was sent, afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phy.frame.assembly import Reception
from phy.link import Samples, Transmission
from phy.protocols import Channel, SampleReceiver, Sender
from privsc.errors import ConfigError, DatabaseError, PayloadError
from privsc.guard.masking import MaskShape
from privsc.hints.pose_hint import PoseHint
from privsc.images import placement
from privsc.knowledge.detection import Detection, GuardResult
from privsc.system.heard import GREY_SIZE, Heard, Seen, read
from privsc.system.hiding import check_mode, chosen, hide
from privsc.system.protocols import GuardLike, Knowledge, Progress, RecoveryLike, TextEncoderLike
from privsc.transport import embeddings as vectors
from privsc.transport import payload
from privsc.transport.levels import reserve_black

__all__ = ["Eavesdropper", "Heard", "Packed", "Receiver", "Seen", "Sent", "Transmitter", "Truth", "check_mode",
           "chosen", "hide"]  # fmt: skip


@dataclass(frozen=True)
class Packed:
    """An image ready for the link: S, what the guard made of it, and the bytes that travel."""

    image: np.ndarray
    guarded: GuardResult
    head: bytes
    body: bytes
    k_digest: bytes


@dataclass(frozen=True)
class Truth:
    """What only the experimenter knows of a transmission: S, (A, M), the bytes and frames."""

    image: np.ndarray
    guarded: GuardResult
    on_air: Transmission


@dataclass(frozen=True)
class Sent:
    """iq: [N] complex64, what is on the air; truth: for `measure`, never for a receiver."""

    iq: np.ndarray
    truth: Truth

    def through(self, channel: Channel) -> Samples:
        """The samples at the other end of a channel (see `phy.link.Transmission.through`)."""
        return self.truth.on_air.through(channel)


class Transmitter:
    """Hides entities of K in an image and sends the rest.

    Args:
        guard: Algorithm 1.
        database: K.
        link: bytes to samples; None where the bytes leave by another way (`pack`).
        coding: how A becomes bytes (privsc.transport.payload).
        quality: 1 to 100, of the lossy codings.
        mask: shape of what is removed (privsc.guard.masking).
        remove: descriptions of those to hide (privsc.knowledge.selection), everybody of K where there are none.
        send: "index" or "embedding": how i travels.
        mask_in_payload: whether M is sent, so that a receiver need not find M̂ in the picture.
        hint: "pose" sends 59 bytes for each region that say how a sample of S_k lies over it (privsc.hints.fit); "none"
            is the paper's.
        text_encoder: reads the descriptions of `remove`; None for the embedded default.
    """

    def __init__(
        self,
        guard: GuardLike,
        database: Knowledge,
        link: Sender | None = None,
        coding: str = "pixels",
        quality: int = 80,
        *,
        mask: str = "silhouette",
        remove: Sequence[str] = (),
        send: str = "index",
        mask_in_payload: bool = False,
        hint: str = "pose",
        text_encoder: TextEncoderLike | None = None,
    ):
        check_mode(send, coding, hint)
        self.guard, self.database, self.link = guard, database, link
        self.coding, self.quality, self.shape = coding, quality, MaskShape.parse(mask)
        self.chosen = chosen(database, remove, text_encoder)
        self.as_embedding, self.mask_in_payload, self.hinted = send == "embedding", mask_in_payload, hint == "pose"

    def guarded(self, image: np.ndarray) -> GuardResult:
        """S, [H, W, 3] uint8, to (A, M, detections)."""
        return hide(image, self.guard, self.database, self.shape, self.chosen)

    def pack(self, image: np.ndarray, guarded: GuardResult | None = None) -> Packed:
        """S to the bytes that travel; `guarded` when the guard has seen the image already."""
        guarded = self.guarded(image) if guarded is None else guarded
        from_left = sorted(
            guarded.detections, key=lambda detection: detection.box[0]
        )  # the order recovery reads them in
        indices = tuple(detection.index for detection in from_left)
        masks = [detection.mask for detection in from_left]
        told = bool(indices) and self.mask_in_payload
        levels = reserve_black(guarded.masked, guarded.mask) if indices and not told else guarded.masked
        state = None
        if self.as_embedding and indices:
            state = np.stack([entity.text_embedding for entity in self.database.by_index(indices)])
        head, body = payload.encode(
            levels,
            () if state is not None else indices,
            self.coding,
            self.quality,
            embeddings=state,
            mask=guarded.mask if told else None,
            boxes=[d.box for d in from_left] if placement.boxes_needed(masks) else (),
            poses=self._poses(image, from_left) if self.hinted else (),
        )
        return Packed(image, guarded, head, body, self.database.digest())

    def send(self, image: np.ndarray, guarded: GuardResult | None = None, *, seed: int | None = None) -> Sent:
        """S to samples.

        Args:
            guarded: when the guard has seen the image already.
            seed: fixes, together with the bytes, the number that tells this image's frames from others'; None draws
                one, as whoever sends for real should.
        """
        return self.transmit(self.pack(image, guarded), seed=seed)

    def transmit(self, packed: Packed, *, seed: int | None = None) -> Sent:
        """What `pack` made to samples; `seed` as in `send`."""
        if self.link is None:
            raise ConfigError("link: the transmitter has none; give it one, or send the bytes of pack() yourself")
        number = None
        if seed is not None:
            state = hashlib.sha256(f"{seed};".encode() + packed.head + packed.body + packed.k_digest)
            number = int.from_bytes(state.digest()[:2], "big")
        on_air = self.link.send(packed.head, packed.body, k_digest=packed.k_digest, image_id=number)
        return Sent(on_air.iq, Truth(packed.image, packed.guarded, on_air))

    def _poses(self, image: np.ndarray, detections: Sequence[Detection]) -> list[PoseHint]:
        """A hint for each, none at all where K has no silhouette of somebody."""
        entities = self.database.by_index([detection.index for detection in detections])
        poses: list[PoseHint] = []
        for detection, entity in zip(detections, entities, strict=True):
            if detection.silhouette is None:
                pose = self.guard.hint(image, detection.mask, entity)
            else:  # the hint must not tell a silhouette that the gap hides
                pose = self.guard.hint(image, detection.silhouette, entity, detection.mask)
            if pose is None:
                return []
            poses.append(pose)
        return poses


class Receiver:
    """Bob: paints back what the indices name, with the entities of his K.

    A sender with another version of K is an error, since an index would mean another entity; `any_version` lets Bob
    try nevertheless.

    Args:
        link: samples to bytes; None where the bytes come by another way (`hear`).
        recovery: the recovery module.
        database: Bob's K.
        grey_size: of the image that stands for one of which nothing arrived.
        options: `steps` and `init` of the recovery.
    """

    def __init__(
        self,
        link: SampleReceiver | None,
        recovery: RecoveryLike,
        database: Knowledge,
        *,
        any_version: bool = False,
        grey_size: tuple[int, int] = GREY_SIZE,
        **options: Any,
    ):
        self.link, self.recovery, self.database = link, recovery, database
        self.any_version, self.grey_size, self.options = any_version, grey_size, options

    def listen(self, samples: Samples) -> Heard:
        """Samples to (Â, î)."""
        return self.hear(_through(self.link, samples))

    def hear(self, reception: Reception) -> Heard:
        """What a link delivered to (Â, î)."""
        heard = read(reception, self.database.digest(), self.grey_size)
        if heard.k_digest_matches is False and not self.any_version:
            raise DatabaseError(
                f"{self.database.path}: the sender used another version of K; copy the sender's file and receive again"
            )
        if heard.vectors is None:
            return heard
        try:
            return replace(heard, indices=vectors.nearest(heard.vectors, self.database.entities()))
        except PayloadError as error:
            return replace(heard, vectors=None, failure=str(error))

    def restore(self, heard: Heard, seed: int = 0, progress: Progress | None = None) -> Seen:
        """(Â, î) to Ŝ."""
        known = {entity.index: entity for entity in self.database.by_index(heard.indices)}
        if not known:
            return Seen(heard.image, heard)
        entities = [known.get(index) for index in heard.indices]  # each at the place of its region
        told = {"seed": seed, "progress": progress, **_boxes(heard), **self.options}
        if heard.poses:
            try:
                return Seen(self.recovery(heard.image, heard.region, entities, poses=heard.poses, **told), heard)
            except PayloadError:  # a hint that does not fit this K, which no honest sender gives: as without one
                heard = replace(heard, poses=())
        return Seen(self.recovery(heard.image, heard.region, entities, **told), heard)

    def receive(self, samples: Samples, seed: int = 0) -> Seen:
        """Samples to Ŝ; seed: of the recovery."""
        return self.restore(self.listen(samples), seed)


class Eavesdropper:
    """Eve: Bob's radio and networks, no K; of what was hidden she may know the class word.

    Args:
        link: as Bob's.
        recovery: as Bob's.
        class_word: None where she knows none.
        grey_size: as Bob's.
        options: as Bob's.
    """

    def __init__(
        self,
        link: SampleReceiver | None,
        recovery: RecoveryLike,
        class_word: str | None = None,
        *,
        grey_size: tuple[int, int] = GREY_SIZE,
        **options: Any,
    ):
        self.link, self.recovery, self.class_word = link, recovery, class_word
        self.grey_size, self.options = grey_size, options

    def listen(self, samples: Samples) -> Heard:
        """Samples to (Âe, îe); an index tells her nothing but that something was hidden."""
        return self.hear(_through(self.link, samples))

    def hear(self, reception: Reception) -> Heard:
        """What a link delivered to (Âe, îe)."""
        return read(reception, None, self.grey_size)

    def restore(self, heard: Heard, seed: int = 0, progress: Progress | None = None) -> Seen:
        """(Âe, îe) to Ŝe."""
        image = self.recovery(
            heard.image,
            heard.region,
            None,
            class_word=self.class_word,
            init="noise",
            seed=seed,
            progress=progress,
            **_boxes(heard),
            **self.options,
        )
        return Seen(image, heard)

    def receive(self, samples: Samples, seed: int = 1) -> Seen:
        """Samples to Ŝe; seed: of the recovery."""
        return self.restore(self.listen(samples), seed)


def _through(link: SampleReceiver | None, samples: Samples) -> Reception:
    if link is None:
        raise ConfigError("link: the receiver has none; give it one, or hand the reception to hear()")
    return link.receive(samples)


def _boxes(heard: Heard) -> dict[str, Any]:
    return {"boxes": heard.boxes} if heard.boxes else {}
