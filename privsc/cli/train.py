"""`privsc train`: make the networks again, or one's own. Every training can be interrupted and goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from privsc.cli import train_endtoend
from privsc.cli.options import PhotosOption, SeedOption, console, stages

app = typer.Typer(no_args_is_help=True, help="Train the networks; an interrupted training goes on when it is repeated.")

StateOption = Annotated[Path, typer.Option("--state", metavar="DIR", help="Folder of the training's state.")]


@app.command(epilog="Example: privsc train codec --k 8 --n 4 --out mine.npz")
def codec(
    k: Annotated[int, typer.Option(help="Bits a message.")] = 8,
    n: Annotated[int, typer.Option(help="Complex channel uses a message.")] = 4,
    out: Annotated[Path, typer.Option(metavar="FILE.npz", help="The codec; its name is the file's.")] = Path(
        "mine.npz"
    ),
    snr_low: Annotated[float, typer.Option(metavar="DB", help="Lowest Es/N0 of the training in dB.")] = 5.0,
    snr_high: Annotated[float, typer.Option(metavar="DB", help="Highest Es/N0 of the training in dB.")] = 20.0,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 1500,
    message_cost: Annotated[
        float, typer.Option(help="0, or about 100 to make likely confusions near in sample value (pixels payload).")
    ] = 0.0,
    resume: Annotated[bool, typer.Option(help="Go on from an interrupted training.")] = False,
    seed: SeedOption = 1,
) -> None:
    """Train a one-hot autoencoder through Sionna's AWGN channel."""
    from privsc.training.codec import train_codec

    with stages() as stage:
        path = train_codec(
            k,
            n,
            out=out,
            snr_db=(snr_low, snr_high),
            steps=steps,
            message_cost=message_cost,
            seed=seed,
            resume=resume,
            progress=stage(f"codec ({k} bits, {n} uses)"),
        )
    console.print(f"{escape(str(path))}: trained for {steps} steps from {snr_low:g} to {snr_high:g} dB")


@app.command(epilog="Example: privsc train outlines --photos DIR --out runs/objects")
def outlines(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Photographs and masks, made when missing.")],
    photos: PhotosOption = None,
) -> None:
    """Outline the subjects' enrolled photographs with GrabCut, for `privsc train guard --objects`."""
    from privsc.datasets.subjects import photos_folder
    from privsc.training.grabcut import make_objects

    folder = photos_folder(photos)
    with stages() as stage:
        kept = make_objects(folder, out, stage("outlines"))
    console.print(f"{escape(str(out))}: {kept} photographs; look at the masks and delete what is wrong")


@app.command(epilog="Example: privsc train guard --photos DIR --state runs/guard --out sam-lite.safetensors")
def guard(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Weights of the mask decoder.")],
    photos: PhotosOption = None,
    state: StateOption = Path("runs/guard"),
    objects: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Outlines of `privsc train outlines`; pets only if left out.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights to begin with; random ones if left out.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps in all.")] = 2000,
    rate: Annotated[float, typer.Option(min=1e-7, max=1.0, help="Highest learning rate.")] = 4e-4,
    seed: SeedOption = 0,
) -> None:
    """Train the mask decoder (segment-anything's) on the embedded backbone."""
    from privsc.training.mask_decoder import GuardTrainer, GuardTraining

    trainer = GuardTrainer(state, GuardTraining(steps=steps, rate=rate, seed=seed), start)
    with stages() as stage:
        trainer.run(photos, stage("guard"), objects)
    trainer.export(out)
    console.print(f"{escape(str(out))}: trained for {steps} steps")


@app.command(epilog="Example: privsc train recovery --photos DIR --state runs/recovery --out my-model")
def recovery(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The diffusion model, in diffusers' folder layout.")],
    photos: PhotosOption = None,
    state: StateOption = Path("runs/recovery"),
    steps: Annotated[int, typer.Option(help="Optimiser steps in all.")] = 6000,
    seed: SeedOption = 0,
) -> None:
    """Train the diffusion model that paints entities back."""
    from privsc.training.diffusion import RecoveryTrainer, RecoveryTraining

    trainer = RecoveryTrainer(state, RecoveryTraining(steps=steps, seed=seed))
    with stages() as stage:
        trainer.run(photos, stage("recovery"))
    trainer.export(out)
    console.print(f"{escape(str(out))}: trained for {steps} steps")


@app.command(epilog="Example: privsc train strangers --photos DIR --out strangers.safetensors")
def strangers(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Patch features of photographs that show nobody in K.")],
    photos: PhotosOption = None,
) -> None:
    """Describe photographs of strangers, above which enrolment puts each threshold Gamma."""
    from privsc.datasets.pets import read_pets
    from privsc.datasets.subjects import photos_folder
    from privsc.guard.strangers import build
    from privsc.networks.image_encoder import load_encoder

    pets = list(read_pets(photos_folder(photos)))[::3]
    build(load_encoder(), [pet.image for pet in pets], out)
    console.print(f"{escape(str(out))}: {len(pets)} photographs")


app.command(epilog=train_endtoend.EPILOG)(train_endtoend.endtoend)
