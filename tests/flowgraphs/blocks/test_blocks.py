"""The blocks in GNU Radio: what they make of good input, of bad input, and of a worker that comes and goes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.flowgraphs.radio import script

pytestmark = pytest.mark.radio("gnuradio", "zmq", "yaml")

SETUP = """
import json, sys, time
import numpy as np, pmt
from gnuradio import blocks as grb, channels, gr
from flowgraphs import blocks
from flowgraphs.parts import pdu
from flowgraphs.parts.channel import epsilon, frequency_offset, noise_voltage, taps

def post(block, port, message):
    block.to_basic_block()._post(pmt.intern(port), message)

def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()

def payload(size, image_id=5, seed=0, head=b"a head"):
    body = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    return pdu.make({"image_id": image_id, "k_digest": bytes(range(32)), "head": head}, body), body

def messages(debug):
    return [pdu.split(debug.get_message(i)) for i in range(debug.num_messages())]
"""


def test_the_encoder_sends_what_the_link_sends_sample_by_sample() -> None:
    """One format everywhere: the block's stream, the link's samples in memory; tags where the burst begins and ends."""
    code = (
        SETUP
        + """
from phy.link import Link
from phy.modem.waveform import BurstWaveform
encoder, sink, sent = blocks.frame_encoder(tail=1000), grb.vector_sink_c(), grb.message_debug(False)
tb = gr.top_block()
tb.connect(encoder, sink)
tb.msg_connect(encoder, "sent", sent, "store")
tb.start()
ends, bodies = [], []
for image_id, size in ((5, 5000), (6, 2500)):
    message, body = payload(size, image_id, seed=image_id)
    bodies.append(body)
    post(encoder, "payload", message)
assert until(lambda: sent.num_messages() == 2)
total = sum(meta["samples"] + 1000 for meta, _ in messages(sent))
assert until(lambda: encoder.nitems_written(0) == total)
time.sleep(0.3)
assert encoder.nitems_written(0) == total  # silence afterwards
post(encoder, "payload", pmt.intern("no PDU"))
post(encoder, "payload", pdu.make({"image_id": 1}, b"abc"))
post(encoder, "payload", pdu.make({"image_id": 1, "k_digest": b"short", "head": b"h"}, b"abc"))
assert until(lambda: encoder.counts["malformed"] == 3)
tb.stop(); tb.wait()
iq = np.array(sink.data(), np.complex64)
tags = sorted((t.offset, pmt.symbol_to_string(t.key), pmt.to_python(t.value)) for t in sink.tags())
first, equal, uses = 0, [], []
for (meta, _), body in zip(messages(sent), bodies):
    sender = Link(channel="external").transmitter()
    one = sender.send(b"a head", body.tobytes(), image_id=meta["image_id"], k_digest=bytes(range(32)))
    part = iq[first : first + meta["samples"]]
    silence = iq[first + meta["samples"] : first + meta["samples"] + 1000]
    equal.append(bool(np.array_equal(part, one.iq)) and not silence.any())
    uses.append(one.channel_uses == meta["channel_uses"] and meta["frames_sent"] == len(one.starts))
    first += meta["samples"] + 1000
print(json.dumps({"equal": equal, "uses": uses, "tags": tags, "first": [m["samples"] for m, _ in messages(sent)],
                  "power": float(np.mean(np.abs(part) ** 2))}))
"""
    )
    got = script(code)
    assert got["equal"] == [True, True] and got["uses"] == [True, True]
    one, two = got["first"]
    expected = [[0, "packet_len", one + 1000], [0, "tx_sob", True], [one + 999, "tx_eob", True]]
    second = [[one + 1000, "packet_len", two + 1000], [one + 1000, "tx_sob", True]]
    assert got["tags"] == [*expected, *second, [one + two + 1999, "tx_eob", True]]
    assert 0.4 < got["power"] < 0.55  # Es = 1 at 2 samples a symbol, less the gaps


def test_frames_come_through_the_channel_model_and_the_ports_tell_good_from_bad() -> None:
    """15 dB, CFO 0.1 rad/sample, 50 ppm, half a sample of delay: all frames; with -2 dB: broken ones on ``fail``."""
    code = (
        SETUP
        + """
from phy.frame.framing import Framing
from phy.modem.waveform import BurstWaveform
result = {}
samples = BurstWaveform().count(Framing("image8x8", 500).image(b"a head", bytes(20000), 1, bytes(8)).groups)
for snr in (15.0, 1.0):
    encoder, receiver = blocks.frame_encoder("image8x8", payload_bytes=500), blocks.frame_receiver()
    ok, fail, stats = (grb.message_debug(False) for _ in range(3))
    channel = channels.channel_model(noise_voltage(snr), frequency_offset(0.1), epsilon(50.0), taps(0.5), 3)
    tb = gr.top_block()
    tb.connect(encoder, channel, receiver)
    for port, debug in (("ok", ok), ("fail", fail), ("stats", stats)):
        tb.msg_connect(receiver, port, debug, "store")
    message, body = payload(20000)
    tb.start()
    post(encoder, "payload", message)
    until(lambda: receiver.counts["samples"] > samples + 100000, 60)
    tb.stop(); tb.wait()
    figures = [meta for meta, _ in messages(stats) if "snr_db" in meta]
    result[str(snr)] = {
        "ok": ok.num_messages(), "fail": fail.num_messages(), "all": encoder.counts["frames"],
        **{name: float(np.median([meta[name] for meta in figures])) for name in ("snr_db", "cfo", "clock_ppm")},
        "right": all(m["crc_ok"] for m, _ in messages(ok)) and not any(m["crc_ok"] for m, _ in messages(fail)),
    }
print(json.dumps(result))
"""
    )
    got = script(code)
    good, bad = got["15.0"], got["1.0"]
    assert good["all"] == 48 and (good["ok"], good["fail"]) == (48, 0)
    assert abs(good["snr_db"] - 15) < 1 and abs(good["cfo"] - 0.1) < 1e-3 and abs(abs(good["clock_ppm"]) - 50) < 15
    assert good["right"] and bad["right"] and bad["ok"] + bad["fail"] > 40 and bad["fail"] > 30
    assert abs(bad["snr_db"] - 1) < 1.5


def test_the_assembler_combines_completes_and_gives_up() -> None:
    """Frames in any order; a lost one after the time-out; a stream of rubbish; what comes late; what stop leaves."""
    code = (
        SETUP
        + """
from phy.frame import frame
from phy.frame.assembly import PREFIX
from phy.codec.codec import shipped

def frames(image_id, body, head=b"the head"):
    out = []
    for kind, data, codec in ((1, PREFIX.pack(len(body)) + head, "ae8x8"), (2, body, "image8x4")):
        payloads = frame.split(data, 256)
        for row, with_crc in enumerate(frame.add_crc(payloads)):
            meta = {"kind": kind, "codec_id": shipped(codec).codec_id, "image_id": image_id, "sequence": row,
                    "count": len(payloads), "total": len(data), "k_digest": bytes(8), "crc_ok": True, "start": row,
                    "snr_db": 10.0}
            out.append((meta, with_crc))
    return out

assembler, out = blocks.image_assembler(timeout=1.0), grb.message_debug(False)
tb = gr.top_block()
tb.msg_connect(assembler, "received", out, "store")
tb.start()
body = bytes(range(256)) * 5
whole = frames(1, body)
for meta, data in reversed(whole):
    post(assembler, "ok", pdu.make(meta, data))
assert until(lambda: out.num_messages() == 1, 5)
post(assembler, "ok", pdu.make(*whole[1]))          # late
broken = frames(2, body)
bad = dict(broken[3][0], crc_ok=False)
for meta, data in broken[:1] + broken[2:3]:          # frame 0 of the body is missing
    post(assembler, "ok", pdu.make(meta, data))
post(assembler, "fail", pdu.make(bad, broken[3][1]))
began = time.monotonic()
assert until(lambda: out.num_messages() == 2, 10)
waited = time.monotonic() - began
for junk in (pmt.intern("x"), pdu.make({}, b""), pdu.make(dict(whole[1][0], kind=9), whole[1][1]),
             pdu.make(whole[1][0], b"short"), pdu.make(dict(whole[1][0], total=0), whole[1][1])):
    post(assembler, "ok", junk)
assert until(lambda: assembler.counts["malformed"] == 5, 5)
post(assembler, "ok", pdu.make(*frames(3, body)[0]))  # only the head, then the flowgraph ends
assert until(lambda: assembler.counts["frames"] == 11, 5), assembler.counts
tb.stop(); tb.wait()
time.sleep(0.2)
result = []
for meta, got in messages(out)[:2]:
    arrived, exact = (pdu.unpack_flags(meta[name], len(got)) for name in ("arrived", "exact"))
    truth = np.frombuffer(body, np.uint8)
    result.append({"head": bytes(meta["head"]).decode(), "missing": meta["missing"], "failures": meta["crc_failures"],
                   "arrived": int(arrived.sum()), "exact": int(exact.sum()),
                   "right": bool((got == truth)[arrived].all())})
print(json.dumps({"images": result, "waited": waited, "counts": assembler.counts}))
"""
    )
    got = script(code)
    first, second = got["images"]
    assert first == {"head": "the head", "missing": 0, "failures": 0, "arrived": 1280, "exact": 1280, "right": True}
    assert second == {"head": "the head", "missing": 3, "failures": 1, "arrived": 512, "exact": 256, "right": True}
    assert 0.7 < got["waited"] < 5
    assert got["counts"]["late"] == 1 and got["counts"]["complete"] == 1 and got["counts"]["incomplete"] == 2


def test_start_and_stop_twenty_times_without_a_worker() -> None:
    """No hang; threads and file descriptors at the end as at the beginning (ZMQ's own threads take a moment to go)."""
    code = (
        SETUP
        + """

from pathlib import Path

def once():
    source = blocks.image_source(sys.argv[1], True, 0.05)
    guard = blocks.guard("tcp://127.0.0.1:1", timeout=30)
    encoder, receiver, assembler = blocks.frame_encoder(), blocks.frame_receiver(), blocks.image_assembler()
    recovery, report = blocks.recovery("tcp://127.0.0.1:1"), blocks.run_report("tcp://127.0.0.1:1")
    sink = blocks.image_sink(sys.argv[2])
    tb = gr.top_block()
    tb.connect(encoder, receiver)
    for a, ap, b, bp in ((source, "photo", guard, "image"), (guard, "payload", encoder, "payload"),
                         (receiver, "ok", assembler, "ok"), (assembler, "received", recovery, "received"),
                         (recovery, "seen", report, "bob"), (recovery, "image", sink, "image")):
        tb.msg_connect(a, ap, b, bp)
    message, _ = payload(3000)
    for _ in range(2):                               # the same flowgraph twice
        before = guard.counts.copy()
        tb.start()
        post(encoder, "payload", message)
        post(guard, "image", pmt.intern("junk"))
        assert until(lambda: all(guard.counts[name] > before[name] for name in ("taken", "malformed")), 10)
        tb.stop(); tb.wait()
    return guard.counts

state = []
for _ in range(10):
    counts = once()
    state.append([len(list(Path(f"/proc/self/{kind}").iterdir())) for kind in ("task", "fd")])
print(json.dumps({"state": state, "counts": counts}))
"""
    )
    got = script(code, __file__, "unused-{id}.png")
    for counts in zip(*got["state"], strict=True):
        assert min(counts[-3:]) <= max(counts[:3]), got["state"]
    assert got["counts"]["lost"] >= 1 and got["counts"]["malformed"] == 2 and got["counts"].get("answered", 0) == 0


@pytest.mark.parametrize("codec", ["image8x4", "ae8x4+outer"])
def test_sync_and_decoder_do_what_the_receiver_does(codec: str) -> None:
    """The same frames in the same order, same figures and bytes, whatever the buffers' sizes; aligned in between."""
    code = (
        SETUP
        + """
encoder, sent = blocks.frame_encoder(sys.argv[1], 200, 3, tail=300000), grb.vector_sink_c()
tb = gr.top_block()
tb.connect(encoder, sent)
tb.start()
total = 0
for image_id, size in ((1, 6000), (2, 900)):
    message, body = payload(size, image_id)
    post(encoder, "payload", message)
    total += encoder.waveform.count(encoder.framing.image(b"a head", bytes(size), image_id, bytes(8)).groups) + 300000
assert until(lambda: encoder.nitems_written(0) == total)
tb.stop(); tb.wait()
channel = channels.channel_model(noise_voltage(4.0), frequency_offset(0.05), epsilon(30.0), taps(0.3), 3)
tb, noisy = gr.top_block(), grb.vector_sink_c()
tb.connect(grb.vector_source_c(list(sent.data())), channel, noisy)
tb.run()
heard = list(noisy.data())
results, aligned = [], None
for apart, most in ((False, 8192), (True, 8192), (True, 777)):
    tb, good, bad, stats = gr.top_block(), *(grb.message_debug(False) for _ in range(3))
    source = grb.vector_source_c(heard)
    if apart:
        sync, last, aligned = blocks.frame_sync(), blocks.frame_decoder(), grb.vector_sink_c()
        tb.connect(source, sync, last)
        tb.connect(sync, aligned)
    else:
        last = blocks.frame_receiver()
        tb.connect(source, last)
    for port, debug in (("ok", good), ("fail", bad), ("stats", stats)):
        tb.msg_connect(last, port, debug, "store")
    tb.run(most)
    time.sleep(0.2)
    kept = ("kind", "image_id", "sequence", "crc_ok", "start")
    results.append({
        "frames": sorted([[m[k] for k in kept] + [v.tolist()] for m, v in messages(good) + messages(bad)],
                         key=lambda one: one[4]),
        "figures": [[m[k] for k in ("snr_db", "cfo", "clock_ppm", "evm_db")] for m, _ in messages(stats)
                    if "snr_db" in m],
        "ports": all(m["crc_ok"] for m, _ in messages(good)) and not any(m["crc_ok"] for m, _ in messages(bad)),
        "fail": bad.num_messages(),
    })
tags = [t for t in aligned.tags() if pmt.symbol_to_string(t.key) == "packet_len"]
lengths = [[t.offset, pmt.to_long(t.value)] for t in tags]
print(json.dumps({"same": [r["frames"] == results[0]["frames"] for r in results],
                  "figures": [r["figures"] for r in results], "frames": len(results[0]["frames"]),
                  "ports": [r["ports"] for r in results], "fail": results[0]["fail"], "sent": encoder.counts["frames"],
                  "lengths": lengths, "symbols": len(aligned.data()), "counts": [sync.counts, last.counts]}))
"""
    )
    got = script(code, codec)
    assert got["same"] == [True, True, True] and got["ports"] == [True, True, True]
    assert got["frames"] == got["sent"] == 41 and (got["fail"] > 20) == (codec == "image8x4")
    apart = np.abs(np.array(got["figures"]) - got["figures"][0]).max(axis=(0, 1))
    assert (apart < [0.02, 1e-5, 1.0, 0.02]).all(), apart  # single precision: batches are summed in another order
    ends = np.cumsum([length for _, length in got["lengths"]])
    assert [offset for offset, _ in got["lengths"]] == [0, *ends[:-1]] and ends[-1] == got["symbols"]
    sync, decoder = got["counts"]
    assert sync["frames"] == 41 and decoder.get("ok", 0) + decoder.get("fail", 0) == 41
    assert decoder.get("stray", 0) == decoder.get("malformed", 0) == sync.get("undelivered", 0) == 0


def test_a_decoder_survives_symbols_that_are_no_frames() -> None:
    """No tag, a tag that is none of ours, an impossible header, a frame that is cut off by the next."""
    code = (
        SETUP
        + """
def tag(offset, value):
    one = gr.tag_t()
    one.offset, one.key, one.value = offset, pmt.intern("frame"), value
    return one
good = {"kind": 2, "codec_id": 1, "image_id": 1, "sequence": 0, "count": 1, "total": 50, "k_digest": bytes(8),
        "start": 0, "snr_db": 10.0, "cfo": 0.0, "clock_ppm": 0.0, "evm_db": -10.0}
values = [pmt.intern("junk"), *(pmt.car(pdu.make(one)) for one in (
    {}, {**good, "total": 0}, {**good, "codec_id": 77}, {**good, "kind": "x"}, good, good))]
tags = [tag(100 + 100 * i, value) for i, value in enumerate(values)]
source, decoder = grb.vector_source_c([1.0] * 100000, False, 1, tags), blocks.frame_decoder()
frames = grb.message_debug(False)
tb = gr.top_block()
tb.connect(source, decoder)
tb.msg_connect(decoder, "fail", frames, "store")
tb.run()
print(json.dumps({"counts": decoder.counts, "frames": frames.num_messages()}))
"""
    )
    got = script(code)
    assert (got["counts"]["malformed"], got["counts"]["cut_off"]) == (5, 1)
    assert got["counts"]["fail"] == got["frames"] == 1 and got["counts"]["stray"] > 90000
