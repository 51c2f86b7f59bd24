"""Radios as the carrier of the chain: transmitter, Bob's and Eve's receivers, in processes of their own.

    Sent.iq ──► sender's process ──► device ~~~ air ~~~ device ──► Bob's process ──frames──► Ear ──► Bob
                                                            └── device ──► Eve's process ──frames──► Ear ──► Eve

Bob's device may be the sender's own (full duplex). Without a device of her own, Eve's chain runs on Bob's capture.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hardware.errors import ProfileError, StationError
from hardware.process.client import Station
from hardware.process.streaming import BLOCK
from hardware.profiles.profile import Profile
from phy.frame.assembly import Reception, assemble
from phy.frame.frame import Header
from phy.frame.received import ReceivedFrame
from phy.protocols import Sender
from privsc.radio.setup import BOB, EVE, Setup, connected
from privsc.system.chain import Sent

_SETTLE = 0.3  # [s] a receiver runs before something is sent, and after
_SETTLE_REAL = 1.0  # [s] the same of real radios: buffers of their drivers hold up to half a second
_MEETS_WITHIN = 10.0  # [s]
_MOST_HELD = 1 << 29  # [bytes] of frames that an ear keeps
_MOST_BLOCKS = 512  # of a ring: 256 MiB

Statistics = Callable[[str, dict[str, Any]], None]


@dataclass
class Ear:
    """What one chain heard. events: the fields of its frames, in order; frames: the frames themselves, as far as they
    fit into half a GiB; left_out: how many did not."""

    events: list[dict[str, Any]] = field(default_factory=list)
    frames: list[ReceivedFrame] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    left_out: int = 0
    held: int = 0  # [bytes]

    def reception(self) -> Reception:
        """The images that its frames are of."""
        return assemble(self.frames, Counter(self.summary.get("refusals", {})))

    def take(self, fields: dict[str, Any], buffers: dict[str, np.ndarray]) -> None:
        """A frame event."""
        self.held += 2048 + sum(one.nbytes for one in buffers.values())
        if self.held > _MOST_HELD:
            self.left_out += 1
            return
        header = Header.unpack(buffers["header"].tobytes())
        symbols = buffers["symbols"].view(np.complex64) if "symbols" in buffers else None
        self.frames.append(
            ReceivedFrame(header, buffers["body"], fields["crc_ok"], fields["start"], fields["snr_db"], symbols)
        )
        self.events.append({key: value for key, value in fields.items() if key not in ("privsc", "id", "event")})


class Air:
    """The radio processes of a set-up, for one exchange.

    frames: keep the frames; on_statistics: told once a second, with the name of the process ("bob", "eve", "sender").
    """

    def __init__(self, setup: Setup, *, frames: bool = True, on_statistics: Statistics = lambda who, told: None):
        self.setup = connected(setup)
        self.ears: dict[str, Ear] = {BOB: Ear(), EVE: Ear()}
        self.gaps: list[dict[str, Any]] = []
        self.told: dict[str, dict[str, Any]] = {}
        self.hardware: dict[str, str] = {}
        self.actual: dict[str, Any] = {}
        self.hurried: dict[str, bool] = {}  # whether the system grants the process priority
        self._frames, self._on_statistics = frames, on_statistics
        self._stack = ExitStack()
        self.stations: dict[str, Station] = {}
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise

    def _open(self) -> None:
        for who, _, _ in self._wanted():  # all start at once
            self.stations[who] = self._stack.enter_context(Station(self._listener(who)))
        self._open_devices()

    def _wanted(self) -> list[tuple[str, Profile, list[str]]]:
        """(name of the process, its device, the directions that it needs) of each."""
        setup, one = self.setup, self.setup.sender is self.setup.bob
        every = (
            (BOB, setup.bob, ["rx", "tx"] if one else ["rx"]),
            (EVE, setup.eve, ["rx"]),
            ("sender", None if one else setup.sender, ["tx"]),
        )
        return [(who, profile, ways) for who, profile, ways in every if profile is not None]

    def _open_devices(self) -> None:
        transmit = self.setup.transmit
        for who, profile, ways in self._wanted():
            opened = self.stations[who].ask("open", profile=profile.as_dict(), transmit=transmit, directions=ways)
            self.hardware[who], self.actual[who] = opened["hardware"], opened["actual"]
            self.hurried[who] = opened["hurried"]
        if self.setup.sender is self.setup.bob:
            self.stations["sender"] = self.stations[BOB]

    def reopen(self, setup: Setup) -> None:
        """Other settings of the same devices: each is closed and opened again, by the process that it has."""
        self.setup = connected(setup)
        self._open_devices()

    def _listener(self, who: str) -> Callable[[dict[str, Any], dict[str, np.ndarray]], None]:
        def hear(fields: dict[str, Any], buffers: dict[str, np.ndarray]) -> None:
            kind = fields.get("event")
            if kind == "frame":
                self.ears[fields["chain"]].take(fields, buffers)
            elif kind == "statistics":
                self.told[who] = fields
                self._on_statistics(who, fields)
            elif kind == "error":
                raise StationError(fields["message"])
            elif kind == "gap" and who == BOB:
                self.gaps.append({key: fields[key] for key in ("at", "lost", "why")})

        return hear

    @property
    def _receivers(self) -> list[str]:
        return [who for who in (BOB, EVE) if who in self.stations]

    def chains(self, who: str) -> list[dict[str, Any]]:
        """The chains that run in the process of Bob or Eve."""
        if who == EVE or self.setup.eve is not None:
            return [{"name": who}]
        eve = {"name": EVE, "noise_db": self.setup.eve_noise_db, "seed": self.setup.seed}
        return [{"name": BOB}, eve]

    @property
    def _settle(self) -> float:
        return _SETTLE if self.setup.bob.virtual else _SETTLE_REAL

    def listen(self, record: Path | None = None, expect: int = 0) -> None:
        """Begin reception; record: file for Bob's samples; expect: samples of the transmission, for which the rings are
        made large enough (within reason) that a busy computer loses none."""
        blocks = int(np.clip(1.2 * expect / BLOCK + 64, 64, _MOST_BLOCKS))
        for who in self._receivers:
            self.stations[who].ask(
                "receive",
                chains=self.chains(who),
                frames=self._frames,
                blocks=blocks,
                record=str(record.absolute()) if record and who == BOB else None,
                front_end=self.setup.correction.as_dict(),
            )
        self._meet()
        self.wait(self._settle)

    def _meet(self) -> None:
        """Virtual radios find each other while silence is on the air: on a busy computer that can take a while."""
        sender = self.setup.sender
        ears = [who for who in self._receivers if (self.setup.bob if who == BOB else self.setup.eve).virtual]  # type: ignore[union-attr]
        if sender is None or not sender.virtual:
            return
        until = time.monotonic() + _MEETS_WITHIN
        self.stations["sender"].load(np.zeros(4096, np.complex64))
        while time.monotonic() < until:
            self._put(None)
            if all(int(self.stations[who].ask("sensors").get("rx_packets", "0")) > 0 for who in ears):
                return
        raise StationError(
            f"{self.setup.bob.name}: no sample of {sender.name} arrives within {_MEETS_WITHIN:g} s; "
            "do device.tx and device.rx name the same endpoint?"
        )

    def setting(self, who: str, name: str, value: str) -> None:
        """A setting of one device's driver."""
        self.stations[who].ask("setting", name=name, value=value)

    def scaled(self, iq: np.ndarray) -> tuple[np.ndarray, float]:
        """(samples whose largest part is the profile's amplitude, the factor)."""
        assert self.setup.sender is not None and self.setup.sender.tx is not None
        peak = float(np.abs(iq.view(np.float32)).max())
        factor = self.setup.sender.tx.amplitude / max(peak, 1e-12)
        return iq * np.float32(factor), factor

    def noise_for(self, snr_db: float, factor: float, who: str) -> None:
        """Give a virtual receiver the noise that makes Es/N0 = snr_db [dB] of symbols of energy 1 times factor."""
        setup = self.setup
        profile = setup.bob if who == BOB else setup.eve
        if profile is None or not profile.virtual or setup.sender is None or setup.sender.tx is None:
            raise ProfileError("an SNR can only be asked of virtual radios; of a real one, gains and cables make it")
        loss = float(profile.device.get("path_loss", 60.0))
        level = 20 * math.log10(factor) + (setup.sender.tx.gain or 0.0) - loss  # at the receiver's input
        self.setting(who, "noise_floor", f"{level - snr_db:.4f}")

    def send(
        self, iq: np.ndarray, *, delay: float | None = 0.2, repeat: int = 1, progress: Callable[..., None] | None = None
    ) -> None:
        """iq, [N] complex64 of full scale 1, on the air; returns when the last sample is out."""
        self.stations["sender"].load(iq)
        self._put(delay, repeat, progress)

    def _put(self, delay: float | None, repeat: int = 1, progress: Callable[..., None] | None = None) -> None:
        sender = self.stations["sender"]
        begun = sender.ask("transmit", delay=delay, repeat=repeat)
        start, whole = time.monotonic(), begun["seconds"] * max(repeat, 1) + (delay or 0.0)
        while not (told := sender.ask("sent"))["done"]:
            self.wait(0.1)
            if progress:
                progress(min(time.monotonic() - start, whole), whole)
        self.sent_counts = told["counts"]

    def wait(self, seconds: float) -> None:
        """Let every process tell what it has to tell."""
        until = time.monotonic() + seconds
        while True:
            for station in dict.fromkeys(self.stations.values()):
                station.wait(0.01)
            if time.monotonic() >= until:
                return

    def finish(self, settle: float | None = None) -> dict[str, dict[str, Any]]:
        """End reception, ``settle`` seconds from now; what each receiving process says in the end."""
        self.wait(self._settle if settle is None else settle)
        ended = {}
        for who in self._receivers:
            ended[who] = self.stations[who].ask("stop", timeout=180.0)
            for name, summary in ended[who]["chains"].items():
                self.ears[name].summary = summary
        return ended

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Air:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        self.close()


@dataclass(frozen=True)
class AirCarrier:
    """The air as the carrier of a trial: what is sent is on the air already, and each ear has heard its part of it."""

    transmitter: Sender
    ears: Mapping[str, Ear]

    synchronisation = "blind"

    def reception(self, sent: Sent, who: str) -> Reception:
        """What the ear of `who` heard; nothing of what was sent is looked at."""
        return self.ears[who].reception()


def payload_digest(ear: Ear) -> str:
    """SHA-256 over the payloads of all frames of an ear, in the order of the air: header and body, CRC included."""
    state = hashlib.sha256()
    for one in ear.frames:
        state.update(one.header.pack())
        state.update(one.body.tobytes())
    return state.hexdigest()
