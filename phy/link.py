"""A link in three parts: a transmitter, a channel, a receiver that sees only samples.

    from phy.link import Link, compare

    link = Link(codec="image8x4", channel="awgn")
        # names: phy.codec.codec.available(), phy.channel.sionna_channel.CHANNELS
    sent = link.transmitter().send(head, body, k_digest=database_digest)
    samples = sent.through(link.channel_at(snr_db=10.0, seed=1))    # Bob's; another seed is another realisation
    reception = link.receiver().receive(samples)

    image = reception.best(database_digest)   # ReceivedImage, or None where nothing arrived
    image.head                                # bytes, or None where no repetition survived (CRC-32, sent repeatedly)
    image.body                                # bytes; those of frames that were lost are zero
    image.arrived, image.exact                # [len(body)] bool: frame there; its payload CRC right too
    image.made_with(database_digest)          # whether the sender's K is this one
    image.missing                             # numbers of body frames that are not exact: phy.arq asks for them again
    image.snr_db                              # [dB] receiver's own estimate of Es/N0
    reception.refusals                        # dict cause -> count, per antenna ("header_crc", "payload_crc", ...)
    compare(image, sent)                      # the experimenter's: message error rate, frames lost, CRC failures
    sent.channel_uses                         # complex symbols, everything counted: training, header, pilots, payload

The default waveform is "burst": preamble, pulses, detection, equaliser; the receiver is given nothing but samples.
"symbols" has one sample a symbol and a receiver that is given frame starts: ``through`` then gives FrameSynchronised
samples, which only that receiver takes. ``channel_parameters`` are the fields of
``phy.channel.sionna_channel.Channel``: delay_spread, speed, carrier, sample_rate, correlated_with, correlation.

``channel="external"`` simulates none and needs no torch: ``sent.iq`` goes out on a radio or a flowgraph, and what comes
back goes to ``link.receiver().receive(samples)``.

SNR is Es/N0 per complex symbol at the matched filter's output, in dB, on every carrier. ``head`` must not be empty,
``body`` may be. Nonsense (nan SNR, an unknown codec or channel) raises a child of ``phy.errors.PhyError``, one line
each.
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phy.channel.protocol import Channel
from phy.codec.codec import Codec, register
from phy.errors import LinkError
from phy.frame.assembly import MAX_BODY, Reception, assemble
from phy.frame.coded import named
from phy.frame.compare import LinkStats, Sending, compare
from phy.frame.framing import Framing
from phy.modem.waveform import BurstWaveform, FrameSynchronised, Samples, SymbolWaveform, Waveform

EXTERNAL = "external"
WAVEFORMS = ("burst", "symbols")

__all__ = ["EXTERNAL", "WAVEFORMS", "FrameSynchronised", "Link", "LinkReceiver", "LinkStats", "LinkTransmitter",
           "Reception", "Samples", "Transmission", "compare"]  # fmt: skip


@dataclass(frozen=True)
class Transmission(Sending):
    """What was sent: the samples, and the ground truth that errors are counted against afterwards.

    Attributes:
        iq: [N] complex64.
        waveform: its name.
        below_threshold: the expected SNR was below the link's tau_thre.
    """

    iq: np.ndarray
    waveform: str = "burst"
    below_threshold: bool = False

    def through(self, channel: Channel) -> Samples:
        """The samples as they come out of a channel, which may fade anew with each frame; with the waveform "symbols"
        the frame starts are given with them."""
        y = channel(self.iq, self.starts)
        return FrameSynchronised(y, self.starts) if self.waveform == "symbols" else y


@dataclass(frozen=True)
class LinkTransmitter:
    """Images to samples. framings: of the body's codec, and of the one below ``threshold_db`` [dB], None for none."""

    framing: Framing
    fallback: Framing | None
    waveform: Waveform
    name: str
    threshold_db: float | None = None

    def framing_for(self, expected_snr_db: float | None) -> tuple[Framing, bool]:
        """The framing at an expected Es/N0 [dB] and whether that is below the threshold."""
        below = self.threshold_db is not None and expected_snr_db is not None and expected_snr_db < self.threshold_db
        return (self.fallback if below and self.fallback is not None else self.framing), below

    def send(
        self,
        head: bytes,
        body: bytes,
        *,
        k_digest: bytes,
        image_id: int | None = None,
        frames: Collection[int] | None = None,
        expected_snr_db: float | None = None,
    ) -> Transmission:
        """Frame, encode and modulate one image's bytes.

        Args:
            head: what a receiver must know first; at least 1 byte.
            body: the image.
            k_digest: of the sender's K, at least 8 bytes.
            image_id: 0 to 65535; None draws one, so that two images in one recording are told apart.
            frames: body frames to send, all by default (a repetition sends the missing ones).
            expected_snr_db: what the return path said about the channel, held against the threshold.
        """
        framing, below = self.framing_for(expected_snr_db)
        number = secrets.randbelow(1 << 16) if image_id is None else image_id
        image = framing.image(head, body, number, k_digest, chosen=frames)
        on_air = self.waveform.send(image.groups)
        return Transmission(
            bytes(head),
            bytes(body),
            number,
            image.chosen,
            named(framing.codec)[0],
            framing.payload_bytes,
            on_air.starts,
            on_air.channel_uses,
            on_air.iq,
            self.name,
            below,
        )


@dataclass(frozen=True)
class LinkReceiver:
    """Samples to images; it holds nothing of what was sent.

    Attributes:
        waveform: that it can find.
        codecs: of its own, beside the shipped ones, that it can decode.
        max_body: longest image [bytes] that it accepts.
    """

    waveform: Waveform
    codecs: tuple[Codec, ...] = ()
    max_body: int = MAX_BODY

    def __post_init__(self) -> None:
        for codec in self.codecs:
            register(codec)

    @property
    def synchronisation(self) -> str:
        """How it knows where frames are: "blind" or "given"."""
        return self.waveform.synchronisation

    def receive(self, samples: Samples) -> Reception:
        """Samples [N] or, of several antennas, [A, N] complex64; only the waveform "symbols" needs FrameSynchronised
        ones. Nothing in them raises."""
        refusals: Counter[str] = Counter()
        frames = list(self.waveform.receive(samples, refusals))
        return assemble(frames, refusals, self.max_body)


@dataclass(frozen=True)
class Link:
    """What transmitter, channel and receiver have agreed on.

    Attributes:
        codec: name of the body's codec, or the path of one's own (.npz); with "+outer" behind it the body frames carry
            the outer code of ``phy.frame.coded`` (half the rate, for fading and low SNR; bursts only).
        channel: name for ``phy.channel.sionna_channel.make_channel``, or "external".
        payload_bytes: at most, per frame.
        head_repeats: how often the head is sent.
        rx_antennas: receive antennas, combined by maximum ratio.
        waveform: one of WAVEFORMS.
        channel_parameters: further fields of the channel.
        snr_threshold_db: tau_thre of the paper's constraint (9), below which a transmission says so and uses the codec
            ``fallback`` if there is one (the choice is in every header).
        fallback: name of a codec, or None.
    """

    codec: str = "image8x4"
    channel: str = "awgn"
    payload_bytes: int = 1024
    head_repeats: int = 8
    rx_antennas: int = 1
    waveform: str = "burst"
    channel_parameters: Mapping[str, Any] = field(default_factory=dict)
    snr_threshold_db: float | None = None
    fallback: str | None = None

    def __post_init__(self) -> None:
        self.transmitter()
        if self.waveform not in WAVEFORMS:
            raise LinkError(f"waveform must be one of {', '.join(WAVEFORMS)}, got {self.waveform!r}")
        if self.snr_threshold_db is not None and not math.isfinite(self.snr_threshold_db):
            raise LinkError(f"snr_threshold_db must be a finite number of dB, got {self.snr_threshold_db}")
        if self.channel != EXTERNAL:
            self.channel_at(0.0, 0)
        if self.waveform == "symbols" and any(named(name)[1] for name in self._codecs):
            raise LinkError(f"codec {self.codec!r}: the outer code needs waveform 'burst', got 'symbols'")
        if self.waveform == "symbols" and self.channel == EXTERNAL:
            raise LinkError("an external channel needs waveform 'burst', got 'symbols'")
        if self.waveform == "symbols" and "-" in self.channel:
            raise LinkError(f"channel {self.channel!r} has echoes: use waveform 'burst', got 'symbols'")

    @property
    def _codecs(self) -> tuple[str, ...]:
        return tuple(name for name in (self.codec, self.fallback) if name is not None)

    @property
    def _waveform(self) -> Waveform:
        return BurstWaveform() if self.waveform == "burst" else SymbolWaveform()

    def transmitter(self) -> LinkTransmitter:
        """The sending side."""
        framings = [Framing(name, self.payload_bytes, self.head_repeats) for name in self._codecs]
        fallback = framings[1] if len(framings) > 1 else None
        return LinkTransmitter(framings[0], fallback, self._waveform, self.waveform, self.snr_threshold_db)

    def receiver(self) -> LinkReceiver:
        """The receiving side: shipped codecs and those that this link names."""
        own = tuple(named(name)[0] for name in self._codecs)
        return LinkReceiver(self._waveform, own)

    def channel_at(self, snr_db: float, seed: int) -> Channel:
        """One realisation of the simulated channel: Es/N0 [dB] and seed."""
        if self.channel == EXTERNAL:
            raise LinkError("the link's channel is external: give the samples it delivers to the receiver")
        if not math.isfinite(snr_db):
            raise LinkError(f"snr_db must be a finite number of dB, got {snr_db}")
        from phy.channel.sionna_channel import make_channel  # torch only where a channel is simulated

        parameters = {"rx_antennas": self.rx_antennas, **self.channel_parameters}
        return make_channel(self.channel, snr_db=snr_db, seed=seed, **parameters)
