"""A sweep without networks in a process of its own, to be killed: python -m tests.fakes.sweep_process FILE OUT PAUSE.

The guard and the recovery are those of `fakes`, K is given; each transmission takes PAUSE seconds longer, so that a
kill meets one at work.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from privsc.cli import sweep
from privsc.experiments import provenance, transmissions
from privsc.experiments.provenance import Identities
from privsc.system.build import Models
from tests.fakes.networks import BoxGuard, ColourRecovery

BOX = (14, 10, 44, 36)


class RankingGuard(BoxGuard):
    """Finds whose colour is in the box, and names the closest colour."""

    def __call__(self, image, entities):
        x0, y0, x1, y1 = BOX
        mask = np.zeros(image.shape[:2], bool)
        mask[y0:y1, x0:x1] = True
        return BoxGuard({self.identify(image, entities, mask).name: BOX})(image, entities)


def use_fakes(pause: float = 0.0) -> list[str]:
    """Put the fakes in the place of the networks; returns a list that grows with every call of the recovery."""
    painted: list[str] = []

    class Slow(ColourRecovery):
        def __call__(self, *arguments, **options):
            time.sleep(pause)
            painted.append(options.get("class_word", "bob"))
            return super().__call__(*arguments, **options)

    transmissions.laboratory.cache_clear()
    transmissions.load_models = lambda choice: Models(RankingGuard({}), Slow())
    provenance.identities = lambda choice: Identities("encoder", "text", "fake", "fake")
    return painted


if __name__ == "__main__":
    use_fakes(float(sys.argv[3]))
    sweep.sweep(Path(sys.argv[1]), Path(sys.argv[2]), workers=0)
