"""Options that the sub-commands of `privsc radio` share, and the set-up that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from privsc.radio import Setup

ProfileOption = Annotated[
    str, typer.Option("--profile", metavar="NAME|FILE.toml", help="Radio that sends; receives too if it is alone.")
]  # fmt: skip
RxProfileOption = Annotated[
    str | None, typer.Option("--rx-profile", metavar="NAME|FILE.toml", help="Bob's radio; 'same' for the sender's own.")
]
EveProfileOption = Annotated[
    str | None,
    typer.Option("--eve-profile", metavar="NAME|FILE.toml", help="Eve's radio; 'none': her chain hears Bob's capture."),
]
ArgsOption = Annotated[
    str | None, typer.Option("--args", metavar="KEY=VALUE,...", help="Device arguments on top of the profile's.")
]  # fmt: skip
RxArgsOption = Annotated[
    str | None, typer.Option("--rx-args", metavar="KEY=VALUE,...", help="The same of Bob's radio.")
]
EveArgsOption = Annotated[
    str | None, typer.Option("--eve-args", metavar="KEY=VALUE,...", help="The same of Eve's radio.")
]
FrequencyOption = Annotated[float | None, typer.Option("--frequency", metavar="HZ", help="Carrier, in all profiles.")]
RateOption = Annotated[float | None, typer.Option("--rate", metavar="SPS", help="Sample rate, in all profiles.")]
TxGainOption = Annotated[
    float | None, typer.Option("--tx-gain", metavar="DB", help="Transmit gain over the profile's.")
]
RxGainOption = Annotated[float | None, typer.Option("--rx-gain", metavar="DB", help="Bob's receive gain.")]
TransmitOption = Annotated[
    bool, typer.Option("--transmit", help="Allow transmission: into a cable with attenuators, or the band is yours.")
]  # fmt: skip


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
    profile: str, rx_profile: str | None = None, eve_profile: str | None = None, args: str | None = None,
    rx_args: str | None = None, eve_args: str | None = None, *, frequency: float | None = None,
    rate: float | None = None, tx_gain: float | None = None, rx_gain: float | None = None, transmit: bool = False,
    eve_noise: float | None = None, seed: int = 0, send: bool = True,
) -> Setup:  # fmt: skip
    """The radios that the options name. send False: nobody of ours sends, the profile is Bob's."""
    from hardware.errors import ProfileError
    from hardware.profile import load
    from privsc.radio import Setup

    def tables(device: str | None, option: str, **sides: float | None) -> dict[str, Any]:
        wanted: dict[str, Any] = {"radio": {"frequency": frequency, "sample_rate": rate},
                                  "device": device_arguments(device, option)}  # fmt: skip
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
            raise ProfileError(f"{ear.name}: radio.frequency: must be the sender's, {first.frequency / 1e6:g} MHz; got "
                               f"{ear.frequency / 1e6:g} (--frequency sets it in all profiles)")  # fmt: skip
    return Setup(first if send else None, bob, eve, eve_noise, transmit, seed)
