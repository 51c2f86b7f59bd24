"""`privsc radio doctor` and `calibrate`: a known train of frames through the devices, and what comes back.

silence ──capture──► background ─┐
train on the air ──capture───────┴─► hardware.diagnosis.doctor.diagnose ──► stages, figures
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hardware.diagnosis.doctor import Diagnosis, diagnose
from hardware.diagnosis.train import Train, known_train
from hardware.errors import ProfileError
from hardware.process.client import Station
from hardware.profiles.profile import Profile
from privsc.radio.air import Air
from privsc.radio.habits import HABITS
from privsc.radio.setup import BOB, Setup

_BACKGROUND = 1 << 17  # [samples]
_SETTLE = 0.6  # [s] from the start of a transmission until it surely is on the air and gains have settled

# Faults that --inject makes on the virtual radio, and the stage at which the doctor should find each.
INJECTIONS = {
    "silent": "energy", "wrong-frequency": "energy", "preamble": "preamble", "dc": "preamble",
    "swapped-iq": "preamble", "cfo": "frequency", "clock": "clock",
    "clipping": "clipping", "agc": "clipping", "overflow": "overflow", "drop": "continuity",
    "underflow": "transmitter", "header": "header", "payload": "payload", "crc": "crc", "noise": "payload",
}  # fmt: skip
_CLOCK_PPM = 600.0
_CLOCK_TEST = 40.0  # carrier / sample rate: so low that these ppm are no frequency offset to speak of (0.15 rad/sample)


DC_AMPLITUDE, DC_SPIKE = 0.3, 0.5  # 0.5 is more than 6 dB above a signal whose peak is 0.3
_NOISE_SNR, _CLEAN_SNR = 1.0, 20.0  # [dB] of the virtual radio: headers are read at the former, payloads are not


def injected(setup: Setup, fault: str | None) -> Setup:
    """Profiles with a fault, for those that are faults of settings."""
    if fault is None:
        return setup
    if fault not in INJECTIONS:
        raise ProfileError(f"--inject: must be one of {', '.join([*INJECTIONS, *HABITS])}; got {fault!r}")
    if setup.sender is None or not (setup.sender.virtual and setup.bob.virtual):
        raise ProfileError(f"--inject: faults are only made in virtual radios; got {setup.bob.name}")
    sender, bob = setup.sender, setup.bob
    one = sender is bob
    if one and fault in ("wrong-frequency", "cfo", "clock"):
        raise ProfileError(f"--inject {fault}: needs two devices; leave --rx-profile out or name another one")

    def with_ppm(profile: Profile, ppm: float) -> Profile:
        return replace(profile, device={**profile.device, "ppm": f"{ppm:g}"})

    if fault == "wrong-frequency":
        bob = replace(bob, frequency=bob.frequency + 25e6)
    elif fault == "cfo":
        bob = with_ppm(bob, 1e6 * 0.8 * bob.sample_rate / (2 * math.pi * bob.frequency))
    elif fault == "clock":
        low = _CLOCK_TEST * bob.sample_rate
        sender, bob = replace(sender, frequency=low), replace(with_ppm(bob, _CLOCK_PPM), frequency=low)
    elif fault == "noise":  # a weak signal, so that the noise that drowns it still fits the converter
        assert sender.tx is not None
        sender = replace(sender, tx=replace(sender.tx, gain=10.0))
        bob = sender if one else bob
    elif fault == "dc":
        assert sender.tx is not None and bob.rx is not None
        device = {**bob.device, "dc_i": f"{DC_SPIKE:g}"}
        bob = replace(bob, device=device, rx=replace(bob.rx, dc_correction=False))  # a device that has none
        sender = replace(bob if one else sender, tx=replace(sender.tx, amplitude=DC_AMPLITUDE))
        bob = sender if one else bob
    elif fault == "swapped-iq":
        bob = replace(bob, device={**bob.device, "fault_swap_iq": "true"})
        sender = bob if one else sender
    elif fault == "clipping":
        assert bob.rx is not None
        bob = replace(bob, rx=replace(bob.rx, gain=60.0))
        sender = bob if one else sender
    return replace(setup, sender=sender, bob=bob)


class Examination:
    """One train through one pair of devices, as often as asked."""

    def __init__(self, air: Air, fault: str | None = None, snr_db: float | None = None):
        self.air, self.fault = air, fault
        built_in = fault if fault in ("preamble", "header", "payload", "crc") else None
        self.train: Train = known_train(fault=built_in)
        self.truth = known_train()
        self.iq, factor = air.scaled(self.train.iq)
        if snr_db is not None:
            air.noise_for(snr_db, factor, BOB)

    @property
    def _bob(self) -> Station:
        return self.air.stations[BOB]

    @property
    def _sender(self) -> Station:
        return self.air.stations["sender"]

    def background(self) -> np.ndarray:
        """What is there when nobody sends, [N] complex64."""
        return self._bob.capture(_BACKGROUND, skip=0.1)[0]

    def capture(self) -> tuple[np.ndarray, dict[str, Any], dict[str, int]]:
        """(samples, what the receiver said, what the transmitter counted) while the train is sent again and again."""
        sender, bob = self._sender, self._bob
        count = len(self.iq) + 2 * self.train.period
        before = sender.ask("counts")["radio"]
        if self.fault != "silent":
            sender.load(self.iq)
            sender.ask("transmit", repeat=0)
        third = count // 3
        within = {"overflow": [(third, "fault_overflow", "1500")], "drop": [(third, "fault_drop", "1500")]}
        if self.fault == "underflow":
            sender.ask("setting", name="fault_underflow", value="4000")
        samples, told = bob.capture(count, skip=_SETTLE, settings=within.get(self.fault or "", []))
        self.air.wait(0.1)
        ended = sender.ask("silence")
        counts = {name: n - before.get(name, 0) for name, n in ended["counts"].items()}
        return samples, told, counts

    def diagnose(self, background: np.ndarray | None = None) -> Diagnosis:
        """All stages; background: as ``background`` gives it, taken now if left out. Where the receiver clips, its gain
        is lowered to see whether the level follows."""
        background = self.background() if background is None else background
        if self.fault != "agc":
            return self._diagnose(background)
        self._bob.ask("setting", name="fault_agc", value="true")
        try:
            return self._diagnose(background)
        finally:
            self._bob.ask("setting", name="fault_agc", value="false")

    def _diagnose(self, background: np.ndarray) -> Diagnosis:
        bob_profile = self.air.setup.bob
        samples, told, counts = self.capture()

        def look(gain_follows: bool | None) -> Diagnosis:
            return diagnose(
                samples,
                background,
                self.truth,
                sample_rate=bob_profile.sample_rate,
                frequency=bob_profile.frequency,
                counts={**told["counts"], **counts},
                gaps=told["gaps"],
                gain_follows=gain_follows,
            )

        first = look(None)
        if first.verdict == "clipping" and (follows := self._follows(samples)) is not None:
            return look(follows)
        return first

    def _follows(self, loud: np.ndarray) -> bool | None:
        """Does the level fall when the receiver's gain does? None where there is no gain to lower."""
        rx = self.air.setup.bob.rx
        assert rx is not None
        limits = self.air.setup.bob.limits.rx_gain
        if rx.gain is None or limits is None or rx.gain - limits[0] < 10:
            return None
        self._bob.ask("gain", side="rx", gain=limits[0])
        quieter, _, _ = self.capture()
        self._bob.ask("gain", side="rx", gain=rx.gain)
        return float(np.abs(quieter.view(np.float32)).max(initial=0)) < 0.9 * float(np.abs(loud.view(np.float32)).max())


def virtual_snr(setup: Setup, fault: str | None) -> float | None:
    """[dB] that a virtual receiver is given for an examination; None for a real one."""
    if not setup.bob.virtual:
        return None
    return _NOISE_SNR if fault == "noise" else _CLEAN_SNR


def practise(
    setup: Setup, faults: Sequence[str | None], progress: Callable[..., None] | None = None, tries: int = 3
) -> Iterator[tuple[str | None, str, Diagnosis]]:
    """Each fault in turn (None: none), with the stage at which it should be found and what the doctor says.

    Faults that need no other profiles share one pair of radios. A busy computer that starves the transmitter or the
    receiver makes a fault of its own, which is no answer: such an examination is repeated.
    """
    plain = [fault for fault in faults if injected(setup, fault) == setup]
    groups = [plain, *([fault] for fault in faults if fault not in plain)]
    done = 0
    with Air(setup) as air:
        for group in filter(None, groups):
            if group is not plain:
                air.reopen(injected(setup, group[0]))
            background = None  # the same for all of a group
            for fault in group:
                if progress:
                    progress(done, len(faults), fault or "no fault")
                expected = "healthy" if fault is None else INJECTIONS[fault]
                for _ in range(tries):
                    examination = Examination(air, fault, virtual_snr(air.setup, fault))
                    background = examination.background() if background is None else background
                    told = examination.diagnose(background)
                    if told.verdict == expected or told.verdict not in ("transmitter", "overflow"):
                        break
                done += 1
                yield fault, expected, told


def sweep(
    examination: Examination, gains: list[float], side: str = "rx", progress: Callable[..., None] | None = None
) -> list[dict[str, Any]]:
    """One row for each gain [dB]: what was measured there; the gain is the one that the device took."""
    rows = []
    station = examination.air.stations[BOB if side == "rx" else "sender"]
    for number, wanted in enumerate(gains):
        gain = station.ask("gain", side=side, gain=wanted)["gain"]
        told = examination.diagnose()
        names = ("snr_db", "evm_db", "level_dbfs", "background_dbfs", "peak", "clipped", "frames_good", "preambles",
                 "carrier_ppm", "clock_ppm")  # fmt: skip
        rows.append(
            {"gain": round(gain, 3), "verdict": told.verdict, **{name: told.measures.get(name) for name in names}}
        )
        if progress:
            progress(number + 1, len(gains), f"{gain:g} dB")
    return rows


def best_row(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The lowest gain within 0.5 dB of the best SNR, among those at which nothing clips; None where no frame came."""
    fit = [row for row in rows if row["snr_db"] is not None and row["frames_good"] and (row["peak"] or 0) < 0.9]
    if not fit:
        return None
    best = max(row["snr_db"] for row in fit)
    return min((row for row in fit if row["snr_db"] >= best - 0.5), key=lambda row: row["gain"])


def user_profile(
    base: str, profile: Profile, side: str, row: dict[str, Any], rows: list[dict[str, Any]], stamp: str
) -> str:
    """TOML of a profile with the gain and the frequency correction that were found.

    The transmitter is taken to be right: what the receiver sees as an offset is the error of the receiver's reference.
    """
    ppm = profile.ppm - (row["carrier_ppm"] or 0.0)
    lines = [
        f"# Made by privsc radio calibrate on {stamp}; lay it under --profile or --rx-profile.",
        f'base = "{base}"',
        f'name = "{profile.name}-calibrated"',
        "",
        "[radio]",
    ]
    if side == "rx":
        lines += [f"ppm = {ppm:.2f}"]
    lines += [
        f"frequency = {profile.frequency:.1f}",
        f"sample_rate = {profile.sample_rate:.1f}",
        "",
        f"[{side}]",
        f"gain = {row['gain']:.2f}",
        "",
        "[calibration]",
        f'date = "{stamp}"',
    ]
    for key in ("snr_db", "evm_db", "carrier_ppm", "clock_ppm"):
        if row[key] is not None:
            lines.append(f"{key} = {row[key]:.3f}")
    for key in ("gain", "snr_db", "evm_db"):
        values = ", ".join("nan" if one[key] is None else f"{one[key]:.2f}" for one in rows)
        lines.append(f"sweep_{key} = [{values}]")
    return "\n".join(lines) + "\n"
