import io
import json

import numpy as np
import pytest
from PIL import Image

from privsc.images import metrics
from privsc.system.build import Models
from privsc.system.config import RunConfig
from privsc.system.report import grid_picture, guard_files, run_files
from privsc.system.trial import run_trial, send
from tests.fakes.networks import BOX, BoxGuard, ColourRecovery

FIGURES = {"psnr", "psnr_private", "ssim", "ssim_private", "identified"}
LINK_FIGURES = {
    "channel", "snr_db", "eve_snr_db", "message_error_rate", "frames_sent", "frames_lost", "channel_uses", "cbr",
}  # fmt: skip


def run(image, k, boxes, **options):
    return run_trial(image, k, Models(BoxGuard(boxes), ColourRecovery()), RunConfig.build(**options))


def test_every_figure_of_the_contract_is_there_and_true(image, k):
    trial = run(image, k, {"Vicky": BOX}, snr_db=12, eve_snr_db=9, seed=3)
    figures = json.loads(run_files(trial)["report.json"])
    assert figures["bob"].keys() >= FIGURES
    assert figures["eve"].keys() >= FIGURES
    assert figures["link"].keys() >= LINK_FIGURES
    assert {"guard", "transmit", "recover"} == figures["seconds"].keys()
    assert (figures["bob"]["identified"], figures["eve"]["identified"]) == ("Vicky", None)
    mask = trial.guarded.mask
    for who, seen in (("bob", trial.bob), ("eve", trial.eve)):
        assert figures[who]["psnr"] == pytest.approx(metrics.psnr(image, seen.restored))
        assert figures[who]["ssim_private"] == pytest.approx(metrics.ssim(image, seen.restored, mask))
    assert figures["bob"]["exact"] or figures["bob"]["ssim_private"] > 0.95 > figures["eve"]["ssim_private"]
    link = figures["link"]
    assert (link["snr_db"], link["eve_snr_db"]) == (12, 9)
    assert (link["waveform"], link["synchronisation"]) == ("burst", "blind")
    sent, _ = send(image, k, Models(BoxGuard({"Vicky": BOX}), ColourRecovery()), RunConfig.build(snr_db=12, seed=3))
    assert link["channel_uses"] == sent.truth.on_air.channel_uses < len(sent.iq) / 2  # two samples a symbol and tails
    assert link["cbr"] == pytest.approx(link["channel_uses"] / image.size)
    assert 0 < link["message_error_rate"] < link["eve_message_error_rate"] < 0.2
    assert figures["hidden"] == [{"name": "Vicky", "index": 1, "score": 0.9, "box": list(BOX)}]
    assert figures["eve_class_word"] == "cat"
    assert figures["k_digest"] == k.digest().hex()


def test_symbols_are_the_shortcut_whose_receiver_is_given_the_frames(image, k):
    trial = run(image, k, {"Vicky": BOX}, waveform="symbols", snr_db=20)
    link = trial.figures["link"]
    assert (link["waveform"], link["synchronisation"], link["frames_lost"]) == ("symbols", "given", 0)
    blind = run(image, k, {"Vicky": BOX}, snr_db=20)
    assert blind.figures["bob"]["psnr"] == pytest.approx(trial.figures["bob"]["psnr"], abs=1)


def test_numbers_of_images_are_those_of_the_seed_and_what_is_sent_or_drawn(image, k):
    models, config = Models(BoxGuard({"Vicky": BOX}), ColourRecovery()), RunConfig.build(seed=1)

    def numbers(picture, config=config, **options):
        return send(picture, k, models, config, **options)[0].truth.on_air.image_id

    assert numbers(image) == numbers(image)
    assert len({numbers(image), numbers(255 - image), numbers(image, RunConfig.build(seed=2))}) == 3
    assert len({numbers(image, real=True) for _ in range(4)}) > 1


def test_with_nothing_hidden_private_figures_are_null(image, k):
    trial = run(image, k, {}, snr_db=40)
    figures = json.loads(run_files(trial)["report.json"])
    for who in ("bob", "eve"):
        assert figures[who]["psnr_private"] is None
        assert figures[who]["ssim_private"] is None
        assert figures[who]["identified"] is None
        assert figures[who]["psnr"] is None  # infinite: the picture is exact
        assert figures[who]["exact"] is True
        assert figures[who]["ssim"] == pytest.approx(1)
    assert figures["hidden"] == []


def test_a_lost_image_is_reported_and_not_invented(image, k):
    trial = run(image, k, {"Vicky": BOX}, snr_db=-25)
    figures = json.loads(run_files(trial)["report.json"])
    assert figures["bob"]["failure"] == "the head of the payload was lost"
    assert figures["link"]["message_error_rate"] is None
    assert figures["link"]["frames_lost"] > 0
    assert figures["bob"]["identified"] is None


def test_the_same_seed_gives_the_same_pictures(image, k):
    first, again, other = (run(image, k, {"Vicky": BOX}, snr_db=6, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.bob.restored, again.bob.restored)
    assert np.array_equal(first.eve.restored, again.eve.restored)
    assert not np.array_equal(first.bob.restored, other.bob.restored)
    assert not np.array_equal(first.bob.heard.image, first.eve.heard.image)


def test_files_of_a_run_are_those_of_the_contract(image, k):
    trial = run(image, k, {"Vicky": BOX})
    written = run_files(trial)
    assert set(written) == {
        "masked.png",
        "mask.png",
        "received.png",
        "bob.png",
        "eve.png",
        "report.png",
        "report.json",
    }
    pictures = {name: np.asarray(Image.open(io.BytesIO(data))) for name, data in written.items() if "png" in name}
    assert np.array_equal(pictures["bob.png"], trial.bob.restored)
    assert np.array_equal(pictures["received.png"], trial.bob.heard.image)
    assert np.array_equal(pictures["mask.png"] == 255, trial.guarded.mask)
    assert (pictures["masked.png"][trial.guarded.mask] == 0).all()
    height, width = pictures["report.png"].shape[:2]
    assert width > 3 * height > 900


def test_files_of_the_guard_are_those_of_the_contract(image, k):
    guarded = BoxGuard({"Vicky": BOX})(image, k.entities())
    written = guard_files(guarded)
    assert set(written) == {"masked.png", "mask.png", "guard.json"}
    found = json.loads(written["guard.json"])
    assert found["image_size"] == [128, 80]
    assert found["entities"] == [{"name": "Vicky", "score": 0.9, "box": list(BOX), "index": 1}]


def test_the_grid_has_a_column_for_each_snr(image, k):
    trials = [run(image, k, {"Vicky": BOX}, snr_db=snr) for snr in (5, 10, 20)]
    three = np.asarray(Image.open(io.BytesIO(grid_picture(trials, "Vicky"))))
    one = np.asarray(Image.open(io.BytesIO(grid_picture(trials[:1], "Vicky"))))
    assert three.shape[1] == pytest.approx(2 * one.shape[1], rel=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snr_db": float("nan")}, "snr_db: input should be a finite number; got nan"),
        ({"snr_db": 61}, "snr_db: input should be less than or equal to 60; got 61"),
        ({"eve_snr_db": float("inf")}, "eve_snr_db: input should be"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0; got -1"),
        ({"quality": 101}, "quality: input should be less than or equal to 100; got 101"),
        ({"max_side": 8}, "max_side: input should be greater than or equal to 64; got 8"),
        ({"steps": 0}, "steps: input should be greater than or equal to 1; got 0"),
        ({"init": "magic"}, "init: input should be 'reference' or 'noise'; got 'magic'"),
        ({"coding": "gif"}, "coding: input should be 'pixels'"),
        ({"channel": "vacuum"}, "channel: choose one of awgn"),
        ({"waveform": "smoke"}, "waveform: input should be 'burst' or 'symbols'; got 'smoke'"),
        ({"waveform": "symbols", "channel": "tdl-a"}, "the channel tdl-a needs the waveform burst"),
        ({"waveform": "symbols", "channel": "zmq"}, "the channel zmq needs the waveform burst"),
        ({"codec": "morse"}, "codec: choose one of ae8x2"),
        ({"colour": 1}, "colour: extra inputs are not permitted; got 1"),
    ],
)
def test_impossible_options_are_one_line(options, message):
    from privsc.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        RunConfig.build(**options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_seeds_of_the_parts_differ():
    seeds = RunConfig.build(seed=7).seeds()
    assert len({seeds.bob, seeds.eve, seeds.recovery}) == 3
    assert seeds.bob != RunConfig.build(seed=8).seeds().bob
