"""Command line of the picture code's training: train or go on, then write weights and learning curve.

    python -m privsc.training.picture_code_run PHOTOS --state FOLDER --minutes 100 --out picture-code.safetensors

Can be stopped at any time and started again with the same command; more minutes go on with what is there. With
``--minutes 0`` what has been learned so far is written.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from privsc import compute
from privsc.networks.picture_code import PictureCodeConfig
from privsc.networks.picture_code_file import load_picture_code, save_picture_code
from privsc.training.picture_code import PictureCodeTrainer, PictureCodeTraining, faster_precision
from privsc.training.picture_code_data import pet_photos, subject_photos
from privsc.training.picture_code_points import learn_points, mixed_symbols, points_codec


def learning_curve(history: Sequence[dict]) -> str:
    """The validations of a training as a Markdown table: PSNR [dB] by rate and SNR of 0, 10, 20 dB."""
    lines = ["| step | minutes | CBR 1/24 | CBR 1/12 | CBR 1/6 |", "| --- | --- | --- | --- | --- |"]
    for entry in history:
        if "validation" in entry:
            cells = [" ".join(f"{value:.2f}" for value in row[:3]) for row in entry["validation"].values()]
            lines.append(f"| {entry['step']} | {entry['seconds'] / 60:.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_weights(trainer: PictureCodeTrainer, path: Path, codec: Path | None) -> None:
    """The moving average's networks, with points learned from every fourth training photograph; the points as codec."""
    photos = subject_photos(trainer.root)[::4] + pet_photos(trainer.root, validation=False)[::16]
    rng = np.random.default_rng(trainer.training.seed)
    symbols = mixed_symbols(trainer.average, photos)
    chosen = symbols[rng.permutation(len(symbols))[:400_000]]
    points = learn_points(chosen, rng)
    save_picture_code(path, trainer.average, points)
    if codec is not None:
        points_codec(points, trainer.step).save(codec)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, train, write."""
    parser = argparse.ArgumentParser(description="Train the picture code, or go on with a training.")
    parser.add_argument("photos", type=Path, help="folder laid out as PRIVSC_PHOTOS")
    parser.add_argument("--state", type=Path, required=True, help="folder of the training's state")
    parser.add_argument("--minutes", type=float, required=True, help="of training in all, earlier runs included")
    parser.add_argument("--start", type=Path, help="weights to begin a new training from (.safetensors)")
    parser.add_argument("--out", type=Path, help="weights to write at the end (.safetensors)")
    parser.add_argument("--codec", type=Path, help="codec of the points to write at the end (picture8x1.npz)")
    parser.add_argument("--curve", type=Path, help="Markdown table to write at the end")
    options = parser.parse_args(arguments)
    trainer = PictureCodeTrainer(options.state, options.photos, PictureCodeConfig(), PictureCodeTraining())
    if options.start and trainer.step == 0:
        trainer.begin_from(load_picture_code(options.start).model)
    if options.minutes > 0:
        low, seconds = faster_precision(trainer)
        if os.environ.get(compute.VARIABLE, "auto") in compute.FORMATS:
            low = trainer.model.low_precision = compute.compute_dtype() is torch.bfloat16
        told = ", ".join(f"{name} {value:.3f} s/step" for name, value in seconds.items())
        print(f"{told}: {'bfloat16' if low else 'float32'}; from step {trainer.step}", flush=True)
        trainer.train(60 * options.minutes, lambda text: print(text, flush=True))
    if options.out:
        write_weights(trainer, options.out, options.codec)
    if options.curve:
        options.curve.write_text(learning_curve(trainer.history) + "\n")


if __name__ == "__main__":
    main()
