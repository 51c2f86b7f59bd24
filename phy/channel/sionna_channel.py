"""Channels made by Sionna (torch), numpy in and numpy out.

    x [N] complex64 ──taps h [blocks, A, knots, L]──► [A, N] ──Sionna AWGN──► y [N] (one antenna) or [A, N] complex64

Names: ``awgn``, ``rayleigh`` (flat), ``tdl-a`` to ``tdl-e`` and ``cdl-a`` to ``cdl-e`` (3GPP TR 38.901). SNR is Es/N0
in dB for symbols of energy 1, and N0 the noise power of one complex sample: with a unit-energy pulse this is the SNR at
the matched filter's output at any number of samples per symbol. Mean channel gain is 1 per antenna. Every channel draws
from its own seed and leaves Sionna's generator as it found it, so Bob's and Eve's realisations are independent and
reproducible; ``correlated_with`` makes them similar on purpose.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.signal import oaconvolve
from sionna.phy import config as sionna_config
from sionna.phy.channel import AWGN, RayleighBlockFading, cir_to_time_channel
from sionna.phy.channel.tr38901 import CDL, TDL, PanelArray

from phy.errors import ChannelError

CHANNELS = ("awgn", "rayleigh", *(f"{kind}-{letter}" for kind in ("tdl", "cdl") for letter in "abcde"))
FIRST_LAG = -6  # the band-limited taps begin six samples before the first path, as Sionna recommends
LIGHT_SPEED = 299_792_458.0
KNOTS_PER_DOPPLER_PERIOD = 32  # taps are linear in between: at most 0.5 % amplitude error
SPEC_VERSION = "19.2"
"""Release of TR 38.901 whose tables TDL and CDL take; Sionna has several, and its default changes."""
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

    name: one of CHANNELS; snr_db: Es/N0 [dB] per antenna; seed: of this realisation; rx_antennas: A.
    delay_spread: RMS [s]; carrier, sample_rate: [Hz]; speed: of the receiver [m/s]. These four matter to TDL and CDL.
    correlated_with, correlation: seed of another channel with the same parameters and the amplitude correlation rho
    with it: h = rho h_other + sqrt(1 - rho^2) h_own. The noise stays independent.
    """

    name: str
    snr_db: float
    seed: int
    rx_antennas: int = 1
    delay_spread: float = 100e-9
    carrier: float = 2.4e9
    speed: float = 0.0
    sample_rate: float = 1e6
    correlated_with: int | None = None
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in CHANNELS:
            raise ChannelError(f"no channel named {self.name!r}: choose one of {', '.join(CHANNELS)}")
        if not math.isfinite(self.snr_db) or abs(self.snr_db) > 200:
            raise ChannelError(f"snr_db must be a finite number of dB within -200 to 200, got {self.snr_db}")
        for name, low, high in (
            ("seed", 0, (1 << 63) - 1),
            ("rx_antennas", 1, 16),
            ("delay_spread", 0.0, 1e-3),
            ("carrier", 1e6, 1e12),
            ("speed", 0.0, 1e4),
            ("sample_rate", 1e3, 2e9),
            ("correlation", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ChannelError(f"{name} must be {low} to {high}, got {value}")

    @property
    def noise_power(self) -> float:
        """N0 per complex sample and antenna."""
        return 10 ** (-self.snr_db / 10)

    @property
    def doppler(self) -> float:
        """Largest Doppler shift [Hz]."""
        return self.speed * self.carrier / LIGHT_SPEED

    def __call__(self, x: np.ndarray, block_starts: np.ndarray | None = None) -> np.ndarray:
        """x [N] complex64 to y [N] or [A, N] complex64.

        block_starts: sample indices from which on a new, independent realisation holds; None means one for all of x.
        Echoes reach over block borders; those after the last sample are cut off.
        """
        x = np.ascontiguousarray(x, dtype=np.complex64)
        if x.ndim != 1:
            raise ChannelError(f"x must be [N], got {list(x.shape)}")
        faded = np.broadcast_to(x, (self.rx_antennas, len(x))) if self.name == "awgn" else self._fade(x, block_starts)
        y = np.empty((self.rx_antennas, len(x)), np.complex64)
        with seeded(self.seed ^ 1 << 62):  # another stream than the taps', so that they do not depend on the length
            noise = AWGN(device="cpu")
            for start in range(0, len(x), _CHUNK):
                part = torch.from_numpy(faded[:, start : start + _CHUNK].copy())
                y[:, start : start + _CHUNK] = noise(part, self.noise_power).numpy()
        return y[0] if self.rx_antennas == 1 else y

    def taps(self, blocks: int, length: int) -> tuple[np.ndarray, int]:
        """Impulse responses: ([blocks, A, knots, L] complex64, spacing of the knots [samples]).

        length: longest block [samples]. One knot where nothing moves. The first tap has lag 0 for flat channels,
        FIRST_LAG otherwise.
        """
        spacing, knots = length, 1
        if self.name == "awgn":
            return np.ones((blocks, self.rx_antennas, 1, 1), np.complex64), spacing
        if self.doppler > 0 and self.name != "rayleigh":
            spacing = max(1, int(self.sample_rate / (KNOTS_PER_DOPPLER_PERIOD * self.doppler)))
            knots = 2 + length // spacing
        own = self._draw(self.seed, blocks, knots, spacing)
        if self.correlated_with is None:
            return own, spacing
        other = self._draw(self.correlated_with, blocks, knots, spacing)
        rho = self.correlation
        return (rho * other + math.sqrt(1 - rho * rho) * own).astype(np.complex64), spacing

    def _draw(self, seed: int, blocks: int, knots: int, spacing: int) -> np.ndarray:
        """Taps [blocks, A, knots, L] complex64 of one seed."""
        with seeded(seed), torch.no_grad():
            gain, delay = self._model()(blocks, knots, self.sample_rate / spacing)
            if self.name == "rayleigh":
                return gain.numpy().reshape(blocks, self.rx_antennas, 1, 1)
            last = math.ceil(float(delay.max()) * self.sample_rate) - FIRST_LAG
            taps = cir_to_time_channel(self.sample_rate, gain, delay, FIRST_LAG, last)
        return taps[:, 0, :, 0, 0].numpy()

    def _model(self) -> RayleighBlockFading | TDL | CDL:
        """Sionna's channel model for this name."""
        kind, _, letter = self.name.upper().partition("-")
        if kind == "RAYLEIGH":
            return RayleighBlockFading(num_rx=1, num_rx_ant=self.rx_antennas, num_tx=1, num_tx_ant=1, device="cpu")
        if kind == "TDL":
            return TDL(
                letter,
                self.delay_spread,
                self.carrier,
                min_speed=self.speed,
                num_rx_ant=self.rx_antennas,
                spec_version=SPEC_VERSION,
                device="cpu",
            )
        arrays = [
            PanelArray(
                num_rows_per_panel=1,
                num_cols_per_panel=count,
                polarization="single",
                polarization_type="V",
                antenna_pattern="omni",
                carrier_frequency=self.carrier,
                device="cpu",
            )
            for count in (1, self.rx_antennas)
        ]
        return CDL(
            letter,
            self.delay_spread,
            self.carrier,
            ut_array=arrays[0],
            bs_array=arrays[1],
            direction="uplink",
            min_speed=self.speed,
            max_speed=self.speed,
            spec_version=SPEC_VERSION,
            device="cpu",
        )

    def _fade(self, x: np.ndarray, block_starts: np.ndarray | None) -> np.ndarray:
        """x [N] to [A, N] complex64 before noise."""
        edges = np.unique(np.concatenate([[0], np.asarray([] if block_starts is None else block_starts, np.int64)]))
        if edges[0] < 0 or (len(x) and edges[-1] >= len(x)):
            raise ChannelError(f"block_starts must be 0 to {len(x) - 1}, got {edges[0]} to {edges[-1]}")
        lengths = np.diff(np.append(edges, len(x)))
        taps, spacing = self.taps(len(edges), int(lengths.max()))
        if taps.shape[2:] == (1, 1):
            return x * np.repeat(taps[:, :, 0, 0].T, lengths, axis=1)
        y = np.zeros((self.rx_antennas, len(x) + taps.shape[3]), np.complex64)
        for block, (start, length) in enumerate(zip(edges, lengths, strict=True)):
            part = _filter(x[start : start + length], taps[block], spacing)
            y[:, start : start + part.shape[1]] += part
        return y[:, -FIRST_LAG : len(x) - FIRST_LAG]


def _filter(x: np.ndarray, taps: np.ndarray, spacing: int) -> np.ndarray:
    """x [N] through taps [A, knots, L], linear between knots: [A, N + L - 1] complex64, lag 0 first."""
    if taps.shape[1] == 1:
        return oaconvolve(x[None], taps[:, 0], axes=1).astype(np.complex64)
    place = (np.arange(len(x)) / spacing).astype(np.float32)
    knot = np.minimum(place.astype(np.intp), taps.shape[1] - 2)
    share = (place - knot).astype(np.float32)
    y = np.zeros((len(taps), len(x) + taps.shape[2] - 1), np.complex64)
    for lag in range(taps.shape[2]):
        column = taps[:, :, lag]
        gain = column[:, knot] * (1 - share) + column[:, knot + 1] * share
        y[:, lag : lag + len(x)] += gain * x
    return y


def make_channel(name: str, *, snr_db: float, seed: int, **parameters: float | int | None) -> Channel:
    """A channel by name and plain parameters (the fields of ``Channel``); ChannelError for anything impossible."""
    try:
        return Channel(name, float(snr_db), int(seed), **parameters)  # type: ignore[arg-type]
    except TypeError as error:
        raise ChannelError(f"channel {name!r}: {error}") from None
