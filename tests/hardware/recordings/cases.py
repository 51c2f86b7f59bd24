"""What recordings there are, each with what must become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.hardware.recordings.make import (
    Run,
    resampled,
    signal_power,
    stored,
    write_sigmf,
    write_wav,
)

Make = Callable[[Run, Path], Path]


@dataclass(frozen=True)
class Case:
    """make: writes the recording into a folder; opening: arguments of ``open_recording``; lossless: payloads must equal
    the run's, bit by bit; eve: the recording has our fields, so that Eve's chain too can be held against the run."""

    name: str
    make: Make
    opening: dict[str, Any] = field(default_factory=dict)
    lossless: bool = True
    eve: bool = False


def sigmf(datatype: str, fields: bool = True) -> Make:
    def make(run: Run, folder: Path) -> Path:
        data = stored(run, datatype).tobytes()
        return write_sigmf(folder / "r", data, datatype, run.rate, fields=run.fields if fields else None)

    return make


def _headers(run: Run, folder: Path) -> Path:
    """A dataset of another program: a header before each of three captures, a trailer, any name."""
    parts, cuts = stored(run, "ci16_le"), [0, 10_000, 33_333, len(run.parts)]
    sizes, data, captures = (512, 64, 17), b"", []
    for i, size in enumerate(sizes):
        data += bytes([65 + i]) * size + parts[cuts[i] : cuts[i + 1]].tobytes()
        captures.append({"core:sample_start": cuts[i], "core:header_bytes": size})
    return write_sigmf(
        folder / "r", data + b"end." * 25, "ci16_le", run.rate, fields=run.fields, captures=captures,
        more={"core:trailing_bytes": 100}, dataset="antenna.vendor",
    )  # fmt: skip


def _channels(run: Run, folder: Path) -> Path:
    other = np.random.default_rng(0).integers(-9000, 9000, (len(run.parts), 2)).astype("<i2")
    data = np.stack([other, stored(run, "ci16_le"), other[::-1]], axis=1)
    return write_sigmf(
        folder / "r", data.tobytes(), "ci16_le", run.rate, fields=run.fields, more={"core:num_channels": 3}
    )


def _captures(run: Run, folder: Path) -> Path:
    captures = [{"core:sample_start": at, "core:frequency": 433.92e6} for at in (0, 20_000, 20_001, 90_000)]
    return write_sigmf(
        folder / "r", stored(run, "ci16_le").tobytes(), "ci16_le", run.rate, fields=run.fields, captures=captures
    )


def _offset(run: Run, folder: Path) -> Path:
    """The later part of a recording that was split: its indices do not begin at 0."""
    return write_sigmf(
        folder / "r", stored(run, "ci16_le").tobytes(), "ci16_le", run.rate, fields=run.fields,
        captures=[{"core:sample_start": 5_000_000}], more={"core:offset": 5_000_000},
    )  # fmt: skip


def _archive(run: Run, folder: Path) -> Path:
    """As the sigmf package makes them."""
    from sigmf import SigMFFile

    (folder / "inner").mkdir(exist_ok=True)
    data = folder / "inner" / "a.sigmf-data"
    data.write_bytes(stored(run, "ci16_le").tobytes())
    meta = SigMFFile(
        data_file=data,
        global_info={
            "core:datatype": "ci16_le",
            "core:sample_rate": run.rate,
            "core:version": "1.2.0",
            **{f"privsc:{key}": value for key, value in run.fields.items()},
        },
    )
    meta.add_capture(0, {})
    meta.archive(str(folder / "r.sigmf"))
    return folder / "r.sigmf"


def _raw(ending: str, datatype: str) -> Make:
    def make(run: Run, folder: Path) -> Path:
        path = folder / f"r.{ending}"
        path.write_bytes(stored(run, datatype).tobytes())
        return path

    return make


def _wav(bits: int, **more: bool) -> Make:
    return lambda run, folder: write_wav(folder / "r.wav", run, bits, **more)


def changed(change: Callable[[np.ndarray], np.ndarray], ratio: float = 1.0) -> Make:
    """Samples that somebody's receiver made otherwise, cf32_le without a word of ours."""

    def make(run: Run, folder: Path) -> Path:
        samples = change(run.samples)
        return write_sigmf(folder / "r", samples.astype("<c8").tobytes(), "cf32_le", run.rate * ratio)

    return make


def with_dc(samples: np.ndarray, above_db: float = 6.0) -> np.ndarray:
    """A spike in the middle, so many dB above the signal."""
    return samples + np.complex64(np.sqrt(signal_power(samples) * 10 ** (above_db / 10)) * np.exp(0.7j))


def exchanged(samples: np.ndarray) -> np.ndarray:
    return samples.imag + 1j * samples.real


def _with_nan(samples: np.ndarray) -> np.ndarray:
    samples = samples.copy()
    quiet = np.flatnonzero(np.abs(samples) < 0.05)[:300]
    samples[quiet[::3]], samples[quiet[1::3]], samples[quiet[2::3]] = np.nan, np.inf, 1e30
    return samples


LOSSLESS = [
    *(
        Case(f"SigMF {name}", sigmf(name), eve=True)
        for name in ("ci16_le", "ci16_be", "cf32_le", "cf32_be", "cf64_le", "cf64_be", "ci32_le", "ci32_be", "cu16_le",
                     "cu16_be")
    ),
    Case("SigMF, header and trailing bytes, core:dataset", _headers, eve=True),
    Case("SigMF, 3 channels, the second", _channels, {"channel": 1}, eve=True),
    Case("SigMF, 4 captures", _captures, eve=True),
    Case("SigMF, core:offset", _offset, eve=True),
    Case("SigMF archive (sigmf package)", _archive, eve=True),
    Case("SigMF of others (no field of ours)", sigmf("cf32_le", fields=False)),
    Case("raw .cs16", _raw("cs16", "ci16_le"), {"sample_rate": 1e6}),
    Case("raw .cf32", _raw("cf32", "cf32_le"), {"sample_rate": 1e6}),
    Case("raw .bin, --format ci16_be", _raw("bin", "ci16_be"), {"sample_rate": 1e6, "form": "ci16_be"}),
    Case("WAV 16 bits", _wav(16)),
    Case("WAV 24 bits", _wav(24)),
    Case("WAV 32 bits", _wav(32)),
    Case("WAV 32-bit floats", _wav(32, real=True)),
    Case("WAV RF64 16 bits", _wav(16, large=True)),
]  # fmt: skip
LOSSY = [
    Case("SigMF ci8", sigmf("ci8", fields=False), lossless=False),
    Case("raw .cu8", _raw("cu8", "cu8"), {"sample_rate": 1e6}, lossless=False),
    Case("raw .cs8", _raw("cs8", "ci8"), {"sample_rate": 1e6}, lossless=False),
    Case("WAV 8 bits", _wav(8), lossless=False),
    *(
        Case(f"{ratio:g} times the rate", changed(lambda x, r=ratio: resampled(x, r), ratio), lossless=False)
        for ratio in (0.8, 1.024, 1.25, 2.0, 2.4, 10.0)
    ),
    Case("DC 6 dB above the signal", changed(with_dc), lossless=False),
    Case("I and Q exchanged", changed(exchanged), lossless=False),
    Case("conjugate", changed(np.conj), lossless=False),
    Case("conjugate, DC +6 dB, 2.4 times the rate",
         changed(lambda x: with_dc(np.conj(resampled(x, 2.4))), 2.4), lossless=False),
    Case("NaN, infinite and huge samples", changed(_with_nan), lossless=False),
]  # fmt: skip
