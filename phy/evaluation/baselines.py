"""What a learned codec is measured against: classical schemes and limits, in closed form or as codecs of their own.

Everything here is for real AWGN unless it says complex; Eb/N0 in dB; n channel uses are real dimensions with noise
variance 1 / (2 R Eb/N0) each at unit symbol energy, R = k / n. ``phy.evaluation.ldpc`` has Sionna's 5G LDPC.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from phy.codec.codec import Codec
from phy.errors import CodecError

HAMMING_PARITY = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]], np.uint8)  # parity bits of the four data bits


def q_function(x: ArrayLike) -> np.ndarray:
    """Gaussian tail probability."""
    return 0.5 * special.erfc(np.asarray(x, float) / np.sqrt(2))


def from_db(value_db: ArrayLike) -> np.ndarray:
    """Decibel to power ratio."""
    return 10 ** (np.asarray(value_db, float) / 10)


def bpsk_bler(eb_n0_db: ArrayLike, k: int) -> np.ndarray:
    """Uncoded BPSK, k bits in k uses: 1 - (1 - Q(sqrt(2 Eb/N0)))^k."""
    return -np.expm1(k * np.log1p(-q_function(np.sqrt(2 * from_db(eb_n0_db)))))


def hamming_hard_bler(eb_n0_db: ArrayLike) -> np.ndarray:
    """Hamming (7, 4) with hard decisions: more than one of seven bits wrong."""
    p = q_function(np.sqrt(2 * 4 / 7 * from_db(eb_n0_db)))
    return 1 - (1 - p) ** 7 - 7 * p * (1 - p) ** 6


def hamming_union_bound(eb_n0_db: ArrayLike) -> np.ndarray:
    """Union bound of Hamming (7, 4) under ML: 7 Q(sqrt(6 g)) + 7 Q(sqrt(8 g)) + Q(sqrt(14 g)), g = 4/7 Eb/N0."""
    g = 4 / 7 * from_db(eb_n0_db)
    return 7 * q_function(np.sqrt(6 * g)) + 7 * q_function(np.sqrt(8 * g)) + q_function(np.sqrt(14 * g))


def union_bound(codec: Codec, eb_n0_db: ArrayLike) -> np.ndarray:
    """Union bound of any codebook under ML: mean over codewords of sum Q(d / 2 sigma)."""
    points = codec.features(codec.codebook).astype(float)  # [2^k, D]
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    distance = distance[~np.eye(len(points), dtype=bool)]
    eb_n0 = np.atleast_1d(from_db(eb_n0_db))
    sigma = np.sqrt(codec.n / codec.k / (2 * eb_n0))
    bound = np.array([q_function(distance / (2 * s)).sum() / len(points) for s in sigma])
    return bound if np.ndim(eb_n0_db) else bound[0]


def shannon59(eb_n0_db: ArrayLike, n: int, k: int) -> np.ndarray:
    """Shannon's 1959 sphere-packing lower bound for equal-energy real codes of 2^k words in n dimensions.

    The cone that holds a 2^-k share of the solid angle; the probability that noise leaves it, as a non-central t.
    """

    def share(theta: float) -> float:
        half = 0.5 * special.betainc((n - 1) / 2, 0.5, np.sin(theta) ** 2)
        return half if theta <= np.pi / 2 else 1 - half

    if n < 2:
        raise CodecError(f"Shannon's bound needs n of at least 2, got {n}")
    theta = optimize.brentq(lambda angle: share(angle) - 2.0**-k, 1e-9, np.pi - 1e-9, xtol=1e-13)
    amplitude = np.sqrt(2 * k / n * from_db(eb_n0_db))
    return stats.nct.cdf(np.sqrt(n - 1) / np.tan(theta), n - 1, np.sqrt(n) * amplitude)


def normal_approximation(eb_n0_db: ArrayLike, n: int, k: int) -> np.ndarray:
    """Polyanskiy, Poor, Verdu (2010), real AWGN: Q((n C - k + log2(n) / 2) / sqrt(n V)). Meaningless for small n."""
    power = 2 * k / n * from_db(eb_n0_db)
    capacity = 0.5 * np.log2(1 + power)
    dispersion = power * (power + 2) / (2 * (power + 1) ** 2) * np.log2(np.e) ** 2
    return q_function((n * capacity - k + 0.5 * np.log2(n)) / np.sqrt(n * dispersion))


def bpsk_codec(k: int) -> Codec:
    """Uncoded BPSK as a codec: k bits in k real uses."""
    bits = (np.arange(1 << k)[:, None] >> np.arange(k - 1, -1, -1)) & 1
    return Codec(f"bpsk-{k}-{k}", 120, k, (1.0 - 2.0 * bits).astype(np.complex64), real=True)


def hamming_words() -> np.ndarray:
    """[16, 7] uint8: the systematic Hamming (7, 4) code, word m carries the bits of m, most significant first."""
    data = ((np.arange(16)[:, None] >> np.arange(3, -1, -1)) & 1).astype(np.uint8)
    return np.concatenate([data, data @ HAMMING_PARITY.T % 2], axis=1)


def hamming_codec() -> Codec:
    """Hamming (7, 4) on BPSK as a codec; its ``demap`` is the ML decoder."""
    return Codec("hamming-7-4", 121, 4, (1.0 - 2.0 * hamming_words()).astype(np.complex64), real=True)


def hamming_hard_decode(y: np.ndarray) -> np.ndarray:
    """y [..., 7] real or complex to messages [...] uint16: nearest word in Hamming distance to the hard decisions."""
    hard = (np.real(y) < 0).astype(np.float32)
    words = hamming_words().astype(np.float32)
    score = hard @ (2 * words - 1).T - words.sum(axis=1)  # minus the Hamming distance, up to a constant per row
    return score.argmax(axis=-1).astype(np.uint16)


def gray_qam_codec(bits: int) -> Codec:
    """Square Gray QAM, one complex use per symbol, as a codec: bits even, 2 to 8."""
    if bits not in (2, 4, 6, 8):
        raise CodecError(f"bits must be 2, 4, 6 or 8, got {bits}")
    side = 1 << bits // 2
    index = np.arange(side)
    level = np.empty(side)
    level[index ^ (index >> 1)] = 2 * index - (side - 1)  # the Gray label's amplitude
    message = np.arange(1 << bits)
    book = level[message >> bits // 2] + 1j * level[message & (side - 1)]
    book /= np.sqrt(np.mean(np.abs(book) ** 2))
    return Codec(f"qam-{1 << bits}", 122, bits, book[:, None].astype(np.complex64))
