"""The teaching flowgraphs: the learned code over noise, and bursts through offsets."""

from __future__ import annotations

import numpy as np
import pytest

from phy.codec.codec import shipped
from tests.flowgraphs.blocks.test_blocks import SETUP
from tests.flowgraphs.radio import script

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")


@pytest.mark.parametrize("codec", ["image8x4", "ae8x8"])
def test_stage_one_makes_the_errors_that_the_code_makes(programs, codec) -> None:
    """Share of wrong messages as without GNU Radio; none where there is hardly any noise."""
    code = (
        SETUP
        + """
sys.path.insert(0, sys.argv[1])
from stage1_codec import stage1_codec
rates = {}
for snr, enough in ((4.0, 30000), (30.0, 4000)):
    top = stage1_codec(codec=sys.argv[2], snr=snr, samp_rate=1e8)
    top.start()
    assert until(lambda: min(top.errors.counts["messages"], top.errors_network.counts["messages"]) > enough)
    top.stop(); top.wait()
    rates[snr] = [one.counts["wrong"] / one.counts["messages"] for one in (top.errors, top.errors_network)]
print(json.dumps(rates))
"""
    )
    got = script(code, str(programs), codec)
    assert got["30.0"] == [0, 0]
    used, rng = shipped(codec), np.random.default_rng(1)
    sent = rng.integers(0, 256, 100000, dtype=np.uint8)
    noise = rng.standard_normal((len(sent), used.n, 2)) @ [1, 1j] * np.sqrt(10**-0.4 / 2)
    for rate, decide in zip(got["4.0"], (used.demap, used.demap_neural), strict=True):
        expected = np.mean(decide(used.encode(sent) + noise.astype(np.complex64)) != sent)
        spread = np.sqrt(expected / 100000 + expected / 30000)
        assert expected > 1e-4 and abs(rate - expected) < 5 * spread


def test_stage_two_finds_every_burst(programs) -> None:
    code = (
        SETUP
        + """
sys.path.insert(0, sys.argv[1])
from stage2_burst import stage2_burst
top = stage2_burst(snr=15, cfo=-0.2, clock_ppm=100, period=100, samp_rate=1e8)
figures = grb.message_debug(False)
top.msg_connect(top.decoder, "stats", figures, "store")
top.start()
assert until(lambda: top.encoder.counts["images"] >= 5)
sent = top.encoder.counts["frames"]
assert until(lambda: figures.num_messages() >= sent, 20), (sent, top.sync.counts)
top.stop(); top.wait()
frames = [meta for meta, _ in messages(figures) if "snr_db" in meta]
print(json.dumps({"frames": len(frames), "right": all(f["crc_ok"] for f in frames),
                  **{name: float(np.median([f[name] for f in frames])) for name in ("snr_db", "cfo", "clock_ppm")}}))
"""
    )
    got = script(code, str(programs))
    assert got["frames"] >= 30 and got["right"]
    assert abs(got["snr_db"] - 15) < 1 and abs(got["cfo"] + 0.2) < 1e-3 and abs(abs(got["clock_ppm"]) - 100) < 15


def test_the_codec_blocks_say_what_the_codec_says() -> None:
    """Bit by bit, and with buffers of any size; a codec of other than 8 bits is refused."""
    code = (
        SETUP
        + """
from phy.codec.codec import shipped
sent = np.random.default_rng(0).integers(0, 256, 5001, dtype=np.uint8)
encoder, decoder = blocks.codec_encoder("ae8x4"), blocks.codec_decoder("ae8x4", True)
counter, symbols, got = blocks.message_counter(1000), grb.vector_sink_c(), grb.vector_sink_b()
rates, psnr = grb.vector_sink_f(), grb.vector_sink_f()
source = grb.vector_source_b(sent.tolist())
wrong = sent.copy()
wrong[1500:1600] ^= 1
tb = gr.top_block()
tb.connect(source, encoder, decoder, got)
tb.connect(encoder, symbols)
tb.connect(source, (counter, 0))
tb.connect(grb.vector_source_b(wrong.tolist()), (counter, 1))
tb.connect((counter, 0), rates)
tb.connect((counter, 1), psnr)
tb.run(333)
codec = shipped("ae8x4")
refused = []
for name in ("real-7-4", "nothing"):
    try:
        blocks.codec_encoder(name)
    except Exception as error:
        refused.append(str(error))
print(json.dumps({"symbols": bool(np.array_equal(np.array(symbols.data(), np.complex64),
                                                 codec.encode(sent).reshape(-1))),
                  "got": bool(np.array_equal(np.array(got.data(), np.uint8), sent)), "rates": list(rates.data()),
                  "psnr": list(psnr.data()), "counts": counter.counts, "refused": refused}))
"""
    )
    got = script(code)
    assert got["symbols"] and got["got"]
    assert np.allclose(got["rates"], [0, 0.1, 0, 0, 0]) and got["counts"] == {"messages": 5000, "wrong": 100}
    assert np.allclose(got["psnr"], [99, 10 * np.log10(255**2 / 0.1), 99, 99, 99], atol=0.01)
    assert "must carry 8 bits a message, real-7-4 carries 4" in got["refused"][0] and len(got["refused"]) == 2
