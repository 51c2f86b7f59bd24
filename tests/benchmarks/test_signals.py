"""The SNR and the noise that all receivers get."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.signals import OFDM, SINGLE_CARRIER, Bursts, exact


def made(frames: int, size: int, amplitude: float, band: float = SINGLE_CARRIER) -> Bursts:
    rng = np.random.default_rng(frames)
    bursts = amplitude * (rng.standard_normal((frames, size, 2)) @ [1, 1j])
    return Bursts(bursts.astype(np.complex64), rng.integers(0, 256, (frames, 8), dtype=np.uint8), band)


@pytest.mark.parametrize("band", [SINGLE_CARRIER, OFDM])
@pytest.mark.parametrize("amplitude", [0.1, 3.0])
def test_snr_is_measured_power_over_noise_in_the_symbols_band(band, amplitude):
    signal = made(200, 500, amplitude, band)
    noise = signal.heard(7.0, 1) - signal.bursts.reshape(-1)
    power = np.mean(np.abs(signal.bursts) ** 2)
    measured = 10 * np.log10(power / (np.mean(np.abs(noise) ** 2) / band))
    assert measured == pytest.approx(7.0, abs=0.06)  # 1e5 samples: one sigma is 0.014 dB


def test_all_receivers_get_the_same_realisation():
    one, other = made(5, 300, 1.0), made(4, 310, 0.2)
    noises = []
    for signal in (one, other):
        laid = signal.heard(300.0, 3, slot=320, tail=50)
        noises.append((signal.heard(10.0, 3, slot=320, tail=50) - laid) / np.sqrt(signal.variance(10.0)))
    shared = min(map(len, noises))
    np.testing.assert_allclose(noises[0][:shared], noises[1][:shared], atol=1e-4)


def test_bursts_lie_at_the_end_of_their_slots_and_silence_follows():
    signal = made(3, 100, 1.0)
    heard = signal.heard(300.0, 0, slot=120, tail=40)
    assert len(heard) == 3 * 120 + 40
    np.testing.assert_allclose(heard[:360].reshape(3, 120)[:, 20:], signal.bursts, atol=1e-6)
    assert np.abs(heard[:20]).max() < 1e-6 and np.abs(heard[360:]).max() < 1e-6
    turned = signal.heard(300.0, 0, cfo=0.1)
    np.testing.assert_allclose(np.angle(turned[50] / signal.bursts[0, 50]), 5.0 - 2 * np.pi, atol=1e-4)


def test_exact_counts_a_payload_once_and_only_as_it_was_sent():
    sent = np.arange(12, dtype=np.uint8).reshape(3, 4)
    harmed = sent[1].copy()
    harmed[2] ^= 1
    assert exact([sent[0], sent[0], harmed, sent[2].tobytes(), sent[2].tobytes()[:3]], sent) == 2
