"""What the parts of a link must be able to do, whoever wrote them: one's own codec, channel, transmitter, receiver."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np

from phy.channel.protocol import Channel
from phy.frame.assembly import Reception
from phy.link import Samples, Transmission

__all__ = ["Channel", "CodecLike", "SampleReceiver", "Sender"]


class CodecLike(Protocol):
    """Messages of k bits to n complex symbols of mean energy 1 and back (``phy.codec.codec.Codec``)."""

    name: str
    codec_id: int
    k: int

    @property
    def n(self) -> int: ...

    def encode(self, messages: np.ndarray) -> np.ndarray:
        """messages [..., M] to symbols [..., M, n] complex64."""
        ...

    def demap(self, y: np.ndarray) -> np.ndarray:
        """Symbols [..., n] to the likeliest messages [...]."""
        ...

    def posteriors(self, y: np.ndarray, noise_power: float) -> np.ndarray:
        """Symbols [..., n] and N0 to P(m | y) [..., 2^k]."""
        ...


class Sender(Protocol):
    """Bytes of an image to samples (``phy.link.LinkTransmitter``)."""

    def send(
        self,
        head: bytes,
        body: bytes,
        *,
        k_digest: bytes,
        image_id: int | None = None,
        frames: Collection[int] | None = None,
        expected_snr_db: float | None = None,
    ) -> Transmission: ...


class SampleReceiver(Protocol):
    """Samples to what arrived (``phy.link.LinkReceiver``). No argument carries anything of the sender's."""

    @property
    def synchronisation(self) -> str: ...

    def receive(self, samples: Samples) -> Reception: ...
