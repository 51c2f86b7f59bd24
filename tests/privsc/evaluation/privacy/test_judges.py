"""The whole evaluation on tiny pictures of coloured squares, with a guard and a recovery without networks."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from privsc.errors import EntityError
from privsc.evaluation.privacy import descriptors, received_pictures
from privsc.evaluation.privacy import judges as evaluate_eavesdroppers
from privsc.evaluation.privacy.attacks import ATTACKS
from privsc.evaluation.privacy.descriptors import Kind, augmented, kinds, vectors_of
from privsc.evaluation.privacy.judges import adaptive, hint_numbers, judge_all, likeness, side_channels
from privsc.evaluation.privacy.received_pictures import Item, Settings, receive_all
from privsc.evaluation.privacy.report import picture_page, rank1_figure, roc_csv, roc_figure, table_csv
from privsc.hints.pose_hint import GRID, PoseHint
from privsc.images.photo_io import strip_photo
from privsc.knowledge.database import Database
from privsc.knowledge.entity import Sample
from privsc.system.build import Models
from tests.fakes.networks import COLOURS, BoxGuard, ColourRecovery
from tests.fakes.samples import make_entity

BOXES = {"Vicky": (20, 16, 50, 44), "Tom": (20, 16, 50, 44)}


class OneGuard(BoxGuard):
    """Hides the one whose colour is in the box, and ranks by colour."""

    identity = "fake"

    def __call__(self, image, entities):
        name = self.rank(image, entities, None)[0].name
        return super().__call__(image, [entity for entity in entities if entity.name == name])

    def rank(self, image, entities, mask=None):
        x0, y0, x1, y1 = BOXES["Vicky"]
        mean = image[mask].mean(axis=0) if mask is not None else image[y0:y1, x0:x1].mean(axis=(0, 1))
        from privsc.knowledge.detection import Identity

        found = [Identity(e.index, e.name, -float(np.abs(mean - COLOURS[e.name]).max()), -60.0) for e in entities]
        return sorted(found, key=lambda identity: -identity.score)


class HintingGuard(OneGuard):
    """Gives hints that say, in the light, who is hidden, and that count the samples that they could refer to."""

    def hint(self, image, region, entity, removed=None):
        gain = np.full(3, 1.5 if entity.name == "Vicky" else 0.7, np.float32)
        matrix, flow = np.float32([[1, 0, 0], [0, 1, 0]]), np.zeros((2, GRID, GRID), np.float32)
        return PoseHint(len(entity.samples), False, (20, 16, 50, 44), matrix, flow, gain, np.zeros(3, np.float32))


class ColourNetwork:
    """Stands for the backbone: a picture's mean colour in a 4 x 4 grid."""

    identity = "fake"

    def vectors(self, pictures):
        cells = [np.asarray(Image.fromarray(p).resize((4, 4), Image.Resampling.BOX)).ravel() for p in pictures]
        return np.array(cells, np.float32) / 255


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two subjects, four photographs each: a square of their own colour; the background of each picture is its own."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        place = tmp_path / "photos" / "subjects" / name
        place.mkdir(parents=True)
        for number in range(4):
            image = np.empty((64, 72, 3), np.uint8)
            image[:] = rng.integers(60, 220, 3)
            x0, y0, x1, y1 = BOXES[name]
            image[y0:y1, x0:x1] = colour
            Image.fromarray(image).save(place / f"{number:02d}.jpg", quality=98, subsampling=0)
    return tmp_path / "photos"


@pytest.fixture
def k(tmp_path: Path, folder: Path):
    with Database.create(tmp_path / "K.db", "fake", "fake") as db:
        for name in COLOURS:
            made = make_entity(name)
            photos = sorted((folder / "subjects" / name).glob("*.jpg"))[:-1]
            samples = tuple(Sample(strip_photo(p.read_bytes()), made.samples[0].mask_png) for p in photos)
            db.add(make_entity(name, samples=samples))
        yield db


@pytest.fixture
def models() -> Models:
    return Models(OneGuard(BOXES), ColourRecovery())


SETTINGS = Settings(snr_db=20.0, max_side=128)


def test_the_whole_evaluation(tmp_path, folder, k, models, monkeypatch) -> None:
    monkeypatch.setattr(evaluate_eavesdroppers, "load_lite2", ColourNetwork)
    items = receive_all(folder, ["Vicky", "Tom"], k, models, SETTINGS, tmp_path)
    assert [(i.subject, i.number, i.test) for i in items[:4]] == [("Vicky", n, n == 3) for n in range(4)]
    entities = [k.get(name) for name in ("Vicky", "Tom")]
    judged = list(judge_all(items, entities, models.guard, tmp_path / "vectors"))
    found = {(row.kind, row.judge): row.figures for row in judged}
    # the colours are there in the original and in Bob's picture, and in what an Eve with K's photographs paints
    for kind in ("original", "Bob", "Eve: 1 photo of K"):
        assert found[kind, "recogniser"].rank1.value == 1.0, kind
    assert found["original", "transfer"].rank1.value == 1.0
    assert found["Bob", "adaptive"].rank1.value == 1.0
    # the index is the same in every picture of a subject: whoever has pairs reads the name off it
    assert found["index on the air", "adaptive"].rank1.value == 1.0
    # raw samples are as many whoever is hidden
    assert found["payload size, pixels", "adaptive"].auc == 0.5
    judges = {judge for kind, judge in found if kind == "Eve: generic, index"}
    assert judges == {"recogniser", "transfer"}  # nobody trains on it
    close = {row.kind: row for row in likeness(items)}
    assert close["Bob"].psnr.value > close["Eve: generic, class word"].psnr.value + 5
    rows = list(csv.DictReader(table_csv(judged).decode().splitlines()))
    assert len(rows) == len(judged)
    assert {row["chance"] for row in rows} == {"0.5"}
    assert len(roc_csv(judged).splitlines()) > len(judged)
    assert picture_page(items).startswith(b"\x89PNG")
    assert rank1_figure(judged, 0.5).axes
    assert roc_figure(judged).axes


def test_who_a_hint_tells_of_is_found_and_it_never_refers_to_the_photograph_itself(tmp_path, folder, k) -> None:
    items = receive_all(folder, ["Vicky", "Tom"], k, Models(HintingGuard(BOXES), ColourRecovery()), SETTINGS, tmp_path)
    hints = [PoseHint.from_bytes(bytes.fromhex(item.info["hints"][0])) for item in items]
    assert [hint.sample for hint in hints[:4]] == [2, 2, 2, 3]  # a training photograph is not in K for its own hint
    assert hint_numbers(items[0]).shape == (49,)
    tests = [item for item in items if item.test]
    side = side_channels([item for item in items if not item.test], tests)["pose hint on the air"]
    truth = np.array([0, 1])
    judged = adaptive("hint", side, np.repeat(truth, 3), np.tile(range(3), 2), truth, ["cat", "cat"])
    assert judged.figures.rank1.value == 1.0


def test_an_interrupted_run_goes_on(tmp_path, folder, k, models, monkeypatch) -> None:
    real, done = received_pictures._one, []

    def stops_after_three(path, target, *more):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(target.name)
        real(path, target, *more)

    monkeypatch.setattr(received_pictures, "_one", stops_after_three)
    with pytest.raises(KeyboardInterrupt):
        receive_all(folder, ["Vicky", "Tom"], k, models, SETTINGS, tmp_path)
    again: list[str] = []
    monkeypatch.setattr(
        received_pictures, "_one", lambda path, target, *more: (again.append(target.name), real(path, target, *more))
    )
    items = receive_all(folder, ["Vicky", "Tom"], k, models, SETTINGS, tmp_path)
    assert len(items) == 8
    assert len(again) == 5
    assert not set(again) & set(done)
    fresh = receive_all(folder, ["Vicky", "Tom"], k, models, SETTINGS, tmp_path / "other")
    for one, other in zip(items, fresh, strict=True):
        assert one.info == other.info
        assert np.array_equal(one.picture("bob"), other.picture("bob"))


def test_bob_does_not_hold_the_photograph_he_is_sent(tmp_path, folder, k, models, monkeypatch) -> None:
    """Of a training photograph he paints from the others, or the attacker would train on copies of the originals."""
    held: dict[str, int] = {}

    class Spy(ColourRecovery):
        def __call__(self, received, region, entities, **options):
            if entities is not None:
                held[entities[0].name] = len(entities[0].samples)
            return super().__call__(received, region, entities, **options)

    monkeypatch.setattr(received_pictures, "ATTACKS", {})
    receive_all(folder, ["Vicky"], k, Models(models.guard, Spy()), SETTINGS, tmp_path / "a")
    assert held == {"Vicky": 3}  # the last photograph, the test, is painted from all three
    (folder / "subjects" / "Vicky" / "03.jpg").unlink()
    held.clear()
    with pytest.raises(EntityError, match=r"K holds 02\.jpg, the photograph of the test"):
        receive_all(folder, ["Vicky"], k, Models(models.guard, Spy()), SETTINGS, tmp_path / "b")
    assert held == {"Vicky": 2}


def _item(tmp_path: Path, mask: np.ndarray) -> Item:
    place = tmp_path / "item"
    place.mkdir()
    picture = np.full((*mask.shape, 3), 100, np.uint8)
    Image.fromarray(picture).save(place / "eve-looks-at.png")
    for name in ("mask", "region"):
        Image.fromarray(mask.astype(np.uint8) * 255).save(place / f"{name}.png")
    return Item("x", 0, True, place, json.loads("{}"))


def test_a_box_and_the_surroundings_do_not_show_the_outline(tmp_path) -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:50, 20] = mask[30, 10:40] = True  # a cross
    item = _item(tmp_path, mask)
    looks = {kind.name: kind for kind in kinds()}
    image, box = looks["Â, mask box"].look(item)
    assert box[10:50, 10:40].all() and box.sum() == 1200
    assert (image[box] == 0).all()
    seen = descriptors.surroundings(*looks["surroundings alone"].look(item))
    assert (seen == 100).all()  # nothing black is left


def test_kinds_cover_the_attacks_and_protections() -> None:
    names = [kind.name for kind in kinds()]
    assert set(ATTACKS) <= set(names)
    assert len(names) == len(set(names))
    assert {"original", "Bob", "blurred strongly", "pixelated, 6 blocks", "outline alone, box"} <= set(names)


def test_augmented_copies_keep_picture_and_mask_together() -> None:
    image = np.zeros((50, 60, 3), np.uint8)
    mask = np.zeros((50, 60), bool)
    mask[10:40, 5:30] = True
    image[mask] = 200
    for picture, region in augmented(image, mask, np.random.default_rng(0)):
        assert np.array_equal(picture[..., 0] == 200, region)


def test_a_damaged_cache_is_named(tmp_path, folder, k, models) -> None:
    items = receive_all(folder, ["Vicky", "Tom"], k, models, SETTINGS, tmp_path)
    kind = Kind("original", lambda item: (item.picture("original"), item.mask()))
    vectors_of(kind, items, ColourNetwork(), tmp_path / "v")
    (path,) = (tmp_path / "v").iterdir()
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(Exception, match=r"the cache is damaged; remove this file"):
        vectors_of(kind, items, ColourNetwork(), tmp_path / "v")
