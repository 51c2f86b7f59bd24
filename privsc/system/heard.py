"""Between link and recovery: what one receiver has of an image, read from what its link delivered.

Reception ──the image of this K, or the largest──► head, body, which bytes arrived ──payload──► (Â, î), M̂
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phy.frame.assembly import ReceivedImage, Reception
from privsc.errors import PayloadError
from privsc.hints.pose_hint import PoseHint
from privsc.images.regions import Box
from privsc.transport import payload
from privsc.transport.levels import restore_black
from privsc.transport.mask_detection import detect_region

GREY_SIZE = (256, 256)
"""(H, W) [px] of the grey image that stands for one of which not even the head arrived."""


@dataclass(frozen=True)
class Heard:
    """What one receiver has of an image before recovery.

    Attributes:
        image: Â, [H, W, 3] uint8, 0 in the region; mid-grey where nothing can be shown.
        region: M̂, [H, W] bool.
        indices: î; of embeddings Bob's nearest entities (0 where one means nobody), nothing for Eve.
        concealed: [H, W, 3] bool, samples that were lost and made up from their neighbours.
        failure: why the image is grey, None when it is not.
        boxes: whose part of the region is whose, where the payload says so.
        vectors: received embeddings [n, d] float32, None in index mode.
        poses: how samples of S_k lie over the regions, where the payload says so; of no use without K.
        received: the link's image that this was made of, None where none arrived.
        wrong_frames_used: whether frames with a wrong payload CRC were used (raw pixels), or left out (coded pictures).
        refusals: cause to count, of frames that the link refused.
        k_digest_matches: whether the sender's K is the receiver's; None without K, or where nothing arrived.
    """

    image: np.ndarray
    region: np.ndarray
    indices: tuple[int, ...]
    concealed: np.ndarray
    failure: str | None
    boxes: tuple[Box, ...] = ()
    vectors: np.ndarray | None = None
    poses: tuple[PoseHint, ...] = ()
    received: ReceivedImage | None = None
    wrong_frames_used: bool = True
    refusals: dict[str, int] | None = None
    k_digest_matches: bool | None = None


@dataclass(frozen=True)
class Seen:
    """What one receiver ends with: Ŝ, [H, W, 3] uint8, and what it was made from."""

    restored: np.ndarray
    heard: Heard


def read(reception: Reception, k_digest: bytes | None = None, grey_size: tuple[int, int] = GREY_SIZE) -> Heard:
    """What a link delivered to (Â, î) and M̂: the likeliest image, of this K where one is named.

    Nothing that was received raises: a head or body that cannot be read gives a grey image and the reason.
    """
    image = reception.best(k_digest)
    failure: str | None = "the head of the payload was lost"
    head, exact_only = None, False
    if image is not None and image.head is not None:
        try:
            head, failure = payload.Head.from_bytes(image.head), None
            exact_only = head.coding != "pixels"  # a wrong byte costs a sample there, elsewhere the picture
        except PayloadError as error:
            failure = str(error)
    if head is None or image is None or image.head is None:
        received = payload.grey(*grey_size)
    else:
        try:
            received = _unpack(image, head, exact_only)
        except PayloadError as error:
            received, failure = payload.grey(head.height, head.width, head.indices), str(error)
    shown, region = received.image, np.zeros(received.image.shape[:2], bool)
    if failure is None and received.mask is not None:  # nothing has to be told from black, so levels are as they were
        region = received.mask
        shown = np.where(region[:, :, None], np.uint8(0), shown)
    elif failure is None and (received.indices or received.vectors is not None):
        region = detect_region(shown)
        shown = restore_black(shown, region)
    return Heard(
        shown,
        region,
        received.indices,
        received.concealed,
        failure,
        received.boxes,
        received.vectors,
        received.poses,
        image,
        not exact_only,
        reception.refusals,
        None if image is None or k_digest is None or not image.k_digest else image.made_with(k_digest),
    )


def _unpack(image: ReceivedImage, head: payload.Head, exact_only: bool) -> payload.Received:
    """Payload of a received image."""
    ok = image.exact if exact_only else image.arrived
    assert image.head is not None
    return payload.decode(image.head, image.body[: head.body_length], ok[: head.body_length])
