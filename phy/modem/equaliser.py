"""Channel estimate from the preamble, and the block-wise frequency-domain equaliser that it gives.

    preamble samples ──flat fit (gain, fractional delay)──┐
                     ──taps at the sample rate, MMSE──────┴─ the simpler one that explains the samples ──► H(f), noise
    samples ──overlapping blocks, FFT──► R ──W(f) = H*(f) / (sum over aliases |H|^2 + sps var)──► fold ──IFFT──► symbols

One filter does matched filtering, equalisation, fractional timing and the step down to symbol rate; the sum over
aliases is the fractionally spaced MMSE equaliser (Falconer et al., IEEE Commun. Mag. 40 (2002) 58, without cyclic
prefix: blocks overlap and their edges are thrown away). All frames of a batch are processed at once; F is the number of
frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from phy.modem.preamble import Preamble
from phy.modem.pulse import Pulse
from phy.modem.sync import parabola

BLOCK = 256  # symbols of one block
GUARD = 24  # symbols thrown away at either edge of a block: half the pulse plus the equaliser's own memory
VALID = BLOCK - 2 * GUARD
_EARLY, _LATE = 6, 30  # samples at sps 2: channel taps looked for before and after the strongest path
_MEMORY = 8.0  # [samples at sps 2] decay of the prior power-delay profile
_RATIOS_DB = np.arange(-5.0, 36.0, 5.0)  # signal to noise ratios for which the estimator matrix is kept
_SELECTIVE = 1.6  # the tap model must reduce the flat model's residual power by this factor
_FINE = np.arange(-24, 25) / 16.0  # [samples] fractional delays tried for the flat model


@dataclass
class ChannelEstimate:
    """response: [F, N] complex64, H(f) on the N = BLOCK sps bins of a block, pulse and delay included. noise: [F]
    float32, variance of a complex sample. snr: [F] float32, Es/N0 (linear). selective: [F] bool, tap model chosen."""

    response: np.ndarray
    noise: np.ndarray
    snr: np.ndarray
    selective: np.ndarray

    def take(self, index: np.ndarray | slice) -> ChannelEstimate:
        return ChannelEstimate(self.response[index], self.noise[index], self.snr[index], self.selective[index])


class ChannelEstimator:
    """Least squares with a prior on the preamble's samples; flat model first, taps where the flat one does not fit."""

    def __init__(self, preamble: Preamble, pulse: Pulse, selective: bool = True) -> None:
        sps = pulse.sps
        self.selective = selective
        self.pulse, self.size = pulse, BLOCK * sps
        template = preamble.template(pulse)
        self.reach = 4
        self.length = len(template) + 2 * self.reach
        self._template = template.conj()
        self._energy = float(np.sum(np.abs(template) ** 2))
        self._spectrum = pulse.spectrum(self.size)
        self._transform = scipy.fft.next_fast_len(self.length + 8)
        self._template_spectrum = scipy.fft.fft(template, self._transform).astype(np.complex64)
        # samples that hold only the preamble: the body's first pulse begins pulse.delay samples before its peak
        self._clean = np.arange(pulse.delay - 2 * sps, pulse.delay + len(preamble) * sps - pulse.delay)
        offsets = np.arange(-self.reach, self.reach + 1)
        shift = _FINE[None, :] - offsets[:, None]
        window = np.i0(4 * np.sqrt(np.clip(1 - (shift / 6.0) ** 2, 0, 1))) / np.i0(4.0)  # Kaiser, 6 samples a side
        self._interpolate = (np.sinc(shift) * window).astype(np.float32)
        frequency = scipy.fft.fftfreq(self.size)
        self._angular = (2 * np.pi * frequency).astype(np.float32)
        self._angular_short = (2 * np.pi * scipy.fft.fftfreq(self._transform)).astype(np.float32)
        taps = np.arange(-_EARLY * sps // 2, _LATE * sps // 2 + 1)
        padded = np.concatenate([np.zeros(64 * sps, np.complex64), template, np.zeros(64 * sps, np.complex64)])
        self._rows = padded[64 * sps + self._clean[:, None] - taps[None, :]].astype(np.complex128)  # [clean, taps]
        prior = np.exp(-np.abs(taps) / (_MEMORY * sps / 2)) * np.where(taps < 0, 0.3, 1.0) + 0.003
        prior /= prior.sum()
        gram = self._rows.conj().T @ self._rows
        self._solvers, self._freedom = [], []
        for ratio in 10 ** (_RATIOS_DB / 10):
            solve = np.linalg.solve(gram + np.diag(1 / (prior * ratio)), self._rows.conj().T)
            self._solvers.append(solve.astype(np.complex64))
            self._freedom.append(float(np.trace(solve @ self._rows).real))
        self._tap_transform = np.exp(-2j * np.pi * np.outer(taps, frequency)).astype(np.complex64)
        self._rows = self._rows.astype(np.complex64)

    def estimate(self, samples: np.ndarray, start: np.ndarray, cfo: np.ndarray) -> ChannelEstimate:
        """samples: [N] complex64, start: [F] int64 as ``Acquired.start``, at least 4 samples inside; cfo: [F]
        [rad/sample]. Phases refer to the sample at ``start``."""
        time = np.arange(self.length) - self.reach
        cut = np.lib.stride_tricks.sliding_window_view(samples, self.length)[start - self.reach] * np.exp(
            -1j * cfo[:, None] * time
        ).astype(np.complex64)
        span = len(self._template)
        match = np.stack([cut[:, o : o + span] @ self._template for o in range(2 * self.reach + 1)], axis=1)  # [F, 9]
        fine = match @ self._interpolate  # [F, fine]
        power = np.abs(fine) ** 2
        best = power.argmax(axis=1)
        inner = np.clip(best, 1, len(_FINE) - 2)
        k = np.arange(len(start))
        delay = _FINE[inner] + parabola(power[k, inner - 1], power[k, inner], power[k, inner + 1]) / 16.0
        delay = delay.astype(np.float32)
        gain = fine[k, best] / np.float32(self._energy)
        ramp = np.exp(-1j * self._angular_short * delay[:, None])
        model = scipy.fft.ifft(self._template_spectrum * ramp, axis=1)[:, self._clean] * gain[:, None]
        seen = cut[:, self.reach + self._clean]
        count = len(self._clean)
        flat_residual = _mean_power(seen - model) * count / (count - 1.5)
        response = np.exp(-1j * self._angular * delay[:, None]) * (gain[:, None] * self._spectrum)
        noise = flat_residual.copy()
        strength = np.abs(gain) ** 2
        selective = np.zeros(len(start), bool)
        if self.selective:
            selective = self._try_taps(seen, flat_residual, response, noise, strength)
        noise = np.maximum(noise, 1e-5 * strength + 1e-20)
        return ChannelEstimate(response.astype(np.complex64), noise, self.pulse.sps * strength / noise, selective)

    def _try_taps(
        self,
        seen: np.ndarray,
        flat_residual: np.ndarray,
        response: np.ndarray,
        noise: np.ndarray,
        strength: np.ndarray,
    ) -> np.ndarray:
        """Replace response, noise and strength in place where taps explain the samples better. Returns [F] bool."""
        count = seen.shape[1]
        total = _mean_power(seen)
        h = seen @ self._solvers[5].T  # first look, as if at 20 dB
        residual = _mean_power(seen - h @ self._rows.T) * count / (count - self._freedom[5])
        useful = np.maximum(total - residual, 1e-3 * total + 1e-30)
        ratio_db = 10 * np.log10(useful / np.maximum(residual, 1e-9 * total + 1e-30))
        grid = np.clip(np.round((ratio_db - _RATIOS_DB[0]) / 5.0), 0, len(_RATIOS_DB) - 1).astype(int)
        selective = flat_residual > _SELECTIVE * residual
        for level in np.unique(grid[selective]):
            at = np.flatnonzero(selective & (grid == level))
            h = seen[at] @ self._solvers[level].T
            left = _mean_power(seen[at] - h @ self._rows.T) * count / (count - self._freedom[level])
            response[at] = (h @ self._tap_transform) * self._spectrum
            noise[at] = left
            strength[at] = np.maximum(total[at] - left, 1e-3 * total[at])
        return selective


@dataclass
class Equaliser:
    """weights: [F, N] complex64, unbiased MMSE filter in the frequency domain. error: [F] float32, predicted variance
    of an equalised symbol (noise and residual interference) for symbols of mean energy 1. edge: [F, M] complex64,
    weights of the timing estimate, H*(f) H(f - 1/T): only where two aliases of the pulse overlap."""

    weights: np.ndarray
    error: np.ndarray
    edge: np.ndarray

    @classmethod
    def from_estimate(cls, estimate: ChannelEstimate, pulse: Pulse) -> Equaliser:
        """W = H* / (sum_aliases |H|^2 + sps var) / mean(S / (S + sps var)), S the sum over aliases."""
        h = estimate.response
        power = h.real**2 + h.imag**2
        folded = power.reshape(len(h), pulse.sps, BLOCK).sum(axis=1)  # [F, M]
        floor = (pulse.sps * estimate.noise)[:, None].astype(np.float32)
        kept = np.mean(folded / (folded + floor), axis=1)
        kept = np.clip(kept, 1e-6, 1 - 1e-6)
        inverse = 1.0 / ((folded + floor) * kept[:, None])
        weights = h.conj() * np.tile(inverse, (1, pulse.sps))
        error = ((1 - kept) / kept).astype(np.float32)
        edge = h[:, :BLOCK].conj() * h[:, -BLOCK:]
        return cls(weights.astype(np.complex64), error, edge)


class BlockDemodulator:
    """Samples of frames to symbols, ``VALID`` symbols from each block of ``BLOCK``."""

    def __init__(self, preamble: Preamble, pulse: Pulse) -> None:
        self.pulse, self.size, self.reference = pulse, BLOCK * pulse.sps, len(preamble) / 2

    def spectra(
        self,
        samples: np.ndarray,
        start: np.ndarray,
        cfo: np.ndarray,
        blocks: int,
        drift: np.ndarray,
        dc: np.ndarray | None = None,
    ) -> np.ndarray:
        """[F, blocks, N] complex64: FFTs of blocks, frequency offset removed, reference sample ``start``.

        drift: [F] samples by which the transmitter's clock runs away per sample; block positions follow it to the
        sample. dc: [F] constant to take off the samples. samples must reach ``needed(blocks)`` beyond every start and
        GUARD sps before it.
        """
        sps = self.pulse.sps
        nominal = (np.arange(blocks) * VALID - GUARD) * sps + self.pulse.delay  # relative to start
        place = nominal + np.round(drift[:, None] * nominal).astype(np.int64)  # [F, blocks]
        view = np.lib.stride_tricks.sliding_window_view(samples, self.size)  # one FFT length from every sample on
        cut = view[start[:, None] + place]  # [F, blocks, N]
        if dc is not None and dc.any():
            cut -= dc[:, None, None]
        inner = _rotation(cfo, self.size)  # [F, N]
        outer = np.exp(-1j * cfo[:, None] * place).astype(np.complex64)
        cut *= inner[:, None, :]
        cut *= outer[:, :, None]
        return scipy.fft.fft(cut, axis=2, overwrite_x=True)

    def late(self, blocks: int, drift: np.ndarray, placed: np.ndarray) -> np.ndarray:
        """[F, blocks] samples by which the signal comes late in a block, after ``placed`` moved it by whole samples;
        the channel estimate's delay holds at the middle of the preamble."""
        nominal = (np.arange(blocks) * VALID - GUARD) * self.pulse.sps + self.pulse.delay
        return drift[:, None] * self.centres(blocks) - np.round(placed[:, None] * nominal)

    def centres(self, blocks: int) -> np.ndarray:
        """[blocks] samples from the middle of the preamble to the middle of each block."""
        return (np.arange(blocks) * VALID - GUARD + BLOCK / 2 - self.reference) * self.pulse.sps

    def symbols(self, spectra: np.ndarray, equaliser: Equaliser, late: np.ndarray) -> np.ndarray:
        """spectra [F, blocks, N], late [F, blocks] [samples] to symbols [F, blocks * VALID] complex64."""
        frames, blocks, _ = spectra.shape
        filtered = spectra * equaliser.weights[:, None, :]
        if np.any(late):
            turn = (2 * np.pi / self.size) * late.reshape(-1)  # [rad/bin]
            ramp = _rotation(-turn, self.size)
            ramp[:, self.size // 2 :] *= np.exp(-1j * self.size * turn).astype(np.complex64)[:, None]  # negative bins
            filtered *= ramp.reshape(frames, blocks, self.size)
        folded = filtered.reshape(frames, blocks, self.pulse.sps, BLOCK).sum(axis=2)
        out = scipy.fft.ifft(folded, axis=2, overwrite_x=True)[:, :, GUARD : GUARD + VALID]
        return np.ascontiguousarray(out).reshape(frames, blocks * VALID)

    def needed(self, blocks: int) -> int:
        """Samples from ``start`` to the end of the last block."""
        return (blocks * VALID + GUARD) * self.pulse.sps + self.pulse.delay

    @staticmethod
    def blocks_for(num_symbols: int) -> int:
        return -(-num_symbols // VALID)


def _rotation(cfo: np.ndarray, length: int) -> np.ndarray:
    """exp(-j cfo n) for n < length as a product of two short tables: [F, length] complex64; length a multiple of 16."""
    fine = np.exp(-1j * cfo[:, None] * np.arange(16)).astype(np.complex64)
    coarse = np.exp(-1j * cfo[:, None] * np.arange(0, length, 16)).astype(np.complex64)
    return (coarse[:, :, None] * fine[:, None, :]).reshape(len(cfo), length)


def _mean_power(x: np.ndarray) -> np.ndarray:
    """[F, K] complex to [F] float32."""
    return np.asarray(np.mean(x.real**2 + x.imag**2, axis=1, dtype=np.float64), np.float32)
