"""Parts of the models side beside a well-known package doing the same work, in the same process.

    PYTHONPATH=. .venv/bin/python -m benchmarks.bench_privsc [--rounds 5]

Ratios, since seconds depend on the machine: above 1 the project's part is quicker. Quality stands beside speed where
a quicker answer could be a worse one. The sides take turns.
"""

from __future__ import annotations

from collections.abc import Callable

import komm
import numpy as np
import torch
from skimage import data
from skimage.restoration import inpaint_biharmonic
from skimage.transform import resize

from benchmarks.table import Row, in_turns, parser, timed, write_rows
from phy.codec.codec import Codec
from privsc.datasets.builtin import views
from privsc.guard.guard import Guard
from privsc.images import metrics
from privsc.networks.backbone import load_lite0
from privsc.networks.image_encoder import load_encoder
from privsc.networks.mask_decoder import load_segmenter
from privsc.transport.concealment import conceal


def compared(what: str, work: Callable, peer: str, other: Callable, rounds: int, note: str = "") -> Row:
    """Milliseconds of processor time of each, after a call of each that warms up; printed."""
    for one in (work, other):
        one()
    runs = in_turns({"ours": lambda: timed(work), peer: lambda: timed(other)}, rounds)
    ours, theirs = (1000 * runs[name].spent.processor for name in ("ours", peer))
    row = Row(what, ours, peer, theirs, "ms of processor time", more=False, note=note)
    print(f"{what:36s} {ours:9.1f} ms   {peer:32s} {theirs:9.1f} ms   ratio {row.ratio:6.2f}   {note}", flush=True)
    return row


def concealment(rounds: int) -> Row:
    """A fifth of the pixels lost: ours against scikit-image's biharmonic inpainting."""
    photo = np.uint8(255 * resize(data.chelsea(), (96, 144), anti_aliasing=True))
    lost = np.random.default_rng(0).random(photo.shape[:2]) < 0.2
    harmed = np.where(lost[:, :, None], 0, photo).astype(np.uint8)
    lost_samples = np.repeat(lost[:, :, None], 3, axis=2)

    def biharmonic() -> np.ndarray:
        filled = inpaint_biharmonic(harmed, lost, channel_axis=-1)
        return np.uint8(np.clip(np.rint(filled * 255), 0, 255))

    def ours() -> np.ndarray:
        return conceal(harmed, lost_samples)

    quality = [metrics.psnr(photo, image) for image in (ours(), biharmonic())]
    note = f"PSNR {quality[0]:.1f} / {quality[1]:.1f} dB"
    what = "conceal 20 % lost pixels, 96x144"
    return compared(what, ours, "scikit-image inpaint_biharmonic", biharmonic, min(rounds, 3), note)


def codec(rounds: int) -> Row:
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

    def ours() -> np.ndarray:
        return learned.demap(ours_y)

    def peer() -> np.ndarray:
        return qam.closest_indices(peer_y)

    wrong = np.mean(ours() != messages)
    peer_wrong = np.mean((peer() != digits).any(axis=1))
    note = f"wrong bytes {wrong:.2%} / {peer_wrong:.2%}"
    return compared("decide 125,000 bytes at 10 dB", ours, "komm 4-QAM, uncoded", peer, rounds, note)


def guard(rounds: int) -> Row:
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

    def ours() -> object:
        return whole(photos[2], [entity])

    return compared(
        "guard, one photograph", ours, "its EfficientNet-Lite0 alone", bare, rounds, "the peer is a part of it"
    )


def main() -> None:
    """Measure and print."""
    given = parser(__doc__).parse_args()
    torch.set_num_threads(1)
    write_rows(given.rows, [part(given.rounds) for part in (concealment, codec, guard)])


if __name__ == "__main__":
    main()
