"""What was received against what was sent: the experimenter's, since no receiver has both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phy.codec.codec import Codec
from phy.codec.packing import bytes_to_messages
from phy.frame import frame
from phy.frame.assembly import ReceivedImage
from phy.frame.received import ReceivedFrame


@dataclass(frozen=True)
class Sending:
    """The ground truth of a transmission.

    Attributes:
        head, body: as they were handed over.
        image_id: in every header.
        frames: numbers of the body frames that were sent.
        codec: of the body.
        payload_bytes: at most, per frame.
        starts: [F] int64, first sample of each frame, repetitions of the head first.
        channel_uses: complex symbols, everything counted.
    """

    head: bytes
    body: bytes
    image_id: int
    frames: tuple[int, ...]
    codec: Codec
    payload_bytes: int
    starts: np.ndarray
    channel_uses: int

    @property
    def body_frames(self) -> np.ndarray:
        """[F, P + 4] uint8, payload and CRC of the whole body as framed."""
        if not self.body:
            return np.empty((0, frame.CRC_BYTES), np.uint8)
        return frame.add_crc(frame.split(self.body, self.payload_bytes))


@dataclass(frozen=True)
class LinkStats:
    """Counts of one reception.

    Attributes:
        message_error_rate: over body messages of frames that arrived, None where none did.
        frames_sent: body frames and repetitions of the head.
        frames_lost: body frames that were sent and cannot be used.
        crc_failures: body frames with a wrong payload CRC.
        channel_uses: complex symbols, everything counted.
    """

    message_error_rate: float | None
    frames_sent: int
    frames_lost: int
    crc_failures: int
    channel_uses: int


def compare(image: ReceivedImage | None, sent: Sending, *, wrong_frames_used: bool = True) -> LinkStats:
    """What a reception cost and what it got wrong.

    Args:
        image: None where nothing arrived; one with another number than was sent counts as that.
        wrong_frames_used: whether frames with a wrong payload CRC are used (raw pixels) or are lost (coded pictures).
    """
    bodies = image.bodies if image is not None and image.image_id == sent.image_id else ()
    truth = sent.body_frames
    wrong, counted = message_errors(truth, sent.codec.k, bodies)
    usable = {one.header.sequence for one in bodies if one.crc_ok or wrong_frames_used}
    return LinkStats(
        wrong / counted if counted else None,
        len(sent.starts),
        len(set(sent.frames) - usable),
        sum(not one.crc_ok for one in bodies),
        sent.channel_uses,
    )


def message_errors(body_frames: np.ndarray, k: int, bodies: Sequence[ReceivedFrame]) -> tuple[int, int]:
    """Wrong and counted messages of k bits over the frames that arrived, against body_frames [F, P + 4] as sent."""
    count, width = body_frames.shape
    bodies = [one for one in bodies if one.header.sequence < count and len(one.body) == width]
    if not bodies:
        return 0, 0
    rows = np.array([one.header.sequence for one in bodies])
    decided = bytes_to_messages(np.stack([one.body for one in bodies]), k)
    truth = bytes_to_messages(body_frames[rows], k)
    return int(np.count_nonzero(decided != truth)), decided.size
