"""Speed of each stream block by itself, for ``benchmarks.bench_gnuradio``: Msps of processor time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pmt
import zmq
from gnuradio import blocks as grb
from gnuradio import gr

from flowgraphs import blocks
from flowgraphs.parts import pdu
from phy.channel.impulses import Segment, encode


def every(frames: int) -> Iterator[tuple[str, float]]:
    """(name, Msps); complex samples, at the output of an encoder and at the input of a decoder."""
    yield "Frame Encoder, image8x4, 1024 B", encoder_speed(frames)
    yield "Sionna Channel, 16 taps, one draw stands still", channel_speed(1)
    yield "Sionna Channel, 16 taps, a knot every 1302 samples", channel_speed(1302)
    for codec in ("image8x4", "ae8x8"):
        n = blocks.codec_encoder(codec).codec.n
        yield f"Codec Encoder, {codec}", n * through(blocks.codec_encoder(codec), 1, 1 << 21)
        yield f"Codec Decoder, {codec}, nearest codeword", through(blocks.codec_decoder(codec), 8, n << 18)
        yield f"Codec Decoder, {codec}, trained network", through(blocks.codec_decoder(codec, True), 8, n << 18)


def through(block: gr.basic_block, size: int, items: int) -> float:
    """Million items of ``size`` bytes a second into a block and a null sink."""
    top = gr.top_block()
    out = block.output_signature().sizeof_stream_item(0)
    top.connect(grb.null_source(size), grb.head(size, items), block, grb.null_sink(out))
    began = time.process_time()
    top.run()
    return items / (time.process_time() - began) / 1e6


def encoder_speed(frames: int) -> float:
    """Msps of the Frame Encoder into a null sink."""
    encoder = blocks.frame_encoder("image8x4", 1024, 1, 0)
    top = gr.top_block()
    top.connect(encoder, grb.null_sink(gr.sizeof_gr_complex))
    body = np.random.default_rng(1).integers(0, 256, frames * 1024, dtype=np.uint8)
    message = pdu.make({"image_id": 1, "k_digest": bytes(8), "head": b"bench"}, body)
    samples = encoder.waveform.count(encoder.framing.image(b"bench", body.tobytes(), 1, bytes(8)).groups)
    top.start()
    began = time.process_time()
    encoder.to_basic_block()._post(pmt.intern("payload"), message)
    while encoder.nitems_written(0) < samples:
        time.sleep(0.001)
    seconds = time.process_time() - began
    top.stop()
    top.wait()
    return samples / seconds / 1e6


def channel_speed(spacing: int, samples: int = 1 << 23) -> float:
    """Msps of the Sionna Channel; spacing: samples from knot to knot, 1 for one response that stands still."""
    rng = np.random.default_rng(3)
    knots = 1 if spacing == 1 else 2 + samples // spacing
    taps = (rng.standard_normal((knots, 16, 2)) @ [1, 1j]).astype(np.complex64)
    context = zmq.Context()
    server = context.socket(zmq.PUSH)
    port = server.bind_to_random_port("tcp://127.0.0.1")
    channel = blocks.sionna_channel(f"tcp://127.0.0.1:{port}")
    top = gr.top_block()
    top.connect(
        grb.null_source(gr.sizeof_gr_complex),
        grb.head(gr.sizeof_gr_complex, samples),
        channel,
        grb.null_sink(gr.sizeof_gr_complex),
    )
    message = encode(Segment(taps, samples, spacing))
    began = time.process_time()
    top.start()
    server.send_multipart(message)  # waits for the block
    top.wait()
    seconds = time.process_time() - began
    context.destroy(linger=0)
    return samples / seconds / 1e6
