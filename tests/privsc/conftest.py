"""K without networks and a picture of Vicky, for tests of the chain around guard and recovery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from privsc.knowledge.database import Database
from tests.fakes.networks import BOX, COLOURS
from tests.fakes.samples import make_entity, scene


@pytest.fixture
def k(tmp_path: Path) -> Iterator[Database]:
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        db.add(make_entity("Vicky", 1))
        db.add(make_entity("Tom", 2))
        yield db


@pytest.fixture
def image() -> np.ndarray:
    picture = scene(80, 128)
    x0, y0, x1, y1 = BOX
    picture[y0:y1, x0:x1] = COLOURS["Vicky"]
    return picture
