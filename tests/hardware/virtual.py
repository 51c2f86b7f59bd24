"""How tests use the virtual radio: a script in the distribution's Python, with `tests.hardware.lab` at hand."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.conftest import DISTRIBUTION_PYTHON

ROOT = Path(__file__).parents[2]
PRELUDE = """
import json, threading, time
import numpy as np, SoapySDR
from SoapySDR import *
from tests.hardware.lab import *
"""


def environment(driver: Path, **more: str) -> dict[str, str]:
    """Only our driver is loaded: other people's look for hardware, which takes seconds."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONNOUSERSITE": "1",
        "OMP_NUM_THREADS": "1",
        "SOAPY_SDR_PLUGIN_PATH": str(driver),
        "SOAPY_SDR_ROOT": "/nowhere",
        **more,
    }


def measure(driver: Path, code: str, *arguments: str, timeout: float = 120, **more: str) -> dict:
    """Run code with a lab; what it printed last, as JSON."""
    done = subprocess.run(
        [DISTRIBUTION_PYTHON, "-c", PRELUDE + code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(driver, **more),
        timeout=timeout,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])
