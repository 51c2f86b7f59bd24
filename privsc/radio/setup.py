"""Who uses which radio: profiles of the sender, Bob and Eve, checked and connected."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from hardware.errors import ProfileError
from hardware.frontend.frontend import Correction
from hardware.profiles.profile import Profile

BOB, EVE = "bob", "eve"
_AUTO = "auto"


def device_arguments(text: str | None, option: str) -> dict[str, str]:
    """KEY=VALUE,KEY=VALUE to a table."""
    from hardware.errors import ProfileError

    found: dict[str, str] = {}
    for part in filter(None, (text or "").split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise ProfileError(f"{option}: must be KEY=VALUE, separated by commas; got {part!r}")
        found[key.strip()] = value.strip()
    return found


def chosen_setup(
    profile: str,
    rx_profile: str | None = None,
    eve_profile: str | None = None,
    args: str | None = None,
    rx_args: str | None = None,
    eve_args: str | None = None,
    *,
    frequency: float | None = None,
    rate: float | None = None,
    tx_gain: float | None = None,
    rx_gain: float | None = None,
    transmit: bool = False,
    eve_noise: float | None = None,
    seed: int = 0,
    send: bool = True,
    dc_block: str = "no",
    swap_iq: str = "no",
) -> Setup:
    """The radios that the options name. send False: nobody of ours sends, the profile is Bob's."""
    from hardware.errors import ProfileError
    from hardware.profiles.profile import load

    def tables(device: str | None, option: str, **sides: float | None) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "radio": {"frequency": frequency, "sample_rate": rate},
            "device": device_arguments(device, option),
        }
        for side, gain in sides.items():
            if gain is not None:
                wanted[side] = {"gain": gain}
        return wanted

    own = rx_gain if rx_profile in (None, "same") else None
    first = load(profile, tables(args, "--args", tx=tx_gain if send else None, rx=own))
    partner = (rx_profile or first.partner) if send else rx_profile
    bob = first
    if partner and partner != "same":
        bob = load(partner, tables(rx_args, "--rx-args", rx=rx_gain))
    elif rx_args:
        raise ProfileError("--rx-args: there is one device; name Bob's with --rx-profile, or use --args")
    eve = None
    named = eve_profile or (first.eve if send and partner != "same" else "")
    if named and named != "none":
        eve = load(named, tables(eve_args, "--eve-args"))
    for ear in filter(None, (bob, eve)):
        if send and abs(ear.frequency - first.frequency) > first.sample_rate / 2:
            raise ProfileError(
                f"{ear.name}: radio.frequency: must be the sender's, {first.frequency / 1e6:g} MHz; got "
                f"{ear.frequency / 1e6:g} (--frequency sets it in all profiles)"
            )
    return Setup(first if send else None, bob, eve, eve_noise, transmit, seed, Correction(dc_block, swap_iq))


@dataclass(frozen=True)
class Setup:
    """Who uses which radio. bob is sender: one full-duplex device. eve None: her chain hears Bob's capture, with white
    noise of ``eve_noise_db`` [dB of full scale] added. correction: of what every receiver hears."""

    sender: Profile | None
    bob: Profile
    eve: Profile | None = None
    eve_noise_db: float | None = None
    transmit: bool = False
    seed: int = 0
    correction: Correction = field(default_factory=Correction)

    def __post_init__(self) -> None:
        one = self.sender is self.bob
        if self.sender is not None and self.sender.tx is None:
            raise ProfileError(
                f"{self.sender.name}: tx: this radio only receives; choose another --profile to send with"
            )
        if one and self.bob.duplex == "half":
            raise ProfileError(
                f"{self.bob.name}: duplex: it cannot hear while it sends; give a second device with "
                "--rx-profile (and --rx-args serial=... where both are of a kind)"
            )
        for profile in filter(None, (self.bob, self.eve)):
            if profile.rx is None:
                raise ProfileError(f"{profile.name}: rx: is missing; this radio cannot receive")
            if (
                self.sender is not None
                and abs(profile.sample_rate - self.sender.sample_rate) > 1e-6 * profile.sample_rate
            ):
                raise ProfileError(
                    f"{profile.name}: radio.sample_rate: must be the sender's, "
                    f"{self.sender.sample_rate:g}; got {profile.sample_rate:g}"
                )


def connected(setup: Setup) -> Setup:
    """Each radio with only the directions it needs; virtual ones whose endpoints are "auto" get air of their own."""
    air = f"{os.getpid()}-{secrets.token_hex(4)}"
    ears: list[str] = []
    one = setup.sender is setup.bob

    def receiver(profile: Profile, who: str, sends: bool = False) -> Profile:
        device = dict(profile.device)
        if profile.virtual:
            if device.get("rx") == _AUTO:
                device["rx"] = f"ipc://@privsc-{air}-{who}"
            if not sends:
                device["tx"] = "none"
            ears.append(device.get("rx", ""))
        return replace(profile, device=device, tx=profile.tx if sends else None)

    bob = receiver(setup.bob, BOB, one)
    eve = None if setup.eve is None else receiver(setup.eve, EVE)
    sender = bob if one else setup.sender
    if sender is not None:
        device = dict(sender.device)
        if sender.virtual and device.get("tx") == _AUTO:
            device["tx"] = ";".join(ears)
        if sender.virtual and not one:
            device["rx"] = "none"
        sender = replace(sender, device=device, rx=sender.rx if one else None)
    return replace(setup, sender=sender, bob=sender if one and sender is not None else bob, eve=eve)
