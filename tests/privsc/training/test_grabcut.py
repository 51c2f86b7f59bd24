import numpy as np
import pytest
from PIL import Image
from skimage import data

from privsc.cli.app import main
from privsc.datasets.builtin import _encoded, views
from privsc.datasets.pets import Pet
from privsc.errors import PhotoError
from privsc.images.regions import dilate, intersection_over_union
from privsc.training.grabcut import HELD_OUT, outline, read_objects
from privsc.training.mask_decoder_data import IN, OUT, UNSURE, Things, scene


def test_an_outline_is_sharper_than_the_rough_region_that_it_came_from():
    y, x = np.mgrid[:200, :260]
    truth = ((x - 130) / 60) ** 2 + ((y - 100) / 45) ** 2 < 1
    rng = np.random.default_rng(0)
    image = np.where(truth[..., None], (190, 60, 40), (60, 120, 70)) + rng.normal(0, 12, (200, 260, 3))
    rough = dilate(truth, 12)
    found = outline(np.clip(image, 0, 255).astype(np.uint8), rough)
    assert intersection_over_union(found, truth) > 0.95 > intersection_over_union(rough, truth) + 0.1


def test_outlines_of_a_folder_leave_the_last_photograph_alone(tmp_path, capsys):
    for name, load in (("Coffee", data.coffee), ("Chelsea", data.chelsea)):
        (tmp_path / "photos" / "subjects" / name).mkdir(parents=True)
        for number, seen in enumerate(views(load(), 3, 2)):
            (tmp_path / "photos" / "subjects" / name / f"{number:02d}.jpg").write_bytes(_encoded(seen))
    out = tmp_path / "objects"
    assert main(["train", "outlines", "--photos", str(tmp_path / "photos"), "--out", str(out)]) == 0
    stems = sorted(path.stem for path in out.glob("*.png"))
    assert stems and set(stems) <= {"Chelsea_00", "Chelsea_01", "Coffee_00", "Coffee_01"}
    assert f"{len(stems)} photographs" in " ".join(capsys.readouterr().out.split())
    for pet in read_objects(out):
        assert max(pet.mask.shape) == 384 and 0.01 < pet.mask.mean() < 0.9
        assert not (pet.mask & pet.unsure).any()


def test_held_out_objects_are_kept_apart(tmp_path):
    for name in (HELD_OUT[0], "mug"):
        mask = np.zeros((40, 50), np.uint8)
        mask[10:30, 10:40] = 255
        Image.fromarray(mask).save(tmp_path / f"{name}_00.png")
        Image.fromarray(np.full((40, 50, 3), len(name) * 20, np.uint8)).save(tmp_path / f"{name}_00.jpg")
    seen, held = read_objects(tmp_path), read_objects(tmp_path, held_out=True)
    assert len(seen) == len(held) == 1
    assert abs(int(seen[0].image[0, 0, 0]) - 60) < 4 and abs(int(held[0].image[0, 0, 0]) - 20 * len(HELD_OUT[0])) < 4


def test_an_empty_folder_and_a_mask_of_another_size_are_refused(tmp_path):
    with pytest.raises(PhotoError, match="make them with `privsc train outlines`"):
        read_objects(tmp_path)
    Image.fromarray(np.full((40, 50), 255, np.uint8)).save(tmp_path / "mug_00.png")
    Image.fromarray(np.zeros((40, 51, 3), np.uint8)).save(tmp_path / "mug_00.jpg")
    with pytest.raises(PhotoError, match="they must agree"):
        read_objects(tmp_path)


def test_scenes_of_objects_carry_labels_that_fit_their_pictures():
    def thing(colour, seed):
        image = np.random.default_rng(seed).integers(90, 110, (120, 150, 3)).astype(np.uint8)
        mask = np.zeros((120, 150), bool)
        mask[30:90, 40:110] = True
        image[mask] = colour
        return Pet(image, mask, np.zeros_like(mask), "object", seed)

    things = Things([thing((200, 150, 90), 1)], [thing((30, 60, 220), 2), thing((220, 30, 30), 3)])
    shares = []
    for seed in range(12):
        made = scene(things, np.random.default_rng(seed))
        assert made.pixels.shape == (3, 384, 384)
        for label in made.labels:
            assert label.shape == (384, 384) and set(np.unique(label)) <= {OUT, IN, UNSURE}
            shares.append((label == IN).mean())
    assert 0.005 < np.median(shares) < 0.9
