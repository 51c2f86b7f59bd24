"""One definition of SNR, Es/N0 per complex symbol at the matched filter's output, measured on every carrier.

Energy and noise are measured apart on 10^6 symbols or more: once with the channel's noise far down, once with nothing
sent. The tolerance is 0.1 dB (0.2 dB where the channel itself is an average over random fades).
"""

import numpy as np
import pytest
import scipy.signal

from phy.channel.impairments import noise_variance, white_noise
from phy.link import Link
from phy.modem.burst import Layout
from phy.modem.waveform import unit_energy_transmitter

SNR = 7.0
SYMBOLS = 1_000_000


def db(ratio):
    return 10 * np.log10(ratio)


def matched(samples):
    """Samples at 2 per symbol through the receiver's matched filter of unit energy, at the symbols."""
    pulse = Layout().pulse
    taps = pulse.taps / np.linalg.norm(pulse.taps)
    filtered = scipy.signal.oaconvolve(samples, taps[::-1])
    return filtered[2 * pulse.delay :: pulse.sps]


def qpsk(count, seed=0):
    bits = np.random.default_rng(seed).integers(0, 2, (count, 2)) * 2 - 1
    return ((bits[:, 0] + 1j * bits[:, 1]) / np.sqrt(2)).astype(np.complex64)


def bursts(symbols):
    """Shaped as the transmitter does, energy 1 a symbol."""
    transmitter = unit_energy_transmitter(Layout())
    return transmitter.layout.pulse.shape(symbols) * np.float32(transmitter.amplitude)


def noise_of(channel, count):
    return channel(np.zeros(count, np.complex64))


def test_awgn_symbols():
    link = Link(waveform="symbols")
    channel = link.channel_at(SNR, 1)
    sent = link.transmitter().send(b"head", np.random.default_rng(1).bytes(250_000), k_digest=bytes(8))
    assert len(sent.iq) > SYMBOLS
    energy = np.mean(np.abs(sent.iq) ** 2)
    noise = np.mean(np.abs(channel(sent.iq) - sent.iq) ** 2)
    assert db(energy / noise) == pytest.approx(SNR, abs=0.1)


def test_awgn_burst_at_the_matched_filter():
    symbols = qpsk(SYMBOLS)
    samples = bursts(symbols)
    got = matched(samples)[: len(symbols)]
    energy = np.mean(np.abs(got) ** 2)
    noise = np.mean(np.abs(matched(noise_of(Link().channel_at(SNR, 1), 2 * SYMBOLS))) ** 2)
    assert db(energy / noise) == pytest.approx(SNR, abs=0.1)
    assert np.mean(np.abs(got - symbols) ** 2) < 1e-3  # the filter's peak is where the symbols are
    own = white_noise(np.zeros(2 * SYMBOLS, np.complex64), noise_variance(SNR, 2, 0.5), np.random.default_rng(2))
    assert db(energy / np.mean(np.abs(matched(own)) ** 2)) == pytest.approx(SNR, abs=0.1)


def test_what_goes_on_the_air_has_that_energy_too():
    sent = Link().transmitter().send(b"head", np.random.default_rng(3).bytes(250_000), k_digest=bytes(8))
    energy = np.sum(np.abs(sent.iq) ** 2) / sent.channel_uses
    assert db(energy) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("rayleigh", {}), ("tdl-a", {"delay_spread": 100e-9, "sample_rate": 1e6}), ("tdl-d", {"sample_rate": 1e6})],
)
def test_fading_channels_have_it_on_average(name, parameters):
    blocks, length = 20_000, 100
    symbols = qpsk(blocks * length // 2)
    samples = bursts(symbols)
    starts = np.arange(0, len(samples) - length, length)
    quiet = Link(channel=name, channel_parameters=parameters).channel_at(190.0, 3)
    loud = Link(channel=name, channel_parameters=parameters).channel_at(SNR, 3)
    faded = quiet(samples, starts)
    gain = np.mean(np.abs(faded) ** 2) / np.mean(np.abs(samples) ** 2)
    noise = np.mean(np.abs(matched(noise_of(loud, 2 * SYMBOLS))) ** 2)
    assert db(gain / noise) == pytest.approx(SNR, abs=0.2)


@pytest.mark.parametrize("channel", ["awgn", "rayleigh"])
def test_receivers_report_it(channel):
    """The blind receiver's own estimate on frames, the mean of linear Es/N0 over them."""
    link = Link(channel=channel)
    sent = link.transmitter().send(b"head", bytes(400 * 256), k_digest=bytes(8))
    images = [link.receiver().receive(sent.through(link.channel_at(15.0, seed))).best() for seed in range(2)]
    mean = db(np.mean([10 ** (image.snr_db / 10) for image in images]))
    assert mean == pytest.approx(15, abs=0.3 if channel == "awgn" else 1.5)
