"""Profiles: one radio, its settings and its limits, as a TOML file that is checked when it is loaded.

    NAME or FILE.toml ──read──► tables ──base, overrides──► merged ──checked──► Profile ──check_device──► what to set

A profile is data. ``hardware/profiles`` holds those that come along; a file of one's own names one of them as its
``base`` and holds only what differs. Every refusal names the field: ``pluto: tx.gain: must be ...; got ...``. Needs
nothing but Python's own library: both interpreters read profiles.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hardware.errors import ProfileError
from hardware.profiles.fields import Reader, Span, shown, within

FOLDER = Path(__file__).parents[1] / "profiles"
OCCUPIED = 0.65  # bandwidth of our signal / sample rate: 2 samples a symbol, roll-off 0.3
FORMATS = ("CF32", "CS16")
DUPLEX = ("full", "half", "receive")
APIS = ("soapy", "uhd")
VIRTUAL_DRIVER = "zmq"


@dataclass(frozen=True)
class Side:
    """Settings of the transmitter or the receiver.

    antenna: "" leaves the device's own choice. lo_offset: [Hz] by which the local oscillator is tuned beside the
    carrier. bandwidth: [Hz] of the analog filter, 0 for the device's choice. gain: [dB] overall; gains: [dB] by stage,
    instead. agc: automatic gain (receiver). amplitude: peak of the samples sent, 1 is full scale (transmitter).
    format: of the samples between driver and program. stream, settings: handed to the driver as they are.
    """

    channel: int = 0
    antenna: str = ""
    lo_offset: float = 0.0
    bandwidth: float = 0.0
    gain: float | None = None
    gains: dict[str, float] = field(default_factory=dict)
    agc: bool = False
    dc_correction: bool = True
    iq_correction: bool = True
    amplitude: float = 0.5
    format: str = "CF32"
    stream: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What the device can do according to its maker: [Hz], [samples/s], [dB]; checked before the device is asked."""

    frequency: tuple[Span, ...]
    sample_rate: tuple[Span, ...]
    bandwidth: Span | None = None
    tx_gain: Span | None = None
    rx_gain: Span | None = None


@dataclass(frozen=True)
class Safety:
    """Rules of transmission. frequencies: [Hz] bands that the occupied spectrum must lie in. max_gain: [dB] ceiling of
    the transmit gain, overall or the sum over stages. ask: transmission needs --transmit (always, but where the device
    is the virtual one and nothing can leave it)."""

    frequencies: tuple[Span, ...] = ()
    max_gain: float = 0.0
    ask: bool = True


@dataclass(frozen=True)
class Profile:
    """A radio as it is to be used. frequency: [Hz]; sample_rate: [samples/s]; clock_rate: [Hz] master clock, 0 for the
    device's choice; ppm: how much faster its reference runs than it should, as ``calibrate`` found it; device: the
    driver's arguments; partner, eve: profiles of the receivers that ``loopback`` uses beside this one, "" for none."""

    name: str
    about: str
    api: str
    duplex: str
    package: str
    device: dict[str, str]
    frequency: float
    sample_rate: float
    limits: Limits
    safety: Safety
    tx: Side | None = None
    rx: Side | None = None
    clock_rate: float = 0.0
    clock_source: str = ""
    time_source: str = ""
    ppm: float = 0.0
    partner: str = ""
    eve: str = ""
    calibration: dict[str, Any] = field(default_factory=dict)

    @property
    def virtual(self) -> bool:
        """No radio wave can come of it."""
        return self.api == "soapy" and self.device.get("driver") == VIRTUAL_DRIVER

    def as_dict(self) -> dict[str, Any]:
        """What ``from_dict`` takes: plain values that JSON can carry."""
        return _plain(asdict(self))


def available() -> list[str]:
    """Names of the profiles that come along."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Profile:
    """The profile of that name, or the one in that file (anything that ends in .toml or holds a slash).

    overrides: tables that are laid over the file's, as ``{"radio": {"frequency": 868e6}}``; None values are left out.
    """
    tables = _tables(str(name), ())
    tables = _merge(tables, _without_none(overrides or {}))
    return _build(tables, str(name))


def from_dict(values: Mapping[str, Any]) -> Profile:
    """A profile from ``as_dict``'s form, checked again: what a process gets from another one."""
    limits, safety = values["limits"], values["safety"]
    tables = {
        **{key: values[key] for key in ("name", "about", "api", "duplex", "package", "partner", "eve", "device")},
        "radio": {key: values[key] for key in _RADIO},
        "limits": {key: value for key, value in limits.items() if value is not None},
        "safety": dict(safety),
        "calibration": values["calibration"],
    }
    for side in ("tx", "rx"):
        if values[side] is not None:
            tables[side] = {key: value for key, value in values[side].items() if value is not None}
    return _build(tables, str(values["name"]))


def _tables(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """The file's tables laid over those of its base."""
    by_path = name.endswith(".toml") or "/" in name
    path = Path(name) if by_path else FOLDER / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(available())
        what = f"{name}: no such file" if by_path else f"no profile is named {name!r}"
        raise ProfileError(f"{what}; give a .toml file or one of {known}")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{name}: is not TOML ({error}); mend that line") from error
    except OSError as error:
        raise ProfileError(f"{name}: cannot be read ({error.strerror})") from error
    base = tables.pop("base", None)
    if base is None:
        return tables
    if not isinstance(base, str) or base in seen or len(seen) > 4:
        raise ProfileError(f"{name}: base: must be the name of another profile; got {base!r}")
    return _merge(_tables(base, (*seen, name)), tables)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables laid over tables. gain and gains replace each other; device arguments of another driver replace all."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if not (isinstance(value, Mapping) and isinstance(old, Mapping)):
            merged[key] = value
            continue
        if key == "device" and value.get("driver", old.get("driver")) != old.get("driver"):
            old = {}
        if key in ("tx", "rx") and "gain" in value:
            old = {k: v for k, v in old.items() if k != "gains"}
        if key in ("tx", "rx") and "gains" in value:
            old = {k: v for k, v in old.items() if k != "gain"}
        merged[key] = value if key == "gains" else _merge(old, value)
    return merged


def _without_none(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in tables.items()
        if value is not None
    }


_TOP = ("name", "about", "api", "duplex", "package", "partner", "eve", "device", "radio", "tx", "rx", "limits",
        "safety", "calibration")  # fmt: skip
_RADIO = ("frequency", "sample_rate", "clock_rate", "clock_source", "time_source", "ppm")


def _build(tables: Mapping[str, Any], where: str) -> Profile:
    read = Reader(where)
    read.only(tables, _TOP, "")
    for name in ("api", "device", "radio", "limits", "safety"):
        if name not in tables:
            raise read.error(name, "is missing", None)
    radio, limits, safety = (read.table(tables, name) for name in ("radio", "limits", "safety"))
    read.only(radio, _RADIO, "radio.")
    read.only(limits, ("frequency", "sample_rate", "bandwidth", "tx_gain", "rx_gain"), "limits.")
    read.only(safety, ("frequencies", "max_gain", "ask"), "safety.")
    profile = Profile(
        name=read.text(tables, "name", default=Path(where).stem),
        about=read.text(tables, "about", default=""),
        api=read.choice(tables, "api", APIS),
        duplex=read.choice(tables, "duplex", DUPLEX, default="full"),
        package=read.text(tables, "package", default=""),
        partner=read.text(tables, "partner", default=""),
        eve=read.text(tables, "eve", default=""),
        device=read.strings(tables, "device"),
        frequency=read.number(radio, "frequency", "radio.", low=1e3, high=1e12),
        sample_rate=read.number(radio, "sample_rate", "radio.", low=1e3, high=1e9),
        clock_rate=read.number(radio, "clock_rate", "radio.", default=0.0, low=0, high=1e9),
        clock_source=read.text(radio, "clock_source", "radio.", default=""),
        time_source=read.text(radio, "time_source", "radio.", default=""),
        ppm=read.number(radio, "ppm", "radio.", default=0.0, low=-200, high=200),
        limits=Limits(
            frequency=read.spans(limits, "frequency", "limits."),
            sample_rate=read.spans(limits, "sample_rate", "limits."),
            bandwidth=read.span(limits, "bandwidth", "limits."),
            tx_gain=read.span(limits, "tx_gain", "limits."),
            rx_gain=read.span(limits, "rx_gain", "limits."),
        ),
        safety=Safety(
            frequencies=read.spans(safety, "frequencies", "safety.", default=()),
            max_gain=read.number(safety, "max_gain", "safety.", default=0.0, low=-200, high=200),
            ask=read.flag(safety, "ask", "safety.", default=True),
        ),
        tx=_side(read, tables, "tx"),
        rx=_side(read, tables, "rx"),
        calibration=dict(tables.get("calibration", {})),
    )
    _check(profile, read)
    return profile


def _side(read: Reader, tables: Mapping[str, Any], name: str) -> Side | None:
    if name not in tables:
        return None
    table, at = read.table(tables, name), name + "."
    read.only(table, Side.__dataclass_fields__, at)
    gains = table.get("gains", {})
    if not isinstance(gains, Mapping):
        raise read.error(at + "gains", "must be a table of stages and dB", gains)
    side = Side(
        channel=read.whole(table, "channel", at, default=0, low=0, high=15),
        antenna=read.text(table, "antenna", at, default=""),
        lo_offset=read.number(table, "lo_offset", at, default=0.0, low=-1e9, high=1e9),
        bandwidth=read.number(table, "bandwidth", at, default=0.0, low=0, high=1e9),
        gain=read.number(table, "gain", at, low=-200, high=200) if "gain" in table else None,
        gains={stage: read.number(gains, stage, at + "gains.", low=-200, high=200) for stage in gains},
        agc=read.flag(table, "agc", at, default=False),
        dc_correction=read.flag(table, "dc_correction", at, default=True),
        iq_correction=read.flag(table, "iq_correction", at, default=True),
        amplitude=read.number(table, "amplitude", at, default=0.5, low=1e-4, high=1.0),
        format=read.choice(table, "format", FORMATS, at, default="CF32"),
        stream=read.strings(table, "stream", at, default={}),
        settings=read.strings(table, "settings", at, default={}),
    )
    if side.gain is not None and side.gains:
        raise read.error(at + "gain", "and gains exclude each other; keep one", side.gain)
    if side.gain is None and not side.gains and not side.agc:
        raise read.error(at + "gain", "is missing; give gain, gains or (receiver) agc = true", None)
    if name == "tx" and side.agc:
        raise read.error("tx.agc", "must be false: only a receiver has automatic gain", side.agc)
    return side


def _check(profile: Profile, read: Reader) -> None:
    """What no field shows alone."""
    limits = profile.limits
    if profile.rx is None and profile.tx is None:
        raise read.error("rx", "is missing; a radio sends or receives", None)
    if profile.duplex == "receive" and profile.tx is not None:
        raise read.error("tx", "must be left out where duplex is 'receive'", "a table")
    if not within(profile.frequency, limits.frequency):
        raise read.error("radio.frequency", f"must lie in {shown(limits.frequency, 'Hz')}", profile.frequency)
    if not within(profile.sample_rate, limits.sample_rate):
        raise read.error("radio.sample_rate", f"must lie in {shown(limits.sample_rate, '/s')}", profile.sample_rate)
    for name, side, gain in (("tx", profile.tx, limits.tx_gain), ("rx", profile.rx, limits.rx_gain)):
        if side is None:
            continue
        if side.bandwidth and limits.bandwidth and not within(side.bandwidth, (limits.bandwidth,)):
            raise read.error(f"{name}.bandwidth", f"must lie in {shown((limits.bandwidth,), 'Hz')}", side.bandwidth)
        if abs(side.lo_offset) > profile.sample_rate and not profile.virtual and abs(side.lo_offset) > 50e6:
            raise read.error(f"{name}.lo_offset", "must be within 50 MHz", side.lo_offset)
        if side.gain is not None and gain and not within(side.gain, (gain,)):
            raise read.error(f"{name}.gain", f"must lie in {shown((gain,), 'dB')}", side.gain)
        for setting in sorted(set(side.settings) | set(side.stream)):
            if not setting:
                raise read.error(f"{name}.settings", "a setting needs a name", setting)
    if not profile.safety.ask and not profile.virtual:
        raise read.error(
            "safety.ask", "must be true for a radio that can transmit; only the virtual one may say false", False
        )
    if profile.tx is not None:
        check_transmission(profile, read.where)


def check_transmission(profile: Profile, where: str | None = None) -> None:
    """Refuse a profile whose transmitter would leave its allow-list or exceed its gain ceiling."""
    read = Reader(where or profile.name)
    if profile.tx is None:
        raise read.error("tx", "is missing; this radio only receives", None)
    half = OCCUPIED * profile.sample_rate / 2
    low, high = profile.frequency - half, profile.frequency + half
    if not any(a <= low and high <= b for a, b in profile.safety.frequencies):
        allowed = shown(profile.safety.frequencies, "Hz") if profile.safety.frequencies else "nothing"
        raise read.error(
            "radio.frequency",
            f"the signal would occupy {low / 1e6:.3f} to {high / 1e6:.3f} MHz, safety.frequencies allows {allowed}; "
            "choose another frequency or a lower sample_rate",
            profile.frequency,
        )
    total = sum(profile.tx.gains.values()) if profile.tx.gain is None else profile.tx.gain
    if total > profile.safety.max_gain:
        raise read.error("tx.gain", f"must be at most safety.max_gain = {profile.safety.max_gain:g} dB", total)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value
