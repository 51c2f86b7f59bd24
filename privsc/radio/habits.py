"""Habits of drivers that break links, made in the virtual radio: does a short picture arrive all the same?

a few frames, sent once ──► driver with a habit ──► Bob's chain ──► frames that came, or the one line that ended it
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hardware.diagnosis.train import known_train
from hardware.errors import HardwareError, ProfileError
from hardware.frontend.frontend import Correction
from privsc.radio.air import Air
from privsc.radio.setup import BOB, Setup

FRAMES = 8  # a transmission of less than 65,536 samples: one write
_SNR = 20.0  # [dB]


@dataclass(frozen=True)
class Habit:
    """sender, bob: device arguments that make it. setting: (name, value) written to Bob's driver while frames are on
    the air. ends: words of the line that it must end with; empty where every frame must arrive."""

    about: str
    sender: dict[str, str] = field(default_factory=dict)
    bob: dict[str, str] = field(default_factory=dict)
    setting: tuple[str, str] | None = None
    ends: str = ""


HABITS = {
    "whole-buffers": Habit(
        "sends only full buffers of 131,072 samples, ignores END_BURST", sender={"tx_whole": "131072"}
    ),
    "timeouts": Habit(
        "ten time-outs after activation, of both directions", {"tx_timeouts": "10"}, {"rx_timeouts": "10"}
    ),
    "small-buffer": Habit(
        "a transmit buffer fixed at 4096 samples; a write marked as the end, taken in part, ends the burst",
        sender={"tx_samples": "4096"},
    ),
    "stall": Habit(
        "an overflow after which nothing comes any more",
        bob={"rx_stall": "1"},
        setting=("fault_overflow", "1500"),
        ends="after an overflow; the driver hangs",
    ),
}


@dataclass(frozen=True)
class Exchanged:
    """frames: that arrived exactly, of ``sent``; line: with which it ended, "" where it ended well; seconds: taken."""

    sent: int
    frames: int
    line: str
    seconds: float

    def fine(self, habit: Habit) -> bool:
        """As it must be: everything arrived, or it ended with the line that it must end with."""
        return habit.ends in self.line if habit.ends else self.frames == self.sent and not self.line


def with_habit(setup: Setup, habit: Habit) -> Setup:
    """Virtual radios that have it."""
    sender, bob = setup.sender, setup.bob
    if sender is None or not (sender.virtual and bob.virtual):
        raise ProfileError(f"--inject: faults are only made in virtual radios; got {bob.name}")
    one = sender is bob
    both = {**habit.sender, **habit.bob} if one else habit.sender
    sender = replace(sender, device={**sender.device, **both})
    bob = sender if one else replace(bob, device={**bob.device, **habit.bob})
    return replace(setup, sender=sender, bob=bob)


def exchange(setup: Setup, habit: Habit | None = None, correction: Correction | None = None) -> Exchanged:
    """A few frames, once, as a short picture is sent."""
    chosen = setup if habit is None else with_habit(setup, habit)
    chosen = chosen if correction is None else replace(chosen, correction=correction)
    train, begun = known_train(FRAMES), time.monotonic()
    frames, line = 0, ""
    try:
        with Air(chosen) as air:
            iq, factor = air.scaled(train.iq)
            air.noise_for(_SNR, factor, BOB)
            air.listen(expect=len(iq))
            if habit is not None and habit.setting is not None:
                air.setting(BOB, *habit.setting)
            air.send(iq)
            frames = air.finish()[BOB]["chains"][BOB]["crc_ok"]
    except HardwareError as error:
        line = str(error)
    return Exchanged(FRAMES, frames, line, time.monotonic() - begun)


def habits(
    setup: Setup, names: Sequence[str], progress: Callable[..., Any] | None = None, tries: int = 3
) -> Iterator[tuple[str, Habit, Exchanged]]:
    """Each habit and what became of the frames; again where a busy computer lost some."""
    for number, name in enumerate(names):
        if progress:
            progress(number, len(names), name)
        habit = HABITS[name]
        for _ in range(tries):
            told = exchange(setup, habit)
            if told.fine(habit) or told.line:
                break
        yield name, habit, told
