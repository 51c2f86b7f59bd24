"""Channels made by Sionna (torch), numpy in and numpy out.

    x [N] complex64 ──fading──► [A, N] ──Sionna AWGN──► y [N] (one antenna) or [A, N] complex64

SNR is Es/N0 per complex symbol in dB, for a transmit power of 1 and a mean channel gain of 1 per antenna. Every
channel draws from its own seed and leaves Sionna's generator as it found it, so Bob's and Eve's realisations are
independent and reproducible.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sionna.phy import config as sionna_config
from sionna.phy.channel import AWGN, RayleighBlockFading

from phy.errors import ChannelError

CHANNELS = ("awgn", "rayleigh")
_CHUNK = 1 << 20


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Sionna draws from ``seed`` inside, and goes on where it was afterwards."""
    source = sionna_config.torch_rng("cpu")
    state = source.get_state()
    source.manual_seed(seed)
    try:
        yield
    finally:
        source.set_state(state)


@dataclass(frozen=True)
class Channel:
    """One realisation of a channel: call it with samples.

    name: one of CHANNELS; snr_db: Es/N0 [dB] per antenna; rx_antennas: A.
    """

    name: str
    snr_db: float
    seed: int
    rx_antennas: int = 1

    def __post_init__(self) -> None:
        if self.name not in CHANNELS:
            raise ChannelError(f"no channel named {self.name!r}: choose one of {', '.join(CHANNELS)}")
        if not math.isfinite(self.snr_db) or abs(self.snr_db) > 200:
            raise ChannelError(f"snr_db must be a finite number of dB within -200 to 200, got {self.snr_db}")
        if not 0 <= self.seed < 1 << 63:
            raise ChannelError(f"seed must be 0 to 2^63 - 1, got {self.seed}")
        if not 1 <= self.rx_antennas <= 16:
            raise ChannelError(f"rx_antennas must be 1 to 16, got {self.rx_antennas}")

    @property
    def noise_power(self) -> float:
        """N0 per complex sample and antenna."""
        return 10 ** (-self.snr_db / 10)

    def __call__(self, x: np.ndarray, block_starts: np.ndarray | None = None) -> np.ndarray:
        """x [N] complex64 to y [N] or [A, N] complex64.

        block_starts: sample indices where block fading draws a new coefficient; None means one block.
        """
        x = np.ascontiguousarray(x, dtype=np.complex64)
        if x.ndim != 1:
            raise ChannelError(f"x must be [N], got {list(x.shape)}")
        with seeded(self.seed):
            faded = self._fade(x, block_starts)
            noise = AWGN(device="cpu")
            y = np.empty((self.rx_antennas, len(x)), np.complex64)
            for start in range(0, len(x), _CHUNK):
                part = torch.from_numpy(faded[:, start : start + _CHUNK].copy())
                y[:, start : start + _CHUNK] = noise(part, self.noise_power).numpy()
        return y[0] if self.rx_antennas == 1 else y

    def _fade(self, x: np.ndarray, block_starts: np.ndarray | None) -> np.ndarray:
        """x [N] to [A, N] complex64 before noise."""
        if self.name == "awgn":
            return np.broadcast_to(x, (self.rx_antennas, len(x)))
        edges = np.unique(np.concatenate([[0], np.asarray([] if block_starts is None else block_starts, np.int64)]))
        if edges[0] < 0 or (len(x) and edges[-1] >= len(x)):
            raise ChannelError(f"block_starts must be 0 to {len(x) - 1}, got {edges[0]} to {edges[-1]}")
        fading = RayleighBlockFading(num_rx=1, num_rx_ant=self.rx_antennas, num_tx=1, num_tx_ant=1, device="cpu")
        gain = fading(len(edges), 1)[0].numpy().reshape(len(edges), self.rx_antennas)  # one tap, one time step
        lengths = np.diff(np.append(edges, len(x)))
        return x * np.repeat(gain.T.astype(np.complex64), lengths, axis=1)


def make_channel(name: str, *, snr_db: float, seed: int, rx_antennas: int = 1) -> Channel:
    """A channel by name ("awgn", "rayleigh"); raises ChannelError for an unknown name or an impossible number."""
    return Channel(name, float(snr_db), int(seed), rx_antennas)
