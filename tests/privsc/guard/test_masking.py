"""Shape and choice of what is removed."""

import numpy as np
import pytest

from privsc.errors import ConfigError
from privsc.guard.masking import MaskShape, only, shaped
from privsc.knowledge.detection import Detection, GuardResult
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
