"""What the resampler costs: packet error rate at 9 dB, recorded at other rates, against the signal's own.

Clean frames are brought to the recording's rate by the Fourier transform, white noise is added there (N0 the same: its
power per sample grows with the rate), and the front end and the chain take them as any recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware.diagnosis.train import known_train
from hardware.frontend.frontend import Correction, FrontEnd
from hardware.process.chain import Chain
from hardware.process.replaying import Reception
from tests.hardware.recordings.make import resampled

RATIOS = (0.8, 1.024, 1.25, 2.0, 2.4, 10.0)
SNR = 9.0


@dataclass(frozen=True)
class Loss:
    """ratio: of the recording's rate; per: share of frames lost or wrong; loss_db: [dB], by the slope of the direct
    curve."""

    ratio: float
    frames: int
    per: float
    loss_db: float


def error_rate(ratio: float, snr_db: float, frames: int, seed: int) -> float:
    """Share of frames that do not arrive exactly."""
    rng = np.random.default_rng((seed, round(1000 * ratio), round(100 * snr_db)))
    chain = Chain("bob")
    reception = Reception(FrontEnd(Correction(), ratio, 1.0), [chain])
    train = known_train(100, 64, "image8x4", gap=256)
    quiet = np.zeros(4000, np.complex64)
    clean = resampled(np.concatenate([quiet, train.iq, quiet]), ratio)
    width = np.sqrt(ratio * 10 ** (-snr_db / 10) / 2)
    for _ in range(frames // train.frames):
        noise = rng.standard_normal(2 * len(clean), np.float32).view(np.complex64) * np.float32(width)
        samples = clean + noise
        for first in range(0, len(samples), 1 << 16):
            reception.push(samples[first : first + (1 << 16)])
    reception.finish()
    return 1 - chain.tally.good / (frames // train.frames * train.frames)


def losses(frames: int = 2000, ratios: tuple[float, ...] = RATIOS, seed: int = 0) -> tuple[list[Loss], list[Loss]]:
    """(the direct curve at 8.5, 9 and 9.5 dB, the resampled ones at 9 dB)."""
    around = (SNR - 0.5, SNR, SNR + 0.5)
    direct = [error_rate(1.0, snr, frames, seed) for snr in around]
    slope = (direct[2] - direct[0]) / (around[2] - around[0])  # of the error rate, per dB
    curve = [Loss(1.0, frames, per, SNR - snr) for per, snr in zip(direct, around, strict=True)]
    rows = []
    for ratio in ratios:
        per = error_rate(ratio, SNR, frames, seed)
        rows.append(Loss(ratio, frames, per, (per - direct[1]) / -slope))
    return curve, rows
