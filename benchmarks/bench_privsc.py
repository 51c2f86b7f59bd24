"""Parts of the models side beside a well-known package doing the same work, in the same process.

    .venv/bin/python -m benchmarks.bench_privsc

Ratios, since seconds depend on the machine: below 1 the project's part is quicker. Quality stands beside speed where
a quicker answer could be a worse one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import komm
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from skimage import data
from skimage.restoration import inpaint_biharmonic
from skimage.transform import resize

from phy.codec.codec import Codec
from privsc.datasets.builtin import views
from privsc.guard.guard import Guard
from privsc.images import metrics
from privsc.networks.backbone import load_lite0
from privsc.networks.image_encoder import load_encoder
from privsc.networks.mask_decoder import load_segmenter
from privsc.transport.concealment import conceal


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median time of one call [s], after one that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def concealment(table: Table) -> None:
    """A fifth of the pixels lost: ours against scikit-image's biharmonic inpainting."""
    photo = np.uint8(255 * resize(data.chelsea(), (96, 144), anti_aliasing=True))
    lost = np.random.default_rng(0).random(photo.shape[:2]) < 0.2
    harmed = np.where(lost[:, :, None], 0, photo).astype(np.uint8)
    lost_samples = np.repeat(lost[:, :, None], 3, axis=2)

    def biharmonic() -> np.ndarray:
        filled = inpaint_biharmonic(harmed, lost, channel_axis=-1)
        return np.uint8(np.clip(np.rint(filled * 255), 0, 255))

    ours, peer = seconds(lambda: conceal(harmed, lost_samples)), seconds(biharmonic, 1)
    quality = [metrics.psnr(photo, image) for image in (conceal(harmed, lost_samples), biharmonic())]
    _row(
        table,
        "conceal 20 % lost pixels, 96x144",
        ours,
        "scikit-image inpaint_biharmonic",
        peer,
        f"{quality[0]:.1f} / {quality[1]:.1f} dB",
    )


def codec(table: Table) -> None:
    """125,000 bytes at 10 dB: maximum likelihood over 256 codewords of 4 uses against komm's nearest point of 4-QAM."""
    rng = np.random.default_rng(0)
    learned, qam = Codec.load("image8x4"), komm.QAMConstellation(4)
    messages = rng.integers(0, 256, 125_000)
    digits = (messages[:, None] >> np.array([6, 4, 2, 0])) & 3  # [n, 4], one 4-QAM symbol each

    def noisy(symbols: np.ndarray) -> np.ndarray:
        deviation = np.sqrt(np.mean(np.abs(symbols) ** 2) / 10 / 2)  # Es/N0 = 10 dB
        noise = rng.normal(0, deviation, (2, *symbols.shape))
        return (symbols + noise[0] + 1j * noise[1]).astype(np.complex64)

    ours_y, peer_y = noisy(learned.encode(messages)), noisy(qam.indices_to_symbols(digits))
    ours, peer = seconds(lambda: learned.demap(ours_y)), seconds(lambda: qam.closest_indices(peer_y))
    wrong = np.mean(learned.demap(ours_y) != messages)
    peer_wrong = np.mean((qam.closest_indices(peer_y) != digits).any(axis=1))
    _row(
        table,
        "decide 125,000 bytes at 10 dB",
        ours,
        "komm 4-QAM, uncoded",
        peer,
        f"wrong bytes {wrong:.2%} / {peer_wrong:.2%}",
    )


def guard(table: Table) -> None:
    """The whole guard against one bare pass of its backbone: what finding and masking cost on top."""
    from privsc.images.photo_io import encode_png
    from privsc.system.enrol import make_entity

    photos = views(data.chelsea(), 3, 0)
    entity = make_entity("Chelsea", [encode_png(photo) for photo in photos[:2]], class_word="cat")
    whole = Guard(load_encoder(), load_segmenter())
    backbone, pixels = load_lite0(), torch.zeros(1, 3, 384, 384)

    def bare() -> object:
        with torch.no_grad():
            return backbone(pixels)

    ours, peer = seconds(lambda: whole(photos[2], [entity])), seconds(bare)
    _row(table, "guard, one photograph", ours, "its EfficientNet-Lite0 alone", peer, "")


def _row(table: Table, what: str, ours: float, peer: str, theirs: float, quality: str) -> None:
    table.add_row(what, f"{1000 * ours:.1f} ms", peer, f"{1000 * theirs:.1f} ms", f"{ours / theirs:.2f}", quality)


def main() -> None:
    """Measure and print."""
    table = Table("work", "here", "peer", "there", "ratio", "quality, here / there")
    for part in (concealment, codec, guard):
        part(table)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
