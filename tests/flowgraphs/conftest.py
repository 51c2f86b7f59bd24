"""Every flowgraph, compiled once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flowgraphs.radio import module


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the headless program of every flowgraph."""
    folder = tmp_path_factory.mktemp("programs")
    done = module("flowgraphs.tools.variants", str(folder))
    assert done.returncode == 0, done.stderr
    return folder
