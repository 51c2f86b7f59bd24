"""One image over the air and back: what ``privsc`` uses of this package.

    from phy.link import Link

    link = Link(codec="image8x4", channel="awgn")
        # names: phy.codec.codec.available(), phy.channel.sionna_channel.CHANNELS
    sent = link.transmit(head, body, image_id=7, k_digest=database_digest, best_effort=True)
    bob = link.receive(sent, snr_db=10.0, seed=1, k_digest=database_digest)
    eve = link.receive(sent, snr_db=10.0, seed=2, k_digest=None)        # another seed: another realisation

    bob.head                    # bytes, or None where no repetition survived (CRC-32, sent head_repeats times)
    bob.body                    # bytes, exactly len(body) of them; bytes of lost frames are zero
    bob.body_ok                 # [len(body)] bool, False where the frame that carried the byte was lost
    bob.body_crc_ok             # True only where the whole body is exact
    bob.k_digest_matches        # True/False; None where no digest was given or no header arrived
    bob.snr_db                  # [dB] receiver's own estimate of Es/N0, nan where no frame arrived
    bob.stats                   # LinkStats: message_error_rate, frames_sent, frames_lost, crc_failures, channel_uses
    bob.missing                 # sequence numbers of body frames not received exactly: phy.arq asks for them again
    bob.refusals                # dict cause -> count, per antenna ("header_crc", "payload_crc", "unknown_codec", ...)
    sent.channel_uses           # complex symbols, everything counted: training, header, pilots, payload, repetition

Channels with echoes (``tdl-*``, ``cdl-*``) need ``waveform="burst"``, which "auto" chooses for them: preamble, pulses,
detection, equaliser. "symbols" has one sample a symbol and known frame starts. ``channel_parameters`` are the fields of
``phy.channel.sionna_channel.Channel``: delay_spread, speed, carrier, sample_rate, correlated_with, correlation.

``channel="external"`` simulates none and needs no torch: ``sent.iq`` goes out on a radio or a flowgraph, and what comes
back goes to ``link.decode(sent, samples, k_digest=...)``.

``best_effort=True`` (``pixels`` payloads) delivers the bytes of frames whose payload CRC fails, since a wrong message
costs one sample; with ``best_effort=False`` (coded payloads) such a frame counts as lost. ``head`` must not be empty,
``body`` may be. ``k_digest`` is at least 8 bytes; the first 8 travel in every header. SNR is Es/N0 per complex symbol
in dB. Nonsense (nan SNR, an unknown codec or channel) raises a child of ``phy.errors.PhyError``, one line each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phy.codec.codec import Codec, shipped
from phy.errors import LinkError
from phy.frame import frame, tx
from phy.frame.assembly import PREFIX, LinkStats, Reception, assemble_body, assemble_head, message_errors
from phy.frame.coded import OUTER_FLAG, named
from phy.frame.format import ImageFormat
from phy.frame.frame import Kind
from phy.frame.received import ReceivedFrame
from phy.modem.waveform import BurstWaveform, SymbolWaveform, Waveform

HEAD_CODEC = "ae8x8"
HEAD_FRAGMENT = 256
EXTERNAL = "external"
WAVEFORMS = ("auto", "symbols", "burst")


@dataclass(frozen=True)
class Transmission:
    """What was sent: iq [N] complex64; starts [F] int64, frame starts, heads first; channel_uses: all counted."""

    iq: np.ndarray
    starts: np.ndarray
    channel_uses: int
    head: bytes
    body: bytes
    body_frames: np.ndarray  # [F_body, P + 4] uint8, payload and CRC of the whole body as framed
    frames: tuple[int, ...]  # which of them were sent
    codec: Codec
    below_threshold: bool  # the expected SNR was below the link's tau_thre
    image_id: int
    best_effort: bool


@dataclass(frozen=True)
class Link:
    """Transmitter, channel and receiver of one image at a time.

    codec: name of the body's codec, or the path of one's own (.npz); with "+outer" behind it the body frames carry the
    outer code of ``phy.frame.coded`` (half the rate, for fading and low SNR; bursts only); channel: name for
    ``phy.channel.sionna_channel.make_channel``; payload_bytes: at most, per frame; head_repeats: how often the head is
    sent;
    rx_antennas: receive antennas, combined by maximum ratio; waveform: one of WAVEFORMS; snr_threshold_db: tau_thre of
    the paper's constraint (9), below which a transmission says so and uses the codec ``fallback`` if there is one (the
    choice is in every header).
    """

    codec: str = "image8x4"
    channel: str = "awgn"
    payload_bytes: int = 1024
    head_repeats: int = 8
    rx_antennas: int = 1
    waveform: str = "auto"
    channel_parameters: Mapping[str, Any] = field(default_factory=dict)
    snr_threshold_db: float | None = None
    fallback: str | None = None

    def __post_init__(self) -> None:
        coded = any(named(name)[1] for name in (self.codec, self.fallback) if name is not None)
        if not 1 <= self.payload_bytes <= frame.MAX_PAYLOAD:
            raise LinkError(f"payload_bytes must be 1 to {frame.MAX_PAYLOAD}, got {self.payload_bytes}")
        if not 1 <= self.head_repeats <= 64:
            raise LinkError(f"head_repeats must be 1 to 64, got {self.head_repeats}")
        if self.waveform not in WAVEFORMS:
            raise LinkError(f"waveform must be one of {', '.join(WAVEFORMS)}, got {self.waveform!r}")
        if self.snr_threshold_db is not None and not math.isfinite(self.snr_threshold_db):
            raise LinkError(f"snr_threshold_db must be a finite number of dB, got {self.snr_threshold_db}")
        if self.channel != EXTERNAL:
            self._channel(0.0, 0)
        if self.waveform == "symbols" and coded:
            raise LinkError(f"codec {self.codec!r}: the outer code needs waveform 'burst' (or 'auto'), got 'symbols'")
        if self.waveform == "symbols" and "-" in self.channel:
            raise LinkError(f"channel {self.channel!r} has echoes: use waveform 'burst' (or 'auto'), got 'symbols'")

    def _channel(self, snr_db: float, seed: int) -> Any:
        if self.channel == EXTERNAL:
            raise LinkError("the link's channel is external: give the samples it delivers to decode()")
        from phy.channel.sionna_channel import make_channel  # torch only where a channel is simulated

        parameters = {"rx_antennas": self.rx_antennas, **self.channel_parameters}
        return make_channel(self.channel, snr_db=snr_db, seed=seed, **parameters)

    @property
    def _waveform(self) -> Waveform:
        coded = any(named(name)[1] for name in (self.codec, self.fallback) if name is not None)
        needed = coded or "-" in self.channel or self.channel == EXTERNAL
        burst = self.waveform == "burst" or (self.waveform == "auto" and needed)
        return BurstWaveform() if burst else SymbolWaveform()

    def codec_for(self, expected_snr_db: float | None) -> tuple[str, bool]:
        """Name of the body's codec at an expected Es/N0 [dB] and whether that is below the threshold."""
        below = None not in (self.snr_threshold_db, expected_snr_db) and expected_snr_db < self.snr_threshold_db  # type: ignore[operator]
        return self.fallback if below and self.fallback is not None else self.codec, below

    def transmit(
        self,
        head: bytes,
        body: bytes,
        *,
        image_id: int,
        k_digest: bytes,
        best_effort: bool = False,
        frames: Collection[int] | None = None,
        expected_snr_db: float | None = None,
    ) -> Transmission:
        """Frame, encode and modulate one image's bytes.

        frames: body frames to send, all by default (a repetition sends the missing ones). expected_snr_db: what the
        return path told about the channel, held against snr_threshold_db.
        """
        if not head:
            raise LinkError("head must hold at least 1 byte, got 0")
        name, below = self.codec_for(expected_snr_db)
        codec, coded = named(name)
        strongest = shipped(HEAD_CODEC)
        group = PREFIX.pack(len(body)) + head
        payloads = frame.split(group, HEAD_FRAGMENT)
        headers = frame.headers_for(
            payloads, len(group), kind=Kind.HEAD, codec_id=strongest.codec_id, image_id=image_id, k_digest=k_digest
        )
        groups = [tx.modulate(headers, payloads, strongest)] * self.head_repeats
        body_frames = np.empty((0, frame.CRC_BYTES), np.uint8)
        chosen: tuple[int, ...] = ()
        if body:
            payloads = frame.split(body, self.payload_bytes)
            chosen = tuple(range(len(payloads))) if frames is None else tuple(sorted(set(frames)))
            if chosen and not 0 <= chosen[0] <= chosen[-1] < len(payloads):
                raise LinkError(f"frames must be 0 to {len(payloads) - 1}, got {chosen[0]} to {chosen[-1]}")
            headers = frame.headers_for(
                payloads,
                len(body),
                kind=Kind.BODY,
                codec_id=codec.codec_id | (OUTER_FLAG if coded else 0),
                image_id=image_id,
                k_digest=k_digest,
            )
            if chosen:
                part = [headers[i] for i in chosen], payloads[list(chosen)]
                groups.append(tx.with_training(ImageFormat().modulate(*part)) if coded else tx.modulate(*part, codec))
            body_frames = frame.add_crc(payloads)
        on_air = self._waveform.send(groups)
        return Transmission(
            on_air.iq,
            on_air.starts,
            on_air.channel_uses,
            bytes(head),
            bytes(body),
            body_frames,
            chosen,
            codec,
            below,
            image_id,
            best_effort,
        )

    def receive(self, sent: Transmission, *, snr_db: float, seed: int, k_digest: bytes | None) -> Reception:
        """Through the channel with this SNR [dB] and seed, and back to bytes."""
        if not math.isfinite(snr_db):
            raise LinkError(f"snr_db must be a finite number of dB, got {snr_db}")
        return self.decode(sent, self._channel(snr_db, seed)(sent.iq, sent.starts), k_digest=k_digest)

    def decode(self, sent: Transmission, y: np.ndarray, *, k_digest: bytes | None) -> Reception:
        """Samples y [N] or [A, N] to bytes. ``sent`` gives the frame starts and what errors are counted against."""
        refusals: Counter[str] = Counter()
        return self.assemble(sent, self._waveform.receive(y, sent.starts, refusals), refusals, k_digest=k_digest)

    def assemble(
        self,
        sent: Transmission,
        received_frames: Iterable[ReceivedFrame],
        refusals: Counter[str],
        *,
        k_digest: bytes | None,
    ) -> Reception:
        """Frames that a receiver found (a radio's, say) to bytes; refusals: what it counted, completed here."""
        frames = []
        for received in received_frames:
            if received.header.image_id == sent.image_id:
                frames.append(received)
            else:
                refusals["foreign_image"] += 1
        group = assemble_head([f for f in frames if f.header.kind == Kind.HEAD])
        bodies = [f for f in frames if f.header.kind == Kind.BODY and f.header.total == len(sent.body)]
        wrong, counted = message_errors(sent.body_frames, sent.codec.k, bodies)
        usable = [f for f in bodies if f.crc_ok or sent.best_effort]
        body, body_ok = assemble_body(usable, len(sent.body))
        exact = {f.header.sequence for f in bodies if f.crc_ok}
        present = {f.header.sequence for f in usable}
        stats = LinkStats(
            wrong / counted if counted else None,
            len(sent.starts),
            len(set(sent.frames) - present),
            sum(not f.crc_ok for f in bodies),
            sent.channel_uses,
        )
        digests = Counter(f.header.k_digest for f in frames)
        matches = None
        if k_digest is not None and digests:
            matches = digests.most_common(1)[0][0] == frame.short_digest(k_digest)
        linear = [10 ** (f.snr_db / 10) for f in frames]
        missing = tuple(i for i in range(len(sent.body_frames)) if i not in exact)
        return Reception(
            head=None if group is None else group[PREFIX.size :],
            body=body,
            body_ok=body_ok,
            body_crc_ok=not missing,
            missing=missing,
            k_digest_matches=matches,
            snr_db=10 * math.log10(sum(linear) / len(linear)) if linear else math.nan,
            stats=stats,
            refusals={cause: count for cause, count in sorted(refusals.items()) if count},
        )
