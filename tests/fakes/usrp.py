"""A USRP that is not there, for tests of `hardware.drivers.uhd_radio`; runs in the distribution's Python.

Each call is held against UHD's own signatures (the name, the number and kinds of its arguments), written down, and
answered as a B200 would. Streams use UHD's own metadata, times and commands.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import uhd

_KINDS = {"float": (int, float), "int": (int,), "bool": (bool,), "str": (str,), "complex": (complex,)}
_ANSWERS = {
    "get_mboard_name": "B200", "get_usrp_rx_info": {"rx_subdev_name": "FE-RX1", "mboard_serial": "31C9"},
    "get_rx_num_channels": 1, "get_tx_num_channels": 1, "get_rx_antennas": ["TX/RX", "RX2"],
    "get_tx_antennas": ["TX/RX"],
    "get_rx_gain_names": ["PGA"], "get_tx_gain_names": ["PGA"], "get_clock_sources": ["internal", "external"],
    "get_time_sources": ["none", "external"],
}  # fmt: skip
_RANGES = {"freq_range": (50e6, 6e9), "rates": (62.5e3, 61.44e6), "bandwidth_range": (200e3, 56e6),
           "gain_range": (0.0, 76.0)}  # fmt: skip
_SET = {"rate": 1e6, "freq": 433.92e6, "bandwidth": 56e6, "gain": 0.0, "antenna": "RX2"}


def takes(function: object, values: tuple) -> bool:
    """One of a UHD function's overloads takes these arguments, by its own signature."""
    for line in (function.__doc__ or "").splitlines():
        found = re.match(r"(?:\d+\. )?\w+\((.*)\) -> ", line)
        if not found or "*args" in line:
            continue
        wanted = [part for part in re.split(r", (?=\w+:)", found[1]) if not part.startswith("self")]
        needed = sum("=" not in part for part in wanted)
        kinds = [part.split(": ", 1)[1].split(" = ")[0].rsplit(".", 1)[-1] for part in wanted]
        if needed <= len(values) <= len(wanted) and all(
            isinstance(value, _KINDS.get(kind, object)) for value, kind in zip(values, kinds, strict=False)
        ):
            return True
    return False


class Usrp:
    """What MultiUSRP is to the program. calls: [(name, arguments)] of everything that sets something."""

    def __init__(self, losses: tuple[int, ...] = ()):
        self.calls: list[tuple] = []
        self.values = dict(_SET)
        self.rx, self.tx = Rx(losses), Tx()

    def __getattr__(self, name: str):
        real = getattr(uhd.usrp.MultiUSRP, name)  # AttributeError where UHD has no such function

        def call(*values):
            if not takes(real, values):
                raise TypeError(f"{name}{values}: UHD takes {real.__doc__}")
            if name.startswith("set_"):
                self.calls.append((name, *values))
                what = re.sub(r"^set_(rx_|tx_)?", "", name)
                if what in ("rate", "bandwidth", "gain", "antenna"):
                    self.values[what] = values[0]
                return None
            if name in ("get_rx_stream", "get_tx_stream"):
                self.calls.append((name, values[0].cpu_format, values[0].otw_format, list(values[0].channels)))
                return self.rx if name == "get_rx_stream" else self.tx
            if name == "get_time_now":
                return uhd.types.TimeSpec.from_ticks(7_000_000, 1e9)
            if name in _ANSWERS:
                return _ANSWERS[name]
            what = re.sub(r"^get_(rx|tx)_", "", name)
            if what in _RANGES:
                low, high = _RANGES[what]
                return uhd.types.MetaRange(low, high, 0.0)
            return self.values[what]

        return call


class Rx:
    """A receive stream of a ramp at 1 Msps from hardware time 1 s on, 363 samples a packet; losses: indices of the
    packets before which one was lost."""

    packet = 363

    def __init__(self, losses: tuple[int, ...]):
        self.losses, self.at, self.count, self.commands = set(losses), 0, 0, []

    def issue_stream_cmd(self, command) -> None:
        assert takes(uhd.usrp.RXStreamer.issue_stream_cmd, (command,))
        self.commands.append(command)

    def recv(self, out: np.ndarray, metadata: SimpleNamespace, timeout: float) -> int:
        assert out.ndim == 2 and len(out) == 1 and out.dtype.itemsize == 4, "one channel of sc16"
        codes = uhd.types.RXMetadataErrorCode
        metadata.has_time_spec = True
        metadata.time_spec = uhd.types.TimeSpec.from_ticks(1_000_000_000 + 1000 * self.at, 1e9)
        if self.count in self.losses:
            self.losses.remove(self.count)
            self.at += self.packet
            metadata.error_code = codes.overflow
            return 0
        metadata.error_code = codes.none
        count = min(self.packet, out.shape[1])
        out[0, :count] = np.arange(self.at, self.at + count)
        self.at += count
        self.count += 1
        return count


class Tx:
    """A transmit stream that takes 1000 samples at once. sent: [(samples, time [ns] or None, start, end)]."""

    def __init__(self) -> None:
        self.sent: list[tuple] = []
        self.events: list = []

    def send(self, samples: np.ndarray, metadata, timeout: float) -> int:
        assert isinstance(metadata, uhd.types.TXMetadata) and samples.ndim == 2 and len(samples) == 1
        took = min(1000, samples.shape[1])
        when = metadata.time_spec.to_ticks(1e9) if metadata.has_time_spec else None
        end = metadata.end_of_burst and took == samples.shape[1]
        self.sent.append((samples[0, :took].copy(), when, metadata.start_of_burst, end))
        return took

    def recv_async_msg(self, event: SimpleNamespace, timeout: float) -> bool:
        if not self.events:
            return False
        event.event_code = self.events.pop(0)
        return True
