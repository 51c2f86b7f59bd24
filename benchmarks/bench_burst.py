"""The burst modem beside liquid-dsp's framesync64 and GNU Radio's ofdm_rx: throughput, sensitivity, range of frequency.

    PYTHONPATH=. /usr/bin/python3 -s -m benchmarks.bench_burst [--frames N]

Runs under the distribution's interpreter, which has the peers; a peer that is not installed is named and left out. All
receivers get the same noise model; SNR is 2 P / variance for framesync64 as for our frames (2 samples a symbol), and
P / variance for the OFDM peer, which fills its band.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks import liquid_peer, ofdm_peer
from phy.channel.impairments import frequency_offset, noise_variance, white_noise
from phy.evaluation.trials import image_frames, receive, run_trials, short_frames
from phy.modem.pulse import occupied_bandwidth, papr_db
from phy.modem.stream import StreamReceiver

GAP = 200


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """(wall seconds, processor seconds)."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def throughput(count: int, rng: np.random.Generator) -> None:
    rows: list[tuple[str, int, int, float, float]] = []  # name, samples, frames, wall, processor
    lib = liquid_peer.library()
    noise = white_noise(np.zeros(4 << 20), 1.0, rng)
    for name, frames in (
        ("ours, image frames", image_frames(count // 4 + 1, 436, "ae8x8", rng)),
        ("ours, short frames", short_frames(count, rng)),
        ("ours, noise", None),
    ):
        samples = noise if frames is None else white_noise(frames.bursts.reshape(-1), noise_variance(14, 2), rng)
        for workers in (1, 2):
            parts = () if frames is None else (frames.layout, frames.frame_format)
            receiver = StreamReceiver(*parts, workers=workers)
            receive(receiver, samples[: len(samples) // 4])
            got: list = []
            spent = timed(lambda: got.extend(receive(receiver, samples)))  # noqa: B023
            receiver.close()
            rows.append((f"{name}, {workers} workers", len(samples), sum(f.crc_ok for f in got), *spent))
    if lib is not None:
        for name, samples in (("framesync64, frames", None), ("framesync64, noise", noise)):
            if samples is None:
                samples = white_noise(liquid_peer.frames(lib, count, rng).reshape(-1), 0.02, rng)
            sync = liquid_peer.FrameSync(lib)
            spent = timed(lambda: sync.push(samples))  # noqa: B023
            rows.append((name, len(samples), sync.stats.payloads, *spent))
            sync.close()
    if ofdm_peer.available():
        samples, _ = ofdm_peer.packets(max(count // 2, 20), rng)
        good, wall, processor = ofdm_peer.receive(white_noise(samples, 1e-3, rng))
        rows.append(("ofdm_rx, frames", len(samples), good, wall, processor))
    print("\nReceive throughput")
    print(f"  {'receiver':32s} {'samples':>9s} {'frames':>7s} {'Msps wall':>10s} {'Msps/processor':>15s}", end="")
    print(f" {'ratio to framesync64':>21s} {'ratio to ofdm_rx':>17s}")
    speed = {row[0]: row[1] / row[4] / 1e6 for row in rows}
    for name, size, good, wall, processor in rows:
        peers = [
            speed.get("framesync64, noise" if "noise" in name else "framesync64, frames"),
            speed.get("ofdm_rx, frames"),
        ]
        ratios = [f"{size / processor / 1e6 / peer:.2f}" if peer else "-" for peer in peers]
        print(
            f"  {name:32s} {size:9.2e} {good:7d} {size / wall / 1e6:10.1f} {size / processor / 1e6:15.1f}"
            f" {ratios[0]:>21s} {ratios[1]:>17s}"
        )


def liquid_per(lib, count: int, snr: float, cfo: float, rng: np.random.Generator) -> float:
    """Share of frames whose payload framesync64 does not give."""
    bursts = liquid_peer.frames(lib, count, rng)
    power = float(np.mean(np.abs(bursts) ** 2))
    slots = np.concatenate([np.zeros((count, GAP), np.complex64), bursts], axis=1).reshape(-1)
    sync = liquid_peer.FrameSync(lib)
    sync.push(white_noise(frequency_offset(slots, cfo), noise_variance(snr, 2, power), rng))
    good = sync.stats.payloads
    sync.close()
    return 1 - good / count


def sensitivity(count: int, rng: np.random.Generator) -> None:
    lib = liquid_peer.library()
    frames = short_frames(count, rng)
    print("\n72 bytes in 1440 samples, packet error rate")
    print(f"  {'SNR dB':>7s} {'CFO':>6s} {'ours':>10s} {'framesync64':>12s}")
    for cfo in (0.0, 0.015, 0.1, 0.3):
        for snr in (1.0, 1.5, 2.0, 3.0, 5.0, 6.0, 7.0, 8.0) if cfo == 0 else (8.0,):
            ours = run_trials(frames, lambda burst, _, w=cfo: frequency_offset(burst, w), noise_variance(snr, 2), rng)
            theirs = f"{liquid_per(lib, count, snr, cfo, rng):.2e}" if lib is not None else "not there"
            print(f"  {snr:7.1f} {cfo:6.3f} {ours.per:10.2e} {theirs:>12s}", flush=True)
    rows = [("ours", frames.bursts[:200].reshape(-1))]
    if lib is not None:
        rows.append(("framesync64", liquid_peer.frames(lib, 200, rng).reshape(-1)))
    for name, stretch in rows:
        width = occupied_bandwidth(stretch)
        print(f"  {name}: occupied bandwidth (99 %) {width:.3f} of the sample rate, PAPR {papr_db(stretch):.1f} dB")


def packet_radio(count: int, rng: np.random.Generator) -> None:
    if not ofdm_peer.available():
        print("\nGNU Radio is not installed: ofdm_tx/ofdm_rx left out")
        return
    frames = image_frames(count, 96, "ae8x4", rng)
    robust = image_frames(count, 96, "ae8x4+outer", rng)
    samples, _ = ofdm_peer.packets(count, rng)
    print(f"\n96-byte packets delivered of {count}")
    print(f"  {'SNR dB':>7s} {'ours, ae8x4':>12s} {'with outer code':>16s} {'ofdm_rx':>8s}")
    for snr in (20.0, 15.0, 10.0, 5.0):
        plain, coded = (
            run_trials(one, lambda burst, _: burst, noise_variance(snr, 2), rng) for one in (frames, robust)
        )
        theirs, _, _ = ofdm_peer.receive(white_noise(samples, noise_variance(snr, 1), rng))
        print(f"  {snr:7.1f} {plain.right:12d} {coded.right:16d} {theirs:8d}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000)
    count = parser.parse_args().frames
    if liquid_peer.library() is None:
        print("libliquid is not installed (apt install libliquid1): framesync64 left out")
    rng = np.random.default_rng(1)
    throughput(count, rng)
    sensitivity(count, rng)
    packet_radio(min(count, 500), rng)


if __name__ == "__main__":
    main()
