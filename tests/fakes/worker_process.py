"""A worker process with the fakes in place of the networks: `python -m tests.fakes.worker_process FOLDER ENDPOINT`.

Everything but the networks is the real worker. FOLDER gets K.db, with Vicky and Tom; Vicky is hidden in BOX.
"""

from __future__ import annotations

import sys
from pathlib import Path

from privsc.knowledge.database import Database
from privsc.worker import server
from privsc.worker.operations import Operations
from tests.fakes.networks import BoxGuard, ColourRecovery
from tests.fakes.samples import make_entity

BOX = (20, 16, 60, 56)


def make_k(folder: Path) -> Path:
    path = folder / "K.db"
    if not path.exists():
        with Database.create(path, "encoder", "text") as db:
            db.add(make_entity("Vicky", 1))
            db.add(make_entity("Tom", 2))
    return path


def load(roles: tuple[str, ...], database: Path | None, steps: int | None) -> Operations:
    return Operations(roles, BoxGuard({"Vicky": BOX}), ColourRecovery(), database, steps)  # type: ignore[arg-type]


if __name__ == "__main__":
    folder, endpoint = Path(sys.argv[1]), sys.argv[2]
    server.run(server.ROLES, make_k(folder), endpoint, 1, until_eof=True, load=load)
