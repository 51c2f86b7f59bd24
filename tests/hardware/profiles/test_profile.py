"""Profiles: those that come along, and what is refused with which words."""

import json
from dataclasses import replace

import pytest

from hardware.drivers.radio import Description, Radio, SideRanges, check_device, tuned
from hardware.errors import HardwareError, ProfileError, TransmitRefused
from hardware.profiles import profile as profiles
from hardware.profiles.profile import available, check_transmission, from_dict, load

RADIOS = ("b200", "b210", "bladerf2", "hackrf", "limesdr", "pluto", "rtlsdr", "virtual", "x310")


def test_every_profile_is_valid_and_safe():
    assert set(RADIOS) <= set(available())
    for name in available():
        one = load(name)
        assert one.name == name and one.about and one.package
        assert from_dict(json.loads(json.dumps(one.as_dict()))) == one
        for other in filter(None, (one.partner, one.eve)):
            assert load(other).sample_rate == one.sample_rate
        if one.virtual:
            continue
        assert one.safety.ask
        if one.tx is not None:
            check_transmission(one)
            total = sum(one.tx.gains.values()) if one.tx.gain is None else one.tx.gain
            assert total <= one.safety.max_gain < one.limits.tx_gain[1], f"{name}: the ceiling leaves no margin"
    assert load("hackrf").duplex == "half"
    assert load("rtlsdr").tx is None


BASE = """
base = "pluto"
[radio]
"""
WRONG = [  # what is written into a profile of one's own, and the field that its refusal names
    ('[radio]\nfrequency = 100e6', "radio.frequency"),  # below what a Pluto tunes to
    ('[radio]\nfrequency = 446e6', "radio.frequency"),  # tunes, but outside the allow-list
    ('[radio]\nsample_rate = 4e6', "radio.frequency"),  # the signal would spill over the band's edge
    ('[radio]\nsample_rate = 1e5', "radio.sample_rate"),
    ('[radio]\nsample_rate = "fast"', "radio.sample_rate"),
    ('[radio]\nfrequency = nan', "radio.frequency"),
    ('[radio]\nppm = 5000', "radio.ppm"),
    ('[tx]\ngain = 80.0', "tx.gain"),  # the device could, the ceiling forbids it
    ('[tx]\ngain = 95.0', "tx.gain"),
    ('[rx]\ngain = -3.0', "rx.gain"),
    ('[rx]\ngain = 10.0\ngains = { LNA = 3.0 }', "rx.gain"),
    ('[rx]\nchannel = -1', "rx.channel"),
    ('[rx]\nformat = "CS8"', "rx.format"),
    ('[rx]\nbandwidth = 1e9', "rx.bandwidth"),
    ('[rx]\nagc = "yes"', "rx.agc"),
    ('[tx]\nagc = true', "tx.agc"),
    ('[tx]\namplitude = 2.0', "tx.amplitude"),
    ('[tx]\ngian = 20.0', "tx.gian"),
    ('[safety]\nask = false', "safety.ask"),
    ('[safety]\nfrequencies = []', "radio.frequency"),
    ('[safety]\nfrequencies = [[470e6, 400e6]]', "safety.frequencies"),
    ('[device]\nuri = [1, 2]', "device.uri"),
    ('[limits]\ntx_gain = 89.0', "limits.tx_gain"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "field"), WRONG)
def test_a_wrong_profile_is_refused_by_the_name_of_its_field(tmp_path, text, field):
    path = tmp_path / "mine.toml"
    path.write_text(f'base = "pluto"\n{text}\n')
    with pytest.raises(ProfileError) as refusal:
        load(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: {field}: ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('duplex = "receive"', "tx: must be left out"),
        ('api = "gnuradio"', "api: must be one of soapy, uhd"),
        ('base = "mine"', "no profile is named"),
        ("nonsense", "is not TOML"),
        ("device = 3", "device: must be a table"),
    ],
)
def test_a_profile_that_makes_no_sense(tmp_path, text, words):
    path = tmp_path / "mine.toml"
    path.write_text(text if "base" in text else f'{text}\nbase = "pluto"\n')
    with pytest.raises(ProfileError, match=words):
        load(path)


def test_unknown_profiles_name_the_known_ones():
    with pytest.raises(ProfileError, match=r"no profile is named 'plutto'; give a \.toml file or one of b200, "):
        load("plutto")
    with pytest.raises(ProfileError, match=r"gone\.toml: no such file"):
        load("gone.toml")


def test_ones_own_profile_lies_over_its_base(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "limesdr"\n[device]\nserial = "0009"\n[tx]\ngain = 20.0\n[radio]\nfrequency = 868.3e6\n')
    one = load(path, {"rx": {"gain": 12.0}, "radio": {"sample_rate": None}})
    assert one.name == "limesdr" or one.name == "mine"
    assert one.device == {"driver": "lime", "serial": "0009"}
    assert one.tx.gain == 20.0 and one.tx.gains == {}  # the stages of the base give way
    assert one.rx.gain == 12.0 and one.rx.gains == {}
    assert one.frequency == 868.3e6 and one.sample_rate == 1e6


def ranges(**more):
    base = {"channels": 1, "antennas": ("A",), "frequency": ((325e6, 3.8e9),), "sample_rate": ((520834.0, 61.44e6),),
            "gain": (0.0, 73.0), "gains": {"PGA": (0.0, 73.0)}, "formats": ("CF32", "CS16"), "agc": True}  # fmt: skip
    return SideRanges(**{**base, **more})


def device(tx=None, rx=None, **more):
    return Description(
        "plutosdr",
        "PlutoSDR",
        "1",
        tx or ranges(gain=(0.0, 89.0)),
        rx or ranges(antennas=("A_BALANCED",)),
        more.pop("full_duplex", True),
        **more,
    )


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (device(rx=ranges(antennas=("B",))), "rx.antenna"),
        (device(rx=ranges(channels=0)), "rx"),
        (device(tx=ranges(frequency=((2e9, 3e9),))), "radio.frequency"),
        (device(tx=ranges(sample_rate=((2e6, 3e6),))), "radio.sample_rate"),
        (device(tx=ranges(gain=(0.0, 20.0))), "tx.gain"),
        (device(rx=ranges(antennas=(), formats=("CS16",))), "rx.format"),
        (device(full_duplex=False), "duplex"),
    ],
)
def test_what_the_device_itself_cannot_do_is_refused(told, field):
    with pytest.raises(ProfileError, match=rf"^pluto: {field}: .*so says the device, PlutoSDR"):
        check_device(load("pluto"), told)


def test_a_device_that_can_is_accepted():
    check_device(load("pluto"), device())
    with pytest.raises(ProfileError, match=r"radio\.clock_source: must be one of"):
        check_device(replace(load("pluto"), clock_source="gps"), device(clock_sources=("internal", "external")))


class Deaf(Radio):
    """Just enough of a radio to ask for permission."""

    describe = _apply = start = receive = _write = poll = stop = stop_receiving = close = now = setting = None  # type: ignore[assignment]

    def _set_gain(self, side, gain, channel):
        return gain


def test_nothing_is_sent_without_permission_nor_above_the_ceiling():
    Deaf.__abstractmethods__ = frozenset()
    refused = Deaf(load("pluto"), transmit=False)
    with pytest.raises(TransmitRefused, match="add --transmit"):
        refused.require_transmit()
    allowed = Deaf(load("pluto"), transmit=True)
    assert allowed.require_transmit().gain == 50.0
    assert allowed.set_gain("tx", 75.0) == 75.0
    with pytest.raises(TransmitRefused, match=r"safety.max_gain = 75 dB; got 75.5"):
        allowed.set_gain("tx", 75.5)
    moved = Deaf(replace(load("pluto"), frequency=600e6), transmit=True)  # whatever way it got there
    with pytest.raises(HardwareError, match=r"safety\.frequencies allows"):
        moved.require_transmit()


def test_a_fast_reference_is_asked_for_less():
    one = replace(load("pluto"), ppm=20.0)
    assert tuned(one) * (1 + 20e-6) == pytest.approx(one.frequency)
    assert profiles.OCCUPIED == 0.65


def test_the_profile_in_the_readme_is_one(tmp_path):
    text = (profiles.FOLDER.parent / "README.md").read_text()
    path = tmp_path / "roof.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0])
    one = load(path)
    assert one.name == "roof" and one.ppm == -3.1 and one.limits == load("pluto").limits
    for name in set(available()) - {"virtual-bob", "virtual-eve"}:
        assert f"`{name}`" in text, f"the README's table lacks {name}"
