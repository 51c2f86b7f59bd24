import json

import numpy as np
import pytest
from PIL import Image
from skimage import data

from privsc.cli.options import stages
from privsc.datasets import builtin
from privsc.system import demo


def test_views_differ_and_are_those_of_the_seed():
    photo = data.chelsea()
    first, again, other = builtin.views(photo, 3, 1), builtin.views(photo, 3, 1), builtin.views(photo, 3, 2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert len({seen.tobytes() for seen in first}) == 3


def test_a_view_is_made_of_the_photograph_alone():
    """No border is invented: a photograph of one colour gives views of one colour, whatever its crop."""
    photo = np.full((120, 160, 3), 128, np.uint8)
    for seen in builtin.views(photo, 8, 3):
        assert seen.dtype == np.uint8
        assert np.ptp(seen.reshape(-1, 3), axis=0).max() <= 1
        assert 0.8 * 120 < seen.shape[0] < 120
        assert 0.8 * 160 < seen.shape[1] < 160


def test_views_mirror_about_half_of_the_time():
    ramp = np.repeat(np.linspace(50, 200, 160).astype(np.uint8)[None, :, None], 120, axis=0).repeat(3, axis=2)
    rising = [float(seen[:, -1].mean()) > float(seen[:, 0].mean()) for seen in builtin.views(ramp, 60, 0)]
    assert 15 <= sum(rising) <= 45


@pytest.mark.slow
def test_the_demo_shows_what_it_promises(tmp_path, monkeypatch):
    """Message errors fall with SNR; at 20 dB Bob sees Chelsea, Eve does not, and Bob leads by 3 dB at least."""
    monkeypatch.setattr(demo, "VIEWS", 3)
    with stages() as stage:
        rows = demo.run_demo(tmp_path / "demo", 0, stage)
    rates = [row["link"]["message_error_rate"] for row in rows]
    assert [row["link"]["snr_db"] for row in rows] == list(demo.SNRS)
    assert rates[0] > rates[1] >= rates[2] >= rates[3]
    last = rows[-1]
    assert last["bob"]["identified"] == "Chelsea"
    assert last["eve"]["identified"] != "Chelsea"
    assert last["bob"]["psnr_private"] >= last["eve"]["psnr_private"] + 3
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert [run["link"]["snr_db"] for run in report["runs"]] == list(demo.SNRS)
    assert Image.open(tmp_path / "demo" / "fig4.png").size[0] > 1000

    calls = []
    monkeypatch.setattr("privsc.system.enrol.enrol", lambda *a, **o: calls.append(a))
    with stages() as stage, demo.database(tmp_path / "demo", 0, stage) as db:
        assert [entity.name for entity in db.entities()] == ["Chelsea", "Astronaut", "Coffee"]
    assert calls == []
