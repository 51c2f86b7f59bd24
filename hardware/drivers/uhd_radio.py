"""USRPs through UHD's own Python interface (the distribution's python3-uhd, GPL-3.0-or-later)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hardware.drivers.radio import Description, Radio, Received, SideRanges, tuned
from hardware.drivers.soapy_radio import _clear
from hardware.errors import DeviceError
from hardware.profiles.profile import Profile, Side, Span

try:
    import uhd
except ImportError as missing:  # the message is for whoever asks for a USRP, not for whoever imports this
    uhd = None
    _MISSING: ImportError | None = missing
else:
    _MISSING = None

_CPU_FORMATS = {"CF32": "fc32", "CS16": "sc16"}
_TICKS = 1e9  # [1/s]: times are nanoseconds


def _require() -> None:
    if uhd is None:
        raise DeviceError(f"UHD cannot be imported ({_MISSING}); run: sudo apt-get install python3-uhd")


def find(arguments: dict[str, str] | None = None) -> list[dict[str, str]]:
    """USRPs that UHD sees, each as its device arguments."""
    _require()
    with _clear("looking for USRPs"):
        return [dict(one.to_dict()) for one in uhd.find(_arguments(arguments or {}))]


class UhdRadio(Radio):
    """See ``hardware.drivers.radio.Radio``. Works on anything with the interface of ``uhd.usrp.MultiUSRP``."""

    def __init__(self, profile: Profile, transmit: bool, usrp: Any = None):
        _require()
        super().__init__(profile, transmit)
        self._usrp, self._rx, self._tx = usrp, None, None  # type: Any, Any, Any
        self._first_write = True
        if usrp is None:
            wanted = _arguments(profile.device)
            with _clear(
                f"{profile.name}: no USRP answers to {wanted or 'no arguments'} (is it plugged in and powered? "
                "uhd_usrp_probe says more)"
            ):
                self._usrp = uhd.usrp.MultiUSRP(wanted)
        self._rx_metadata, self._tx_metadata = uhd.types.RXMetadata(), uhd.types.TXMetadata()
        self._event = uhd.types.TXAsyncMetadata()
        codes = uhd.types.TXMetadataEventCode
        self._events = {codes.underflow: "underflow", codes.underflow_in_packet: "underflow", codes.time_error: "late",
                        codes.seq_error: "sequence", codes.seq_error_in_packet: "sequence"}  # fmt: skip

    def describe(self) -> Description:
        usrp = self._usrp
        with _clear(f"{self.profile.name}: asking for ranges"):
            info = dict(usrp.get_usrp_rx_info(self.profile.rx.channel if self.profile.rx else 0))
            return Description(
                driver="uhd",
                hardware=f"{usrp.get_mboard_name(0)} {info.get('rx_subdev_name', '')}".strip(),
                serial=info.get("mboard_serial", ""),
                tx=self._ranges("tx"),
                rx=self._ranges("rx"),
                full_duplex=True,
                clock_sources=tuple(usrp.get_clock_sources(0)),
                time_sources=tuple(usrp.get_time_sources(0)),
                has_time=True,
            )

    def _ranges(self, name: str) -> SideRanges:
        call = self._call
        channels = getattr(self._usrp, f"get_{name}_num_channels")()
        settings = self.profile.tx if name == "tx" else self.profile.rx
        at = min(settings.channel if settings else 0, channels - 1)
        if channels == 0:
            return SideRanges()
        return SideRanges(
            channels=channels,
            antennas=tuple(call("get", name, "antennas", at)),
            frequency=(_span(call("get", name, "freq_range", at)),),
            sample_rate=(_span(call("get", name, "rates", at)),),
            bandwidth=(_span(call("get", name, "bandwidth_range", at)),),
            gain=_span(call("get", name, "gain_range", at)),
            gains={
                stage: _span(call("get", name, "gain_range", stage, at))
                for stage in call("get", name, "gain_names", at)
            },
            formats=tuple(_CPU_FORMATS),
            agc=name == "rx" and str(self._usrp.get_mboard_name(0)).startswith(("B2", "E3")),
        )

    def _call(self, verb: str, side: str, what: str, *values: Any) -> Any:
        return getattr(self._usrp, f"{verb}_{side}_{what}")(*values)

    def _apply(self) -> dict[str, Any]:
        profile, usrp = self.profile, self._usrp
        with _clear(f"{profile.name}: radio"):
            if profile.clock_rate:
                usrp.set_master_clock_rate(profile.clock_rate)
            if profile.clock_source:
                usrp.set_clock_source(profile.clock_source)
            if profile.time_source:
                usrp.set_time_source(profile.time_source)
        actual: dict[str, Any] = {}
        for name, side in (("rx", profile.rx), ("tx", profile.tx)):
            if side is not None:
                actual[name] = self._apply_side(name, side)
                actual["sample_rate"] = actual[name]["sample_rate"]
        return actual

    def _apply_side(self, name: str, side: Side) -> dict[str, Any]:
        profile, at = self.profile, side.channel

        def put(field: str, what: str, *values: Any) -> None:
            with _clear(f"{profile.name}: {field}: the device refuses {values[0]!r}"):
                self._call("set", name, what, *values, at)

        put("radio.sample_rate", "rate", profile.sample_rate)
        if side.antenna:
            put(f"{name}.antenna", "antenna", side.antenna)
        if side.bandwidth:
            put(f"{name}.bandwidth", "bandwidth", side.bandwidth)
        frequency = tuned(profile)
        offset = (frequency, side.lo_offset) if side.lo_offset else (frequency,)
        with _clear(f"{profile.name}: radio.frequency: the device refuses {profile.frequency:g}"):
            self._call("set", name, "freq", uhd.types.TuneRequest(*offset), at)
        if name == "rx" and side.agc:
            put("rx.agc", "agc", True)
        if side.gain is not None:
            put(f"{name}.gain", "gain", side.gain)
        for stage, value in side.gains.items():
            put(f"{name}.gains.{stage}", "gain", value, stage)
        if name == "rx":  # a USRP corrects its receiver by itself; its transmitter by uhd_cal_*'s tables
            put("rx.dc_correction", "dc_offset", side.dc_correction)
            put("rx.iq_correction", "iq_balance", side.iq_correction)
        for key in side.settings:
            raise DeviceError(
                f"{profile.name}: {name}.settings.{key}: UHD has no settings; use device or stream arguments"
            )
        return {
            "frequency": self._call("get", name, "freq", at),
            "sample_rate": self._call("get", name, "rate", at),
            "bandwidth": self._call("get", name, "bandwidth", at),
            "gain": self._call("get", name, "gain", at),
            "antenna": self._call("get", name, "antenna", at),
        }

    def _stream_arguments(self, side: Side) -> Any:
        arguments = uhd.usrp.StreamArgs(_CPU_FORMATS[side.format], "sc16")
        arguments.channels = [side.channel]
        arguments.args = _arguments(side.stream)
        return arguments

    def start(self, directions: Sequence[str], at: int | None = None) -> None:
        profile = self.profile
        if "tx" in directions:
            side = self.require_transmit()
            with _clear(f"{profile.name}: tx stream"):
                self._tx, self._first_write = self._usrp.get_tx_stream(self._stream_arguments(side)), True
        if "rx" in directions:
            if profile.rx is None:
                raise DeviceError(f"{profile.name}: the profile has no [rx]")
            with _clear(f"{profile.name}: rx stream"):
                self._rx = self._usrp.get_rx_stream(self._stream_arguments(profile.rx))
                command = uhd.types.StreamCMD(uhd.types.StreamMode.start_cont)
                command.stream_now = at is None
                if at is not None:
                    command.time_spec = uhd.types.TimeSpec.from_ticks(at, _TICKS)
                self._rx.issue_stream_cmd(command)
        self._due = None

    def receive(self, out: np.ndarray, timeout: float = 0.1) -> Received:
        count = self._rx.recv(_one_channel(out), self._rx_metadata, timeout)
        metadata, codes = self._rx_metadata, uhd.types.RXMetadataErrorCode
        time_ns = metadata.time_spec.to_ticks(_TICKS) if metadata.has_time_spec else None
        if metadata.error_code == codes.none:
            return self._account(count, time_ns)
        if metadata.error_code == codes.overflow:
            self.tell_overflow()
            if count:
                return self._account(count, time_ns)
            return Received(0, None)
        if metadata.error_code == codes.timeout:
            self.counts["timeout"] += 1
            return Received(0, None)
        if metadata.error_code == codes.late:
            self.counts["late"] += 1
            return Received(0, None)
        raise DeviceError(f"{self.profile.name}: reception broke off ({metadata.strerror()}); is it plugged in?")

    def _write(self, samples: np.ndarray, at: int | None, end: bool, timeout: float) -> int:
        metadata = self._tx_metadata
        metadata.start_of_burst = self._first_write
        metadata.has_time_spec = at is not None
        if at is not None:
            metadata.time_spec = uhd.types.TimeSpec.from_ticks(at, _TICKS)
        metadata.end_of_burst = end
        took = self._tx.send(_one_channel(samples), metadata, timeout)
        self._first_write = end and took == len(samples)
        if took == 0:
            self.counts["timeout"] += 1
        return took

    def poll(self, timeout: float = 0.0) -> str | None:
        if self._tx is None or not self._tx.recv_async_msg(self._event, timeout):
            return None
        name = self._events.get(self._event.event_code)
        if name:
            self.counts[name] += 1
        return name

    def now(self) -> int:
        return int(self._usrp.get_time_now().to_ticks(_TICKS))

    def setting(self, name: str, value: str) -> None:
        raise DeviceError(f"{self.profile.name}: setting {name}: UHD has none of that name; got {value!r}")

    def _set_gain(self, side: str, gain: float, channel: int) -> float:
        with _clear(f"{self.profile.name}: {side}.gain: the device refuses {gain:g}"):
            self._call("set", side, "gain", gain, channel)
            return float(self._call("get", side, "gain", channel))

    def stop_receiving(self) -> None:
        if self._rx is not None:
            self._rx.issue_stream_cmd(uhd.types.StreamCMD(uhd.types.StreamMode.stop_cont))
            self._rx = None

    def stop(self) -> None:
        self.stop_receiving()
        if self._tx is not None and not self._first_write:  # a burst is open: silence ends it
            metadata = self._tx_metadata
            metadata.start_of_burst, metadata.end_of_burst, metadata.has_time_spec = False, True, False
            self._tx.send(_one_channel(self.new_buffer("tx", 1)), self._tx_metadata, 0.1)
        self._tx = None

    def close(self) -> None:
        if self._usrp is None:
            return
        try:
            self.stop()
        finally:
            self._usrp = None


def _one_channel(samples: np.ndarray) -> np.ndarray:
    """[N] complex64, or [N, 2] int16, as UHD takes one channel: [1, N] of 8 or 4 bytes each."""
    if samples.dtype == np.int16:
        return np.ascontiguousarray(samples).view(np.int32).reshape(1, -1)
    return samples.reshape(1, -1)


def _span(meta: Any) -> Span:
    return float(meta.start()), float(meta.stop())


def _arguments(values: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())
