"""Our receiver block beside GNU Radio's own ofdm_rx, in one process: frames delivered and samples a second.

    PYTHONPATH=. /usr/bin/python3 -m tests.bench.bench_gnuradio [FRAMES]

Both get 96-byte packets through ``channels.channel_model``; SNR is per symbol (per occupied subcarrier for OFDM). Ours
also gets a carrier offset of 0.1 rad/sample, a clock offset of 50 ppm and a fractional delay; OFDM gets none of them.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pmt
from gnuradio import blocks as grb
from gnuradio import channels, digital, gr

from flowgraphs import blocks, pdu
from flowgraphs.channel import epsilon, frequency_offset, noise_voltage, taps
from flowgraphs.framing import Framing

PACKET = 96  # [bytes]
SNRS = (20.0, 15.0, 10.0, 5.0)  # [dB]
OCCUPIED = 52 / 64  # share of the subcarriers that ofdm_tx fills


def ours(codec: str, frames: int, size: int) -> np.ndarray:
    """Clean samples of that many frames of ``size`` bytes [N] complex64."""
    framing = Framing(codec, size, head_repeats=1)
    body = np.random.default_rng(1).integers(0, 256, size * frames, dtype=np.uint8).tobytes()
    burst = framing.image(b"bench", body, 1, bytes(8))
    return np.concatenate([*burst.chunks(), np.zeros(200000, np.complex64)])


def ofdm(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Clean samples [N] complex64 of GNU Radio's transmitter with its defaults (QPSK payload), and the bytes sent."""
    sent = np.random.default_rng(2).integers(0, 256, PACKET * frames, dtype=np.uint8)
    sink = grb.vector_sink_c()
    top = gr.top_block()
    top.connect(grb.vector_source_b(sent.tolist()), grb.stream_to_tagged_stream(1, 1, PACKET, "length"),
                digital.ofdm_tx(packet_length_tag_key="length", bps_header=1, bps_payload=2), sink)  # fmt: skip
    top.run()
    return np.array(sink.data(), np.complex64), sent


def impaired(x: np.ndarray, snr_db: float, power: float, offsets: bool) -> np.ndarray:
    """x through GNU Radio's channel model; power: of a symbol per sample of noise variance 1."""
    voltage = noise_voltage(snr_db) * float(np.sqrt(power))
    cfo, ppm, path = (0.1, 50.0, taps(0.37)) if offsets else (0.0, 0.0, [1.0])
    model = channels.channel_model(voltage, frequency_offset(cfo), epsilon(ppm), path, 5)
    sink = grb.vector_sink_c()
    top = gr.top_block()
    top.connect(grb.vector_source_c(x.tolist()), model, sink)
    top.run()
    return np.array(sink.data(), np.complex64)


def receive_ours(y: np.ndarray) -> tuple[int, int, float]:
    """(frames with a right CRC, frames with a right header, processor seconds)."""
    receiver, ok, fail = blocks.frame_receiver(), grb.message_debug(False), grb.message_debug(False)
    top = gr.top_block()
    source = grb.vector_source_c(y.tolist())
    top.connect(source, receiver)
    top.msg_connect(receiver, "ok", ok, "store")
    top.msg_connect(receiver, "fail", fail, "store")
    began = time.process_time()
    top.start()
    while receiver.receiver.counts["samples"] < len(y) - receiver.batch:
        time.sleep(0.005)
    seconds = time.process_time() - began
    time.sleep(0.5)
    top.stop()
    top.wait()
    seen = {port: [pdu.split(d.get_message(i))[0] for i in range(d.num_messages())]
            for port, d in (("ok", ok), ("fail", fail))}  # fmt: skip
    good = sum(meta["kind"] == 2 for meta in seen["ok"])
    return good, good + sum(meta["kind"] == 2 for meta in seen["fail"]), seconds


def receive_ofdm(y: np.ndarray, sent: np.ndarray) -> tuple[int, float]:
    """(packets exactly as sent, processor seconds)."""
    sink = grb.vector_sink_b()
    top = gr.top_block()
    top.connect(grb.vector_source_c(y.tolist()),
                digital.ofdm_rx(packet_length_tag_key="length", bps_header=1, bps_payload=2), sink)  # fmt: skip
    began = time.process_time()
    top.run()
    seconds = time.process_time() - began
    known = {row.tobytes() for row in sent.reshape(-1, PACKET)}
    got = bytes(sink.data())
    starts = sorted(tag.offset for tag in sink.tags() if pmt.symbol_to_string(tag.key) == "length")
    return len({got[s : s + PACKET] for s in starts} & known), seconds


def main(frames: int) -> None:
    clean, sent = ofdm(frames)
    noise_power = float(np.mean(np.abs(clean) ** 2)) / OCCUPIED
    print(f"{frames} packets of {PACKET} bytes; Msps: samples a second of processor time, all threads, source included")
    print(f"{'receiver':24} {'SNR dB':>6} {'delivered':>10} {'headers':>8} {'Msps':>6} {'bits/symbol':>11}")
    speed: dict[str, float] = {}  # at the first SNR, where both decode: a receiver that finds nothing is fast
    receive_ofdm(impaired(clean, 25.0, noise_power, offsets=False), sent)  # FFT plans are made at the first use
    receive_ours(ours("ae8x8", 50, PACKET))
    for snr in SNRS:
        y = impaired(clean, snr, noise_power, offsets=False)
        got, seconds = receive_ofdm(y, sent)
        rate = len(y) / seconds / 1e6
        speed.setdefault("ofdm", rate)
        print(f"{'GNU Radio ofdm_rx, QPSK':24} {snr:6g} {got:10d} {'':>8} {rate:6.2f} {2:11g}")
    for codec, bits, size in (("ae8x8", 1, PACKET), ("image8x4", 2, PACKET), ("image8x4", 2, 1024)):
        x = ours(codec, frames if size == PACKET else frames // 8, size)
        for snr in SNRS:
            y = impaired(x, snr, 1.0, offsets=True)
            good, headers, seconds = receive_ours(y)
            name = f"privsc, {codec}, {size} B"
            rate = len(y) / seconds / 1e6
            speed.setdefault(name, rate)
            print(f"{name:24} {snr:6g} {good:10d} {headers:8d} {rate:6.2f} {bits:11g}")
    for name in list(speed)[1:]:
        print(f"{name}: {speed[name] / speed['ofdm']:.2f} times the samples a second of ofdm_rx at {SNRS[0]:g} dB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
