"""Demappers, messages per second of one core: ours in numpy against torch doing the same on the same data.

python -m benchmarks.bench_codec [--messages 400000] [--codec image8x4]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from phy.codec.codec import Codec, shipped


def rate(work: Callable[[], object], messages: int, repeats: int = 3) -> float:
    """Best of ``repeats``, million messages per second of processor time."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return messages / best / 1e6


def table(codec: Codec, messages: int) -> list[tuple[str, float]]:
    rng = np.random.default_rng(1)
    sent = rng.integers(0, 1 << codec.k, messages)
    noise = rng.standard_normal((messages, codec.n, 2), np.float32).view(np.complex64)[..., 0]
    y = (codec.encode(sent) + np.float32(0.15) * noise).astype(np.complex64)
    features = torch.from_numpy(codec.features(y))
    points = torch.from_numpy(codec.features(codec.codebook).copy())
    few = y[: messages // 200]

    def torch_nearest() -> None:
        for part in features.split(1024):
            torch.cdist(part, points).argmin(dim=1)

    def torch_product() -> None:
        for part in features.split(1024):
            (part @ points.T).argmax(dim=1)

    def loop() -> None:
        for word in few:
            (np.abs(codec.codebook - word) ** 2).sum(axis=1).argmin()

    return [
        ("ML, numpy (phy.codec.codec)", rate(lambda: codec.demap(y), messages)),
        ("network, numpy (phy.codec.codec)", rate(lambda: codec.demap_neural(y), messages)),
        ("posteriors, numpy (phy.codec.codec)", rate(lambda: codec.posteriors(y[:50_000], 0.1), 50_000)),
        ("ML, torch product and argmax", rate(torch_product, messages)),
        ("ML, torch.cdist and argmin", rate(torch_nearest, messages)),
        ("ML, numpy, one message a turn", rate(loop, len(few))),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--codec", default="image8x4")
    options = parser.parse_args()
    torch.set_num_threads(1)
    codec = shipped(options.codec)
    rows = table(codec, options.messages)
    print(f"{codec.name}: k = {codec.k}, n = {codec.n}, one core")
    for name, speed in rows:
        print(f"  {name:32s} {speed:8.3f} M messages/s   {speed / rows[0][1]:6.3f}")


if __name__ == "__main__":
    main()
