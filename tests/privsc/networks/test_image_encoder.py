"""S_alpha: shapes, geometry and what pooling does."""

import numpy as np
import pytest
from skimage import data

from privsc.errors import ConfigError
from privsc.networks.image_encoder import load_encoder, pool


@pytest.fixture(scope="module")
def chelsea():
    return load_encoder()(data.chelsea())


def test_patches_are_unit_vectors_with_centres_in_the_picture(chelsea):
    height, width, _ = data.chelsea().shape
    assert chelsea.patches.shape == (*chelsea.centres.shape[:2], load_encoder().dim)
    assert np.allclose(np.linalg.norm(chelsea.patches, axis=-1), 1, atol=1e-4)
    assert chelsea.centres[..., 0].max() < width and chelsea.centres[..., 1].max() < height
    assert chelsea.centres[0, 0, 0] < chelsea.centres[0, -1, 0]


def test_region_weights_are_shares_of_patches(chelsea):
    height, width, _ = data.chelsea().shape
    left = np.zeros((height, width), bool)
    left[:, : width // 2] = True
    weights = chelsea.region_weights(left)
    assert weights[:, 0].min() > 0.9 and weights[:, -1].max() == 0
    assert weights.sum() + chelsea.region_weights(~left).sum() == pytest.approx(
        chelsea.region_weights(np.ones_like(left)).sum(), rel=0.02
    )


def test_cells_cover_their_own_centres(chelsea):
    chosen = np.zeros(chelsea.patches.shape[:2], bool)
    chosen[3, 5] = True
    cells = chelsea.patch_cells(chosen, data.chelsea().shape[:2])
    x, y = chelsea.centres[3, 5].astype(int)
    assert cells[y, x] and 0 < cells.mean() < 0.01


def test_pool_is_a_unit_vector_and_refuses_an_empty_region(chelsea):
    weights = np.ones(chelsea.patches.shape[:2], np.float32)
    assert np.linalg.norm(pool(chelsea.patches, weights)) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="empty region"):
        pool(chelsea.patches, weights * 0)


def test_unknown_encoder_is_refused_by_name():
    with pytest.raises(ConfigError, match="no encoder 'lite9'"):
        load_encoder("lite9")
