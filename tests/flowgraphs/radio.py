"""How tests of the radio side run: pytest in .venv, GNU Radio in the distribution's interpreter, one process a script.

A script prints one JSON object last; its asserts are its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.conftest import DISTRIBUTION_PYTHON

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """One thread for each process: what is measured must not depend on what else runs."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1", "OMP_NUM_THREADS": "1"}


def script(code: str, *arguments: str, timeout: float = 240) -> dict:
    """Run code with GNU Radio; what it printed last, as JSON."""
    done = subprocess.run(
        [DISTRIBUTION_PYTHON, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def module(name: str, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess:
    """Run a module with GNU Radio."""
    return subprocess.run(
        [DISTRIBUTION_PYTHON, "-m", name, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        timeout=timeout,
    )
