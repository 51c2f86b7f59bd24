"""How a link's frames become samples: at symbol rate with known frame starts, or as bursts that a receiver must find.

    frame symbols [F, 64 + H + L] per group ──► samples x [N], frame starts [F], channel uses
    y [N] or [A, N] ──► frames with a valid header, refusals counted by cause

``SymbolWaveform`` is the channel code alone: one sample a symbol, no preamble search, flat channels. ``BurstWaveform``
is what goes on the air: preamble, pilots, root-raised-cosine pulses, detection, offsets, equaliser, one receiver per
antenna and their equalised symbols combined by SNR (maximum ratio).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from phy.frame import rx
from phy.frame.received import ReceivedFrame, combine_repetitions
from phy.frame.tx import TRAINING_SYMBOLS
from phy.modem.burst import BurstTransmitter, Layout
from phy.modem.stream import StreamReceiver

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Sent:
    """iq: [N] complex64; starts: [F] int64, first sample of each frame; channel_uses: symbols, everything counted."""

    iq: np.ndarray
    starts: np.ndarray
    channel_uses: int


class Waveform(Protocol):
    """Both directions between frame symbols and samples."""

    def send(self, groups: list[np.ndarray]) -> Sent:
        """groups: frame symbols [F, 64 + H + L] complex64 as ``phy.frame.tx.modulate`` makes them, frames of equal
        length."""
        ...

    def receive(self, y: np.ndarray, starts: np.ndarray, refusals: Counter) -> list[ReceivedFrame]:
        """y: [N] or [A, N] complex64. starts: where frames are, for receivers that are told."""
        ...


def unit_energy_transmitter(layout: Layout, gap: int = 64) -> BurstTransmitter:
    """Symbols of energy 1 per sample-rate noise power N0: amplitude 1 / sqrt(samples per symbol)."""
    return BurstTransmitter(layout, gap, 1 / math.sqrt(layout.pulse.sps))


class SymbolWaveform:
    """One sample a symbol, frames back to back, the receiver is told the frame starts."""

    def send(self, groups: list[np.ndarray]) -> Sent:
        lengths = np.concatenate([np.full(len(group), group.shape[1], np.int64) for group in groups])
        iq = np.concatenate([group.reshape(-1) for group in groups])
        return Sent(iq, np.cumsum(lengths) - lengths, len(iq))

    def receive(self, y: np.ndarray, starts: np.ndarray, refusals: Counter) -> list[ReceivedFrame]:
        return list(rx.receive(y, starts, refusals))


@dataclass(frozen=True)
class BurstWaveform:
    """Bursts through ``phy.modem.burst`` and ``phy.modem.stream``; the receiver finds them itself.

    transmitter: by default with symbols of energy 1 at the matched filter, so that the channel's SNR is Es/N0. workers:
    threads of the receiver.
    """

    transmitter: BurstTransmitter = field(default_factory=lambda: unit_energy_transmitter(Layout()))
    workers: int = 1

    def send(self, groups: list[np.ndarray]) -> Sent:
        layout = self.transmitter.layout
        parts, lengths, uses = [], [], 0
        for group in groups:
            data = group[:, TRAINING_SYMBOLS:]  # the burst has its own preamble
            bursts = self.transmitter.bursts(data)
            parts.append(bursts.reshape(-1))
            lengths.append(np.full(len(bursts), bursts.shape[1], np.int64))
            uses += len(group) * layout.num_symbols(data.shape[1])
        each = np.concatenate(lengths)
        return Sent(np.concatenate(parts), np.cumsum(each) - each, uses)

    def receive(self, y: np.ndarray, starts: np.ndarray, refusals: Counter) -> list[ReceivedFrame]:
        found = [self._one_antenna(antenna, refusals) for antenna in np.atleast_2d(y)]
        if len(found) == 1:
            return found[0]
        return combine_antennas(found, self.transmitter.layout.num_samples(1))

    def _one_antenna(self, y: np.ndarray, refusals: Counter) -> list[ReceivedFrame]:
        receiver = StreamReceiver(self.transmitter.layout, workers=self.workers)
        try:
            frames = [frame for at in range(0, len(y), _CHUNK) for frame in receiver.push(y[at : at + _CHUNK])]
            frames += receiver.flush()
        finally:
            receiver.close()
        refusals.update(receiver.refusals)
        return [ReceivedFrame(f.header, f.body, f.crc_ok, f.start, f.snr_db, f.symbols) for f in frames]


def combine_antennas(found: list[list[ReceivedFrame]], tolerance: int) -> list[ReceivedFrame]:
    """Frames of all antennas to one list: the same header within ``tolerance`` samples is the same frame, decided on
    the SNR-weighted mean of its equalised symbols."""
    copies: dict[tuple, list[ReceivedFrame]] = {}
    for frames in found:
        for received in frames:
            place = round(received.start / tolerance)
            key = next((k for k in ((received.header, place + d) for d in (0, -1, 1)) if k in copies), None)
            copies.setdefault(key or (received.header, place), []).append(received)
    return [group[0] if len(group) == 1 else combine_repetitions(group) for group in copies.values()]
