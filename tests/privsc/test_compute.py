"""The number format of training: chosen from capability and timing, forced both ways, and both give one result."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from privsc import compute
from privsc.compute import Timing, autocast, compute_dtype, forced, initial_values, reproducible
from privsc.datasets.builtin import _encoded, views
from privsc.errors import ConfigError
from privsc.evaluation.compute import evaluate_compute
from privsc.knowledge.samples import sample_pairs
from privsc.recovery.personalise import Personalisation, estimated_seconds, personalise
from privsc.recovery.recovery import Recovery
from privsc.system.enrol import make_entity


@pytest.fixture
def processor(monkeypatch):
    """Sets what the timing of the processor is said to have found."""
    monkeypatch.delenv(compute.VARIABLE, raising=False)
    return lambda found: monkeypatch.setattr(compute, "timing", lambda: found)


@pytest.mark.parametrize(
    ("found", "dtype"),
    [
        (Timing("AVX2", False, None, None), torch.float32),
        (Timing("AVX512", True, 0.010, 0.009), torch.float32),  # there, and of no use
        (Timing("AVX512", True, 0.010, 0.200), torch.float32),  # there, and emulated
        (Timing("AMX", True, 0.010, 0.003), torch.bfloat16),
    ],
)
def test_bfloat16_only_where_it_is_clearly_faster(processor, found, dtype):
    processor(found)
    assert compute_dtype() is dtype


def test_this_processor_is_timed_once_and_what_it_lacks_is_not_timed():
    found = compute.timing()
    assert compute.timing() is found
    assert found.native == (found.bfloat16 is not None) == (found.float32 is not None)
    with torch.no_grad():  # where Algorithm 2 is estimated
        assert compute._seconds(torch.float32) > 0


def test_a_training_step_is_timed_where_gradients_are_off():
    with torch.no_grad():
        assert compute._seconds(torch.float32) > 0


def test_the_environment_overrules_the_timing_and_forced_overrules_both(processor, monkeypatch):
    processor(Timing("AVX2", False, None, None))
    monkeypatch.setenv(compute.VARIABLE, "bfloat16")
    assert compute_dtype() is torch.bfloat16
    with forced(torch.float32):
        assert compute_dtype() is torch.float32
        with forced(torch.bfloat16):
            assert compute_dtype() is torch.bfloat16
        assert compute_dtype() is torch.float32
    with reproducible():
        assert compute_dtype() is torch.float32 and torch.get_num_threads() == 1
    monkeypatch.setenv(compute.VARIABLE, "half")
    with pytest.raises(ConfigError, match=r"PRIVSC_DTYPE: must be auto, float32 or bfloat16; got 'half'"):
        compute_dtype()
    with pytest.raises(ConfigError, match="float16"), forced(torch.float16):
        pass


def test_autocast_computes_in_the_format_asked_for():
    x, w = torch.ones(1, 4, 8, 8), torch.ones(4, 4, 3, 3)
    for dtype in (torch.float32, torch.bfloat16):
        with forced(dtype), autocast():
            assert torch.nn.functional.conv2d(x, w).dtype is dtype


@pytest.fixture(scope="module")
def cat():
    photos = [_encoded(seen) for seen in views(data.chelsea(), 2, seed=3)]
    return make_entity("Chelsea", photos, class_word="cat")


@pytest.mark.slow
def test_enrolment_in_either_format_paints_the_same_picture(cat):
    """Two steps of Algorithm 2 in each format: Bob's pictures differ by less than a level on average."""
    from dataclasses import replace

    painted, sizes = [], []
    image, mask = sample_pairs(cat)[0]
    recover = Recovery()
    for dtype in (torch.float32, torch.bfloat16):
        with forced(dtype):
            adapter = personalise(cat, config=Personalisation(steps=2, batch=2), seed=4)
        sizes.append(len(adapter))
        sent = np.where(mask[..., None], np.uint8(0), image)
        painted.append(recover(sent, mask, [replace(cat, adapter=adapter)], steps=1).astype(float))
    assert sizes[0] == sizes[1]
    apart = np.abs(painted[0] - painted[1])[mask]
    assert apart.mean() < 1.0
    assert not np.array_equal(painted[0], np.where(mask[..., None], 0, image))


def test_the_time_of_enrolment_is_estimated_in_proportion_to_its_steps():
    few, many = (estimated_seconds(config=Personalisation(steps=n, batch=1)) for n in (1, 1000))
    assert 0 < few < many


@pytest.mark.slow
def test_the_table_marks_the_format_in_use(monkeypatch):  # without bfloat16, which takes minutes where emulated
    monkeypatch.setattr("privsc.evaluation.compute.FORMATS", {"float32": torch.float32})
    with forced(torch.float32):
        (row,) = evaluate_compute(steps=1)
    assert row.chosen and row.dtype == "float32"
    assert row.enrolment > row.subject > 0 and row.step > 0 and row.recovery > 0


def test_initial_values_come_from_the_seed_and_leave_the_generator_alone():
    before = torch.get_rng_state()
    made = []
    for seed in (1, 1, 2):
        with initial_values(seed):
            made.append(torch.nn.Linear(3, 3).weight)
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_seeds_a_generator_that_others_draw_from():
    """Every ``torch.manual_seed`` and ``numpy.random.seed`` in the packages stands within a fork of the generator."""
    root, found = Path(__file__).parents[2], []
    for package in ("privsc", "phy", "hardware", "flowgraphs"):
        for path in (root / package).rglob("*.py"):
            lines = path.read_text().splitlines()
            for number, line in enumerate(lines):
                seeds = re.search(r"torch\.manual_seed\(|np\.random\.seed\(|(?<![.\w])random\.seed\(", line)
                if seeds and "fork_rng" not in lines[number - 1]:
                    found.append(f"{path.relative_to(root)}:{number + 1}")
    assert found == []
