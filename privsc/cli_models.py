"""`privsc models`: the networks that the project uses."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from privsc import models
from privsc.cli_common import console

app = typer.Typer(no_args_is_help=True, help="The networks in use: where they are and whether they are intact.")


@app.command("list", epilog="Example: privsc models list")
def list_() -> None:
    """Show every network: those that ship here and those that other packages carry."""
    table = Table("file", "what for", "size")
    for file in models.read_manifest() + models.packaged_files():
        table.add_row(escape(file.name), file.what, f"{file.size / 1e6:.2f} MB")
    console.print(table)


@app.command(epilog="Example: privsc models verify")
def verify() -> None:
    """Compare every shipped file with its SHA-256; stops at the first that differs."""
    files = models.read_manifest()
    for file in files:
        models.verify(file)
    carried = models.packaged_files()
    console.print(
        f"{len(files)} shipped files match their SHA-256; {len(carried)} networks of other packages are there"
    )
