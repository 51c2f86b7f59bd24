"""`privsc worker`: the networks as a service for GNU Radio flowgraphs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from privsc.cli.options import CheckpointOption, DeviceOption, EncoderOption, HintOption, ModelOption, RecoveryOption
from privsc.errors import ConfigError


def worker(
    roles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ROLE...", help="guard, recovery (with K), generic (recovery without K), report, or all."
        ),
    ] = None,
    database: Annotated[
        Path | None, typer.Option("--db", metavar="K.db", help="Privacy database K; every role but generic needs it.")
    ] = None,
    generic: Annotated[
        bool, typer.Option("--generic", help="Make recovery one without K: `recovery --generic`.")
    ] = False,
    endpoint: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen: ipc://NAME, a socket in your own folder, ipc://PATH, or tcp://HOST:PORT with keys.",
        ),
    ] = "ipc://worker",
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For tcp://: own .key_secret of `python -m phy.net.curve_proxy keys`."),
    ] = None,
    allow: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Public .key of somebody who may ask; may be repeated.")
    ] = None,
    queue_size: Annotated[
        int, typer.Option("--queue", min=1, max=1024, help="Requests that may wait; one more is answered 'busy'.")
    ] = 4,
    steps: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Denoising steps; the model's own number if left out.")
    ] = None,
    hint: HintOption = "pose",
    encoder: EncoderOption = "lite0",
    checkpoint: CheckpointOption = None,
    recovery: RecoveryOption = "mini",
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    until_eof: Annotated[bool, typer.Option("--until-eof", help="End when standard input ends.")] = False,
) -> None:
    """Serve guard, recovery and report to the blocks of flowgraphs/ over ZMQ, until interrupted."""
    from privsc.system.build import Choice
    from privsc.worker.server import ROLES, run

    choice = Choice(encoder, checkpoint, recovery, model, device)

    chosen = tuple(dict.fromkeys(roles or ["all"]))
    if "all" in chosen:
        chosen = ROLES
    if generic:
        if "recovery" not in chosen or database is not None:
            raise ConfigError("--generic: goes with the role recovery and without --db")
        chosen = tuple("generic" if role == "recovery" else role for role in chosen)
    unknown = [role for role in chosen if role not in ROLES]
    if unknown:
        raise ConfigError(f"ROLE: choose of {', '.join(ROLES)} or all; got {unknown[0]!r}")
    if hint not in ("pose", "none"):
        raise ConfigError(f"--hint: must be pose or none; got {hint!r}")
    from privsc.worker.operations import Operations

    load = partial(Operations.load, choice=choice, hint=hint)
    run(chosen, database, endpoint, queue_size, until_eof, steps, load, key, tuple(allow or ()))
