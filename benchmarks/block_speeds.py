"""Speed of each stream block by itself, for ``benchmarks.bench_gnuradio``: Msps of processor time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pmt
import zmq
from gnuradio import blocks as grb
from gnuradio import gr

from benchmarks.table import Clock, Spent, in_turns, timed
from flowgraphs import blocks
from flowgraphs.parts import pdu
from phy.channel.impulses import Segment, encode


def every(frames: int, rounds: int) -> Iterator[tuple[str, float]]:
    """(name, median Msps); complex samples, at the output of an encoder and at the input of a decoder."""
    works: dict[str, Callable[[], tuple[float, Spent]]] = {
        "Frame Encoder, image8x4, 1024 B": lambda: encoder(frames),
        "Sionna Channel, 16 taps, one draw stands still": lambda: channel(1),
        "Sionna Channel, 16 taps, a knot every 1302 samples": lambda: channel(1302),
    }
    for codec in ("image8x4", "ae8x8"):
        n = blocks.codec_encoder(codec).codec.n
        works |= {
            f"Codec Encoder, {codec}": lambda c=codec, n=n: through(blocks.codec_encoder(c), 1, 1 << 19, n),
            f"Codec Decoder, {codec}, nearest codeword": lambda c=codec, n=n: through(
                blocks.codec_decoder(c), 8, n << 16
            ),
            f"Codec Decoder, {codec}, trained network": lambda c=codec, n=n: through(
                blocks.codec_decoder(c, True), 8, n << 16
            ),
        }
    for name, run in in_turns(works, rounds).items():
        yield name, run.result / run.spent.processor / 1e6


def through(block: gr.basic_block, size: int, items: int, samples: int = 1) -> tuple[float, Spent]:
    """(samples, time) of that many items of ``size`` bytes into a block and a null sink; samples: of an item."""
    top = gr.top_block()
    out = block.output_signature().sizeof_stream_item(0)
    top.connect(grb.null_source(size), grb.head(size, items), block, grb.null_sink(out))
    _, spent = timed(top.run)
    return items * samples, spent


def encoder(frames: int) -> tuple[float, Spent]:
    """(samples, time) of the Frame Encoder into a null sink."""
    block = blocks.frame_encoder("image8x4", 1024, 1, 0)
    top = gr.top_block()
    top.connect(block, grb.null_sink(gr.sizeof_gr_complex))
    body = np.random.default_rng(1).integers(0, 256, frames * 1024, dtype=np.uint8)
    message = pdu.make({"image_id": 1, "k_digest": bytes(8), "head": b"bench"}, body)
    samples = block.waveform.count(block.framing.image(b"bench", body.tobytes(), 1, bytes(8)).groups)
    top.start()
    clock = Clock()
    block.to_basic_block()._post(pmt.intern("payload"), message)
    while block.nitems_written(0) < samples:
        time.sleep(0.001)
    spent = clock.read()
    top.stop()
    top.wait()
    return samples, spent


def channel(spacing: int, samples: int = 1 << 22) -> tuple[float, Spent]:
    """(samples, time) of the Sionna Channel; spacing: samples from knot to knot, 1 for a response that stands still."""
    rng = np.random.default_rng(3)
    knots = 1 if spacing == 1 else 2 + samples // spacing
    taps = (rng.standard_normal((knots, 16, 2)) @ [1, 1j]).astype(np.complex64)
    context = zmq.Context()
    server = context.socket(zmq.PUSH)
    port = server.bind_to_random_port("tcp://127.0.0.1")
    block = blocks.sionna_channel(f"tcp://127.0.0.1:{port}")
    top = gr.top_block()
    top.connect(
        grb.null_source(gr.sizeof_gr_complex),
        grb.head(gr.sizeof_gr_complex, samples),
        block,
        grb.null_sink(gr.sizeof_gr_complex),
    )
    message = encode(Segment(taps, samples, spacing))
    clock = Clock()
    top.start()
    server.send_multipart(message)  # waits for the block
    top.wait()
    spent = clock.read()
    context.destroy(linger=0)
    return samples, spent
