"""Experiment files: what is read, and that a broken one is one line with the key's path before anything runs."""

import json

import pytest
from PIL import Image

from privsc.cli.app import main
from privsc.errors import ExperimentError
from privsc.experiments.spec import key_path, read_experiment
from privsc.experiments.subjects import collect
from privsc.system.config import RunConfig
from tests.fakes.samples import scene

WHOLE = """
title = "T"
[dataset]
source = "folder"
path = "cats"
class_word = "cat"
personalise = false
[fixed]
codec = "image8x4"
[axes]
snr_db = [5, 10.5]
channel = ["awgn", "rayleigh"]
seed = [0, 3]
"""


@pytest.fixture
def place(tmp_path):
    """A folder with one folder a cat: Vicky has three photographs, Tom two, Alone one."""
    for name, count in (("Vicky", 3), ("Tom", 2)):
        (tmp_path / "cats" / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(scene(64, 64, number)).save(tmp_path / "cats" / name / f"{name}_{number:03d}.JPG")
    (tmp_path / "lonely" / "Alone").mkdir(parents=True)
    Image.fromarray(scene(64, 64)).save(tmp_path / "lonely" / "Alone" / "0.jpg")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.db").write_text("no database at all")
    return tmp_path


def written(place, text):
    path = place / "mine.toml"
    path.write_text(text)
    return path


def test_a_whole_file_is_read(place):
    experiment = read_experiment(written(place, WHOLE))
    assert (experiment.name, experiment.title, experiment.points) == ("mine", "T", 8)
    assert (experiment.x, experiment.series) == ("snr_db", ("channel",))
    configs = list(experiment.configs())
    assert len({config.model_dump_json() for config in configs}) == 8
    assert [config.seed for config in configs] == [0] * 4 + [3] * 4
    assert {config.codec for config in configs} == {"image8x4"}


def test_last_photographs_are_sent_and_the_others_enrolled(place):
    tom, vicky = collect(read_experiment(written(place, WHOLE)), None)
    assert (tom.name, vicky.name, vicky.class_word) == ("Tom", "Vicky", "cat")
    assert [path.name for path in vicky.enrolled] == ["Vicky_000.JPG", "Vicky_001.JPG"]
    assert [photo.path.name for photo in vicky.tests] == ["Vicky_002.JPG"]


@pytest.mark.parametrize("name", sorted(set(RunConfig.model_fields) - {"seed"}))
def test_every_option_of_a_run_can_be_an_axis(place, name):
    default = RunConfig.model_fields[name].default
    value = {"eve_snr_db": 3.0, "steps": 7, "eve_class_word": "dog", "remove": ("the dog", "Vicky")}.get(name, default)
    shown = json.dumps(value)
    text = f'[dataset]\nsource = "built-in"\n[axes]\n{name} = [{shown}]\n'
    (config,) = read_experiment(written(place, text)).configs()
    assert getattr(config, name) == value


def test_subject_is_an_axis_too(place):
    text = WHOLE.replace("[axes]", '[axes]\nsubject = ["Vicky"]')
    assert [subject.name for subject in collect(read_experiment(written(place, text)), None)] == ["Vicky"]


def test_key_paths_look_like_those_of_the_file():
    assert key_path("axes", "snr_db", 2) == "axes.snr_db[2]"


CASES = {
    "unknown table": ("[axis]\nsnr_db = [5]", "axis: no such key"),
    "unknown key": (WHOLE.replace("class_word", "class_wrod"), "dataset.class_wrod: no such key"),
    "unknown axis": ("[axes]\nsnr = [5]", "axes.snr: no such axis; choose of channel"),
    "value out of range": ("[axes]\nsnr_db = [5, 10, 99]", "axes.snr_db[2]: input should be less than or equal to 60"),
    "not a number": ("[axes]\nsnr_db = [5, nan]", "axes.snr_db[1]: input should be a finite number; got nan"),
    "text for a number": ('[axes]\nsnr_db = ["5"]', "axes.snr_db[0]: input should be a valid number; got '5'"),
    "no list": ("[axes]\nsnr_db = 5", "axes.snr_db: input should be a valid list; got 5"),
    "empty axis": ("[axes]\nseed = []", "axes.seed: must hold at least one value"),
    "twice the same": ("[axes]\nseed = [1, 2, 1]", "axes.seed[2]: 1 is there already"),
    "unknown channel": ('[axes]\nchannel = ["awgn", "vacuum"]', "axes.channel[1]: choose one of awgn"),
    "fixed and axis": ("[fixed]\nsnr_db = 5\n[axes]\nsnr_db = [5]", "fixed.snr_db: is an axis too"),
    "impossible fixed value": ('[fixed]\ncoding = "gif"', "fixed.coding: input should be 'pixels'"),
    "impossible mask": ('[axes]\nmask = ["circle"]', "axes.mask[0]: must be box"),
    "removed is no list": ('[axes]\nremove = ["cat"]', "axes.remove[0]: input should be a list of descriptions"),
    "options that do not fit": (
        '[fixed]\ncoding = "webp"\n[axes]\nsend = ["index", "embedding"]',
        "axes: send embedding goes with the coding pixels only, whose bytes may be wrong",
    ),
    "unknown hint": ('[axes]\nhint = ["pose", "face"]', "axes.hint[1]: input should be 'pose' or 'none'"),
    "unknown source": ('[dataset]\nsource = "internet"', "dataset.source: input should be 'photos'"),
    "missing folder": (WHOLE.replace('"cats"', '"dogs"'), "dataset.path:"),
    "folder not named": (WHOLE.replace('path = "cats"', ""), "dataset.path: is missing"),
    "no identity in it": (WHOLE.replace('"cats"', '"empty"'), "dataset.path: holds no folder"),
    "too few photographs": (WHOLE.replace('"cats"', '"lonely"'), "dataset.test: Alone has 1 photographs"),
    "unknown subject": ('[dataset]\nsubjects = ["Chelsea", "Rex"]', "dataset.subjects[1]: Rex: no such subject"),
    "unknown subject as axis": ('[axes]\nsubject = ["Rex"]', "axes.subject[0]: Rex: no such subject"),
    "subject twice": ('[dataset]\nsubjects = ["Coffee", "Coffee"]', "dataset.subjects[1]: Coffee is there already"),
    "missing K": ('[dataset]\nk = "K.db"', "dataset.k:"),
    "no K at all": (WHOLE.replace("[fixed]", 'k = "text.db"\n[fixed]'), "dataset.k:"),
    "missing checkpoint": ('[networks]\nencoder = "sam_vit_b"\ncheckpoint = "sam.pth"', "networks.checkpoint:"),
    "unknown network": ('[networks]\nencoder = "resnet"', "networks.encoder: choose one of lite0"),
    "unknown figure": ('[report]\nfigures = ["beauty"]', "report.figures: beauty: no such figure"),
    "x that is no axis": ('[axes]\nseed = [1]\n[report]\nx = "snr_db"', "report.x: must be an axis of two numbers"),
    "pictures of nobody": ('[report]\npictures = ["Rex"]', "report.pictures[0]: Rex: no such subject"),
    "unknown carrier": ('carrier = "pigeon"', "carrier: input should be 'sionna'"),
    "SNR of a flowgraph": ('carrier = "zmq"\n[axes]\nsnr_db = [5, 10]', "axes.snr_db: with carrier zmq the flowgraph"),
    "channel without its carrier": ('[fixed]\nchannel = "zmq"', "fixed.channel: is no simulated channel"),
    "not TOML": ("[axes\nsnr_db = [5]", "is not TOML"),
    "bad name": ('name = "../up"', "name: string should match pattern"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_file_is_one_line_with_the_path_of_the_key(place, case, capsys):
    text, message = CASES[case]
    path, out = written(place, text), place / "out"
    assert main(["sweep", str(path), "--out", str(out)]) == 2
    printed = capsys.readouterr().err.strip()
    assert printed.startswith(f"privsc: {path}: {message}")
    assert "\n" not in printed
    assert not (out / "results.csv").exists()


def test_a_missing_file_and_a_folder_are_refused(place, capsys):
    for path, message in ((place / "no.toml", "no such file"), (place, "is a folder")):
        assert main(["sweep", str(path), "--out", str(place / "out")]) == 2
        assert message in capsys.readouterr().err
    assert not (place / "out").exists()


def test_a_result_that_is_not_there_cannot_be_compared(place, capsys):
    assert main(["compare", str(place)]) == 2
    assert "run 'privsc sweep' into this folder first" in capsys.readouterr().err


def test_experiments_that_come_along_are_whole(monkeypatch, place):
    from pathlib import Path

    (place / "subjects").mkdir()
    monkeypatch.setenv("PRIVSC_PHOTOS", str(place))
    files = sorted((Path(__file__).parents[3] / "experiments").glob("*.toml"))
    assert len(files) >= 6
    for path in files:
        assert read_experiment(path).title
    with pytest.raises(ExperimentError, match=r"^dataset.path: holds no folder"):
        collect(read_experiment(files[0].with_name("fig5.toml")), None)
