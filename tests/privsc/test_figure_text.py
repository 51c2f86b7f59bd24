"""Names in any script, with signs that mean something to a drawing or a page, come out as they are."""

import html
import io
import logging
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hardware.diagnosis.doctor import Diagnosis, Stage
from privsc.evaluation import baselines_report
from privsc.evaluation.endtoend import report as endtoend_report
from privsc.evaluation.pages import page_picture
from privsc.evaluation.privacy import report as eavesdropper_report
from privsc.experiments.curves import draw, page_svg, paper_files
from privsc.experiments.picture_grid import Shown, grid_files
from privsc.experiments.report import Gallery, _page
from privsc.experiments.spec import read_experiment
from privsc.experiments.summary import Cell
from privsc.figure_text import families, literal_text
from privsc.knowledge.database import Database
from privsc.radio.plots import doctor_picture, sweep_picture
from privsc.stats import Estimate
from privsc.system.build import Models
from privsc.system.config import RunConfig
from privsc.system.report import grid_picture, run_files
from privsc.system.trial import run_trial
from tests.fakes import networks
from tests.fakes.networks import BOX, BoxGuard, ColourRecovery
from tests.fakes.samples import make_entity, scene

NAMES = (
    "Cat $_$",
    "O'Brien's $x^2_$ 100 % {}#&~ $ b",
    "小猫 ミケ 고양이 قطة שלום แมว बिल्ली 🐈 👩\u200d👧 می\u200cخواهم ﷽",
)
EVIL = (*NAMES, "</text><script>alert(1)</script><img src=x onerror=\"a('b')\">-->")


@pytest.fixture(autouse=True)
def silent(caplog):
    """Nothing may be warned of, or written to a log."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_a_run(name, tmp_path, image, monkeypatch):
    monkeypatch.setitem(networks.COLOURS, name, networks.COLOURS["Vicky"])
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        db.add(make_entity(name, 1))
        trial = run_trial(image, db, Models(BoxGuard({name: BOX}), ColourRecovery()), RunConfig.build(snr_db=20))
    assert trial.figures["bob"]["identified"] == name
    assert opened(run_files(trial)["report.png"]).min() < 100
    assert opened(grid_picture([trial], name)).min() < 100
    assert opened(page_picture([(name, trial)])).min() < 100


def _experiment(tmp_path):
    (tmp_path / "cats").mkdir(exist_ok=True)
    text = '[dataset]\nsource = "folder"\npath = "cats"\n[axes]\nremove = [[], ["x"]]\nsnr_db = [5, 10]\n'
    (tmp_path / "mine.toml").write_text(text)
    return read_experiment(tmp_path / "mine.toml")


def _cells(name):
    one = Estimate(20.0, 19.0, 21.0)
    return [Cell((name,), snr, "psnr", one, one, one, 3, 3) for snr in (5.0, 10.0)]


@pytest.mark.parametrize("name", EVIL)
def test_curves_keep_a_name_literally(name, tmp_path):
    drawn = draw(_cells(name), _experiment(tmp_path), "psnr")
    svg = page_svg(drawn, "psnr")
    assert f"without {name}" in html.unescape(svg)
    assert "<script" not in svg
    assert "<img" not in svg
    assert paper_files(drawn, "psnr")["psnr.pdf"].startswith(b"%PDF")


@pytest.mark.parametrize("name", EVIL)
def test_the_page_of_an_experiment_keeps_a_name_literally(name, tmp_path):
    picture = scene(40, 60)
    shown = Shown(
        name,
        dict.fromkeys(("original", "masked", "bob", "eve"), picture),
        {"bob": name, "eve": name},
        {"bob": True, "eve": False},
    )
    files = grid_files([shown])
    assert set(files) == {"png", "svg", "pdf"}
    assert b"<script" not in files["svg"]
    page = _page(_experiment(tmp_path), [], _cells(name), [], [Gallery(name, (shown,))])
    assert "<script" not in page
    assert "<img src=x" not in page
    assert html.unescape(page).count(name) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_the_radio(name):
    told = Diagnosis((Stage("level", True, name), Stage(name, False, name)), {}, symbols=np.ones(3, np.complex64))
    assert opened(doctor_picture(told, 1e6, name)).min() < 100
    row = {"gain": 10, "snr_db": 20, "evm_db": -20, "level_dbfs": -10, "background_dbfs": -60, "verdict": "ok"}
    assert opened(sweep_picture([row], row, name)).min() < 100


@pytest.mark.parametrize("report", [eavesdropper_report.picture_bytes, endtoend_report.as_bytes])
def test_saved_figures(report):
    with literal_text():
        figure = Figure()
        figure.subplots().set_title(" ".join(NAMES))
    assert opened(report(figure, "png")).min() < 100


def test_systems_of_the_baselines():
    cells = [
        baselines_report.Cell(
            **{
                **dict.fromkeys(baselines_report.Cell.__dataclass_fields__, 1.0),
                "system": NAMES[0],
                "who": who,
                "snr_db": 5.0,
            }
        )
        for who in baselines_report.WHO
    ]
    page = baselines_report.plot(cells)
    assert page.axes[0].get_title().startswith(NAMES[0])
    page.savefig(io.BytesIO())


def test_the_ordinary_font_comes_first_and_formulas_work_elsewhere():
    assert families()[0] == "sans-serif"
    with literal_text():
        inside = Figure().text(0, 0, "$x$")
    assert not inside.get_parse_math()
    assert Figure().text(0, 0, "$x$").get_parse_math()
