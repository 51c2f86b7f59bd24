"""Options that the sub-commands of `privsc radio` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    pass

ProfileOption = Annotated[
    str, typer.Option("--profile", metavar="NAME|FILE.toml", help="Radio that sends; receives too if it is alone.")
]
RxProfileOption = Annotated[
    str | None, typer.Option("--rx-profile", metavar="NAME|FILE.toml", help="Bob's radio; 'same' for the sender's own.")
]
EveProfileOption = Annotated[
    str | None,
    typer.Option("--eve-profile", metavar="NAME|FILE.toml", help="Eve's radio; 'none': her chain hears Bob's capture."),
]
ArgsOption = Annotated[
    str | None, typer.Option("--args", metavar="KEY=VALUE,...", help="Device arguments on top of the profile's.")
]
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
DcBlockOption = Annotated[
    str, typer.Option("--dc-block", metavar="auto|yes|no", help="Remove DC from what is received.")
]
SwapOption = Annotated[
    str, typer.Option("--swap-iq", metavar="auto|yes|no", help="Exchange I and Q of what is received; auto: find out.")
]
TransmitOption = Annotated[
    bool, typer.Option("--transmit", help="Allow transmission: into a cable with attenuators, or the band is yours.")
]
