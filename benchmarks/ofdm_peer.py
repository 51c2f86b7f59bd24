"""GNU Radio's own packet modem, ofdm_tx and ofdm_rx with their defaults and a QPSK payload, in memory."""

from __future__ import annotations

import numpy as np

from benchmarks.signals import OFDM, Bursts
from benchmarks.table import Spent, timed

TAIL = 1000  # samples of silence after the last packet: without them ofdm_rx does not give it out
_MODEM = {"packet_length_tag_key": "length", "bps_header": 1, "bps_payload": 2}


def available() -> bool:
    try:
        from gnuradio import digital  # noqa: F401
    except ImportError:
        return False
    return True


def packets(count: int, size: int, rng: np.random.Generator) -> Bursts:
    """That many packets of ``size`` random bytes."""
    from gnuradio import blocks, digital, gr

    payloads = rng.integers(0, 256, (count, size), dtype=np.uint8)
    sink = blocks.vector_sink_c()
    top = gr.top_block()
    top.connect(
        blocks.vector_source_b(payloads.reshape(-1).tolist()),
        blocks.stream_to_tagged_stream(1, 1, size, "length"),
        digital.ofdm_tx(**_MODEM),
        sink,
    )
    top.run()
    return Bursts(np.array(sink.data(), np.complex64).reshape(count, -1), payloads, OFDM)


def receiver():
    """ofdm_rx; its CRC-32 lets only whole packets through."""
    from gnuradio import digital

    return digital.ofdm_rx(**_MODEM)


def receive(samples: np.ndarray) -> tuple[list[bytes], Spent]:
    """(packets whose CRC-32 holds, what that took from the first to the last sample) of samples [N] complex64."""
    import pmt
    from gnuradio import blocks, gr

    sink = blocks.vector_sink_b()
    top = gr.top_block()
    top.connect(blocks.vector_source_c(samples.tolist()), receiver(), sink)
    _, spent = timed(top.run)
    got = bytes(sink.data())
    starts = sorted(tag.offset for tag in sink.tags() if pmt.symbol_to_string(tag.key) == "length")
    ends = [*starts[1:], len(got)][: len(starts)]
    return [got[a:b] for a, b in zip(starts, ends, strict=True)], spent
