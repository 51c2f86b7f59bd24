"""The burst modem's figures, measured: one command per row of the table.

    python -m phy.evaluation.modem cfo | clock | tdl | false | relock | delivery | throughput | short | hostile
    [--frames N] [--seed N]

Each prints a table; ``all`` runs every row that needs numpy and scipy only (``tdl`` takes its impulse responses from
Sionna, so it runs where Sionna is installed). SNR is Es/N0 at the matched filter's output [dB], noise is white over the
whole sampled band, PER counts every frame that was sent and not delivered exactly, whatever the reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from phy.channel.impairments import (
    Impairments,
    clock_offset,
    drop_samples,
    multipath,
    noise_variance,
    white_noise,
)
from phy.errors import PhyError
from phy.evaluation.hostile import foreign_samples, hostile_streams
from phy.evaluation.trials import Frames, Tally, image_frames, print_table, receive, run_trials, short_frames
from phy.modem.pulse import occupied_bandwidth, papr_db
from phy.modem.short import SHORT_LAYOUT, ShortFormat
from phy.modem.stream import StreamReceiver


def main(arguments: list[str] | None = None) -> int:
    """Command line; bad input ends in one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m phy.evaluation.modem", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("row", choices=[*ROWS, "all"])
    parser.add_argument("--frames", type=int, default=None, help="frames (or 10^6 samples for 'false') per point")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    try:
        print_rows(chosen.row, chosen.frames, chosen.seed)
    except PhyError as error:
        print(f"modem: {error}", file=sys.stderr)
        return 2
    return 0


def print_rows(row: str, frames: int | None = None, seed: int = 1) -> None:
    """Measure and print one row of ROWS, or ``all`` that need no Sionna.

    Args:
        frames: per point (10^6 samples for ``false``); None for the row's own number.

    Raises:
        PhyError: no such row, or no frames.
    """
    if row not in (*ROWS, "all"):
        raise PhyError(f"no row named {row!r}: choose one of {', '.join(ROWS)} or all")
    if frames is not None and frames < 1:
        raise PhyError(f"--frames must be at least 1, got {frames}")
    if seed < 0:
        raise PhyError(f"--seed must be at least 0, got {seed}")
    for name in [name for name in ROWS if name != "tdl"] if row == "all" else [row]:
        function, count = ROWS[name]
        function(frames or count, np.random.default_rng(seed))


def _per(tally: Tally) -> str:
    return f"{tally.per:.2e} ({tally.sent - tally.right}/{tally.sent})"


def _fixed(path: Impairments, rng: np.random.Generator) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda burst, _: path.apply(burst, rng)


def cfo(count: int, rng: np.random.Generator) -> None:
    """PER at the ends of the frequency range against PER at none, where one frame in some tens is lost."""
    rows = []
    for name, frames, snr in (
        ("short, 72 B", short_frames(count, rng), 1.75),
        ("image, 128 B, ae8x8", image_frames(count, 128, "ae8x8", rng), 5.5),
    ):
        for offset in (0.0, 0.1, 0.2, 0.3, -0.3):
            tally = run_trials(frames, _fixed(Impairments(cfo=offset), rng), noise_variance(snr, 2), rng)
            rows.append([name, f"{snr:.2f}", f"{offset:+.1f}", _per(tally), f"{np.std(tally.cfo):.1e}"])
    print_table("Carrier frequency offset", ["frame", "SNR dB", "CFO rad/sample", "PER", "CFO error, std"], rows)


def clock(count: int, rng: np.random.Generator) -> None:
    """Frames of 4096 channel uses, clocks apart, delay random."""
    frames = image_frames(count, 436, "ae8x8", rng)
    rows = []
    for snr in (7.0, 10.0):
        for ppm in (0.0, 50.0, 200.0, -200.0):
            tally = run_trials(frames, _late_clock(ppm, rng), noise_variance(snr, 2), rng)
            error = np.array(tally.clock_ppm) - ppm
            quality = f"{error.mean():+.1f} ± {error.std():.1f}"
            rows.append([frames.channel_uses, f"{snr:.1f}", f"{ppm:+.0f}", _per(tally), quality])
    print_table("Sample clock offset", ["channel uses", "SNR dB", "clock ppm", "PER", "estimate's error ppm"], rows)


def _late_clock(ppm: float, rng: np.random.Generator) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda burst, _: clock_offset(burst, ppm, rng.uniform(0, 1))


def tdl(count: int, rng: np.random.Generator) -> None:
    """Sionna's TDL-C, 300 ns, 10 Msps (2 samples a symbol), 15 dB: the equaliser on, and off."""
    from sionna.phy.channel.tr38901 import TDL

    from phy.channel.sionna_channel import SPEC_VERSION, seeded

    with seeded(int(rng.integers(1 << 31))):
        gains, delays = TDL("C", 300e-9, 2.4e9, spec_version=SPEC_VERSION)(count, 1, 10e6)
    gains = np.asarray(gains.detach().cpu()).reshape(count, -1)
    delays = np.asarray(delays.detach().cpu()).reshape(count, -1) * 10e6
    unit = gains / np.sqrt(np.sum(np.abs(gains) ** 2, axis=1, keepdims=True))
    rows = []
    for name, frames in (
        ("short, 72 B", short_frames(count, rng)),
        ("image, 128 B, ae8x4+outer", image_frames(count, 128, "ae8x4+outer", rng)),
        ("image, 128 B, ae8x8", image_frames(count, 128, "ae8x8", rng)),
    ):
        for fading, chosen in (("mean power 1", gains), ("every draw power 1", unit)):
            for equalise in (True, False):
                receiver = StreamReceiver(frames.layout, frames.frame_format, equalise=equalise)
                tally = run_trials(frames, _paths(chosen, delays), noise_variance(15.0, 2), rng, receiver=receiver)
                output = f"{np.median(tally.snr_db or [np.nan]):.1f}"
                rows.append([name, fading, "on" if equalise else "off", _per(tally), output])
    print_table(
        "TDL-C, 300 ns, 10 Msps, 15 dB, one draw a frame",
        ["frame", "normalised", "equaliser", "PER", "median SNR out dB"],
        rows,
    )


def _paths(gains: np.ndarray, delays: np.ndarray) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda burst, i: multipath(burst, gains[i], delays[i])


def false(count: int, rng: np.random.Generator) -> None:
    """Frames reported where none was sent; count is millions of noise samples, the other inputs get a tenth of it."""
    rows = []
    step = 1 << 20
    tenth = count // 10 or 1
    for name, millions in (
        ("white noise", count),
        ("sine, 40 dB above noise", tenth),
        ("QPSK, other rate and pulse", tenth),
        ("noise, half band", tenth),
    ):
        receivers = (StreamReceiver(), StreamReceiver(SHORT_LAYOUT, ShortFormat()))
        found, seconds = [0, 0], 0.0
        for k in range(max(1, round(millions * 1e6 / step))):
            samples = foreign_samples(name, step, k, rng)
            begin = time.perf_counter()
            for i, receiver in enumerate(receivers):
                found[i] += sum(frame.crc_ok for frame in receiver.push(samples))
            seconds += time.perf_counter() - begin
        size = receivers[0].counts["samples"]
        alarms = sum(one.counts["false_alarms"] for one in receivers)
        refused = sum(one.refusals.total() for one in receivers)
        rows.append([name, f"{size:.2e}", *found, alarms, refused, f"{2 * size / seconds / 1e6:.1f}"])
    columns = ["input", "samples", "image frames", "short frames", "no burst behind", "refused", "Msps"]
    print_table("False frames, image and short receiver on the same samples", columns, rows)


def relock(count: int, rng: np.random.Generator) -> None:
    """Samples deleted at random places of a stream of frames: is the frame after the hole delivered?"""
    rows = []
    for low, high in ((1, 10), (10, 100), (100, 1000), (1000, 10000)):
        trials = max(1, count // 4)
        good, hit = 0, 0
        frames = image_frames(12, 128, "ae8x8", rng, gap=30)
        size = frames.bursts.shape[1]
        stream = frames.bursts.reshape(-1)
        for _ in range(trials):
            at, gone = int(rng.integers(2 * size, 3 * size)), int(rng.integers(low, high + 1))
            samples = white_noise(drop_samples(stream, at, gone), noise_variance(10.0, 2), rng)
            got = {frame.header.sequence for frame in receive(StreamReceiver(), samples) if frame.crc_ok}
            following = -(-(at + gone) // size)  # first frame that begins after the hole
            good += following in got
            hit += len(set(range(12)) - got)
        rows.append([f"{low} to {high}", trials, f"{100 * good / trials:.1f} %", f"{hit / trials:.2f}"])
    print_table(
        "Lock after deleted samples, 10 dB",
        ["samples deleted", "holes", "next frame delivered", "frames lost a hole"],
        rows,
    )


def delivery(count: int, rng: np.random.Generator) -> None:
    """Everything at once at 10 dB: CFO to ±0.3 rad/sample, clock to ±50 ppm, delay, phase."""

    def impair(burst: np.ndarray, _: int) -> np.ndarray:
        path = Impairments(
            cfo=rng.uniform(-0.3, 0.3),
            clock_ppm=rng.uniform(-50, 50),
            delay=rng.uniform(0, 1),
            phase=rng.uniform(0, 6.28),
        )
        return path.apply(burst, rng)

    rows = []
    for name, frames in (
        ("image, 128 B, ae8x8", image_frames(count, 128, "ae8x8", rng)),
        ("short, 72 B", short_frames(count, rng)),
    ):
        tally = run_trials(frames, impair, noise_variance(10.0, 2), rng)
        share = f"{100 * tally.right / tally.sent:.3f} %"
        rows.append([name, tally.sent, tally.right, share, f"{np.mean(tally.snr_db):.2f}", tally.extra, tally.wrong])
    print_table(
        "Delivery at 10 dB with CFO, clock offset, delay and phase at once",
        ["frame", "sent", "delivered", "", "SNR estimate dB", "extra", "wrong"],
        rows,
    )


def throughput(count: int, rng: np.random.Generator) -> None:
    """Msps of the receiver, everything included, in wall time and in processor time."""
    rows = []
    cases: list[tuple[str, Frames | None]] = [
        ("noise only", None),
        ("image, 436 B, ae8x8, back to back", image_frames(count, 436, "ae8x8", rng)),
        ("image, 1024 B, ae8x4, back to back", image_frames(count, 1024, "ae8x4", rng)),
    ]
    for name, frames in cases:
        clean = np.zeros(4 << 20, np.complex64) if frames is None else frames.bursts.reshape(-1)
        samples = white_noise(clean, noise_variance(14.0, 2), rng)
        for workers in (1, 2):
            receiver = StreamReceiver(workers=workers)
            receive(receiver, samples[: len(samples) // 4])  # tables and caches
            wall, processor = time.perf_counter(), time.process_time()
            got = receive(receiver, samples)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            receiver.close()
            rows.append(
                [
                    name,
                    workers,
                    f"{len(samples):.1e}",
                    sum(frame.crc_ok for frame in got),
                    f"{len(samples) / wall / 1e6:.1f}",
                    f"{len(samples) / processor / 1e6:.1f}",
                ]
            )
    print_table(
        "Receive throughput", ["input", "workers", "samples", "frames", "Msps wall", "Msps per processor"], rows
    )


def short(count: int, rng: np.random.Generator, snrs: tuple[float, ...] = (1.0, 1.5, 1.75, 2.0, 2.5, 3.3)) -> None:
    """The 72-byte frame in 1440 samples: PER against SNR, with a random delay, phase and CFO in every frame."""
    frames = short_frames(count, rng)
    size = frames.bursts.shape[1]

    def impair(burst: np.ndarray, _: int) -> np.ndarray:
        path = Impairments(cfo=rng.uniform(-0.02, 0.02), delay=rng.uniform(0, 1), phase=rng.uniform(0, 6.28))
        return path.apply(burst, rng)

    rows, points = [], []
    for snr in snrs:
        tally = run_trials(frames, impair, noise_variance(snr, 2), rng)
        points.append((snr, max(tally.per, 0.5 / tally.sent)))
        rows.append([f"{snr:.2f}", _per(tally), tally.detected, tally.wrong])
    print_table(
        f"Short frame: 72 bytes in {size} samples, {frames.channel_uses} channel uses",
        ["SNR dB", "PER", "detected", "wrong"],
        rows,
    )
    log = np.log10([per for _, per in points])
    crossing = np.interp(2.0, -log, [snr for snr, _ in points])
    stretch = frames.bursts[:200].reshape(-1)
    print(f"  SNR at PER 1e-2: {crossing:.2f} dB; PAPR {papr_db(stretch):.1f} dB")
    print(f"  occupied bandwidth (99 %): {occupied_bandwidth(stretch):.3f} of the sample rate")


def hostile(count: int, rng: np.random.Generator) -> None:
    """Forged and mutated frames: refused by cause; an exception would end this run."""
    receiver, good, sent = StreamReceiver(), 0, 0
    for samples in hostile_streams(count, rng):
        good += sum(frame.crc_ok for frame in receiver.push(samples))
        sent += 1
    receiver.flush()
    rows = [["frames accepted", good]]
    rows += [[f"refused: {cause}", number] for cause, number in receiver.refusals.most_common()]
    rows += [[f"counted: {what}", number] for what, number in receiver.counts.most_common()]
    print_table(f"{count} forged and mutated frames in {sent} stretches", ["what", "number"], rows)


ROWS: dict[str, tuple[Callable[[int, np.random.Generator], None], int]] = {
    "cfo": (cfo, 10000), "clock": (clock, 2000), "tdl": (tdl, 4000), "false": (false, 100), "relock": (relock, 1000),
    "delivery": (delivery, 10000), "throughput": (throughput, 250), "short": (short, 10000),
    "hostile": (hostile, 100000),
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
