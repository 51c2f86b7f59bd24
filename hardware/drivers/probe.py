"""What is connected: every device that SoapySDR and UHD see, what it can do, and which profile fits."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from hardware.drivers.radio import Description, check_device
from hardware.errors import HardwareError
from hardware.profiles.profile import Limits, Profile, Safety, Side, available, load

# asked one by one: SoapySDR would also look for sound cards, remote servers and (through UHD) USRPs
_MORE_DRIVERS = ("airspy", "sdrplay", "xtrx")


def probe() -> list[dict[str, Any]]:
    """A dictionary for each device: api, device (arguments), description or error, fits (profile names)."""
    found = []
    for api, find, opened in _apis():
        try:
            devices = find()
        except HardwareError as error:
            found.append({"api": api, "device": {}, "error": str(error)})
            continue
        for arguments in devices:
            found.append(_one(api, arguments, opened))
    return found


def _apis() -> list[tuple[str, Any, Any]]:
    from hardware.drivers import soapy_radio, uhd_radio

    def soapy() -> list[dict[str, str]]:
        drivers = {load(name).device.get("driver") for name in available()} | set(_MORE_DRIVERS)
        return [one for driver in sorted(filter(None, drivers)) for one in soapy_radio.find({"driver": driver})]

    return [("soapy", soapy, soapy_radio.SoapyRadio), ("uhd", uhd_radio.find, uhd_radio.UhdRadio)]


def _one(api: str, arguments: dict[str, str], opened: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"api": api, "device": arguments, "fits": []}
    try:
        with opened(_bare(api, arguments), False) as radio:
            description = radio.describe()
    except HardwareError as error:
        return {**told, "error": str(error)}
    return {**told, "description": asdict(description), "fits": fitting(api, arguments, description)}


def fitting(api: str, arguments: dict[str, str], description: Description) -> list[str]:
    """Profiles for this device's driver that the device accepts."""
    names = []
    for name in available():
        profile = load(name)
        if profile.api != api or not _same_kind(profile, arguments, description):
            continue
        try:
            check_device(replace(profile, device=arguments), description)
        except HardwareError:
            continue
        names.append(name)
    return names


def _same_kind(profile: Profile, arguments: dict[str, str], description: Description) -> bool:
    if profile.api == "soapy":
        return profile.device.get("driver") == arguments.get("driver")
    product = arguments.get("product", description.hardware).lower()
    return profile.name[:2] == product[:2] and (
        profile.name in product or arguments.get("type") == profile.device["type"]
    )


def _bare(api: str, arguments: dict[str, str]) -> Profile:
    """A profile that opens a device and sets nothing."""
    side, all_of_it = Side(gain=0.0), ((0.0, 1e12),)
    return Profile(
        name=arguments.get("label", arguments.get("serial", api)),
        about="",
        api=api,
        duplex="full",
        package="",
        device={k: v for k, v in arguments.items() if k not in ("label",)},
        frequency=1e9,
        sample_rate=1e6,
        limits=Limits(all_of_it, all_of_it),
        safety=Safety(),
        tx=side,
        rx=side,
    )
