"""The picture code's figures: measures against known values, and a run from command to JSON."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from privsc.evaluation.picture_code import main, measure, ms_ssim, psnr
from privsc.networks.files.weights import weights_folder
from privsc.networks.picture_code_file import load_picture_code, save_picture_code
from privsc.training.picture_code_data import pet_photos, read_rgb
from privsc.transport.semantic_frames import check_points
from tests.privsc.picture_codes import picture, small_code


def test_psnr_of_a_known_error():
    black = np.zeros((20, 20, 3), np.uint8)
    assert psnr(black, black + np.uint8(5)) == pytest.approx(20 * np.log10(255 / 5))


def test_ms_ssim_falls_with_noise_and_forgives_a_shift_of_brightness():
    original = picture(192, 200, 1)
    rng = np.random.default_rng(0)
    assert ms_ssim(original, original) == pytest.approx(1)
    noisy = [np.clip(original + rng.normal(0, s, original.shape), 0, 255).astype(np.uint8) for s in (5, 20, 60)]
    values = [ms_ssim(original, image) for image in noisy]
    assert 1 > values[0] > values[1] > values[2] > 0
    brighter = np.clip(original.astype(int) + 20, 0, 255).astype(np.uint8)
    assert psnr(original, brighter) < psnr(original, noisy[1]) + 3 and ms_ssim(original, brighter) > values[1]


def test_untrained_stirred_networks_lose_against_the_linear_code_and_rates_help():
    rows = measure(small_code(), [picture(64, 96, 2)], (24, 6), (0.0, 15.0), structure=False, log=lambda line: None)
    by = {(round(1 / row["rate"]), row["snr_db"]): row for row in rows}
    assert by[6, 15.0]["linear_psnr_db"] > by[24, 15.0]["linear_psnr_db"] > by[24, 0.0]["linear_psnr_db"]
    assert by[6, 15.0]["network_psnr_db"] < by[6, 15.0]["linear_psnr_db"]


def test_command_prints_a_table_and_writes_json(tmp_path, capsys):
    (tmp_path / "kodak").mkdir()
    Image.fromarray(picture(192, 192, 3)).save(tmp_path / "kodak" / "01.png")
    save_picture_code(tmp_path / "code.safetensors", small_code().model, small_code().points)
    main([str(tmp_path / "code.safetensors"), str(tmp_path), "--set", "kodak", "--rates", "12", "--snr", "10",
          "--json", str(tmp_path / "out.json")])  # fmt: skip
    row = json.loads((tmp_path / "out.json").read_text())[0]
    assert row["pictures"] == 1 and 0 < row["network_ms_ssim"] <= 1
    assert f"network  {row['network_psnr_db']:.2f} dB" in capsys.readouterr().out


def test_the_shipped_weights_are_small_and_fit_the_shipped_points():
    path = weights_folder() / "picture-code.safetensors"
    assert path.stat().st_size < 8_000_000
    check_points(load_picture_code(path))


def test_the_shipped_weights_beat_the_linear_code_on_a_photograph_of_validation():
    root = os.environ.get("PRIVSC_PHOTOS")
    if not root:
        pytest.skip("PRIVSC_PHOTOS names no folder of photographs")
    photograph = read_rgb(pet_photos(Path(root), validation=True)[3])[:192, :192]
    rows = measure(
        load_picture_code(weights_folder() / "picture-code.safetensors"),
        [photograph], (12,), (0.0, 10.0), log=lambda line: None,
    )  # fmt: skip
    assert rows[0]["network_psnr_db"] > rows[0]["linear_psnr_db"] + 3
    assert rows[1]["network_psnr_db"] > rows[1]["linear_psnr_db"] + 1.5
