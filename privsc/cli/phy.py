"""`privsc phy`: the link alone, measured. `python -m phy.evaluation.…` does the same without typer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="The link alone, without pictures: block error rates, model cards, the burst modem's figures.",
    epilog="Start with: privsc phy bler real-7-4 hamming-ml --out results/bler",
)


@app.command(epilog="Example: privsc phy bler real-7-4 hamming-ml --from 0 --to 7 --step 0.5 --out results/bler")
def bler(
    schemes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SCHEME...", help="Codecs (NAME:neural for the network) and baselines; ten if left out."
        ),
    ] = None,
    first: Annotated[float, typer.Option("--from", metavar="DB", help="Smallest Eb/N0.")] = 0.0,
    last: Annotated[float, typer.Option("--to", metavar="DB", help="Largest Eb/N0.")] = 8.0,
    step: Annotated[float, typer.Option(metavar="DB", help="Between two points.")] = 1.0,
    errors: Annotated[int, typer.Option(help="A point ends at so many block errors ...")] = 100,
    blocks: Annotated[int, typer.Option(help="... or at so many blocks.")] = 10_000_000,
    at: Annotated[
        float | None, typer.Option(metavar="BLER", help="Only print the Eb/N0 of each scheme at this block error rate.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="bler.csv (gone on with) and bler.png.")] = Path(
        "results/bler"
    ),
) -> None:
    """Block error rate against Eb/N0 over AWGN, with 95 % intervals: learned codecs, classical schemes, limits."""
    from phy.evaluation import bler as rates

    points_db = rates.grid(first, last, step)
    rates.check_effort(errors, blocks)
    wanted = [rates.scheme(name) for name in schemes or rates.SCHEMES]
    if at is not None:
        rates.print_required(wanted, at, errors)
    else:
        rates.sweep(wanted, points_db, out, errors=errors, blocks=blocks)


@app.command(epilog="Example: privsc phy cards image8x4 --out results/cards --plots results/cards")
def cards(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="CODEC...", help="Shipped codecs; all if left out.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for NAME.md.")] = Path("results/cards"),
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for NAME.png: constellation and learning curve.")
    ] = None,
) -> None:
    """Model cards of the shipped codecs, with error rates and PSNR measured now (minutes a codec)."""
    from phy.codec.codec import available
    from phy.evaluation.cards import write

    for name in names or available():
        print(write(name, out, plots), flush=True)


@app.command(epilog="Example: privsc phy evaluate short --frames 1000")
def evaluate(
    row: Annotated[
        str,
        typer.Argument(
            metavar="ROW",
            help="cfo, clock, tdl, false, relock, delivery, throughput, short, hostile, or all (of them but tdl).",
        ),
    ],
    frames: Annotated[
        int | None, typer.Option(help="Frames a point (10^6 samples for 'false'); the row's own number if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 1,
) -> None:
    """The burst modem measured: frame errors under offsets, echoes and cuts, false frames, throughput."""
    from phy.evaluation.modem import print_rows

    print_rows(row, frames, seed)


@app.command(epilog="Example: privsc phy codecs")
def codecs() -> None:
    """The learned codecs that ship: name, bits, channel uses, header id."""
    from phy.codec.codec import available, shipped

    for name in available():
        codec = shipped(name)
        uses = "real" if codec.real else "complex"
        print(f"{name:10} {codec.k} bits in {codec.n} {uses} channel uses, id {codec.codec_id}")
