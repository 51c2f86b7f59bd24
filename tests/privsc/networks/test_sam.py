"""The full SAM as S_alpha and M_chi: a random checkpoint of the true ViT-B, and the command line on a small one."""

import json
import os
import pickle

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor, sam_model_registry
from skimage import data

from privsc.cli.app import main
from privsc.errors import ConfigError, WeightsError
from privsc.guard.guard import Guard
from privsc.networks.files import catalogue
from privsc.networks.mask_decoder import Segmenter
from privsc.networks.sam import SIDE, SamEncoder, build_sam, load_sam, read_checkpoint
from privsc.system.build import Choice
from tests.fakes.tiny import tiny_sam


@pytest.fixture(scope="session")
def vit_b(tmp_path_factory):
    """A checkpoint file of the true ViT-B (375 MB), random; removed when the tests have ended."""
    path = tmp_path_factory.mktemp("sam") / "vit_b.pth"
    torch.manual_seed(0)
    torch.save(sam_model_registry["vit_b"]().state_dict(), path)
    yield path
    load_sam.cache_clear()
    path.unlink()


@pytest.fixture(scope="module")
def loaded(vit_b):
    return load_sam("sam_vit_b", vit_b)


@pytest.fixture(scope="module")
def picture():
    """[768, 1024, 3] uint8: as large as SAM's square, so that nothing is resampled on the way."""
    return np.tile(data.astronaut(), (2, 2, 1))[:768, :1024].copy()


class FixedViT(torch.nn.Module):
    """Stands for the ViT where only what goes in and what is made of it matters."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.embedding = torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(1))
        self.given = None

    def forward(self, pixels):
        self.given = pixels
        return self.embedding


def test_the_size_of_the_checkpoint_is_that_of_the_official_one(vit_b):
    official = catalogue.SOURCES["sam_vit_b"].files[0].size
    assert abs(vit_b.stat().st_size - official) < 50_000


def test_pixels_go_in_and_masks_come_out_as_in_sams_own_predictor(vit_b, picture):
    sam = build_sam("sam_vit_b", vit_b)
    vit = FixedViT()
    features = SamEncoder(vit, sam.pixel_mean, sam.pixel_std, "test")(picture)
    theirs = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    assert torch.allclose(vit.given, sam.preprocess(theirs), atol=1e-4)

    predictor = SamPredictor(sam)
    predictor.features, predictor.original_size, predictor.input_size = vit.embedding, (768, 1024), (768, 1024)
    predictor.is_image_set = True
    points, labels = np.array([[300.0, 200.0], [310.0, 420.0]], np.float32), np.array([1, 0])
    box = (100.0, 80.0, 700.0, 600.0)
    logits, scores, _ = predictor.predict(points, labels, np.array(box), multimask_output=True, return_logits=True)
    from privsc.networks.sam import SamDecoder

    segmenter = Segmenter(SamDecoder(sam.prompt_encoder, sam.mask_decoder))
    found, score = segmenter.probability((768, 1024), features.fitted, features.maps, points, labels=labels, box=box)
    best = int(scores.argmax())
    assert score == pytest.approx(float(scores[best]), abs=1e-5)
    assert np.allclose(found, 1 / (1 + np.exp(-logits[best])), atol=1e-4)


@pytest.mark.slow
def test_the_true_vit_b_sees_and_masks(loaded):
    encoder, segmenter = loaded
    image = data.chelsea()  # [300, 451, 3]
    features = encoder(image)
    assert encoder.identity.startswith("sam_vit_b@1024:") and encoder.dim == 256
    assert features.patches.shape == (43, 64, 256)  # 681 of 1024 rows
    assert np.allclose(np.linalg.norm(features.patches, axis=-1), 1, atol=1e-5)
    assert features.patches.std(axis=(0, 1)).mean() > 0.01
    assert features.centres[..., 0].max() < 451 and features.centres[..., 1].max() < 300
    similarity = features.patches @ features.patches[20, 30]
    matched = similarity >= np.quantile(similarity, 0.97)
    mask, points = Guard(encoder, segmenter).segment(image.shape[:2], features, similarity, matched)
    assert mask.shape == (300, 451) and mask.any()
    assert all(mask[int(y), int(x)] for x, y in points)


class Code:
    """What pickle would run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def save(path, content):
    torch.save(content, path)


def junk(path, content):
    path.write_bytes(content)


HARM = {
    "text": (lambda p, b: junk(p, b"this is no checkpoint" * 100), "not a checkpoint"),
    "empty": (lambda p, b: junk(p, b""), "truncated or not a checkpoint"),
    "cut": (lambda p, b: junk(p, b.open("rb").read(5_000_000)), "truncated or not a checkpoint"),
    "a list": (lambda p, b: save(p, [torch.zeros(3)]), "holds no table of tensors"),
    "nested": (lambda p, b: save(p, {"model": {"weight": torch.zeros(3)}}), "holds no table of tensors"),
    "another network": (lambda p, b: save(p, {"conv.weight": torch.zeros(3)}), "is not a checkpoint of sam_vit_b (31"),
    "vit_l": (
        lambda p, b: save(p, {"image_encoder.patch_embed.proj.bias": torch.zeros(1024)}),
        "is a checkpoint of sam_vit_l, not of sam_vit_b; use --encoder sam_vit_l",
    ),
    "pickled code": (lambda p, b: junk(p, pickle.dumps(Code(p.with_suffix(".ran")))), "one that would run code"),
    "code in a checkpoint": (lambda p, b: save(p, {"a": Code(p.with_suffix(".ran"))}), "one that would run code"),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_harmed_checkpoint_is_one_line_and_runs_nothing(harm, vit_b, tmp_path, capsys):
    path = tmp_path / "sam.pth"
    change, words = HARM[harm]
    change(path, vit_b)
    k = tmp_path / "K.db"
    assert main(["db", "init", str(k), "--encoder", "sam_vit_b", "--checkpoint", str(path)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith(f"privsc: {path}: ") and words in said[0]
    assert [p.name for p in tmp_path.iterdir()] == ["sam.pth"]


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(WeightsError, match="no such file; give the checkpoint"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="is a folder; give the checkpoint"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--encoder", "vit_b"], "--encoder: choose one of lite0, sam_vit_b, sam_vit_l, sam_vit_h; got 'vit_b'"),
        (["--checkpoint", "x.pth"], "--checkpoint: goes with --encoder sam_vit_b"),
        (["--encoder", "sam_vit_h"], "run 'privsc models fetch sam_vit_h' (2.56 GB)"),
    ],
)
def test_impossible_choices_are_one_line(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(tmp_path / "models"))
    assert main(["db", "init", str(tmp_path / "K.db"), *options]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and words in said[0]


@pytest.mark.parametrize(
    "command",
    [
        ["guard", "{photo}", "--db", "{k}", "--out", "{out}"],
        ["run", "{photo}", "--db", "{k}", "--out", "{out}"],
        ["db", "enrol", "{k}", "Tom", "{photo}"],
        ["eval", "guard", "--photos", "{photos}"],
        ["eval", "recovery", "--photos", "{photos}"],
        ["worker", "guard", "--db", "{k}"],
    ],
)
def test_every_command_that_loads_networks_takes_the_encoder(
    command, chelsea_folder, chelsea_k, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(tmp_path))
    (tmp_path / "photos" / "subjects" / "cat").mkdir(parents=True)
    names = {"photo": chelsea_folder / "sent.jpg", "k": chelsea_k, "out": tmp_path / "out"}
    names["photos"] = tmp_path / "photos"
    assert main([*(part.format(**names) for part in command), "--encoder", "sam_vit_l"]) == 2
    assert "run 'privsc models fetch sam_vit_l' (1.25 GB)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_recovery_is_refused():
    with pytest.raises(ConfigError, match="--recovery: choose one of mini, sd; got 'dall-e'"):
        Choice(recovery="dall-e")


def test_enrol_and_guard_from_the_command_line(chelsea_folder, tmp_path, monkeypatch, capsys):
    """The whole way on a small SAM; K is bound to the checkpoint that made it."""
    monkeypatch.setitem(sam_model_registry, "vit_b", tiny_sam)
    load_sam.cache_clear()
    for number in (1, 2):
        torch.manual_seed(number)
        torch.save(tiny_sam().state_dict(), tmp_path / f"{number}.pth")
    one, two = (["--encoder", "sam_vit_b", "--checkpoint", str(tmp_path / f"{n}.pth")] for n in (1, 2))
    k, photo = str(tmp_path / "K.db"), str(chelsea_folder / "chelsea" / "1.jpg")
    assert main(["db", "init", k, *one]) == 0
    assert main(["db", "enrol", k, "Chelsea", photo, "--class", "cat", "--no-personalise", *one]) == 0
    out = tmp_path / "out"
    assert main(["guard", photo, "--db", k, "--out", str(out), *one]) == 0
    (found,) = json.loads((out / "guard.json").read_text())["entities"]  # the very photograph that was enrolled
    assert found["name"] == "Chelsea" and found["score"] > 0.5
    capsys.readouterr()
    for other in (two, []):
        assert main(["guard", photo, "--db", k, "--out", str(tmp_path / "no"), *other]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1 and "was made with the encoder sam_vit_b@1024:" in said[0]
    assert not (tmp_path / "no").exists()
    load_sam.cache_clear()


def test_a_fetched_checkpoint_is_used_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sam_model_registry, "vit_b", tiny_sam)
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(tmp_path))
    torch.save(tiny_sam().state_dict(), tmp_path / "sam_vit_b_01ec64.pth")
    monkeypatch.setattr(catalogue, "is_fetched", lambda source, models: True)
    load_sam.cache_clear()
    encoder, _ = Choice("sam_vit_b").pair()
    assert encoder.identity.startswith(f"sam_vit_b@{SIDE}:")
    load_sam.cache_clear()
