"""Channel estimate and block equaliser against what they should give; clock and phase tracking against the truth."""

import numpy as np
import pytest

from phy.channel.impairments import clock_offset, frequency_offset, multipath, noise_variance, white_noise
from phy.modem.burst import BurstTransmitter, Layout
from phy.modem.equaliser import BlockDemodulator, ChannelEstimator, Equaliser
from phy.modem.preamble import Preamble, pilot_symbols
from phy.modem.pulse import Pulse
from phy.modem.tracking import clock_offset as estimate_clock
from phy.modem.tracking import track

LAYOUT = Layout()
START = 100


def frames(count, symbols, rng):
    data = np.exp(1j * np.pi / 2 * rng.integers(0, 4, (count, symbols)))
    return LAYOUT.assemble(data), BurstTransmitter(LAYOUT).bursts(data)


def place(bursts, snr_db, rng, impair=lambda burst: burst):
    """Bursts in slots of their own, first one's ``start`` at START: (samples, starts)."""
    impaired = [impair(burst) for burst in bursts]
    slot = max(len(one) for one in impaired) + 2 * START + 1200
    stretch = np.zeros(slot * len(bursts), np.complex64)
    for i, one in enumerate(impaired):
        stretch[i * slot + START : i * slot + START + len(one)] = one
    return white_noise(stretch, noise_variance(snr_db, LAYOUT.pulse.sps), rng), np.arange(len(bursts)) * slot + START


def demodulate(samples, starts, total, selective=True):
    still = np.zeros(len(starts))
    estimate = ChannelEstimator(LAYOUT.preamble, LAYOUT.pulse, selective).estimate(samples, starts, still)
    equaliser = Equaliser.from_estimate(estimate, LAYOUT.pulse)
    blocks = BlockDemodulator(LAYOUT.preamble, LAYOUT.pulse)
    count = blocks.blocks_for(total)
    spectra = blocks.spectra(samples, starts, still, count, still)
    symbols = blocks.symbols(spectra, equaliser, np.zeros((len(starts), count)))[:, :total]
    return estimate, equaliser, spectra, symbols


@pytest.mark.parametrize("delay", [0.0, 0.3, -0.45, 0.9])
def test_flat_channel_costs_nothing(delay):
    rng = np.random.default_rng(1)
    sent, bursts = frames(40, 500, rng)
    samples, starts = place(bursts, 10.0, rng, lambda b: 0.7j * clock_offset(b, 0.0, delay + 1))
    samples = white_noise(samples, 0.0, rng)
    estimate, equaliser, _, symbols = demodulate(samples, starts + 1, sent.shape[1])
    error = np.mean(np.abs(symbols - sent) ** 2)
    expected = 0.1 / 0.49
    assert not estimate.selective.any()
    assert np.mean(estimate.snr) == pytest.approx(1 / expected, rel=0.1)
    assert error == pytest.approx(expected, rel=0.06)  # gain and delay from 64 symbols cost about 2 %
    assert np.mean(equaliser.error) == pytest.approx(expected, rel=0.1)


def test_channel_of_many_paths_is_equalised_nearly_as_if_it_were_known():
    rng = np.random.default_rng(2)
    sent, bursts = frames(1, 500, rng)
    ratios, flat = [], []
    for _ in range(40):
        gains = (rng.standard_normal(8) + 1j * rng.standard_normal(8)) * np.exp(-np.arange(8) / 4)
        gains /= np.linalg.norm(gains)
        delays = np.arange(8) * 1.3
        samples, starts = place(bursts, 15.0, rng, lambda b, g=gains, d=delays: multipath(b, g, d))
        _, _, _, symbols = demodulate(samples, starts, sent.shape[1])
        frequency = np.fft.fftfreq(512)
        known = (np.exp(-2j * np.pi * np.outer(frequency, delays)) @ gains) * LAYOUT.pulse.spectrum(512)
        power = (np.abs(known) ** 2).reshape(2, 256).sum(axis=0)
        kept = np.mean(power / (power + 2 * noise_variance(15.0, 2)))
        ratios.append(np.mean(np.abs(symbols - sent) ** 2) * kept / (1 - kept))
        flat.append(np.mean(np.abs(demodulate(samples, starts, sent.shape[1], selective=False)[3] - sent) ** 2))
    assert np.median(ratios) < 1.35  # 1.3 dB for estimating 37 taps from 60 symbols
    assert np.median(flat) > 2 * np.median(ratios) * 10**-1.5


@pytest.mark.parametrize("ppm", [0.0, 200.0, -200.0, 40.0])
def test_clock_offset_is_measured_and_removed(ppm):
    rng = np.random.default_rng(3)
    sent, bursts = frames(20, 3900, rng)
    samples, starts = place(bursts, 10.0, rng, lambda b: clock_offset(b, ppm))
    _, equaliser, spectra, before = demodulate(samples, starts, sent.shape[1])
    blocks = BlockDemodulator(LAYOUT.preamble, LAYOUT.pulse)
    count = blocks.blocks_for(sent.shape[1])
    drift = estimate_clock(spectra, equaliser, blocks.centres(count), 2, sent.shape[1])
    assert np.mean(drift) * 1e6 == pytest.approx(ppm, abs=3)
    assert np.std(drift) * 1e6 < 6
    after = blocks.symbols(spectra, equaliser, blocks.late(count, drift, np.zeros(20)))[:, : sent.shape[1]]
    tail = slice(-400, None)
    error = np.mean(np.abs(after[:, tail] - sent[:, tail]) ** 2)
    assert error < 0.12  # 0.1 is the noise
    if abs(ppm) > 100:
        assert np.mean(np.abs(before[:, tail] - sent[:, tail]) ** 2) > 0.5


def known_symbols(count):
    where = np.concatenate([np.arange(64), LAYOUT.pilot_positions(count)])
    return where, np.concatenate([LAYOUT.preamble.symbols, pilot_symbols(LAYOUT.num_pilots(count))])


def test_tracking_removes_residual_frequency_and_reports_the_noise():
    rng = np.random.default_rng(4)
    sent, _ = frames(50, 1500, rng)
    cfo = rng.uniform(-0.02, 0.02, 50)
    turned = sent * np.exp(1j * (cfo[:, None] * np.arange(sent.shape[1]) + 1.0)) * 0.8
    noisy = white_noise(turned.reshape(-1), 0.2 * 0.64, rng).reshape(sent.shape)
    where, known = known_symbols(1500)
    tracked = track(noisy, where, known, np.full(50, 0.2), 0.03, 64)
    assert np.abs(tracked.cfo - cfo).max() < 4e-4
    assert np.mean(np.abs(tracked.symbols - sent) ** 2) == pytest.approx(0.2, rel=0.1)
    assert np.mean(tracked.noise) == pytest.approx(0.2, rel=0.06)
    assert tracked.fit.min() > 0.6


def test_tracking_follows_a_wandering_phase():
    rng = np.random.default_rng(5)
    sent, _ = frames(30, 3000, rng)
    walk = np.cumsum(rng.standard_normal(sent.shape) * 0.01, axis=1)
    where, known = known_symbols(3000)
    noisy = white_noise((sent * np.exp(1j * walk)).reshape(-1), 0.01, rng).reshape(sent.shape)
    tracked = track(noisy, where, known, np.full(30, 0.01), 0.03)
    assert np.mean(np.abs(noisy - sent) ** 2) > 0.1
    assert np.mean(np.abs(tracked.symbols - sent) ** 2) < 0.02


def test_fit_tells_a_burst_from_noise():
    rng = np.random.default_rng(6)
    noise = white_noise(np.zeros(200 * 500), 1.0, rng).reshape(200, 500)
    where, known = known_symbols(400)
    assert np.mean(track(noise, where, known, np.full(200, 1.0), 0.03, 64).fit > 0.2) < 0.35


def test_other_oversampling():
    rng = np.random.default_rng(7)
    layout = Layout(Preamble(32), Pulse(4, 0.35, 6))
    data = np.exp(1j * np.pi / 2 * rng.integers(0, 4, (5, 300)))
    bursts = BurstTransmitter(layout, gap=2400).bursts(data)
    samples = frequency_offset(white_noise(bursts.reshape(-1), noise_variance(20.0, 4), rng), 0.0, 1.0)
    samples = np.concatenate([np.zeros(200, np.complex64), samples])
    starts = np.arange(5) * bursts.shape[1] + 200
    estimate = ChannelEstimator(layout.preamble, layout.pulse).estimate(samples, starts, np.zeros(5))
    blocks = BlockDemodulator(layout.preamble, layout.pulse)
    count = blocks.blocks_for(layout.num_symbols(300))
    spectra = blocks.spectra(samples, starts, np.zeros(5), count, np.zeros(5))
    symbols = blocks.symbols(spectra, Equaliser.from_estimate(estimate, layout.pulse), np.zeros((5, count)))
    error = symbols[:, : layout.num_symbols(300)] - layout.assemble(data)
    assert np.mean(np.abs(error) ** 2) < 0.013
