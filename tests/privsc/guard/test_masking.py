"""Shape and choice of what is removed."""

from dataclasses import replace

import numpy as np
import pytest

from privsc.errors import ConfigError, Notice
from privsc.guard.masking import MaskShape, only, shaped
from privsc.knowledge.detection import Detection, Evidence, GuardResult, Near
from privsc.system.config import RunConfig
from tests.fakes.samples import scene


@pytest.fixture
def guarded():
    """Two discs in a scene of 80 x 120 px: entities 3 (left) and 5 (right)."""
    image = scene(80, 120)
    rows, columns = np.mgrid[:80, :120]
    found = []
    for index, name, x in ((5, "right", 90), (3, "left", 30)):
        mask = (rows - 40) ** 2 + (columns - x) ** 2 <= 15**2
        box = (x - 15, 25, x + 16, 56)
        found.append(Detection(index, name, 0.9, box, np.zeros((1, 2), np.float32), mask))
    joint = found[0].mask | found[1].mask
    return image, GuardResult(np.where(joint[..., None], np.uint8(0), image), joint, tuple(found))


def test_the_silhouette_is_what_the_guard_found(guarded):
    assert shaped(*guarded, MaskShape.parse("silhouette")) is guarded[1]


def test_a_margin_grows_by_its_pixels(guarded):
    image, before = guarded
    after = shaped(image, before, MaskShape.parse("silhouette+7"))
    assert [d.box for d in after.detections] == [(68, 18, 113, 63), (8, 18, 53, 63)]
    assert (after.mask & before.mask).sum() == before.mask.sum()
    assert after.mask[40, 52] and not after.mask[40, 53] and not after.mask[19, 9]  # round, not a box
    assert not after.masked[after.mask].any()
    assert (after.masked[~after.mask] == image[~after.mask]).all()


def test_a_box_is_filled_to_its_corners(guarded):
    image, before = guarded
    after = shaped(image, before, MaskShape.parse("box"))
    assert [d.box for d in after.detections] == [d.box for d in before.detections]
    assert after.mask.sum() == 2 * 31 * 31
    assert after.mask[25, 15] and after.mask[55, 45] and not after.mask[56, 45]
    assert not after.masked[after.mask].any()
    assert (after.masked[~after.mask] == image[~after.mask]).all()


def test_a_box_ends_at_the_picture(guarded):
    image, before = guarded
    after = shaped(image, before, MaskShape.parse("box+40"))
    assert [d.box for d in after.detections] == [(35, 0, 120, 80), (0, 0, 86, 80)]
    assert after.mask.all()


def test_only_the_chosen_entities_are_hidden(guarded):
    image, before = guarded
    after = only(image, before, {3})
    assert [d.name for d in after.detections] == ["left"]
    assert (after.mask == before.detections[1].mask).all()
    assert (after.masked[40, 90] == image[40, 90]).all()
    assert not only(image, before, ()).mask.any()


def test_what_goes_by_another_name_stays_hidden(guarded):
    image, before = guarded
    with pytest.warns(Notice, match="left.*stays hidden|right.*stays hidden"):
        after = only(image, before, {4})  # not found: one of the two may be it
    assert (after.mask == before.mask).all() and {d.index for d in after.detections} == {0}
    near = Evidence((Near(4, "middle", 0.4, 0.5, 1, 0),), np.zeros((8, 12), np.float32))
    with pytest.warns(Notice, match="left"):
        after = only(image, replace(before, evidence=near), {4, 5})
    assert {d.name for d in after.detections} == {"right", "unknown"}
    clear = replace(before, evidence=Evidence((), near.heat))
    assert [d.name for d in only(image, clear, {4, 5}).detections] == ["right"]


def test_suspects_stay_hidden_whoever_is_chosen(guarded):
    image, before = guarded
    doubtful = replace(before.detections[0], index=0, name="unknown")
    after = only(image, replace(before, detections=(doubtful, before.detections[1])), {3})
    assert (after.mask == before.mask).all()


@pytest.mark.parametrize("text", ["", "circle", "box+", "silhouette-3", "silhouette+1000", "silhouette+1.5", "box box"])
def test_a_shape_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match=r"mask: must be box, silhouette or silhouette\+N, N of 0 to 999 px; got"):
        MaskShape.parse(text)
    with pytest.raises(ConfigError, match=r"^mask: must be box, silhouette or"):
        RunConfig.build(mask=text)


def test_shapes_are_written_as_they_are_read():
    for text in ("box", "silhouette", "silhouette+12", "box+3"):
        assert str(MaskShape.parse(text)) == RunConfig.build(mask=f" {text.upper()} ").mask == text
    assert RunConfig.build(mask="silhouette+0").mask == "silhouette"
