"""The command, from the command line to the files it writes, with the real networks."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from privsc.cli.app import main

RUN_FILES = {"masked.png", "mask.png", "received.png", "bob.png", "eve.png", "report.png", "report.json"}


def pixels(path):
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def finished_run(chelsea_folder, chelsea_k, tmp_path_factory):
    """`privsc run` at 10 dB, once for several tests."""
    out = tmp_path_factory.mktemp("out") / "a new folder"
    command = ["run", str(chelsea_folder / "sent.jpg"), "--db", str(chelsea_k), "--snr", "10", "--seed", "1"]
    assert main([*command, "--steps", "4", "--out", str(out)]) == 0
    return out


def test_run_writes_exactly_the_files_of_the_contract(finished_run):
    assert {path.name for path in finished_run.iterdir()} == RUN_FILES
    report = json.loads((finished_run / "report.json").read_text())
    assert report["link"]["channel"] == "awgn"
    assert report["link"]["snr_db"] == report["link"]["eve_snr_db"] == 10
    assert [entity["name"] for entity in report["hidden"]] == ["Chelsea"]


def test_run_gives_bob_more_than_eve(finished_run, chelsea_folder):
    report = json.loads((finished_run / "report.json").read_text())
    assert report["bob"]["identified"] == "Chelsea"
    assert report["eve"]["identified"] is None
    assert report["bob"]["psnr_private"] >= report["eve"]["psnr_private"] + 3
    size = pixels(chelsea_folder / "sent.jpg").shape
    for name in ("masked", "received", "bob", "eve"):
        assert pixels(finished_run / f"{name}.png").shape == size


def test_nothing_of_the_entity_is_sent(finished_run):
    mask = pixels(finished_run / "mask.png") == 255
    assert mask.mean() > 0.3
    assert (pixels(finished_run / "masked.png")[mask] == 0).all()


def test_guard_hides_chelsea(chelsea_folder, chelsea_k, tmp_path, capsys):
    out = tmp_path / "guard"
    assert main(["guard", str(chelsea_folder / "sent.jpg"), "--db", str(chelsea_k), "--out", str(out)]) == 0
    assert "Chelsea" in capsys.readouterr().out
    found = json.loads((out / "guard.json").read_text())
    (entity,) = found["entities"]
    assert entity["name"] == "Chelsea"
    assert 0 < entity["score"] <= 1
    x0, y0, x1, y1 = entity["box"]
    width, height = found["image_size"]
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    rows, columns = np.nonzero(pixels(out / "mask.png"))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x0, y0, x1, y1)


def test_a_stranger_is_sent_as_it_is(chelsea_folder, chelsea_k, tmp_path):
    photo = chelsea_folder / "stranger.jpg"
    assert main(["guard", str(photo), "--db", str(chelsea_k), "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "guard.json").read_text())["entities"] == []
    assert np.array_equal(pixels(tmp_path / "masked.png"), pixels(photo))
    assert not pixels(tmp_path / "mask.png").any()


def test_life_of_a_database(chelsea_k, chelsea_folder, tmp_path, capsys):
    path = str(tmp_path / "K.db")
    shutil.copy(chelsea_k, path)
    photo = str(chelsea_folder / "stranger.jpg")
    command = ["db", "enrol", path, "Cup", photo, "--prompt", "my cup", "--class", "cup", "--no-personalise"]
    assert main(command) == 0
    assert "Cup: index 2, 1 photographs" in capsys.readouterr().out
    assert main(["db", "list", path]) == 0
    listed = capsys.readouterr().out
    assert "Chelsea" in listed
    assert "my cup" in listed
    assert main(["db", "info", path]) == 0
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (facts["entities"], facts["samples"], len(facts["digest"])) == ("2", "4", 64)
    assert main(["db", "remove", path, "chelsea"]) == 0
    assert main(["db", "remove", path, "Cup"]) == 0
    capsys.readouterr()
    assert main(["db", "list", path]) == 0
    assert "holds nobody yet" in capsys.readouterr().out


def test_an_interrupt_ends_with_130_and_leaves_no_file(chelsea_folder, chelsea_k, tmp_path, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("privsc.system.trial.run_trial", interrupted)
    out = tmp_path / "out"
    assert main(["run", str(chelsea_folder / "sent.jpg"), "--db", str(chelsea_k), "--out", str(out)]) == 130
    assert list(out.iterdir()) == []
    assert capsys.readouterr().err.strip().splitlines()[-1] == "privsc: interrupted"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["run"],
        ["guard"],
        ["sweep"],
        ["worker"],
        ["db"],
        ["db", "init"],
        ["db", "enrol"],
        ["db", "list"],
        ["db", "remove"],
        ["db", "info"],
        ["train"],
        ["train", "codec"],
        ["train", "guard"],
        ["train", "outlines"],
        ["train", "recovery"],
        ["train", "endtoend"],
        ["models"],
        ["models", "list"],
        ["models", "fetch"],
        ["models", "verify"],
        ["eval"],
        ["eval", "guard"],
        ["eval", "recovery"],
        ["eval", "modes"],
        ["eval", "eavesdroppers"],
        ["eval", "baselines"],
        ["radio"],
        ["radio", "loopback"],
        ["radio", "doctor"],
    ],
)
def test_help_of_every_command_has_an_example(command, capsys):
    assert main([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Usage" in shown
    if command not in ([], ["db"], ["train"], ["models"], ["eval"], ["radio"]):
        assert "Example: privsc" in shown


def test_models_verify(capsys):
    assert main(["models", "verify"]) == 0
    assert "match their SHA-256" in capsys.readouterr().out
    assert main(["models", "list"]) == 0
    assert "sam-lite" in capsys.readouterr().out


def test_train_codec_writes_a_codec_that_the_link_reads(tmp_path, capsys):
    from phy.codec.codec import Codec

    out = tmp_path / "tiny.npz"
    assert main(["train", "codec", "--k", "2", "--n", "2", "--steps", "20", "--out", str(out)]) == 0
    assert (Codec.load(out).k, Codec.load(out).n) == (2, 2)


def test_the_program_runs_as_a_module_and_fails_in_one_line(tmp_path):
    command = [sys.executable, "-m", "privsc", "db", "list", str(tmp_path / "none.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "none.db: no such database; make one with 'privsc db init" in done.stderr


def test_help_does_not_wait_for_torch():
    code = "import sys; from privsc.cli.app import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120).returncode == 0


def test_progress_is_lines_where_the_output_is_no_terminal(monkeypatch):
    """A line when a stage begins, one every 15 s with the time that is left, one when it ends."""
    from privsc.cli.options import StageLines

    monkeypatch.setattr(StageLines, "DELAY", 0)
    now, said = [0.0], []
    stage = StageLines(said.append, lambda: now[0])
    update = stage("enrolling Vicky")
    for second in range(1, 41):
        now[0] = float(second)
        update(second, 80, "personalising")
    stage("pictures")
    now[0] = 40.5
    stage.finish()
    assert said == [
        "[   0.0 s] enrolling Vicky",
        "[  15.0 s] enrolling Vicky: 15 of 80, personalising, about 65 s left",
        "[  30.0 s] enrolling Vicky: 30 of 80, personalising, about 50 s left",
        "[  40.0 s] enrolling Vicky: done in 40.0 s",
        "[  40.0 s] pictures",
    ]


def test_what_is_refused_at_once_shows_no_progress(monkeypatch):
    from privsc.cli.options import StageLines

    said = []
    refused, short = StageLines(said.append), StageLines(said.append)
    refused("enrolling Vicky")
    refused.cancel()
    assert said == []
    short("pictures")
    short("figures")  # the second stage brings the first line with it
    short.cancel()
    assert [line.split("] ")[1] for line in said] == ["pictures", "figures"]
    monkeypatch.setattr(StageLines, "DELAY", 0.05)
    late = StageLines(said.append)
    late("networks")
    late._timer.join(10)
    late.cancel()
    assert said[2].endswith("networks")
