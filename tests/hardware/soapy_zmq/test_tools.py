"""The virtual radio as tools see it: SoapySDRUtil, devices by name, the units written in C++, installation."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import DISTRIBUTION_PYTHON
from tests.hardware.conftest import ROOT
from tests.hardware.virtual import PRELUDE, environment, measure

pytestmark = pytest.mark.radio("SoapySDR")


def util(driver: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        ["SoapySDRUtil", *arguments], env=environment(driver, **more), capture_output=True, text=True, timeout=60
    )
    return done.stdout


def test_soapysdrutil_finds_and_probes_it(driver):
    assert "driver = zmq" in util(driver, "--find=driver=zmq") and "serial = zmq0" in util(driver, "--find=driver=zmq")
    assert "driver = zmq" in util(driver, "--find")
    probe = util(driver, "--probe=driver=zmq")
    for line in (
        "driver=zmq",
        "1 Rx, 1 Tx",
        "Timestamps: YES",
        "Full-duplex: YES",
        "Stream formats: CF32, CS16",
        "Native format: CF32 [full-scale=1]",
        "Full gain range: [0, 60] dB",
        "LNA gain range: [0, 30] dB",
        "Full freq range: [1, 6000] MHz",
        "Sample rates: [0.01, 100] MSps",
        "[key=ppm, units=ppm",
    ):
        assert line in probe, line
    assert "0 Tx" in util(driver, "--probe=driver=zmq,tx=none")


def test_it_does_not_answer_for_other_radios(driver):
    for other in ("type=b200", "driver=lime", "serial=30AD123", "addr=192.168.10.2"):
        assert "driver = zmq" not in util(driver, f"--find={other}"), other


def test_devices_by_name_for_programs_that_take_no_arguments(driver):
    names = "serial=bob,rx=ipc://@privsc-test-bob,tx=none,ppm=7|serial=eve,rx=ipc://@privsc-test-eve,tx=none"
    listed = util(driver, "--find", SOAPY_ZMQ_DEVICES=names)
    assert (
        listed.count("driver = zmq") == 2 and "ZMQ virtual radio bob" in listed and "ipc://@privsc-test-eve" in listed
    )
    got = measure(
        driver,
        """
bob, eve = SoapySDR.Device("serial=bob"), SoapySDR.Device("driver=zmq,serial=eve")
print(json.dumps([d.getHardwareInfo()["rx"] for d in (bob, eve)] + [bob.readSetting("ppm"),
    bob.getNumChannels(SOAPY_SDR_TX)]))
""",
        SOAPY_ZMQ_DEVICES=names,
    )
    assert got == ["ipc://@privsc-test-bob", "ipc://@privsc-test-eve", "7", 0]


def test_two_devices_with_other_arguments_are_two_devices(driver):
    """SoapySDR hands out a device that looks the same a second time; ours must not look the same."""
    got = measure(
        driver,
        """
a, b = SoapySDR.Device("driver=zmq,ppm=1"), SoapySDR.Device("driver=zmq,ppm=2")
print(json.dumps([a.readSetting("ppm"), b.readSetting("ppm")]))
""",
    )
    assert got == ["1", "2"]


def test_the_parts_hold_on_their_own(driver):
    done = subprocess.run([driver / "zmq_units"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok  ") >= 25 and done.stdout.endswith("0 failed\n")


def test_rates_that_are_too_far_apart_are_said_to_be(driver):
    code = (
        PRELUDE
        + """
with lab() as bench:
    rx, tx = bench.receiver(rate=1e5), bench.transmitter(rate=2e6)
    heard = rx.at(tx.send(noise(100000)), 5000)
    print(float(np.abs(heard).max()))
"""
    )
    done = subprocess.run(
        [DISTRIBUTION_PYTHON, "-c", code], cwd=ROOT, env=environment(driver), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 0
    assert done.stderr.count("a transmitter of 2e+06 samples/s cannot be heard at 100000 samples/s") == 1


def test_the_example_of_its_readme_hears_its_tone(driver):
    text = (ROOT / "hardware" / "soapy_zmq" / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0].replace("@bob", f"@privsc-test-readme-{os.getpid()}")
    done = subprocess.run(
        [DISTRIBUTION_PYTHON, "-c", code], env=environment(driver), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    levels = [float(line.split()[1]) for line in done.stdout.splitlines()]
    assert len(levels) > 8 and sorted(levels)[len(levels) // 2] == pytest.approx(-6.02, abs=0.01)


def test_it_installs_where_soapysdr_looks(driver, tmp_path):
    subprocess.run(
        ["cmake", "--install", driver],
        env={**os.environ, "DESTDIR": str(tmp_path)},
        check=True,
        capture_output=True,
        timeout=60,
    )
    (made,) = tmp_path.rglob("*.so")
    assert made.name == "libzmqSupport.so" and made.parent.name.startswith("modules0.8")


def test_the_build_says_what_is_missing(tmp_path):
    """A machine without cmake: one line with the packages; `if-possible` is content with that."""
    for tool in ("sh", "dirname", "mktemp", "rm", "cat"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}" if Path(f"/bin/{tool}").exists() else f"/usr/bin/{tool}")
    for option, code in (("", 1), ("if-possible", 0)):
        done = subprocess.run(
            ["/bin/sh", ROOT / "scripts" / "driver.sh", option],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code
        assert (
            done.stderr.startswith("driver: not built: run sudo apt-get install cmake g++ make pkg-config")
            and done.stderr.count("\n") == 1
        )
