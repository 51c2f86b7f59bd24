"""Image assembler: frame PDUs in, what arrived of each image out."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pmt
from gnuradio import gr

from flowgraphs.parts import pdu
from phy.errors import PhyError
from phy.frame.assembly import Assembler, ReceivedImage
from phy.frame.frame import Header, Kind
from phy.frame.received import ReceivedFrame


class image_assembler(gr.basic_block):
    """Ports ``ok`` and ``fail`` (frames with a right and a wrong payload CRC) → port ``received``.

    Connect ``fail`` too: where pixels travel uncoded, a wrong message costs one sample. timeout: [s] without a frame of
    an image after which it is given out incomplete.
    """

    def __init__(self, timeout: float = 5.0):
        gr.basic_block.__init__(self, name="privsc image assembler", in_sig=None, out_sig=None)
        self.assembler = Assembler(timeout)
        self._malformed = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._clock: threading.Thread | None = None
        for port in ("ok", "fail"):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), self.take)
        self.message_port_register_out(pmt.intern("received"))

    def set_timeout(self, value: float) -> None:
        """[s], for images that are open too."""
        if not value > 0:
            raise ValueError(f"timeout must be positive, got {value} s")
        self.assembler.timeout = value

    @property
    def counts(self) -> Counter:
        """Frames and images, since the block was made."""
        return self.assembler.counts + Counter(malformed=self._malformed)

    def take(self, message) -> None:
        """A frame PDU; what is not one is counted and dropped."""
        try:
            frame = _frame(message)
        except (PhyError, KeyError, TypeError, ValueError):
            self._malformed += 1
            return
        with self._lock:
            self._publish(self.assembler.add(frame))

    def start(self) -> bool:
        self._ended.clear()
        self._clock = threading.Thread(target=self._watch, name="assembler clock", daemon=True)
        self._clock.start()
        return True

    def stop(self) -> bool:
        """Images that are still open are given out as they are."""
        self._ended.set()
        if self._clock is not None:
            self._clock.join()
        with self._lock:
            self._publish(self.assembler.flush())
        return True

    def _watch(self) -> None:
        while not self._ended.wait(min(0.2, self.assembler.timeout / 4)):
            with self._lock:
                self._publish(self.assembler.expired())

    def _publish(self, images: list[ReceivedImage]) -> None:
        for one in images:
            meta = {
                "image_id": one.image_id,
                "k_digest": one.k_digest,
                "head": one.head or b"",
                "arrived": pdu.pack_flags(one.arrived),
                "exact": pdu.pack_flags(one.exact),
                "frames": one.frames,
                "body_frames": len(one.bodies),
                "missing": one.lost,
                "crc_failures": one.crc_failures,
                "snr_db": one.snr_db,
            }
            self.message_port_pub(pmt.intern("received"), pdu.make(meta, one.body))


def _frame(message) -> ReceivedFrame:
    """A frame PDU back to a frame; raises where it is none."""
    meta, body = pdu.split(message) or ({}, np.empty(0, np.uint8))
    header = Header(
        Kind(meta["kind"]),
        meta["codec_id"],
        meta["image_id"],
        meta["sequence"],
        meta["count"],
        meta["total"],
        bytes(meta["k_digest"]),
    )
    if body.dtype != np.uint8 or len(body) != header.payload_bytes + 4:
        raise ValueError(f"a frame of {header.payload_bytes} bytes of payload has a body of {len(body)}")
    return ReceivedFrame(
        header, body, bool(meta["crc_ok"]), int(meta["start"]), float(meta["snr_db"]), meta.get("symbols")
    )
