"""Signals at one SNR, the same for every receiver, and payload bytes that came back exactly.

SNR is the mean power of the signal while it is on the air, measured, over the power of white noise in the band that its
symbols fill: Es/N0 at the matched filter for 2 samples a symbol, per occupied subcarrier for OFDM. Noise of the same
seed is the same realisation for every signal, sample by sample, scaled to its power.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phy.channel.impairments import frequency_offset, noise_variance, white_noise

SINGLE_CARRIER = 2.0  # samples a symbol: ours and framesync64
OFDM = 64 / 52  # subcarriers over those that ofdm_tx fills


@dataclass(frozen=True)
class Bursts:
    """bursts: [F, S] complex64, payloads: [F, P] uint8 in the same order; band: sample rate over the symbols' band."""

    bursts: np.ndarray
    payloads: np.ndarray
    band: float = SINGLE_CARRIER

    def variance(self, snr_db: float) -> float:
        """Of the noise, per complex sample."""
        return noise_variance(snr_db, self.band, float(np.mean(np.abs(self.bursts) ** 2)))

    def heard(self, snr_db: float, seed: int, *, slot: int = 0, tail: int = 0, cfo: float = 0.0) -> np.ndarray:
        """[F slot + tail] complex64: every burst at the end of a slot (0: back to back), then silence; noise over all.

        slot: samples, at least S; cfo: [rad/sample].
        """
        frames, size = self.bursts.shape
        laid = np.zeros((frames, max(slot, size)), np.complex64)
        laid[:, -size:] = self.bursts
        x = np.concatenate([laid.reshape(-1), np.zeros(tail, np.complex64)])
        x = frequency_offset(x, cfo) if cfo else x
        return white_noise(x, self.variance(snr_db), np.random.default_rng(seed))


def exact(got: list[np.ndarray] | list[bytes], sent: np.ndarray) -> int:
    """How many of the payloads sent [F, P] uint8 came back as they were, each counted once."""
    known = {row.tobytes() for row in sent}
    return len(known & {bytes(one) for one in got})
