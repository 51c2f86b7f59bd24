import io
import tracemalloc
import warnings

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from privsc.cli.app import main
from privsc.errors import Notice, PhotoError
from privsc.images import photo_formats
from privsc.images.photo_io import decode_photo, strip_photo
from privsc.images.photo_pixels import depth_of, scaled
from privsc.images.photo_search import find_photos, read_photos
from tests.privsc.images.photo_bytes import saved
from tests.privsc.images.photographs import cases, chart, off_by

CASES = {case.name: case for case in cases()}
SCALED = ("Display P3 JPEG", "CMYK TIFF with a profile", "LAB TIFF", "JPEG, EXIF 6", "RGBA PNG")


@pytest.mark.parametrize("name", CASES)
def test_right_pixels_or_one_line(name):
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        if case.pixels is None:
            with pytest.raises(PhotoError) as refused:
                decode_photo(case.data, "my photo.jpg")
            assert case.words in str(refused.value)
            assert "\n" not in str(refused.value)
            assert str(refused.value).startswith("my photo.jpg: ")
            return
        got = decode_photo(case.data, "my photo.jpg")
    assert got.dtype == np.uint8
    assert got.shape == case.pixels.shape
    assert off_by(got, case.pixels) <= 2


def test_what_k_keeps_has_the_same_pixels():
    case = CASES["Display P3 HEIC"]
    assert off_by(decode_photo(strip_photo(case.data)), case.pixels) <= 3  # once more through JPEG


@pytest.mark.parametrize(
    "name", ["Display P3 JPEG", "CMYK JPEG with a profile", "LAB TIFF", "JPEG, EXIF 6", "RGBA PNG"]
)
def test_scaled_down_it_has_the_same_colours(name):
    case = CASES[name]
    got = decode_photo(case.data, max_side=56)
    height, width = case.pixels.shape[:2]
    assert got.shape[:2] == (round(56 * height / max(height, width)), round(56 * width / max(height, width)))
    rows, columns = (np.arange(8, side - 8, 4) for side in got.shape[:2])
    want = case.pixels[(rows * height // got.shape[0])][:, columns * width // got.shape[1]]
    differences = np.abs(got[rows][:, columns].astype(int) - want)
    assert np.median(differences) <= 2


def test_ghostscript_is_never_reached(monkeypatch):
    def started(*arguments, **more):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    monkeypatch.setattr(photo_formats, "_ALIEN", ())  # the list of decoders alone must do
    for name in ("EPS named .jpg", "EPS with a preview", "PDF", "JPEG 2000", "Photoshop", "ICO", "TGA"):
        with pytest.raises(PhotoError, match="not an image"):
            decode_photo(CASES[name].data)


@pytest.mark.parametrize("name", [name for name in CASES if "bomb" in name or name.startswith(("60000", "TIFF whose"))])
def test_bombs_take_no_memory(name):
    tracemalloc.start()
    try:
        decode_photo(CASES[name].data)
    except PhotoError:
        assert CASES[name].words
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024  # [bytes]; a Pillow that trusts their tables takes 100 MB


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_cut_or_changed_file_is_one_line_or_a_picture():
    rng = np.random.default_rng(0)
    for name in ("PNG", "JPEG, EXIF 6", "TIFF, LZW", "Display P3 HEIC", "AVIF, EXIF 6", "RGB TIFF of a 12-bit camera"):
        data = CASES[name].data
        for number in range(30):
            hurt = bytearray(data if number % 2 else data[: rng.integers(len(data))])
            for at in rng.integers(0, max(1, min(len(hurt), 600)), 3):
                hurt[at : at + 1] = bytes([rng.integers(256)])
            try:
                assert decode_photo(bytes(hurt)).shape[2] == 3
            except PhotoError as error:
                assert "\n" not in str(error)


def test_many_tables_in_an_avif_take_no_time():
    with pytest.raises(PhotoError, match="more than 16 blocks of EXIF"):
        decode_photo(CASES["AVIF"].data + b"II*\0\x08\0\0\0\0\0" * 1_000_000)


@pytest.mark.parametrize(
    ("most", "bits"),
    [(0, 8), (255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16_384, 16), (65_535, 16)],
)
def test_depth_is_the_smallest_that_holds_the_maximum(most, bits):
    samples = np.array([[0, most]], np.int32)
    assert depth_of(samples) == bits
    assert scaled(np.array([[0, (1 << bits) - 1]], np.uint16)).tolist() == [[0, 255]]
    assert depth_of(samples, 16) == 16


def test_orientation_is_read_from_either_byte_order_and_from_rubbish():
    for order, head in (("little", b"II*\0"), ("big", b"MM\0*")):
        for turn, expected in ((6, 6), (0, 1), (9, 1)):
            block = head + (8).to_bytes(4, order) + (1).to_bytes(2, order) + (0x0112).to_bytes(2, order)
            block += (3).to_bytes(2, order) + (1).to_bytes(4, order) + turn.to_bytes(2, order) + bytes(6)
            assert photo_formats.orientation_of(b"Exif\0\0" + block) == expected
            assert photo_formats.orientation_of(block[:15]) == 1
    assert photo_formats.orientation_of(b"rubbish") == 1


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    for name, case in (
        ("1.HEIC", "HEIC"),
        ("2.jfif", "JPEG .jfif"),
        ("3.JPE", "progressive JPEG .jpe"),
        ("4.mpo", "MPO"),
        ("5.avif", "AVIF"),
        ("6.Tiff", "TIFF, LZW"),
    ):
        (place / name).write_bytes(CASES[case].data)
    for name in ("._1.HEIC", ".DS_Store", "Thumbs.db", ".hidden.jpg", "notes.txt"):
        (place / name).write_bytes(b"\0\5\x16\7")
    (place / "more").mkdir()
    return place


def test_every_file_that_is_skipped_is_told_with_its_reason(folder):
    (folder / "7.jpg").write_bytes(CASES["JPEG cut short"].data)
    (folder / "8.png").write_bytes(b"no picture")
    data, found = read_photos([folder])
    assert [path.name for path in found.photos] == ["1.HEIC", "2.jfif", "3.JPE", "4.mpo", "5.avif", "6.Tiff"]
    assert len(data) == 6
    reasons = {path.name: reason for path, reason in found.skipped}
    assert reasons.pop("7.jpg").startswith("the image is damaged")
    assert reasons == {
        "._1.HEIC": "macOS companion",
        ".DS_Store": "file of the system",
        "Thumbs.db": "file of the system",
        ".hidden.jpg": "hidden",
        "notes.txt": "not a photograph",
        "more": "a folder",
        "8.png": "not an image that can be read",
    }
    (line,) = found.notices()
    assert line.startswith(f"8 files of {folder}/ skipped: ")
    assert "notes.txt (not a photograph)" in line


def test_companions_are_skipped_even_by_name_and_damaged_files_are_not(folder):
    found = find_photos([folder / "._1.HEIC", folder / "2.jfif"])
    assert [path.name for path in found.photos] == ["2.jfif"]
    assert found.notices() == [f"1 file of {folder}/ skipped: ._1.HEIC (macOS companion)"]
    (folder / "7.jpg").write_bytes(CASES["JPEG cut short"].data)
    assert len(read_photos([folder / "7.jpg"])[0]) == 1  # enrolment itself says what is wrong with it
    with pytest.raises(PhotoError, match=r"no photograph was given but \._1\.HEIC \(macOS companion\)"):
        find_photos([folder / "._1.HEIC"])


def test_a_folder_with_nothing_left_is_an_error(tmp_path):
    (tmp_path / "7.jpg").write_bytes(CASES["JPEG cut short"].data)
    with pytest.raises(PhotoError, match=r"no photograph of this folder can be read, 7\.jpg: the image is damaged"):
        read_photos([tmp_path])
    (tmp_path / "7.jpg").rename(tmp_path / "._7.jpg")
    with pytest.raises(PhotoError, match=r"no photograph in this folder .*skipped: 1 macOS companion"):
        read_photos([tmp_path])


def test_the_command_tells_of_what_it_skips(folder, tmp_path, capsys):
    assert main(["db", "enrol", str(tmp_path / "missing.db"), "Tom", str(folder)]) == 2
    first, last = capsys.readouterr().err.strip().splitlines()
    assert first.startswith(f"privsc: 6 files of {folder}/ skipped: ")
    assert "notes.txt (not a photograph)" in first
    assert "no such database" in last


def test_names_of_files_cannot_break_the_line(tmp_path):
    for name in ("a.jpg", "b\n\x1b[2Jprivsc: done.txt", "[red]猫 'x' \"y\" $z$.txt"):
        (tmp_path / name).write_bytes(CASES["JPEG .jfif"].data)
    (line,) = find_photos([tmp_path]).notices()
    assert line.isprintable()
    assert r"b\n\x1b[2Jprivsc: done.txt" in line
    assert "[red]猫 'x' \"y\" $z$.txt" in line


def test_many_skipped_files_are_counted(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    for number in range(100):
        (tmp_path / f"{number:03d}.txt").touch()
    (line,) = find_photos([tmp_path]).notices()
    assert line.startswith("100 files of ")
    assert line.endswith("007.txt (not a photograph), 92 more (not a photograph)")


def test_a_profile_like_srgb_changes_nothing():
    from PIL import ImageCms

    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(decode_photo(saved(chart(), "PNG", icc_profile=own)), chart())


def test_a_missing_heic_reader_is_said(monkeypatch):
    monkeypatch.setattr(photo_formats, "_heif", lambda: False)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    with pytest.raises(PhotoError, match="pillow-heif, which is not installed"):
        decode_photo(CASES["HEIC"].data)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("JPEG with an EXIF bomb", (b"Exif",)),
        ("JPEG, EXIF 6", (b"Exif",)),
        ("text bomb", (b"zTXt",)),
        ("profile bomb", (b"iCCP",)),
        ("animated PNG", (b"acTL", b"fdAT")),
    ],
)
def test_what_pixels_do_not_need_reaches_no_decoder(name, blocks):
    slim, _ = photo_formats.slimmed(CASES[name].data)
    assert all(block in CASES[name].data and block not in slim for block in blocks)


def test_pictures_that_follow_the_first_are_not_opened():
    data = CASES["MPO"].data
    slim, _ = photo_formats.slimmed(data)
    with Image.open(io.BytesIO(slim)) as opened:
        assert opened.format == "JPEG"
