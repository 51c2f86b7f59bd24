"""Which stage of the link fails? A known train of frames goes out, what came back is looked at stage by stage.

    background ─┐
    capture ────┴─► transmitter, overflow, energy, clipping, preamble, frequency, clock, continuity,
                    header, payload, CRC

The stages are in the order in which a signal meets them; the first that fails is the diagnosis, since all behind it
fail with it. Works on samples: a radio's, a recording's, or made ones. numpy and scipy only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hardware.diagnosis.sight import MATCH, clock_ppm, jumped, levels, offset, preambles, regular, spectrum
from hardware.diagnosis.train import IMAGE_ID, Train
from phy.channel.impairments import frequency_offset
from phy.codec.codec import shipped
from phy.codec.packing import bytes_to_messages
from phy.modem.burst import Layout
from phy.modem.demodulator import BurstFrame
from phy.modem.stream import StreamReceiver
from phy.modem.sync import Acquired, Detector

MAX_CFO = 0.30  # [rad/sample] that the receiver promises
MAX_PPM = 200.0  # clock offset that it promises
_RISE_DB = 1.0
_CLEAR = 0.4
_CLIPPED = 1e-3  # share of samples
_WRONG = 0.05  # share of wrong messages from which on the payload, and not a stray bit, is the trouble
STAGES = ("transmitter", "overflow", "energy", "clipping", "preamble", "frequency", "clock", "continuity", "header",
          "payload", "crc")  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """ok: None where the stage could not be looked at, since an earlier one fails. found: what was seen; advice: what
    to try."""

    name: str
    ok: bool | None
    found: str = ""
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """stages: all of STAGES. measures: figures, None where absent. The rest is for the plot: spectrum [dB] over
    frequencies [cycles/sample], level [dBFS] over time [samples], symbols of the payloads."""

    stages: tuple[Stage, ...]
    measures: dict[str, Any]
    spectrum: np.ndarray = field(default_factory=lambda: np.empty(0))
    background: np.ndarray = field(default_factory=lambda: np.empty(0))
    level: np.ndarray = field(default_factory=lambda: np.empty(0))
    level_step: int = 256
    symbols: np.ndarray = field(default_factory=lambda: np.empty(0, np.complex64))
    starts: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def failed(self) -> Stage | None:
        """The first stage that fails, None where all is well."""
        return next((stage for stage in self.stages if stage.ok is False), None)

    @property
    def verdict(self) -> str:
        return "healthy" if self.failed is None else self.failed.name


def diagnose(
    samples: np.ndarray,
    background: np.ndarray,
    train: Train,
    *,
    sample_rate: float,
    frequency: float,
    counts: Mapping[str, int] | None = None,
    gaps: Sequence[Mapping[str, Any]] = (),
    gain_follows: bool | None = None,
) -> Diagnosis:
    """samples: [N] complex64 of full scale 1, taken while the train was sent; background: [M], taken before; counts: of
    the radio (underflow, late, sequence); gaps: losses that the device reported; gain_follows: whether the level
    followed when the receiver's gain was lowered, None where nobody tried."""
    return _Examination(
        samples, background, train, sample_rate, frequency, dict(counts or {}), list(gaps), gain_follows
    ).run()


class _Examination:
    def __init__(self, samples, background, train, sample_rate, frequency, counts, gaps, gain_follows) -> None:
        self.samples = np.ascontiguousarray(samples, np.complex64)
        self.background = np.ascontiguousarray(background, np.complex64)
        self.train, self.rate, self.frequency = train, sample_rate, frequency
        self.counts, self.gaps, self.gain_follows = counts, gaps, gain_follows
        self.stages: list[Stage] = []
        self.measures: dict[str, Any] = {}
        layout = Layout()
        self.detector = Detector(layout.preamble, layout.pulse)

    def run(self) -> Diagnosis:
        checks = (self._transmitter, self._overflow, self._energy, self._clipping, self._preamble, self._frequency,
                  self._clock, self._continuity, self._header, self._payload, self._crc)  # fmt: skip
        self._loudness()
        self.found = self._ours(preambles(self.samples, self.detector))
        self._demodulate()
        for name, check in zip(STAGES, checks, strict=True):
            failed = any(stage.ok is False for stage in self.stages)
            self.stages.append(Stage(name, None, "not looked at: an earlier stage fails") if failed else check(name))
        shown = [one.symbols[:512] for one in self.frames[:8]]
        return Diagnosis(
            tuple(self.stages),
            self.measures,
            spectrum=spectrum(self.samples),
            background=spectrum(self.background),
            level=levels(self.samples, 256),
            symbols=np.concatenate(shown) if shown else np.empty(0, np.complex64),
            starts=self.found.start,
        )

    def _loudness(self) -> None:
        self.dc = np.complex64(offset(self.background))
        now, before = levels(self.samples - self.dc, 1024), levels(self.background - self.dc, 1024)
        self.loud = float(np.percentile(now, 80)) if len(now) else -160.0
        self.quiet = float(np.median(before)) if len(before) else float(np.min(now, initial=self.loud))
        self.measures.update(
            level_dbfs=round(self.loud, 1),
            background_dbfs=round(self.quiet, 1),
            rise_db=round(self.loud - self.quiet, 2),
            dc_dbfs=round(float(20 * np.log10(abs(self.dc))), 1) if self.dc else None,
        )

    def _ours(self, found: Acquired) -> Acquired:
        """Preambles that are as clear as this SNR makes them (S / (S + N)) and lie whole periods apart: parts of a
        payload can look like a faint one."""
        expected = 1 - 10 ** (-max(self.loud - self.quiet, 0.0) / 10)
        found = found.take(np.flatnonzero(found.metric > _CLEAR * expected))
        apart = found.start[:, None] - found.start[None, :]
        whole = np.rint(apart / self.train.period)
        near = (
            (whole != 0)
            & (np.abs(whole) <= 3)
            & (np.abs(apart - whole * self.train.period) < MATCH * self.train.period)
        )
        lone = ~near.any(axis=1)
        return found.take(np.flatnonzero(~lone)) if len(found) > 1 else found

    def _demodulate(self) -> None:
        receiver = StreamReceiver()
        self.frames: list[BurstFrame] = [*receiver.push(self.samples), *receiver.flush()]
        self.frames = [one for one in self.frames if one.header.image_id == IMAGE_ID]
        self.refusals: Counter[str] = receiver.refusals
        good = [one for one in self.frames if one.crc_ok] or self.frames

        def middle(name: str) -> float | None:
            return round(float(np.median([getattr(one, name) for one in good])), 4) if good else None

        cfo = middle("cfo")
        self.measures.update(
            frames_sent=self.train.frames,
            preambles=len(self.found),
            headers=len(self.frames),
            frames_good=sum(one.crc_ok for one in self.frames),
            snr_db=middle("snr_db"),
            evm_db=middle("evm_db"),
            cfo=cfo,
            cfo_hz=None if cfo is None else round(cfo * self.rate / (2 * np.pi), 1),
            carrier_ppm=None if cfo is None else round(cfo * self.rate / (2 * np.pi) / self.frequency * 1e6, 2),
            clock_ppm=middle("clock_ppm"),
        )

    def _transmitter(self, name: str) -> Stage:
        trouble = {key: self.counts[key] for key in ("underflow", "late", "sequence") if self.counts.get(key)}
        if not trouble:
            return Stage(name, True, "the device had samples whenever it needed them")
        told = ", ".join(f"{count} x {key}" for key, count in trouble.items())
        return Stage(
            name,
            False,
            f"the transmitter reported {told}",
            (
                "lower radio.sample_rate",
                "close programs that use the processor or the same USB bus",
                "larger buffers: tx.stream arguments of the driver (num_send_frames, bufflen)",
            ),
        )

    def _overflow(self, name: str) -> Stage:
        if not self.gaps and not self.counts.get("overflow"):
            return Stage(name, True, "the device reported no lost samples")
        lost = sum(gap.get("lost") or 0 for gap in self.gaps)
        self.measures["lost_samples"] = lost
        return Stage(
            name,
            False,
            f"the receiver lost samples {max(len(self.gaps), self.counts.get('overflow', 0))} "
            f"times ({lost} samples in all)",
            (
                "lower radio.sample_rate",
                'rx.format = "CS16" halves what crosses the bus',
                "another USB port, without a hub; larger buffers in rx.stream",
            ),
        )

    def _energy(self, name: str) -> Stage:
        if len(self.samples) < self.train.period:
            return Stage(
                name,
                False,
                f"only {len(self.samples)} samples came from the device",
                ("is the device plugged in, and does another program use it?",),
            )
        loud, quiet = self.loud, self.quiet
        rise = loud - quiet
        if rise >= _RISE_DB or len(self.found) >= self.train.frames // 2:
            return Stage(name, True, f"the level rises by {rise:.1f} dB to {loud:.1f} dBFS")
        return Stage(
            name,
            False,
            f"the level stays at {quiet:.1f} dBFS: nothing arrives ({rise:+.1f} dB)",
            (
                "do both ends have the same radio.frequency, and is that the antenna or connector that is used?",
                "raise tx.gain (up to safety.max_gain) and rx.gain, or take attenuators out",
                "is the background itself loud? then something else is on this frequency",
            ),
        )

    def _clipping(self, name: str) -> Stage:
        parts = np.abs(self.samples.view(np.float32))
        top = float(parts.max())
        clipped = float(np.mean(parts > 0.998 * top)) if top > 0 else 0.0
        at_full = float(np.mean(parts >= 0.995))
        self.measures.update(peak=round(top, 4), clipped=round(max(clipped, at_full), 6))
        if max(clipped, at_full) < _CLIPPED:
            return Stage(name, True, f"the largest sample is {top:.2f} of full scale")
        stuck = self.gain_follows is False
        advice = (
            (
                "switch rx.agc off and set rx.gain; the level did not follow when the gain was lowered: the automatic "
                "gain is stuck, or a preamplifier in front is overdriven",
            )
            if stuck
            else ()
        ) + ("lower rx.gain", "lower tx.gain or tx.amplitude", "put attenuators in the cable")
        what = "gain stuck: " if stuck else ""
        share = 100 * max(clipped, at_full)
        return Stage(name, False, f"{what}{share:.1f} % of the samples lie at {top:.2f} of full scale", advice)

    def _preamble(self, name: str) -> Stage:
        expected, got = self.train.frames, len(self.found)
        if len(self.frames) < expected // 2 and (hidden := self._hidden(name)):
            return hidden
        if got >= expected // 2:
            metric = float(np.median(self.found.metric))
            return Stage(name, True, f"{got} preambles, correlation {metric:.2f}")
        shifted = self._elsewhere()
        if shifted is not None:  # there, but too far beside the carrier: the next stage says so
            self.measures["cfo"] = round(shifted, 4)
            return Stage(name, True, "preambles are there, beside the carrier")
        return Stage(
            name,
            False,
            f"{got} of {expected} preambles found, though there is energy",
            (
                "do both ends use the same sample_rate, and this version of the program?",
                "is it our signal? in the plot's spectrum ours is a flat-topped hump of 0.65 of the sample rate",
            ),
        )

    def _hidden(self, name: str) -> Stage | None:
        """Frames are read once DC is taken off, or I and Q are exchanged; None where they are not."""
        clean = self.samples - np.complex64(offset(self.samples))
        mirrored = (clean.imag + 1j * clean.real).astype(np.complex64)
        spike = 20 * np.log10(max(abs(offset(self.samples)), 1e-6))
        for samples, found, advice in (
            (
                clean,
                f"a DC of {spike:.1f} dBFS hides the frames",
                ("--dc-block yes (or auto) takes it off", "rx.dc_correction = true; rx.lo_offset moves it aside"),
            ),
            (
                mirrored,
                "I and Q are exchanged: mirrored, the frames are there",
                (
                    "--swap-iq yes (or auto) changes them back",
                    "a mixer above the carrier: change the sign of lo_offset",
                ),
            ),
        ):
            receiver = StreamReceiver()
            read = [one for one in (*receiver.push(samples), *receiver.flush()) if one.header.image_id == IMAGE_ID]
            if len(read) >= self.train.frames // 2:
                return Stage(name, False, found, advice)
        return None

    def _elsewhere(self) -> float | None:
        """[rad/sample] offset at which preambles appear, outside the receiver's range; None where there are none."""
        part = self.samples[: 8 * self.train.period]
        best, most = None, 3
        for shift in (*np.arange(0.5, 3.2, 0.5), *-np.arange(0.5, 3.2, 0.5)):
            found = self._ours(preambles(frequency_offset(part, -shift), self.detector))
            if len(found) >= most and regular(found.start, self.train.period):
                best, most = float(shift + np.median(found.cfo)), len(found)
        return best

    def _frequency(self, name: str) -> Stage:
        cfo = (
            self.measures["cfo"]
            if self.measures["cfo"] is not None
            else (float(np.median(self.found.cfo)) if len(self.found) else 0.0)
        )
        offset = cfo * self.rate / (2 * np.pi)
        self.measures.update(
            cfo=round(cfo, 4), cfo_hz=round(offset, 1), carrier_ppm=round(offset / self.frequency * 1e6, 2)
        )
        told = f"{offset / 1e3:+.2f} kHz, {offset / self.frequency * 1e6:+.1f} ppm, {cfo:+.3f} rad/sample"
        if abs(cfo) <= MAX_CFO:
            return Stage(name, True, f"carriers differ by {told}")
        return Stage(
            name,
            False,
            f"carriers differ by {told}; the receiver takes ±{MAX_CFO:g} rad/sample",
            (
                "privsc radio calibrate stores radio.ppm",
                "a higher radio.sample_rate takes more ppm",
                'a lower radio.frequency; a common reference (radio.clock_source = "external")',
            ),
        )

    def _clock(self, name: str) -> Stage:
        ppm = clock_ppm(self.found.start, self.train.period)
        if ppm is None:
            return Stage(name, True, "too few preambles in a row to measure the clocks")
        self.measures["clock_ppm"] = round(ppm, 2)
        if abs(ppm) <= MAX_PPM:
            return Stage(name, True, f"sample clocks differ by {ppm:+.1f} ppm")
        return Stage(
            name,
            False,
            f"sample clocks differ by {ppm:+.1f} ppm; the receiver takes ±{MAX_PPM:g}",
            (
                "does the device really run at radio.sample_rate? probe shows what it can make",
                "set radio.clock_rate to a multiple of the sample rate",
                "a common reference for both ends",
            ),
        )

    def _continuity(self, name: str) -> Stage:
        jumps = jumped(self.found.start, self.train.period)
        if not jumps:
            return Stage(name, True, "frames keep their distance")
        self.measures["jumps"] = jumps
        shown = ", ".join(f"{jump:+d}" for jump in jumps[:5])
        return Stage(
            name,
            False,
            f"the stream jumps by {shown} samples, and no device reported a loss",
            (
                "a driver that drops buffers silently: lower radio.sample_rate, larger buffers in rx.stream",
                "a virtual machine or a USB hub in between",
            ),
        )

    def _header(self, name: str) -> Stage:
        got, seen = len(self.frames), len(self.found)
        refused = {cause: n for cause, n in self.refusals.items() if n and cause != "payload_crc"}
        self.measures["refusals"] = refused
        if got >= 0.9 * min(seen, self.train.frames):
            return Stage(name, True, f"{got} headers read")
        told = ", ".join(f"{n} x {cause}" for cause, n in refused.items()) or "the pilots do not fit"
        return Stage(
            name,
            False,
            f"{got} of {seen} headers could be read ({told})",
            (
                "do both ends run the same version of the program?",
                "raise the signal: the header needs some 0 dB of SNR",
                "strong echoes: lower radio.sample_rate, move the antennas",
            ),
        )

    def _payload(self, name: str) -> Stage:
        wrong = self._wrong_messages()
        self.measures["message_error_rate"] = None if wrong is None else round(wrong, 6)
        snr = self.measures["snr_db"]
        shown = "unknown" if snr is None else f"{snr:.1f} dB"
        if wrong is None or wrong < _WRONG:
            return Stage(name, True, f"{100 * (wrong or 0):.2f} % of the messages are wrong, SNR {shown}")
        return Stage(
            name,
            False,
            f"{100 * wrong:.1f} % of the messages are wrong at an SNR of {shown}",
            (
                f"the codec {self.train.codec} needs some 6 dB: raise gains if the SNR is below that",
                "the SNR is fine? then both ends have different codec files: privsc models verify",
                "phase noise or echoes that change within a frame: shorter payloads, a lower sample_rate",
            ),
        )

    def _wrong_messages(self) -> float | None:
        rows = [
            one
            for one in self.frames
            if one.header.sequence < self.train.frames and len(one.body) == self.train.bodies.shape[1]
        ]
        if not rows:
            return None
        k = shipped(self.train.codec).k
        decided = bytes_to_messages(np.stack([one.body for one in rows]), k)
        truth = bytes_to_messages(self.train.bodies[[one.header.sequence for one in rows]], k)
        return float(np.mean(decided != truth))

    def _crc(self, name: str) -> Stage:
        good, got = self.measures["frames_good"], len(self.frames)
        if good >= 0.98 * got and got:
            return Stage(name, True, f"{good} of {got} frames are exact")
        return Stage(
            name,
            False,
            f"{good} of {got} frames are exact, the others hold a few wrong messages",
            (
                "a few dB more signal; or a codec of a lower rate (--codec ae8x8), or one with +outer",
                "pulsed interference (Wi-Fi, radar): another radio.frequency",
                "the SNR is high? then the sender's memory or its bus is damaged, or it runs another version",
            ),
        )
