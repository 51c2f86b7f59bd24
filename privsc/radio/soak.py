"""Minutes of full-duplex streaming, with faults on request: does it lose samples, and does it grow?"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from phy.codec.codec import shipped
from phy.frame import frame
from phy.frame.frame import Kind
from phy.frame.tx import TRAINING_SYMBOLS, modulate
from phy.modem.burst import Layout
from phy.modem.waveform import unit_energy_transmitter
from privsc.radio.air import Air
from privsc.radio.setup import BOB, Setup

_FRAMES, _PAYLOAD, _GAP = 200, 1024, 2048
_LOSS = 1000  # [samples] of an injected overflow: less than the silence between frames, so that it hits one at most
_RING = 3.0  # [s] of samples that may wait while the computer does something else
_WARM = 15.0  # [s] after which memory is first looked at
_IMAGE_ID = 0x50AC


def train(codec: str = "image8x4") -> tuple[np.ndarray, int]:
    """(frames of random payloads with silence between them [N] complex64, how many)."""
    payloads = np.random.default_rng(1).integers(0, 256, (_FRAMES, _PAYLOAD), np.uint8)
    headers = frame.headers_for(
        payloads,
        payloads.size,
        kind=Kind.BODY,
        codec_id=shipped(codec).codec_id,
        image_id=_IMAGE_ID,
        k_digest=bytes(frame.DIGEST_BYTES),
    )
    symbols = modulate(headers, payloads, shipped(codec))[:, TRAINING_SYMBOLS:]
    return unit_energy_transmitter(Layout(), _GAP).stream(symbols), len(payloads)


@dataclass(frozen=True)
class Moment:
    """A second in which a device lost something. at: [s]; lost: {"underflow": 2, ...}; waits: what the computer did in
    that second, as ``hardware.process.waits`` tells it."""

    at: float
    lost: dict[str, int]
    waits: dict[str, float]

    def line(self) -> str:
        """For the report."""
        lost = ", ".join(f"{count} x {name}" for name, count in self.lost.items())
        waits = self.waits
        return (
            f"at {self.at:.0f} s: {lost}; in that second a thread waited {waits['waited_ms']:.0f} ms for a processor, "
            f"the host took {waits['stolen_ms']:.0f} ms, {waits['major_faults']:.0f} pages came from a disk"
        )


@dataclass
class Soaked:
    """seconds: of streaming; memory: [(seconds, KiB)] of the radio process, handles: its (threads, open files) at the
    same times; injected, overflows: counts; frames, good, skipped: of Bob's chain; samples: received; behind: samples
    dropped because the chain was too slow; tardy: underflows for which samples were there and the virtual driver's own
    thread was late; moments: when something was lost; waited_ms: the longest wait of a thread in any second; hurried:
    the process has priority."""

    seconds: float
    sample_rate: float
    memory: list[tuple[float, int]] = field(default_factory=list)
    handles: list[tuple[int, int]] = field(default_factory=list)
    injected: int = 0
    overflows: int = 0
    underflows: int = 0
    late: int = 0
    behind: int = 0
    samples: int = 0
    sent: int = 0
    frames: int = 0
    good: int = 0
    skipped: int = 0
    cpu_seconds: float = 0.0
    hurried: bool = False
    tardy: int = 0
    moments: list[Moment] = field(default_factory=list)
    waited_ms: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def hit(self) -> int:
        """Frames that did not arrive exactly."""
        return self.skipped + self.frames - self.good

    def growth(self) -> tuple[float, float] | None:
        """(KiB from the first look after warming up to the last, KiB per minute by least squares)."""
        late = [(at, kib) for at, kib in self.memory if at >= min(_WARM, self.seconds / 2)]
        if len(late) < 2:
            return None
        at, kib = np.array(late, float).T
        return float(kib[-1] - kib[0]), float(np.polyfit(at, kib, 1)[0] * 60)

    def lines(self) -> list[str]:
        """The report."""
        told = [
            f"{self.seconds:.0f} s at {self.sample_rate / 1e6:g} Msps: {self.samples / 1e6:.1f} million samples "
            f"received, {self.sent / 1e6:.1f} sent; {self.samples / self.seconds / 1e6:.3f} Msps",
            f"frames: {self.frames} received, {self.good} exact, {self.skipped} missing",
            f"overflows {self.overflows} ({self.injected} injected), underflows {self.underflows}, late {self.late}, "
            f"samples dropped by us {self.behind}",
            f"processor: {100 * self.cpu_seconds / self.seconds:.0f} % of one core for Bob's device and chain; "
            f"priority {'granted' if self.hurried else 'refused by the system (see hardware/README.md)'}",
        ]
        told.append(f"longest wait of a thread for the processor within a second: {self.waited_ms:.0f} ms")
        told += [one.line() for one in self.moments[:20]]
        if self.underflows and self.tardy:
            told.append(f"{self.tardy} of the underflows had samples: the driver's thread got no processor in time")
        if self.injected:
            told.append(f"{self.overflows} overflows cost {self.hit} frames")
        if (grown := self.growth()) is not None:
            told.append(
                f"memory of the radio process: {self.memory[-1][1] / 1024:.1f} MiB at the end, "
                f"{grown[0]:+.0f} KiB since {_WARM:.0f} s, {grown[1]:+.1f} KiB a minute"
            )
        if self.handles:
            (threads, files), (had, held) = self.handles[-1], self.handles[0]
            told.append(
                f"threads {threads} ({threads - had:+d} since the start), open files and sockets {files} "
                f"({files - held:+d})"
            )
        return told


def verdict(told: Soaked) -> str | None:
    """What went wrong, None where nothing did."""
    if told.frames == 0:
        return "no frame arrived: run privsc radio doctor"
    if told.overflows > told.injected or told.behind or told.underflows or told.late:
        return "samples were lost that nobody injected"
    if told.hit > told.overflows:
        return f"{told.overflows} overflows cost {told.hit} frames: more than the ones they hit"
    return None


def run_soak(
    setup: Setup,
    seconds: float,
    overflows: int = 0,
    snr_db: float | None = None,
    line: Any = None,
    on_interrupt: Callable[[], None] | None = None,
) -> Soaked:
    """Send the train again and again and receive it; ``overflows`` are spread over the time.

    An interrupt (Ctrl-C) ends it early and well; ``on_interrupt`` is called when it comes.
    """
    iq, _ = train()
    told = Soaked(0.0, setup.bob.sample_rate)
    rng = np.random.default_rng(2)
    with Air(setup, frames=False, on_statistics=lambda who, fields: _note(told, who, fields, line)) as air:
        iq, factor = air.scaled(iq)
        told.hurried = air.hurried[BOB]
        if air.setup.bob.virtual:
            air.noise_for(20.0 if snr_db is None else snr_db, factor, BOB)
        sender, pid = air.stations["sender"], air.stations[BOB].pid
        air.listen(expect=round(_RING * setup.bob.sample_rate))
        sender.load(iq)
        begun, before = time.monotonic(), _cpu(pid)
        told.begun = begun
        sender.ask("transmit", repeat=0, delay=0.1)
        air.wait(0.5)
        told.memory.clear()
        told.handles.clear()
        due = np.sort(rng.uniform(0.0, max(seconds - 1.5, 0.1), overflows))
        try:
            while (now := time.monotonic() - begun) < seconds:
                while told.injected < len(due) and due[told.injected] <= now:
                    air.setting(BOB, "fault_overflow", str(_LOSS))
                    told.injected += 1
                    air.wait(_GAP * 12 / setup.bob.sample_rate)  # two in one frame would be no test
                air.wait(0.1)
        except KeyboardInterrupt:
            if on_interrupt is not None:
                on_interrupt()
        told.seconds, told.cpu_seconds = time.monotonic() - begun, _cpu(pid) - before
        ended = air.finish(settle=0.0)[BOB]  # the last frame is cut off, not missing: nothing after it shows a gap
        silent = sender.ask("silence")["counts"]
        told.tardy = int(sender.ask("sensors").get("tx_tardy", "0"))
    chain = ended["chains"][BOB]
    told.frames, told.good, told.skipped = chain["frames"], chain["crc_ok"], chain["skipped"]
    told.overflows, told.samples = ended["radio"].get("overflow", 0), ended["samples"]
    told.underflows, told.late, told.sent = (silent.get(name, 0) for name in ("underflow", "late", "sent"))
    told.behind = ended["receiving"].get("behind", 0)
    return told


def _note(told: Soaked, who: str, fields: dict[str, Any], line: Any) -> None:
    at = time.monotonic() - told.begun
    if who == BOB:
        told.memory.append((at, fields["memory_kib"]))
        told.handles.append((fields["threads"], fields["files"]))
    waits = fields["waits"]
    told.waited_ms = max(told.waited_ms, waits["waited_ms"])
    lost = {}
    for name in ("underflow", "overflow", "late"):
        now, key = fields["radio"].get(name, 0), f"{who} {name}"
        if new := now - told.counts.get(key, 0):
            lost[name] = new
        told.counts[key] = now
    if lost and len(told.moments) < 1000:
        told.moments.append(Moment(at, lost, waits))
    if line is not None:
        line(who, fields)


def _cpu(pid: int) -> float:
    """Processor time of a process [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
