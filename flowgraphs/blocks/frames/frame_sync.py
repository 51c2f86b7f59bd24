"""Frame sync and frame decoder: the two halves of the Frame Receiver, with the aligned frames as a stream between them.

stream ──frame_sync: search, headers, clock, equaliser──► symbols of each frame, tags packet_len and frame
symbols, tags ──frame_decoder: demapper, CRC──► ok, fail
"""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
import pmt
from gnuradio import gr

from flowgraphs.blocks.frames.frame_receiver import frame_meta, publish, publish_refusals
from flowgraphs.parts import pdu
from phy.errors import PhyError
from phy.frame.format import ImageFormat
from phy.frame.frame import CRC_BYTES, Header, Kind
from phy.modem.demodulator import BurstFrame
from phy.modem.stream import StreamReceiver

_LENGTH, _FRAME = pmt.intern("packet_len"), pmt.intern("frame")


class _Undecided(ImageFormat):
    """Frames whose payload stays symbols: no body, and no verdict but the header's."""

    def read_payloads(self, headers, symbols, noise):
        return np.zeros((len(headers), CRC_BYTES), np.uint8), np.ones(len(headers), bool)


class frame_sync(gr.basic_block):
    """Stream of complex64 → the equalised payload symbols of each frame, frame after frame, nothing between.

    Tags on the first symbol of a frame: ``packet_len`` (its symbols) and ``frame`` (a dictionary: the header's fields,
    start, snr_db, cfo, clock_ppm, evm_db). Port ``stats``: refusals by cause. The search for the preamble has a
    constant rate of false alarms and keeps its state over any split of the stream, on which nothing depends.

    batch: samples gathered before they are looked at; a frame is given out once that many have come after it.
    workers: threads.
    """

    def __init__(self, batch: int = 65536, workers: int = 1):
        gr.basic_block.__init__(self, name="privsc frame sync", in_sig=[np.complex64], out_sig=[np.complex64])
        self.set_tag_propagation_policy(gr.TPP_DONT)
        self.receiver = StreamReceiver(frame_format=_Undecided(), workers=workers)
        self.set_batch(batch)
        self._waiting: deque[BurstFrame] = deque()
        self._sent = 0  # symbols of the first waiting frame that are out
        self._refused: Counter[str] = Counter()
        self.message_port_register_out(pmt.intern("stats"))

    def set_batch(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"batch must be at least 1 sample, got {value}")
        self.receiver.batch = int(value)

    @property
    def counts(self) -> Counter:
        """Samples, frames, false alarms and refusals by cause, since the block was made."""
        return self.receiver.counts + self.receiver.refusals

    def forecast(self, noutput_items, ninputs):
        return [0 if self._waiting else 1] * ninputs

    def general_work(self, input_items, output_items):
        if not self._waiting:
            self._waiting += self.receiver.push(input_items[0])
            self.consume(0, len(input_items[0]))
            publish_refusals(self, self.receiver.refusals, self._refused)
        return self._give(output_items[0])

    def _give(self, out: np.ndarray) -> int:
        filled = 0
        while self._waiting and filled < len(out):
            frame = self._waiting[0]
            if self._sent == 0:
                first = self.nitems_written(0) + filled
                self.add_item_tag(0, first, _LENGTH, pmt.from_long(len(frame.symbols)))
                self.add_item_tag(0, first, _FRAME, pmt.car(pdu.make(frame_meta(frame))))
            part = frame.symbols[self._sent : self._sent + len(out) - filled]
            out[filled : filled + len(part)] = part
            filled += len(part)
            self._sent += len(part)
            if self._sent == len(frame.symbols):
                self._waiting.popleft()
                self._sent = 0
        return filled

    def stop(self) -> bool:
        """A stream's end leaves nothing behind for the next one; frames that were not given out are counted."""
        left = len(self._waiting) + len(self.receiver.flush())
        self._waiting.clear()
        self._sent = 0
        self.receiver.counts["undelivered"] += left
        return True


class frame_decoder(gr.sync_block):
    """Aligned frames of a Frame Sync → ports ``ok``, ``fail``, ``stats`` and ``symbols``, as of a Frame Receiver.

    The learned demapper (nearest codeword, or the outer code's decoder where the header asks for it) and the CRC-32.
    counts: ``ok``, ``fail``, ``stray`` (symbols that belong to no frame), ``malformed`` (tags that are not ours).
    """

    def __init__(self):
        gr.sync_block.__init__(self, name="privsc frame decoder", in_sig=[np.complex64], out_sig=None)
        self.counts: Counter[str] = Counter()
        self._format = ImageFormat()
        self._meta: dict | None = None  # of the frame that is coming
        self._parts: list[np.ndarray] = []
        self._left = 0  # its symbols that are still to come
        for port in ("ok", "fail", "stats", "symbols"):
            self.message_port_register_out(pmt.intern(port))

    def work(self, input_items, output_items):
        samples = input_items[0]
        base = self.nitems_read(0)
        begins = {}
        for tag in self.get_tags_in_window(0, 0, len(samples), _FRAME):
            begins[tag.offset - base] = tag.value
        at, ready = 0, []
        for place in [*sorted(begins), len(samples)]:
            if at < place:
                ready += self._take(samples[at:place])
            if place < len(samples):
                self._begin(begins[place])
            at = place
        self._decide(ready)
        return len(samples)

    def stop(self) -> bool:
        """A frame that is cut off by the end is forgotten."""
        self._meta, self._parts, self._left = None, [], 0
        return True

    def _begin(self, value) -> None:
        self.counts["cut_off"] += self._meta is not None
        self._meta, self._parts, self._left = None, [], 0
        try:
            meta, _ = pdu.split(pmt.cons(value, pmt.init_u8vector(0, []))) or ({}, None)
            meta["header"] = Header(
                Kind(meta["kind"]),
                meta["codec_id"],
                meta["image_id"],
                meta["sequence"],
                meta["count"],
                meta["total"],
                bytes(meta["k_digest"]),
            )
            self._left = self._format.payload_symbols(meta["header"])
            self._meta = {name: meta[name] for name in ("header", "start", "snr_db", "cfo", "clock_ppm", "evm_db")}
        except (PhyError, KeyError, TypeError, ValueError):
            self.counts["malformed"] += 1

    def _take(self, samples: np.ndarray) -> list[tuple[dict, np.ndarray]]:
        """Symbols up to the next frame; the frame that they complete."""
        if self._meta is None:
            self.counts["stray"] += len(samples)
            return []
        part, rest = samples[: self._left], samples[self._left :]
        self._parts.append(part.copy())
        self._left -= len(part)
        if self._left:
            return []
        done = [(self._meta, np.concatenate(self._parts))]
        self._meta, self._parts = None, []
        self.counts["stray"] += len(rest)
        return done

    def _decide(self, ready: list[tuple[dict, np.ndarray]]) -> None:
        """Frames of one geometry together, published in the order in which they came."""
        groups: dict[tuple, list[int]] = {}
        for i, (meta, _) in enumerate(ready):
            groups.setdefault(self._format.group(meta["header"]), []).append(i)
        frames: dict[int, BurstFrame] = {}
        for members in groups.values():
            headers = [ready[i][0]["header"] for i in members]
            symbols = np.stack([ready[i][1] for i in members])
            noise = np.array([10 ** (-ready[i][0]["snr_db"] / 10) for i in members], np.float32)
            bodies, verdicts = self._format.read_payloads(headers, symbols, noise)
            for row, i in enumerate(members):
                frames[i] = BurstFrame(
                    **ready[i][0],
                    body=bodies[row],
                    crc_ok=bool(verdicts[row]),
                    symbols=symbols[row],
                    codec=self._format.codec_name(headers[row]),
                    selective=False,
                    end=0,
                )
        for i in sorted(frames):
            self.counts["ok" if frames[i].crc_ok else "fail"] += 1
            publish(self, frames[i])
