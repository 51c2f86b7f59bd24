"""Receiver: channel symbols at known frame starts back to frames as bytes, one sample a symbol, one or more antennas.

    y [A, N], starts [F] ──training──► h [F, A], N0 ──combine (MRC)──► header ──Viterbi──► Header or refusal, counted
                                           └─ refined on the decoded header ─► payload ──demap──► bodies, CRC

Frames of one geometry are demapped together. Nothing in the samples raises: what cannot be used is counted by cause
(``phy.frame.frame.CAUSES``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phy.codec.codec import FEATURE_CODECS, Codec, codec_with_id
from phy.frame.frame import FrameRefused, Header, Kind, crc_ok
from phy.frame.received import ReceivedFrame, demodulate_payloads
from phy.frame.tx import (
    OVERHEAD_SYMBOLS,
    TRAINING_SYMBOLS,
    header_bits,
    modulate_headers,
    payload_symbols,
    training_sequence,
)

_FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class _Estimate:
    """Flat channel of a batch of frames: gain [F, A] complex64, noise [F] float, N0 of one antenna."""

    gain: np.ndarray
    noise: np.ndarray

    def combine(self, y: np.ndarray) -> np.ndarray:
        """y [F, A, L] to MRC symbols [F, L] complex64, unit gain."""
        power = np.maximum(np.sum(np.abs(self.gain) ** 2, axis=1, keepdims=True), 1e-20)
        weights = (self.gain.conj() / power).astype(np.complex64)
        if y.shape[1] == 1:
            return y[:, 0] * weights
        return np.einsum("fa,fal->fl", weights, y)

    def snr_db(self) -> np.ndarray:
        """[F] Es/N0 after combining, dB."""
        power = np.sum(np.abs(self.gain) ** 2, axis=1)
        return 10 * np.log10(np.maximum(power, 1e-20) / np.maximum(self.noise, 1e-20))


def estimate(y: np.ndarray, known: np.ndarray) -> _Estimate:
    """Least squares: y [F, A, T], known unit-energy symbols [T] or [F, T]."""
    known = np.broadcast_to(known, (y.shape[0], y.shape[2]))
    gain = np.einsum("fal,fl->fa", y, known.conj()) / y.shape[2]
    residual = y - gain[:, :, None] * known[:, None, :]
    noise = np.mean(np.abs(residual) ** 2, axis=(1, 2)) * y.shape[2] / (y.shape[2] - 1)
    return _Estimate(gain.astype(np.complex64), noise)


def receive(y: np.ndarray, starts: np.ndarray, refusals: Counter | None = None) -> Iterator[ReceivedFrame]:
    """y [N] or [A, N] complex64 and frame starts [F] to the frames with a valid header, grouped by geometry.

    refusals counts what was refused, by cause; payload_crc is counted there too although the frame is delivered.
    """
    y = np.atleast_2d(np.asarray(y, dtype=np.complex64))
    refusals = Counter() if refusals is None else refusals
    usable = _usable_starts(y, np.asarray(starts, dtype=np.int64).reshape(-1), refusals)
    groups: dict[tuple[Codec, int], list[tuple[Header, int]]] = {}
    gains: dict[int, tuple[np.ndarray, float]] = {}
    for first in range(0, len(usable), 8 * _FRAMES_AT_ONCE):
        part = usable[first : first + 8 * _FRAMES_AT_ONCE]
        window = _windows(y, part, OVERHEAD_SYMBOLS)  # [F, A, 460]
        headers, channel = demodulate_headers(window, refusals)
        for row, header in enumerate(headers):
            codec = codec_with_id(header.codec_id) if header is not None else None
            if header is None or codec is None:
                refusals["unknown_codec"] += header is not None
                continue
            start = int(part[row])
            if start + OVERHEAD_SYMBOLS + payload_symbols(header.payload_bytes, codec) > y.shape[1]:
                refusals["cut_off"] += 1
                continue
            groups.setdefault((codec, header.payload_bytes), []).append((header, start))
            gains[start] = channel.gain[row], float(channel.noise[row])
    for (codec, payload_bytes), members in groups.items():
        for first in range(0, len(members), _FRAMES_AT_ONCE):
            yield from _payloads(y, members[first : first + _FRAMES_AT_ONCE], gains, codec, payload_bytes, refusals)


def demodulate_headers(window: np.ndarray, refusals: Counter) -> tuple[list[Header | None], _Estimate]:
    """window [F, A, 460] from the frame starts on, to headers (None where refused) and the refined channel estimate."""
    coarse = estimate(window[:, :, :TRAINING_SYMBOLS], training_sequence())
    combined = coarse.combine(window[:, :, TRAINING_SYMBOLS:])  # [F, 396]
    packed = header_bits(combined)  # [F, 24]
    headers: list[Header | None] = []
    for raw in packed:
        try:
            headers.append(Header.unpack(raw.tobytes()))
        except FrameRefused as refused:
            refusals[refused.cause] += 1
            headers.append(None)
    training = np.broadcast_to(training_sequence(), (len(window), TRAINING_SYMBOLS))
    known = np.concatenate([training, modulate_headers(packed)], axis=1)
    return headers, estimate(window, known)


def _usable_starts(y: np.ndarray, starts: np.ndarray, refusals: Counter) -> np.ndarray:
    """Starts whose training and header lie inside y and hold finite, non-zero samples; the others are counted."""
    inside = (starts >= 0) & (starts + OVERHEAD_SYMBOLS <= y.shape[1])
    refusals["cut_off"] += int(np.count_nonzero(~inside))
    starts = starts[inside]
    keep = np.ones(len(starts), bool)
    for first in range(0, len(starts), 8 * _FRAMES_AT_ONCE):
        level = np.abs(_windows(y, starts[first : first + 8 * _FRAMES_AT_ONCE], OVERHEAD_SYMBOLS)).max(axis=(1, 2))
        finite = np.isfinite(level)
        refusals["non_finite"] += int(np.count_nonzero(~finite))
        refusals["no_signal"] += int(np.count_nonzero(finite & (level == 0)))
        keep[first : first + 8 * _FRAMES_AT_ONCE] = finite & (level > 0)
    return starts[keep]


def _windows(y: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """y [A, N] to windows [F, A, length] from each start on."""
    view = np.lib.stride_tricks.sliding_window_view(y, length, axis=1)  # [A, N - length + 1, length]
    return np.ascontiguousarray(view[:, starts].transpose(1, 0, 2))


def _payloads(
    y: np.ndarray,
    members: list[tuple[Header, int]],
    gains: dict[int, tuple[np.ndarray, float]],
    codec: Codec,
    payload_bytes: int,
    refusals: Counter,
) -> Iterator[ReceivedFrame]:
    """Frames of one geometry: equalise, demap, check the CRC."""
    starts = np.array([start for _, start in members])
    window = _windows(y, starts + OVERHEAD_SYMBOLS, payload_symbols(payload_bytes, codec))
    finite = np.isfinite(np.abs(window).sum(axis=(1, 2)))
    refusals["non_finite"] += int(np.count_nonzero(~finite))
    members = [member for member, good in zip(members, finite, strict=True) if good]
    if not members:
        return
    channel = _Estimate(
        np.stack([gains[start][0] for _, start in members]), np.array([gains[start][1] for _, start in members])
    )
    symbols = channel.combine(window[finite])
    bodies = demodulate_payloads(symbols, codec, payload_bytes)
    good, snr_db = crc_ok(bodies), channel.snr_db()
    refusals["payload_crc"] += int(np.count_nonzero(~good))
    for row, (header, start) in enumerate(members):
        kept = symbols[row] if header.kind == Kind.HEAD or codec.name in FEATURE_CODECS else None
        yield ReceivedFrame(header, bodies[row], bool(good[row]), start, float(snr_db[row]), kept)
