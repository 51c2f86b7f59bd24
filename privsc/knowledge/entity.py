"""What K holds of one private entity, and how it is checked."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass, field

import numpy as np

from privsc.errors import EntityError

MAX_ENTITIES = 65_535  # an index travels as 16 bits
MAX_NAME = 64  # [characters]
JOINERS = dict.fromkeys((0x200C, 0x200D))  # not printable by themselves; Persian, Hindi and emoji need them
MAX_PROMPT = 400  # [characters]
MAX_ADAPTER = 16 * 1024 * 1024  # [bytes]
MAX_PHOTO = 16 * 1024 * 1024  # [bytes] of one photograph; enrolment stores some 200 kB
MAX_MASK = 1024 * 1024  # [bytes] of one silhouette; enrolment stores a few kB
MAX_SAMPLES = 1024  # of one entity
MAX_FEATURES = 8192  # values of f_k or of a text embedding
MAX_PROTOTYPES = 256
MAX_GAMMA = 0.95  # no encoder's calibration goes beyond; above, nothing would ever be found, and so never be hidden
NORM_TOLERANCE = 0.02  # of vectors whose norm is 1


@dataclass(frozen=True)
class Sample:
    """One photograph of S_k, encoded (JPEG, PNG, ...), and the entity's silhouette in it (PNG of an HW mask)."""

    photo: bytes
    mask_png: bytes

    def __post_init__(self) -> None:
        for label, data, limit in (("photograph", self.photo, MAX_PHOTO), ("silhouette", self.mask_png, MAX_MASK)):
            if not isinstance(data, bytes) or not 1 <= len(data) <= limit:
                got = len(data) if isinstance(data, bytes) else type(data).__name__
                raise EntityError(f"a sample's {label} must be 1 to {limit} bytes; got {got}: enrol the entity again")


@dataclass(frozen=True, eq=False)
class Entity:
    """What K knows of one private entity.

    Attributes:
        name: how people call it; unique in K whatever its case.
        prompt: the text whose embedding is sent or looked up as i, e.g. "a photo of the cat Vicky".
        class_word: the generic word for it, e.g. "cat"; the only thing an eavesdropper may know.
        samples: S_k.
        f_k: [d] float32, unit norm, pooled features of S_alpha.
        prototypes: [m, d] float32, unit norm, m >= 1 feature vectors of parts of the entity.
        text_embedding: [d_text] float32, unit norm.
        gamma: threshold on cosine similarity calibrated for this entity, None to use the guard's.
        adapter: safetensors bytes that personalisation made (Algorithm 2), None when it was not run.
        index: k, 1 to 65535 and never reused; 0 until K has given one.
    """

    name: str
    prompt: str
    class_word: str
    samples: tuple[Sample, ...]
    f_k: np.ndarray
    prototypes: np.ndarray
    text_embedding: np.ndarray
    gamma: float | None = None
    adapter: bytes | None = field(default=None, repr=False)
    index: int = 0

    def __post_init__(self) -> None:
        check_name(self.name)
        for label, text, limit in (("prompt", self.prompt, MAX_PROMPT), ("class word", self.class_word, MAX_NAME)):
            if not isinstance(text, str) or not text.strip() or len(text) > limit:
                got = len(text) if isinstance(text, str) else type(text).__name__
                raise EntityError(f"{self.name}: the {label} must have 1 to {limit} characters; got {got}")
        if not 1 <= len(self.samples) <= MAX_SAMPLES:
            raise EntityError(
                f"{self.name}: an entity needs at least one photograph and at most {MAX_SAMPLES}; "
                f"got {len(self.samples) or 'none'}"
            )
        check_vectors(self.name, "f_k", self.f_k, (MAX_FEATURES,))
        check_vectors(self.name, "prototypes", self.prototypes, (MAX_PROTOTYPES, MAX_FEATURES))
        check_vectors(self.name, "text_embedding", self.text_embedding, (MAX_FEATURES,))
        if self.prototypes.shape[1] != self.f_k.shape[0]:
            raise EntityError(
                f"{self.name}: prototypes must have the {self.f_k.shape[0]} values of f_k each; "
                f"got {self.prototypes.shape[1]}"
            )
        if self.gamma is not None and not (math.isfinite(self.gamma) and -1 <= self.gamma <= MAX_GAMMA):
            raise EntityError(
                f"{self.name}: gamma is a cosine similarity in [-1, {MAX_GAMMA}] (above, nothing would be hidden); "
                f"got {self.gamma}"
            )
        if self.adapter is not None and not isinstance(self.adapter, bytes):
            raise EntityError(f"{self.name}: an adapter is bytes; got {type(self.adapter).__name__}")
        if self.adapter is not None and len(self.adapter) > MAX_ADAPTER:
            raise EntityError(
                f"{self.name}: an adapter of {len(self.adapter)} bytes exceeds the limit of {MAX_ADAPTER}"
            )
        if not 0 <= self.index <= MAX_ENTITIES:
            raise EntityError(f"{self.name}: an index must lie in [0, {MAX_ENTITIES}]; got {self.index}")


def check_vectors(name: str, label: str, array: object, limits: tuple[int, ...]) -> None:
    """Refuse what is no array of unit vectors.

    Args:
        name: of the entity, for the message.
        label: what the array is.
        array: [d] or [m, d] float32.
        limits: largest size along each axis.

    Raises:
        EntityError: for another type or shape, values that are not finite, or another norm.
    """
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.ndim != len(limits) or array.size == 0:
        raise EntityError(f"{name}: {label} must be a float32 array of {len(limits)} dimension(s), not empty")
    if any(size > limit for size, limit in zip(array.shape, limits, strict=True)):
        most = " x ".join(map(str, limits))
        raise EntityError(f"{name}: {label} has at most {most} values; got {list(array.shape)}")
    if not np.isfinite(array).all():
        raise EntityError(f"{name}: {label} holds values that are not finite; enrol it again")
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(array, axis=-1)
    if np.abs(norms - 1).max() > NORM_TOLERANCE:
        worst = float(norms.flat[np.abs(norms - 1).argmax()])
        raise EntityError(f"{name}: {label} must have norm 1; got {worst:.3g}: enrol it again")


def check_name(name: str) -> str:
    """The name itself when it can stand in a table, a file name and a report."""
    if not isinstance(name, str):
        raise EntityError(f"a name is text; got {type(name).__name__}")
    printable = name.translate(JOINERS).isprintable()
    shown = name if printable else ascii(name)
    if not (name.translate(JOINERS) and len(name) <= MAX_NAME) or name != name.strip():
        raise EntityError(f"'{shown}': a name has 1 to {MAX_NAME} characters and no space at its ends; choose another")
    if not printable or any(c in name for c in '/\\:*?"<>|'):
        raise EntityError(
            f"'{shown}': a name holds printable characters and none of / \\ : * ? \" < > |; choose another"
        )
    return name


def name_key(name: str) -> str:
    """What two names must not share: the name without its case and its way of composing letters."""
    return unicodedata.normalize("NFKC", name.translate(JOINERS)).casefold()


def to_blob(array: np.ndarray) -> bytes:
    """float32 array to little-endian bytes, on any machine."""
    return array.astype("<f4").tobytes()


def from_blob(blob: object, dim: int | None, label: str) -> np.ndarray:
    """Little-endian float32 blob to [n] float32; with `dim`, n must be that (or a multiple, see prototypes)."""
    if not isinstance(blob, bytes) or not blob or len(blob) % 4 or (dim is not None and len(blob) % (4 * dim)):
        got = len(blob) if isinstance(blob, bytes) else type(blob).__name__
        raise ValueError(f"{label} has an impossible length ({got} bytes)")
    return np.frombuffer(blob, "<f4").astype(np.float32)
