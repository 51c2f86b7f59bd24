"""The picture code's training: it learns, resumes exactly, and reads the photographs it may read and no others."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from privsc.errors import ConfigError
from privsc.networks.picture_code import PictureCode, PictureCodeConfig
from privsc.networks.picture_code_file import load_picture_code
from privsc.training import picture_code_run
from privsc.training.picture_code import (
    PictureCodeTrainer,
    PictureCodeTraining,
    faster_precision,
)
from privsc.training.picture_code_channel import Transmission, linear_error, sent_features, transmit
from privsc.training.picture_code_data import Crops, hidden_shapes, pet_photos, subject_photos
from privsc.training.picture_code_points import learn_points, mixed_symbols, points_codec
from tests.privsc.picture_codes import SMALL, components, picture, small_model

TINY = PictureCodeTraining(photographs=2, crops=2, side=32, rate=3e-3, warmup=5)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    names = ["subjects/cup/00.jpg", "subjects/cup/01.jpg", "subjects/cup/02.jpg", "subjects/dog/00.png",
             "subjects/dog/01.png", "pets/images/cat_1.jpg", "pets/images/cat_17.jpg", "pets/images/cat_70.jpg",
             "kodak/01.png"]  # fmt: skip
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(96, 128, seed)).save(root / name)
    return root


def test_only_training_photographs_are_read(photos):
    read = [*subject_photos(photos), *pet_photos(photos, validation=False)]
    assert [path.relative_to(photos).as_posix() for path in read] == [
        "subjects/cup/00.jpg", "subjects/cup/01.jpg", "subjects/dog/00.png", "pets/images/cat_1.jpg",
        "pets/images/cat_70.jpg",
    ]  # fmt: skip
    assert [path.name for path in pet_photos(photos, validation=True)] == ["cat_17.jpg"]
    assert len(Crops(photos, 32)) == 5


def test_crops_are_pictures_of_the_asked_size(photos):
    batch = Crops(photos, 32).batch(np.random.default_rng(0), 3, 2)
    assert batch.shape == (6, 32, 32, 3) and batch.dtype == np.float32
    assert -0.5 <= batch.min() < batch.max() <= 0.5
    with pytest.raises(ConfigError, match="no training photograph of at least 512 px"):
        Crops(photos, 512)
    with pytest.raises(ConfigError, match="multiple of 8 px, got 30"):
        Crops(photos, 30)


def test_hidden_shapes_hide_the_asked_share_of_crops():
    hidden = hidden_shapes(np.random.default_rng(1), 200, 32, 0.3)
    assert hidden.shape == (200, 32, 32, 1) and set(np.unique(hidden)) == {0, 1}
    assert 0.18 < hidden.any((1, 2, 3)).mean() < 0.42


def test_crops_of_one_photograph_share_power_and_rate(photos, tmp_path):
    trainer = PictureCodeTrainer(tmp_path, photos, SMALL, TINY)
    crops, hidden, way = trainer.draw(np.random.default_rng(2))
    assert crops.shape == (4, 32, 32, 3) and hidden.shape == (4, 32, 32, 1)
    assert way.sent.shape == way.noise.shape == (2, 8, 4, 64) and way.visible.shape == (2, 8, 4)
    first = way.sent[0].flatten(0, 1).sum(1)
    assert first.max() - first[first > 0].min() <= 2  # one symbol at most between two blocks
    loss, gains = trainer.losses(crops, hidden, way, torch.Generator().manual_seed(0))
    assert loss > 0 and gains.shape == (2,)


def test_features_are_sent_in_order_of_importance():
    order = torch.rand(3, 10, 10)
    sent = sent_features(order, torch.tensor([1.0, 2.5, 32.0]), torch.ones(3, 10, 10), 64)
    assert sent[0, ..., :2].all() and not sent[0, ..., 2:].any()
    assert sent[1, ..., :4].all() and 0.3 < sent[1, ..., 4].mean() < 0.7 and not sent[1, ..., 6:].any()
    assert torch.equal(sent[1, ..., 4], sent[1, ..., 5]) and sent[2].all()


def test_the_channels_error_is_the_linear_codes_expected_one():
    torch.manual_seed(0)
    model = small_model()
    energies = components()[2][:64]
    features = torch.randn(4, 40, 40, 64) * energies.sqrt()
    visible = torch.ones(4, 40, 40)
    sent = sent_features(torch.rand(4, 40, 40), torch.full((4,), 10.4), visible, 64)
    way = Transmission(sent, torch.full_like(features, 0.1), visible)
    estimate, reliability, power = transmit(model, features, way, torch.Generator().manual_seed(1))
    share = sent.mean((1, 2))
    assert torch.allclose((power * share).sum(1), share.sum(1), rtol=1e-4)
    assert not estimate[sent == 0].any() and not reliability[sent == 0].any()
    error = (estimate - features).square().mean((0, 1, 2)).sum() / 192
    expected = linear_error(torch.cat([energies, torch.zeros(128)]).expand(4, -1), way, 64).mean()
    assert float(error) == pytest.approx(float(expected), rel=0.05)


def test_training_beats_the_linear_code_it_starts_from(photos, tmp_path):
    low = PictureCodeTraining(
        photographs=3, crops=1, side=32, rate=1e-2, warmup=5, snr_db=(-2.0, 0.0), hidden_share=0.0
    )
    trainer = PictureCodeTrainer(tmp_path, photos, SMALL, low)
    gains = [trainer.advance(0.2)[1] for _ in range(60)]
    assert np.mean(gains[-20:]) > np.mean(gains[:10]) + 0.4


def test_a_resumed_training_goes_on_as_if_never_stopped(photos, tmp_path):
    through = PictureCodeTrainer(tmp_path / "a", photos, SMALL, TINY)
    through_losses = [through.advance(0.1)[0] for _ in range(6)]
    stopped = PictureCodeTrainer(tmp_path / "b", photos, SMALL, TINY)
    losses = [stopped.advance(0.1)[0] for _ in range(3)]
    stopped.save()
    resumed = PictureCodeTrainer(tmp_path / "b", photos, SMALL, TINY)
    assert resumed.step == 3
    losses += [resumed.advance(0.1)[0] for _ in range(3)]
    assert losses == through_losses
    for name, value in through.both.state_dict().items():
        assert torch.equal(resumed.both.state_dict()[name], value), name
    with pytest.raises(ConfigError, match="begun with other settings"):
        PictureCodeTrainer(tmp_path / "b", photos, SMALL, PictureCodeTraining(crops=3, side=32))


def test_a_new_training_begins_from_trained_weights(photos, tmp_path):
    trainer = PictureCodeTrainer(tmp_path, photos, SMALL, TINY)
    trained = small_model(seed=9, stirred=0.05)
    trainer.begin_from(trained)
    for network in (trainer.model, trainer.average):
        assert all(torch.equal(network.state_dict()[name], value) for name, value in trained.state_dict().items())
    other = PictureCode(PictureCodeConfig(encoder_width=8), *components())
    with pytest.raises(ConfigError, match="the weights are of sizes"):
        trainer.begin_from(other)


def test_the_faster_precision_is_measured_and_leaves_no_trace(photos, tmp_path):
    trainer = PictureCodeTrainer(tmp_path, photos, SMALL, TINY)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    low, seconds = faster_precision(trainer, steps=2)
    assert low == (seconds["bfloat16"] < seconds["float32"]) == trainer.model.low_precision
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())
    assert all(value.grad is None for value in trainer.model.parameters())


def test_points_are_learned_from_the_symbols_of_photographs(photos):
    symbols = mixed_symbols(small_model(stirred=0.02), subject_photos(photos), rates=(1 / 6,))
    assert len(symbols) == 3 * 6144 and np.mean(np.abs(symbols) ** 2) == pytest.approx(1, abs=0.1)
    points = learn_points(symbols, np.random.default_rng(0), rounds=10)
    assert 0.005 < points.rounding < 0.0095
    codec = points_codec(points, steps=7)
    assert codec.codebook.shape == (256, 1) and codec.training["steps"] == 7


def test_learning_rate_warms_up_and_falls():
    config = PictureCodeTraining(rate=1e-3, warmup=100)
    assert config.rate_at(0, 0.0) == pytest.approx(1e-5)
    assert config.rate_at(500, 0.3) == pytest.approx(1e-3)
    assert config.rate_at(5000, 0.7) == pytest.approx(0.5e-3)
    assert config.rate_at(9000, 1.0) == pytest.approx(2e-5)


def test_nonsense_is_refused():
    with pytest.raises(ConfigError, match="crops of 30 px from each of 4 photographs are none"):
        PictureCodeTraining(side=30)
    with pytest.raises(ConfigError, match="rate must be 0 to"):
        PictureCodeTraining(rate=2.0)
    with pytest.raises(ConfigError, match="empty range of SNR"):
        PictureCodeTraining(snr_db=(5.0, 1.0))


@pytest.mark.slow
def test_the_command_trains_and_writes_weights_and_curve(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(picture_code_run, "PictureCodeConfig", lambda: SMALL)
    monkeypatch.setattr(picture_code_run, "PictureCodeTraining", lambda: TINY)
    out, curve = tmp_path / "code.safetensors", tmp_path / "curve.md"
    command = [str(photos), "--state", str(tmp_path / "state"), "--out", str(out), "--curve", str(curve)]
    picture_code_run.main([*command, "--minutes", "0.03"])
    assert "s/step" in capsys.readouterr().out
    code = load_picture_code(out)
    assert 0.005 < code.points.rounding < 0.02
    assert curve.read_text().count("\n") >= 3
    step = json.loads((tmp_path / "state" / "state.json").read_text())["step"]
    picture_code_run.main([*command, "--minutes", "0"])
    assert json.loads((tmp_path / "state" / "state.json").read_text())["step"] == step
