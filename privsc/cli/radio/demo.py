"""The demo's K and photograph for a flowgraph: `python -m privsc.cli.radio.demo FOLDER` makes K.db and photo.png."""

from __future__ import annotations

import sys
from pathlib import Path

from privsc.cli.options import stages
from privsc.files import output_folder, write_atomic
from privsc.images.photo_io import encode_png
from privsc.system.demo import biscuit, database
from privsc.threads import set_waiting_policy


def make(folder: Path, seed: int = 0) -> None:
    """Enrol the demo's entities (nothing is done where an earlier run has) and write the scene that is sent."""
    output_folder(folder)
    story = biscuit(seed)
    with stages() as stage:
        database(folder, story, seed, stage).close()
    write_atomic(folder / "photo.png", encode_png(story.image))


if __name__ == "__main__":
    set_waiting_policy()
    make(Path(sys.argv[1]))
