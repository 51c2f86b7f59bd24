"""What the evaluations share: K of the subjects, made, kept and completed."""

import pytest
from skimage import data

from privsc.datasets.builtin import _encoded, views
from privsc.errors import EntityError
from privsc.evaluation.protocol import k_of_subjects
from privsc.knowledge.database import Database
from privsc.networks.image_encoder import load_encoder
from privsc.networks.text_encoder import load_text_encoder
from privsc.system.build import Choice
from privsc.system.enrol import enrol


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name, load in (("Coffee", data.coffee), ("Chelsea", data.chelsea)):
        (folder / "subjects" / name).mkdir(parents=True)
        for number, seen in enumerate(views(load(), 3, 2)):
            (folder / "subjects" / name / f"{number:02d}.jpg").write_bytes(_encoded(seen))
    return folder


def test_k_is_kept_and_completed_and_nobody_is_enrolled_twice(folder, tmp_path, monkeypatch):
    path, choice, asked = tmp_path / "K.db", Choice(), []

    def personalise(self, entity, **options):  # in place of minutes of Algorithm 2
        asked.append(entity.name)
        return b"adapter"

    monkeypatch.setattr(Choice, "personalise", personalise)
    with k_of_subjects(path, folder, ["Coffee"], personalise=False, progress=None, choice=choice) as db:
        assert [(e.name, len(e.samples), e.adapter) for e in db.entities()] == [("Coffee", 2, None)]
    assert asked == []
    for _ in range(2):  # the second time there is nothing left to do
        with k_of_subjects(path, folder, ["Chelsea", "Coffee"], personalise=True, progress=None, choice=choice) as db:
            made = {e.name: (e.index, e.adapter) for e in db.entities()}
        assert made == {"Coffee": (1, b"adapter"), "Chelsea": (2, b"adapter")}
        assert asked == ["Coffee", "Chelsea"]


def test_a_k_that_holds_the_photograph_of_the_test_is_refused(folder, tmp_path):
    path = tmp_path / "K.db"
    photos = [file.read_bytes() for file in sorted((folder / "subjects" / "Coffee").glob("*.jpg"))]
    with Database.create(path, load_encoder().identity, load_text_encoder().identity) as db:
        enrol(db, "Coffee", photos, personalise=False)
    with (
        pytest.raises(EntityError, match=r"Coffee: K holds 02\.jpg, the photograph of the test"),
        k_of_subjects(path, folder, ["Coffee"], personalise=False, progress=None),
    ):
        pass
