"""`hardware.drivers.uhd_radio` held against UHD's own signatures and types; no USRP is there."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.conftest import DISTRIBUTION_PYTHON
from tests.hardware.conftest import ROOT
from tests.hardware.virtual import environment

pytestmark = pytest.mark.radio("uhd", "numpy")

PRELUDE = """
import json
from dataclasses import replace
from types import SimpleNamespace
import numpy as np, uhd
from hardware.errors import HardwareError
from hardware.profiles.profile import load
from hardware.drivers.radio import check_device
from hardware.drivers.uhd_radio import UhdRadio
from tests.fakes.usrp import Usrp
def opened(profile="b200", transmit=True, losses=(), **more):
    usrp = Usrp(losses)
    radio = UhdRadio(load(profile, more), transmit, usrp)
    radio._rx_metadata, radio._event = SimpleNamespace(), SimpleNamespace()  # UHD's own cannot be filled from Python
    return radio, usrp
"""


def run(code):
    done = subprocess.run(
        [DISTRIBUTION_PYTHON, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(ROOT),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("profile", ["b200", "b210"])
def test_a_profile_becomes_uhds_own_calls(profile):
    got = run(f"""
radio, usrp = opened({profile!r}, tx={{"bandwidth": 1e6, "lo_offset": 2e5}}, rx={{"agc": True}},
                     radio={{"clock_rate": 16e6, "clock_source": "external"}})
radio.configure()
print(json.dumps([[str(v) if type(v).__module__.startswith("uhd") else v for v in one] for one in usrp.calls]))
""")
    names = [one[0] for one in got]
    assert names[:2] == ["set_master_clock_rate", "set_clock_source"] and got[0][1] == 16e6
    for wanted in (
        ["set_rx_rate", 1e6, 0],
        ["set_rx_antenna", "RX2", 0],
        ["set_rx_agc", True, 0],
        ["set_rx_gain", 40.0, 0],
        ["set_rx_dc_offset", True, 0],
        ["set_rx_iq_balance", True, 0],
        ["set_tx_antenna", "TX/RX", 0],
        ["set_tx_bandwidth", 1e6, 0],
        ["set_tx_gain", 30.0, 0],
    ):
        assert wanted in got
    assert names.count("set_rx_freq") == names.count("set_tx_freq") == 1
    assert "set_tx_agc" not in names


def test_the_stand_in_refuses_what_uhd_would_refuse():
    got = run("""
usrp, refused = Usrp(), []
for name, values in (("set_rx_gain", ("loud",)), ("set_rx_rate", (1e6, 0, 0, 0)), ("set_tx_antenna", (3, 0)),
                     ("set_rx_dc_offset", ())):
    try:
        getattr(usrp, name)(*values)
    except TypeError:
        refused.append(name)
try:
    usrp.set_tx_agc
except AttributeError:
    refused.append("set_tx_agc")
print(json.dumps(refused))
""")
    assert got == ["set_rx_gain", "set_rx_rate", "set_tx_antenna", "set_rx_dc_offset", "set_tx_agc"]


def test_what_the_usrp_says_is_held_against_the_profile():
    got = run("""
radio, usrp = opened(rx={"antenna": "LNAX"})
told = radio.describe()
try:
    radio.configure()
except HardwareError as error:
    print(json.dumps([told.hardware, told.serial, told.rx.gain, told.rx.agc, told.tx.agc, str(error), usrp.calls]))
""")
    assert got[:5] == ["B200 FE-RX1", "31C9", [0, 76], True, False]
    assert got[5].startswith("b200: rx.antenna: must be one of TX/RX, RX2 (so says the device, B200 FE-RX1)")
    assert got[6] == []  # nothing was set


def test_reception_tells_time_and_losses():
    got = run("""
radio, usrp = opened(losses=(3, 5))
radio.configure()
radio.start(("rx",))
out, told = radio.new_buffer("rx", 363), []
samples = []
for _ in range(10):
    one = radio.receive(out)
    told.append([one.count, one.time_ns, one.overflow, one.lost])
    samples += out.view(np.int32)[: one.count, 0].tolist()
radio.stop_receiving()
print(json.dumps([told, dict(radio.counts), samples[3 * 363], str(usrp.calls[-1]), len(usrp.rx.commands)]))
""")
    told, counts, first_after, stream, commands = got
    assert [one[0] for one in told] == [363, 363, 363, 0, 363, 363, 0, 363, 363, 363]
    assert told[4] == [363, 1_000_000_000 + 4 * 363_000, True, 363]
    assert [k for k, one in enumerate(told) if one[2]] == [4, 7]
    assert counts["overflow"] == 2 and counts["lost"] == 2 * 363 and first_after == 4 * 363
    assert stream == "('get_rx_stream', 'sc16', 'sc16', [0])"
    assert commands == 2  # begun and ended


def test_a_burst_has_one_start_one_time_and_one_end():
    got = run("""
radio, usrp = opened()
radio.configure()
radio.start(("tx",))
done = radio.send(np.ones(2500, np.complex64), at=radio.now() + 5_000_000, end=True)
radio.send(np.ones(10, np.complex64))
usrp.tx.events = [uhd.types.TXMetadataEventCode.underflow, uhd.types.TXMetadataEventCode.time_error]
events = [radio.poll(), radio.poll(), radio.poll()]
radio.close()
print(json.dumps([done, [[len(s), at, first, end, float(abs(s).max())] for s, at, first, end in usrp.tx.sent], events]))
""")
    assert got[0] == 2500
    assert got[1] == [
        [1000, 12_000_000, True, False, 1],
        [1000, None, False, False, 1],
        [500, None, False, True, 1],
        [10, None, True, False, 1],
        [1, None, False, True, 0],
    ]
    assert got[2] == ["underflow", "late", None]


def test_it_transmits_only_when_allowed():
    got = run("""
radio, usrp = opened(transmit=False)
radio.configure()
try:
    radio.start(("tx",))
except HardwareError as error:
    print(json.dumps([str(error), [c for c in usrp.calls if "stream" in c[0]]]))
""")
    assert "add --transmit" in got[0] and got[1] == []


def test_no_usrp_is_one_line():
    got = run("""
try:
    UhdRadio(load("b200"), False)
except HardwareError as error:
    print(json.dumps(str(error)))
""")
    assert got.startswith("b200: no USRP answers to type=b200 (is it plugged in and powered?") and "\n" not in got
