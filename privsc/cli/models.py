"""`privsc models`: the networks that the project uses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from privsc.cli.options import console, transfer
from privsc.networks.files import catalogue, weights

app = typer.Typer(no_args_is_help=True, help="The networks in use: where they are and whether they are intact.")


@app.command("list", epilog="Example: privsc models list")
def list_() -> None:
    """Show every network: those that ship here, those that other packages carry, and the full ones."""
    table = Table(Column("file", overflow="fold"), "what for", "size", "state")
    for file in weights.read_manifest():
        table.add_row(escape(file.name), file.what, f"{file.size / 1e6:.2f} MB", "ships here")
    for file in weights.packaged_files():
        table.add_row(escape(file.name), file.what, f"{file.size / 1e6:.2f} MB", "in a package")
    folder = catalogue.models_folder()
    for full in catalogue.SOURCES.values():
        state = "fetched" if catalogue.is_fetched(full, folder) else "not fetched"
        table.add_row(full.name, full.what, f"{full.size / 1e6:.0f} MB", state)
    console.print(table)
    console.print(f"folder of fetched models: {escape(str(folder))}", soft_wrap=True)


@app.command(epilog="Example: privsc models fetch sam_vit_b")
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help=f"{', '.join(catalogue.SOURCES)}.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Folder to keep them in; the user's data folder.")
    ] = None,
    mirror: Annotated[
        str | None, typer.Option("--from", metavar="URL", help="Address of a mirror; the SHA-256 must be the same.")
    ] = None,
) -> None:
    """Download the weights of full models: the only command that uses the network.

    An interrupted download goes on when the command is repeated. Every file is compared with its SHA-256.
    """
    from privsc.networks.files.download import fetch as fetch_source

    chosen = [catalogue.source(name) for name in names]
    folder = catalogue.models_folder() if to is None else to
    for full in chosen:
        with transfer(full.name, full.size) as progress:
            path = fetch_source(full, folder, progress, mirror)
        console.print(f"{full.name}: {escape(str(path))} ({full.licence})", soft_wrap=True)
    if to is not None and to != catalogue.models_folder():
        console.print(f"to use them: export {catalogue.ENVIRONMENT}={escape(str(to.absolute()))}", soft_wrap=True)


@app.command(epilog="Example: privsc models verify")
def verify() -> None:
    """Compare every shipped and every fetched file with its SHA-256; stops at the first that differs."""
    files = weights.read_manifest()
    for file in files:
        weights.verify(file)
    carried = weights.packaged_files()
    folder = catalogue.models_folder()
    full = [model for model in catalogue.SOURCES.values() if catalogue.is_fetched(model, folder)]
    for model in full:
        for remote in model.files:
            path = model.folder(folder) / remote.name
            remedy = f"remove it and run 'privsc models fetch {model.name}'"
            weights.verify(weights.WeightFile(remote.name, path, remote.size, remote.sha256, model.what), remedy)
    console.print(
        f"{len(files)} shipped files match their SHA-256; {len(carried)} networks of other packages are there; "
        f"{sum(len(model.files) for model in full)} fetched files match theirs",
        soft_wrap=True,
    )
