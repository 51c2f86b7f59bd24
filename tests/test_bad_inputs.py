"""What users get wrong: one line on stderr that names the thing and the remedy, exit code 2, nothing written."""

import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from privsc.cli.app import main

RUN = ["run", "{sent}", "--db", "{k}", "--out", "{out}"]


@pytest.fixture
def places(tmp_path, chelsea_folder, chelsea_k):
    """Names that the command lines below use, each with the file it stands for."""
    k = chelsea_k.read_bytes()
    other_version = bytearray(k)
    other_version[60:64] = struct.pack(">I", 42)
    connection = sqlite3.connect(tmp_path / "foreign.db")
    connection.execute("CREATE TABLE shopping (list)")
    connection.close()
    files = {
        "text.jpg": b"this is no image\n",
        "cut.jpg": (chelsea_folder / "sent.jpg").read_bytes()[:3000],
        "empty.png": b"",
        "truncated.db": k[: len(k) // 2],
        "newer.db": bytes(other_version),
        "text.db": b"name,prompt\nVicky,a cat\n" * 20,
        "file": b"",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    Image.fromarray(np.zeros((8, 900, 3), np.uint8)).save(tmp_path / "thin.png")
    (tmp_path / "empty folder").mkdir()
    encoder = tmp_path / "encoder.db"
    encoder.write_bytes(k)
    _other_encoder(encoder)
    names = {path.name.replace(" ", "_").replace(".", "_"): path for path in tmp_path.iterdir()}
    names |= {"sent": chelsea_folder / "sent.jpg", "photos": chelsea_folder / "chelsea"}
    k_copy = tmp_path / "copy.db"
    k_copy.write_bytes(k)
    return names | {"k": k_copy, "out": tmp_path / "out", "missing": tmp_path / "missing"}


def _other_encoder(path: Path) -> None:
    """K as another encoder would have made it, consistent in itself."""
    from privsc.knowledge.database import Database

    with Database.open(path) as db:
        db.encoder_identity = "vit_b@1024:0123456789ab"
        with db.transaction():
            db._connection.execute("UPDATE meta SET value = ? WHERE key = 'encoder'", (db.encoder_identity,))


CASES = {
    "photograph missing": (["run", "{missing}", *RUN[2:]], "no such file"),
    "photograph is text": (["run", "{text_jpg}", *RUN[2:]], "not an image"),
    "photograph cut short": (["run", "{cut_jpg}", *RUN[2:]], "the image is damaged"),
    "photograph empty": (["guard", "{empty_png}", *RUN[2:]], "the file is empty"),
    "photograph is a folder": (["guard", "{photos}", *RUN[2:]], "is a folder"),
    "photograph too thin": (["guard", "{thin_png}", *RUN[2:]], "900x8 px are too small"),
    "K missing": (["run", "{sent}", "--db", "{missing}", "--out", "{out}"], "no such database"),
    "K truncated": (["guard", "{sent}", "--db", "{truncated_db}", "--out", "{out}"], "is truncated"),
    "K of another schema": (["db", "list", "{newer_db}"], "has schema version 42, this program reads"),
    "K is text": (["db", "info", "{text_db}"], "is not a privacy database"),
    "K of another program": (["db", "info", "{foreign_db}"], "SQLite file of another program"),
    "K of another encoder": (["guard", "{sent}", "--db", "{encoder_db}", "--out", "{out}"], "with the encoder vit_b"),
    "K exists already": (["db", "init", "{k}"], "exists already"),
    "entity unknown": (["db", "remove", "{k}", "Tom"], "Tom: no such entity"),
    "entity known already": (["db", "enrol", "{k}", "CHELSEA", "{photos}"], "is in"),
    "name with a slash": (["db", "enrol", "{k}", "a/b", "{photos}"], "none of /"),
    "folder without photographs": (["db", "enrol", "{k}", "Tom", "{empty_folder}"], "no photograph in this folder"),
    "one of the photographs is text": (["db", "enrol", "{k}", "Tom", "{sent}", "{text_jpg}"], "2: not an image"),
    "SNR is nan": ([*RUN, "--snr", "nan"], "snr_db: input should be a finite number; got nan"),
    "SNR is no number": ([*RUN, "--snr", "loud"], "--snr"),
    "Eve's SNR beyond reason": ([*RUN, "--eve-snr", "400"], "less than or equal to 60; got 400.0"),
    "channel unknown": ([*RUN, "--channel", "vacuum"], "channel: choose one of awgn"),
    "codec unknown": ([*RUN, "--codec", "morse"], "codec: choose one of"),
    "coding unknown": ([*RUN, "--coding", "gif"], "coding: input should be 'pixels'"),
    "quality out of range": ([*RUN, "--coding", "webp", "--quality", "0"], "quality: input should be greater"),
    "seed negative": ([*RUN, "--seed", "-1"], "seed: input should be greater than or equal to 0"),
    "no step": ([*RUN, "--steps", "0"], "steps: input should be greater than or equal to 1"),
    "results onto a file": (["run", "{sent}", "--db", "{k}", "--out", "{file}"], "is not a folder"),
    "option unknown": ([*RUN, "--colour", "blue"], "--colour"),
    "command unknown": (["transmogrify"], "transmogrify"),
    "argument missing": (["db", "enrol", "{k}"], "NAME"),
    "codec file of another kind": (["train", "codec", "--out", "{file}"], ".npz"),
    "codec of impossible size": (["train", "codec", "--k", "99", "--out", "{out}.npz"], "k must be 1 to"),
    "training without photographs": (
        ["train", "recovery", "--photos", "{empty_folder}", "--state", "{out}", "--out", "{out}"],
        "pets",
    ),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_writes_nothing(case, places, tmp_path, capsys):
    command, words = CASES[case]
    before = contents(tmp_path)
    assert main([part.format(**places) for part in command]) == 2
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("privsc: ")
    assert words in lines[0]
    assert "Traceback" not in said.err
    assert contents(tmp_path) == before


def test_a_truncated_weight_file_is_named(places, tmp_path, monkeypatch, capsys):
    from privsc.networks.files import weights

    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path / "weights")
    monkeypatch.setattr(weights, "codecs_folder", lambda: tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "sam-lite.safetensors").write_bytes(bytes(100))
    weights.write_manifest()
    (tmp_path / "weights" / "sam-lite.safetensors").write_bytes(bytes(60))
    assert main(["models", "verify"]) == 2
    assert "sam-lite.safetensors has 60 bytes instead of 100; install privsc again" in capsys.readouterr().err


def test_a_full_disk_is_one_line(places, tmp_path, monkeypatch, capsys):
    def full(self, data):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["guard", str(places["sent"]), "--db", str(places["k"]), "--out", str(places["out"])]) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert list(places["out"].iterdir()) == []


def test_the_same_from_a_shell(places):
    command = [sys.executable, "-m", "privsc", "guard", str(places["text_jpg"]), "--db", str(places["k"])]
    done = subprocess.run([*command, "--out", str(places["out"])], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip().splitlines() == [
        f"privsc: {places['text_jpg']}: not an image that can be read; give a JPEG, PNG, WebP or AVIF file"
    ]
    assert not places["out"].exists()
