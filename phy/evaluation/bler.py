"""Block error rate against Eb/N0: learned codecs, classical schemes and limits on one plot.

    python -m phy.evaluation.bler --schemes real-7-4 bpsk-8-8 hamming-ml --from 0 --to 8 --step 1 --out results/bler

Each point stops at ``--errors`` block errors (100 by default) or at ``--blocks`` blocks, and carries a 95 % interval
(Clopper and Pearson 1934). Writes bler.csv and bler.png; a point that bler.csv holds already is not simulated again.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phy.codec.codec import Codec, available
from phy.errors import PhyError
from phy.evaluation import baselines
from phy.evaluation.metrics import awgn, interval95

Errors = Callable[[float, int, np.random.Generator], int]


@dataclass(frozen=True)
class Scheme:
    """k bits in n channel uses (real or complex); errors(eb_n0_db, blocks, rng) simulates and counts wrong blocks."""

    name: str
    k: int
    n: int
    errors: Errors
    batch: int = 50_000
    most_blocks: int = 1 << 62  # for schemes too slow for the command's limit


@dataclass(frozen=True)
class Point:
    """One simulated point with its 95 % interval."""

    scheme: str
    eb_n0_db: float
    blocks: int
    errors: int

    @property
    def bler(self) -> float:
        return self.errors / self.blocks

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson, 95 %."""
        return interval95(self.errors, self.blocks)


def codec_scheme(codec: Codec, demap: Callable[[np.ndarray], np.ndarray] | None = None, name: str = "") -> Scheme:
    """A codec with its ML demapper, or another one, as a scheme."""
    decide = demap or codec.demap

    def errors(eb_n0_db: float, blocks: int, rng: np.random.Generator) -> int:
        sent = rng.integers(0, 1 << codec.k, blocks)
        noise_power = codec.n / codec.k / float(baselines.from_db(eb_n0_db))
        return int(np.count_nonzero(decide(awgn(codec.encode(sent), noise_power, codec.real, rng)) != sent))

    return Scheme(name or codec.name, codec.k, codec.n, errors)


def komm_hamming_ml() -> Scheme:
    """komm's Hamming (7, 4) under its exhaustive soft decoder (komm comes with the extra ``dev``)."""
    try:
        import komm
    except ImportError:
        raise PhyError("scheme komm-hamming-ml needs the package komm: pip install '.[dev]'") from None
    code = komm.HammingCode(3)
    decoder = komm.ExhaustiveCodewordDecoder(code, input_type="soft")

    def errors(eb_n0_db: float, blocks: int, rng: np.random.Generator) -> int:
        bits = rng.integers(0, 2, (blocks, 4))
        sigma = np.sqrt(7 / 4 / 2 / float(baselines.from_db(eb_n0_db)))
        y = 1.0 - 2.0 * np.asarray(code.encode(bits)) + sigma * rng.standard_normal((blocks, 7))
        return int(np.count_nonzero(np.any(np.asarray(decoder.decode(2 * y / sigma**2)) != bits, axis=1)))

    return Scheme("komm-hamming-ml", 4, 7, errors, batch=20_000)


def scheme(name: str) -> Scheme:
    """A scheme by name: a shipped codec (with suffix ``:neural`` its network demapper) or one of BASELINES."""
    if name in BASELINES:
        return BASELINES[name]()
    base, _, suffix = name.partition(":")
    if base in available() or base.endswith(".npz"):
        codec = Codec.load(base)
        return codec_scheme(codec, codec.demap_neural if suffix == "neural" else None, name)
    raise PhyError(f"no scheme named {name!r}: choose from {', '.join([*BASELINES, *available()])}")


def _ldpc(bits: int, k: int, n: int) -> Callable[[], Scheme]:
    def build() -> Scheme:
        from phy.evaluation.ldpc import qam_ldpc_errors  # torch and Sionna

        return Scheme(f"qam{1 << bits}-ldpc-{k}-{n}", k, n // bits, qam_ldpc_errors(bits, k, n), 100, 20_000)

    return build


BASELINES: dict[str, Callable[[], Scheme]] = {
    "bpsk-2-2": lambda: codec_scheme(baselines.bpsk_codec(2)),
    "bpsk-8-8": lambda: codec_scheme(baselines.bpsk_codec(8)),
    "hamming-hard": lambda: codec_scheme(baselines.hamming_codec(), baselines.hamming_hard_decode, "hamming-hard"),
    "hamming-ml": lambda: codec_scheme(baselines.hamming_codec(), name="hamming-ml"),
    "komm-hamming-ml": komm_hamming_ml,
    "qam-4": lambda: codec_scheme(baselines.gray_qam_codec(2)),
    "qam-16": lambda: codec_scheme(baselines.gray_qam_codec(4)),
    "qam4-ldpc-256-512": _ldpc(2, 256, 512),  # 1 bit per complex use, as k = 8 in 8
    "qam16-ldpc-512-1024": _ldpc(4, 512, 1024),  # 2 bits per complex use, as k = 8 in 4
}

LIMITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "BPSK (8, 8), formula": lambda e: baselines.bpsk_bler(e, 8),
    "Hamming (7, 4) union bound": baselines.hamming_union_bound,
    "Shannon-59 (7, 4)": lambda e: baselines.shannon59(e, 7, 4),
    "Shannon-59 (8, 8)": lambda e: baselines.shannon59(e, 8, 8),
    "normal approximation (512 real uses, 512 bit)": lambda e: baselines.normal_approximation(e, 512, 512),
}


def simulate(one: Scheme, eb_n0_db: float, *, errors: int = 100, blocks: int = 10_000_000, seed: int = 1) -> Point:
    """Blocks in batches until ``errors`` block errors or ``blocks`` blocks."""
    blocks = min(blocks, one.most_blocks)
    rng = np.random.default_rng([seed, round(1000 * (eb_n0_db + 100)), zlib.crc32(one.name.encode())])
    done = wrong = 0
    while wrong < errors and done < blocks:
        batch = min(one.batch, blocks - done)
        wrong += one.errors(eb_n0_db, batch, rng)
        done += batch
    return Point(one.name, eb_n0_db, done, wrong)


def required_eb_n0_db(
    one: Scheme,
    target: float = 1e-3,
    *,
    low: float = 0.0,
    high: float = 12.0,
    errors: int = 4000,
    blocks: int = 20_000_000,
) -> float:
    """Eb/N0 [dB] at which the block error rate is ``target``: a coarse bisection, then a straight line through log10
    BLER at three points 0.2 dB apart, each of ``errors`` block errors."""
    while high - low > 0.25:
        middle = (low + high) / 2
        low, high = (middle, high) if simulate(one, middle, errors=200, seed=2).bler > target else (low, middle)
    grid = (low + high) / 2 + np.array([-0.2, 0.0, 0.2])
    rates = [simulate(one, float(e), errors=errors, blocks=blocks, seed=3).bler for e in grid]
    slope, offset = np.polyfit(grid, np.log10(rates), 1)
    return float((np.log10(target) - offset) / slope)


def read_points(path: Path) -> list[Point]:
    """Points of an earlier run, none where there is no file."""
    if not path.exists():
        return []
    try:
        with path.open(newline="") as file:
            return [
                Point(row["scheme"], float(row["eb_n0_db"]), int(row["blocks"]), int(row["errors"]))
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError):
        raise PhyError(f"{path} is not a file of this program: delete it or choose another --out") from None


def write_points(path: Path, points: list[Point]) -> None:
    """All points as CSV, through a temporary name."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["scheme", "eb_n0_db", "blocks", "errors", "bler", "low_95", "high_95"])
        for p in points:
            low, high = p.interval
            out.writerow([p.scheme, p.eb_n0_db, p.blocks, p.errors, f"{p.bler:.4g}", f"{low:.4g}", f"{high:.4g}"])
    temporary.replace(path)


def plot(points: list[Point], path: Path) -> None:
    """Curves with their intervals, limits dashed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 6.5), constrained_layout=True)
    axes.set_prop_cycle(color=[pyplot.get_cmap("tab20")(i) for i in range(20)])
    for name in dict.fromkeys(p.scheme for p in points):
        mine = sorted((p for p in points if p.scheme == name and p.errors), key=lambda p: p.eb_n0_db)
        rate = np.array([p.bler for p in mine])
        spread = np.abs(np.array([p.interval for p in mine]).reshape(-1, 2).T - rate)
        axes.errorbar([p.eb_n0_db for p in mine], rate, spread, marker="o", markersize=3, capsize=2, label=name)
    x = np.linspace(min(p.eb_n0_db for p in points), max(p.eb_n0_db for p in points), 100)
    for name, formula in LIMITS.items():
        axes.plot(x, formula(x), "--", linewidth=1, label=name)
    axes.set(yscale="log", ylim=(1e-5, 1), xlabel="Eb/N0 [dB]", ylabel="block error rate (95 % intervals)")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


SCHEMES = ("real-2-2", "real-7-4", "real-8-8", "bpsk-2-2", "bpsk-8-8", "hamming-hard", "hamming-ml", "image8x4",
           "ae8x4", "qam16-ldpc-512-1024")  # fmt: skip
"""What is compared where nothing is chosen."""
MOST_POINTS = 1000


def grid(first: float, last: float, step: float) -> np.ndarray:
    """Eb/N0 [dB] from first to last, [points] float64; raises PhyError where that is no grid, or one of too many."""
    if not (step > 0 and first <= last and np.isfinite([first, last, step]).all()):
        raise PhyError(f"the step must be positive and --from at most --to, got {first:g} to {last:g} by {step:g}")
    if (last - first) / step >= MOST_POINTS:
        raise PhyError(f"at most {MOST_POINTS} points a curve, got {(last - first) / step:.0f}: choose a larger --step")
    return np.arange(first, last + 1e-9, step)


def check_effort(errors: int, blocks: int) -> None:
    """Refuse a simulation that could not begin."""
    if errors < 1 or blocks < 1:
        raise PhyError(f"--errors and --blocks must be positive, got {errors} and {blocks}")


def sweep(
    wanted: list[Scheme], points_db: np.ndarray, out: Path, *, errors: int = 100, blocks: int = 10_000_000
) -> None:
    """All schemes over the grid into ``out``/bler.csv and bler.png, a line printed for each point.

    A curve ends below BLER 1e-5, or where the blocks ran out before the errors.
    """
    check_effort(errors, blocks)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "bler.csv"
    points = read_points(path)
    for one in wanted:
        for eb_n0_db in (round(float(e), 4) for e in points_db):
            point = next((p for p in points if (p.scheme, p.eb_n0_db) == (one.name, eb_n0_db)), None)
            if point is None:
                point = simulate(one, eb_n0_db, errors=errors, blocks=blocks)
                points.append(point)
                write_points(path, points)
            low, high = point.interval
            print(f"{one.name:24s} {eb_n0_db:6.2f} dB  {point.bler:9.3e}  [{low:.2e}, {high:.2e}]", flush=True)
            if point.bler < 1e-5 or point.errors < errors:
                break
    plot(points, out / "bler.png")


def print_required(wanted: list[Scheme], target: float, errors: int = 4000) -> None:
    """One line a scheme: the Eb/N0 [dB] at which its block error rate is ``target``."""
    if not 1e-7 <= target <= 0.5:
        raise PhyError(f"--at must be a block error rate of 1e-7 to 0.5, got {target:g}")
    for one in wanted:
        required = required_eb_n0_db(one, target, errors=max(errors, 4000))
        print(f"{one.name:24s} BLER {target:g} at Eb/N0 {required:6.3f} dB", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Command line; bad input ends in one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m phy.evaluation.bler", description="Block error rate against Eb/N0")
    parser.add_argument("--schemes", nargs="+", default=list(SCHEMES))
    parser.add_argument("--from", dest="first", type=float, default=0.0)
    parser.add_argument("--to", dest="last", type=float, default=8.0)
    parser.add_argument("--step", type=float, default=1.0)
    parser.add_argument("--errors", type=int, default=100)
    parser.add_argument("--blocks", type=int, default=10_000_000)
    parser.add_argument("--at", type=float, help="only print the Eb/N0 at this block error rate for each scheme")
    parser.add_argument("--out", type=Path, default=Path("results/bler"))
    options = parser.parse_args(argv)
    try:
        points_db = grid(options.first, options.last, options.step)
        check_effort(options.errors, options.blocks)
        wanted = [scheme(name) for name in options.schemes]
        if options.at is not None:
            print_required(wanted, options.at, options.errors)
        else:
            sweep(wanted, points_db, options.out, errors=options.errors, blocks=options.blocks)
    except PhyError as error:
        print(f"bler: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
