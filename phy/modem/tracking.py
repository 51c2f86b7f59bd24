"""What changes within a burst: the clocks run apart, the phase and the gain wander.

block spectra ──band edges──► clock offset          needs no known symbols; every block, every frame of a batch
symbols ──known symbols──► residual frequency ──smoothed complex gain──► symbols of unit gain, noise, EVM
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from phy.modem.equaliser import BLOCK, Equaliser

MAX_PPM = 260.0  # clock offsets searched
_PRIOR_PPM = (
    100.0  # standard deviation expected of a pair of radios: decides how far a short frame's estimate is trusted
)
_KNOT = 32  # symbols between the points at which the gain is estimated
_WANDER = ((0.2, 600.0), (0.08, 60.0))  # standard deviation (1 = the signal's amplitude) and length [symbols]


@dataclass
class Tracked:
    """symbols: [F, L] complex64 of unit gain. cfo: [F] rad/symbol, residual frequency that was removed. noise: [F]
    float32, variance of a symbol about its true value, so EVM = sqrt(noise). fit: [F] float32, share (0 to 1) of the
    pilots' energy (those from ``first_pilot`` on) that agrees with them."""

    symbols: np.ndarray
    cfo: np.ndarray
    noise: np.ndarray
    fit: np.ndarray


def clock_offset(spectra: np.ndarray, equaliser: Equaliser, centres: np.ndarray, sps: int, symbols: int) -> np.ndarray:
    """Drift of the transmitter's clock, [F] samples per sample, from the spectra of the blocks.

    A delay d turns R(f) R*(f - 1/T) by -2 pi d / sps (Godard, IEEE Trans. Commun. 26 (1978) 517, band-edge timing). The
    drift is the frequency of that phase over the blocks' centres [samples]; the estimate is shrunk towards zero by its
    own variance against the prior, since a few short blocks at low SNR say little. symbols: that the frame fills.
    """
    frames, blocks, _ = spectra.shape
    if blocks < 2:
        return np.zeros(frames)
    product = spectra[:, :, :BLOCK] * spectra[:, :, -BLOCK:].conj()
    line = (product @ equaliser.edge[:, :, None])[:, :, 0]  # [F, blocks]
    reach = np.minimum(centres, (symbols - 32) * sps)  # the last block is partly empty
    filled = np.clip((symbols * sps - centres) / (BLOCK * sps) + 0.5, 0.0, 1.0)
    steps = int(np.clip(np.ceil(MAX_PPM * 2e-6 * centres[-1] * 12 / sps), 24, 400))
    grid = np.linspace(-MAX_PPM, MAX_PPM, 2 * steps + 1) * 1e-6
    score = np.abs(line @ np.exp(2j * np.pi * np.outer(reach, grid) / sps).astype(np.complex64))
    best = score.argmax(axis=1)
    inner = np.clip(best, 1, len(grid) - 2)
    k = np.arange(frames)
    left, middle, right = score[k, inner - 1], score[k, inner], score[k, inner + 1]
    bend = np.minimum(left - 2 * middle + right, -1e-30)
    drift = grid[inner] + np.clip(0.5 * (left - right) / bend, -1, 1) * (grid[1] - grid[0])
    # variance of a block's phase: self noise and noise products through the band edges, per symbol
    ratio = 1 / np.maximum(equaliser.error, 1e-6)
    phase = (2.0 + 8.0 / ratio + 8.0 / ratio**2) / (BLOCK * np.maximum(filled, 0.05))[:, None]  # [blocks, F]
    weight = 1 / phase.T
    spread = (weight * (reach - (weight * reach).sum(1, keepdims=True) / weight.sum(1, keepdims=True)) ** 2).sum(axis=1)
    variance = 1 / np.maximum((2 * np.pi / sps) ** 2 * spread, 1e-12)
    prior = (_PRIOR_PPM * 1e-6) ** 2
    return drift * prior / (prior + variance)


def track(
    symbols: np.ndarray, where: np.ndarray, known: np.ndarray, error: np.ndarray, max_cfo: float, first_pilot: int = 0
) -> Tracked:
    """symbols: [F, L] complex64; where: [K] ascending positions of known symbols; known: [K] or [F, K], modulus 1;
    error: [F] predicted variance of a symbol; max_cfo: [rad/symbol] largest residual frequency."""
    z = symbols[:, where] * known.conj()
    grid, bank = _frequencies(where.tobytes(), max_cfo)
    score = np.abs(z @ bank) ** 2
    inner = np.clip(score.argmax(axis=1), 1, len(grid) - 2)
    k = np.arange(len(symbols))
    left, middle, right = score[k, inner - 1], score[k, inner], score[k, inner + 1]
    bend = np.minimum(left - 2 * middle + right, -1e-30)
    cfo = grid[inner] + np.clip(0.5 * (left - right) / bend, -1, 1) * (grid[1] - grid[0])
    correction = line(-cfo, symbols.shape[1])
    z *= correction[:, where]
    pilots = z[:, first_pilot:]
    fit = np.abs(pilots.mean(axis=1)) ** 2 / np.maximum(np.mean(pilots.real**2 + pilots.imag**2, axis=1), 1e-30)
    gain, freedom = _smooth(z, where, symbols.shape[1], error)  # [F, knots]
    left_over = np.sum(np.abs(z / _interpolate(gain, where) - 1) ** 2, axis=1)
    noise = (left_over + 16 * error) / (len(where) - freedom + 16)
    correction *= _between(gain.conj() / np.abs(gain) ** 2, symbols.shape[1])
    correction *= symbols
    return Tracked(correction, cfo, noise.astype(np.float32), fit.astype(np.float32))


@functools.lru_cache(maxsize=16)  # some MB each for the longest frames
def _frequencies(where: bytes, max_cfo: float) -> tuple[np.ndarray, np.ndarray]:
    """(grid [G] rad/symbol, bank [K, G] complex64) of the search for the residual frequency; where: int64 positions."""
    positions = np.frombuffer(where, np.int64)
    span = float(positions[-1] - positions[0] + 1)
    steps = int(np.ceil(max_cfo * span / np.pi * 2)) + 1
    grid = np.linspace(-max_cfo, max_cfo, 2 * steps + 1)
    return grid, np.exp(-1j * np.outer(positions - positions.mean(), grid)).astype(np.complex64)


def line(cfo: np.ndarray, length: int) -> np.ndarray:
    """exp(j cfo n), n < length: [F, length] complex64, as a product of two short tables."""
    fine = np.exp(1j * cfo[:, None] * np.arange(32)).astype(np.complex64)
    coarse = np.exp(1j * cfo[:, None] * np.arange(0, length, 32)).astype(np.complex64)
    return (coarse[:, :, None] * fine[:, None, :]).reshape(len(cfo), -1)[:, :length]


def _smooth(z: np.ndarray, where: np.ndarray, length: int, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(complex gain at every knot [F, knots] complex64, degrees of freedom spent [F]) from known symbols z [F, K]."""
    level = np.clip(np.round(10 * np.log10(1 / error) / 3), -2, 10).astype(int)
    gain = np.empty((len(z), length // _KNOT + 2), np.complex64)
    freedom = np.empty(len(z))
    for one in np.unique(level):
        at = np.flatnonzero(level == one)
        matrix, freedom[at] = _wiener(where.tobytes(), length, int(one))
        gain[at] = z[at] @ matrix
    magnitude = np.abs(gain)
    return np.where(magnitude < 1e-3, np.complex64(1e-3), gain), freedom


@functools.lru_cache(maxsize=32)  # some MB each for the longest frames
def _wiener(where: bytes, length: int, level: int) -> tuple[np.ndarray, float]:
    """Linear MMSE estimate of the gain at the knots, [K, knots] complex64, for an SNR of 3 level dB, and its degrees of
    freedom. The gain is a constant plus two Gaussian processes of standard deviation and length as in ``_WANDER``."""
    positions = np.frombuffer(where, np.int64).astype(float)
    knots = np.arange(length // _KNOT + 2) * float(_KNOT)

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        apart = (a[:, None] - b[None, :]) ** 2
        return 1.0 + sum(v**2 * np.exp(-0.5 * apart / size**2) for v, size in _WANDER)

    between = covariance(positions, positions)
    noisy = between + 10 ** (-0.3 * level) * np.eye(len(positions))
    matrix = np.linalg.solve(noisy, covariance(positions, knots))
    freedom = float(np.trace(np.linalg.solve(noisy, between)))
    return matrix.astype(np.complex64), freedom


def _between(values: np.ndarray, length: int) -> np.ndarray:
    """Linear interpolation of values at the knots, [F, knots], to every symbol: [F, length] complex64."""
    share = (np.arange(_KNOT) / _KNOT).astype(np.float32)
    slope = np.diff(values, axis=1)[:, :, None] * share
    slope += values[:, :-1, None]
    return slope.reshape(len(values), -1)[:, :length]


def _interpolate(gain: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Linear interpolation between knots: gain [F, knots], at [K] positions to [F, K] complex64."""
    low = at // _KNOT
    share = ((at % _KNOT) / _KNOT).astype(np.float32)
    return gain[:, low] * (1 - share) + gain[:, low + 1] * share
