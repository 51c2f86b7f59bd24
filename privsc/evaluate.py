"""The vision half measured on photographs that nobody trained on: `privsc eval guard` and `privsc eval recovery`.

Protocol: of each subject (folder ``subjects/NAME``) all photographs but the last are enrolled and the last is the test;
of the pets, those whose number ends in 7 are the test.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from privsc import metrics
from privsc.config import RunConfig
from privsc.database import Database
from privsc.enrol import enrol
from privsc.entity import Entity
from privsc.errors import PhotoError
from privsc.features import load_encoder
from privsc.files import decode_photo
from privsc.guard import COVER, MARGIN, Guard, spread_points
from privsc.photos import Pet, photos_folder, read_pets, subject_photos
from privsc.regions import dilate, intersection_over_union
from privsc.text import load_text_encoder
from privsc.trial import Models, run_trial

Progress = Callable[..., None]


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % interval and the number of pictures behind it; None where there were none."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    count: int
    unit: str = ""


def share(name: str, hits: Sequence[bool]) -> Figure:
    """A proportion in % with its Clopper-Pearson interval."""
    count = len(hits)
    if count == 0:
        return Figure(name, None, None, None, 0, "%")
    interval = stats.binomtest(int(sum(hits)), count).proportion_ci(method="exact")
    return Figure(name, 100 * sum(hits) / count, 100 * interval.low, 100 * interval.high, count, "%")


def mean(name: str, values: Sequence[float], unit: str = "") -> Figure:
    """A mean with its bootstrap percentile interval (2,000 resamples, fixed seed)."""
    data = np.asarray(values, float)
    if data.size == 0:
        return Figure(name, None, None, None, 0, unit)
    rng = np.random.default_rng(0)
    means = data[rng.integers(data.size, size=(2000, data.size))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Figure(name, float(data.mean()), float(low), float(high), data.size, unit)


def subjects_in(folder: Path, only: Sequence[str] = ()) -> list[str]:
    """Names of the subjects in ``folder/subjects``, or those asked for."""
    names = sorted(path.name for path in (folder / "subjects").glob("*") if path.is_dir())
    if missing := [name for name in only if name not in names]:
        raise PhotoError(f"no subject {missing[0]} in {folder / 'subjects'}; there are {', '.join(names) or 'none'}")
    if not names:
        raise PhotoError(f"no folders in {folder / 'subjects'}: one folder for each subject is needed")
    return list(only) or names


def class_words(folder: Path) -> dict[str, str]:
    """Subject to class word, from ``subjects/prompts_and_classes.txt`` where there is one."""
    path = folder / "subjects" / "prompts_and_classes.txt"
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").split("Prompts")[0].splitlines()
    return {name.strip(): word.strip() for name, _, word in (line.partition(",") for line in lines) if word}


def enrol_subjects(
    db: Database, folder: Path, names: Sequence[str], *, personalise: bool, progress: Progress | None
) -> list[Entity]:
    """K of all subjects, from all photographs but the last of each."""
    words, entities = class_words(folder), []
    for number, name in enumerate(names):
        photos = [path.read_bytes() for path in subject_photos(folder, name)[0]]
        entities.append(enrol(db, name, photos, class_word=words.get(name), personalise=personalise))
        if progress is not None:
            progress(number + 1, len(names), name)
    return entities


def _test_photo(folder: Path, name: str) -> NDArray[np.uint8]:
    path = subject_photos(folder, name)[1]
    return decode_photo(path.read_bytes(), str(path), 640)


def pet_mask(guard: Guard, pet: Pet, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Decoder's mask [H, W] and the covering mask with its margin, prompted by random patches on the animal."""
    features = load_encoder()(pet.image)
    on_animal = features.region_weights(pet.mask) >= 0.5
    if not on_animal.any():
        on_animal = features.region_weights(pet.mask) >= features.region_weights(pet.mask).max()
    points = spread_points(rng.random(on_animal.shape).astype(np.float32), on_animal, features.centres)
    probability, _ = guard.segmenter.probability(pet.image.shape[:2], features.fitted, features.maps, points)
    covering = dilate(guard.keep_prompted(probability > COVER, points), round(MARGIN * max(pet.mask.shape)))
    return probability > 0.5, covering


def evaluate_guard(
    photos: Path | None, *, only: Sequence[str] = (), progress: Progress | None = None
) -> Iterator[Figure]:
    """Identity, false alarms, masks and latency."""
    folder, models = photos_folder(photos), Models.load()
    guard, names = models.guard, subjects_in(folder, only)
    with tempfile.TemporaryDirectory() as scratch:
        db = Database.create(Path(scratch) / "K.db", load_encoder().identity, load_text_encoder().identity)
        with db:
            entities = enrol_subjects(db, folder, names, personalise=False, progress=progress)
        first, found, extra, seconds = [], [], [], []
        for name in names:
            image = _test_photo(folder, name)
            start = time.perf_counter()
            result = guard(image, entities)
            seconds.append(time.perf_counter() - start)
            first.append(guard.rank(image, entities)[0].name == name)
            found.append(any(detection.name == name for detection in result.detections))
            extra.append(any(detection.name != name for detection in result.detections))
        yield share("identity, top-1", first)
        yield share("entity found and masked", found)
        yield share("someone else masked as well", extra)
        pets = list(read_pets(folder, held_out=True))
        yield share("false alarms on strangers (pets)", [bool(guard(pet.image, entities).detections) for pet in pets])
        overlaps, covered, rng = [], [], np.random.default_rng(0)
        for pet in pets:
            mask, covering = pet_mask(guard, pet, rng)
            overlaps.append(intersection_over_union(mask & ~pet.unsure, pet.mask))
            covered.append(100 * float(covering[pet.mask].mean()))
        yield mean("mask IoU, pets outside training", overlaps)
        yield mean("private pixels covered", covered, "%")
        yield Figure("private pixels covered, worst", min(covered), None, None, len(covered), "%")
        yield mean("guard latency", seconds, "s")


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
) -> Iterator[Recovered]:  # fmt: skip
    """The whole chain on the last photograph of each subject, all subjects enrolled in one K."""
    folder, models = photos_folder(photos), Models.load()
    names, guard = subjects_in(folder, only), models.guard
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        db = Database.create(Path(scratch) / "K.db", load_encoder().identity, load_text_encoder().identity)
        with db:
            entities = enrol_subjects(db, folder, names, personalise=personalise, progress=progress)
            for number, name in enumerate(names):
                image = _test_photo(folder, name)
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
