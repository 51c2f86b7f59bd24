"""One run of a radio's samples, written as everybody's programs write recordings."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal

FULL = 32767


@dataclass(frozen=True)
class Run:
    """What was received. parts: [N, 2] int16; rate: [samples/s]; fields: ours, as the run's own recording has them;
    digests: of the payloads, by chain."""

    parts: np.ndarray
    rate: float
    fields: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def samples(self) -> np.ndarray:
        """[N] complex64 as a receive chain gets them."""
        return np.multiply(self.parts, np.float32(1 / FULL), dtype=np.float32).view(np.complex64).reshape(-1)


def stored(run: Run, datatype: str) -> np.ndarray:
    """The run's samples in a SigMF datatype, [N, 2]; of the same values wherever it has the room."""
    kind, bits = datatype[1], int("".join(filter(str.isdigit, datatype)))
    order = ">" if datatype.endswith("_be") else "<"
    wide = run.parts.astype(np.int64)
    if kind == "f":
        return run.samples.view(np.float32).reshape(-1, 2).astype(f"{order}f{bits // 8}")
    if bits == 8:
        values = np.rint(run.parts * ((127.0 if kind == "i" else 127.5) / FULL) + (0 if kind == "i" else 127.5))
        return np.clip(values, -128 if kind == "i" else 0, 127 if kind == "i" else 255).astype(f"{kind}1")
    wide = wide << (bits - 16)
    if kind == "u":
        wide += 1 << (bits - 1)
    return wide.astype(f"{order}{kind}{bits // 8}")


def write_sigmf(
    base: Path,
    data: bytes,
    datatype: str,
    rate: Any,
    *,
    fields: dict[str, Any] | None = None,
    captures: list[dict[str, Any]] | None = None,
    more: dict[str, Any] | None = None,
    dataset: str | None = None,
) -> Path:
    """BASE.sigmf-meta and its dataset, written without any library."""
    meta = {
        "global": {
            "core:datatype": datatype,
            "core:sample_rate": rate,
            "core:version": "1.2.0",
            **(more or {}),
            **{f"privsc:{key}": value for key, value in (fields or {}).items()},
        },
        "captures": [{"core:sample_start": 0, "core:frequency": 433.92e6}] if captures is None else captures,
        "annotations": [],
    }
    if dataset is not None:
        meta["global"]["core:dataset"] = dataset
    base.with_name(dataset or base.name + ".sigmf-data").write_bytes(data)
    path = base.with_name(base.name + ".sigmf-meta")
    path.write_text(json.dumps(meta))
    return path


def write_wav(path: Path, run: Run, bits: int, *, real: bool = False, large: bool = False) -> Path:
    """I left, Q right. real: IEEE floats; large: RF64, as programs write what may pass 4 GiB."""
    if real:
        body = stored(run, f"cf{bits}_le").tobytes()
    elif bits == 24:
        body = stored(run, "ci32_le").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    else:
        body = stored(run, "cu8" if bits == 8 else f"ci{bits}_le").tobytes()
    width = 2 * bits // 8
    head = struct.pack("<HHIIHH", 3 if real else 1, 2, int(run.rate), int(run.rate) * width, width, bits)
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"LIST" + struct.pack("<I", 5) + b"INFO." + b"\0"
    if large:
        sizes = struct.pack("<QQQI", len(body) + 100, len(body), len(run.parts), 0)
        chunks = b"ds64" + struct.pack("<I", len(sizes)) + sizes + chunks
    length = 0xFFFFFFFF if large else len(body)
    whole = 0xFFFFFFFF if large else 4 + len(chunks) + 8 + len(body)
    start = (b"RF64" if large else b"RIFF") + struct.pack("<I", whole) + b"WAVE"
    path.write_bytes(start + chunks + b"data" + struct.pack("<I", length) + body)
    return path


def resampled(samples: np.ndarray, ratio: float) -> np.ndarray:
    """[N] complex64 to [N ratio], by the Fourier transform: no filter of ours."""
    return scipy.signal.resample(samples, round(len(samples) * ratio)).astype(np.complex64)


def signal_power(samples: np.ndarray) -> float:
    """Mean power where there is signal: of the louder half of the blocks."""
    power = np.mean(np.abs(samples[: len(samples) // 256 * 256].reshape(-1, 256)) ** 2, axis=1)
    return float(np.mean(power[power > (power.max() + power.min()) / 2]))
