"""Frame encoder: payload PDU in, tagged complex burst out."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pmt
from gnuradio import gr

from flowgraphs.parts import pdu
from phy.codec.codec import shipped
from phy.errors import PhyError
from phy.frame.coded import OUTER_SUFFIX
from phy.frame.framing import Framing
from phy.modem.waveform import BurstWaveform

_IDLE = 0.001  # [s] a source that has nothing to send waits this long before the scheduler asks again
_WAITING = 16  # payloads that may wait


class frame_encoder(gr.sync_block):
    """Port ``payload`` → output complex64 at 2 samples a symbol, unit Es at the matched filter.

    One PDU is one burst: tags ``packet_len`` and ``tx_sob`` on its first sample, ``tx_eob`` on its last, ``tx_time``
    (whole seconds, fraction) on its first where ``lead`` is positive. After the frames come ``tail`` zeros, so that a
    receiver that works in blocks sees the end. Between bursts nothing is produced. Port ``sent`` says what went out.

    codec, payload_bytes, head_repeats: as in ``phy.frame.framing``. lead: [s] from now to tx_time; 0: none.
    """

    def __init__(
        self,
        codec: str = "image8x4",
        payload_bytes: int = 1024,
        head_repeats: int = 8,
        tail: int = 262144,
        lead: float = 0.0,
    ):
        gr.sync_block.__init__(self, name="privsc frame encoder", in_sig=None, out_sig=[np.complex64])
        self.framing, self.waveform = _framing(codec, payload_bytes, head_repeats), BurstWaveform()
        self.set_tail(tail)
        self.set_lead(lead)
        self.counts: Counter[str] = Counter()
        self._waiting: deque = deque()
        self._chunks: Iterator[np.ndarray] = iter(())
        self._chunk = np.empty(0, np.complex64)
        self._left = 0  # samples of the present burst that are still to come
        self.message_port_register_in(pmt.intern("payload"))
        self.set_msg_handler(pmt.intern("payload"), self.take)
        self.message_port_register_out(pmt.intern("sent"))

    def set_codec(self, value: str) -> None:
        """Codec of the bodies, from the next burst on; so are all that follow."""
        self.framing = _framing(value, self.framing.payload_bytes, self.framing.head_repeats)

    def set_payload_bytes(self, value: int) -> None:
        self.framing = replace(self.framing, payload_bytes=value)

    def set_head_repeats(self, value: int) -> None:
        self.framing = replace(self.framing, head_repeats=value)

    def set_tail(self, value: int) -> None:
        if value < 0:
            raise ValueError(f"tail must not be negative, got {value} samples")
        self.tail = int(value)

    def set_lead(self, value: float) -> None:
        if not 0 <= value < float("inf"):
            raise ValueError(f"lead must not be negative, got {value} s")
        self.lead = value

    def take(self, message) -> None:
        """A payload PDU; what is not one is counted and dropped."""
        got = pdu.split(message)
        if got is None or not {"image_id", "k_digest", "head"} <= got[0].keys():
            self.counts["malformed"] += 1
        elif len(self._waiting) >= _WAITING:
            self.counts["dropped"] += 1
        else:
            self._waiting.append(got)

    def work(self, input_items, output_items):
        out = output_items[0]
        if self._left == 0 and not self._begin():
            time.sleep(_IDLE)
            return 0
        filled = 0
        while filled < len(out) and self._left:
            if len(self._chunk) == 0:
                self._chunk = next(self._chunks, None)
                if self._chunk is None:
                    self._chunk = np.zeros(self._left, np.complex64)
            part = self._chunk[: len(out) - filled]
            out[filled : filled + len(part)] = part
            self._chunk = self._chunk[len(part) :]
            filled += len(part)
            self._left -= len(part)
        if self._left == 0:
            self.add_item_tag(0, self.nitems_written(0) + filled - 1, pmt.intern("tx_eob"), pmt.PMT_T)
        return filled

    def _begin(self) -> bool:
        """Start the next burst that can be sent; False where nothing waits."""
        while self._waiting:
            meta, body = self._waiting.popleft()
            framing = self.framing  # a callback may put another one there
            try:
                image_id = int(meta["image_id"]) & 0xFFFF
                image = framing.image(bytes(meta["head"]), body.tobytes(), image_id, bytes(meta["k_digest"]))
            except (PhyError, TypeError, ValueError):
                self.counts["malformed"] += 1
                continue
            samples = self.waveform.count(image.groups)
            self._chunks, self._left = self.waveform.chunks(image.groups), samples + self.tail
            first = self.nitems_written(0)
            self.add_item_tag(0, first, pmt.intern("packet_len"), pmt.from_long(self._left))
            self.add_item_tag(0, first, pmt.intern("tx_sob"), pmt.PMT_T)
            if self.lead:
                whole, fraction = divmod(time.time() + self.lead, 1.0)
                at = pmt.make_tuple(pmt.from_uint64(int(whole)), pmt.from_double(fraction))
                self.add_item_tag(0, first, pmt.intern("tx_time"), at)
            self.counts["images"] += 1
            self.counts["frames"] += len(image)
            sent = {"image_id": image_id, "frames_sent": len(image), "body_frames": len(image.chosen),
                    "channel_uses": self.waveform.channel_uses(image.groups), "samples": samples,
                    "codec": framing.codec}  # fmt: skip
            self.message_port_pub(pmt.intern("sent"), pdu.make(sent))
            return True
        return False

    def stop(self) -> bool:
        self._waiting.clear()
        self._chunks, self._chunk, self._left = iter(()), np.empty(0, np.complex64), 0
        return True


def _framing(codec: str, payload_bytes: int, head_repeats: int) -> Framing:
    """Framing with a shipped codec: the frame decoder knows no others."""
    shipped(codec.removesuffix(OUTER_SUFFIX))
    return Framing(codec, payload_bytes, head_repeats)
