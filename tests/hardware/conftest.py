"""The virtual radio's driver, for tests that need it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRIVER = ROOT / "hardware" / "soapy_zmq" / "build"


@pytest.fixture(scope="session")
def driver() -> Path:
    """Folder of the built driver. Skipped where it cannot be built, or failed where PRIVSC_REQUIRE_RADIO is set."""
    done = subprocess.run(["sh", "scripts/driver.sh"], cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        if os.environ.get("PRIVSC_REQUIRE_RADIO") or "not built" not in reason:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return DRIVER
