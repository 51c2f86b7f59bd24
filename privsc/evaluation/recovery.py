"""The whole chain measured on photographs that nobody trained on: `privsc eval recovery` and `privsc eval modes`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privsc.datasets.subjects import last_photo, photos_folder, subjects_in
from privsc.evaluation.protocol import Progress, k_of_subjects
from privsc.images import metrics
from privsc.knowledge.database import Database
from privsc.stats import Figure, mean, share
from privsc.system.build import DEFAULT, Choice, Models
from privsc.system.config import RunConfig
from privsc.system.memo import FrozenDatabase, Memory, RememberingCarrier, RememberingGuard
from privsc.system.trial import LinkCarrier, Trial, run_trial

MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "no hint": {"hint": "none"},
    "noise, hint": {"init": "noise"},
    "noise, no hint": {"init": "noise", "hint": "none"},
    "1 step": {"steps": 1},
    "4 steps": {"steps": 4},
    "50 steps": {"steps": 50},
    "box": {"mask": "box"},
    "silhouette+8": {"mask": "silhouette+8"},
    "mask in payload": {"mask_in_payload": True},
    "embedding": {"send": "embedding"},
}
"""Name to what differs from `privsc run` without options; "noise, no hint" is the paper's recovery."""


@dataclass(frozen=True)
class Recovered:
    """Figures of one subject's last photograph; PSNR [dB] and SSIM in the private region, None where not found.

    ``seconds`` is for one receiver's recovery.
    """

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
    seconds: float


def diffused(masked: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8] | None:
    """OpenCV's inpainting (Telea 2004) of HWC uint8, the baseline without a generative model; None without OpenCV."""
    try:
        import cv2
    except ImportError:
        return None
    return np.asarray(cv2.inpaint(masked, mask.astype(np.uint8) * 255, 5, cv2.INPAINT_TELEA))


def evaluate_recovery(
    photos: Path | None,
    *,
    database: Path | None = None,
    personalise: bool = True,
    only: Sequence[str] = (),
    modes: Sequence[dict[str, Any]] = ({},),
    progress: Progress | None = None,
    choice: Choice = DEFAULT,
    **options: Any,
) -> Iterator[tuple[list[Recovered], list[Trial]]]:
    """The whole chain on the last photograph of each subject, all subjects enrolled in one K.

    Args:
        database: K, made or completed when it lacks a subject; None for a temporary one.
        only: names of subjects, all of the folder where there are none.
        modes: of each photograph one transmission for each, with these fields of RunConfig over ``options``.

    Yields:
        For each subject the figures and the trials, in the order of ``modes``.
    """
    folder = photos_folder(photos)
    names = subjects_in(folder, only)
    configs = [RunConfig.build(**{**options, **mode}) for mode in modes]
    models = Models.load(choice)
    models = Models(RememberingGuard(models.guard), models.recovery)
    with (
        k_of_subjects(database, folder, names, personalise=personalise, progress=progress, choice=choice) as db,
        FrozenDatabase.open(db.path, models.guard.identity) as frozen,
    ):
        for number, name in enumerate(names):
            image, rows, trials = last_photo(folder, name), [], []
            sent, received = Memory(), Memory()
            for config in configs:
                carrier = RememberingCarrier(LinkCarrier.simulated(config), sent, received)
                trial = run_trial(image, frozen, models, config, carrier=carrier)
                rows.append(_figures(name, trial, models.guard, frozen))
                trials.append(trial)
            yield rows, trials
            if progress is not None:
                progress(number + 1, len(names), name)


def _figures(name: str, trial: Trial, guard: Any, db: Database) -> Recovered:
    guarded, figures, entities = trial.guarded, trial.figures, db.entities()
    bob, eve = figures["bob"], figures["eve"]
    plain = diffused(guarded.masked, guarded.mask)
    ranks = [guard.rank(seen.restored, entities, guarded.mask) for seen in (trial.bob, trial.eve)]
    first = [bool(rank) and rank[0].name == name for rank in ranks]
    return Recovered(
        name,
        any(detection.name == name for detection in guarded.detections),
        bob["psnr_private"],
        eve["psnr_private"],
        bob["ssim_private"],
        eve["ssim_private"],
        bob["identified"],
        eve["identified"],
        first[0],
        first[1],
        None if plain is None else metrics.psnr(trial.image, plain, guarded.mask),
        figures["seconds"]["recover"] / 2,
    )


def summarise(rows: Sequence[Recovered]) -> list[Figure]:
    """Means and proportions over the subjects that the guard found."""
    found = [row for row in rows if row.found and row.bob_psnr is not None and row.eve_psnr is not None]
    gains = [100 * (row.bob_ssim / row.eve_ssim - 1) for row in found if row.bob_ssim is not None and row.eve_ssim]
    return [
        share("entity found and masked", [row.found for row in rows]),
        mean("PSNR private, Bob", [row.bob_psnr for row in found if row.bob_psnr is not None], "dB"),
        mean("PSNR private, Eve", [row.eve_psnr for row in found if row.eve_psnr is not None], "dB"),
        mean("PSNR private, Bob - Eve", [(row.bob_psnr or 0) - (row.eve_psnr or 0) for row in found], "dB"),
        mean(
            "PSNR private, Bob - OpenCV inpainting",
            [row.bob_psnr - row.blur_psnr for row in found if row.blur_psnr is not None and row.bob_psnr],
            "dB",
        ),
        mean("SSIM private, Bob", [row.bob_ssim for row in found if row.bob_ssim is not None]),
        mean("SSIM private, Eve", [row.eve_ssim for row in found if row.eve_ssim is not None]),
        mean("SSIM private, Bob above Eve, mean of ratios", gains, "%"),
        share("Bob's picture identified", [row.bob_is == row.name for row in found]),
        share("Eve's picture identified", [row.eve_is == row.name for row in found]),
        share("Bob's picture, rank 1", [row.bob_rank1 for row in found]),
        share("Eve's picture, rank 1", [row.eve_rank1 for row in found]),
        mean("recovery, one receiver", [row.seconds for row in found], "s"),
    ]


@dataclass(frozen=True)
class Compared:
    """One mode beside the first: means over the subjects found in both, and Bob's difference to the first."""

    name: str
    bob_psnr: Figure
    difference: Figure
    eve_psnr: Figure
    bob_ssim: Figure
    bob: Figure
    eve: Figure
    seconds: Figure


def compare(rows: dict[str, list[Recovered]]) -> list[Compared]:
    """Each mode's means; ``rows`` of the same subjects in the same order, the first mode is the one to compare with."""
    first, compared = next(iter(rows.values())), []
    for name, own in rows.items():
        both = [(a, b) for a, b in zip(own, first, strict=True) if a.bob_psnr is not None and b.bob_psnr is not None]
        compared.append(
            Compared(
                name,
                mean("", [a.bob_psnr for a, _ in both if a.bob_psnr is not None]),
                mean("", [(a.bob_psnr or 0) - (b.bob_psnr or 0) for a, b in both]),
                mean("", [a.eve_psnr for a, _ in both if a.eve_psnr is not None]),
                mean("", [a.bob_ssim for a, _ in both if a.bob_ssim is not None]),
                share("", [a.bob_is == a.name for a, _ in both]),
                share("", [a.eve_is == a.name for a, _ in both]),
                mean("", [a.seconds for a, _ in both]),
            )
        )
    return compared
