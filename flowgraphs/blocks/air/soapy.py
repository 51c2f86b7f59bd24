"""GNU Radio's own SoapySDR sink and source, set up for our bursts: any radio by its device arguments."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pmt
from gnuradio import gr, soapy

_SILENCE = 4096  # samples of silence at a time
_VIRTUAL = Path(__file__).parents[3] / "hardware" / "soapy_zmq" / "build"


class fill_silence(gr.basic_block):
    """Tagged bursts to a stream without an end: zeros between bursts, never within one.

    complex64 in and out. length_tag: on the first sample of each burst, its samples.
    """

    def __init__(self, length_tag: str = "packet_len"):
        gr.basic_block.__init__(self, name="privsc fill silence", in_sig=[np.complex64], out_sig=[np.complex64])
        self.set_tag_propagation_policy(gr.TPP_DONT)
        self._key = pmt.intern(length_tag)
        self._left = 0  # samples of the present burst that are still to come

    def forecast(self, noutput_items, ninputs):
        return [1 if self._left else 0] * ninputs

    def general_work(self, input_items, output_items):
        samples, out = input_items[0], output_items[0]
        if self._left == 0 and len(samples):
            tags = self.get_tags_in_window(0, 0, len(samples), self._key)
            starts = sorted((tag.offset - self.nitems_read(0), pmt.to_long(tag.value)) for tag in tags)
            if starts and starts[0][0] == 0:
                self._left = max(0, starts[0][1])
            else:  # belongs to no burst
                self.consume(0, starts[0][0] if starts else len(samples))
                return 0
        if self._left == 0:
            count = min(len(out), _SILENCE)
            out[:count] = 0
            return count
        count = min(len(samples), len(out), self._left)
        out[:count] = samples[:count]
        self._left -= count
        self.consume(0, count)
        return count


class soapy_sink(gr.hier_block2):
    """Tagged bursts ──fill_silence──► GNU Radio's SoapySDR sink ──► radio.

    The radio gets a stream without an end. The sink's own burst mode is not used: in GNU Radio 3.10.5 it begins with a
    counter that nobody has set and throws the first burst away, and drivers such as HackRF's stall between bursts. The
    sink does not look at ``tx_time``.

    device: SoapySDR's arguments, "driver=...,KEY=VALUE". rate: [samples/s]. frequency, bandwidth: [Hz], 0: the
    driver's. gain: overall [dB]. antenna: empty: the driver's. RuntimeError and ValueError in the driver's words.
    """

    def __init__(
        self,
        device: str,
        rate: float,
        frequency: float,
        gain: float,
        antenna: str = "",
        bandwidth: float = 0.0,
        length_tag: str = "packet_len",
    ):
        gr.hier_block2.__init__(
            self, "privsc soapy sink", gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(0, 0, 0)
        )
        self.sink = soapy.sink(_arguments(device), "fc32", 1, "", "", [""], [""])
        self.sink.set_sample_rate(0, rate)
        _tune(self.sink, frequency, gain, antenna, bandwidth)
        self.fill = fill_silence(length_tag)
        self.connect(self, self.fill, self.sink)

    def set_gain(self, channel: int, gain: float) -> None:
        self.sink.set_gain(channel, gain)

    def set_frequency(self, channel: int, frequency: float) -> None:
        self.sink.set_frequency(channel, frequency)


def soapy_source(
    device: str,
    rate: float,
    frequency: float,
    gain: float,
    antenna: str = "",
    bandwidth: float = 0.0,
    agc: bool = False,
):
    """Complex float samples from a radio; arguments as for the sink. agc: automatic gain instead of ``gain``."""
    made = soapy.source(_arguments(device), "fc32", 1, "", "", [""], [""])
    made.set_sample_rate(0, rate)
    if made.has_gain_mode(0):
        made.set_gain_mode(0, agc)
    _tune(made, frequency, gain, antenna, bandwidth, not agc)
    return made


def _arguments(device: str) -> str:
    """The virtual radio is found where `make driver` leaves it."""
    known = os.environ.get("SOAPY_SDR_PLUGIN_PATH", "")
    if "driver=zmq" in device.replace(" ", "") and _VIRTUAL.is_dir() and str(_VIRTUAL) not in known:
        os.environ["SOAPY_SDR_PLUGIN_PATH"] = os.pathsep.join(filter(None, [str(_VIRTUAL), known]))
    return device


def _tune(block, frequency: float, gain: float, antenna: str, bandwidth: float, manual: bool = True) -> None:
    if antenna:
        block.set_antenna(0, antenna)
    if bandwidth:
        block.set_bandwidth(0, bandwidth)
    block.set_frequency(0, frequency)
    if manual:
        block.set_gain(0, gain)
