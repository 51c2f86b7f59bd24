"""Our samples against coded files on equal channel uses."""

import numpy as np
import pytest

from phy.evaluation.ldpc_link import MCS_TABLE
from privsc.cli.app import main
from privsc.errors import ConfigError
from privsc.evaluation import baselines, baselines_report
from privsc.evaluation.baselines import EXACT_DB, Coded, System, capped_psnr, cells, choose, code, fitted, opened, ours
from tests.fakes.samples import scene

IMAGE = scene(40, 48)


@pytest.fixture(scope="module")
def files() -> list[Coded]:
    return code(IMAGE)


def test_our_samples_are_exact_in_silence_and_worse_with_noise() -> None:
    shown, uses = ours(IMAGE, System("image8x2"), 30.0, 1)
    assert np.array_equal(shown, IMAGE)
    noisy, same = ours(IMAGE, System("image8x2"), 5.0, 1)
    assert same == uses > 2 * IMAGE.size  # two uses a sample, and all that goes with them
    assert capped_psnr(IMAGE, noisy) < 35


def test_a_smaller_picture_takes_fewer_uses_and_has_the_same_size() -> None:
    shown, uses = ours(IMAGE, System("image8x2", 0.5), 30.0, 1)
    assert shown.shape == IMAGE.shape
    assert uses < 0.75 * ours(IMAGE, System("image8x2"), 30.0, 1)[1]
    with pytest.raises(ConfigError, match="scale must be more than 0"):
        System("image8x2", 0.0)


def test_every_format_is_there_and_one_is_exact(files) -> None:
    assert {file.name.split()[0] for file in files} >= {"jpeg", "webp"}
    (lossless,) = [file for file in files if file.name == "webp lossless"]
    assert lossless.psnr == EXACT_DB
    assert np.array_equal(opened(lossless.data), IMAGE)
    for file in files[::7]:
        assert file.psnr == capped_psnr(IMAGE, opened(file.data))


def test_the_best_file_that_fits_is_chosen(files) -> None:
    plenty = choose(files, 10**7, 20.0)
    assert plenty[0].psnr == EXACT_DB
    assert plenty[1] == MCS_TABLE[0]  # of modulations that all carry it, the safest
    uses = 3 * 2160  # three blocks of 16-QAM
    file, mcs = choose(files, uses, 9.5)
    assert mcs.threshold_db <= 9.5
    assert mcs.uses_of(len(file.data)) <= uses
    for other in MCS_TABLE:
        if other.threshold_db <= 9.5:
            assert all(f.psnr <= file.psnr for f in files if other.uses_of(len(f.data)) <= uses)
    assert choose(files, 100, 20.0) is None
    assert choose(files, 10**7, -9.0) is None


def test_who_knows_the_snr_gets_through(files) -> None:
    """The fixed side chose for 10 dB, here the safest of all that are exact; every side has the same channel uses."""
    found = {(c.who, c.snr_db): c for c in cells("scene", IMAGE, files, System("image8x2"), [0.0, 12.5], 3)}
    assert found["fixed", 12.5].arrived and found["adaptive", 0.0].arrived
    assert found["adaptive", 12.5].psnr >= found["adaptive", 0.0].psnr
    assert found["ours", 0.0].psnr < found["adaptive", 0.0].psnr
    assert len({cell.uses for cell in found.values()}) == 1


def test_a_lost_file_is_grey(files) -> None:
    shown, arrived, how = baselines.classical(IMAGE, (files[0], MCS_TABLE[5]), 3.0, 1)
    assert (shown == 128).all() and not arrived and "16-QAM 2/3" in how
    assert baselines.classical(IMAGE, None, 3.0, 1)[2] == "nothing fits"


def test_cells_are_kept(tmp_path, monkeypatch) -> None:
    images, systems = {"scene": fitted(IMAGE, 32)}, [System("image8x2", 0.5)]
    first = baselines_report.run_cells(images, systems, [15.0], tmp_path)
    monkeypatch.setattr(baselines_report, "cells", None)  # not to be called again
    assert baselines_report.run_cells(images, systems, [15.0], tmp_path) == first
    assert [cell.who for cell in first] == ["ours", "adaptive", "fixed"]
    assert baselines_report.plot(first).axes
    assert len(baselines_report.cells_csv(first).splitlines()) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--snr", "ten"], "numbers with commas"),
        (["--snr", "0,nan"], r"must lie in [-10, 40]"),
        (["--photos", "nowhere"], "no folder of photographs"),
    ],
)
def test_bad_options_are_one_line(options, message, capsys, tmp_path) -> None:
    assert main(["eval", "baselines", "--out", str(tmp_path / "out"), *options]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told and "\n" not in told
