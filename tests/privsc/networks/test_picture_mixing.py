"""Mixing against theory: unit energy, Gaussian symbols, the error that a linear estimate must have."""

import numpy as np
import pytest

from privsc.errors import PayloadError
from privsc.networks.picture_mixing import (
    LOST,
    Placement,
    Points,
    effective_noise,
    feature_powers,
    mix,
    nearest,
    unmix,
)
from tests.privsc.picture_codes import small_code

ENERGIES = (2.0 ** -np.arange(0, 16, 0.25)).astype(np.float32)


def features(blocks: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((blocks, 64)) * np.sqrt(ENERGIES)).astype(np.float32)


def white(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 2)) @ (1, 1j) / np.sqrt(2)


def test_symbols_have_unit_energy_and_are_circular_gaussian():
    symbols = mix(features(2000), ENERGIES, Placement(2000, 16_000, 64))
    energy = np.abs(symbols) ** 2
    assert energy.mean() == pytest.approx(1, abs=0.02)
    assert np.mean(energy**2) == pytest.approx(2, abs=0.1)
    assert abs(np.mean(symbols**2)) < 0.05


def test_one_great_value_is_spread_over_all_symbols():
    sent = np.zeros((500, 64), np.float32)
    sent[17, 0] = 40
    symbols = mix(sent, ENERGIES, Placement(500, 4000, 64))
    assert np.abs(symbols).max() == pytest.approx(np.abs(symbols).min(), rel=1e-3)


def test_without_noise_features_come_back_and_the_rest_is_zero():
    sent, placement = features(300), Placement(300, 3008, 64)  # 10 pairs a block, one more in 8 blocks
    estimate, reliability = unmix(mix(sent, ENERGIES, placement), np.full(3008, 1e-9), ENERGIES, placement)
    assert np.allclose(estimate[:, :20], sent[:, :20], atol=1e-4)
    assert np.count_nonzero(estimate[:, 20]) == np.count_nonzero(reliability[:, 21]) == 8
    assert not estimate[:, 22:].any() and not reliability[:, 22:].any()
    assert reliability[:, :20].min() > 0.999


@pytest.mark.parametrize("noise", [0.01, 0.1, 1.0])
def test_even_noise_gives_the_wiener_error(noise):
    sent, placement = features(3000), Placement(3000, 48_000, 64)
    received = mix(sent, ENERGIES, placement) + np.sqrt(noise) * white(48_000, 1)
    estimate, reliability = unmix(received, np.full(48_000, noise), ENERGIES, placement)
    power = feature_powers(ENERGIES, placement)[:32]
    theory = ENERGIES[:32] * noise / (power + noise)
    assert np.mean((estimate - sent) ** 2, axis=0)[:32] == pytest.approx(theory, rel=0.15)
    assert reliability[:, :32].mean(0) == pytest.approx(power / (power + noise), rel=1e-4)


def test_uneven_noise_is_solved_exactly():
    placement, count = Placement(40, 160, 64), 160
    noise = np.exp(np.random.default_rng(3).normal(-2, 1.5, count))
    noise[::7] = 1e6
    sent = features(40)
    received = mix(sent, ENERGIES, placement) + np.sqrt(np.minimum(noise, 100)) * white(count, 4)
    estimate, _ = unmix(received, noise, ENERGIES, placement)
    matrix = np.stack(
        [mix(unit, ENERGIES, placement) for unit in np.eye(40 * 64, dtype=np.float32).reshape(-1, 40, 64)]
    )
    prior = np.diag(np.tile(ENERGIES, 40))
    real = np.concatenate([matrix.real, matrix.imag], axis=1).T.astype(np.float64)  # [2N, 40 · 64]
    covariance = real @ prior @ real.T + np.diag(np.tile(noise, 2) / 2)
    exact = prior @ real.T @ np.linalg.solve(covariance, np.concatenate([received.real, received.imag]))
    assert np.abs(estimate.reshape(-1) - exact).max() < 0.01 * np.abs(exact).max()


def test_lost_symbols_cost_what_the_theory_of_large_systems_says():
    sent, placement = features(2000), Placement(2000, 16_000, 64)
    received = mix(sent, ENERGIES, placement) + np.sqrt(0.1) * white(16_000, 5)
    noise = np.full(16_000, 0.1)
    noise[2000:5000] = LOST
    received[2000:5000] = 0
    estimate, reliability = unmix(received, noise, ENERGIES, placement)
    error = np.mean((estimate - sent)[:, :16] ** 2, axis=0)
    assert error == pytest.approx(ENERGIES[:16] * (1 - reliability[0, :16]), rel=0.15)
    whole = ENERGIES[:16] * 0.1 / (feature_powers(ENERGIES, placement)[:16] + 0.1)
    assert whole.sum() < error.sum() < ENERGIES[:16].sum() * 3000 / 16_000 + whole.sum()


def test_effective_noise_of_equal_symbols_is_theirs():
    power = np.random.default_rng(0).exponential(1, (500, 2))
    assert effective_noise(np.full(500, 0.3), power) == pytest.approx(0.3)
    mixed = effective_noise(np.repeat([0.1, 1.0], 250), power)
    assert 0.1 < mixed < 0.55


@pytest.mark.parametrize("snr_db", [0, 8, 15, 25])
def test_soft_symbols_are_the_unrounded_ones_in_noise_of_the_stated_power(snr_db):
    points, clean, noise = small_code().points, white(30_000, 6).astype(np.complex64), 10 ** (-snr_db / 10)
    received = points.codebook[points.round(clean)] + np.sqrt(noise) * white(30_000, 7)
    z, power = points.soft(received, np.full(30_000, noise))
    error = z - clean
    assert np.mean(np.abs(error) ** 2) == pytest.approx(power.mean(), rel=0.06)
    assert abs(np.vdot(clean, error)) / len(clean) < 0.02  # no shrinkage
    assert power.mean() < (noise + points.rounding) / (1 - points.rounding) * 1.02


def test_lost_and_broken_symbols_count_for_nothing():
    points = small_code().points
    received = np.array([0.5, np.nan, 1e30, 0.3], np.complex64)
    z, power = points.soft(received, np.array([LOST, 0.1, np.inf, 0.1]))
    assert np.isfinite(z).all() and z[0] == z[1] == 0
    assert (power[:3] >= LOST).all() and power[3] < 1


def test_points_round_better_than_a_grid():
    points, clean = small_code().points, white(50_000, 8).astype(np.complex64)
    assert np.mean(np.abs(points.codebook[points.round(clean)] - clean) ** 2) < 0.0095  # 16 levels a part: 0.0115
    brute = np.abs(clean[:500, None] - points.codebook).argmin(1)
    assert np.array_equal(nearest(clean[:500], points.codebook), brute)


def test_nonsense_is_refused():
    with pytest.raises(PayloadError, match="a multiple of 32, got 33"):
        Placement(100, 33, 64)
    with pytest.raises(PayloadError, match="32 to 320 symbols"):
        Placement(10, 640, 64)
    with pytest.raises(PayloadError, match="even number of features, got 5"):
        Placement(10, 32, 5)
    points = small_code().points
    with pytest.raises(PayloadError, match="mean energy 1"):
        Points(points.codebook * 2, points.prior, points.rounding)
    with pytest.raises(PayloadError, match=r"must be \[256\] and \[256\]"):
        Points(points.codebook[:4], points.prior[:4], points.rounding)
