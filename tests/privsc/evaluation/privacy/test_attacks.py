"""Attacks on one received picture, and the weaker protections, on made-up pictures."""

from types import SimpleNamespace

import numpy as np
import pytest

from privsc.errors import ConfigError
from privsc.evaluation.privacy.attacks import ATTACKS, Target, blurred, partial_k, pixelated, protections
from tests.fakes.networks import ColourRecovery
from tests.fakes.samples import make_entity, scene


@pytest.fixture
def heard() -> SimpleNamespace:
    """A received picture with a black square in it, and index 7."""
    image, region = scene(64, 80), np.zeros((64, 80), bool)
    region[20:44, 30:60] = True
    image[region] = 0
    return SimpleNamespace(image=image, region=region, indices=(7,), poses=())


def test_what_each_attack_knows(heard) -> None:
    """Only an attacker with photographs of K names an entity; the paper's Eve has the word, another one the index."""
    for name, attack in ATTACKS.items():
        recovery = ColourRecovery()
        out = attack(recovery, Target(heard, "cat", make_entity(index=7), seed=3))
        assert out.shape == heard.image.shape
        assert np.array_equal(out[~heard.region], heard.image[~heard.region])
        call = recovery.calls[0] if recovery.calls else None
        if "photo" in name:
            assert call["names"] == ["Vicky"]
        elif "generic" in name:
            expected = ("cat", 3) if "word" in name else ("subject number 7", 7)
            assert (call["names"], call["init"]) == (None, "noise")
            assert (call["class_word"], call["seed"]) == expected
        else:
            assert call is None


def test_a_partial_k_is_no_more_than_photographs(heard) -> None:
    class Spy(ColourRecovery):
        def __call__(self, received, region, entities, **options):
            self.held = entities[0]
            return super().__call__(received, region, entities, **options)

    whole, spy = make_entity(index=7, adapter=b"x" * 10), Spy()
    partial_k(1)(spy, Target(heard, "cat", whole))
    assert spy.held.samples == whole.samples[:1]
    assert spy.held.adapter is None
    assert not np.array_equal(spy.held.text_embedding, whole.text_embedding)


@pytest.mark.parametrize(("sample", "useful"), [(0, True), (1, False)])
def test_a_hint_serves_who_has_the_photograph_that_it_refers_to(heard, sample, useful) -> None:
    told = []

    class Spy(ColourRecovery):
        def __call__(self, received, region, entities, *, poses=(), **options):
            told.extend(poses)
            return super().__call__(received, region, entities, **options)

    hint = SimpleNamespace(sample=sample)
    heard.poses = (hint,)
    partial_k(1)(Spy(), Target(heard, "cat", make_entity(index=7)))
    assert told == ([hint] if useful else [])


def test_without_the_entity_a_partial_k_is_the_generic_eve(heard) -> None:
    recovery = ColourRecovery()
    partial_k(2)(recovery, Target(heard, "cat", None))
    assert recovery.calls[0]["names"] is None


def test_inpainting_leads_the_surroundings_in(heard) -> None:
    heard.image[:] = (10, 90, 200)
    heard.image[heard.region] = 0
    out = ATTACKS["Eve: cv2.inpaint"](ColourRecovery(), Target(heard, None, None))
    assert np.abs(out[heard.region].astype(int) - (10, 90, 200)).max() <= 6


def test_weaker_protections_change_the_region_only_and_keep_its_mean() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    mask = np.zeros((90, 120), bool)
    mask[20:70, 30:90] = True
    for name, done in protections(image, mask).items():
        assert np.array_equal(done[~mask], image[~mask]), name
        assert done[mask].std() < 0.5 * image[mask].std(), name
        assert done[mask].mean() == pytest.approx(image[mask].mean(), abs=6), name


def test_stronger_hides_more_and_blocks_are_flat() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = np.ones((64, 64), bool)
    assert blurred(image, mask, 0.1).std() < blurred(image, mask, 0.03).std() < image.std()
    mosaic = pixelated(image, mask, 4)
    assert len(np.unique(mosaic.reshape(-1, 3), axis=0)) == 16
    assert np.array_equal(mosaic[0, 0], mosaic[15, 15])
    assert np.array_equal(pixelated(image, ~mask, 4), image)


def test_refusals() -> None:
    image, mask = scene(40, 40), np.ones((40, 40), bool)
    with pytest.raises(ConfigError, match=r"blur must be more than 0.*got 0"):
        blurred(image, mask, 0)
    with pytest.raises(ConfigError, match="at least 1 block; got 0"):
        pixelated(image, mask, 0)
    with pytest.raises(ConfigError, match="at least 1 photograph; got 0"):
        partial_k(0)
