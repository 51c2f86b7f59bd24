import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsc.errors import PayloadError
from privsc.images.metrics import psnr
from privsc.transport import concealment, payload
from tests.fakes.samples import scene

CODED = [coding for coding in payload.available_codings() if coding != "pixels"]


def removed(image: np.ndarray) -> np.ndarray:
    """A as the guard makes it: a disc of zeros."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return image * ((rows - 24) ** 2 + (columns - 30) ** 2 > 12**2)[:, :, None].astype(np.uint8)


def test_all_codings_of_the_issue_are_here():
    assert payload.available_codings() == ("pixels", "webp", "avif", "jpeg")


def test_pixels_are_exact():
    image = removed(scene())
    head, body = payload.encode(image, (3, 65_535))
    received = payload.decode(head, body)
    assert np.array_equal(received.image, image)
    assert received.indices == (3, 65_535)
    assert not received.concealed.any()
    assert len(body) == image.size
    assert len(head) == 19


@pytest.mark.parametrize("coding", CODED)
def test_coded_pictures_are_smaller_and_close(coding):
    image = scene(96, 128)
    head, body = payload.encode(image, (), coding, quality=90)
    received = payload.decode(head, body)
    assert received.image.shape == image.shape
    assert len(body) < image.size / 3
    assert psnr(image, received.image) > 30
    small = payload.encode(image, (), coding, quality=20)[1]
    assert len(small) < len(body)


@pytest.mark.parametrize("coding", CODED)
def test_a_coded_picture_with_a_lost_byte_is_refused(coding):
    head, body = payload.encode(scene(), (1,), coding)
    ok = np.ones(len(body), bool)
    ok[len(body) // 2] = False
    with pytest.raises(PayloadError, match=rf"1 of {len(body)} bytes of the {coding} image were lost"):
        payload.decode(head, body, ok)
    with pytest.raises(PayloadError, match="bytes of the"):
        payload.decode(head, body[:-5])


def test_a_coded_picture_of_another_size_is_refused():
    head, _ = payload.encode(scene(48, 64), (), "webp")
    _, body = payload.encode(scene(64, 48), (), "webp")
    fields = payload.Head.from_bytes(head)
    lying = payload.Head("webp", fields.width, fields.height, len(body), ()).to_bytes()
    with pytest.raises(PayloadError, match="has 48x64 pixels, its head names 64x48"):
        payload.decode(lying, body)


def test_a_file_of_another_format_is_refused():
    _, body = payload.encode(scene(), (), "jpeg")
    lying = payload.Head("webp", 64, 48, len(body), ()).to_bytes()
    with pytest.raises(PayloadError, match="webp image is damaged"):
        payload.decode(lying, body)


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_scattered_losses_are_concealed(share):
    image = removed(scene(96, 128))
    head, body = payload.encode(image, ())
    ok = np.random.default_rng(0).random(len(body)) >= share
    received = payload.decode(head, bytes(np.frombuffer(body, np.uint8) * ok), ok)
    assert np.array_equal(received.concealed.ravel(), ~ok)
    assert np.array_equal(received.image[~received.concealed], image[~received.concealed])
    naive = np.where(received.concealed, 0, image).astype(np.uint8)
    assert psnr(image, received.image) > psnr(image, naive) + 8


def test_concealment_keeps_the_removed_region_black():
    image = removed(scene(96, 128))
    lost = np.random.default_rng(1).random(image.shape) < 0.3
    filled = concealment.conceal(image, lost)
    inside = np.zeros(image.shape[:2], bool)
    inside[18:31, 24:37] = True
    assert (filled[inside] == 0).all()
    assert (filled[40:] > 0).all()


def test_a_hole_is_filled_with_what_lies_around_it():
    image = np.full((40, 40, 3), 90, np.uint8)
    lost = np.zeros(image.shape, bool)
    lost[5:30, 5:30] = True
    assert (concealment.conceal(np.where(lost, 0, image), lost) == 90).all()


def test_a_missing_tail_counts_as_lost():
    image = scene()
    head, body = payload.encode(image, ())
    received = payload.decode(head, body[: len(body) // 2])
    assert received.image.shape == image.shape
    assert received.concealed.sum() == len(body) - len(body) // 2
    assert np.array_equal(received.image[:24], image[:24])


def test_nothing_arrived_is_grey():
    head, _ = payload.encode(scene(), (9,))
    received = payload.decode(head, b"")
    assert (received.image == concealment.GREY).all()
    assert received.concealed.all()
    stand_in = payload.grey(48, 64, (9,))
    assert np.array_equal(received.image, stand_in.image)
    assert (stand_in.indices, stand_in.concealed.all()) == ((9,), True)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((scene(), (0,)), r"lie in \[1, 65535\]"),
        ((scene(), (1, 1)), "must differ"),
        ((scene(), tuple(range(1, 34))), "at most 32 indices; got 33"),
        ((scene(), (), "gif"), "coding 'gif' is not available"),
        ((scene(), (), "webp", 0), r"quality must lie in \[1, 100\]; got 0"),
        ((scene().astype(float), ()), r"must be \[H, W, 3\] uint8; got float64"),
        ((scene()[:, :, 0], ()), r"must be \[H, W, 3\] uint8"),
        ((np.zeros((1, 16_385, 3), np.uint8), ()), "sides of 1 to 16384 px"),
    ],
)
def test_what_cannot_be_sent_is_refused(arguments, match):
    with pytest.raises(PayloadError, match=match):
        payload.encode(*arguments)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"version": 9}, "version 9, this program reads 1"),
        ({"coding": 77}, "coding 77 is unknown"),
        ({"count": 2}, "names 2 indices but has"),
        ({"width": 60_000, "height": 60_000}, "at most 16000000 pixels; got 60000x60000"),
        ({"length": 5}, "need a body of 9216 bytes; the head names 5"),
    ],
)
def test_a_head_that_nobody_would_write_is_refused(change, match):
    import struct
    import zlib

    fields = {"version": 1, "coding": 0, "width": 64, "height": 48, "length": 9216, "count": 0} | change
    content = struct.pack("<BBHHIB", *fields.values())
    with pytest.raises(PayloadError, match=match):
        payload.decode(content + struct.pack("<I", zlib.crc32(content)), b"")


def test_arguments_that_do_not_fit_are_refused():
    head, body = payload.encode(scene(), ())
    with pytest.raises(PayloadError, match="one flag a byte"):
        payload.decode(head, body, np.ones(5, bool))
    with pytest.raises(PayloadError, match="its head names 9216"):
        payload.decode(head, body + b"x")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_gives_an_image_of_the_right_size_or_our_error(data):
    """Any flip, cut and loss in head and body, for every coding."""
    coding = data.draw(st.sampled_from(payload.available_codings()))
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    image = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 256, (height, width, 3), dtype=np.uint8)
    head, body = map(bytearray, payload.encode(image, (1, 2), coding))
    if data.draw(st.booleans()):
        head[data.draw(st.integers(0, len(head) - 1))] ^= data.draw(st.integers(0, 255))
    for _ in range(data.draw(st.integers(0, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))]
    ok = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(body), max_size=len(body)))
        if len(body) < 200
        else [True] * len(body),
        bool,
    )
    try:
        received = payload.decode(bytes(head), bytes(body), ok)
    except PayloadError as error:
        assert "\n" not in str(error)
    else:
        assert received.image.shape == image.shape
        assert received.image.dtype == np.uint8
        assert received.concealed.shape == image.shape
        assert received.indices == (1, 2)


@given(head=st.binary(max_size=60), body=st.binary(max_size=60))
def test_rubbish_gives_our_error(head, body):
    with pytest.raises(PayloadError):
        payload.decode(head, body)
