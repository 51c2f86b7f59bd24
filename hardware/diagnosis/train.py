"""The known train of frames that the doctor and `calibrate` send; faults can be built in, to practise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phy.codec.codec import shipped
from phy.frame import frame
from phy.frame.frame import Kind
from phy.frame.tx import HEADER_SYMBOLS, TRAINING_SYMBOLS, modulate
from phy.modem.burst import BurstTransmitter, Layout
from phy.modem.waveform import unit_energy_transmitter

IMAGE_ID = 0xD0C7
FAULTS = ("preamble", "header", "payload", "crc")  # that a train can be built with
_SEED = 20250


@dataclass(frozen=True)
class Train:
    """Known frames. iq: [N] complex64 of unit-energy symbols, silence between the frames; period: [samples] from frame
    to frame; payloads: [F, P] uint8; bodies: [F, P + 4] uint8 with their CRC."""

    iq: np.ndarray
    period: int
    payloads: np.ndarray
    bodies: np.ndarray
    codec: str

    @property
    def frames(self) -> int:
        return len(self.payloads)


def known_train(
    frames: int = 40, payload_bytes: int = 256, codec: str = "ae8x8", gap: int = 2048, fault: str | None = None
) -> Train:
    """The train that is sent; fault: one of FAULTS, built in on purpose."""
    rng = np.random.default_rng(_SEED)
    payloads = rng.integers(0, 256, (frames, payload_bytes), np.uint8)
    chosen = shipped(codec)
    headers = frame.headers_for(
        payloads,
        payloads.size,
        kind=Kind.BODY,
        codec_id=chosen.codec_id,
        image_id=IMAGE_ID,
        k_digest=bytes(frame.DIGEST_BYTES),
    )
    symbols = modulate(headers, payloads, chosen)[:, TRAINING_SYMBOLS:]
    if fault == "header":
        symbols[:, 100:HEADER_SYMBOLS] = rng.choice(
            np.array([1, 1j, -1, -1j], np.complex64), symbols[:, 100:HEADER_SYMBOLS].shape
        )
    if fault == "payload":
        symbols[:, HEADER_SYMBOLS:] = rng.choice(
            np.array([1, 1j, -1, -1j], np.complex64), symbols[:, HEADER_SYMBOLS:].shape
        )
    if fault == "crc":  # one wrong message in every frame
        symbols[:, HEADER_SYMBOLS : HEADER_SYMBOLS + chosen.n] *= np.complex64(-1)
    transmitter: BurstTransmitter = unit_energy_transmitter(Layout(), gap)
    bursts = transmitter.bursts(symbols)
    if fault == "preamble":
        length = transmitter.layout.num_samples(0) + 2
        bursts[:, :length] = bursts[:, length : 2 * length]
    return Train(bursts.reshape(-1), bursts.shape[1], payloads, frame.add_crc(payloads), codec)
