import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from privsc import files
from privsc.errors import OutputError, PhotoError
from privsc.images import photo_io
from privsc.images.photo_search import find_photos
from tests.fakes.samples import encoded, scene


def test_exif_orientation_is_applied():
    image = scene(40, 60)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees
    upright = photo_io.decode_photo(encoded(image, exif=exif))
    assert np.array_equal(upright, np.rot90(image, -1))


def test_transparent_pixels_lie_on_white():
    rgba = np.dstack([scene(), np.full((48, 64), 255, np.uint8)])
    rgba[:10, :, 3] = 0
    seen = photo_io.decode_photo(encoded(rgba))
    assert (seen[:10] == 255).all()
    assert np.array_equal(seen[10:], rgba[10:, :, :3])


def test_sixteen_bit_grey_keeps_its_range():
    ramp = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    seen = photo_io.decode_photo(encoded(ramp))
    assert seen.shape == (48, 64, 3)
    assert np.abs(seen[:, :, 0] - ramp / 257).max() <= 0.5


def test_palette_and_grey_become_rgb():
    image = Image.fromarray(scene()).quantize(16)
    buffer = io.BytesIO()
    image.save(buffer, "GIF")
    assert np.array_equal(photo_io.decode_photo(buffer.getvalue()), np.asarray(image.convert("RGB")))
    grey = scene()[:, :, 0]
    assert np.array_equal(photo_io.decode_photo(encoded(grey)), np.repeat(grey[:, :, None], 3, axis=2))


def test_longest_side_is_limited_and_never_enlarged():
    data = encoded(scene(60, 120))
    assert photo_io.decode_photo(data, max_side=80).shape == (40, 80, 3)
    assert photo_io.decode_photo(data, max_side=500).shape == (60, 120, 3)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"hello", "not an image"),
        (b"", "not an image"),
        (encoded(scene())[:400], "damaged"),
        (encoded(scene(20, 100)), "100x20 px are too small"),
        (encoded(np.full((48, 64), 2, np.float32), "TIFF"), "no agreed range"),
    ],
)
def test_what_is_no_photograph_is_refused(data, match):
    with pytest.raises(PhotoError, match=match):
        photo_io.decode_photo(data, "photo.png")


def test_too_many_pixels_are_refused_before_decoding(monkeypatch):
    monkeypatch.setattr(photo_io, "MAX_PIXELS", 1000)
    with pytest.raises(PhotoError, match="more than the limit of 1000 pixels"):
        photo_io.decode_photo(encoded(scene()), "big.png")


def test_missing_empty_and_folder(tmp_path):
    with pytest.raises(PhotoError, match="no such file"):
        photo_io.read_photo(tmp_path / "none.png")
    with pytest.raises(PhotoError, match="is a folder"):
        photo_io.read_photo(tmp_path)
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(PhotoError, match="is empty"):
        photo_io.read_photo(tmp_path / "empty.jpg")


def test_find_photos_takes_files_and_folders_in_order(tmp_path):
    folder = tmp_path / "cat"
    folder.mkdir()
    for name in ("02.JPG", "01.png", "notes.txt"):
        (folder / name).write_bytes(b"x")
    single = tmp_path / "other.png"
    single.write_bytes(b"x")
    found = find_photos([single, folder])
    assert found.photos == (single, folder / "01.png", folder / "02.JPG")
    assert found.skipped == ((folder / "notes.txt", "not a photograph"),)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PhotoError, match="no photograph in this folder"):
        find_photos([tmp_path / "empty"])
    with pytest.raises(PhotoError, match="no such file or folder"):
        find_photos([tmp_path / "nothing"])


def test_mask_goes_through_png():
    mask = np.random.default_rng(1).random((30, 40)) > 0.5
    assert np.array_equal(photo_io.decode_mask(photo_io.encode_png(mask)), mask)
    with pytest.raises(PhotoError, match="not a PNG mask"):
        photo_io.decode_mask(b"rubbish")


def test_stripped_photo_has_no_metadata():
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    data = encoded(scene(48, 64), "JPEG", exif=exif)
    assert b"Secret Camera" in data
    stripped = photo_io.strip_photo(data)
    assert b"Secret Camera" not in stripped
    assert photo_io.decode_photo(stripped).shape == (48, 64, 3)


def test_atomic_path_leaves_the_old_file_when_the_block_fails(tmp_path):
    target = tmp_path / "K.db"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_bytes(b"half of the n")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["K.db"]
    assert target.read_bytes() == b"old"
    files.write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    with pytest.raises(OutputError, match="cannot be written"):
        files.write_atomic(tmp_path / "none" / "K.db", b"new")


def test_result_folder_writes_all_or_nothing(tmp_path):
    out = tmp_path / "a" / "b"
    with files.ResultFolder(out) as results:
        results.add("one.txt", b"1")
        results.add("two.txt", b"2")
        assert list(out.iterdir()) == []
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {"one.txt": b"1", "two.txt": b"2"}
    with pytest.raises(RuntimeError), files.ResultFolder(out) as results:
        results.add("one.txt", b"changed")
        raise RuntimeError
    assert (out / "one.txt").read_bytes() == b"1"


def test_result_folder_removes_temporary_files_when_a_write_fails(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match="cannot be written"), files.ResultFolder(tmp_path) as results:
        results.add("taken", b"a folder stands here")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_output_folder_refuses_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is not a folder"):
        files.output_folder(tmp_path / "file")
    with pytest.raises(OutputError, match="is not a folder"):
        files.output_folder(tmp_path / "file" / "below")


def test_json_refuses_what_json_cannot_say():
    assert json.loads(files.to_json({"a": None, "b": "ä"})) == {"a": None, "b": "ä"}
    with pytest.raises(ValueError, match="JSON"):
        files.to_json({"psnr": math.inf})
