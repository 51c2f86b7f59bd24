"""What the radio process is asked to do: one device, its threads and chains behind named requests."""

from __future__ import annotations

import os
import queue
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hardware.drivers.open import open_radio
from hardware.drivers.probe import probe
from hardware.drivers.radio import Radio
from hardware.errors import HardwareError, StationError
from hardware.frontend.frontend import Correction, FrontEnd
from hardware.process.chain import Chain, frame_event
from hardware.process.priority import hurry
from hardware.process.replaying import Reception, find_rate, make_chains, replay
from hardware.process.streaming import Gap, Receiving, Sending, statistics, to_complex
from hardware.profiles.profile import from_dict
from hardware.recordings.samples import SampleSource
from phy.modem.demodulator import BurstFrame
from phy.net import messages

MAX_LOADED = 1 << 27  # [samples]: 1 GiB
MAX_CAPTURE = 1 << 24  # [samples]
_OUTBOX = 4096  # messages; what does not fit is dropped and counted, the radio is not held up
_READ = 8192  # [samples] of a capture read at once

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


class Station:
    """One device and its threads, as requests."""

    def __init__(self) -> None:
        self.radio: Radio | None = None
        self.receiving: Receiving | None = None
        self.sending: Sending | None = None
        self.chains: list[Chain] = []
        self.front_end: FrontEnd | None = None
        self.gaps: list[Gap] = []
        self.dropped = 0
        self.outbox: queue.Queue[list[bytes]] = queue.Queue(_OUTBOX)
        self._loaded: list[np.ndarray] = []
        self._file: BinaryIO | None = None
        self._next_statistics = 0.0

    def request(self, message: messages.Message) -> Answer:
        """Do what a request asks. Raises HardwareError with the one line that its sender is told."""
        name = message.header.get("op")
        work: Callable[[dict, dict], Answer] | None = (
            getattr(self, f"_do_{name}", None) if isinstance(name, str) else None
        )
        if work is None:
            raise StationError(f"the radio process knows no request {name!r}")
        params = message.header.get("params", {})
        return work(params, message.buffers)

    def tell(self, fields: dict[str, Any], buffers: dict[str, np.ndarray] | None = None) -> None:
        """An event for whoever started us; never waits."""
        try:
            self.outbox.put_nowait(messages.encode({"id": 0, **fields}, buffers))
        except queue.Full:
            self.dropped += 1

    def tick(self) -> None:
        """Statistics, once a second; a thread's error, once."""
        now = time.monotonic()
        if now < self._next_statistics or (self.receiving is None and self.sending is None):
            return
        self._next_statistics = now + 1.0
        self.tell({"event": "statistics", **self._statistics()})
        for thread in (self.receiving, self.sending):
            if thread is not None and thread.error is not None:
                self.tell({"event": "error", "message": str(thread.error)})

    def _statistics(self) -> dict[str, Any]:
        assert self.radio is not None
        told = statistics(self.receiving, self.sending, self.radio)
        told["chains"] = {chain.name: chain.summary() for chain in self.chains}
        told["front_end"] = None if self.front_end is None else self.front_end.report()
        told["gaps"], told["dropped_events"] = len(self.gaps), self.dropped
        return told

    def _open_radio(self) -> Radio:
        if self.radio is None:
            raise StationError("no device is open")
        return self.radio

    def _do_probe(self, params: dict, buffers: dict) -> Answer:
        return {"devices": probe()}, {}

    def _do_open(self, params: dict, buffers: dict) -> Answer:
        self.close()
        hurried = hurry()
        profile = from_dict(params["profile"])
        self.radio = open_radio(profile, bool(params.get("transmit")))
        directions = params.get("directions", [])
        if "tx" in directions:
            self.radio.require_transmit()
        actual = self.radio.configure()
        if "tx" in directions:
            self.radio.start(("tx",))
        return {"actual": actual, "hardware": self.radio.describe().hardware, "hurried": hurried}, {}

    def _do_receive(self, params: dict, buffers: dict) -> Answer:
        """Begin reception into chains [{name, noise_db, seed}], and into the file ``record``."""
        radio = self._open_radio()
        if self.receiving is not None:
            raise StationError("reception runs already")
        events = bool(params.get("frames", True))

        def told(name: str, frame: BurstFrame) -> None:
            if events:
                self.tell(*frame_event(name, frame))

        correction = Correction.from_dict(params.get("front_end"))
        self.chains = make_chains(params.get("chains", []), correction, told)
        self.front_end = FrontEnd(correction)
        self.gaps = []
        if params.get("record"):
            Path(params["record"]).touch(0o600)
            self._file = Path(params["record"]).open("wb", buffering=1 << 20)  # noqa: SIM115 (closed by _close_file)
        radio.start(("rx",), params.get("at"))
        self.receiving = Receiving(
            radio,
            [Reception(self.front_end, self.chains)],
            blocks=params.get("blocks", 64),
            file=self._file,
            gap=self._gap,
        )
        self.receiving.start()
        return {"now": radio.now()}, {}

    def _gap(self, gap: Gap) -> None:
        if len(self.gaps) < 10000:
            self.gaps.append(gap)
        self.tell({"event": "gap", "at": gap.at, "lost": gap.lost, "why": gap.why})

    def _do_load(self, params: dict, buffers: dict) -> Answer:
        """Samples to send, [n] complex64 as float32 pairs, behind those that are loaded."""
        if params.get("first"):
            self._loaded = []
        self._loaded.append(np.array(buffers["samples"]).view(np.complex64))
        total = sum(len(part) for part in self._loaded)
        if total > MAX_LOADED:
            self._loaded = []
            raise StationError(f"at most {MAX_LOADED} samples can be loaded; got {total}")
        return {"samples": total}, {}

    def _do_transmit(self, params: dict, buffers: dict) -> Answer:
        """Send what is loaded. delay: [s] from now to the first sample, for a timed start; null: at once."""
        radio = self._open_radio()
        if self.sending is not None and not self.sending.done.is_set():
            raise StationError("a transmission runs already")
        if not self._loaded:
            raise StationError("nothing is loaded to be sent")
        samples = self._loaded[0] if len(self._loaded) == 1 else np.concatenate(self._loaded)
        self._loaded = [samples]
        delay = params.get("delay")
        at = None if delay is None else radio.now() + round(delay * 1e9)
        self.sending = Sending(radio, samples, at=at, repeat=int(params.get("repeat", 1)))
        self.sending.start()
        return {"at": at, "seconds": len(samples) / radio.rate}, {}

    def _do_sent(self, params: dict, buffers: dict) -> Answer:
        """Has the transmission ended?"""
        sending = self.sending
        if sending is not None and sending.error is not None:
            error, self.sending = sending.error, None
            raise error
        return {"done": sending is None or sending.done.is_set(), "counts": dict(self._open_radio().counts)}, {}

    def _do_sensors(self, params: dict, buffers: dict) -> Answer:
        return self._open_radio().sensors(), {}

    def _do_silence(self, params: dict, buffers: dict) -> Answer:
        """End the transmission."""
        sending, self.sending = self.sending, None
        if sending is not None:
            sending.stop()
        return {"rounds": 0 if sending is None else sending.rounds, "counts": dict(self._open_radio().counts)}, {}

    def _do_stop(self, params: dict, buffers: dict) -> Answer:
        """End reception; what the chains found in all."""
        receiving = self.receiving
        if receiving is None:
            raise StationError("no reception runs")
        try:
            receiving.stop()
        finally:
            told = self._statistics()
            self.receiving = None
            self._close_file()
        told["started_ns"] = receiving.started_ns
        told["gaps"] = [{"at": gap.at, "lost": gap.lost, "why": gap.why} for gap in self.gaps[:500]]
        told["samples"] = receiving.counts["processed"]
        assert self.radio is not None
        self.radio.stop_receiving()
        return told, {}

    def _do_capture(self, params: dict, buffers: dict) -> Answer:
        """The next ``samples`` samples: buffer ``samples`` (float32 pairs), and the gaps among them.

        skip: [s] that are received and thrown away first (gains settle, a transmitter is found). settings: [[after so
        many samples, name, value]] written to the driver in between.
        """
        radio, count = self._open_radio(), int(params["samples"])
        if self.receiving is not None or not 1 <= count <= MAX_CAPTURE:
            raise StationError(f"a capture of 1 to {MAX_CAPTURE} samples needs a receiver that is at rest; got {count}")
        raw = radio.new_buffer("rx", count)
        radio.start(("rx",))
        due = sorted(params.get("settings", []))
        skip = float(params.get("skip", 0.0))
        gaps, filled, until = [], 0, time.monotonic() + count / radio.rate + skip + 3.0
        try:
            skipped = 0
            while skipped < skip * radio.rate and time.monotonic() < until:
                skipped += radio.receive(raw[: min(_READ, count)]).count
            before = dict(radio.counts)
            while filled < count and time.monotonic() < until:
                while due and filled >= due[0][0]:
                    _, name, value = due.pop(0)
                    radio.setting(name, value)
                got = radio.receive(raw[filled : filled + _READ])
                if got.overflow:
                    gaps.append({"at": filled, "lost": got.lost})
                filled += got.count
        finally:
            radio.stop_receiving()
        if filled < count:
            after = " after an overflow" if radio.pending else ""
            raise HardwareError(
                f"{radio.profile.name}: {filled} of {count} samples came, then none{after}; the driver hangs: unplug "
                "the device and plug it in, lower radio.sample_rate"
            )
        counts = {name: n - before.get(name, 0) for name, n in radio.counts.items()}
        samples = np.array(to_complex(raw[:filled]))
        return {"samples": filled, "gaps": gaps, "counts": counts}, {"samples": samples.view(np.float32)}

    def _do_gain(self, params: dict, buffers: dict) -> Answer:
        return {"gain": self._open_radio().set_gain(params["side"], float(params["gain"]))}, {}

    def _do_setting(self, params: dict, buffers: dict) -> Answer:
        self._open_radio().setting(params["name"], params["value"])
        return {}, {}

    def _do_counts(self, params: dict, buffers: dict) -> Answer:
        return self._statistics(), {}

    def _do_replay(self, params: dict, buffers: dict) -> Answer:
        """A recording through chains, as it came live.

        source: as ``SampleSource.as_dict``; recorded, signal: [samples/s], equal where left out; front_end: as
        ``Correction.as_dict``; most: [samples]; chains: [{name, noise_db, seed}].
        """
        correction = Correction.from_dict(params.get("front_end"))

        def told(name: str, frame: BurstFrame) -> None:
            self.outbox.put(messages.encode(*_numbered(frame_event(name, frame))))

        chains = make_chains(params["chains"], correction, told)
        front_end = FrontEnd(correction, float(params.get("recorded", 1.0)), float(params.get("signal", 1.0)))
        source = SampleSource.from_dict(params["source"])
        total = replay(source, chains, front_end, most=params.get("most"), progress=self._progress)
        return {
            "samples": total,
            "chains": {chain.name: chain.summary() for chain in chains},
            "front_end": front_end.report(),
        }, {}

    def _do_find_rate(self, params: dict, buffers: dict) -> Answer:
        """Which of ``candidates`` [samples/s] the signal of a recording has; the rest as of ``replay``."""
        rate = find_rate(
            SampleSource.from_dict(params["source"]),
            float(params["recorded"]),
            [float(one) for one in params["candidates"]],
            Correction.from_dict(params.get("front_end")),
            self._progress,
        )
        return {"signal": rate}, {}

    def _progress(self, done: int, whole: int) -> None:
        self.tell({"event": "progress", "done": done, "whole": whole})

    def _do_close(self, params: dict, buffers: dict) -> Answer:
        self.close()
        return {}, {}

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Everything off; errors of threads no longer matter."""
        for thread in (self.sending, self.receiving):
            if thread is not None:
                try:
                    thread.stop() if isinstance(thread, Sending) else thread.stop(drain=0.0)
                except Exception as error:
                    print(f"hardware.process.station: {error}", file=sys.stderr)
        self.sending = self.receiving = None
        self._close_file()
        if self.radio is not None:
            self.radio.close()
            self.radio = None


def _numbered(event: Answer) -> Answer:
    fields, buffers = event
    return {"id": 0, **fields}, buffers
