"""Learned picture code: the networks on both ends of the channel, and the power that each feature gets.

    picture [B, H, W, 3] ──8×8 blocks──► coefficients [B, h, w, 192] ──encoder──► features f [B, h, w, 64]
    features ──power e^(1/2) each, mean 1──► values s ──channel──► y ──linear MMSE──► f_hat and its reliability
    f_hat [B, h, w, 64], reliability [B, h, w, 64] ──decoder──► picture [B, H, W, 3]

Both networks correct a closed form. The encoder starts as the leading principal components of 8×8 blocks, the decoder
as their linear minimum-mean-square estimate; with power proportional to the square root of each component's energy
this is the best linear code (Lee and Petersen 1976), so that training starts from it. Features are ordered: two
neighbours make one complex symbol, and a message that sends fewer symbols leaves the last ones out. A feature that was
not sent, was erased or lies under the mask has reliability 0. Signal-to-noise ratio is known to the decoder alone, as
reliability.

The energies e of a picture's features travel as side information, in steps of 1.5 dB (``quantised_energies``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from privsc.errors import ConfigError

BLOCK = 8
COEFFICIENTS = 3 * BLOCK * BLOCK
ENERGY_STEPS = 64  # levels of a feature's energy in the side information
_ENERGY_OFFSET = 48  # level q stands for the energy 2^((q - 48) / 2): 2^-24 to 2^7.5


@dataclass(frozen=True)
class PictureCodeConfig:
    """Sizes of the networks. ``features`` real features a block, two a complex symbol."""

    features: int = 64
    encoder_width: int = 192
    encoder_depth: int = 4
    decoder_width: int = 256
    decoder_depth: int = 7
    expansion: int = 2
    kernel: int = 3

    def __post_init__(self) -> None:
        limits = {
            "features": (2, COEFFICIENTS),
            "encoder_width": (8, 1024),
            "encoder_depth": (1, 24),
            "decoder_width": (8, 1024),
            "decoder_depth": (1, 24),
            "expansion": (1, 8),
            "kernel": (1, 15),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"picture code: {name} must be {low} to {high}, got {getattr(self, name)}")
        if self.features % 2 or not self.kernel % 2:
            raise ConfigError(f"picture code: features must be even and kernel odd, got {self.features}, {self.kernel}")


class _Mix(nn.Module):
    """Depthwise convolution, then a pointwise network, added to the input (ConvNeXt, arXiv 2201.03545)."""

    def __init__(self, width: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        with torch.no_grad():
            self.down.weight.mul_(0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """X [B, h, w, width] to the same shape."""
        y = self.spatial(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + self.down(functional.gelu(self.up(self.norm(y)), approximate="tanh"))


def to_blocks(picture: torch.Tensor) -> torch.Tensor:
    """Picture [B, H, W, C] to blocks [B, H/8, W/8, 64 C]; H and W are multiples of 8."""
    batch, height, width, channels = picture.shape
    split = picture.reshape(batch, height // BLOCK, BLOCK, width // BLOCK, BLOCK, channels)
    return split.permute(0, 1, 3, 2, 4, 5).reshape(batch, height // BLOCK, width // BLOCK, -1)


def from_blocks(blocks: torch.Tensor) -> torch.Tensor:
    """Inverse of ``to_blocks`` for three channels: [B, h, w, 192] to [B, 8h, 8w, 3]."""
    batch, height, width, _ = blocks.shape
    split = blocks.reshape(batch, height, width, BLOCK, BLOCK, 3).permute(0, 1, 3, 2, 4, 5)
    return split.reshape(batch, height * BLOCK, width * BLOCK, 3)


class PictureEncoder(nn.Module):
    """Coefficients and mask to features: the leading coefficients plus a learned correction, which starts at zero."""

    def __init__(self, config: PictureCodeConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.inward = nn.Linear(COEFFICIENTS + BLOCK * BLOCK, width)
        self.blocks = nn.ModuleList(
            _Mix(width, config.expansion, config.kernel) for _ in range(config.encoder_depth)
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)
        self.outward = nn.Linear(width, config.features)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)

    def forward(self, coefficients: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Scaled coefficients [B, h, w, 192], hidden pixels [B, h, w, 64] to the correction [B, h, w, features]."""
        x = self.inward(torch.cat([coefficients, hidden], dim=-1))
        for block in self.blocks:
            x = block(x)
        return self.outward(self.norm(x))


class PictureDecoder(nn.Module):
    """Estimated features and their reliability to a correction of all coefficients, which starts at zero."""

    def __init__(self, config: PictureCodeConfig) -> None:
        super().__init__()
        width = config.decoder_width
        self.inward = nn.Linear(2 * config.features, width)
        self.blocks = nn.ModuleList(
            _Mix(width, config.expansion, config.kernel) for _ in range(config.decoder_depth)
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)
        self.outward = nn.Linear(width, COEFFICIENTS)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)

    def forward(self, features: torch.Tensor, reliability: torch.Tensor) -> torch.Tensor:
        """Scaled features and reliability [B, h, w, features] to the correction [B, h, w, 192]."""
        x = self.inward(torch.cat([features, reliability], dim=-1))
        for block in self.blocks:
            x = block(x)
        return self.outward(self.norm(x))


class PictureCode(nn.Module):
    """Encoder and decoder around the linear code; pictures are [B, H, W, 3] float32 from -0.5 to 0.5.

    Args:
        config: sizes of the networks.
        mean: [192] float32, mean block of the training pictures.
        basis: [192, 192] float32, principal components as rows, by falling energy.
        energies: [192] float32, their energies in the training pictures.
    """

    mean: torch.Tensor
    basis: torch.Tensor
    energies: torch.Tensor

    def __init__(
        self, config: PictureCodeConfig, mean: torch.Tensor, basis: torch.Tensor, energies: torch.Tensor
    ) -> None:
        super().__init__()
        if mean.shape != (COEFFICIENTS,) or basis.shape != (COEFFICIENTS,) * 2 or energies.shape != (COEFFICIENTS,):
            raise ConfigError(
                "picture code: mean, basis, energies must be [192], [192, 192], [192], got "
                f"{list(mean.shape)}, {list(basis.shape)}, {list(energies.shape)}"
            )
        self.config = config
        self.encoder, self.decoder = PictureEncoder(config), PictureDecoder(config)
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)
        self.register_buffer("energies", energies)
        self.low_precision = False  # networks in bfloat16, the linear code always in float32

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.mean.device.type, dtype=torch.bfloat16, enabled=self.low_precision)

    def coefficients(self, picture: torch.Tensor) -> torch.Tensor:
        """Picture [B, H, W, 3] to its principal components [B, h, w, 192]."""
        return (to_blocks(picture) - self.mean) @ self.basis.T

    def encode(self, picture: torch.Tensor, hidden: torch.Tensor | None = None, linear: bool = False) -> torch.Tensor:
        """Features of a picture whose hidden pixels have been filled already.

        Args:
            picture: [B, H, W, 3] float32, H and W multiples of 8.
            hidden: [B, H, W, 1] float32, 1 where the picture is not to be seen; None where all of it is.
            linear: the closed-form code without the network.

        Returns:
            [B, h, w, features] float32.
        """
        coefficients = self.coefficients(picture)
        features = coefficients[..., : self.config.features]
        if linear:
            return features
        hidden = torch.zeros_like(picture[..., :1]) if hidden is None else hidden
        with self._autocast():
            correction = self.encoder(coefficients * self.energies.pow(-0.25), to_blocks(hidden))
        return features + correction.float() * self.energies[: self.config.features].pow(0.5)

    def decode(self, features: torch.Tensor, reliability: torch.Tensor, linear: bool = False) -> torch.Tensor:
        """Estimated features and reliability, both [B, h, w, features], to a picture [B, 8h, 8w, 3] float32."""
        scale = self.energies.pow(0.5)
        count = self.config.features
        coefficients = functional.pad(features, (0, COEFFICIENTS - count))
        if not linear:
            with self._autocast():
                correction = self.decoder(features / scale[:count], reliability)
            coefficients = coefficients + correction.float() * scale
        return from_blocks(coefficients @ self.basis + self.mean)


def energy_levels(energies: torch.Tensor) -> torch.Tensor:
    """Energies [...] to their levels in the side information, 0 to 63, int64."""
    exponent = 2 * torch.log2(energies.clamp_min(2.0**-30)) + _ENERGY_OFFSET
    return exponent.round().clamp(0, ENERGY_STEPS - 1).long()


def energies_of(levels: torch.Tensor) -> torch.Tensor:
    """Inverse of ``energy_levels``, float32."""
    return torch.exp2((levels.float() - _ENERGY_OFFSET) / 2)


def quantised_energies(features: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """Energies of the features over the visible blocks, as the receiver knows them; gradients pass the rounding.

    Args:
        features: [B, h, w, features].
        visible: [B, h, w] float32, 1 where a block is sent.

    Returns:
        [B, features] float32.
    """
    weight = visible[..., None]
    energies = (features.square() * weight).sum((1, 2)) / weight.sum((1, 2)).clamp_min(1)
    energies = energies + 2.0**-24
    return energies * (energies_of(energy_levels(energies)) / energies).detach()


def powers(energies: torch.Tensor, sent: torch.Tensor) -> torch.Tensor:
    """Power of each feature on the channel: proportional to the square root of its energy, mean 1 over those sent.

    Args:
        energies: [B, features], as the receiver knows them.
        sent: [B, features] float32, the fraction of the visible blocks in which the feature is sent.

    Returns:
        [B, features] float32.
    """
    root = energies.sqrt()
    return root * sent.sum(1, keepdim=True) / (root * sent).sum(1, keepdim=True)
