"""`privsc radio environment` and `driver`: what GNU Radio and SoapySDR need of us, wherever privsc is installed."""

from __future__ import annotations

import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from hardware.drivers.virtual import build, driver_folder
from hardware.errors import HardwareError


def environment() -> None:
    """Print the variables with which gnuradio-companion, grcc and the distribution's Python find the flowgraphs.

    In a shell: eval "$(privsc radio environment)"; then gnuradio-companion "$PRIVSC_FLOWGRAPHS/loopback.grc", or
    /usr/bin/python3 -s -m flowgraphs.tools.run PHOTO --db K.db --out results/radio.
    """
    for name, value in variables().items():
        print(f"export {name}={shlex.quote(value)}")


def driver() -> None:
    """Build the virtual radio's SoapySDR module, for the profiles `virtual` (a minute; needs a compiler)."""
    print(build())


def variables() -> dict[str, str]:
    """Name to value: folders of blocks and packages before those that are set already, and the models side's Python."""
    found = find_spec("flowgraphs")
    if found is None or found.origin is None:
        raise HardwareError("flowgraphs: this installation has no flowgraphs; install privsc again")
    flowgraphs = Path(found.origin).parent
    given = {"GRC_BLOCKS_PATH": flowgraphs / "blocks", "PYTHONPATH": flowgraphs.parent}
    if (driver := driver_folder()) is not None:
        given["SOAPY_SDR_PLUGIN_PATH"] = driver
    return {name: _before(folder, os.environ.get(name, "")) for name, folder in given.items()} | {
        "PYTHONNOUSERSITE": "1",  # a numpy that the user installed with pip breaks the distribution's GNU Radio
        "PRIVSC_FLOWGRAPHS": str(flowgraphs),
        "PRIVSC_MODELS_PYTHON": sys.executable,
    }


def _before(folder: Path, present: str) -> str:
    others = [entry for entry in present.split(os.pathsep) if entry and entry != str(folder)]
    return os.pathsep.join([str(folder), *others])
