import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from privsc.errors import PrivscError
from privsc.images import metrics
from tests.fakes.samples import scene


@pytest.fixture
def pair():
    reference = scene(64, 80)
    noise = np.random.default_rng(1).normal(0, 12, reference.shape)
    return reference, np.clip(reference + noise, 0, 255).astype(np.uint8)


def test_psnr_is_that_of_scikit_image(pair):
    assert metrics.psnr(*pair) == pytest.approx(peak_signal_noise_ratio(*pair, data_range=255))


def test_psnr_of_a_known_error():
    reference = np.full((16, 16, 3), 100, np.uint8)
    image = reference.copy()
    image[:8] += 10
    half = np.zeros((16, 16), bool)
    half[:8] = True
    assert metrics.psnr(reference, image, half) == pytest.approx(20 * math.log10(255 / 10))
    assert metrics.psnr(reference, image) == pytest.approx(20 * math.log10(255 / 10) + 10 * math.log10(2))
    assert metrics.psnr(reference, image, ~half) == math.inf


def test_private_ssim_is_the_mean_of_the_map_over_the_mask(pair):
    reference, image = pair
    mask = np.zeros(reference.shape[:2], bool)
    mask[10:40, 20:60] = True
    whole, full = structural_similarity(reference, image, channel_axis=2, data_range=255, full=True)
    assert metrics.ssim(reference, image) == pytest.approx(whole)
    assert metrics.ssim(reference, image, mask) == pytest.approx(np.mean([full[..., c][mask].mean() for c in range(3)]))
    assert metrics.ssim(reference, reference, mask) == pytest.approx(1)


def test_an_absent_figure_is_none(pair):
    reference, image = pair
    empty = np.zeros(reference.shape[:2], bool)
    assert metrics.psnr(reference, image, empty) is None
    assert metrics.ssim(reference, image, empty) is None
    figures = metrics.quality(reference, reference, ~empty)
    assert figures["psnr"] is None
    assert figures["ssim"] == pytest.approx(1)


def test_leakage_is_the_uncovered_share():
    true = np.zeros((10, 10), bool)
    true[:, :5] = True
    covered = np.zeros((10, 10), bool)
    covered[:9] = True
    assert metrics.leakage(true, covered) == pytest.approx(0.1)
    assert metrics.leakage(~true & true, covered) is None


def test_pictures_that_cannot_be_compared_are_refused(pair):
    reference, image = pair
    with pytest.raises(PrivscError, match="must have one shape"):
        metrics.psnr(reference, image[:-1])
    with pytest.raises(PrivscError, match=r"image must be \[H, W, 3\] uint8"):
        metrics.ssim(reference, image.astype(float))
    with pytest.raises(PrivscError, match=r"mask must be \(64, 80\) bool"):
        metrics.psnr(reference, image, np.ones((64, 80)))
