"""Radios that SoapySDR drives: ADALM-Pluto, LimeSDR, bladeRF, HackRF, RTL-SDR, and the virtual one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from hardware.drivers.radio import Description, Radio, Received, SideRanges, tuned
from hardware.errors import DeviceError
from hardware.profiles.profile import Profile, Side, Span

try:
    import SoapySDR as soapy
except ImportError as missing:  # the message is for whoever asks for a radio, not for whoever imports this
    soapy = None
    _MISSING: ImportError | None = missing
else:
    _MISSING = None

_OURS = ("CF32", "CS16")
# Their received CS16 is 12 bits of full scale 2048 (LimeSuite: in some versions), which would tell levels wrong by
# 24 dB; the Python interface of SoapySDR 0.8 cannot ask a driver for its full scale.
_TWELVE_BITS = ("plutosdr", "bladerf", "lime")
_MAX_WRITE = 1 << 16  # [samples] handed over at once
_LARGEST_BUFFER = 1 << 20  # [samples] that a driver may say its buffers have; HackRF's have 131,072


def _require() -> None:
    if soapy is None:
        raise DeviceError(f"SoapySDR cannot be imported ({_MISSING}); run: sudo apt-get install python3-soapysdr")
    soapy.setLogLevel(soapy.SOAPY_SDR_WARNING)


def find(arguments: dict[str, str] | None = None) -> list[dict[str, str]]:
    """Devices that SoapySDR sees, each as its driver's arguments."""
    _require()
    with _clear("looking for devices"):
        return [dict(one) for one in soapy.Device.enumerate(arguments or {})]


class _clear(contextlib.ContextDecorator):
    """What the driver raises, as a DeviceError of one line that says what was being done."""

    def __init__(self, what: str):
        self.what = what

    def __enter__(self) -> _clear:
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        if isinstance(value, RuntimeError | ValueError | OSError) and not isinstance(value, DeviceError):
            raise DeviceError(f"{self.what}: {' '.join(str(value).split())}") from value


class SoapyRadio(Radio):
    """See ``hardware.drivers.radio.Radio``."""

    def __init__(self, profile: Profile, transmit: bool):
        _require()
        super().__init__(profile, transmit)
        self._streams: dict[str, Any] = {}
        self._device: Any = None
        self._buffer = 1  # [samples] of the transmitter's buffers
        self._written = 0  # since it was started
        wanted = dict(profile.device)
        with _clear(
            f"{profile.name}: no device answers to {_shown(wanted)} (is it plugged in, and its driver "
            f"{profile.package or 'installed'}?)"
        ):
            self._device = soapy.Device(wanted)

    def describe(self) -> Description:
        device = self._device
        with _clear(f"{self.profile.name}: asking for ranges"):
            info = dict(device.getHardwareInfo())
            sides = {name: self._ranges(name) for name in ("tx", "rx")}
            rx_channels = device.getNumChannels(soapy.SOAPY_SDR_RX)
            full = bool(rx_channels and device.getFullDuplex(soapy.SOAPY_SDR_RX, 0))
            return Description(
                driver=device.getDriverKey(),
                hardware=device.getHardwareKey(),
                serial=str(info.get("serial", self.profile.device.get("serial", ""))),
                tx=sides["tx"],
                rx=sides["rx"],
                full_duplex=full,
                clock_sources=tuple(device.listClockSources()),
                time_sources=tuple(device.listTimeSources()),
                has_time=bool(device.hasHardwareTime()),
            )

    def _ranges(self, name: str) -> SideRanges:
        device, way = self._device, _way(name)
        channels = device.getNumChannels(way)
        if channels == 0:
            return SideRanges()
        settings = self.profile.tx if name == "tx" else self.profile.rx
        at = min(settings.channel if settings else 0, channels - 1)
        overall = device.getGainRange(way, at)
        return SideRanges(
            channels=channels,
            antennas=tuple(device.listAntennas(way, at)),
            frequency=_spans(device.getFrequencyRange(way, at)),
            sample_rate=_spans(device.getSampleRateRange(way, at)),
            bandwidth=_spans(device.getBandwidthRange(way, at)),
            gain=(overall.minimum(), overall.maximum()),
            gains={
                stage: (device.getGainRange(way, at, stage).minimum(), device.getGainRange(way, at, stage).maximum())
                for stage in device.listGains(way, at)
            },
            formats=tuple(form for form in self._formats(name) if form in device.getStreamFormats(way, at)) or _OURS,
            agc=bool(device.hasGainMode(way, at)),
        )

    def _formats(self, name: str) -> tuple[str, ...]:
        """What we read of what the driver gives."""
        return ("CF32",) if name == "rx" and self.profile.device.get("driver") in _TWELVE_BITS else _OURS

    def _apply(self) -> dict[str, Any]:
        profile, device = self.profile, self._device
        actual: dict[str, Any] = {}
        with _clear(f"{profile.name}: radio"):
            if profile.clock_rate:
                device.setMasterClockRate(profile.clock_rate)
            if profile.clock_source:
                device.setClockSource(profile.clock_source)
            if profile.time_source:
                device.setTimeSource(profile.time_source)
        for name, side in (("rx", profile.rx), ("tx", profile.tx)):
            if side is not None:
                actual[name] = self._apply_side(name, side)
                actual["sample_rate"] = actual[name]["sample_rate"]
        return actual

    def _apply_side(self, name: str, side: Side) -> dict[str, Any]:
        profile, device, way, at = self.profile, self._device, _way(name), side.channel

        def put(field: str, call: Any, *values: Any) -> None:
            with _clear(f"{profile.name}: {field}: the device refuses {values[-1]!r}"):
                call(way, at, *values)

        put("radio.sample_rate", device.setSampleRate, profile.sample_rate)
        if side.antenna:
            put(f"{name}.antenna", device.setAntenna, side.antenna)
        if side.bandwidth:
            put(f"{name}.bandwidth", device.setBandwidth, side.bandwidth)
        arguments = {"OFFSET": f"{side.lo_offset:.12g}"} if side.lo_offset else {}
        with _clear(f"{profile.name}: radio.frequency: the device refuses {profile.frequency:g}"):
            device.setFrequency(way, at, tuned(profile), arguments)
        if device.hasGainMode(way, at):
            put(f"{name}.agc", device.setGainMode, side.agc)
        if side.gain is not None:
            put(f"{name}.gain", device.setGain, side.gain)
        for stage, value in side.gains.items():
            put(f"{name}.gains.{stage}", device.setGain, stage, value)
        if device.hasDCOffsetMode(way, at):
            put(f"{name}.dc_correction", device.setDCOffsetMode, side.dc_correction)
        if device.hasIQBalanceMode(way, at):
            put(f"{name}.iq_correction", device.setIQBalanceMode, side.iq_correction)
        for key, text in side.settings.items():
            put(f"{name}.settings.{key}", device.writeSetting, key, text)
        return {
            "frequency": device.getFrequency(way, at),
            "sample_rate": device.getSampleRate(way, at),
            "bandwidth": device.getBandwidth(way, at),
            "gain": device.getGain(way, at),
            "antenna": device.getAntenna(way, at),
        }

    def start(self, directions: Sequence[str], at: int | None = None) -> None:
        device = self._device
        for name in directions:
            side = self.require_transmit() if name == "tx" else self.profile.rx
            if side is None:
                raise DeviceError(f"{self.profile.name}: the profile has no [{name}]")
            with _clear(f"{self.profile.name}: {name} stream"):
                stream = device.setupStream(_way(name), side.format, [side.channel], dict(side.stream))
                self._streams[name] = stream
                flags = soapy.SOAPY_SDR_HAS_TIME if at is not None and name == "rx" else 0
                code = device.activateStream(stream, flags, at or 0)
                if name == "tx":
                    self._buffer, self._written = int(device.getStreamMTU(stream)), 0
            if code:
                raise DeviceError(f"{self.profile.name}: {name} stream: {soapy.errToStr(code)}")
        self._due = None

    def receive(self, out: np.ndarray, timeout: float = 0.1) -> Received:
        got = self._device.readStream(self._streams["rx"], [out], len(out), timeoutUs=int(timeout * 1e6))
        timed = bool(got.flags & soapy.SOAPY_SDR_HAS_TIME)
        if got.ret > 0:
            return self._account(got.ret, got.timeNs if timed else None)
        if got.ret == soapy.SOAPY_SDR_OVERFLOW:
            self.tell_overflow()
            return Received(0, None)
        if got.ret not in (soapy.SOAPY_SDR_TIMEOUT, 0):
            raise DeviceError(
                f"{self.profile.name}: reception broke off ({soapy.errToStr(got.ret)}); is it plugged in?"
            )
        self.counts["timeout"] += 1
        return Received(0, None)

    def _tail(self, count: int) -> int | None:
        return -(self._written + count) % self._buffer if 1 < self._buffer <= _LARGEST_BUFFER else 0

    def _write(self, samples: np.ndarray, at: int | None, end: bool, timeout: float) -> int:
        last = len(samples) <= _MAX_WRITE
        piece = samples[:_MAX_WRITE]
        flags = (soapy.SOAPY_SDR_END_BURST if end and last else 0) | (0 if at is None else soapy.SOAPY_SDR_HAS_TIME)
        got = self._device.writeStream(self._streams["tx"], [piece], len(piece), flags, at or 0, int(timeout * 1e6))
        if got.ret >= 0:
            self._written += got.ret
            return got.ret
        if got.ret == soapy.SOAPY_SDR_TIMEOUT:
            self.counts["timeout"] += 1
            return 0
        if got.ret == soapy.SOAPY_SDR_UNDERFLOW:
            self.counts["underflow"] += 1
            return self._write(samples, at, end, timeout)
        raise DeviceError(f"{self.profile.name}: transmission broke off ({soapy.errToStr(got.ret)}); is it plugged in?")

    def poll(self, timeout: float = 0.0) -> str | None:
        if "tx" not in self._streams:
            return None
        got = self._device.readStreamStatus(self._streams["tx"], timeoutUs=int(timeout * 1e6))
        names = {soapy.SOAPY_SDR_UNDERFLOW: "underflow", soapy.SOAPY_SDR_TIME_ERROR: "late",
                 soapy.SOAPY_SDR_OVERFLOW: "overflow", soapy.SOAPY_SDR_CORRUPTION: "sequence"}  # fmt: skip
        name = names.get(got.ret)
        if name:
            self.counts[name] += 1
        return name

    def now(self) -> int:
        return int(self._device.getHardwareTime()) if self._device.hasHardwareTime() else time.monotonic_ns()

    def setting(self, name: str, value: str) -> None:
        with _clear(f"{self.profile.name}: setting {name}: the device refuses {value!r}"):
            self._device.writeSetting(name, value)

    def read_setting(self, name: str) -> str:
        """What the driver says about a setting of its own."""
        with _clear(f"{self.profile.name}: setting {name}"):
            return str(self._device.readSetting(name))

    def sensors(self) -> dict[str, str]:
        with _clear(f"{self.profile.name}: sensors"):
            return {name: str(self._device.readSensor(name)) for name in self._device.listSensors()}

    def _set_gain(self, side: str, gain: float, channel: int) -> float:
        with _clear(f"{self.profile.name}: {side}.gain: the device refuses {gain:g}"):
            self._device.setGain(_way(side), channel, gain)
            return float(self._device.getGain(_way(side), channel))

    def stop(self) -> None:
        self._end("tx")
        self._end("rx")

    def stop_receiving(self) -> None:
        self._end("rx")

    def _end(self, name: str) -> None:
        if name in self._streams:
            stream = self._streams.pop(name)
            self._device.deactivateStream(stream)
            self._device.closeStream(stream)

    def close(self) -> None:
        if self._device is None:
            return
        try:
            self.stop()
        finally:
            self._device = None


def _way(name: str) -> int:
    return soapy.SOAPY_SDR_TX if name == "tx" else soapy.SOAPY_SDR_RX


def _spans(ranges: Any) -> tuple[Span, ...]:
    return tuple((one.minimum(), one.maximum()) for one in ranges)


def _shown(arguments: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in arguments.items()) or "no arguments"
