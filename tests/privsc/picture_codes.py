"""A small, untrained picture code around a real linear code, and pictures that look a little like photographs."""

from functools import cache

import numpy as np
import torch

from phy.codec.codec import shipped
from privsc.compute import initial_values
from privsc.networks.picture_code import PictureCode, PictureCodeConfig, to_blocks
from privsc.networks.picture_code_file import PictureCodeFile
from privsc.networks.picture_mixing import Points

SMALL = PictureCodeConfig(encoder_width=16, encoder_depth=1, decoder_width=16, decoder_depth=1)
DIGEST = b"\x01\x02\x03\x04"


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """Sums of random waves whose amplitude falls with frequency, [H, W, 3] uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    total = np.zeros((height, width, 3))
    for _ in range(40):
        wave = rng.normal(0, 0.08, 2) * rng.uniform(0.1, 4)
        shape = np.cos(rows * wave[0] + columns * wave[1] + rng.uniform(0, 7))
        total += shape[..., None] * rng.normal(0.6, 0.4, 3) * 6 / (1 + 30 * np.hypot(*wave))
    return np.clip(128 + 12 * total, 0, 255).astype(np.uint8)


@cache
def components() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean, basis and energies of such pictures' blocks."""
    pictures = np.stack([picture(96, 96, seed) for seed in range(100, 110)]).astype(np.float32) / 255 - 0.5
    blocks = to_blocks(torch.from_numpy(pictures)).flatten(0, 2)
    values, vectors = torch.linalg.eigh(torch.cov(blocks.T) + 1e-6 * torch.eye(192))
    return blocks.mean(0), vectors.flip(1).T.contiguous(), values.flip(0)


def small_model(seed: int = 0, stirred: float = 0.0) -> PictureCode:
    """An untrained model; ``stirred`` gives the last layers, which start at zero, random weights of that size."""
    with initial_values(seed):
        model = PictureCode(SMALL, *components())
        for layer in (model.encoder.outward, model.decoder.outward):
            torch.nn.init.normal_(layer.weight, std=stirred) if stirred else None
    return model.eval()


@cache
def small_code() -> PictureCodeFile:
    """The model with the shipped codec's points."""
    codec = shipped("picture8x1")
    points = Points(codec.codebook[:, 0], codec.prior, codec.training["rounding"])
    return PictureCodeFile(small_model(stirred=0.02), points, DIGEST)
