"""Demappers, messages per second of one core: ours in numpy against torch doing the same on the same data, in turns.

PYTHONPATH=. .venv/bin/python -m benchmarks.bench_codec [--messages 400000] [--codec image8x4] [--rounds 5]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.table import Row, in_turns, parser, positive, timed, write_rows
from phy.codec.codec import Codec, shipped

OURS = "ML, numpy (phy.codec.codec)"
PRODUCT, NEAREST = "ML, torch product and argmax", "ML, torch.cdist and argmin"


def speeds(codec: Codec, messages: int, rounds: int) -> dict[str, float]:
    """Million messages a second of processor time, by what was measured."""
    rng = np.random.default_rng(1)
    sent = rng.integers(0, 1 << codec.k, messages)
    noise = rng.standard_normal((messages, codec.n, 2), np.float32).view(np.complex64)[..., 0]
    y = (codec.encode(sent) + np.float32(0.15) * noise).astype(np.complex64)
    features = torch.from_numpy(codec.features(y))
    points = torch.from_numpy(codec.features(codec.codebook).copy())
    few = y[: max(messages // 200, 1)]

    def torch_nearest() -> None:
        for part in features.split(1024):
            torch.cdist(part, points).argmin(dim=1)

    def torch_product() -> None:
        for part in features.split(1024):
            (part @ points.T).argmax(dim=1)

    def loop() -> None:
        for word in few:
            (np.abs(codec.codebook - word) ** 2).sum(axis=1).argmin()

    few_of_all = min(50_000, messages)
    works: dict[str, tuple[Callable[[], object], int]] = {
        OURS: (lambda: codec.demap(y), messages),
        "network, numpy (phy.codec.codec)": (lambda: codec.demap_neural(y), messages),
        "posteriors, numpy (phy.codec.codec)": (lambda: codec.posteriors(y[:few_of_all], 0.1), few_of_all),
        PRODUCT: (torch_product, messages),
        NEAREST: (torch_nearest, messages),
        "ML, numpy, one message a turn": (loop, len(few)),
    }
    for work, _ in works.values():
        work()  # tables and threads are made at the first use
    runs = in_turns({name: (lambda work=work: timed(work)) for name, (work, _) in works.items()}, rounds)
    return {name: works[name][1] / run.spent.processor / 1e6 for name, run in runs.items()}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--messages", type=positive, default=400_000)
    options.add_argument("--codec", default="image8x4")
    given = options.parse_args()
    torch.set_num_threads(1)
    codec = shipped(given.codec)
    found = speeds(codec, given.messages, given.rounds)
    print(f"{codec.name}: k = {codec.k}, n = {codec.n}, one core")
    for name, speed in found.items():
        print(f"  {name:36s} {speed:8.3f} M messages/s   {speed / found[OURS]:6.3f}")
    what, unit = f"nearest codeword, {codec.name}", "M messages per processor second"
    write_rows(given.rows, [Row(what, found[OURS], peer, found[peer], unit) for peer in (PRODUCT, NEAREST)])


if __name__ == "__main__":
    main()
