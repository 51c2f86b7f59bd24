"""How fast enrolment and recovery are on this processor, in the number format chosen and in both forced."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from skimage import data

from privsc.compute import FORMATS, compute_dtype, forced
from privsc.datasets.builtin import _encoded, views
from privsc.knowledge.entity import Entity
from privsc.knowledge.samples import sample_pairs
from privsc.recovery.personalise import Personalisation, personalise
from privsc.recovery.recovery import Recovery
from privsc.system.enrol import make_entity

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Speed:
    """Seconds of one number format.

    Attributes:
        dtype: "float32" or "bfloat16".
        chosen: whether it is what this process uses.
        threads: of torch.
        subject: finding and describing the entity in four photographs.
        step: one step of Algorithm 2, mean.
        enrolment: subject and all steps of Algorithm 2, from `step`.
        recovery: one receiver, default settings, picture of 300 x 451 px. Recovery computes in float32 always.
    """

    dtype: str
    chosen: bool
    threads: int
    subject: float
    step: float
    enrolment: float
    recovery: float


def _seconds_per_step(entity: Entity, steps: int) -> float:
    marks: list[float] = []
    personalise(entity, config=Personalisation(steps=steps + 1), progress=lambda *_: marks.append(time.perf_counter()))
    return float(np.mean(np.diff(marks)))  # prior preservation comes every second step: a mean, not a median


def evaluate_compute(steps: int = 4, progress: Progress | None = None) -> list[Speed]:
    """Enrolment and recovery with float32 and with bfloat16 forced, on photographs that scikit-image carries.

    Args:
        steps: of Algorithm 2 that are timed; one more goes before them.
    """
    report = progress or (lambda done, total, what: None)
    chosen, recover, found = compute_dtype(), Recovery(), []
    photos = [_encoded(seen) for seen in views(data.chelsea(), 4, seed=0)]
    make_entity("Chelsea", photos, class_word="cat")  # loads the networks
    for number, (name, dtype) in enumerate(FORMATS.items()):
        report(number, len(FORMATS), name)
        with forced(dtype):
            start = time.perf_counter()
            entity = make_entity("Chelsea", photos, class_word="cat")
            subject = time.perf_counter() - start
            step = _seconds_per_step(entity, steps)
            image, mask = sample_pairs(entity)[0]
            start = time.perf_counter()
            recover(np.where(mask[..., None], np.uint8(0), image), mask, [entity])
            recovery = time.perf_counter() - start
        total = subject + Personalisation().steps * step
        found.append(Speed(name, dtype is chosen, torch.get_num_threads(), subject, step, total, recovery))
    report(len(FORMATS), len(FORMATS), "done")
    return found
