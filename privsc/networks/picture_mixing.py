"""Features of a picture on complex symbols of equal energy, and back with what the receiver knows of the noise (numpy).

    features [V, f] ──power──► pairs c [N] ──shuffle, phases, Fourier transform──► x [N] ──nearest──► messages [N]
    y [N], noise [N] ──posterior mean──► z, noise [N] ──linear MMSE──► f_hat, reliability [V, f]

The transform spreads every pair, important or not, evenly over all symbols. Each symbol is then complex Gaussian with
unit energy, whatever the picture: one codebook fits all, the modem needs no power profile, and rounding, a fade or a
lost frame costs every feature a little instead of some everything. Powers follow the square root of the energies (Lee
and Petersen 1976).

Where all symbols have the same noise the estimate is one multiplication a feature. Where they differ it is found by
conjugate gradients, and its error from the large-system limit of a random unitary transform (Ma and Ping 2017).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.fft import fft, ifft

from phy.frame.frame import interleaver
from phy.frame.tx import scrambling
from privsc.errors import PayloadError

GRAIN = 32  # symbols come in multiples of this
LOST = 1e4  # noise power from which on a symbol counts as not received
_CHUNK = 8192
_EVEN = 1.02  # ratio of largest to smallest noise up to which it counts as equal
_CERTAIN = 0.3  # noise power up to which the posterior over the points is worth its time
_ROUNDS = 100  # of conjugate gradients
_TOLERANCE = 1e-3  # of the residual


@dataclass(frozen=True)
class Placement:
    """Which features of which blocks are sent.

    Attributes:
        blocks: V, blocks that are sent, in raster order without the hidden ones.
        symbols: N, a multiple of 32.
        features: real features of a block; N is at most V features / 2.
    """

    blocks: int
    symbols: int
    features: int

    def __post_init__(self) -> None:
        if self.features < 2 or self.features % 2:
            raise PayloadError(f"the picture code needs an even number of features, got {self.features}")
        most = self.blocks * self.features // 2 // GRAIN * GRAIN
        if self.symbols % GRAIN or not GRAIN <= self.symbols <= most:
            raise PayloadError(
                f"{self.blocks} blocks are sent in {GRAIN} to {most} symbols, a multiple of {GRAIN}, got {self.symbols}"
            )

    @property
    def used(self) -> int:
        """Real features of which at least one block's is sent."""
        return 2 * -(-self.symbols // self.blocks)

    def shares(self) -> np.ndarray:
        """[features] float64: the fraction of the blocks in which each feature is sent."""
        pair = np.arange(self.features) // 2
        return np.clip(self.symbols / self.blocks - pair, 0, 1)

    def elements(self) -> tuple[np.ndarray, np.ndarray]:
        """Block and pair of each of the N that are sent, int64: by pair, then blocks in an even scatter."""
        index = np.arange(self.symbols, dtype=np.int64)
        return interleaver(self.blocks)[index % self.blocks], index // self.blocks


def feature_powers(energies: np.ndarray, placement: Placement) -> np.ndarray:
    """Power of each feature [features] float64: proportional to its energy's square root, mean 1 over those sent."""
    root, shares = np.sqrt(energies.astype(np.float64)), placement.shares()
    return root * shares.sum() / (root * shares).sum()


def mix(features: np.ndarray, energies: np.ndarray, placement: Placement) -> np.ndarray:
    """Features [V, features] float32 and their energies [features] to symbols [N] complex64 of mean energy near 1."""
    scaled = features * np.sqrt(feature_powers(energies, placement) / energies / 2).astype(np.float32)
    pairs = np.ascontiguousarray(scaled, np.float32).view(np.complex64)
    return _forward(pairs[placement.elements()]).astype(np.complex64)


def nearest(symbols: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Symbols [N] complex64 to the numbers [N] uint8 of the nearest points of the codebook [256] complex64."""
    points = np.stack([codebook.real, codebook.imag]).astype(np.float32)
    half = (np.abs(codebook) ** 2 / 2).astype(np.float32)
    flat = np.ascontiguousarray(symbols, np.complex64).view(np.float32).reshape(-1, 2)
    out = np.empty(len(flat), np.uint8)
    for start in range(0, len(flat), _CHUNK):
        out[start : start + _CHUNK] = np.argmax(flat[start : start + _CHUNK] @ points - half, axis=1)
    return out


@dataclass(frozen=True)
class Points:
    """The 256 points of a message: codebook [256] complex64, how often each is sent [256] float32, rounding error D.

    The codebook's energy, weighted with ``prior``, is 1. A symbol x of energy 1 is rounded to the nearest of the
    points times (1 - D)^(1/2), which are the means of their cells; D is what that leaves, E|x - mean|^2.
    """

    codebook: np.ndarray
    prior: np.ndarray
    rounding: float

    def __post_init__(self) -> None:
        if self.codebook.shape != (256,) or self.prior.shape != (256,) or not 0 < self.rounding < 1:
            raise PayloadError(
                f"the picture code's points must be [256] and [256] with a rounding error of 0 to 1, got "
                f"{list(self.codebook.shape)}, {list(self.prior.shape)}, {self.rounding}"
            )
        energy = float(np.abs(self.codebook) ** 2 @ self.prior)
        if not (np.isfinite(self.prior).all() and (self.prior >= 0).all() and abs(energy - 1) < 2e-3):
            raise PayloadError(
                f"the points' probabilities must be numbers that make the mean energy 1, got {energy:.4f}"
            )

    def round(self, symbols: np.ndarray) -> np.ndarray:
        """Symbols [N] complex64 of mean energy 1 to messages [N] uint8."""
        return nearest(symbols / np.float32(np.sqrt(1 - self.rounding)), self.codebook)

    def soft(self, received: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Received symbols to unrounded symbols in noise of known power.

        The posterior mean over the points is an estimate of a symbol of energy 1; divided by its own shrinkage it is
        the symbol plus noise, which is what the linear estimate within a group needs.

        Args:
            received: [N] complex64, equalised.
            noise: [N] float, noise power a symbol; at least ``LOST`` where nothing was received.

        Returns:
            z [N] complex64 and its noise power [N] float64.
        """
        kept = 1 - self.rounding
        lost = ~np.isfinite(received) | ~(np.asarray(noise) < LOST)
        received = np.where(lost, 0, received).astype(np.complex64)
        noise = np.where(lost, LOST, noise).astype(np.float64)
        z = received / np.float32(np.sqrt(kept))
        out = (noise + self.rounding) / kept
        steps = np.round(20 * np.log10(np.maximum(noise, 1e-4)))  # noise powers half a decibel apart are one
        for step in np.unique(steps[noise <= _CERTAIN]):
            chosen = np.flatnonzero((steps == step) & (noise <= _CERTAIN))
            mean, spread = self._posterior(received[chosen], float(10 ** (step / 20)))
            left = min(kept * spread + self.rounding, 0.9)
            z[chosen] = mean * np.float32(np.sqrt(kept) / (1 - left))
            out[chosen] = left / (1 - left)
        out[lost] = 1e6
        return z, out

    def _posterior(self, y: np.ndarray, noise: float) -> tuple[np.ndarray, float]:
        """Posterior mean [N] complex64 over the points, and the mean posterior variance."""
        points = np.stack([self.codebook.real, self.codebook.imag]).astype(np.float32)
        energy = (np.abs(self.codebook) ** 2).astype(np.float32)
        offset = np.log(np.maximum(self.prior, 1e-8)).astype(np.float32) - energy / np.float32(noise)
        columns = np.stack([self.codebook.real, self.codebook.imag, energy, np.ones(256)], axis=1).astype(np.float32)
        flat = np.ascontiguousarray(y).view(np.float32).reshape(-1, 2) * np.float32(2 / noise)
        means, spread = np.empty(len(y), np.complex64), 0.0
        for start in range(0, len(y), _CHUNK):
            score = flat[start : start + _CHUNK] @ points
            score += offset
            score -= score.max(axis=1, keepdims=True)
            sums = np.exp(score, out=score) @ columns
            sums[:, :3] /= sums[:, 3:]
            means[start : start + _CHUNK] = sums[:, 0] + 1j * sums[:, 1]
            spread += float((sums[:, 2] - sums[:, 0] ** 2 - sums[:, 1] ** 2).sum())
        return means, max(spread / max(len(y), 1), 0.0)


def _forward(pairs: np.ndarray) -> np.ndarray:
    """Pairs [N] complex to symbols [N]: unitary.

    Without the shuffle, neighbours would have like powers and a run of lost symbols would be worse than scattered ones;
    without the phases, the mean of a dark picture would be one great symbol.
    """
    return fft(pairs[_shuffle(len(pairs))] * scrambling(len(pairs)), norm="ortho")


def _backward(symbols: np.ndarray) -> np.ndarray:
    """Inverse of ``_forward``."""
    pairs = np.empty(len(symbols), np.result_type(symbols, np.complex64))
    pairs[_shuffle(len(symbols))] = ifft(symbols, norm="ortho") * scrambling(len(symbols)).conj()
    return pairs


@functools.lru_cache(maxsize=16)
def _shuffle(length: int) -> np.ndarray:
    """A permutation [length] int64 from a multiplicative hash of the position: the same everywhere, not drawn."""
    state = np.arange(1, length + 1, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)
    state = (state ^ (state >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
    order = np.argsort(state ^ (state >> np.uint64(31)), kind="stable")
    order.flags.writeable = False
    return order


def unmix(
    z: np.ndarray, noise: np.ndarray, energies: np.ndarray, placement: Placement
) -> tuple[np.ndarray, np.ndarray]:
    """Linear minimum-mean-square estimate of the features.

    Args:
        z: [N] complex64, symbols plus noise.
        noise: [N] float, its power a symbol.
        energies: [features], as the sender used them.
        placement: what was sent.

    Returns:
        features [V, features] float32, 0 where not sent; reliability like it, 1 - error over energy, 0 to 1.
    """
    blocks, pairs = placement.elements()
    power = feature_powers(energies, placement).reshape(-1, 2)[pairs]  # [N, 2]: of the real and the imaginary part
    noise = np.asarray(noise, np.float64)
    spread = effective_noise(noise, power)
    trust = power / (power + spread)
    if noise.max() <= _EVEN * noise.min():
        estimate = _parts(_backward(z)) * trust
    else:
        estimate = _uneven(np.asarray(z, np.complex128), noise, power)
    features = np.zeros((placement.blocks, placement.features // 2, 2), np.float32)
    reliability = np.zeros_like(features)
    features[blocks, pairs] = estimate * np.sqrt(2 * energies.reshape(-1, 2)[pairs] / power)
    reliability[blocks, pairs] = trust
    flat = (placement.blocks, placement.features)
    return features.reshape(flat), reliability.reshape(flat)


def effective_noise(noise: np.ndarray, power: np.ndarray) -> float:
    """Noise power that every feature sees, where symbols differ in theirs.

    With the mean error m = E 1/(1/p + 1/v) of the features and t the power that makes 1/m = 1/v + 1/t, v is where the
    mean error of the symbols, E 1/(1/t + 1/noise), is m too. All symbols alike give v = noise.

    Args:
        noise: [N] float, > 0.
        power: [N, 2] float, of the pairs' two parts.
    """
    values, counts = np.unique(power, return_counts=True)
    shares = counts / power.size
    low, high = np.log(noise.min()), np.log(noise.max())
    for _ in range(40 if high > low else 0):
        middle = (low + high) / 2
        inverse = np.exp(-middle)
        error = float(shares @ (1 / (1 / values + inverse)))
        seen = float(np.mean(1 / (1 / error - inverse + 1 / noise)))
        low, high = (low, middle) if error > seen else (middle, high)
    return float(np.exp((low + high) / 2))


def _parts(pairs: np.ndarray) -> np.ndarray:
    """[N] complex to [N, 2] real and imaginary parts."""
    return np.stack([pairs.real, pairs.imag], axis=1)


def _uneven(y: np.ndarray, noise: np.ndarray, power: np.ndarray) -> np.ndarray:
    """p T' (T p T' + noise)^-1 y for symbols y [N] that differ in noise, as parts [N, 2] of the pairs.

    Conjugate gradients on the system divided by the square root of the noise on both sides, whose smallest eigenvalue
    is 1; real arithmetic, since the two parts of a pair differ in power.
    """
    scale = 1 / np.sqrt(noise)

    def weigh(symbols: np.ndarray) -> np.ndarray:
        parts = _parts(_backward(symbols)) * power
        return parts[:, 0] + 1j * parts[:, 1]

    rest = scale * y
    solution, direction = np.zeros_like(rest), rest
    left = first = float(np.vdot(rest, rest).real)
    for _ in range(_ROUNDS):
        if left <= _TOLERANCE**2 * first:
            break
        image = direction + scale * _forward(weigh(scale * direction))
        step = left / float(np.vdot(direction, image).real)
        solution = solution + step * direction
        rest = rest - step * image
        before, left = left, float(np.vdot(rest, rest).real)
        direction = rest + left / before * direction
    return _parts(weigh(scale * solution))
