"""Algorithm 1 with the shipped networks, on photographs that the package index carries."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from privsc.datasets.builtin import _encoded, views
from privsc.errors import EnrolmentError, PhotoError
from privsc.guard.guard import Guard, spread_points, weakest_match
from privsc.images.regions import intersection_over_union
from privsc.networks.image_encoder import load_encoder
from privsc.networks.mask_decoder import load_segmenter
from privsc.system.enrol import make_entity


@pytest.fixture(scope="module")
def guard():
    return Guard(load_encoder(), load_segmenter())


@pytest.fixture(scope="module")
def entities():
    known = (("Chelsea", data.chelsea, "cat"), ("Coffee", data.coffee, "cup"))
    return [
        replace(make_entity(name, [_encoded(v) for v in views(load(), 3, 11)], class_word=word), index=k + 1)
        for k, (name, load, word) in enumerate(known)
    ]


def test_chelsea_is_found_masked_and_named(guard, entities):
    image = data.chelsea()
    result = guard(image, entities)
    assert [detection.name for detection in result.detections] == ["Chelsea"]
    assert not result.masked[result.mask].any()
    assert (result.masked[~result.mask] == image[~result.mask]).all()
    assert result.mask[100:200, 150:300].mean() > 0.95  # her face
    box = result.detections[0].box
    assert result.mask[box[1] : box[3], box[0] : box[2]].sum() == result.mask.sum()


def test_a_stranger_is_left_alone(guard, entities):
    for image in (data.rocket(), data.astronaut()):
        result = guard(image, entities)
        assert result.detections == () and not result.mask.any()
        assert (result.masked == image).all()


def test_an_empty_database_hides_nothing(guard):
    assert guard(data.chelsea(), []).detections == ()


def test_two_entities_in_one_picture_are_both_masked(guard, entities):
    cat, cup = (Image.fromarray(load()).resize((450, 300)) for load in (data.chelsea, data.coffee))
    image = np.concatenate([np.asarray(cat), np.asarray(cup)], axis=1)
    result = guard(image, entities)
    assert {detection.name for detection in result.detections} == {"Chelsea", "Coffee"}
    joint = np.zeros(image.shape[:2], bool)
    for detection in result.detections:
        joint |= detection.mask
    assert (joint == result.mask).all()


def test_identity_needs_the_entity_and_not_only_its_surroundings(guard, entities):
    image = data.chelsea()
    mask = guard(image, entities).mask
    assert guard.identify(image, entities, mask).name == "Chelsea"
    hidden = image.copy()
    hidden[mask] = 128
    assert guard.identify(hidden, entities, mask) is None


def test_gamma_given_by_hand_overrides_the_calibrated_one(guard, entities):
    strict = Guard(load_encoder(), load_segmenter(), gamma=0.99)
    assert strict(data.chelsea(), entities).detections == ()


def test_the_fourth_best_patch_is_the_score():
    values = np.array([[0.9, 0.1, 0.8], [0.7, 0.6, 0.2]], np.float32)
    assert weakest_match(values) == pytest.approx(0.6)
    assert weakest_match(values, values > 0.75) == pytest.approx(0.8)
    assert weakest_match(values, values > 1) == -1


def test_points_are_matched_patches_and_lie_apart():
    similarity = np.random.default_rng(0).random((12, 12)).astype(np.float32)
    matched = np.zeros((12, 12), bool)
    matched[2:10, 2:10] = True
    rows, columns = np.mgrid[:12, :12].astype(np.float32)
    points = spread_points(similarity, matched, np.stack([columns, rows], -1), 6)
    assert len(points) == 6 and matched[points[:, 1].astype(int), points[:, 0].astype(int)].all()
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1) + 99 * np.eye(6)
    assert distances.min() >= 2


def test_masks_of_samples_agree_between_views(entities):
    shares = []
    for sample in entities[0].samples:
        with Image.open(io.BytesIO(sample.mask_png)) as opened:
            shares.append(float((np.asarray(opened) > 0).mean()))
    assert min(shares) > 0.2 and max(shares) < 0.98


@pytest.mark.parametrize(
    "photos, error, match",
    [
        ([], EnrolmentError, "at least one photograph"),
        ([b"not a photograph"], PhotoError, "photograph 1"),
    ],
)
def test_enrolment_refuses(photos, error, match):
    with pytest.raises(error, match=match):
        make_entity("Nobody", photos)


def test_person_is_enrolled_like_a_cat(guard):
    """The astronaut of scikit-image, from other views of the photograph."""
    person = replace(
        make_entity("Eileen", [_encoded(v) for v in views(data.astronaut(), 3, 4)], class_word="person"), index=1
    )
    result = guard(data.astronaut(), [person])
    assert [detection.name for detection in result.detections] == ["Eileen"]
    assert result.mask[250:400, 100:300].mean() > 0.9  # her suit; the face needs a decoder that has seen people
    assert intersection_over_union(result.mask, result.detections[0].mask) == 1.0
