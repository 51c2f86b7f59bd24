"""The demo's K and photograph as files for a flowgraph: `python -m privsc.radio_demo FOLDER` makes K.db, photo.png."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from skimage import data

from privsc.cli_common import stages
from privsc.demo import database, view
from privsc.files import encode_png, output_folder, write_atomic
from privsc.threads import set_waiting_policy


def make(folder: Path, seed: int = 0) -> None:
    """Enrol the demo's entities (nothing is done where an earlier run has) and write the view that is sent."""
    output_folder(folder)
    with stages() as stage:
        database(folder, seed, stage).close()
    write_atomic(folder / "photo.png", encode_png(view(data.chelsea(), np.random.default_rng((seed, 1)))))


if __name__ == "__main__":
    set_waiting_policy()
    make(Path(sys.argv[1]))
