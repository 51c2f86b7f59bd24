"""Learned codec, inference side (numpy): messages to channel symbols and back.

    messages [...] ──encode──► codewords [..., n] ──channel──► y [..., n] ──demap──► messages [...]

A codec is a codebook of 2^k codewords of n complex symbols plus two demappers: maximum likelihood over the codebook
(one matrix product) and the trained network's. ``phy.training.autoencoder`` trains codecs, ``phy/codecs`` holds the
shipped ones (npz without pickled objects, and a model card each).
"""

from __future__ import annotations

import functools
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from phy.codec.packing import MAX_BITS
from phy.errors import CodecError

FORMAT = "phy-codec-1"
CODEC_FOLDER = Path(__file__).parents[1] / "codecs"
FEATURE_CODECS = ("picture8x1",)  # shipped too, but a message is a picture's feature that a wrong decision only blurs
_CHUNK_SCORES = 1 << 18  # scores of one chunk, float32: 1 MiB stays in the second-level cache


@dataclass(frozen=True, eq=False)
class Codec:
    """Codebook and demappers of one trained one-hot autoencoder.

    codebook: [2^k, n] complex64, mean energy 1 per complex symbol (per channel use).
    real: codewords have no imaginary part; one channel use is one real dimension, as in the literature's (n, k).
    demapper: layers (W [in, out] float32, b [out] float32), ReLU between them; input is ``features(y)``, output logits.
    prior: [2^k] float32, how often each message is sent; None where all are alike. The mean energy is weighted with it,
    and posteriors know it.
    """

    name: str
    codec_id: int
    k: int
    codebook: np.ndarray
    real: bool = False
    demapper: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    prior: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.k <= MAX_BITS:
            raise CodecError(f"codec {self.name!r}: k must be 1 to {MAX_BITS}, got {self.k}")
        if not 0 <= self.codec_id <= 127:  # the header keeps the eighth bit for the outer code
            raise CodecError(f"codec {self.name!r}: codec_id must be 0 to 127, got {self.codec_id}")
        book = np.ascontiguousarray(self.codebook, dtype=np.complex64)
        if book.ndim != 2 or book.shape[0] != 1 << self.k or book.shape[1] < 1:
            raise CodecError(f"codec {self.name!r}: codebook must be [{1 << self.k}, n], got {list(book.shape)}")
        if not np.isfinite(book).all():
            raise CodecError(f"codec {self.name!r}: codebook holds NaN or Inf")
        prior = None if self.prior is None else np.array(self.prior, np.float32)
        if prior is not None and not (
            prior.shape == (len(book),) and (prior >= 0).all() and abs(prior.sum() - 1) < 1e-3
        ):
            raise CodecError(f"codec {self.name!r}: the prior must be {len(book)} probabilities of sum 1")
        power = float(np.average(np.mean(np.abs(book) ** 2, axis=1), weights=prior))
        if abs(power - 1.0) > 1e-3:
            raise CodecError(f"codec {self.name!r}: mean energy per symbol must be 1, got {power:.4f}")
        if self.real and np.any(book.imag):
            raise CodecError(f"codec {self.name!r}: a real codebook must have no imaginary part")
        width = book.shape[1] * (1 if self.real else 2)
        layers = []
        for weight, bias in self.demapper:
            weight, bias = np.asarray(weight, np.float32), np.asarray(bias, np.float32)
            if weight.ndim != 2 or weight.shape[0] != width or bias.shape != (weight.shape[1],):
                raise CodecError(f"codec {self.name!r}: demapper layer of shape {list(weight.shape)} does not fit")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise CodecError(f"codec {self.name!r}: demapper holds NaN or Inf")
            layers.append((weight, bias))
            width = weight.shape[1]
        if layers and width != 1 << self.k:
            raise CodecError(f"codec {self.name!r}: demapper must end in {1 << self.k} logits, got {width}")
        book.flags.writeable = False
        object.__setattr__(self, "codebook", book)
        object.__setattr__(self, "prior", prior)
        object.__setattr__(self, "demapper", tuple(layers))

    @property
    def n(self) -> int:
        """Channel uses per message."""
        return self.codebook.shape[1]

    @property
    def bits_per_use(self) -> float:
        """Rate k/n [bit per channel use]; Eb/N0 [dB] = Es/N0 [dB] - 10 log10(k/n)."""
        return self.k / self.n

    @functools.cached_property
    def _points(self) -> np.ndarray:
        """[D, 2^k] float32: the codebook as columns of real features."""
        return np.ascontiguousarray(self.features(self.codebook).T)

    @functools.cached_property
    def _half_energy(self) -> np.ndarray | None:
        """[2^k] float32: half of each codeword's energy, None where all are equal (per-codeword power)."""
        energy = np.sum(self._points.astype(np.float64) ** 2, axis=0)
        return None if np.ptp(energy) < 1e-4 * energy.mean() else (energy / 2).astype(np.float32)

    def encode(self, messages: np.ndarray) -> np.ndarray:
        """messages [...] integers in [0, 2^k) to codewords [..., n] complex64."""
        messages = np.asarray(messages)
        if not np.issubdtype(messages.dtype, np.integer):
            raise CodecError(f"messages must be integers, got {messages.dtype}")
        if messages.size and (int(messages.min()) < 0 or int(messages.max()) >= 1 << self.k):
            raise CodecError(f"messages must be in [0, {1 << self.k}), got {messages.min()} to {messages.max()}")
        return np.take(self.codebook, messages, axis=0)

    def features(self, y: np.ndarray) -> np.ndarray:
        """y [..., n] complex to real features [..., D] float32: D = n (real codec) or 2n (re and im interleaved)."""
        y = np.ascontiguousarray(y, dtype=np.complex64)
        if y.ndim < 1 or y.shape[-1] != self.codebook.shape[1]:
            raise CodecError(f"codec {self.name!r}: symbols must be [..., {self.n}], got {list(y.shape)}")
        return np.ascontiguousarray(y.real) if self.real else y.view(np.float32)

    def demap(self, y: np.ndarray) -> np.ndarray:
        """Maximum likelihood: y [..., n] complex64 to messages [...] uint16, argmax of <y, c> - |c|^2 / 2."""
        x = self.features(y)
        flat = x.reshape(-1, x.shape[-1])
        rows = max(1, _CHUNK_SCORES >> self.k)
        out = np.empty(len(flat), np.intp)
        scores = np.empty((min(rows, len(flat)), 1 << self.k), np.float32)
        for start in range(0, len(flat), rows):
            part = flat[start : start + rows]
            score = np.matmul(part, self._points, out=scores[: len(part)])
            if self._half_energy is not None:
                score -= self._half_energy
            np.argmax(score, axis=1, out=out[start : start + rows])
        return out.astype(np.uint16).reshape(x.shape[:-1])

    def demap_neural(self, y: np.ndarray) -> np.ndarray:
        """The trained network's decision: y [..., n] complex64 to messages [...] uint16."""
        x = self.features(y)
        flat = x.reshape(-1, x.shape[-1])
        rows = max(1, _CHUNK_SCORES >> self.k)
        parts = [np.argmax(self._logits(flat[s : s + rows]), axis=1) for s in range(0, len(flat), rows)]
        out = np.concatenate(parts) if parts else np.empty(0, np.intp)
        return out.astype(np.uint16).reshape(x.shape[:-1])

    def _logits(self, x: np.ndarray) -> np.ndarray:
        """x [N, D] float32 to the network's logits [N, 2^k] float32."""
        if not self.demapper:
            raise CodecError(f"codec {self.name!r} carries no neural demapper: use demap (maximum likelihood)")
        for weight, bias in self.demapper[:-1]:
            x = x @ weight
            x += bias
            np.maximum(x, 0.0, out=x)
        weight, bias = self.demapper[-1]
        return x @ weight + bias

    def posteriors(self, y: np.ndarray, noise_power: float) -> np.ndarray:
        """P(m | y): y [..., n], N0 per complex symbol, to [..., 2^k] float32 (sum 1), with the codec's prior."""
        if not (np.isfinite(noise_power) and noise_power > 0):
            raise CodecError(f"noise_power must be finite and positive, got {noise_power}")
        x = self.features(y)
        score = x @ self._points
        if self._half_energy is not None:
            score -= self._half_energy
        score *= 2.0 / noise_power
        if self.prior is not None:
            score += np.log(np.maximum(self.prior, 1e-12))
        score -= score.max(axis=-1, keepdims=True)
        np.exp(score, out=score)
        score /= score.sum(axis=-1, keepdims=True)
        return score

    def save(self, path: Path | str) -> Path:
        """Write the codec as npz (no pickled objects), through a temporary name. Returns the path."""
        path = Path(path)
        arrays: dict[str, Any] = {"codebook": self.codebook}
        for i, (weight, bias) in enumerate(self.demapper):
            arrays[f"w{i}"], arrays[f"b{i}"] = weight, bias
        if self.prior is not None:
            arrays["prior"] = self.prior
        info = {
            "format": FORMAT,
            "name": self.name,
            "codec_id": self.codec_id,
            "k": self.k,
            "real": self.real,
            "layers": len(self.demapper),
            "training": self.training,
        }
        arrays["info"] = np.frombuffer(json.dumps(info, sort_keys=True).encode(), np.uint8)
        temporary = path.with_name(path.name + ".part")
        try:
            with temporary.open("wb") as file:
                np.savez_compressed(file, **arrays)
            temporary.replace(path)
        except OSError as error:
            raise CodecError(f"cannot write codec file {path}: {error.strerror}") from None
        finally:
            temporary.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, name_or_path: str | Path) -> Codec:
        """A shipped codec by name (see ``available``) or any codec file by path."""
        path = Path(name_or_path)
        if path.suffix != ".npz":
            path = CODEC_FOLDER / f"{path.name}.npz"
            if path.stem not in (*available(), *FEATURE_CODECS):
                raise CodecError(f"no codec named {str(name_or_path)!r}: choose one of {', '.join(available())}")
        try:
            with np.load(path, allow_pickle=False) as file:
                info = json.loads(bytes(file["info"]).decode())
                if info.get("format") != FORMAT:
                    raise CodecError(f"{path.name} is not a {FORMAT} file: train it again with this version")
                layers = tuple((file[f"w{i}"], file[f"b{i}"]) for i in range(int(info["layers"])))
                return cls(
                    str(info["name"]),
                    int(info["codec_id"]),
                    int(info["k"]),
                    file["codebook"],
                    bool(info["real"]),
                    layers,
                    dict(info["training"]),
                    file["prior"] if "prior" in file.files else None,
                )
        except FileNotFoundError:
            raise CodecError(f"no codec file {path}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
            raise CodecError(f"{path.name} is truncated or not a codec file ({type(error).__name__})") from None
        except Exception as error:  # zlib.error and friends: a damaged file must not end in a traceback
            if isinstance(error, CodecError):
                raise
            raise CodecError(f"{path.name} is damaged ({type(error).__name__})") from None


def available() -> list[str]:
    """Names of the shipped codecs for bytes of any meaning, sorted."""
    return sorted(path.stem for path in CODEC_FOLDER.glob("*.npz") if path.stem not in FEATURE_CODECS)


@functools.cache
def shipped(name: str) -> Codec:
    """A shipped codec, read once."""
    return Codec.load(name)


@functools.cache
def _shipped_ids() -> dict[int, str]:
    """Header id to name of every shipped codec."""
    there = [name for name in FEATURE_CODECS if (CODEC_FOLDER / f"{name}.npz").is_file()]
    return {shipped(name).codec_id: name for name in [*available(), *there]}


_registered: dict[int, Codec] = {}


def register(codec: Codec) -> Codec:
    """Make one's own codec known to the receivers of this process by its header id; a later one replaces it."""
    if not _is_shipped(codec):
        _registered[codec.codec_id] = codec
    return codec


def opened(name_or_path: str | Path) -> Codec:
    """A shipped codec by name, or a codec file (.npz) by path. A receiver does not learn of it: see ``register``."""
    if str(name_or_path).endswith(".npz"):
        codec = Codec.load(name_or_path)
        _is_shipped(codec)
        return codec
    return shipped(str(name_or_path))


def _is_shipped(codec: Codec) -> bool:
    """Whether it is a shipped codec; an own one with the id of a shipped one is refused."""
    taken = _shipped_ids().get(codec.codec_id)
    if taken is not None and shipped(taken) is not codec:
        raise CodecError(f"codec {codec.name!r}: id {codec.codec_id} belongs to the shipped {taken!r}, use 64 to 119")
    return taken is not None


def codec_with_id(codec_id: int) -> Codec | None:
    """The codec that a frame header names, None where no such codec is shipped or registered."""
    name = _shipped_ids().get(codec_id)
    return _registered.get(codec_id) if name is None else shipped(name)
