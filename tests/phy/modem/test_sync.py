"""Preamble and detector: what they find, how often they are wrong, and how precise they are."""

import numpy as np
import pytest

from phy.channel.impairments import Impairments, multipath, noise_variance, white_noise
from phy.modem.preamble import Preamble, PreambleError, chirp, pilot_symbols
from phy.modem.pulse import Pulse, papr_db
from phy.modem.sync import Detector, SyncError, parabola, sliding_sum

PULSE, PREAMBLE = Pulse(), Preamble()


def bursts(count, rng, gap=100, symbols=300, pulse=PULSE, preamble=PREAMBLE):
    payload = np.exp(1j * np.pi / 2 * rng.integers(0, 4, (count, symbols)))
    shaped = pulse.shape(np.concatenate([np.tile(preamble.symbols, (count, 1)), payload], axis=1))
    slots = np.concatenate([np.zeros((count, gap), np.complex64), shaped], axis=1)
    return slots.reshape(-1), np.arange(count) * slots.shape[1] + gap


def search(detector, samples):
    samples = np.concatenate([np.zeros(200), samples, np.zeros(6000)]).astype(np.complex64)
    positions, _ = detector.candidates(samples)
    inside = (positions > detector.before) & (positions < len(samples) - detector.after)
    found = detector.refine(samples, positions[inside])
    found.start -= 200
    return found


def test_preamble_has_constant_modulus_low_peaks_and_a_flat_spectrum():
    assert np.abs(PREAMBLE.symbols) == pytest.approx(np.ones(64), abs=1e-6)
    assert papr_db(PREAMBLE.template(PULSE)[12:-12]) < 3.5
    spectrum = (
        np.abs(np.fft.fft(chirp(32) * np.exp(1j * np.pi / 32 * np.arange(32)))) ** 2
    )  # it closes with a half turn
    assert spectrum == pytest.approx(np.full(32, 32.0), rel=1e-6)


def test_pilots_are_balanced_and_do_not_repeat():
    pilots = pilot_symbols(511)
    assert np.abs(np.fft.ifft(np.abs(np.fft.fft(pilots)) ** 2))[1:].max() < 100
    assert np.array_equal(pilot_symbols(20), pilots[:20])


@pytest.mark.parametrize("cfo", [0.0, 0.15, 0.3, -0.3])
def test_finds_every_burst_at_any_frequency_offset(cfo):
    rng = np.random.default_rng(4)
    samples, starts = bursts(120, rng)
    found = search(Detector(PREAMBLE, PULSE), Impairments(cfo=cfo, noise=noise_variance(3.0, 2)).apply(samples, rng))
    nearest = np.abs(found.start[None, :] - starts[:, None]).argmin(axis=1)
    assert np.abs(found.start[nearest] - starts).max() <= 1
    error = found.cfo[nearest] - cfo
    assert error.std() < 3e-3 and abs(error.mean()) < 1e-3  # Cramer-Rao bound at 3 dB, 64 symbols: 1.7e-3


def test_detection_probability_does_not_depend_on_level():
    rng = np.random.default_rng(5)
    samples, starts = bursts(60, rng)
    noisy = white_noise(samples, noise_variance(2.0, 2), rng)
    detector = Detector(PREAMBLE, PULSE)
    reference = search(detector, noisy)
    assert len(reference) >= len(starts)
    for level in (1e-6, 1e5):
        assert np.array_equal(search(detector, noisy * np.float32(level)).start, reference.start)


def test_first_stage_keeps_its_false_alarm_rate_at_any_noise_level():
    rng = np.random.default_rng(6)
    detector = Detector(PREAMBLE, PULSE, false_alarm=1e-3)
    for level in (1e-3, 1e3):
        positions, _ = detector.candidates(white_noise(np.zeros(1 << 19), level, rng))
        assert 0.7e-3 < len(positions) / (1 << 19) < 1.1e-3  # one candidate a cell: slightly fewer than single samples


def test_no_preamble_in_noise_a_sine_or_silence():
    rng = np.random.default_rng(7)
    detector = Detector(PREAMBLE, PULSE)
    assert len(search(detector, white_noise(np.zeros(1 << 19), 1.0, rng))) == 0
    sine = 50 * np.exp(0.4j * np.arange(1 << 17))
    assert len(search(detector, white_noise(sine, 1.0, rng))) == 0
    assert len(search(detector, np.zeros(1 << 15, np.complex64))) == 0


def test_frequency_is_right_in_a_channel_of_many_paths():
    rng = np.random.default_rng(8)
    samples, starts = bursts(1, rng, gap=300)
    wrong = 0
    for _ in range(60):
        gains = rng.standard_normal(6) + 1j * rng.standard_normal(6)
        received = multipath(samples, gains / np.linalg.norm(gains), np.sort(rng.uniform(0, 12, 6)))
        found = search(
            Detector(PREAMBLE, PULSE), Impairments(cfo=0.1, noise=noise_variance(15.0, 2)).apply(received, rng)
        )
        close = np.flatnonzero((found.start > starts[0] - 4) & (found.start < starts[0] + 16))
        wrong += len(close) != 1 or abs(found.cfo[close[0]] - 0.1) > 0.01
    assert wrong <= 2


def test_other_oversampling_and_preamble():
    rng = np.random.default_rng(9)
    pulse, preamble = Pulse(4, 0.3, 6), Preamble(64)
    samples, starts = bursts(20, rng, pulse=pulse, preamble=preamble)
    noisy = Impairments(cfo=0.1, noise=noise_variance(3.0, 4)).apply(samples, rng)
    found = search(Detector(preamble, pulse), noisy)
    nearest = np.abs(found.start[None, :] - starts[:, None]).argmin(axis=1)
    assert np.abs(found.start[nearest] - starts).max() <= 2 and np.abs(found.cfo[nearest] - 0.1).max() < 3e-3


@pytest.mark.parametrize("length", [1, 2, 63, 64, 100])
def test_sliding_sum_equals_the_plain_one(length):
    values = np.random.default_rng(10).uniform(size=(3, 200)).astype(np.float32)
    plain = np.stack([np.convolve(row, np.ones(length), "valid") for row in values])
    assert sliding_sum(values, length) == pytest.approx(plain, rel=1e-5)


def test_parabola_vertex():
    x = np.array([-1.0, 0.0, 1.0])
    y = -((x - 0.3) ** 2)
    assert parabola(*y) == pytest.approx(0.3)
    assert parabola(1.0, 1.0, 1.0) == 0


def test_impossible_arguments():
    with pytest.raises(PreambleError, match="half must be"):
        Preamble(15)
    with pytest.raises(PreambleError, match="count must not"):
        pilot_symbols(-1)
    with pytest.raises(SyncError, match="false_alarm must be"):
        Detector(PREAMBLE, PULSE, false_alarm=0.0)
    with pytest.raises(SyncError, match="thresholds must be"):
        Detector(PREAMBLE, PULSE, threshold=1.0)
    with pytest.raises(SyncError, match="max_cfo must be"):
        Detector(PREAMBLE, PULSE, max_cfo=0.5)
    with pytest.raises(SyncError, match="samples must be"):
        Detector(PREAMBLE, PULSE).candidates(np.zeros(100, np.complex64))
