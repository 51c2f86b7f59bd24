import hashlib
import json

import numpy as np
import pytest
from PIL import Image
from skimage import data

from privsc.cli.app import main
from privsc.cli.options import stages
from privsc.datasets import album, builtin
from privsc.errors import DatabaseError
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


def test_nothing_of_the_photograph_that_is_sent_is_in_k():
    story = demo.biscuit(0)
    enrolled = [hashlib.sha256(photo).hexdigest() for entity in story.entities for photo in entity.photos]
    assert hashlib.sha256(album.read(album.SENT)).hexdigest() not in enrolled
    assert len(set(enrolled)) == len(enrolled) == 4 + 2 * demo.DECOY_VIEWS
    assert story.truth == "Biscuit" and "Chelsea" not in [entity.name for entity in story.entities]


def test_the_easy_demo_sends_another_view_of_the_photograph_that_k_is_made_of():
    story = demo.chelsea(0)
    assert [entity.name for entity in story.entities] == ["Chelsea", "Astronaut", "Coffee"]
    assert story.stranger is None and "easier than life" in story.note
    assert builtin._encoded(story.image) not in story.entities[0].photos


@pytest.mark.parametrize(("arguments", "truth"), [([], "Biscuit"), (["--chelsea"], "Chelsea")])
def test_the_command_chooses_the_story(arguments, truth, monkeypatch):
    chosen = []

    def run(out, story, seed, stage):
        chosen.append(story.truth)
        raise DatabaseError("the choice is all that is looked at here")

    monkeypatch.setattr(demo, "run_demo", run)
    assert main(["demo", *arguments]) == 2
    assert chosen == [truth]


@pytest.mark.slow
def test_the_demo_shows_what_it_promises(tmp_path, monkeypatch):
    """Message errors fall with SNR; Bob sees Biscuit, Eve does not, Bob leads by 3 dB, and the stranger stays."""
    story = demo.biscuit(0)
    with stages() as stage:
        rows = demo.run_demo(tmp_path / "demo", story, 0, stage, steps=1)
    rates = [row["link"]["message_error_rate"] for row in rows]
    assert [row["link"]["snr_db"] for row in rows] == list(demo.SNRS)
    assert rates[0] > rates[1] >= rates[2] >= rates[3]
    assert [entity["name"] for entity in rows[0]["hidden"]] == ["Biscuit"]
    assert 0.2 < rows[0]["private_share"] < 0.4
    last = rows[-1]
    assert last["bob"]["identified"] == "Biscuit"
    assert last["eve"]["identified"] != "Biscuit"
    assert last["bob"]["psnr_private"] >= last["eve"]["psnr_private"] + 3
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert [run["link"]["snr_db"] for run in report["runs"]] == list(demo.SNRS)
    assert report["stranger"]["name"] == "Chelsea" and report["stranger"]["hidden_share"] == 0
    x0, y0, x1, y1 = report["stranger"]["box"]
    with Image.open(tmp_path / "demo" / "masked.png") as masked:
        assert np.array_equal(np.asarray(masked)[y0:y1, x0:x1], story.image[y0:y1, x0:x1])
    assert Image.open(tmp_path / "demo" / "fig4.png").size[0] > 1000

    calls = []
    monkeypatch.setattr("privsc.system.enrol.enrol", lambda *a, **o: calls.append(a))
    with stages() as stage, demo.database(tmp_path / "demo", story, 0, stage, steps=1) as db:
        assert [entity.name for entity in db.entities()] == ["Biscuit", "Astronaut", "Coffee"]
    assert calls == []
