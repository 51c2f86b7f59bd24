import numpy as np
import pytest
import torch
import torch.nn.functional as F

from privsc.errors import PayloadError
from privsc.hints.apply import lay
from privsc.hints.fit import fit_pose
from privsc.hints.pose_hint import GRID, SIZE, PoseHint
from tests.fakes.samples import scene


def hint(**changes):
    fields = {
        "sample": 3,
        "mirrored": True,
        "box": (4, 5, 60, 61),
        "matrix": np.array([[0.9, -0.2, 0.1], [0.2, 0.9, -0.05]], np.float32),
        "flow": np.linspace(-0.3, 0.3, 2 * GRID * GRID, dtype=np.float32).reshape(2, GRID, GRID),
        "gain": np.array([0.8, 1.0, 1.25], np.float32),
        "offset": np.array([-0.2, 0.0, 0.3], np.float32),
    }
    return PoseHint(**(fields | changes))


def blob(side=96):
    """A picture with a patterned, unsymmetrical thing in it, and its silhouette."""
    rng = np.random.default_rng(5)
    image = scene(side, side, 1)
    y, x = np.mgrid[:side, :side]
    shape = ((x - 44) / 26) ** 2 + ((y - 50) / 34) ** 2 < 1
    shape |= (abs(x - 66) < 8) & (abs(y - 28) < 12)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 7, 7)).astype(np.float32))
    pattern = F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 255)[0].permute(1, 2, 0).numpy()
    image[shape] = pattern[shape].astype(np.uint8)
    return image, shape


def test_a_hint_of_59_bytes_comes_back_to_the_steps_of_its_format():
    sent = hint()
    data = sent.to_bytes()
    assert len(data) == SIZE == 59
    got = PoseHint.from_bytes(data)
    assert (got.sample, got.mirrored, got.box) == (3, True, (4, 5, 60, 61))
    np.testing.assert_allclose(got.matrix, sent.matrix, atol=1 / 8192)
    np.testing.assert_allclose(got.flow, sent.flow, atol=1 / 254)
    np.testing.assert_allclose(got.gain, sent.gain, rtol=0.01)
    np.testing.assert_allclose(got.offset, sent.offset, atol=1 / 127)
    assert PoseHint.from_bytes(data).to_bytes() == data


def test_what_does_not_fit_the_format_is_held_at_its_limits():
    got = PoseHint.from_bytes(hint(matrix=np.full((2, 3), 9.0), gain=np.full(3, 99.0)).to_bytes())
    assert got.matrix.max() < 4.001 and got.gain.max() < 4
    np.testing.assert_allclose(got.matrix, 32767 / 8192, rtol=1e-6)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "59 bytes; got 0"), (bytes(58), "got 58"), (bytes(59), "box must not be empty")],
)
def test_what_is_no_hint_is_refused(data, words):
    with pytest.raises(PayloadError, match=words):
        PoseHint.from_bytes(data)


def test_the_fit_finds_how_a_sample_was_turned_and_lit():
    image, shape = blob()
    angle, zoom = 0.35, 1.15
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    grid = F.affine_grid(
        torch.tensor([[[cos, -sin, 0.05], [sin, cos, -0.04]]], dtype=torch.float32), [1, 1, 96, 96], align_corners=False
    )
    planes = torch.from_numpy(np.concatenate([image, 255 * shape[..., None]], axis=2)).permute(2, 0, 1)[None].float()
    turned = F.grid_sample(planes, grid, align_corners=False)[0].permute(1, 2, 0).numpy()
    there = turned[..., 3] > 127
    seen = scene(96, 96, 2)
    seen[there] = np.clip(turned[..., :3] * 0.8 + 10, 0, 255)[there].astype(np.uint8)
    other = blob()[0][::-1].copy(), blob()[1][::-1].copy()  # upside down: not what was turned

    found = fit_pose(seen, there, [other, (image, shape)])
    assert found is not None and found.sample == 1 and not found.mirrored
    laid = lay(found, [other, (image, shape)], there)
    assert laid.overlap > 0.9
    inside = laid.valid
    error = np.abs(laid.image[inside].astype(float) - seen[inside]).mean()
    unturned = np.abs(image[inside].astype(float) - seen[inside]).mean()
    assert error < 9 and error < 0.3 * unturned
    assert PoseHint.from_bytes(found.to_bytes()) is not None
    assert found.to_bytes() == PoseHint.from_bytes(found.to_bytes()).to_bytes()


def test_a_mirrored_sample_is_found_as_such():
    image, shape = blob()
    found = fit_pose(image[:, ::-1].copy(), shape[:, ::-1].copy(), [(image, shape)])
    assert found is not None and found.mirrored
    laid = lay(found, [(image, shape)], shape[:, ::-1])
    assert np.abs(laid.image[laid.valid].astype(float) - image[:, ::-1][laid.valid]).mean() < 9


def placed(dx, dy, side=96, large=200):
    """The blob in a larger picture, its silhouette there, and a removed box that holds it wherever it is."""
    image, shape = blob(side)
    picture, there = scene(large, large, 4), np.zeros((large, large), bool)
    picture[dy : dy + side, dx : dx + side][shape] = image[shape]
    there[dy : dy + side, dx : dx + side] = shape
    removed = np.zeros_like(there)
    removed[20:180, 20:180] = True
    return picture, there, removed


@pytest.mark.parametrize("at", [(30, 40), (70, 60)])
def test_the_box_is_the_gaps_and_not_the_silhouettes(at):
    picture, there, removed = placed(*at)
    image, shape = blob()
    found = fit_pose(picture, there, [(image, shape)], removed)
    assert found is not None and found.box == (4, 4, 196, 196)  # the gap of 160 px with a tenth all round
    laid = lay(found, [(image, shape)], removed)
    assert (laid.valid & there).sum() > 0.85 * there.sum() and (laid.valid & ~there).sum() < 0.2 * there.sum()
    inside = laid.valid & there
    assert np.abs(laid.image[inside].astype(float) - picture[inside]).mean() < 25


def test_a_hints_map_alone_does_not_say_where_the_entity_was():
    """Two photographs of K with the entity at other places, each laid at the same place: without K the maps differ as
    much as if the entity had been elsewhere."""
    picture, there, removed = placed(60, 50)
    maps = []
    for dx, dy in ((0, 0), (104, 104)):
        image, shape, _ = placed(dx, dy)
        found = fit_pose(picture, there, [(image, shape)], removed)
        assert found is not None
        laid = lay(found, [(image, shape)], removed)
        assert (laid.valid & there).sum() > 0.85 * there.sum()
        maps.append(found.matrix[:, 2])
    assert np.abs(maps[0] - maps[1]).min() > 0.5


def test_a_gap_that_is_much_wider_gets_no_hint():
    large = scene(1600, 1600, 2)
    there = np.zeros((1600, 1600), bool)
    there[800:840, 800:840] = True
    image, shape = blob()
    assert fit_pose(large, there, [(image, shape)], np.ones_like(there)) is None


def test_a_map_beyond_the_format_does_not_fit():
    assert hint().fits()
    assert not hint(matrix=np.full((2, 3), 4.1, np.float32)).fits()
    assert not hint(flow=np.full((2, GRID, GRID), -0.51, np.float32)).fits()


def test_without_a_silhouette_there_is_no_hint():
    image, shape = blob()
    assert fit_pose(image, shape, [(image, np.zeros_like(shape))]) is None
    assert fit_pose(image, shape, []) is None


def test_a_hint_for_another_k_or_picture_is_refused():
    image, shape = blob()
    with pytest.raises(PayloadError, match="names sample 3; this K has 1"):
        lay(hint(), [(image, shape)], shape)
    with pytest.raises(PayloadError, match="picture has 96 x 96"):
        lay(hint(sample=0, box=(0, 0, 97, 50)), [(image, shape)], shape)
