"""Regions become detections: nothing that was found is dropped."""

from types import SimpleNamespace

import numpy as np
import pytest

from privsc.errors import ApprovalError, NothingFoundError, RefusedError
from privsc.guard.masking import one_each
from privsc.guard.naming import MAX_REGIONS, Region, named
from privsc.guard.verdict import check_approved, check_found
from privsc.knowledge.detection import Detection, Evidence, GuardResult, Near


def region(index, box, excess, sure=None):
    mask = np.zeros((100, 160), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    candidate = SimpleNamespace(
        entity=SimpleNamespace(index=index, name=f"E{index}"), excess=excess, score=0.5 + excess
    )
    return Region(candidate, mask, mask[::4, ::4], np.zeros((1, 2), np.float32), excess >= 0 if sure is None else sure)


def union(detections):
    return np.logical_or.reduce([d.mask for d in detections])


def test_copies_are_detections_of_one_name():
    detections = named([region(3, (0, 0, 40, 40), 0.1), region(3, (100, 50, 150, 90), 0.2)])
    assert [d.index for d in detections] == [3, 3] and detections[0].box == (100, 50, 150, 90)
    (one,) = one_each(detections)
    assert one.box == (0, 0, 150, 90) and (one.mask == union(detections)).all()


def test_of_two_names_for_a_region_the_surer_has_it_and_the_union_is_hidden():
    first, second = region(1, (10, 10, 60, 60), 0.05), region(2, (15, 12, 65, 66), 0.2)
    (detection,) = named([first, second])
    assert detection.index == 2 and (detection.mask == (first.mask | second.mask)).all()
    assert detection.box == (10, 10, 65, 66)


def test_entities_that_overlap_a_little_keep_their_names_and_all_their_pixels():
    front, behind = region(1, (50, 30, 90, 80), 0.2), region(2, (0, 0, 70, 60), 0.1)
    detections = named([behind, front])
    assert [d.index for d in detections] == [1, 2]
    assert (union(detections) == (front.mask | behind.mask)).all()


def test_suspects_and_doubtful_names_are_unknown_and_join_what_they_lie_in():
    apart, within = region(1, (0, 0, 20, 20), -0.05), region(4, (100, 20, 120, 40), -0.02)
    whole, doubtful = region(2, (90, 10, 140, 60), 0.2), region(5, (30, 60, 70, 95), 0.3, sure=False)
    detections = named([apart, within, whole, doubtful])
    assert [(d.index, d.name, d.suspect) for d in detections] == [
        (2, "E2", False),
        (0, "unknown", True),
        (0, "unknown", True),
    ]
    assert (union(detections) == (apart.mask | within.mask | whole.mask | doubtful.mask)).all()


def test_more_regions_than_a_payload_names_join_the_nearest():
    many = [region(1 + k, (5 * k, 0, 5 * k + 3, 3), 0.1) for k in range(MAX_REGIONS + 4)]
    detections = named(many)
    assert len(detections) == MAX_REGIONS
    assert (union(detections) == np.logical_or.reduce([r.mask for r in many])).all()


def result(*indices, near=()):
    mask = np.zeros((4, 4), bool)
    mask[1, 1] = bool(indices)
    points = np.zeros((0, 2), np.float32)
    detections = tuple(Detection(k, f"E{k}" if k else "unknown", 0.9, (1, 1, 2, 2), points, mask) for k in indices)
    image = np.full((4, 4, 3), 9, np.uint8)
    evidence = Evidence(near, np.zeros((4, 4), np.float32))
    return image, GuardResult(np.where(mask[..., None], np.uint8(0), image), mask, detections, evidence)


def test_what_is_required_must_be_found():
    _, guarded = result(2, 0)
    check_found(guarded, ("e2",))
    check_found(guarded, ("any",), allow_nothing=False)
    with pytest.raises(NothingFoundError, match="--require E1: E1 not found"):
        check_found(guarded, ("E2", "E1"))
    _, only_suspect = result(0)
    check_found(only_suspect, allow_nothing=False)  # something is hidden
    with pytest.raises(NothingFoundError, match="nobody of K found"):
        check_found(only_suspect, ("any",))


def test_nothing_found_is_refused_with_what_came_near():
    _, guarded = result(near=(Near(7, "Vicky", 0.44, 0.5, 3, 0),))
    check_found(guarded)
    with pytest.raises(RefusedError, match=r"nearest is Vicky, 0\.44 of 0\.50.*--allow-nothing") as refusal:
        check_found(guarded, allow_nothing=False)
    assert refusal.value.exit_code == 3


def test_only_the_approved_picture_is_sent():
    image, guarded = result(2)
    check_approved(image, guarded, guarded.masked.copy())
    with pytest.raises(ApprovalError, match="1 pixels differ from what would be sent, 0 of them not hidden"):
        check_approved(image, guarded, image)
    with pytest.raises(ApprovalError, match="has 5 x 4 px, what would be sent has 4 x 4"):
        check_approved(image, guarded, np.zeros((4, 5, 3), np.uint8))
