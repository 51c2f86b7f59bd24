"""Whose part of the removed region is whose."""

import numpy as np
import pytest

from privsc.guard.masking import filled_box
from privsc.images.placement import boxes_needed, is_boxed, parts_of, split_by_boxes
from privsc.images.regions import region_box, warp_silhouette

SHAPE = (80, 140)


def masks(*boxes):
    return [filled_box(box, SHAPE) for box in boxes]


def disc(x, y, radius):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


@pytest.mark.parametrize(
    "boxes, needed",
    [
        ([(5, 5, 40, 60)], False),
        ([(5, 5, 40, 60), (60, 5, 90, 60)], False),
        ([(60, 5, 90, 60), (5, 5, 40, 60)], True),  # not from left to right
        ([(5, 5, 40, 60), (41, 5, 90, 60)], True),  # they touch
        ([(5, 5, 60, 60), (40, 20, 90, 70)], True),  # they overlap
        ([(5, 5, 90, 70), (30, 20, 50, 40)], True),  # one within the other
        ([(5, 5, 40, 30), (5, 50, 40, 75)], False),
    ],
)
def test_boxes_are_sent_only_where_they_are_needed(boxes, needed):
    assert boxes_needed(masks(*boxes)) == needed


@pytest.mark.parametrize(
    "boxes",
    [
        [(5, 5, 60, 60), (40, 20, 90, 70)],
        [(5, 5, 90, 70), (30, 20, 50, 40)],
        [(60, 5, 90, 60), (5, 5, 40, 60), (30, 40, 70, 75)],
    ],
)
def test_overlapping_boxes_come_apart(boxes):
    each = masks(*boxes)
    region = np.logical_or.reduce(each)
    parts = parts_of(region, len(boxes), boxes)
    assert (np.sum(parts, axis=0) == region).all()  # every pixel to exactly one
    for number, (part, mask) in enumerate(zip(parts, each, strict=True)):
        assert not (part & ~mask).any()
        alone = mask & ~np.logical_or.reduce([m for n, m in enumerate(each) if n != number])
        assert (part & alone).sum() == alone.sum()
        assert part.any()


def test_a_pixel_beside_every_box_goes_to_the_nearest():
    boxes = [(5, 5, 40, 60), (60, 5, 90, 60)]
    region = np.logical_or.reduce(masks(*boxes))
    region[30, 41] = region[30, 59] = True
    left, right = split_by_boxes(region, boxes)
    assert left[30, 41] and right[30, 59]


def test_one_region_for_two_entities_without_boxes_is_one_part():
    assert len(parts_of(disc(50, 40, 30), 2)) == 1


def test_a_box_is_told_from_an_outline():
    assert is_boxed(filled_box((5, 5, 60, 60), SHAPE))
    assert not is_boxed(disc(50, 40, 30))


@pytest.mark.parametrize(
    "target, expected",
    [
        ((10, 10, 130, 40), (40, 10, 100, 40)),  # as high as the box, in its middle
        ((10, 10, 50, 70), (10, 50, 50, 70)),  # as wide as the box, on its floor
        ((20, 20, 60, 40), (20, 20, 60, 40)),
    ],
)
def test_a_sample_goes_into_a_box_with_its_aspect_ratio(target, expected):
    photo = np.full((50, 90, 3), 90, np.uint8)
    silhouette = np.zeros((50, 90), bool)
    silhouette[10:30, 20:60] = True  # 40 x 20
    warped = warp_silhouette(photo, silhouette, filled_box(target, SHAPE), keep_aspect=True)
    assert region_box(warped.valid) == expected
    assert (warped.image[warped.valid] == 90).all()
