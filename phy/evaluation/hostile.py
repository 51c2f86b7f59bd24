"""Broken and forged frames, and signals without any: what a receiver must refuse, by cause, and survive."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import scipy.signal

from phy.channel.impairments import frequency_offset, noise_variance, white_noise
from phy.frame.frame import HEADER_BYTES
from phy.frame.tx import modulate_headers
from phy.modem.burst import BurstTransmitter
from phy.modem.pulse import Pulse

_PAYLOAD_SYMBOLS = 300


def forged_headers(count: int, rng: np.random.Generator) -> np.ndarray:
    """[count, 24] uint8: random fields under a right CRC-32, so that version, kind, codec or length must be what
    refuses them; some are possible after all, and a tenth have a wrong CRC."""
    raw = rng.integers(0, 256, (count, HEADER_BYTES), dtype=np.uint8)
    real = rng.random(count) < 0.6
    raw[real, 0] = 0x11 + rng.integers(0, 2, np.count_nonzero(real))
    codecs = rng.random(count) < 0.5
    raw[codecs, 1] = rng.integers(1, 4, np.count_nonzero(codecs))
    small = rng.random(count) < 0.5  # few frames of few bytes: geometries that are possible
    raw[small, 4:6], raw[small, 6], raw[small, 8:10] = 0, 0, 0
    for row in raw:
        row[20:] = np.frombuffer(zlib.crc32(row[:20]).to_bytes(4, "big"), np.uint8)
    broken = rng.random(count) < 0.1
    raw[broken, 20] ^= 1
    return raw


def hostile_streams(count: int, rng: np.random.Generator, batch: int = 200) -> Iterator[np.ndarray]:
    """Stretches of samples with ``batch`` frames each, count frames in all: forged headers before noise-like payloads,
    pieces exchanged, repeated, conjugated, turned, over-driven, cut out, replaced by NaN and Inf."""
    transmitter = BurstTransmitter(gap=30)
    for first in range(0, count, batch):
        frames = min(batch, count - first)
        payload = rng.standard_normal((frames, 2 * _PAYLOAD_SYMBOLS)).astype(np.float32).view(np.complex64) / np.sqrt(2)
        header = modulate_headers(forged_headers(frames, rng))
        samples = transmitter.stream(np.concatenate([header, payload], axis=1))
        for _ in range(frames // 2):
            a, b = rng.integers(0, len(samples) - 800, 2)
            n = int(rng.integers(1, 800))
            piece = rng.choice([1, -1, 1j, 5, 0, 1e4]) * samples[b : b + n].copy()
            samples[a : a + n] = piece.conj() if rng.random() < 0.2 else piece
        for value in (np.nan, np.inf, 1e20):
            at = int(rng.integers(0, len(samples) - 100))
            samples[at : at + int(rng.integers(1, 50))] = value
        cut = int(rng.integers(0, len(samples) - 500))
        samples = np.delete(samples, slice(cut, cut + int(rng.integers(1, 500))))
        if rng.random() < 0.3:
            samples = np.clip(samples.real, -0.5, 0.5) + 1j * np.clip(samples.imag, -0.5, 0.5)
        with np.errstate(all="ignore"):
            yield white_noise(samples, noise_variance(12.0, 2), rng)


def foreign_samples(name: str, size: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Piece k of a signal that holds no frame: [size] complex64 of the kind named (a row of `false`)."""
    if name.startswith("sine"):
        return white_noise(frequency_offset(np.full(size, 100.0), 0.37, 0.37 * k * size), 1.0, rng)
    if name.startswith("QPSK"):
        symbols = np.exp(1j * np.pi / 2 * rng.integers(0, 4, size // 3 + 40))
        return white_noise(Pulse(3, 0.5, 8).shape(symbols)[:size], 0.03, rng)
    noise = white_noise(np.zeros(size), 1.0, rng)
    if name.endswith("half band"):
        return scipy.signal.lfilter(scipy.signal.firwin(63, 0.5), 1, noise).astype(np.complex64)
    return noise
