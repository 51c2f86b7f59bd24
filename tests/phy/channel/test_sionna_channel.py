"""Channel statistics, independence and reproducibility."""

import numpy as np
import pytest
from sionna.phy import config as sionna_config

from phy.channel.sionna_channel import CHANNELS, FIRST_LAG, make_channel
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
        ({"delay_spread": float("nan")}, "delay_spread must be"),
        ({"carrier": 0.0}, "carrier must be"),
        ({"speed": -1.0}, "speed must be"),
        ({"sample_rate": float("inf")}, "sample_rate must be"),
        ({"correlation": 1.5}, "correlation must be"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
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


SELECTIVE = [name for name in CHANNELS if "-" in name]
TEN_MSPS = {"snr_db": 190.0, "delay_spread": 300e-9, "sample_rate": 10e6}


@pytest.mark.parametrize("name", SELECTIVE)
def test_an_impulse_shows_the_taps(name):
    channel = make_channel(name, seed=4, **TEN_MSPS)
    taps, _ = channel.taps(1, 600)
    x = np.zeros(600, np.complex64)
    x[100] = 1
    span = taps.shape[3]
    expected = np.zeros(600, np.complex64)
    expected[100 + FIRST_LAG : 100 + FIRST_LAG + span] = taps[0, 0, 0]
    assert np.abs(channel(x) - expected).max() < 1e-5


@pytest.mark.parametrize("name", ["tdl-a", "tdl-b", "tdl-c", "tdl-d", "tdl-e", "cdl-b", "cdl-d"])
def test_mean_gain_is_one_and_the_delay_spread_as_asked(name):
    taps, _ = make_channel(name, seed=1, rx_antennas=2, **TEN_MSPS).taps(800, 100)
    profile = (np.abs(taps[:, :, 0]) ** 2).mean(axis=0)  # [A, L]
    assert profile.sum(axis=1) == pytest.approx(1.0, abs=0.09)
    lag = np.arange(profile.shape[1]) / 10e6
    profile = profile.mean(axis=0) / profile.mean(axis=0).sum()
    spread = np.sqrt(profile @ lag**2 - (profile @ lag) ** 2)
    assert spread == pytest.approx(300e-9, rel=0.15)  # sinc taps at 100 ns add a little


def test_tdl_antennas_and_blocks_are_independent():
    taps, _ = make_channel("tdl-c", seed=2, rx_antennas=2, **TEN_MSPS).taps(2000, 100)
    strongest = taps[:, :, 0, 1 - FIRST_LAG]
    power = np.mean(np.abs(strongest) ** 2)
    assert abs(np.mean(strongest[:, 0] * strongest[:, 1].conj())) < 0.1 * power
    assert abs(np.mean(strongest[1:, 0] * strongest[:-1, 0].conj())) < 0.1 * power


def test_moving_taps_follow_the_bessel_function_of_clarke():
    """Rich scattering at Doppler f_D: autocorrelation J0(2 pi f_D t)."""
    from scipy.special import j0

    channel = make_channel("tdl-a", snr_db=190, seed=3, speed=30.0, sample_rate=1e6)
    taps, spacing = channel.taps(600, 20_000)
    lags = np.arange(0, taps.shape[2], 4)
    tap = taps[:, 0, :, -FIRST_LAG]
    measured = np.array([np.mean(tap[:, lag] * tap[:, 0].conj()) for lag in lags]) / np.mean(np.abs(tap) ** 2)
    expected = j0(2 * np.pi * channel.doppler * lags * spacing / 1e6)
    assert np.abs(measured - expected).max() < 0.15
    assert expected.min() < -0.2  # the comparison reaches past the first zero


def test_moving_and_standing_filters_agree_where_nothing_moves_yet():
    x = np.exp(0.1j * np.arange(400)).astype(np.complex64)
    standing = make_channel("tdl-c", seed=6, **TEN_MSPS)
    moving = make_channel("tdl-c", seed=6, speed=1e-3, **TEN_MSPS)
    assert moving.taps(1, 400)[0].shape[2] == 2
    assert np.abs(moving(x) - standing(x)).max() < 1e-3


def test_echoes_reach_over_block_borders_and_blocks_differ():
    channel = make_channel("tdl-e", seed=5, **TEN_MSPS)
    x = np.zeros(1000, np.complex64)
    x[490], x[600] = 1, 1
    y = channel(x, np.array([0, 500]))
    assert np.abs(y[500:520]).max() > 1e-3
    assert np.abs(y[600:640] - y[490:530]).max() > 0.05


@pytest.mark.parametrize(("rho", "name"), [(0.0, "rayleigh"), (0.7, "rayleigh"), (1.0, "tdl-c"), (0.7, "tdl-c")])
def test_correlated_channels_have_the_asked_correlation(rho, name):
    bob = make_channel(name, seed=1, **TEN_MSPS).taps(3000, 10)[0]
    eve = make_channel(name, seed=2, correlated_with=1, correlation=rho, **TEN_MSPS).taps(3000, 10)[0]
    measured = np.vdot(bob, eve) / np.sqrt(np.vdot(bob, bob).real * np.vdot(eve, eve).real)
    assert measured == pytest.approx(rho, abs=0.05)


@pytest.mark.parametrize("kind", ["tdl", "cdl"])
@pytest.mark.parametrize(
    ("letter", "paths", "last", "mean"),
    [("a", 23, 9.6586, 0.888), ("b", 23, 4.7834, 0.769), ("c", 24, 8.6523, 0.729), ("d", 13, 12.525, 0.1695),
     ("e", 14, 20.6519, 0.183)],
)  # fmt: skip
def test_the_tables_of_tr_38_901_are_those_of_the_release_that_is_asked_for(kind, letter, paths, last, mean):
    """Other versions of Sionna have other tables or draws: paths, delay of the last, and mean delay by power [RMS]."""
    gain, delay = make_channel(f"{kind}-{letter}", snr_db=10, seed=1, delay_spread=1e-7)._model()(4000, 1, 1e6)
    delays = delay.numpy()[0].ravel() / 1e-7
    power = np.mean(np.abs(gain.numpy().reshape(4000, -1)) ** 2, axis=0)
    assert len(delays) == paths
    assert delays.max() == pytest.approx(last, abs=0.011)  # CDL-E's table ends at 20.6419
    assert power @ delays / power.sum() == pytest.approx(mean, rel=0.05)


def test_a_channel_is_made_by_the_version_that_the_project_names():
    import tomllib
    from pathlib import Path

    import sionna

    from phy.channel.sionna_channel import SPEC_VERSION

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    (wanted,) = (one for one in project["dependencies"] if one.startswith("sionna"))
    assert wanted == "sionna>=2.2,<2.3" and sionna.__version__.startswith("2.2.")
    assert make_channel("tdl-d", snr_db=10, seed=1)._model().spec_version == SPEC_VERSION
    assert make_channel("cdl-e", snr_db=10, seed=1)._model().spec_version == SPEC_VERSION
