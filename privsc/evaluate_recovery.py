"""The whole chain measured on photographs that nobody trained on: `privsc eval recovery`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from privsc import metrics
from privsc.choice import DEFAULT, Choice
from privsc.config import RunConfig
from privsc.database import Database
from privsc.evaluate import Figure, Progress, enrol_subjects, last_photo, mean, share, subjects_in
from privsc.photos import photos_folder
from privsc.text import load_text_encoder
from privsc.trial import Models, run_trial


@dataclass(frozen=True)
class Recovered:
    """Figures of one subject's last photograph; PSNR [dB] and SSIM in the private region, None where not found."""

    name: str
    found: bool
    bob_psnr: float | None
    eve_psnr: float | None
    bob_ssim: float | None
    eve_ssim: float | None
    bob_is: str | None
    eve_is: str | None
    bob_rank1: bool
    eve_rank1: bool
    blur_psnr: float | None


def diffused(masked: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """OpenCV's inpainting (Telea 2004) of HWC uint8, the baseline without a generative model; None without OpenCV."""
    try:
        import cv2
    except ImportError:
        return None
    return np.asarray(cv2.inpaint(masked, mask.astype(np.uint8) * 255, 5, cv2.INPAINT_TELEA))


def evaluate_recovery(
    photos: Path | None, *, snr_db: float = 10.0, init: str = "reference", personalise: bool = True,
    only: Sequence[str] = (), seed: int = 0, pictures: Path | None = None, progress: Progress | None = None,
    choice: Choice = DEFAULT,
) -> Iterator[Recovered]:  # fmt: skip
    """The whole chain on the last photograph of each subject, all subjects enrolled in one K."""
    folder, models = photos_folder(photos), Models.load(choice)
    names, guard = subjects_in(folder, only), models.guard
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        db = Database.create(Path(scratch) / "K.db", guard.identity, load_text_encoder().identity)
        with db:
            entities = enrol_subjects(db, folder, names, personalise=personalise, progress=progress, choice=choice)
            for number, name in enumerate(names):
                image = last_photo(folder, name)
                trial = run_trial(image, db, models, RunConfig.build(snr_db=snr_db, seed=seed, init=init))
                guarded, figures = trial.sent.guarded, trial.figures
                bob, eve = figures["bob"], figures["eve"]
                plain = diffused(guarded.masked, guarded.mask)
                ranks = [guard.rank(seen.restored, entities, guarded.mask) for seen in (trial.bob, trial.eve)]
                first = [bool(rank) and rank[0].name == name for rank in ranks]
                found = any(detection.name == name for detection in guarded.detections)
                yield Recovered(
                    name, found, bob["psnr_private"], eve["psnr_private"], bob["ssim_private"], eve["ssim_private"],
                    bob["identified"], eve["identified"], first[0], first[1],
                    None if plain is None else metrics.psnr(image, plain, guarded.mask),
                )  # fmt: skip
                tiles = (image, guarded.masked, trial.bob.restored, trial.eve.restored)
                rows.append(np.concatenate([np.asarray(Image.fromarray(t).resize((192, 192))) for t in tiles], axis=1))
                if progress is not None:
                    progress(number + 1, len(names), name)
    if pictures is not None and rows:
        Image.fromarray(np.concatenate(rows)).save(pictures, "PNG")


def summarise(rows: Sequence[Recovered]) -> list[Figure]:
    """Means and proportions over the subjects that the guard found."""
    found = [row for row in rows if row.found and row.bob_psnr is not None and row.eve_psnr is not None]
    return [
        share("entity found and masked", [row.found for row in rows]),
        mean("PSNR private, Bob", [row.bob_psnr for row in found if row.bob_psnr is not None], "dB"),
        mean("PSNR private, Eve", [row.eve_psnr for row in found if row.eve_psnr is not None], "dB"),
        mean("PSNR private, Bob - Eve", [(row.bob_psnr or 0) - (row.eve_psnr or 0) for row in found], "dB"),
        mean("PSNR private, Bob - OpenCV inpainting",
             [row.bob_psnr - row.blur_psnr for row in found if row.blur_psnr is not None and row.bob_psnr], "dB"),
        mean("SSIM private, Bob", [row.bob_ssim for row in found if row.bob_ssim is not None]),
        mean("SSIM private, Eve", [row.eve_ssim for row in found if row.eve_ssim is not None]),
        share("Bob's picture identified", [row.bob_is == row.name for row in found]),
        share("Eve's picture identified", [row.eve_is == row.name for row in found]),
        share("Bob's picture, rank 1", [row.bob_rank1 for row in found]),
        share("Eve's picture, rank 1", [row.eve_rank1 for row in found]),
    ]  # fmt: skip
