"""What our blocks are measured with in GNU Radio: frames as the Frame Encoder sends them, and GNU Radio's channel."""

from __future__ import annotations

import numpy as np
from gnuradio import blocks as grb
from gnuradio import channels, gr

from benchmarks.signals import Bursts
from flowgraphs.parts.channel import epsilon, frequency_offset, taps
from phy.frame.frame import split
from phy.frame.framing import Framing
from phy.modem.waveform import BurstWaveform

OFFSETS = "carrier 0.1 rad/sample, 50 ppm, delay 0.37"  # of a channel with offsets


def ours(codec: str, frames: int, size: int) -> Bursts:
    """That many frames of ``size`` bytes as one burst [1, N], their head in front, and the payloads [frames, size]."""
    body = np.random.default_rng(1).integers(0, 256, frames * size, dtype=np.uint8).tobytes()
    image = Framing(codec, size, head_repeats=1).image(b"bench", body, 1, bytes(8))
    return Bursts(BurstWaveform().send(image.groups).iq[None], split(body, size))


def impaired(signal: Bursts, snr_db: float, *, offsets: bool = False, tail: int = 0) -> np.ndarray:
    """The signal back to back and ``tail`` samples of silence through GNU Radio's channel model, [N] complex64.

    The noise has the same seed for every signal. offsets: as OFFSETS says; otherwise the channel adds nothing else.
    """
    x = np.concatenate([signal.bursts.reshape(-1), np.zeros(tail, np.complex64)])
    cfo, ppm, path = (0.1, 50.0, np.array(taps(0.37))) if offsets else (0.0, 0.0, np.ones(1))
    path = path / abs(path.sum())  # the signal, which fills less than the filter's band, keeps its power
    voltage = float(np.sqrt(signal.variance(snr_db)))
    model = channels.channel_model(voltage, frequency_offset(cfo), epsilon(ppm), path.tolist(), 5)
    sink = grb.vector_sink_c()
    top = gr.top_block()
    top.connect(grb.vector_source_c(x.tolist()), model, sink)
    top.run()
    return np.array(sink.data(), np.complex64)
