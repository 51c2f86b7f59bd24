"""Our blocks beside GNU Radio's own ofdm_rx, in one process: frames delivered and samples a second.

    PYTHONPATH=. /usr/bin/python3 -m benchmarks.bench_gnuradio [FRAMES] [delivery | speed]        500, both

Both get 96-byte packets through ``channels.channel_model``; SNR is per symbol (per occupied subcarrier for OFDM). Ours
also gets a carrier offset of 0.1 rad/sample, a clock offset of 50 ppm and a fractional delay; OFDM gets none of them.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
import pmt
from gnuradio import blocks as grb
from gnuradio import channels, digital, gr

from benchmarks import block_speeds
from flowgraphs import blocks
from flowgraphs.parts import pdu
from flowgraphs.parts.channel import epsilon, frequency_offset, noise_voltage, taps
from phy.frame.frame import Kind, split
from phy.frame.framing import Framing
from phy.modem.waveform import BurstWaveform

PACKET = 96  # [bytes]
SNRS = (20.0, 15.0, 10.0, 5.0)  # [dB]
OCCUPIED = 52 / 64  # share of the subcarriers that ofdm_tx fills


def ours(codec: str, frames: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Clean samples of that many frames of ``size`` bytes [N] complex64, and their payloads [frames, size] uint8."""
    body = np.random.default_rng(1).integers(0, 256, frames * size, dtype=np.uint8).tobytes()
    image = Framing(codec, size, head_repeats=1).image(b"bench", body, 1, bytes(8))
    return np.concatenate([BurstWaveform().send(image.groups).iq, np.zeros(200000, np.complex64)]), split(body, size)


def ofdm(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Clean samples [N] complex64 of GNU Radio's transmitter with its defaults (QPSK payload), and the bytes sent."""
    sent = np.random.default_rng(2).integers(0, 256, PACKET * frames, dtype=np.uint8)
    sink = grb.vector_sink_c()
    top = gr.top_block()
    top.connect(
        grb.vector_source_b(sent.tolist()),
        grb.stream_to_tagged_stream(1, 1, PACKET, "length"),
        digital.ofdm_tx(packet_length_tag_key="length", bps_header=1, bps_payload=2),
        sink,
    )
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


@dataclass(frozen=True)
class Received:
    """exact: payloads equal to what was sent, by their place in the image. usable: payloads whose header was right,
    exact or not. psnr_db: of the usable payloads' bytes taken as pixels. seconds: of processor time.
    wall: seconds by the clock."""

    exact: int
    usable: int
    psnr_db: float
    seconds: float
    wall: float


def receive_ours(y: np.ndarray, sent: np.ndarray, assemble: bool = False, apart: bool = False) -> Received:
    """y [N] through the Frame Receiver, with the Image Assembler behind it where ``assemble`` says so; ``apart``:
    Frame Sync and Frame Decoder in its place."""
    ok, fail = grb.message_debug(False), grb.message_debug(False)
    first = blocks.frame_sync() if apart else blocks.frame_receiver()
    last = blocks.frame_decoder() if apart else first
    top = gr.top_block()
    top.connect(grb.vector_source_c(y.tolist()), first)
    if apart:
        top.connect(first, last)
    top.msg_connect(last, "ok", ok, "store")
    top.msg_connect(last, "fail", fail, "store")
    if assemble:
        assembler = blocks.image_assembler()
        top.msg_connect(last, "ok", assembler, "ok")
        top.msg_connect(last, "fail", assembler, "fail")
    began, clock = time.process_time(), time.monotonic()
    top.start()
    while first.receiver.counts["samples"] < len(y) - 65536:
        time.sleep(0.005)
    seconds, wall = time.process_time() - began, time.monotonic() - clock
    time.sleep(0.5)
    top.stop()
    top.wait()
    got = np.zeros(sent.shape, np.uint8)
    usable, exact = np.zeros(len(sent), bool), np.zeros(len(sent), bool)
    for debug in (ok, fail):
        for i in range(debug.num_messages()):
            meta, vector = pdu.split(debug.get_message(i))
            if meta["kind"] == Kind.BODY and len(vector) == sent.shape[1] + 4:
                row = meta["sequence"]
                usable[row], got[row] = True, vector[:-4]
                exact[row] = meta["crc_ok"] and np.array_equal(got[row], sent[row])
    error = np.mean((got[usable].astype(float) - sent[usable]) ** 2) if usable.any() else np.nan
    psnr = float(10 * np.log10(255**2 / error)) if error else np.inf
    return Received(int(exact.sum()), int(usable.sum()), psnr, seconds, wall)


def receive_ofdm(y: np.ndarray, sent: np.ndarray) -> tuple[int, float, float]:
    """(packets exactly as sent, processor seconds, seconds by the clock)."""
    sink = grb.vector_sink_b()
    top = gr.top_block()
    top.connect(
        grb.vector_source_c(y.tolist()),
        digital.ofdm_rx(packet_length_tag_key="length", bps_header=1, bps_payload=2),
        sink,
    )
    began, clock = time.process_time(), time.monotonic()
    top.run()
    seconds, wall = time.process_time() - began, time.monotonic() - clock
    known = {row.tobytes() for row in sent.reshape(-1, PACKET)}
    got = bytes(sink.data())
    starts = sorted(tag.offset for tag in sink.tags() if pmt.symbol_to_string(tag.key) == "length")
    return len({got[s : s + PACKET] for s in starts} & known), seconds, wall


def delivery(frames: int) -> None:
    """Who delivers what, from 20 to 5 dB."""
    clean, sent = ofdm(frames)
    noise_power = float(np.mean(np.abs(clean) ** 2)) / OCCUPIED
    print(f"Delivery, {frames} packets. Exact: every byte as sent. Usable: header right, so that the payload has its")
    print("place in the picture; a wrong message is one pixel of about the right value (PSNR of the bytes).")
    columns = f"{'bits/symbol':>11} {'SNR dB':>6} {'exact':>6} {'usable':>6} {'PSNR dB':>7}"
    print(f"{'receiver':30} {'meant for':14} {columns}", flush=True)
    for snr in SNRS:
        got, _, _ = receive_ofdm(impaired(clean, snr, noise_power, offsets=False), sent)
        print(f"{'GNU Radio ofdm_rx, QPSK, 96 B':30} {'exact data':14} {2:11g} {snr:6g} {got:6d}", flush=True)
    at_ten: dict[str, tuple[int, int]] = {}
    for codec, meant, bits in (
        ("ae8x8", "exact data", 1.0),
        ("ae8x4+outer", "exact data", 1.0),
        ("image8x4", "pixels", 2.0),
    ):
        x, payloads = ours(codec, frames, PACKET)
        for snr in SNRS:
            r = receive_ours(impaired(x, snr, 1.0, offsets=True), payloads)
            print(
                f"{f'privsc, {codec}, {PACKET} B':30} {meant:14} {bits:11g} {snr:6g} {r.exact:6d} {r.usable:6d} "
                f"{r.psnr_db:7.1f}",
                flush=True,
            )
            if snr == 10.0:
                at_ten[codec] = (r.exact if meant == "exact data" else r.usable), frames
    print(
        "delivered at 10 dB, in the sense each is meant for: "
        + ", ".join(f"{name} {100 * got / of:.2f} %" for name, (got, of) in at_ten.items())
    )


def speed(frames: int) -> None:
    """Samples a second of processor time, all threads and the source included, at 20 dB, where both decode."""
    clean, sent = ofdm(frames)
    y = impaired(clean, SNRS[0], float(np.mean(np.abs(clean) ** 2)) / OCCUPIED, offsets=False)
    receive_ofdm(y[: len(y) // 4], sent)  # FFT plans are made at the first use
    got, seconds, wall = receive_ofdm(y, sent)
    theirs = len(y) / seconds / 1e6
    print(f"\nSpeed at {SNRS[0]:g} dB, million samples a second of processor time (all threads, source included)")
    print(f"{'what':60} {'frames':>6} {'Msps':>6} {'times ofdm_rx':>13} {'by the clock':>12}")
    print(
        f"{'GNU Radio ofdm_rx, QPSK, 96 B':60} {got:6d} {theirs:6.2f} {1:13.2f} {len(y) / wall / 1e6:12.2f}", flush=True
    )
    for codec, size in (("ae8x8", PACKET), ("image8x4", PACKET), ("image8x4", 1024), ("ae8x4+outer", PACKET)):
        x, payloads = ours(codec, frames if size == PACKET else frames // 4, size)
        y = impaired(x, SNRS[0], 1.0, offsets=True)
        for name, whole, apart in (
            ("Frame Receiver", False, False),
            ("with the Image Assembler", True, False),
            ("Frame Sync, Frame Decoder", False, True),
        ):
            r = receive_ours(y, payloads, whole, apart)
            rate = len(y) / r.seconds / 1e6
            print(
                f"{f'{name}, {codec}, {size} B':60} {r.exact:6d} {rate:6.2f} {rate / theirs:13.2f} "
                f"{len(y) / r.wall / 1e6:12.2f}",
                flush=True,
            )
    for name, rate in block_speeds.every(frames // 4):
        print(f"{name:60} {'':6} {rate:6.2f} {rate / theirs:13.2f}", flush=True)


def main(frames: int, parts: list[str]) -> None:
    receive_ours(*ours("ae8x8", 50, PACKET))  # tables are made at the first use
    for name, part in (("delivery", delivery), ("speed", speed)):
        if name in parts or not parts:
            part(frames)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given.pop(0)) if given and given[0].isdigit() else 500, given)
