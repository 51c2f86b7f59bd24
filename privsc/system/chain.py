"""The chain in one page: a transmitter, the authorised receiver Bob, and Eve.

    S ──guard──► (A, i) ──payload──► head, body ──phy──► air
                                                          ├──phy──► bytes ──payload──► (Â, î) ──recovery, K──► Ŝ  Bob
                                                          └──phy──► bytes ──payload──► (Âe, îe) ──recovery──► Ŝe     Eve

Bob and Eve have the same radio, the same codec and the same networks. Eve's channel realisation and SNR are her own,
and she has no K: she recovers with the generic weights and a class word ("cat") where Bob has the entity itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from phy.frame.assembly import Reception
from phy.link import Link, Transmission
from privsc.errors import ConfigError, DatabaseError, PayloadError
from privsc.guard.masking import MaskShape, only, shaped
from privsc.images import placement
from privsc.images.regions import Box
from privsc.knowledge import selection
from privsc.knowledge.database import Database
from privsc.transport import embeddings as vectors
from privsc.transport import payload
from privsc.transport.levels import reserve_black, restore_black
from privsc.transport.mask_detection import detect_region

if TYPE_CHECKING:  # torch is loaded where the networks are made, not where they are used
    from privsc.guard.guard import Guard
    from privsc.hints.pose_hint import PoseHint
    from privsc.knowledge.detection import Detection, GuardResult
    from privsc.recovery.recovery import Recovery

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
        indices: î; of embeddings Bob's nearest entities (0 where one means nobody), nothing for Eve.
        concealed: [H, W, 3] bool, samples that were lost and made up from their neighbours.
        reception: the link's figures.
        failure: why the image is grey, None when it is not.
        boxes: whose part of the region is whose, where the payload says so.
        vectors: received embeddings [n, d] float32, None in index mode.
        poses: how samples of S_k lie over the regions, where the payload says so; of no use without K.
    """

    image: np.ndarray
    region: np.ndarray
    indices: tuple[int, ...]
    concealed: np.ndarray
    reception: Reception
    failure: str | None
    boxes: tuple[Box, ...] = ()
    vectors: np.ndarray | None = None
    poses: tuple[PoseHint, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What one receiver ends with: Ŝ, [H, W, 3] uint8, and what it was made from."""

    restored: np.ndarray
    heard: Heard


class Transmitter:
    """Hides entities of K in an image and sends the rest.

    Args:
        mask: shape of what is removed (privsc.guard.masking).
        remove: descriptions of those to hide (privsc.knowledge.selection), everybody of K where there are none.
        send: "index" or "embedding": how i travels.
        mask_in_payload: whether M is sent, so that a receiver need not find M̂ in the picture.
        hint: "pose" sends 59 bytes for each region that say how a sample of S_k lies over it (privsc.hints.fit); "none"
            is the paper's.
    """

    def __init__(
        self,
        guard: Guard,
        database: Database,
        link: Link,
        coding: str = "pixels",
        quality: int = 80,
        *,
        mask: str = "silhouette",
        remove: Sequence[str] = (),
        send: str = "index",
        mask_in_payload: bool = False,
        hint: str = "pose",
    ):
        check_mode(send, coding, hint)
        self.guard, self.database, self.link = guard, database, link
        self.coding, self.quality, self.shape = coding, quality, MaskShape.parse(mask)
        self.chosen = chosen(database, remove)
        self.as_embedding, self.mask_in_payload, self.hinted = send == "embedding", mask_in_payload, hint == "pose"

    def guarded(self, image: np.ndarray) -> GuardResult:
        """S, [H, W, 3] uint8, to (A, M, detections)."""
        return hide(image, self.guard, self.database, self.shape, self.chosen)

    def send(self, image: np.ndarray, guarded: GuardResult | None = None, image_id: int = 0) -> Sent:
        """S to symbols on the air; `guarded` when the guard has seen the image already."""
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
        on_air = self.link.transmit(
            head, body, image_id=image_id, k_digest=self.database.digest(), best_effort=self.coding == "pixels"
        )
        return Sent(image, guarded, on_air)

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


def hide(
    image: np.ndarray, guard: Guard, database: Database, shape: MaskShape, wanted: frozenset[int] | None = None
) -> GuardResult:
    """S, [H, W, 3] uint8, without the entities of K, or those of the indices `wanted`, in the shape asked for."""
    guarded = guard(image, database.entities())
    return shaped(image, guarded if wanted is None else only(image, guarded, wanted), shape)


def check_mode(send: str, coding: str, hint: str = "pose") -> None:
    """Refuse a way to send i that there is not, or one that does not go with the coding."""
    if send not in ("index", "embedding"):
        raise ConfigError(f"send: must be index or embedding; got {send!r}")
    if hint not in ("pose", "none"):
        raise ConfigError(f"hint: must be pose or none; got {hint!r}")
    if send == "embedding" and coding != "pixels":
        raise ConfigError(f"send: embedding goes with the coding pixels, whose bytes may be wrong; got {coding!r}")


def chosen(database: Database, remove: Sequence[str]) -> frozenset[int] | None:
    """Indices of the entities that descriptions mean, None where nothing was described: everybody."""
    if not remove:
        return None
    from privsc.networks.text_encoder import load_text_encoder  # loads torch

    return frozenset(e.index for e in selection.select(database.entities(), remove, load_text_encoder().embed))


def listen(
    link: Link,
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
    if failure is None and received.mask is not None:  # nothing has to be told from black, so levels are as they were
        region = received.mask
        image = np.where(region[:, :, None], np.uint8(0), image)
    elif failure is None and (received.indices or received.vectors is not None):
        region = detect_region(image)
        image = restore_black(image, region)
    return Heard(
        image,
        region,
        received.indices,
        received.concealed,
        reception,
        failure,
        received.boxes,
        received.vectors,
        received.poses,
    )


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
        heard = listen(self.link, on_air, snr_db, seed, self.database.digest(), size)
        if heard.vectors is not None:
            heard = replace(heard, indices=vectors.nearest(heard.vectors, self.database.entities()))
        if heard.reception.k_digest_matches is False and not self.any_version:
            raise DatabaseError(
                f"{self.database.path}: the sender used another version of K; copy the sender's file and receive again"
            )
        return heard

    def restore(self, heard: Heard, seed: int = 0, progress: Progress | None = None) -> Seen:
        """(Â, î) to Ŝ."""
        known = {entity.index: entity for entity in self.database.by_index(heard.indices)}
        if not known:
            return Seen(heard.image, heard)
        entities = [known.get(index) for index in heard.indices]  # each at the place of its region
        told = {**_boxes(heard), **({"poses": heard.poses} if heard.poses else {})}
        image = self.recovery(heard.image, heard.region, entities, seed=seed, progress=progress, **told, **self.options)
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
        return listen(self.link, on_air, snr_db, seed, None, size)

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

    def receive(self, on_air: Transmission, snr_db: float, seed: int = 1) -> Seen:
        """Symbols on the air to Ŝe, at Es/N0 = `snr_db` [dB]."""
        return self.restore(self.listen(on_air, snr_db, seed), seed)


def _boxes(heard: Heard) -> dict[str, Any]:
    return {"boxes": heard.boxes} if heard.boxes else {}
