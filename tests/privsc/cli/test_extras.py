"""The base installation, without the packages of the extras, sends and receives a photograph."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WITHOUT = """
import sys
from privsc.cli.app import EXTRAS, main
for name in set(EXTRAS) - {"requests", "huggingface_hub"}:  # diffusers brings these
    sys.modules[name] = None
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_photograph_is_sent_without_the_extras(chelsea_folder, chelsea_k, tmp_path):
    command = ["run", str(chelsea_folder / "sent.jpg"), "--db", str(chelsea_k), "--snr", "10", "--max-side", "128"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *command, "--steps", "2", "--out", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=500, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "report.json").read_text())["link"]["snr_db"] == 10


@pytest.mark.parametrize(
    ("command", "extra"),
    [(["worker", "generic"], "radio"), (["radio", "probe"], "radio"), (["models", "fetch", "sam_vit_b"], "full")],
)
def test_a_command_of_an_extra_says_which(command, extra, tmp_path):
    code = WITHOUT.replace('- {"requests", "huggingface_hub"}', "")
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=100, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and f"pip install 'privsc[{extra}]'" in done.stderr
