"""What a stretch of samples shows without a receiver: preambles, clocks, jumps, levels, spectra."""

from __future__ import annotations

import numpy as np

from phy.modem.sync import Acquired, Detector

MATCH = 0.003  # of a period: frames that lie so close to whole periods are of one train


def preambles(samples: np.ndarray, detector: Detector) -> Acquired:
    """All preambles of a stretch of samples, headers and payloads not looked at."""
    lead, tail = detector.before + 64, detector.after + detector.row
    padded = np.concatenate([np.zeros(lead, np.complex64), samples, np.zeros(tail, np.complex64)])
    rows = max(1, -(-len(samples) // detector.hop))
    need = lead + rows * detector.hop + detector.row + detector.after
    if len(padded) < need:
        padded = np.concatenate([padded, np.zeros(need - len(padded), np.complex64)])
    positions, _ = detector.candidates(padded[lead : lead + rows * detector.hop + detector.row - detector.hop])
    found = detector.refine(padded, positions + lead)
    return Acquired(found.start - lead, found.cfo, found.metric)


def _steps(starts: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray]:
    """(distances of neighbours in periods, rounded; what is left over [samples])."""
    apart = np.diff(np.sort(starts))
    whole = np.rint(apart / period).astype(np.int64)
    return whole, apart - whole * period


def regular(starts: np.ndarray, period: int) -> bool:
    """Most neighbours lie whole periods apart: it is our train and no accident."""
    whole, rest = _steps(starts, period)
    return bool(len(whole)) and float(np.mean((whole > 0) & (np.abs(rest) < MATCH * period))) > 0.5


def clock_ppm(starts: np.ndarray, period: int) -> float | None:
    """Transmitter's sample period against ours, minus one, from the distances of frames; None for fewer than 4."""
    whole, rest = _steps(starts, period)
    fine = (whole > 0) & (whole < 100) & (np.abs(rest) < MATCH * period)
    if np.count_nonzero(fine) < 4:
        return None
    per = rest[fine] / (whole[fine] * period)
    middle = np.median(per)
    close = np.abs(per - middle) * period < 2.5  # without jumps
    return float(np.sum(rest[fine][close]) / np.sum(whole[fine][close] * period) * 1e6)


def jumped(starts: np.ndarray, period: int) -> list[int]:
    """[samples] by which the distance of neighbouring frames leaves the common clock: lost or repeated samples."""
    ppm = clock_ppm(starts, period)
    if ppm is None:
        return []
    whole, rest = _steps(starts, period)
    beside = np.cumsum(np.append(0.0, rest - whole * period * ppm * 1e-6))  # [samples] from where a frame ought to be
    padded = np.pad(beside, 1, mode="edge")
    steady = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)  # one frame alone is a wrong sight
    return [int(round(step)) for step in np.diff(steady) if abs(step) > 4]


def offset(samples: np.ndarray) -> complex:
    """DC of a stretch of samples; 0 where it is no more than noise makes of it."""
    if len(samples) == 0:
        return 0j
    mean = complex(samples.mean(dtype=np.complex128))
    rest = float(np.vdot(samples, samples).real) / len(samples) - abs(mean) ** 2
    return mean if abs(mean) ** 2 > 60 / len(samples) * rest else 0j


def levels(samples: np.ndarray, step: int) -> np.ndarray:
    """Mean power of each ``step`` samples [dBFS], [N // step] float."""
    count = len(samples) // step
    parts = np.ascontiguousarray(samples[: count * step]).view(np.float32).reshape(count, 2 * step)
    return 10 * np.log10(np.maximum(np.einsum("ij,ij->i", parts, parts) / step, 1e-16))


def spectrum(samples: np.ndarray, size: int = 1024) -> np.ndarray:
    """Mean power spectrum [dBFS per bin], [size] float from -0.5 to 0.5 cycles/sample; empty for too few samples."""
    count = len(samples) // size
    if count == 0:
        return np.empty(0)
    window = np.hanning(size).astype(np.float32)
    parts = samples[: count * size].reshape(count, size)[:: max(1, count // 256)]
    power = np.mean(np.abs(np.fft.fft(parts * window, axis=1)) ** 2, axis=0) / (size * np.sum(window**2))
    return 10 * np.log10(np.maximum(np.fft.fftshift(power), 1e-16))
