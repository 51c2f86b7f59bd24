"""Frame receiver: complex stream in, frames out, good and bad ones on ports of their own."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pmt
from gnuradio import gr

from flowgraphs.parts import pdu
from phy.frame.frame import Kind
from phy.modem.demodulator import BurstFrame
from phy.modem.stream import StreamReceiver

_SHOWN = 256  # symbols of a frame on the port ``symbols``


class frame_receiver(gr.sync_block):
    """Stream of complex64 → ports ``ok`` (payload CRC right), ``fail`` (only the header right), ``stats`` (one message
    a frame: snr_db, cfo [rad/sample], clock_ppm, evm_db; and one a new refusal: cause, count) and ``symbols``
    (256 equalised payload symbols of each frame, for a constellation sink).

    batch: samples that are gathered before the receiver looks at them: latency against throughput. workers: threads.
    """

    def __init__(self, batch: int = 65536, workers: int = 1):
        gr.sync_block.__init__(self, name="privsc frame receiver", in_sig=[np.complex64], out_sig=None)
        self.set_batch(batch)
        self.receiver = StreamReceiver(workers=workers)
        self._gathered: list[np.ndarray] = []
        self._size = 0
        self._refused: Counter[str] = Counter()
        for port in ("ok", "fail", "stats", "symbols"):
            self.message_port_register_out(pmt.intern(port))

    def set_batch(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"batch must be at least 1 sample, got {value}")
        self.batch = int(value)

    @property
    def counts(self) -> Counter:
        """Frames, false alarms and refusals by cause, since the block was made."""
        return self.receiver.counts + self.receiver.refusals

    def work(self, input_items, output_items):
        samples = input_items[0]
        self._gathered.append(samples.copy())
        self._size += len(samples)
        if self._size >= self.batch:
            self._look()
        return len(samples)

    def stop(self) -> bool:
        """What ends with the stream is looked at; the receiver then waits for a new one."""
        self._look()
        for frame in self.receiver.flush():
            self._publish(frame)
        return True

    def _look(self) -> None:
        samples = np.concatenate(self._gathered) if self._gathered else np.empty(0, np.complex64)
        self._gathered, self._size = [], 0
        for frame in self.receiver.push(samples):
            self._publish(frame)
        publish_refusals(self, self.receiver.refusals, self._refused)

    def _publish(self, frame: BurstFrame) -> None:
        publish(self, frame)


def frame_meta(frame: BurstFrame) -> dict:
    """What is said of a frame besides its body: the header's fields and what the receiver measured."""
    header = frame.header
    return {
        "kind": int(header.kind),
        "codec_id": header.codec_id,
        "image_id": header.image_id,
        "sequence": header.sequence,
        "count": header.count,
        "total": header.total,
        "k_digest": header.k_digest,
        "start": frame.start,
        **_figures(frame),
    }


def publish(block, frame: BurstFrame) -> None:
    """A decided frame on the ports ``ok`` or ``fail``, ``stats`` and ``symbols`` of a block."""
    meta = {**frame_meta(frame), "crc_ok": frame.crc_ok}
    if frame.header.kind == Kind.HEAD:
        meta["symbols"] = frame.symbols  # repetitions of a broken head are combined
    block.message_port_pub(pmt.intern("ok" if frame.crc_ok else "fail"), pdu.make(meta, frame.body))
    if _heard(block, "stats"):
        block.message_port_pub(pmt.intern("stats"), pdu.make({**_figures(frame), "crc_ok": frame.crc_ok}))
    if _heard(block, "symbols"):
        block.message_port_pub(pmt.intern("symbols"), pdu.make({}, frame.symbols[:_SHOWN]))


def _heard(block, port: str) -> bool:
    """Is anything connected to a port: a message costs as much as some hundred samples."""
    return pmt.is_pair(block.message_subscribers(pmt.intern(port)))


def publish_refusals(block, refusals: Counter, said: Counter) -> None:
    """Causes of refusal whose count has grown since they were ``said``, on the port ``stats``."""
    for cause, count in refusals.items():
        if count > said[cause]:
            said[cause] = count
            block.message_port_pub(pmt.intern("stats"), pdu.make({"cause": cause, "count": count}))


def _figures(frame: BurstFrame) -> dict:
    return {"snr_db": frame.snr_db, "cfo": frame.cfo, "clock_ppm": frame.clock_ppm, "evm_db": frame.evm_db}
