"""Geometry of regions against hand-made masks."""

import numpy as np
import pytest

from privsc.images.regions import (
    bounding_box,
    crop_box,
    dilate,
    extend_into,
    intersection_over_union,
    resize_mask,
    warp_silhouette,
)


def box_mask(height, width, box):
    mask = np.zeros((height, width), bool)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


def test_bounding_box_is_tight_and_none_for_nothing():
    assert bounding_box(box_mask(40, 60, (7, 3, 21, 30))) == (7, 3, 21, 30)
    assert bounding_box(np.zeros((4, 4), bool)) is None


@pytest.mark.parametrize("box", [(0, 0, 10, 90), (90, 40, 100, 60), (0, 0, 100, 100), (45, 45, 55, 55)])
def test_crop_box_holds_the_box_and_stays_inside(box):
    x0, y0, x1, y1 = crop_box(box, 100, 100, margin=0.25)
    assert 0 <= x0 <= box[0] and box[2] <= x1 <= 100
    assert 0 <= y0 <= box[1] and box[3] <= y1 <= 100


def test_crop_box_is_square_where_there_is_room():
    x0, y0, x1, y1 = crop_box((100, 100, 140, 120), 400, 400, margin=0.25)
    assert (x1 - x0, y1 - y0) == (60, 60)


def test_dilate_grows_by_the_distance_asked():
    mask = box_mask(41, 41, (20, 20, 21, 21))
    grown = dilate(mask, 5)
    assert grown[20, 25] and grown[20, 15] and not grown[20, 26]
    assert not grown[24, 24]  # 5.7 pixels away: Euclidean, not square
    assert not dilate(np.zeros((5, 5), bool), 3).any()


def test_iou_of_halves_and_of_nothing():
    a, b = box_mask(10, 10, (0, 0, 10, 5)), box_mask(10, 10, (0, 0, 5, 5))
    assert intersection_over_union(a, b) == pytest.approx(0.5)
    assert intersection_over_union(a & ~a, b & ~b) == 1.0


def test_resize_mask_keeps_the_share():
    mask = box_mask(200, 200, (50, 50, 150, 150))
    assert resize_mask(mask, (96, 96)).mean() == pytest.approx(0.25, abs=0.01)


def test_warp_takes_box_onto_box_and_mirrors():
    photo = np.zeros((50, 50, 3), np.uint8)
    photo[10:30, 10:20], photo[10:30, 20:30] = (255, 0, 0), (0, 0, 255)  # red left, blue right
    silhouette, target = box_mask(50, 50, (10, 10, 30, 30)), box_mask(100, 120, (40, 20, 100, 80))
    plain = warp_silhouette(photo, silhouette, target)
    assert plain.overlap == pytest.approx(1.0, abs=0.02)
    assert plain.image[50, 45, 0] > 200 and plain.image[50, 95, 2] > 200
    mirrored = warp_silhouette(photo, silhouette, target, mirrored=True)
    assert mirrored.image[50, 45, 2] > 200 and mirrored.image[50, 95, 0] > 200
    assert not plain.image[0, 0].any()


def test_warp_refuses_an_empty_silhouette():
    empty = np.zeros((8, 8), bool)
    with pytest.raises(ValueError, match="at least one True pixel"):
        warp_silhouette(np.zeros((8, 8, 3), np.uint8), empty, ~empty)


def test_extend_fills_the_region_with_the_nearest_colour():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, :5] = (9, 8, 7)
    valid, region = box_mask(20, 20, (0, 0, 5, 20)), box_mask(20, 20, (0, 0, 12, 20))
    out = extend_into(image, valid, region)
    assert (out[:, :12] == (9, 8, 7)).all() and not out[:, 12:].any()
