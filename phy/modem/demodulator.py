"""Acquired preambles to frames, many at once: channel, header, clock, phase, payload. No state between calls.

Acquired ──channel estimate──► equaliser ──blocks──► preamble, header ──pilots──► FrameFormat ──► Found with header
Found    ──blocks──► clock offset ──► symbols ──pilots, header as sent──► FrameFormat ──► BurstFrame
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from phy.frame.format import FrameFormat
from phy.modem.burst import BurstError, Layout
from phy.modem.equaliser import GUARD, BlockDemodulator, ChannelEstimate, ChannelEstimator, Equaliser
from phy.modem.preamble import pilot_symbols
from phy.modem.sync import Acquired
from phy.modem.tracking import clock_offset, track

_BLOCKS_AT_ONCE = 320
_HEADERS_AT_ONCE = 512
_MIN_FIT = 0.2  # share of the pilots' energy that must agree with the pilots before a header is decoded
_REGATHER = 3.0  # [samples] drift within a frame above which the blocks are cut anew at the drifted places


@dataclass
class Found:
    """A preamble whose header was read. start: index into the samples it was read from."""

    start: int
    cfo: float
    header: Any
    cause: str | None
    header_sent: np.ndarray
    estimate: ChannelEstimate
    symbols: int = 0  # data symbols of the frame, header included


@dataclass(frozen=True)
class BurstFrame:
    """One received frame.

    header: the format's header. body: [P + 4] uint8, payload and CRC as decided. crc_ok: the CRC's verdict. start:
    index of the sample at the peak of the preamble's first symbol. snr_db: Es/N0 [dB] after equalisation. cfo:
    [rad/sample]. clock_ppm: sample period of the transmitter against the receiver's, minus one. evm_db: [dB]. codec:
    name. selective: the channel was equalised as frequency-selective. symbols: [L] complex64 equalised payload. end:
    first sample after it.
    """

    header: Any
    body: np.ndarray
    crc_ok: bool
    start: int
    snr_db: float
    symbols: np.ndarray
    cfo: float
    clock_ppm: float
    evm_db: float
    codec: str
    selective: bool
    end: int

    @property
    def payload(self) -> np.ndarray:
        """[P] uint8."""
        return self.body[:-4]

    @property
    def refusal(self) -> str | None:
        """Why the frame is not good: None or ``payload_crc``."""
        return None if self.crc_ok else "payload_crc"


class Demodulator:
    """Batch receiver for one layout and format. run: how to map a function over batches, ``map`` or a thread pool's."""

    def __init__(
        self, layout: Layout, frame_format: FrameFormat, run: Callable[..., Iterable] = map, equalise: bool = True
    ) -> None:
        if frame_format.look_ahead < layout.spacing - 1:
            raise BurstError(
                f"spacing must be at most {frame_format.look_ahead + 1} here, got {layout.spacing}: no pilot"
            )
        self.layout, self.format, self.run = layout, frame_format, run
        self.sps = layout.pulse.sps
        self._estimator = ChannelEstimator(layout.preamble, layout.pulse, selective=equalise)
        self._blocks = BlockDemodulator(layout.preamble, layout.pulse)
        self.before = GUARD * self.sps + self._estimator.reach

    def needed(self, data_symbols: int) -> int:
        """Samples from ``Acquired.start`` that must be there to demodulate that many data symbols, drift included."""
        symbols = self.layout.num_symbols(data_symbols)
        samples = self._blocks.needed(self._blocks.blocks_for(symbols))
        return max(samples, self._estimator.length) + 8 + samples // 2000

    def read_headers(self, samples: np.ndarray, acquired: Acquired) -> list[Found | None]:
        """One entry per preamble; None for what the pilots show to be no burst. samples must reach ``before`` and
        ``needed(look_ahead)`` around every start."""
        index = np.arange(len(acquired))
        batches = [acquired.take(index[k : k + _HEADERS_AT_ONCE]) for k in range(0, len(index), _HEADERS_AT_ONCE)]
        return [found for batch in self.run(lambda part: self._headers(samples, part), batches) for found in batch]

    def _headers(self, samples: np.ndarray, acquired: Acquired) -> list[Found | None]:
        layout, count = self.layout, self.format.header_symbols
        seen = self.format.look_ahead
        total = layout.num_symbols(seen)
        blocks = self._blocks.blocks_for(total)
        step = max(1, _BLOCKS_AT_ONCE // blocks)
        estimates, corrected, residual, noise, fit = [], [], [], [], []
        whole = seen // (layout.spacing - 1) * (layout.spacing - 1)  # behind it a pilot only if the burst ends there
        where, known = self._known(whole, None)
        for k in range(0, len(acquired), step):
            start, cfo = acquired.start[k : k + step], acquired.cfo[k : k + step]
            estimate = self._estimator.estimate(samples, start, cfo)
            equaliser = Equaliser.from_estimate(estimate, layout.pulse)
            still = np.zeros(len(start))
            spectra = self._blocks.spectra(samples, start, cfo, blocks, still)
            symbols = self._blocks.symbols(spectra, equaliser, np.zeros((len(start), blocks)))[:, :total]
            tracked = track(symbols, where, known, equaliser.error, 0.03, len(layout.preamble))
            estimates.append(estimate)
            corrected.append(tracked.symbols)
            residual.append(tracked.cfo)
            noise.append(tracked.noise)
            fit.append(tracked.fit)
        good = np.flatnonzero(np.concatenate(fit) > _MIN_FIT)
        out: list[Found | None] = [None] * len(acquired)
        if len(good) == 0:
            return out
        data = np.concatenate(corrected)[good][:, layout.data_positions(count)]
        headers, causes, sent = self.format.read_headers(data, np.concatenate(noise)[good])
        cfo = acquired.cfo + np.concatenate(residual) / self.sps
        for row, i in enumerate(good):
            chunk, inside = divmod(int(i), step)
            header = headers[row]
            size = 0 if header is None else count + self.format.payload_symbols(header)
            out[i] = Found(
                int(acquired.start[i]),
                float(cfo[i]),
                header,
                causes[row],
                sent[row],
                estimates[chunk].take(slice(inside, inside + 1)),
                size,
            )
        return out

    def read_payloads(self, samples: np.ndarray, found: list[Found]) -> list[BurstFrame]:
        """Found frames that lie inside samples, headers valid, to frames in order of their start."""
        groups: dict[tuple, list[Found]] = {}
        for one in found:
            groups.setdefault(self.format.group(one.header), []).append(one)
        batches = []
        for members in groups.values():
            blocks = self._blocks.blocks_for(self.layout.num_symbols(members[0].symbols))
            step = max(1, _BLOCKS_AT_ONCE // blocks)
            batches += [members[k : k + step] for k in range(0, len(members), step)]
        frames = [frame for batch in self.run(lambda part: self._payloads(samples, part), batches) for frame in batch]
        return sorted(frames, key=lambda frame: frame.start)

    def _payloads(self, samples: np.ndarray, found: list[Found]) -> list[BurstFrame]:
        layout, pulse = self.layout, self.layout.pulse
        count = found[0].symbols
        total = layout.num_symbols(count)
        blocks = self._blocks.blocks_for(total)
        start = np.array([one.start for one in found], np.int64)
        cfo = np.array([one.cfo for one in found])
        estimate = ChannelEstimate(
            *(
                np.concatenate([getattr(one.estimate, name) for one in found])
                for name in ("response", "noise", "snr", "selective")
            )
        )
        # the response's phase refers to the preamble's frequency; the refined one differs by less than a block notices
        equaliser = Equaliser.from_estimate(estimate, pulse)
        still = np.zeros(len(found))
        dc = _carrier_leak(samples, start, pulse.num_samples(total))
        spectra = self._blocks.spectra(samples, start, cfo, blocks, still, dc)
        drift = clock_offset(spectra, equaliser, self._blocks.centres(blocks), self.sps, total)
        placed = still
        if np.max(np.abs(drift)) * total * self.sps > _REGATHER:
            placed = drift
            spectra = self._blocks.spectra(samples, start, cfo, blocks, placed, dc)
        late = self._blocks.late(blocks, drift, placed)
        symbols = self._blocks.symbols(spectra, equaliser, late)[:, :total]
        where, known = self._known(count, np.stack([one.header_sent for one in found]))
        tracked = track(symbols, where, known, equaliser.error, 0.006)
        payload = tracked.symbols[:, layout.data_positions(count)[self.format.header_symbols :]]
        headers = [one.header for one in found]
        bodies, verdicts = self.format.read_payloads(headers, payload, tracked.noise)
        cfo = cfo + tracked.cfo / self.sps
        level = 10 * np.log10(np.maximum(tracked.noise, 1e-9))
        ends = start + pulse.num_samples(total)
        name = self.format.codec_name(headers[0])
        return [
            BurstFrame(
                header=headers[i],
                body=bodies[i],
                crc_ok=bool(verdicts[i]),
                start=int(start[i]) + pulse.delay,
                snr_db=float(-level[i]),
                symbols=payload[i],
                cfo=float(cfo[i]),
                clock_ppm=float(drift[i] * 1e6),
                evm_db=float(level[i]),
                codec=name,
                selective=bool(estimate.selective[i]),
                end=int(ends[i]),
            )
            for i in range(len(found))
        ]

    def _known(self, count: int, header_sent: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Positions [K] and values [K] or [F, K] of the known symbols: preamble, pilots and the header once it is
        read."""
        layout = self.layout
        where = np.concatenate([np.arange(len(layout.preamble)), layout.pilot_positions(count)])
        known = np.concatenate([layout.preamble.symbols, pilot_symbols(layout.num_pilots(count))])
        if header_sent is None or header_sent.shape[1] == 0:
            return where, known
        where = np.concatenate([where, layout.data_positions(header_sent.shape[1])])
        order = np.argsort(where)
        known = np.concatenate([np.broadcast_to(known, (len(header_sent), len(known))), header_sent], axis=1)
        return where[order], np.ascontiguousarray(known[:, order])


def _carrier_leak(samples: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """Mean of each frame's samples, [F] complex64, where it is more than the frame's own symbols can account for."""
    leak = np.zeros(len(start), np.complex64)
    for i, begin in enumerate(start):
        part = samples[begin : begin + length]
        mean = part.mean()
        if abs(mean) ** 2 * length > 12 * float(np.vdot(part, part).real) / length:
            leak[i] = mean
    return leak
