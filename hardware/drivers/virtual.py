"""The virtual radio's SoapySDR module: where it was built, and building it from the source that lies in `soapy_zmq`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from hardware.errors import DeviceError

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "hardware" / "soapy_zmq"
NEEDED = {  # what a build needs: a program or a file, and Debian's package of it
    "cmake": "cmake", "c++": "g++", "make": "make", "pkg-config": "pkg-config",
    "/usr/include/SoapySDR/Device.hpp": "libsoapysdr-dev", "/usr/include/zmq.h": "libzmq3-dev",
}  # fmt: skip
_LONGEST = 600  # [s] of a build


def build_folder() -> Path:
    """Where a build goes: beside the source in a checkout, to the user's data where privsc is installed."""
    if (ROOT / "pyproject.toml").is_file():
        return SOURCE / "build"
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "privsc" / "soapy_zmq"


def driver_folder() -> Path | None:
    """Where the virtual radio's driver was built; None where it was not (it may be installed in the system)."""
    folders = (build_folder(), ROOT / "build" / "soapy_zmq")
    return next((folder for folder in folders if any(folder.glob("*.so"))), None)


def build() -> Path:
    """Build the driver, or bring it up to date; the folder that SOAPY_SDR_PLUGIN_PATH must name.

    Raises:
        DeviceError: something that a build needs is missing, or the compiler refused.
    """
    missing = [package for needed, package in NEEDED.items() if not (shutil.which(needed) or Path(needed).is_file())]
    if missing:
        raise DeviceError(f"the driver is not built: run sudo apt-get install {' '.join(missing)}")
    folder = build_folder()
    cache = folder / "CMakeCache.txt"
    if cache.is_file() and f"CMAKE_HOME_DIRECTORY:INTERNAL={SOURCE.resolve()}\n" not in cache.read_text():
        shutil.rmtree(folder)  # of a version that lay elsewhere
    for command in (["cmake", "-S", str(SOURCE), "-B", str(folder), "-Wno-dev"], ["cmake", "--build", str(folder)]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            raise DeviceError(f"the driver is not built: {command[0]} took more than {_LONGEST} s") from None
        if done.returncode:
            said = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line] or ["?"]
            raise DeviceError(f"the driver is not built: {said[0].strip()}")
    return folder
