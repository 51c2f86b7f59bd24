"""One radio, whatever its maker: configure, start, send bursts, receive with metadata, stop, close.

    with open_radio(profile, transmit=True) as radio:         # soapy_radio or uhd_radio, by the profile's ``api``
        radio.configure()                                     # checked against the device's own ranges first
        radio.start(("rx", "tx"))
        radio.send(burst, at=radio.now() + 100_000_000, end=True)
        got = radio.receive(out)                              # out: [N] as ``new_buffer`` makes it

Times are hardware time in nanoseconds. ``receive`` and ``send`` may run in threads of their own; everything else is for
the thread that opened the radio. Runs under the distribution's interpreter.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np

from hardware.errors import DeviceError, ProfileError, TransmitRefused
from hardware.profiles.profile import Profile, Side, Span, check_transmission

_TOLERANCE = 1e-3  # relative: by how much a device may miss a rate that it was asked for


@dataclass(frozen=True)
class SideRanges:
    """What one direction of a device can do: [Hz], [samples/s], [dB]. Empty where the driver does not say."""

    channels: int = 0
    antennas: tuple[str, ...] = ()
    frequency: tuple[Span, ...] = ()
    sample_rate: tuple[Span, ...] = ()
    bandwidth: tuple[Span, ...] = ()
    gain: Span | None = None
    gains: dict[str, Span] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    agc: bool = False


@dataclass(frozen=True)
class Description:
    """A device as its driver describes it."""

    driver: str
    hardware: str
    serial: str
    tx: SideRanges
    rx: SideRanges
    full_duplex: bool
    clock_sources: tuple[str, ...] = ()
    time_sources: tuple[str, ...] = ()
    has_time: bool = False


@dataclass(frozen=True)
class Received:
    """count: samples written, 0 after a timeout. time_ns: hardware time of the first one, None where the device has no
    time. overflow: samples before these were lost. lost: how many, None where the device does not tell."""

    count: int
    time_ns: int | None
    overflow: bool = False
    lost: int | None = None


class Radio(ABC):
    """Base of the drivers. counts: ``overflow``, ``underflow``, ``late``, ``sequence`` (lost packets), ``timeout``,
    ``sent`` and ``received`` samples."""

    def __init__(self, profile: Profile, transmit: bool):
        self.profile, self.transmit = profile, transmit
        self.counts: Counter[str] = Counter()
        self.rate = profile.sample_rate
        self._due: int | None = None  # hardware time [ns] at which the next sample is expected
        self._told = False

    @abstractmethod
    def describe(self) -> Description:
        """Ask the device."""

    @abstractmethod
    def _apply(self) -> dict[str, Any]:
        """Write the profile's settings to the device and read back what it made of them."""

    @abstractmethod
    def start(self, directions: Sequence[str], at: int | None = None) -> None:
        """Begin "rx", "tx" or both; reception at hardware time ``at`` [ns] where given."""

    @abstractmethod
    def receive(self, out: np.ndarray, timeout: float = 0.1) -> Received:
        """Fill out (from its start, perhaps in part) with samples; waits at most ``timeout`` [s]."""

    @abstractmethod
    def _write(self, samples: np.ndarray, at: int | None, end: bool, timeout: float) -> int:
        """Hand samples to the device; how many it took."""

    @abstractmethod
    def poll(self, timeout: float = 0.0) -> str | None:
        """One event of the transmitter ("underflow", "late", "sequence"), counted; None where there is none."""

    @abstractmethod
    def stop(self) -> None:
        """End both directions; the transmitter goes silent."""

    @abstractmethod
    def stop_receiving(self) -> None:
        """End reception only."""

    @abstractmethod
    def close(self) -> None:
        """Stop, and give the device back."""

    @abstractmethod
    def now(self) -> int:
        """Hardware time [ns]; a steady clock where the device has none."""

    @abstractmethod
    def setting(self, name: str, value: str) -> None:
        """A setting of the driver's own."""

    @abstractmethod
    def _set_gain(self, side: str, gain: float, channel: int) -> float:
        """Overall gain [dB]; what the device made of it."""

    def sensors(self) -> dict[str, str]:
        """What the device's own sensors say; empty where it has none."""
        return {}

    def configure(self) -> dict[str, Any]:
        """Check the profile against the device, then set everything. Returns what the device says it is set to."""
        check_device(self.profile, self.describe())
        actual = self._apply()
        rate = actual.get("sample_rate", self.profile.sample_rate)
        if abs(rate - self.profile.sample_rate) > _TOLERANCE * self.profile.sample_rate:
            raise ProfileError(
                f"{self.profile.name}: radio.sample_rate: the device makes {rate:g} of it; "
                f"choose a rate that it can make; got {self.profile.sample_rate:g}"
            )
        self.rate = rate
        return actual

    def require_transmit(self) -> Side:
        """The transmitter's settings, or the reason why nothing may be sent."""
        if not self.transmit:
            raise TransmitRefused(
                f"{self.profile.name}: transmission was not allowed; connect a cable with attenuators (or make sure "
                "that you may use the band), then add --transmit"
            )
        check_transmission(self.profile)
        assert self.profile.tx is not None
        return self.profile.tx

    def send(self, samples: np.ndarray, at: int | None = None, end: bool = False, timeout: float = 1.0) -> int:
        """samples [N] in the transmitter's format to the device; all of them, unless it takes none for ``timeout`` [s].

        at: hardware time [ns] of the first one. end: the burst ends with them. Returns how many were taken.

        Where the driver needs it (``_tail``), zeros fill up its last buffer, and the end's mark goes with a single
        last sample: some drivers end the burst at a marked write even where they take it only in part.
        """
        fill = self._tail(len(samples)) if end else None
        if fill is None:
            done = self._send(samples, at, end, timeout)
        else:
            last = np.zeros((fill, *samples.shape[1:]), samples.dtype) if fill else samples[-1:]
            body = samples if fill else samples[:-1]
            done = self._send(body, at, False, timeout)
            if done == len(body):
                start = at if done == 0 else None
                gone = self._send(last[:-1], start, False, timeout) == len(last) - 1
                gone = gone and self._send(last[-1:], start if len(last) == 1 else None, True, timeout) == 1
                done = len(samples) if gone else min(done, len(samples) - 1)
        self.counts["sent"] += done
        return done

    def _tail(self, count: int) -> int | None:
        """Zeros that must follow ``count`` samples so that a driver of whole buffers sends all of them; None where the
        driver marks the end of a burst behind all of its samples, however it takes them."""
        return None

    def _send(self, samples: np.ndarray, at: int | None, end: bool, timeout: float) -> int:
        """All samples, patiently: a driver may answer "not yet" many times, and sooner than it was asked to."""
        done, until = 0, time.monotonic() + timeout
        while done < len(samples):
            took = self._write(samples[done:], at if done == 0 else None, end, timeout)
            if took > 0:
                done, until = done + took, time.monotonic() + timeout
            elif time.monotonic() >= until:
                break
            else:
                time.sleep(0.001)
        return done

    def set_gain(self, side: str, gain: float) -> float:
        """Overall gain [dB] of "tx" or "rx" while it runs, the transmitter's never above the profile's ceiling; what
        the device made of it."""
        settings = self.profile.tx if side == "tx" else self.profile.rx
        if settings is None:
            raise DeviceError(f"{self.profile.name}: the profile has no [{side}]")
        ceiling = self.profile.safety.max_gain
        if side == "tx" and gain > ceiling:
            raise TransmitRefused(
                f"{self.profile.name}: tx.gain: must be at most safety.max_gain = {ceiling:g} dB; got {gain:g}"
            )
        return self._set_gain(side, gain, settings.channel)

    def new_buffer(self, side: str, count: int) -> np.ndarray:
        """[count] complex64, or [count, 2] int16 where the profile's format is CS16."""
        settings = self.profile.tx if side == "tx" else self.profile.rx
        if settings is None:
            raise DeviceError(f"{self.profile.name}: the profile has no [{side}]")
        return np.zeros(count, np.complex64) if settings.format == "CF32" else np.zeros((count, 2), np.int16)

    @property
    def pending(self) -> bool:
        """An overflow was reported, and no sample has come since."""
        return self._told

    def tell_overflow(self) -> None:
        """The driver reported that samples were lost; the next ``receive`` that has samples carries the news."""
        self.counts["overflow"] += 1
        self._told = True

    def _account(self, count: int, time_ns: int | None) -> Received:
        """Metadata of a read; how many samples were lost before it follows from the device's time, where it has one."""
        lost, told = None, self._told
        if time_ns is not None and self._due is not None:
            gap = round((time_ns - self._due) * self.rate * 1e-9)
            lost = gap if gap > 1 else None
        if lost and not told:
            self.counts["overflow"] += 1
        self.counts["lost"] += lost or 0
        self._told = False
        self._due = None if time_ns is None else time_ns + round(count * 1e9 / self.rate)
        self.counts["received"] += count
        return Received(count, time_ns, told or bool(lost), lost)

    def __enter__(self) -> Radio:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        self.close()


def tuned(profile: Profile) -> float:
    """[Hz] what to ask a radio for whose reference is ``ppm`` fast, so that it is on the profile's frequency."""
    return profile.frequency / (1 + profile.ppm * 1e-6)


def check_device(profile: Profile, device: Description) -> None:
    """Refuse, naming the field, what the device itself says it cannot do."""

    def refuse(name: str, rule: str, got: Any) -> ProfileError:
        return ProfileError(f"{profile.name}: {name}: {rule} (so says the device, {device.hardware}); got {got!r}")

    for name, source, known in (
        ("radio.clock_source", profile.clock_source, device.clock_sources),
        ("radio.time_source", profile.time_source, device.time_sources),
    ):
        if source and source not in known:
            raise refuse(name, f"must be one of {', '.join(known) or '(none: leave it out)'}", source)
    for name, side, ranges in (("tx", profile.tx, device.tx), ("rx", profile.rx, device.rx)):
        if side is None:
            continue
        if side.channel >= ranges.channels:
            if ranges.channels == 0:
                raise refuse(name, "must be left out: it has no such direction", "a table")
            raise refuse(f"{name}.channel", f"must be below {ranges.channels}", side.channel)
        if side.antenna and ranges.antennas and side.antenna not in ranges.antennas:
            raise refuse(f"{name}.antenna", f"must be one of {', '.join(ranges.antennas)}", side.antenna)
        for field_name, value, spans in (
            ("radio.frequency", profile.frequency, ranges.frequency),
            ("radio.sample_rate", profile.sample_rate, ranges.sample_rate),
            (f"{name}.bandwidth", side.bandwidth or None, ranges.bandwidth),
            (f"{name}.gain", side.gain, () if ranges.gain is None else (ranges.gain,)),
        ):
            if value is not None and spans and not any(low - 1e-6 <= value <= high + 1e-6 for low, high in spans):
                shown = " or ".join(f"{low:g} to {high:g}" for low, high in spans)
                raise refuse(field_name, f"must lie in {shown}", value)
        for stage, value in side.gains.items():
            if stage not in ranges.gains:
                raise refuse(f"{name}.gains.{stage}", f"must be one of {', '.join(ranges.gains) or '(none)'}", stage)
            low, high = ranges.gains[stage]
            if not low <= value <= high:
                raise refuse(f"{name}.gains.{stage}", f"must lie in {low:g} to {high:g}", value)
        if side.agc and not ranges.agc:
            raise refuse(f"{name}.agc", "must be false: it has no automatic gain", True)
        if ranges.formats and side.format not in ranges.formats:
            raise refuse(f"{name}.format", f"must be one of {', '.join(ranges.formats)}", side.format)
    if profile.tx and profile.rx and profile.duplex == "full" and not device.full_duplex:
        raise refuse("duplex", "must be 'half'", profile.duplex)
