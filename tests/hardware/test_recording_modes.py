"""Recordings are for their owner alone."""

import datetime
import os
import stat

import numpy as np
import pytest

pytest.importorskip("sigmf")

from hardware import sigmf_io


@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_recording_is_for_its_owner_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        data = tmp_path / "samples"
        np.zeros(64, np.complex64).tofile(data)
        sigmf_io.write(
            tmp_path / "one",
            data,
            form="CF32",
            sample_rate=1e6,
            frequency=2.4e9,
            hardware="none",
            started=datetime.datetime.now(datetime.UTC),
            frames=[],
            gaps=[],
            fields={},
        )
    finally:
        os.umask(before)
    for end in ("data", "meta"):
        assert stat.S_IMODE((tmp_path / f"one.sigmf-{end}").stat().st_mode) == 0o600
