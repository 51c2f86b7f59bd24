"""Groups, looks and candidates on maps made by hand, with an encoder whose patches are the picture's colours."""

from dataclasses import replace

import numpy as np
import pytest

from privsc.errors import ConfigError
from privsc.guard.config import EFFORTS, GuardConfig
from privsc.guard.finding import coarse_shape, find
from privsc.guard.looks import LOOKS, Look, looks
from privsc.guard.matching import groups, nearest_stranger, similarities
from privsc.guard.verify import Verifier
from privsc.images.photo_io import encode_png
from privsc.images.regions import resize
from privsc.knowledge.entity import Entity, Sample
from privsc.networks.image_encoder import PatchMap

RED, GREEN = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)
NOBODY = np.zeros((0, 20, 0), np.float32)


class ColourEncoder:
    """A patch of 16 px is its mean colour, of unit norm: red is one entity, green another, black nobody."""

    identity, dim, gamma_range = "colours", 3, (0.4, 0.9)

    def patches(self, image, zoom):
        scale = zoom * 384 / max(image.shape[:2])
        height, width = (max(1, round(side * scale / 16)) for side in image.shape[:2])
        small = resize(image, (width, height)).astype(np.float32)
        norm = np.linalg.norm(small, axis=-1, keepdims=True)
        return PatchMap(np.where(norm < 40, np.float32(0.01), small / np.maximum(norm, 1)), (height, width))


def entity(name, f_k, index):
    photo = Sample(encode_png(np.zeros((64, 64, 3), np.uint8)), encode_png(np.ones((64, 64), bool)))
    return Entity(name, name, "thing", (photo,), f_k, f_k[None], np.full(4, 0.5, np.float32), gamma=0.7, index=index)


def picture(*blocks, size=(480, 640)):
    image = np.zeros((*size, 3), np.uint8)
    for (x0, y0, x1, y1), colour in blocks:
        image[y0:y1, x0:x1] = 255 * colour
    return image


def found(image, effort="normal", margin=0.1, entities=None):
    known = entities or [entity("Red", RED, 1), entity("Green", GREEN, 2)]
    shape = coarse_shape(image.shape[:2])
    return find(looks(image, ColourEncoder(), effort), known, [e.gamma for e in known], NOBODY, shape, margin)


def test_each_group_counts_and_stray_patches_do_not():
    similarity = np.zeros((12, 12), np.float32)
    similarity[1:4, 1:4], similarity[8:11, 8:11], similarity[1, 10] = 0.8, 0.7, 0.9
    own = np.ones_like(similarity, bool)
    assert [round(group.score, 3) for group in groups(similarity, own, 0.5)] == [0.8, 0.7]
    own[8:11, 8:11] = False  # nearer to strangers
    (group,) = groups(similarity, own, 0.5)
    assert group.matched.sum() == 9 and group.matched[1:4, 1:4].all()


def test_similarity_is_that_of_the_best_prototype_and_strangers_only_where_asked():
    patches = np.stack([np.stack([RED, GREEN])])
    two = replace(entity("Red", RED, 1), prototypes=np.stack([RED, GREEN]))
    assert similarities(patches, [two, entity("Green", GREEN, 2)]).tolist() == [[[1, 1]], [[0, 1]]]
    assert similarities(patches, [two], 1).tolist() == [[[1, 0]]]
    strangers = np.tile(GREEN, (1, 20, 1))
    assert nearest_stranger(patches, strangers).tolist() == [[0, 1]]
    assert nearest_stranger(patches, strangers, np.array([[True, False]])).tolist() == [[0, -1]]


def test_every_copy_is_a_candidate():
    image = picture(((20, 20, 180, 180), RED), ((440, 280, 620, 460), RED), ((300, 40, 420, 160), GREEN))
    candidates, evidence = found(image)
    joint = np.zeros(coarse_shape(image.shape[:2]), bool)
    for candidate in candidates:
        if candidate.entity.name == "Red":
            joint |= candidate.cells
    assert joint[10:35, 10:35].all() and joint[70:100, 105:135].all() and not joint[12:33, 72:90].any()
    assert [near.name for near in evidence.near] and evidence.heat.max() == pytest.approx(0.3, abs=0.01)


def test_what_is_small_is_found_at_three_times_the_size_only():
    image = picture(((300, 200, 326, 226), RED))
    assert not found(image, "fast")[0]
    candidates, _ = found(image, "normal")
    assert {candidate.zoom for candidate in candidates} == {3}
    rows, columns = np.nonzero(candidates[0].cells)
    assert abs((columns.mean() + 0.5) / 144 * 640 - 313) < 12 and abs((rows.mean() + 0.5) / 108 * 480 - 213) < 12


@pytest.mark.parametrize("turn", range(4))
def test_a_turned_look_says_where_in_the_picture(turn):
    image = picture(((0, 0, 160, 80), RED))  # top left corner
    turned = np.ascontiguousarray(np.rot90(image, turn))
    seen = ColourEncoder().patches(turned, 1)
    cells = Look(1, turn, seen).cells(seen.patches[..., 0] > 0.5, (48, 64))
    assert cells[1:7, 1:15].all() and cells.sum() <= 9 * 18


def test_between_gamma_and_the_margin_is_suspect_and_below_is_nothing():
    colour = np.array([0.66, 0.1, 0.744], np.float32)  # cosine 0.66 with red, Gamma is 0.7
    candidates, _ = found(picture(((100, 100, 400, 400), colour)))
    assert candidates and all(-0.1 < candidate.excess < 0 for candidate in candidates)
    candidates, evidence = found(picture(((100, 100, 400, 400), colour)), margin=0.0)
    assert not candidates and evidence.near[0].name == "Red"


def test_small_photographs_are_not_enlarged_beyond_twice():
    zooms = [look.zoom for look in looks(np.zeros((300, 400, 3), np.uint8), ColourEncoder(), "thorough")]
    assert max(zooms) == pytest.approx(2 * 400 / 384) and len(zooms) == len(set(zooms)) + 3 * 3
    assert set(LOOKS) == set(EFFORTS)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"effort": "lazy"}, "effort: choose one of fast, normal, thorough; got 'lazy'"),
        ({"suspect": "trust"}, "suspect: choose one of mask, refuse, send"),
        ({"margin": 2}, "margin: .* 0 to 1; got 2"),
        ({"gamma": 3.0}, "gamma: .* got 3.0"),
    ],
)
def test_a_configuration_that_is_none_is_refused(options, match):
    with pytest.raises(ConfigError, match=match):
        GuardConfig(**options)


class SamplesAsPatches(Verifier):
    """S_k is given as patches."""

    def __init__(self, samples):
        super().__init__(None, NOBODY)  # type: ignore[arg-type]
        self.left = [*samples, samples[0]]

    def _patches(self, photo, silhouette, fill):
        return self.left.pop(0) if fill == 1 else self.left[0][:0]


def test_a_look_alike_is_doubtful_and_the_entity_is_not():
    rng = np.random.default_rng(3)
    parts = np.eye(8, dtype=np.float32)[:6]

    def view(noise):
        rows = np.repeat(parts, 2, axis=0) + noise * rng.normal(size=(12, 8)).astype(np.float32)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    f_k = (parts.mean(0) / np.linalg.norm(parts.mean(0))).astype(np.float32)
    known = entity("Red", f_k, 1)
    known = replace(known, samples=known.samples * 3)
    verifier = SamplesAsPatches([view(0.03) for _ in range(3)])
    assert not verifier.doubtful(known, view(0.03))
    assert verifier.doubtful(known, np.tile(f_k, (12, 1)))  # like f_k, like none of its parts
    alone = replace(known, samples=known.samples[:1], name="Once")
    assert not SamplesAsPatches([view(0.03)]).doubtful(alone, np.tile(f_k, (12, 1)))  # nothing to calibrate on
