"""Hidden pixels are continued from visible ones alone."""

import numpy as np

from privsc.images.fill import fill_hidden


def test_hidden_pixels_have_no_influence():
    rng = np.random.default_rng(0)
    picture = rng.random((37, 50, 3), dtype=np.float32)
    hidden = np.zeros((37, 50), bool)
    hidden[5:30, 10:41] = True
    hidden[36] = True
    changed = np.where(hidden[..., None], rng.random((37, 50, 3), dtype=np.float32), picture)
    filled = fill_hidden(picture, hidden)
    assert np.array_equal(filled, fill_hidden(changed, hidden))
    assert np.array_equal(filled[~hidden], picture[~hidden])


def test_hidden_nan_does_not_spread():
    picture = np.full((16, 16, 3), 0.25, np.float32)
    hidden = np.zeros((16, 16), bool)
    hidden[4:9, 4:9] = True
    picture[hidden] = np.nan
    assert np.allclose(fill_hidden(picture, hidden), 0.25)


def test_the_fill_lies_between_its_surroundings():
    picture = np.zeros((32, 32, 1), np.float32)
    picture[:, 16:] = 1
    hidden = np.zeros((32, 32), bool)
    hidden[:, 8:24] = True
    filled = fill_hidden(picture, hidden)
    assert filled.min() >= 0 and filled.max() <= 1
    assert filled[:, 8].mean() < 0.5 < filled[:, 23].mean()


def test_nothing_and_everything_hidden():
    picture = np.random.default_rng(1).random((8, 8, 3), dtype=np.float32)
    assert np.array_equal(fill_hidden(picture, np.zeros((8, 8), bool)), picture)
    assert not fill_hidden(picture, np.ones((8, 8), bool)).any()
