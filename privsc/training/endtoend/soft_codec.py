"""A one-hot autoencoder inside a larger network: picture samples through the channel, with gradients.

    levels ──round──► m ──codebook──► x [N, 2n] ──Sionna AWGN──► y ──demapper──► logits ──argmax──► levels received

What comes out is what the receiver decides. Backwards, codebook and demapper are reached through the channel by the
mean level under the demapper's posterior; the samples themselves pass straight through (slope 1), since a decision has
no slope and the posterior of a good channel next to none.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from phy.codec.codec import Codec
from phy.training.autoencoder import Channel, TrainingPlan, transmit
from privsc.errors import ConfigError

LEVELS = 256


class SoftCodec(nn.Module):
    """Codebook and network demapper of a codec of 8 bits a message, as parameters.

    ``plan``, ``codebook()`` and ``decoder`` are those of ``phy.training.autoencoder.Autoencoder``: its losses and its
    export take this one as well. The encoder (one-hot, one layer) is the codebook itself, so that a shipped codec can
    be the start.
    """

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        if codec.k != 8 or not codec.demapper:
            raise ConfigError(
                f"codec {codec.name}: must have 8 bits a message and a network demapper; got {codec.k} bits"
            )
        self.plan = TrainingPlan(
            codec.k,
            codec.n,
            real=codec.real,
            power=str(codec.training.get("power", "codeword")),
            message_cost=float(codec.training.get("message_cost", 0.0)),
        )
        self.points = nn.Parameter(torch.from_numpy(np.array(codec.features(codec.codebook))))  # [256, D]
        layers: list[nn.Module] = []
        for weight, bias in codec.demapper:
            linear = nn.Linear(*weight.shape)
            linear.weight.data, linear.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias.copy())
            layers += [linear, nn.ReLU()]
        self.decoder = nn.Sequential(*layers[:-1])

    def codebook(self) -> torch.Tensor:
        """[256, D] float32 under the power constraint: energy 1 per channel use."""
        energy = math.sqrt(self.plan.n)
        if self.plan.power == "codeword":
            return self.points * energy / self.points.norm(dim=1, keepdim=True).clamp_min(1e-9)
        return self.points * energy * math.sqrt(LEVELS) / self.points.norm().clamp_min(1e-9)

    def forward(self, levels: torch.Tensor, snr_db: torch.Tensor, channel: Channel) -> torch.Tensor:
        """Levels received [B, C, H, W], integers 0 to 255 as float32.

        Args:
            levels: [B, C, H, W] in [0, 255]; rounded before they are sent.
            snr_db: [B], Es/N0 of each picture's channel [dB].
            channel: of ``phy.training.autoencoder``.
        """
        sent = levels.detach().flatten().clamp(0, LEVELS - 1).round().long()
        noise_power = (10 ** (-snr_db / 10)).repeat_interleave(levels[0].numel())
        y, _ = transmit(self.codebook()[sent], noise_power, self.plan.real, channel)
        logits = self.decoder(y)  # [N, 256]
        decided = logits.detach().argmax(1).to(levels.dtype)
        if not torch.is_grad_enabled():
            return decided.view_as(levels)
        value = torch.arange(LEVELS, dtype=torch.float32)
        expected = logits.float().softmax(1) @ value
        received = decided + (expected - expected.detach())
        return received.view_as(levels) + (levels - levels.detach())
