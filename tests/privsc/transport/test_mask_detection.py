"""M̂ and the level that is reserved for it, on the built-in photographs and with wrong messages."""

import numpy as np
import pytest
from skimage import data

from privsc.images.regions import intersection_over_union
from privsc.transport.levels import LOWEST, reserve_black, restore_black
from privsc.transport.mask_detection import detect_region


def ellipse(shape, centre, radii):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1


def wrong_messages(image, share, rng):
    """Every sample is replaced by a random one with probability ``share``."""
    hit = rng.random(image.shape) < share
    return np.where(hit, rng.integers(0, 256, image.shape, dtype=np.uint8), image)


def test_levels_are_undone_within_half_a_level():
    image, mask = data.chelsea(), np.zeros(data.chelsea().shape[:2], bool)
    sent = reserve_black(image, mask)
    assert sent.min() >= LOWEST
    assert np.abs(restore_black(sent, mask).astype(int) - image).max() <= 1


def test_removed_pixels_are_zero_on_the_air_and_after():
    image = data.coffee()
    mask = ellipse(image.shape, (300, 200), (120, 90))
    sent = reserve_black(image, mask)
    assert not sent[mask].any() and sent[~mask].min() >= LOWEST
    assert not restore_black(sent, mask)[mask].any()


@pytest.mark.parametrize("share, least", [(0.0, 0.99), (0.05, 0.98), (0.2, 0.96), (0.3, 0.94)])
@pytest.mark.parametrize("photo", [data.chelsea, data.coffee, data.astronaut])
def test_region_is_found_in_spite_of_wrong_messages(photo, share, least):
    image = photo()
    mask = ellipse(image.shape, (image.shape[1] * 0.45, image.shape[0] * 0.5), (90, 70))
    received = wrong_messages(reserve_black(image, mask), share, np.random.default_rng(5))
    assert intersection_over_union(detect_region(received), mask) >= least


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("photo", [data.chelsea, data.coffee, data.astronaut, data.rocket])
def test_no_region_where_nothing_was_removed(photo, share):
    image = photo()  # the rocket's sky is black
    sent = reserve_black(image, np.zeros(image.shape[:2], bool))
    assert not detect_region(wrong_messages(sent, share, np.random.default_rng(6))).any()


def test_two_regions_are_both_found():
    image = data.astronaut()
    mask = ellipse(image.shape, (120, 120), (60, 50)) | ellipse(image.shape, (400, 380), (50, 70))
    assert intersection_over_union(detect_region(reserve_black(image, mask)), mask) >= 0.99
