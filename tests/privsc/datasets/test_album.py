"""The shipped photographs: small, credited, without metadata, and the scene that is composed from one of them."""

from importlib.resources import files

import numpy as np
from PIL import Image

from privsc.datasets import album
from privsc.images.photo_io import decode_photo


def test_the_photographs_are_small_and_credited():
    folder = files("privsc.datasets").joinpath("photographs", "dog6")
    names = sorted(item.name for item in folder.iterdir())
    assert names == [*album.ENROLLED, album.SENT, "CREDITS.md"]
    assert sum(len(album.read(name)) for name in names) < 1_000_000
    credits = folder.joinpath("CREDITS.md").read_text(encoding="utf-8")
    for name in (*album.ENROLLED, album.SENT):
        assert f"| `{name}` | <https://unsplash.com/photos/" in credits
    assert "CC BY 4.0" in credits and "@alvannee" in credits and "Changes:" in credits


def test_the_photographs_carry_no_metadata():
    for name in (*album.ENROLLED, album.SENT):
        with Image.open(str(files("privsc.datasets").joinpath("photographs", "dog6", name))) as photo:
            assert photo.size == (640, 640) and not photo.getexif()


def test_the_scene_is_the_photograph_with_a_picture_of_another_animal_beside_it():
    scene = album.scene()
    assert scene.shape == (album.SIDE, album.WIDTH, 3) and scene.dtype == np.uint8
    x0, y0, x1, y1 = album.frame_box()
    assert album.SIDE < x0 < x1 <= album.WIDTH and 0 <= y0 < y1 <= album.SIDE
    alone = Image.fromarray(decode_photo(album.read(album.SENT))).resize((album.SIDE, album.SIDE), Image.LANCZOS)
    left = np.asarray(alone)[:, : album.SIDE - 20]  # the shadow of the frame is elsewhere
    assert np.array_equal(scene[:, : album.SIDE - 20], left)
    inside = scene[album.PICTURE[1] : album.PICTURE[3], album.PICTURE[0] : album.PICTURE[2]]
    assert inside.std() > 30  # a cat, not a wall


def test_the_backdrop_goes_on_without_a_seam():
    scene = album.scene().astype(float)
    below = scene[album.frame_box()[3] + 20 :]  # under the frame and its shadow
    step = np.abs(below[:, album.SIDE] - below[:, album.SIDE - 1]).mean()
    assert step < 6
