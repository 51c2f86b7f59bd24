"""Channel statistics, independence and reproducibility."""

import numpy as np
import pytest
from sionna.phy import config as sionna_config

from phy.channel import make_channel
from phy.errors import ChannelError

ONES = np.ones(200_000, np.complex64)


@pytest.mark.parametrize("snr_db", [-3.0, 0.0, 10.0, 20.0])
def test_awgn_has_the_asked_snr_and_is_circular(snr_db):
    added = make_channel("awgn", snr_db=snr_db, seed=1)(ONES) - 1
    power = 10 ** (-snr_db / 10)
    assert np.mean(np.abs(added) ** 2) == pytest.approx(power, rel=0.02)
    assert np.var(added.real) == pytest.approx(power / 2, rel=0.02)
    assert abs(np.mean(added**2)) < 0.02 * power
    assert abs(np.mean(added)) < 5 * np.sqrt(power / len(ONES))
    assert abs(np.mean(added[1:] * added[:-1].conj())) < 0.02 * power


def test_same_seed_same_noise_other_seed_independent_noise():
    first, again = (make_channel("awgn", snr_db=0, seed=5)(ONES) - 1 for _ in range(2))
    other = make_channel("awgn", snr_db=0, seed=6)(ONES) - 1
    assert np.array_equal(first, again)
    assert abs(np.vdot(first, other)) / len(ONES) < 0.01


def test_sionnas_own_generator_is_left_alone():
    before = sionna_config.torch_rng("cpu").get_state()
    make_channel("rayleigh", snr_db=0, seed=5)(ONES[:100])
    assert sionna_config.torch_rng("cpu").get_state().equal(before)


def test_rayleigh_is_constant_in_a_block_and_unit_power_over_blocks():
    block, blocks = 4, 20_000
    x = np.ones(block * blocks, np.complex64)
    gain = make_channel("rayleigh", snr_db=150, seed=2)(x, np.arange(blocks) * block).reshape(blocks, block)
    assert np.abs(gain - gain[:, :1]).max() < 1e-5
    power = np.abs(gain[:, 0]) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.04)
    assert np.mean(power < 0.1) == pytest.approx(1 - np.exp(-0.1), abs=0.01)  # exponential power: Rayleigh amplitude
    assert abs(np.mean(gain[1:, 0] * gain[:-1, 0].conj())) < 0.04


def test_antennas_are_independent():
    gain = make_channel("rayleigh", snr_db=150, seed=3, rx_antennas=2)(np.ones(10_000, np.complex64), np.arange(10_000))
    assert gain.shape == (2, 10_000)
    assert abs(np.vdot(gain[0], gain[1])) / 10_000 < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"snr_db": float("nan")}, "snr_db must be a finite number"),
        ({"snr_db": float("inf")}, "snr_db must be a finite number"),
        ({"name": "vacuum"}, "no channel named 'vacuum': choose one of awgn"),
        ({"seed": -1}, "seed must be 0 to"),
        ({"rx_antennas": 0}, "rx_antennas must be 1 to 16, got 0"),
    ],
)
def test_nonsense_is_refused(change, message):
    with pytest.raises(ChannelError, match=message):
        make_channel(**({"name": "awgn", "snr_db": 10.0, "seed": 1} | change))


def test_shapes_are_refused():
    with pytest.raises(ChannelError, match=r"x must be \[N\], got \[2, 3\]"):
        make_channel("awgn", snr_db=0, seed=0)(np.ones((2, 3), np.complex64))
    with pytest.raises(ChannelError, match="block_starts must be 0 to 99"):
        make_channel("rayleigh", snr_db=0, seed=0)(ONES[:100], np.array([0, 100]))
