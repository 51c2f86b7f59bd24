"""Recovery and Algorithm 2 with the shipped privsc-mini; Chelsea's photograph stands for the entity."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load
from skimage import data

from privsc.datasets.builtin import _encoded, views
from privsc.errors import DatabaseError, RecoveryError, WeightsError
from privsc.images.metrics import psnr
from privsc.images.placement import split_region
from privsc.knowledge.samples import sample_pairs
from privsc.networks import adapters
from privsc.networks.diffusion import (
    CROP,
    Condition,
    build_scheduler,
    load_model,
    loss_weight,
    predict_x0,
    signal_to_noise,
)
from privsc.networks.text_encoder import load_text_encoder
from privsc.recovery.personalise import Personalisation, personalise
from privsc.recovery.recovery import Recovery, paste
from privsc.recovery.reference import best_sample
from privsc.recovery.sampler import make_condition, sample
from privsc.system.enrol import make_entity


@pytest.fixture(scope="module")
def recovery():
    return Recovery()


@pytest.fixture(scope="module")
def chelsea():
    photos = [_encoded(view) for view in views(data.chelsea(), 3, 21)]
    return replace(make_entity("Chelsea", photos, class_word="cat"), index=1)


@pytest.fixture(scope="module")
def masked():
    """Chelsea's head removed: A, M."""
    image = data.chelsea()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    mask = ((x - 230) / 130) ** 2 + ((y - 140) / 120) ** 2 <= 1
    return np.where(mask[..., None], np.uint8(0), image), mask


def test_background_is_never_touched(recovery, chelsea, masked):
    image, mask = masked
    for entities in ((chelsea,), None):
        out = recovery(image, mask, entities, class_word="cat", steps=3)
        assert out.shape == image.shape and out.dtype == np.uint8
        assert (out[~mask] == image[~mask]).all()
        assert out[mask].std() > 5  # something was painted


def test_bob_is_nearer_to_the_truth_than_eve(recovery, chelsea):
    """On the silhouette that the guard itself removes."""
    from privsc.guard.guard import Guard
    from privsc.networks.image_encoder import load_encoder
    from privsc.networks.mask_decoder import load_segmenter

    image = data.chelsea()
    guarded = Guard(load_encoder(), load_segmenter())(image, [chelsea])
    bob = recovery(guarded.masked, guarded.mask, (chelsea,))
    eve = recovery(guarded.masked, guarded.mask, None, class_word="cat")
    assert psnr(image, bob, guarded.mask) > psnr(image, eve, guarded.mask) + 2


def test_same_seed_same_picture(recovery, chelsea, masked):
    image, mask = masked
    first, again = (recovery(image, mask, (chelsea,), steps=2, seed=7) for _ in range(2))
    other = recovery(image, mask, (chelsea,), steps=2, seed=8)
    assert (first == again).all() and (first != other).any()


def test_nothing_removed_nothing_painted(recovery, chelsea):
    image = data.chelsea()
    assert (recovery(image, np.zeros(image.shape[:2], bool), (chelsea,)) == image).all()


@pytest.mark.parametrize(
    "options, match",
    [
        ({"steps": 0}, "`steps` must be at least 1; got 0"),
        ({"init": "hope"}, "`init` must be one of reference, noise; got 'hope'"),
    ],
)
def test_impossible_options_are_refused(recovery, chelsea, masked, options, match):
    with pytest.raises(RecoveryError, match=match):
        recovery(*masked, (chelsea,), **options)


def test_eq_14_keeps_the_known_pixels_at_every_step(masked):
    """x0 outside the region is the surroundings themselves, whatever the network says."""
    image, mask = masked
    text = load_text_encoder().embed("a photo of a cat")
    condition, covered = make_condition(image, mask, None, text, (60, 0, 400, 300))
    x0 = sample(load_model(), condition, covered, steps=2, strength=1.0, seed=0)
    outside = condition.mask.expand_as(x0) == 0
    assert torch.allclose(x0[outside], condition.surroundings[outside], atol=1e-6)


def test_the_sample_of_the_same_view_fits_best(chelsea):
    for number, (photo, silhouette) in enumerate(sample_pairs(chelsea)):
        warped = best_sample(chelsea, photo, silhouette)
        assert warped.overlap > 0.9, number


def test_regions_of_two_entities_come_apart_from_left_to_right():
    region = np.zeros((60, 100), bool)
    region[10:50, 60:95], region[20:40, 5:30], region[2:4, 50:52] = True, True, True  # and a speck
    left, right = split_region(region, 2)
    assert left[25, 10] and not left[25, 70] and right[25, 70]
    assert ((left | right) == region).all() and not (left & right).any()


def test_paste_changes_the_region_only():
    image = np.full((50, 80, 3), 10, np.uint8)
    region = np.zeros((50, 80), bool)
    region[10:30, 20:40] = True
    out = paste(image, region, np.full((CROP, CROP, 3), 200, np.float32), (10, 0, 60, 50))
    assert (out[region] == 200).all() and (out[~region] == 10).all()


def test_snr_weight_grows_and_is_capped():
    scheduler = build_scheduler()
    t = torch.arange(0, 1000, 50)
    weight = loss_weight(signal_to_noise(scheduler, t))
    assert weight[0] == 1 and (weight.diff() <= 0).all() and weight[-1] > 0


def test_missing_and_truncated_models_are_named(tmp_path):
    with pytest.raises(WeightsError, match="no diffusion model"):
        load_model(tmp_path / "none")
    source = load_model()
    source.unet.save_pretrained(tmp_path / "unet")
    source.scheduler.save_pretrained(tmp_path / "scheduler")
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="truncated or not a diffusion model"):
        load_model(tmp_path)


def test_personalisation_learns_the_entity_and_leaves_the_model_alone(chelsea):
    model = load_model()
    rng = np.random.default_rng(0)
    probe = Condition(
        torch.zeros(1, 3, CROP, CROP),
        torch.ones(1, 1, CROP, CROP),
        torch.zeros(1, 3, CROP, CROP),
        torch.from_numpy(chelsea.text_embedding)[None, None],
    )
    noise = torch.from_numpy(rng.standard_normal((1, 3, CROP, CROP), dtype=np.float32))
    with torch.no_grad():
        before = predict_x0(model.unet, noise, torch.tensor([900]), probe)
    adapter = personalise(chelsea, config=Personalisation(steps=6, batch=2))
    tensors = load(adapter)
    assert 10_000 < len(adapter) < 5_000_000
    assert any(value.abs().max() > 0 for name, value in tensors.items() if "lora_B" in name)
    with torch.no_grad():
        after = predict_x0(model.unet, noise, torch.tensor([900]), probe)
        with adapters.applied(model.unet, adapter):
            personal = predict_x0(model.unet, noise, torch.tensor([900]), probe)
    assert torch.allclose(before, after, atol=1e-5)
    assert (personal - before).abs().max() > 1e-3


def test_a_damaged_adapter_is_refused_and_the_model_stays_generic(chelsea):
    model = load_model()
    for broken in (b"", b"\x08\0\0\0\0\0\0\0{}", b"garbage" * 100):
        with pytest.raises(DatabaseError, match="adapter in K is damaged"), adapters.applied(model.unet, broken):
            raise AssertionError("never reached")
    assert not any("lora" in name for name, _ in model.unet.named_parameters())
