"""DC blocker and front end: what is mended, what is left bit by bit as it was."""

import numpy as np
import pytest

from hardware.errors import HardwareError
from hardware.frontend.dc import DcBlocker
from hardware.frontend.frontend import Correction, FrontEnd

BLOCK = 1 << 16


@pytest.fixture
def noise():
    return 0.1 * np.random.default_rng(3).standard_normal(8 * BLOCK, np.float32).view(np.complex64)


def blocks(samples):
    return [samples[first : first + BLOCK] for first in range(0, len(samples), BLOCK)]


def test_dc_goes_and_the_rest_stays(noise):
    blocker = DcBlocker("auto")
    got = np.concatenate([blocker.push(block) for block in blocks(noise + np.complex64(0.3 - 0.2j))])
    assert blocker.removing and blocker.loudest_dbfs == pytest.approx(20 * np.log10(abs(0.3 - 0.2j)), abs=0.1)
    assert abs(got.mean()) < 1e-3
    left = np.mean(np.abs(got - noise) ** 2) / np.mean(np.abs(noise) ** 2)
    assert 10 * np.log10(left) < -40


def test_auto_leaves_what_is_clean_bit_by_bit(noise):
    for mode in ("auto", "no"):
        blocker = DcBlocker(mode)
        assert all(blocker.push(block) is block for block in blocks(noise))
        assert not blocker.removing


def test_auto_wakes_when_dc_comes(noise):
    parts = blocks(noise)
    blocker = DcBlocker("auto")
    blocker.push(parts[0])
    assert not blocker.removing
    assert abs(blocker.push(parts[1] + np.complex64(0.5)).mean()) < 0.01
    assert blocker.removing


def test_silence_and_short_blocks_are_no_dc():
    blocker = DcBlocker("auto")
    for block in (np.zeros(100, np.complex64), np.empty(0, np.complex64), np.full(1, 1e-9, np.complex64)):
        blocker.push(block)
    assert not blocker.removing


def test_samples_that_are_no_numbers_are_zeros_and_counted(noise):
    front_end = FrontEnd(Correction("auto"), 2.0, 1.0)
    noise[[5, 99, 70_000]] = np.nan, np.inf, 1e20
    got = np.concatenate([*(part for block in blocks(noise) for part in front_end.push(block)), *front_end.finish()])
    assert np.isfinite(got.view(np.float32)).all() and np.abs(got).max() < 1
    told = front_end.report()
    assert (told["non_finite"], told["too_large"], told["resampled"]) == (2, 1, "2/1")


def test_corrections_are_checked():
    with pytest.raises(HardwareError, match="--dc-block must be one of auto, yes, no; got 'often'"):
        Correction("often")
    with pytest.raises(HardwareError, match="--swap-iq must be one of"):
        Correction.from_dict({"swap_iq": 5})
