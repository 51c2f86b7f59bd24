"""`privsc radio` refuses before any network is loaded or any device touched: one line, exit code 2, no results."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from privsc.cli.app import main

PLUTO = ("--profile", "pluto", "--rx-profile", "same")


def refusal(capsys, *arguments):
    code = main(["radio", *map(str, arguments)])
    told = capsys.readouterr()
    assert code == 2 and told.out == ""
    return " ".join(told.err.split())


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "pluto: this would transmit at 433.92 MHz; connect a cable with attenuators"),
        (("--transmit", "--tx-gain", 80), "pluto: tx.gain: must be at most safety.max_gain = 75 dB; got 80.0"),
        (
            ("--transmit", "--frequency", 446e6),
            "pluto: radio.frequency: the signal would occupy 445.675 to 446.325 MHz, "
            "safety.frequencies allows 433.05 MHz to 434.79 MHz or",
        ),
        (("--transmit", "--rate", 5e6), "pluto: radio.frequency: the signal would occupy"),
        (("--transmit", "--rate", 1e5), "pluto: radio.sample_rate: must lie in"),
        (("--transmit", "--rx-gain", 90), "pluto: rx.gain: must lie in 0 dB to 73 dB; got 90.0"),
    ],
)
def test_nothing_is_transmitted_that_the_profile_does_not_allow(capsys, tmp_path, photo, more, words):
    out = tmp_path / "out"
    told = refusal(capsys, "loopback", "--image", photo, "--db", tmp_path / "K.db", "--out", out, *PLUTO, *more)
    assert words in told
    assert not out.exists()


def test_every_command_that_transmits_asks(capsys, tmp_path, photo):
    for command in (
        ("doctor", "--out", tmp_path / "out"),
        ("calibrate", "--out", tmp_path / "mine.toml"),
        ("soak",),
        ("record", tmp_path / "antenna", "--image", photo, "--db", tmp_path / "K.db"),
    ):
        assert "add --transmit" in refusal(capsys, *command, *PLUTO)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("soak", "--profile", "rtlsdr"), "rtlsdr: tx: this radio only receives"),
        (
            ("soak", "--profile", "hackrf", "--transmit"),
            "hackrf: duplex: it cannot hear while it sends; give a second device with --rx-profile",
        ),
        (("soak", "--profile", "plutto"), "no profile is named 'plutto'"),
        (
            ("soak", "--profile", "virtual", "--rx-profile", "rtlsdr", "--rate", "2e6"),
            "rtlsdr: radio.frequency: must be the sender's, 2440 MHz; got 433.92",
        ),
        (("soak", "--args", "serial"), "--args: must be KEY=VALUE"),
        (
            ("doctor", "--profile", "pluto", "--rx-profile", "same", "--transmit", "--inject", "cfo"),
            "faults are only made in virtual radios",
        ),
        (("doctor", "--inject", "bogus"), "--inject: must be one of silent, wrong-frequency"),
        (("calibrate", "--out", "mine.txt"), "--out: must end in .toml"),
        (("replay", "gone", "--out", "o", "--as", "mallory"), "--as: must be bob or eve"),
        (("replay", "gone", "--out", "o"), "--db: Bob needs K"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(capsys, arguments, words):
    assert words in refusal(capsys, *arguments)


def test_a_profile_of_ones_own_is_refused_by_the_field(capsys, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "pluto"\n[tx]\ngian = 20.0\n')
    told = refusal(capsys, "soak", "--profile", path, "--transmit")
    assert "mine.toml: tx.gian: is no field of a profile" in told


@pytest.mark.radio("SoapySDR", "numpy", "scipy", "zmq")
def test_a_radio_that_is_not_there_is_one_line(capsys):
    told = refusal(
        capsys, "soak", "--profile", "pluto", "--rx-profile", "same", "--transmit", "--args", "uri=ip:192.0.2.1"
    )
    assert "pluto: no device answers to driver=plutosdr, uri=ip:192.0.2.1 (is it plugged in, and its driver" in told
