"""A person is enrolled, hidden and painted back as a cat is: the astronaut Eileen Collins, of scikit-image."""

import numpy as np
import pytest
from skimage import data

from privsc.datasets.builtin import _encoded, views
from privsc.knowledge.database import Database
from privsc.networks.image_encoder import load_encoder
from privsc.networks.text_encoder import load_text_encoder
from privsc.system.build import Models
from privsc.system.config import RunConfig
from privsc.system.enrol import enrol
from privsc.system.trial import run_trial


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    path, seen = tmp_path_factory.mktemp("persons") / "K.db", views(data.astronaut(), 4, 5)
    with Database.create(path, load_encoder().identity, load_text_encoder().identity) as db:
        enrol(db, "Eileen", [_encoded(v) for v in seen[:3]], class_word="person", personalise=False)
        enrol(db, "Chelsea", [_encoded(v) for v in views(data.chelsea(), 3, 6)], class_word="cat", personalise=False)
        yield run_trial(data.astronaut(), db, Models.load(), RunConfig.build(snr_db=10, seed=1))


def test_she_is_found_and_her_face_is_covered(trial):
    guarded = trial.guarded
    assert [d.name for d in guarded.detections] == ["Eileen"]
    y, x = np.mgrid[:512, :512]
    face = ((x - 222) / 40) ** 2 + ((y - 118) / 62) ** 2 < 1
    assert guarded.mask[face].mean() > 0.995
    assert not guarded.mask[:150, :60].any()  # the flag stays
    assert not guarded.masked[guarded.mask].any()


def test_bob_sees_her_and_eve_sees_nobody(trial):
    bob, eve = trial.figures["bob"], trial.figures["eve"]
    assert bob["identified"] == "Eileen" and eve["identified"] is None
    assert bob["psnr_private"] > eve["psnr_private"] + 3
    outside = ~trial.guarded.mask
    assert np.abs(trial.bob.restored[outside].astype(int) - trial.image[outside]).mean() < 4
