"""The picture code over the burst modem: the ratio is counted, what is lost is told, the command writes figures."""

import json

import numpy as np
import pytest
from PIL import Image

from privsc.errors import WeightsError
from privsc.evaluation.picture_code import psnr
from privsc.evaluation.picture_code_air import main, measure_air, over_the_air
from privsc.networks.picture_code_file import save_picture_code
from privsc.networks.picture_mixing import Points
from tests.privsc.picture_codes import picture, small_code


def test_a_picture_arrives_within_its_ratio_and_better_in_less_noise():
    original = picture(96, 128, 1)
    good, bad = (over_the_air(small_code(), original, 1 / 4, snr_db, 3) for snr_db in (18.0, 4.0))
    for arrived in (good, bad):
        assert arrived.head and arrived.frames == arrived.sent_frames and 0.2 < arrived.ratio <= 0.25
    assert psnr(original, good.picture) > psnr(original, bad.picture) + 2


def test_far_below_the_receivers_threshold_nothing_arrives_and_the_picture_is_grey():
    arrived = over_the_air(small_code(), picture(96, 128, 1), 1 / 4, -15.0, 3)
    assert not arrived.head and arrived.frames == 0 and arrived.sent_frames > 0
    assert np.ptp(arrived.picture) == 0


def test_command_prints_and_writes_what_was_counted(tmp_path, capsys):
    (tmp_path / "kodak").mkdir()
    Image.fromarray(picture(192, 192, 3)).save(tmp_path / "kodak" / "01.png")
    save_picture_code(tmp_path / "code.safetensors", small_code().model, small_code().points)
    main([str(tmp_path / "code.safetensors"), str(tmp_path), "--set", "kodak", "--rates", "8", "--snr", "15",
          "--json", str(tmp_path / "out.json")])  # fmt: skip
    row = json.loads((tmp_path / "out.json").read_text())[0]
    assert 0.1 < row["ratio"] <= 1 / 8 and row["heads_lost"] == row["frames_lost"] == 0
    assert f"PSNR  {row['psnr_db']:.2f} dB" in capsys.readouterr().out


def test_weights_of_other_points_are_not_measured():
    points = small_code().points
    code = type(small_code())(
        small_code().model, Points(-1j * points.codebook, points.prior, points.rounding), bytes(4)
    )
    with pytest.raises(WeightsError, match="other points"):
        measure_air(code, [picture(192, 192, 3)], [8], [10.0])
