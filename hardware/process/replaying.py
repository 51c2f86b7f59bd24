"""A recording through receive chains, as its samples came live; and at which rate its signal was sent.

SampleSource ──blocks──► FrontEnd ──► Chain, Chain … ──► frames, told one by one
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hardware.errors import RecordingError
from hardware.frontend.frontend import Correction, FrontEnd
from hardware.process.chain import Chain
from hardware.process.streaming import BLOCK
from hardware.recordings.samples import SampleSource
from phy.modem.demodulator import BurstFrame

_LOOK = 1 << 24  # [samples] within which the signal's rate is looked for
_MOST_RATES = 8

Progress = Callable[[int, int], None]


class Reception:
    """Chains behind one front end: what a receiving thread or a replay gives its blocks to."""

    def __init__(self, front_end: FrontEnd, chains: Sequence[Chain]) -> None:
        self.front_end, self.chains = front_end, list(chains)

    def push(self, samples: np.ndarray) -> None:
        """[N] complex64 as they came."""
        for part in self.front_end.push(samples):
            for chain in self.chains:
                chain.push(part)

    def finish(self) -> None:
        """The stream has ended."""
        for part in self.front_end.finish():
            for chain in self.chains:
                chain.push(part)
        for chain in self.chains:
            chain.finish()


def make_chains(wanted: Any, correction: Correction, tell: Callable[[str, BurstFrame], None]) -> list[Chain]:
    """Chains of a request: [{name, noise_db, seed}]."""
    return [
        Chain(
            str(one["name"]),
            noise_db=one.get("noise_db"),
            seed=one.get("seed", 0),
            tell=tell,
            swap_iq=correction.swap_iq,
        )
        for one in wanted
    ]


def replay(
    source: SampleSource,
    chains: Sequence[Chain],
    front_end: FrontEnd,
    *,
    most: int | None = None,
    progress: Progress = lambda done, whole: None,
) -> int:
    """All samples of a recording, at most ``most``, through the chains; how many there were."""
    reception, total = Reception(front_end, chains), 0
    whole = source.samples if most is None else min(most, source.samples)
    told = time.monotonic()
    for block in source.blocks(BLOCK, most):
        reception.push(block)
        total += len(block)
        if (now := time.monotonic()) - told > 0.5:
            told = now
            progress(total, whole)
    reception.finish()
    return total


def find_rate(
    source: SampleSource,
    recorded: float,
    candidates: Sequence[float],
    correction: Correction,
    progress: Progress = lambda done, whole: None,
) -> float | None:
    """Which of the rates [samples/s] the signal has: the one at which frames are read; None where none are.

    Args:
        source: Its first ``_LOOK`` samples are looked at, up to the first frame.
        recorded: [samples/s] of the recording.
        candidates: [samples/s]; those that the recording cannot hold are left out.
        correction: As for the replay.
        progress: Told of samples done, and of all.
    """
    looks: dict[float, Reception] = {}
    for rate in candidates[:_MOST_RATES]:
        try:
            front_end = FrontEnd(correction, recorded, rate)
        except RecordingError:
            continue
        looks[rate] = Reception(front_end, [Chain(f"{rate:g}", swap_iq=correction.swap_iq)])
    done, whole = 0, min(_LOOK, source.samples)

    def best() -> float | None:
        found = {rate: one.chains[0].tally.frames for rate, one in looks.items() if one.chains[0].tally.frames}
        return max(found, key=lambda rate: found[rate]) if found else None

    for block in source.blocks(BLOCK, _LOOK):
        for one in looks.values():
            one.push(block)
        done += len(block)
        progress(done, whole)
        if (rate := best()) is not None:
            return rate
    for one in looks.values():
        one.finish()
    return best()
