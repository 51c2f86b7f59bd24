"""Fixtures and rules for all tests.

`@pytest.mark.radio` needs the distribution's Python with GNU Radio; `@pytest.mark.radio("SoapySDR", ...)` names the
modules that it needs instead. Without them such a test is skipped, or fails where PRIVSC_REQUIRE_RADIO is set.
"""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

import pytest

from privsc.threads import set_waiting_policy

set_waiting_policy()  # before any test imports torch

DISTRIBUTION_PYTHON = "/usr/bin/python3"


@functools.cache
def missing_modules(modules: tuple[str, ...]) -> str:
    """Which of the modules the distribution's Python cannot import, with the reason; empty when it can import all."""
    found = []
    for module in modules:
        try:
            command = [DISTRIBUTION_PYTHON, "-s", "-c", f"import {module}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except OSError as error:
            return f"{DISTRIBUTION_PYTHON} cannot be run ({error.strerror})"
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["?"]
            found.append(f"{module} ({last[0]})")
    return f"{DISTRIBUTION_PYTHON} lacks {', '.join(found)}" if found else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("radio"):
        if reason := missing_modules(mark.args or ("gnuradio",)):
            if os.environ.get("PRIVSC_REQUIRE_RADIO"):
                pytest.fail(f"PRIVSC_REQUIRE_RADIO is set, but {reason}", pytrace=False)
            pytest.skip(reason)


@pytest.fixture(scope="session")
def photos() -> Path:
    """Folder of photographs laid out as `subjects/NAME/NN.jpg`, from PRIVSC_PHOTOS."""
    folder = os.environ.get("PRIVSC_PHOTOS")
    if not folder:
        pytest.skip("PRIVSC_PHOTOS is not set: it names a folder with subjects/NAME/NN.jpg")
    return Path(folder)


@pytest.fixture(scope="session")
def chelsea_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs made from those that scikit-image carries: `chelsea/1.jpg` ... to enrol, `sent.jpg` to send."""
    import numpy as np
    from PIL import Image
    from skimage import data

    from privsc.datasets.builtin import view, views

    folder = tmp_path_factory.mktemp("photos of a cat")  # with spaces, as people's folders have
    (folder / "chelsea").mkdir()
    for number, seen in enumerate(views(data.chelsea(), 3, seed=5), start=1):
        Image.fromarray(seen).save(folder / "chelsea" / f"{number}.jpg", quality=95)
    Image.fromarray(view(data.chelsea(), np.random.default_rng(99))).save(folder / "sent.jpg", quality=95)
    Image.fromarray(data.coffee()).save(folder / "stranger.jpg", quality=95)
    return folder


@pytest.fixture(scope="session")
def chelsea_k(chelsea_folder: Path) -> Path:
    """K with Chelsea in it, made by the command itself; not to be changed by a test (copy it first)."""
    from privsc.cli.app import main

    path = chelsea_folder / "K.db"
    assert main(["db", "init", str(path)]) == 0
    photos = str(chelsea_folder / "chelsea")
    assert main(["db", "enrol", str(path), "Chelsea", photos, "--class", "cat", "--no-personalise"]) == 0
    return path
