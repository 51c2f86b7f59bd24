"""The networks start as the best linear code, powers and energies are what the receiver can work out."""

import numpy as np
import pytest
import torch

from privsc.errors import ConfigError
from privsc.networks.picture_code import (
    PictureCode,
    PictureCodeConfig,
    energies_of,
    energy_levels,
    from_blocks,
    powers,
    quantised_energies,
    to_blocks,
)
from tests.privsc.picture_codes import SMALL, components, picture, small_model


def tensor(height: int, width: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(picture(height, width, seed)[None].astype(np.float32) / 255 - 0.5)


def test_blocks_are_the_picture_in_another_order():
    x = torch.rand(2, 24, 40, 3)
    blocks = to_blocks(x)
    assert blocks.shape == (2, 3, 5, 192)
    assert torch.equal(blocks[1, 2, 4].reshape(8, 8, 3), x[1, 16:24, 32:40])
    assert torch.equal(from_blocks(blocks), x)


@torch.no_grad()
def test_untrained_networks_are_the_linear_code():
    model, x = small_model(), tensor(48, 64, 1)
    features = model.encode(x)
    assert torch.equal(features, model.encode(x, linear=True))
    ones = torch.ones_like(features)
    assert torch.allclose(model.decode(features, ones), model.decode(features, ones, linear=True))
    everything = from_blocks(model.coefficients(x) @ model.basis + model.mean)
    assert torch.allclose(everything, x, atol=1e-4)
    left = float((model.decode(features, ones) - x).square().sum())
    assert left == pytest.approx(float(model.coefficients(x)[..., 64:].square().sum()), rel=1e-3)


@torch.no_grad()
def test_networks_change_features_and_pictures_once_they_have_weights():
    model, x = small_model(stirred=0.1), tensor(48, 64, 1)
    features = model.encode(x)
    assert not torch.allclose(features, model.encode(x, linear=True), atol=1e-3)
    full, half = torch.ones_like(features), torch.full_like(features, 0.5)
    assert not torch.allclose(model.decode(features, full), model.decode(features, half), atol=1e-4)


def test_gradients_reach_every_parameter():
    model, x = small_model(stirred=0.1), tensor(32, 32, 2)
    features = model.encode(x, torch.zeros(1, 32, 32, 1))
    energies = quantised_energies(features, torch.ones(1, 4, 4))
    scaled = features * (powers(energies, torch.ones(1, 64)) / energies).sqrt()[:, None, None]
    model.decode(scaled, torch.ones_like(scaled)).square().mean().backward()
    missing = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert missing == []


def test_energies_survive_the_side_information_within_a_step():
    energies = torch.logspace(-6, 2, 200)
    levels = energy_levels(energies)
    assert levels.min() >= 0 and levels.max() <= 63
    apart = 10 * torch.log10(energies_of(levels) / energies)
    assert apart.abs().max() < 0.76
    assert torch.equal(energy_levels(energies_of(torch.arange(64))), torch.arange(64))
    assert energy_levels(torch.tensor([0.0, 1e9])).tolist() == [0, 63]


def test_energies_are_those_of_visible_blocks():
    features = torch.ones(1, 2, 2, 64)
    features[0, 0, 0] = 100.0
    visible = torch.ones(1, 2, 2)
    visible[0, 0, 0] = 0
    assert torch.allclose(quantised_energies(features, visible), torch.ones(1, 64), rtol=1e-3)


def test_powers_are_one_on_average_over_what_is_sent():
    energies = torch.tensor([[16.0, 4.0, 1.0, 1.0]])
    sent = torch.tensor([[1.0, 1.0, 0.5, 0.5]])
    power = powers(energies, sent)
    assert float((power * sent).sum() / sent.sum()) == pytest.approx(1.0)
    assert float(power[0, 0] / power[0, 1]) == pytest.approx(2.0)


def test_nonsense_is_refused():
    with pytest.raises(ConfigError, match="encoder_width must be 8 to 1024, got 4"):
        PictureCodeConfig(encoder_width=4)
    with pytest.raises(ConfigError, match="features must be even and kernel odd, got 64, 4"):
        PictureCodeConfig(kernel=4)
    mean, basis, energies = components()
    with pytest.raises(ConfigError, match=r"mean, basis, energies must be \[192\]"):
        PictureCode(SMALL, mean[:5], basis, energies)


def test_the_shipped_size_is_below_three_million_parameters():
    model = PictureCode(PictureCodeConfig(), *components())
    assert 2_000_000 < sum(value.numel() for value in model.parameters()) < 3_000_000
