"""Descriptors of outlines: what they ignore, what they tell, and that they give away subjects of unlike shape."""

import numpy as np
import pytest
from skimage.draw import disk, polygon
from skimage.transform import rotate

from privsc.evaluation.privacy.attacker import train_attacker
from privsc.evaluation.privacy.identification import identification
from privsc.evaluation.privacy.silhouettes import describe, fourier_descriptors, hu_moments, placement, zernike_moments
from privsc.guard.masking import MaskShape
from privsc.images.regions import bounding_box, resize_mask

SIDE = 96


def _shape(kind: int, rng: np.random.Generator) -> np.ndarray:
    """One of five shapes, stretched into a box that has nothing to do with which one it is."""
    around = np.linspace(0, 2 * np.pi, 9)[:-1]
    drawn = np.zeros((65, 65), bool)
    if kind == 0:
        drawn[disk((32, 32), 30)] = True
    elif kind == 1:
        drawn[polygon([2, 62, 62], [32, 62, 2])] = True
    else:
        radius = 30 * np.array([[1, 0.35] * 4, [1, 1, 0.3, 0.3] * 2, [1, 0.9, 0.2, 0.9] * 2][kind - 2])
        drawn[polygon(32 + radius * np.sin(around), 32 + radius * np.cos(around))] = True
    width, height = (int(v) for v in rng.integers(36, 50, 2))
    x, y = (int(v) for v in rng.integers(2, 40, 2))
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + height, x : x + width] = resize_mask(drawn, (width, height), bounding_box(drawn))
    return mask


def test_moments_ignore_place_size_and_rotation() -> None:
    mask = np.zeros((128, 128), bool)
    mask[polygon([30, 90, 70, 60], [40, 50, 90, 60])] = True
    turned = rotate(mask.astype(float), 40, order=0) > 0.5
    moved = np.roll(np.roll(mask, 20, axis=0), 15, axis=1)
    for descriptor, tolerance in ((zernike_moments, 0.05), (hu_moments, 0.05), (fourier_descriptors, 0.06)):
        assert descriptor(moved) == pytest.approx(descriptor(mask), abs=1e-3)
        if descriptor is not hu_moments:  # its seventh moment is near zero here: its logarithm is not steady
            assert descriptor(turned) == pytest.approx(descriptor(mask), abs=tolerance)
    assert hu_moments(turned)[:2] == pytest.approx(hu_moments(mask)[:2], abs=0.02)


def test_zernike_of_a_disc() -> None:
    """Of a disc about its centre only the constant term is left: 1 / pi."""
    mask = np.zeros((201, 201), bool)
    mask[disk((100, 100), 90)] = True
    moments = zernike_moments(mask, 4)
    assert moments[0] == pytest.approx(1 / np.pi)
    assert moments[1:] == pytest.approx(0, abs=0.02)


def test_placement_of_a_box() -> None:
    mask = np.zeros((100, 200), bool)
    mask[20:60, 50:150] = True
    expected = [0.2, 0.5, 0.4, 0.5, 0.4, np.log(2.5), 1.0, 1.0]
    assert placement(mask) == pytest.approx(expected, abs=0.01)


def test_nothing_hidden_has_descriptors() -> None:
    assert all(np.isfinite(x).all() for x in describe(np.zeros((40, 50), bool)).values())


def test_shapes_that_differ_identify_and_boxes_hide_them() -> None:
    """Five subjects, each always of its own shape: the outline tells all, its box nothing (chance is 1/5)."""
    rng = np.random.default_rng(0)
    labels, numbers = np.repeat(np.arange(5), 5), np.tile(np.arange(5), 5)
    truth = np.repeat(np.arange(5), 8)
    train, test = ([_shape(kind, rng) for kind in kinds] for kinds in (labels, truth))
    reached = {}
    for text in ("silhouette", "box"):
        shape = MaskShape.parse(text)
        sets = []
        for masks in (train, test):
            described = [describe(shape.of(mask)) for mask in masks]
            sets.append({name: np.stack([d[name] for d in described]) for name in described[0]})
        attacker = train_attacker(sets[0], labels, numbers, 5)
        reached[text] = identification(attacker.scores(sets[1]), truth, ["x"] * 5).rank1
    assert reached["silhouette"].value == 1.0
    assert reached["box"].value < 0.45  # 40 pictures: four standard deviations above chance
