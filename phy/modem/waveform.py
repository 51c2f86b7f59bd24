"""How an image's frames become samples: as bursts that a receiver must find, or at symbol rate with known frame starts.

    FrameGroups ──► samples x [N], frame starts [F], channel uses
    y [N] or [A, N] ──► frames with a valid header, refusals counted by cause

``BurstWaveform`` is what goes on the air: preamble, pilots, root-raised-cosine pulses, detection, offsets, equaliser,
one receiver per antenna and their equalised symbols combined by SNR (maximum ratio). Its receiver is blind: it is given
samples and nothing else. ``SymbolWaveform`` is the channel code alone, for fast sweeps: one sample a symbol, no
preamble search, flat channels, and a receiver that must be given ``FrameSynchronised`` samples, which say where frames
start.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from phy.errors import LinkError
from phy.frame import rx
from phy.frame.framing import FrameGroup
from phy.frame.received import ReceivedFrame, combine_repetitions
from phy.frame.tx import with_training
from phy.modem.burst import BurstTransmitter, Layout
from phy.modem.demodulator import BurstFrame
from phy.modem.stream import StreamReceiver

_CHUNK = 1 << 20
_FRAMES_AT_ONCE = 32


@dataclass(frozen=True)
class FrameSynchronised:
    """Samples with a perfect frame synchronisation given: what no receiver on the air has.

    samples: [N] or [A, N] complex64; starts: [F] int64, first sample of each frame.
    """

    samples: np.ndarray
    starts: np.ndarray


Samples = np.ndarray | FrameSynchronised


@dataclass(frozen=True)
class OnAir:
    """iq: [N] complex64; starts: [F] int64, first sample of each frame; channel_uses: symbols, everything counted."""

    iq: np.ndarray
    starts: np.ndarray
    channel_uses: int


class Waveform(Protocol):
    """Both directions between frames and samples. synchronisation: "blind" or "given", as reports say it."""

    synchronisation: str

    def send(self, groups: Iterable[FrameGroup]) -> OnAir: ...

    def receive(self, samples: Samples, refusals: Counter[str]) -> Iterator[ReceivedFrame]: ...


def unit_energy_transmitter(layout: Layout, gap: int = 64) -> BurstTransmitter:
    """Symbols of energy 1 per sample-rate noise power N0: amplitude 1 / sqrt(samples per symbol)."""
    return BurstTransmitter(layout, gap, 1 / math.sqrt(layout.pulse.sps))


class SymbolWaveform:
    """One sample a symbol, frames back to back, the receiver is given the frame starts."""

    synchronisation = "given"

    def send(self, groups: Iterable[FrameGroup]) -> OnAir:
        parts = [with_training(group.modulate()) for group in groups]
        lengths = np.concatenate([np.full(len(part), part.shape[1], np.int64) for part in parts])
        iq = np.concatenate([part.reshape(-1) for part in parts])
        return OnAir(iq, np.cumsum(lengths) - lengths, len(iq))

    def receive(self, samples: Samples, refusals: Counter[str]) -> Iterator[ReceivedFrame]:
        if not isinstance(samples, FrameSynchronised):
            raise LinkError("the waveform symbols has no preamble to find: give FrameSynchronised samples or use burst")
        yield from rx.receive(samples.samples, samples.starts, refusals)


@dataclass(frozen=True)
class BurstWaveform:
    """Bursts through ``phy.modem.burst`` and ``phy.modem.stream``; the receiver finds them itself.

    transmitter: by default with symbols of energy 1 at the matched filter, so that the channel's SNR is Es/N0. workers:
    threads of the receiver.
    """

    transmitter: BurstTransmitter = field(default_factory=lambda: unit_energy_transmitter(Layout()))
    workers: int = 1
    synchronisation = "blind"

    def chunks(self, groups: Iterable[FrameGroup]) -> Iterator[np.ndarray]:
        """Samples of the groups, ``count`` in all, [n] complex64 at a time: never those of a whole image."""
        for group in groups:
            for first in range(0, len(group), _FRAMES_AT_ONCE):
                yield self.transmitter.stream(group.modulate(first, first + _FRAMES_AT_ONCE))

    def count(self, groups: Iterable[FrameGroup]) -> int:
        """Samples of the groups, gaps included."""
        return int(sum(len(group) * self._each(group) for group in groups))

    def channel_uses(self, groups: Iterable[FrameGroup]) -> int:
        """Complex symbols: preambles, headers, pilots, payloads, repetitions."""
        return sum(len(group) * self.transmitter.layout.num_symbols(group.symbols) for group in groups)

    def _each(self, group: FrameGroup) -> int:
        return self.transmitter.layout.num_samples(group.symbols) + self.transmitter.gap

    def send(self, groups: Iterable[FrameGroup]) -> OnAir:
        groups = list(groups)
        iq, at = np.empty(self.count(groups), np.complex64), 0
        for chunk in self.chunks(groups):
            iq[at : at + len(chunk)] = chunk
            at += len(chunk)
        each = np.concatenate([np.full(len(group), self._each(group), np.int64) for group in groups])
        return OnAir(iq, np.cumsum(each) - each, self.channel_uses(groups))

    def receive(self, samples: Samples, refusals: Counter[str]) -> Iterator[ReceivedFrame]:
        if isinstance(samples, FrameSynchronised):
            raise LinkError("the waveform burst finds its frames itself: give it the samples alone")
        antennas = np.atleast_2d(samples)
        if len(antennas) == 1:
            yield from self._one_antenna(antennas[0], refusals)
        else:
            found = [list(self._one_antenna(antenna, refusals)) for antenna in antennas]
            yield from combine_antennas(found, self.transmitter.layout.num_samples(1))

    def _one_antenna(self, y: np.ndarray, refusals: Counter[str]) -> Iterator[ReceivedFrame]:
        receiver = StreamReceiver(self.transmitter.layout, workers=self.workers)
        try:
            for at in range(0, len(y), _CHUNK):
                yield from map(as_received, receiver.push(y[at : at + _CHUNK]))
            yield from map(as_received, receiver.flush())
        finally:
            receiver.close()
        refusals.update(receiver.refusals)


def as_received(frame: BurstFrame) -> ReceivedFrame:
    """A frame of the burst modem as the assembler takes it."""
    return ReceivedFrame(frame.header, frame.body, frame.crc_ok, frame.start, frame.snr_db, frame.symbols)


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
