"""The real training code, made tiny: it learns, stops and goes on as if it had not stopped."""

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file
from skimage import data

from privsc.datasets.pets import read_pets
from privsc.datasets.subjects import photos_folder
from privsc.errors import PhotoError
from privsc.networks.diffusion import load_model
from privsc.networks.mask_decoder import read_weights
from privsc.training.diffusion import RecoveryTrainer, RecoveryTraining
from privsc.training.mask_decoder import GuardTrainer, GuardTraining


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder laid out like PRIVSC_PHOTOS, with four pictures of two "breeds"."""
    root = tmp_path_factory.mktemp("photos")
    for part in ("images", "trimaps"):
        (root / "pets" / part).mkdir(parents=True)
    names = ("Abyssinian_1", "Abyssinian_2", "american_bulldog_3", "american_bulldog_7")
    for number, name in enumerate(names):
        photo = Image.fromarray(np.roll(data.chelsea(), 20 * number, axis=1)).resize((150, 100))
        y, x = np.mgrid[:100, :150]
        radius = ((x - 75) / 45) ** 2 + ((y - 50) / 40) ** 2
        trimap = np.where(radius < 0.9, 1, np.where(radius < 1.1, 3, 2)).astype(np.uint8)
        photo.save(root / "pets" / "images" / f"{name}.jpg")
        Image.fromarray(trimap).save(root / "pets" / "trimaps" / f"{name}.png")
    return root


def test_pets_ending_in_seven_are_kept_for_evaluation(folder):
    assert [pet.number for pet in read_pets(folder)] == [1, 2, 3]
    assert [pet.number for pet in read_pets(folder, held_out=True)] == [7]


def test_a_folder_without_photographs_is_named(tmp_path, monkeypatch):
    with pytest.raises(PhotoError, match=r"no pets/images/\*\.jpg"):
        list(read_pets(tmp_path))
    monkeypatch.delenv("PRIVSC_PHOTOS", raising=False)
    with pytest.raises(PhotoError, match="give --photos DIR or set PRIVSC_PHOTOS"):
        photos_folder(None)


def test_recovery_training_resumes_where_it_was(folder, tmp_path):
    config = RecoveryTraining(steps=4, batch=2, warmup=1, save_every=2)
    losses = []
    whole = RecoveryTrainer(tmp_path / "whole", config)
    whole.run(folder, lambda step, steps, loss: losses.append(loss))
    RecoveryTrainer(tmp_path / "parts", config).run(folder, lambda *_: None, stop_after=2)
    resumed, rest = RecoveryTrainer(tmp_path / "parts", config), []
    assert resumed.step == 2
    resumed.run(folder, lambda step, steps, loss: rest.append(loss))
    assert rest == pytest.approx(losses[2:], rel=0.02)
    assert not list((tmp_path / "parts").glob("*.partial"))
    resumed.export(tmp_path / "model")
    assert load_model(tmp_path / "model").unet.config.in_channels == 160


def test_guard_training_lowers_the_loss_and_exports(folder, tmp_path):
    config = GuardTraining(steps=12, batch=1, prompts=2, warmup=2, rate=1e-3, save_every=6)
    losses = []
    trainer = GuardTrainer(tmp_path / "state", config)
    trainer.run(folder, lambda step, steps, loss, overlap: losses.append(loss))
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert GuardTrainer(tmp_path / "state", config).step == 12
    trainer.export(tmp_path / "sam.safetensors")
    names = set(load_file(tmp_path / "sam.safetensors"))
    assert names == set(read_weights(tmp_path / "sam.safetensors").state_dict())
