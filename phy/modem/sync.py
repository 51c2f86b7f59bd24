"""Burst detection and coarse synchronisation: samples to (start, frequency offset) of every preamble.

    samples ──up-chirp correlation, normalised by local energy──► candidates       every sample, overlap-save FFT
            ──whole preamble along the line of (delay, CFO) that this peak allows──► start, coarse CFO   candidates only
            ──whole preamble, fine grid of delay and CFO──► start, CFO, metric                           what is left

Each metric is a correlation divided by the energy it was taken from (between 0 and about 1, no matter how strong the
input is), so the false-alarm rate does not depend on gain or noise level: for L samples of white noise
P(metric > t) = (1 - t)^(L - 1) (beta distribution of a normalised matched filter; Kay, Detection Theory, sec. 9.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from phy.errors import PhyError
from phy.modem.preamble import Preamble
from phy.modem.pulse import Pulse

_ROW = 2048  # FFT length of the search at 2 samples per symbol; rows are cut at fixed places of the stream
_ROWS_AT_ONCE = 24  # 24 rows x 2048 x 8 bytes stay in the second-level cache
_CELL = 8  # at most one candidate in so many samples: bounds the work on hostile input
_OFFSETS = np.arange(-2, 3)  # [samples] searched around the coarse start
_PATHS = np.arange(-16, 21)  # [samples] delays at which other paths of the channel are looked for
_FINE_CFO = 0.02  # [rad/sample at sps 2] half width of the fine frequency search


class SyncError(PhyError):
    """A detector that cannot be built, or input of a wrong shape."""


@dataclass
class Acquired:
    """Preambles found, ordered by start; one entry per preamble.

    start: [F] int64, index of the sample ``pulse.delay`` before the peak of the first symbol. cfo: [F] float64
    [rad/sample]. metric: [F] float32, normalised coherent correlation over the preamble.
    """

    start: np.ndarray
    cfo: np.ndarray
    metric: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: np.ndarray) -> Acquired:
        return Acquired(self.start[index], self.cfo[index], self.metric[index])


class Detector:
    """Finds preambles in any stretch of samples; keeps no state.

    false_alarm: probability per sample that white noise passes the first stage. ridge_threshold, threshold: limits of
    the second and third stage's metric. max_cfo: [rad/sample] largest frequency offset, at most 0.6 / sps.
    """

    def __init__(
        self,
        preamble: Preamble,
        pulse: Pulse,
        *,
        false_alarm: float = 2e-4,
        ridge_threshold: float = 0.13,
        threshold: float = 0.16,
        max_cfo: float | None = None,
    ) -> None:
        self.max_cfo = 0.64 / pulse.sps if max_cfo is None else float(max_cfo)
        if not 0 < false_alarm <= 0.01:
            raise SyncError(f"false_alarm must be in (0, 0.01], got {false_alarm}")
        if not (0 < threshold < 1 and 0 < ridge_threshold < 1):
            raise SyncError(f"thresholds must be in (0, 1), got {threshold} and {ridge_threshold}")
        if not 0 < self.max_cfo <= 0.65 / pulse.sps:
            raise SyncError(f"max_cfo must be in (0, {0.65 / pulse.sps:.3f}] rad/sample, got {max_cfo}")
        self.preamble, self.pulse = preamble, pulse
        self.threshold, self.ridge_threshold = threshold, ridge_threshold
        self.window = preamble.half * pulse.sps  # samples of one chirp
        self.first_threshold = 1 - false_alarm ** (1 / (self.window - 1))
        self._up = preamble.chirp_template(pulse)
        self._energy = float(np.sum(np.abs(self._up) ** 2))
        self.row = _ROW * max(1, pulse.sps // 2) * max(1, preamble.half // 32)
        self.hop = self.row - len(self._up) + 1
        self._matched = scipy.fft.fft(self._up, self.row).conj().astype(np.complex64)
        # second stage: an offset of l steps delays the up-chirp's peak by -l / 2 samples; try every l
        self._step = np.pi / (self.window * pulse.sps)  # [rad/sample]
        self._shift = int(np.ceil(self.max_cfo / self._step)) + 1
        template = preamble.template(pulse)
        self.full_energy = float(np.sum(np.abs(template) ** 2))
        lags = np.arange(-self._shift, self._shift + 1)
        size = scipy.fft.next_fast_len(len(template) + 2 * self._shift + 2)
        delays = lags / 2 + self._shift // 2 + 1  # of the preamble behind the first sample of the cut
        ramp = np.exp(-2j * np.pi * np.outer(delays, scipy.fft.fftfreq(size)))
        delayed = scipy.fft.ifft(scipy.fft.fft(template, size) * ramp, axis=1)  # [lags, size]
        turned = delayed * np.exp(1j * np.outer(lags * self._step, np.arange(size)))
        self._ridge = np.ascontiguousarray(turned.conj().T).astype(np.complex64)
        # third stage: the whole preamble at a few offsets and a bank of frequencies around the coarse one
        reach = int(_OFFSETS[-1])
        self._grid = np.linspace(-_FINE_CFO, _FINE_CFO, 21) * 2 / pulse.sps * 32 / preamble.half
        self._length = len(template) + 2 * reach
        time = np.arange(self._length) - reach
        bank = np.zeros((self._length, len(_OFFSETS), len(self._grid)), np.complex128)
        for place in range(len(_OFFSETS)):
            bank[place : place + len(template), place] = template.conj()[:, None]
        bank *= np.exp(-1j * np.outer(time, self._grid))[:, None, :]
        self._bank = bank.reshape(self._length, -1).astype(np.complex64)
        self._paths = np.zeros((len(template) + len(_PATHS) - 1, len(_PATHS)), np.complex64)
        for place in range(len(_PATHS)):
            self._paths[place : place + len(template), place] = template.conj()
        coarse = np.arange(-self._shift, self._shift + 1) * self._step
        self._derotate = np.exp(-1j * np.outer(coarse, time)).astype(np.complex64)

    @property
    def before(self) -> int:
        """Samples before a candidate that the later stages look at."""
        return self._shift + len(_OFFSETS) - int(_PATHS[0])

    @property
    def after(self) -> int:
        """Samples from a candidate on that the later stages look at."""
        return self._length + 3 * self._shift + len(_OFFSETS) + int(_PATHS[-1])

    def candidates(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First stage. samples: [rows * hop + row - hop] complex64 to (positions [K] int64 ascending, metric [K]
        float32)."""
        rows = (len(samples) - (self.row - self.hop)) // self.hop
        if rows < 1 or samples.ndim != 1:
            raise SyncError(f"samples must be [N] with N >= {self.row}, got shape {list(samples.shape)}")
        samples = np.ascontiguousarray(samples, np.complex64)
        table = np.lib.stride_tricks.as_strided(
            samples, (rows, self.row), (self.hop * samples.itemsize, samples.itemsize), writeable=False
        )
        found, metric = [], []
        scale = np.float32(1 / self._energy)
        first = self.pulse.delay - self.pulse.sps // 2
        for row in range(0, rows, _ROWS_AT_ONCE):
            part = table[row : row + _ROWS_AT_ONCE]
            spectrum = scipy.fft.fft(part, axis=1)
            spectrum *= self._matched
            correlation = scipy.fft.ifft(spectrum, axis=1, overwrite_x=True)[:, : self.hop]
            power = _power(correlation)
            squared = _power(part)
            energy = sliding_sum(squared, self.window)[:, first : first + self.hop]
            # rounding errors of the transform are no signal: silence beside something strong must stay silent
            floor = squared.sum(axis=1, keepdims=True) * np.float32(1e-11) + np.float32(1e-30)
            level = (energy + floor) * np.float32(self.first_threshold * self._energy)
            where = np.flatnonzero(power > level)
            if len(where):
                at = np.divmod(where, self.hop)
                found.append(where + row * self.hop)
                metric.append(power[at] / (energy[at] + floor[at[0], 0]) * scale)
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        return _best_of_cells(np.concatenate(found), np.concatenate(metric))

    def refine(self, samples: np.ndarray, positions: np.ndarray) -> Acquired:
        """Second and third stage. positions: [K] from ``candidates``, at least ``before`` samples from the
        first sample and ``after`` from the last one."""
        parts = [self._along_ridge(samples, positions[k : k + 1024]) for k in range(0, len(positions), 1024)]
        if not parts:
            return Acquired(np.empty(0, np.int64), np.empty(0), np.empty(0, np.float32))
        start, cfo, _ = (np.concatenate(column) for column in zip(*parts, strict=True))
        again = np.unique(np.stack([start, np.round(cfo / self._step).astype(np.int64)]), axis=1)
        start, cfo = again[0], again[1] * self._step
        fine = [self._coherent(samples, start[k : k + 256], cfo[k : k + 256]) for k in range(0, len(start), 256)]
        if not fine:
            return Acquired(np.empty(0, np.int64), np.empty(0), np.empty(0, np.float32))
        acquired = Acquired(*(np.concatenate(column) for column in zip(*fine, strict=True)))
        good = (acquired.metric > self.threshold) & (np.abs(acquired.cfo) <= 1.05 * self.max_cfo)
        return self._choose(samples, acquired.take(np.flatnonzero(good)))

    def _along_ridge(self, samples: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Up-chirp peaks [K] to (start, coarse cfo, metric) [K'] where the whole preamble follows; where several lags
        do nearly as well (paths of a channel can make it so), all of them."""
        ahead = self._shift // 2 + 1
        view = np.lib.stride_tricks.sliding_window_view(samples, len(self._ridge))
        power = _power(view[positions - ahead] @ self._ridge)  # [K, lags]
        begin = positions + self.pulse.delay - self.pulse.sps // 2
        energy = _energies(samples, begin, 2 * self.window)
        floor = np.maximum(self.ridge_threshold * self.full_energy * energy, 0.5 * power.max(axis=1))[:, None]
        peak = power > floor + 1e-30
        peak[:, 1:] &= power[:, 1:] >= power[:, :-1]
        peak[:, :-1] &= power[:, :-1] > power[:, 1:]
        k, lag = np.nonzero(peak)
        metric = power[k, lag] / np.maximum(self.full_energy * energy[k], 1e-30)
        lag -= self._shift
        return positions[k] + np.round(lag / 2).astype(np.int64), self._step * lag, metric

    def _coherent(
        self, samples: np.ndarray, start: np.ndarray, cfo: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(start [K], cfo [K]) to refined (start, cfo, metric) by a search over offsets and frequencies."""
        reach = int(_OFFSETS[-1])
        view = np.lib.stride_tricks.sliding_window_view(samples, self._length)
        cut = view[start - reach] * self._derotate[np.round(cfo / self._step).astype(np.int64) + self._shift]
        table = _power(cut @ self._bank)  # [K, offsets * frequencies]
        offset, at = np.divmod(table.argmax(axis=1), len(self._grid))
        table = table.reshape(len(start), -1, len(self._grid))
        k = np.arange(len(start))
        inner = np.clip(at, 1, len(self._grid) - 2)
        step = parabola(table[k, offset, inner - 1], table[k, offset, inner], table[k, offset, inner + 1])
        first = self.pulse.delay - self.pulse.sps // 2 + reach
        energy = _power(cut[:, first : first + 2 * self.window]).sum(axis=1, dtype=np.float64)
        metric = table[k, offset, at] / np.maximum(energy * self.full_energy, 1e-30)
        cfo = cfo + self._grid[inner] + step * (self._grid[1] - self._grid[0])
        return start + _OFFSETS[offset], cfo, np.minimum(metric, 2.0).astype(np.float32)

    def _choose(self, samples: np.ndarray, found: Acquired) -> Acquired:
        """One entry per preamble: the one whose frequency collects most energy over all the delays of a channel, moved
        to the first path of some strength. (One path alone can look like another one at another frequency.)"""
        view = np.lib.stride_tricks.sliding_window_view(samples, len(self._paths))
        cut = view[found.start + _PATHS[0]]
        turn = np.exp(-1j * found.cfo[:, None] * np.arange(len(self._paths))).astype(np.complex64)
        power = _power((cut * turn) @ self._paths)  # [K, delays]
        best = _one_per_preamble(Acquired(found.start, np.arange(len(found)), power.sum(axis=1)), self.window // 2)
        chosen = best.cfo.astype(np.int64)
        early = power[chosen, : -_PATHS[0] - 2] > 0.2 * power[chosen].max(axis=1, keepdims=True)
        ahead = np.where(early.any(axis=1), early.argmax(axis=1) + 1 + _PATHS[0], 0)
        out = found.take(chosen)
        return Acquired(out.start + ahead, out.cfo, out.metric)


def sliding_sum(values: np.ndarray, length: int) -> np.ndarray:
    """Sums of ``length`` neighbours along the last axis by doubling: [..., N] to [..., N - length + 1], no drift."""
    total, done, size = np.zeros_like(values[..., :1]), 0, 1
    window = values
    while True:
        if length & size:
            piece = window[..., done:]
            total = piece if done == 0 else total[..., : piece.shape[-1]] + piece[..., : total.shape[-1]]
            done += size
        if done == length:
            return total[..., : values.shape[-1] - length + 1]
        window = window[..., :-size] + window[..., size:]
        size *= 2


def _energies(samples: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Energy of ``length`` samples from each start: [K] float64."""
    return _power(np.lib.stride_tricks.sliding_window_view(samples, length)[start]).sum(axis=1, dtype=np.float64)


def parabola(left: np.ndarray, middle: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Vertex of the parabola through three points at -1, 0, 1, clipped to that range."""
    bend = left - 2 * middle + right
    return np.clip(np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1), 0.0), -1, 1)


def _power(x: np.ndarray) -> np.ndarray:
    """|x|^2, float32 for complex64."""
    return x.real * x.real + x.imag * x.imag


def _best_of_cells(positions: np.ndarray, metric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strongest position of every cell of ``_CELL`` samples that holds one."""
    first = np.flatnonzero(np.diff(positions // _CELL, prepend=-1))
    peak = np.repeat(np.maximum.reduceat(metric, first), np.diff(np.append(first, len(metric))))
    keep = np.flatnonzero(metric >= peak)
    _, unique = np.unique(positions[keep] // _CELL, return_index=True)
    return positions[keep][unique].astype(np.int64), metric[keep][unique]


def _one_per_preamble(acquired: Acquired, apart: int) -> Acquired:
    """Entries that have no stronger one less than ``apart`` samples away, in order of their start."""
    found = acquired.take(np.argsort(acquired.start, kind="stable"))
    keep = np.ones(len(found), bool)
    for distance in range(1, len(found)):
        near = np.flatnonzero(found.start[distance:] - found.start[:-distance] < apart)
        if len(near) == 0:  # sorted: farther neighbours are not near either
            break
        first_wins = found.metric[near] >= found.metric[near + distance]
        keep[np.where(first_wins, near + distance, near)] = False
    return found.take(np.flatnonzero(keep))
