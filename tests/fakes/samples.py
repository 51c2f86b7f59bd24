"""Small pictures and entities for tests: a textured scene, an entity of K without any network."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from privsc.images.photo_io import encode_png
from privsc.knowledge.database import Entity, Sample


def scene(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """[H, W, 3] uint8: a smooth colour gradient with mild texture, no value near 0."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    base = np.stack([80 + rows, 120 + columns // 2, 200 - rows], axis=-1).astype(float)
    return np.clip(base + rng.normal(0, 4, base.shape), 10, 255).astype(np.uint8)


def encoded(image: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def unit(vectors: np.ndarray) -> np.ndarray:
    """[..., d] to float32 of norm 1 along the last axis."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def make_entity(name: str = "Vicky", seed: int = 0, dim: int = 16, **changes: object) -> Entity:
    rng = np.random.default_rng(seed)
    mask = np.zeros((48, 64), bool)
    mask[10:30, 10:40] = True
    fields: dict = {
        "name": name,
        "prompt": f"a photo of the cat {name}",
        "class_word": "cat",
        "samples": (Sample(encoded(scene(seed=seed)), encode_png(mask)),),
        "f_k": unit(rng.normal(size=dim)),
        "prototypes": unit(rng.normal(size=(3, dim))),
        "text_embedding": unit(rng.normal(size=24)),
        "gamma": 0.5,
        "adapter": b"adapter bytes",
    }
    return Entity(**(fields | changes))
