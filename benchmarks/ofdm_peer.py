"""GNU Radio's own packet modem, ofdm_tx and ofdm_rx, QPSK payload of 96 bytes, in memory."""

from __future__ import annotations

import time

import numpy as np

PAYLOAD = 96
GAP = 400  # samples of silence between packets


def available() -> bool:
    try:
        from gnuradio import digital  # noqa: F401
    except ImportError:
        return False
    return True


def packets(count: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """(samples [N] complex64 of mean power 1 in the packets, samples of a packet with its gap)."""
    from gnuradio import blocks, digital, gr

    graph = gr.top_block()
    data = rng.integers(0, 256, count * PAYLOAD, dtype=np.uint8).tolist()
    source = blocks.vector_source_b(data, False, 1, _length_tags(count))
    sink = blocks.vector_sink_c()
    transmitter = digital.ofdm_tx(packet_length_tag_key="length", bps_payload=2, rolloff=0)
    graph.connect(source, transmitter, sink)
    graph.run()
    samples = np.array(sink.data(), np.complex64).reshape(count, -1)
    samples /= np.sqrt(np.mean(np.abs(samples) ** 2))
    padded = np.concatenate([samples, np.zeros((count, GAP), np.complex64)], axis=1)
    return padded.reshape(-1), padded.shape[1]


def _length_tags(count: int) -> list:
    import pmt
    from gnuradio import gr

    tags = []
    for i in range(count):
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = i * PAYLOAD, pmt.intern("length"), pmt.from_long(PAYLOAD)
        tags.append(tag)
    return tags


def receive(samples: np.ndarray) -> tuple[int, float, float]:
    """(packets whose CRC-32 holds, wall seconds, processor seconds) of ofdm_rx over samples [N] complex64."""
    from gnuradio import blocks, digital, gr

    graph = gr.top_block()
    source = blocks.vector_source_c(samples.tolist(), False)
    receiver = digital.ofdm_rx(packet_length_tag_key="length", bps_payload=2)
    sink = blocks.vector_sink_b()
    graph.connect(source, receiver, sink)
    wall, processor = time.perf_counter(), time.process_time()
    graph.run()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return len(sink.data()) // PAYLOAD, wall, processor
