"""Training pictures of the picture code: crops of photographs at several scales, and the principal components.

Training: the photographs of every subject but its last one, and the pets whose number does not end in 7. Validation:
the pets whose number ends in 7. No other photograph is read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from privsc.errors import ConfigError

SUFFIXES = {".jpg", ".jpeg", ".png"}
SCALES = {"subjects": (1.0, 0.7, 0.5, 0.35), "pets": (1.0, 0.75, 0.5)}
BLOCK = 8


def subject_photos(root: Path) -> list[Path]:
    """All photographs of the subjects in ``root``/subjects, without each one's last."""
    photos: list[Path] = []
    for folder in sorted(path for path in (root / "subjects").glob("*") if path.is_dir()):
        photos += sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)[:-1]
    return photos


def pet_photos(root: Path, validation: bool) -> list[Path]:
    """Pets in ``root``/pets/images: those whose number ends in 7 for validation, else the others."""
    photos = sorted(path for path in (root / "pets" / "images").glob("*") if path.suffix.lower() in SUFFIXES)
    return [path for path in photos if path.stem.endswith("7") == validation]


def read_rgb(path: Path, scale: float = 1.0) -> np.ndarray:
    """A photograph as [H, W, 3] uint8, made smaller by ``scale`` with antialiasing."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    if scale != 1.0:
        size = (max(BLOCK, round(image.width * scale)), max(BLOCK, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image)


class Crops:
    """Random crops of the training pictures, all of which lie in memory at every scale.

    Args:
        root: a folder laid out as PRIVSC_PHOTOS is.
        side: side of a crop [px], a multiple of 8.
    """

    def __init__(self, root: Path, side: int) -> None:
        if side < BLOCK or side % BLOCK:
            raise ConfigError(f"crops must be a multiple of {BLOCK} px, got {side}")
        self.side = side
        files = {"subjects": subject_photos(root), "pets": pet_photos(root, validation=False)}
        self.pools: list[list[list[np.ndarray]]] = []  # kinds, photographs, scales
        for kind, paths in files.items():
            scaled = [[read_rgb(path, scale) for scale in SCALES[kind]] for path in paths]
            usable = [[a for a in photo if min(a.shape[:2]) >= side] for photo in scaled]
            if pool := [photo for photo in usable if photo]:
                self.pools.append(pool)
        if not self.pools:
            raise ConfigError(f"{root}: no training photograph of at least {side} px: set PRIVSC_PHOTOS")

    def __len__(self) -> int:
        return sum(map(len, self.pools))

    def together(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Crops of one photograph, [count, side, side, 3] float32 from -0.5 to 0.5.

        Photograph, scale, flip, turn, contrast and brightness are random and the same for all, places are random.
        """
        pool = self.pools[rng.integers(len(self.pools))]
        photo = pool[rng.integers(len(pool))]
        source = photo[rng.integers(len(photo))]
        places = [[int(rng.integers(size - self.side + 1)) for size in source.shape[:2]] for _ in range(count)]
        parts = [source[top : top + self.side, left : left + self.side] for top, left in places]
        crops = np.rot90(np.stack(parts).astype(np.float32) / 255 - 0.5, 2 * int(rng.integers(2)), (1, 2))
        if rng.random() < 0.5:
            crops = crops[:, :, ::-1]
        if rng.random() < 0.3:
            crops = np.swapaxes(crops, 1, 2)
        if rng.random() < 0.5:
            crops = crops * rng.uniform(0.7, 1.15) + rng.uniform(-0.08, 0.08)
        return np.clip(crops, -0.5, 0.5).astype(np.float32)

    def batch(self, rng: np.random.Generator, photographs: int, crops: int) -> np.ndarray:
        """[photographs · crops, side, side, 3] float32, the crops of one photograph in a row."""
        return np.concatenate([self.together(rng, crops) for _ in range(photographs)])


def hidden_shapes(rng: np.random.Generator, count: int, side: int, share: float) -> np.ndarray:
    """Random ellipses and rectangles to hide, [count, side, side, 1] float32; a ``share`` of the crops has one."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    hidden = np.zeros((count, side, side, 1), np.float32)
    for index in np.flatnonzero(rng.random(count) < share):
        centre, radius = rng.uniform(0, side, 2), rng.uniform(0.1, 0.45, 2) * side
        u, v = np.abs(rows - centre[0]) / radius[0], np.abs(columns - centre[1]) / radius[1]
        inside = u**2 + v**2 < 1 if rng.random() < 0.5 else np.maximum(u, v) < 1
        hidden[index, ..., 0] = inside
    return hidden


def principal_components(crops: Crops, rng: np.random.Generator, count: int = 3000) -> tuple[np.ndarray, ...]:
    """Mean [192], components as rows [192, 192] and energies [192] of 8×8 blocks, float32, by falling energy."""
    total, square, number = np.zeros(192), np.zeros((192, 192)), 0
    for _ in range(count):
        crop = crops.together(rng, 1)[0]
        side = crop.shape[0] // BLOCK
        blocks = crop.reshape(side, BLOCK, side, BLOCK, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 192)
        total += blocks.sum(0)
        square += blocks.T.astype(np.float64) @ blocks
        number += len(blocks)
    mean = total / number
    values, vectors = np.linalg.eigh(square / number - np.outer(mean, mean))
    energies = np.maximum(values[::-1], 1e-7)
    return mean.astype(np.float32), vectors[:, ::-1].T.astype(np.float32).copy(), energies.astype(np.float32)
