"""`privsc demo`: the chain on photographs that ship with the package.

The default is Biscuit, a puppy: K holds photographs of other moments, the photograph that is sent is one that neither K
nor any network has seen, and an animal that K does not hold is in view and must stay. The other, `--chelsea`, is easier
than life: K holds views (other crops, mirrored, in other light and perspective) of the very photograph that is sent.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data

from privsc.datasets import album, builtin
from privsc.errors import DatabaseError
from privsc.files import ResultFolder, output_folder, to_json
from privsc.images.photo_io import encode_png
from privsc.images.regions import Box
from privsc.knowledge.database import Database
from privsc.networks.files import weights as models
from privsc.system.build import Models
from privsc.system.config import RunConfig
from privsc.system.report import grid_picture
from privsc.system.trial import Stage, Trial, receive_trial, send

SNRS = (5.0, 10.0, 15.0, 20.0)  # [dB]
DECOY_VIEWS = 2  # enrolled of each entity that is in K but not in the scene


@dataclass(frozen=True)
class Enrolled:
    """An entity of the demo's K.

    Attributes:
        name, class_word, prompt: as `privsc db enrol` takes them.
        photos: encoded photographs.
        personalise: whether Algorithm 2 runs for it.
    """

    name: str
    class_word: str
    prompt: str
    photos: tuple[bytes, ...]
    personalise: bool = False


@dataclass(frozen=True)
class Story:
    """What a demo sends, and what K knows.

    Attributes:
        image: S, [H, W, 3] uint8.
        entities: K; the first one is in S and is to be hidden.
        note: printed with the figures and kept in report.json.
        stranger: name and box of an animal in S that K does not hold, None where there is none.
    """

    image: NDArray[np.uint8]
    entities: tuple[Enrolled, ...]
    note: str
    stranger: tuple[str, Box] | None = None

    @property
    def truth(self) -> str:
        """Name of the entity that is to be hidden."""
        return self.entities[0].name


def biscuit(seed: int) -> Story:
    """Four photographs of a puppy in K, a fifth one in the scene, and a stranger's picture on the wall."""
    puppy = Enrolled(album.NAME, album.CLASS_WORD, album.PROMPT, tuple(album.enrolled()), personalise=True)
    note = (
        f"K holds four photographs of {album.NAME}; the one sent is a fifth, before another backdrop, which no network "
        f"was trained on. The scene is composed: {album.STRANGER}, whom K does not hold, was put beside the puppy."
    )
    entities = (puppy, *_decoys(seed, DECOY_VIEWS))
    return Story(album.scene(), entities, note, (album.STRANGER, album.frame_box()))


def chelsea(seed: int) -> Story:
    """Views of one photograph in K, another view of it sent."""
    name, load, word, prompt = builtin.ENTITIES[0]
    photos = _views(load(), builtin.VIEWS, seed)
    note = (
        "Views of one photograph make this easier than life: the cat sent has the pose of the cat enrolled. "
        "`privsc demo` without --chelsea sends a photograph that K does not hold in any form."
    )
    sent = builtin.view(data.chelsea(), np.random.default_rng((seed, 1)))
    cat = Enrolled(name, word, prompt, photos, personalise=True)
    return Story(sent, (cat, *_decoys(seed, builtin.VIEWS)), note)


def _decoys(seed: int, count: int) -> list[Enrolled]:
    """Entities of K that are not in the scene, so that a name is a choice; Algorithm 2 is not run for them."""
    return [
        Enrolled(name, word, prompt, _views(load(), count, seed)) for name, load, word, prompt in builtin.ENTITIES[1:]
    ]


def _views(photo: NDArray[np.uint8], count: int, seed: int) -> tuple[bytes, ...]:
    return tuple(builtin._encoded(view) for view in builtin.views(photo, count, seed))


def database(folder: Path, story: Story, seed: int, stage: Stage, steps: int | None = None) -> Database:
    """K of a story; one that an earlier run made from the same photographs and networks is used again.

    Args:
        steps: of Algorithm 2, None for the model's own number.
    """
    from privsc.networks.image_encoder import load_encoder
    from privsc.networks.text_encoder import load_text_encoder
    from privsc.recovery.personalise import estimated_seconds
    from privsc.system.enrol import enrol

    encoder, text = load_encoder().identity, load_text_encoder().identity
    recipe = _recipe(story, seed, steps, encoder, text)
    path, note = folder / "K.db", folder / "K.recipe.json"
    if note.is_file() and note.read_text() == recipe:
        try:
            return Database.open(path, encoder)
        except DatabaseError:  # harmed or half-made: it is made again below
            pass
    stage(f"making K takes about {_about(estimated_seconds())}, once; the rest less than a minute")
    fresh = folder / "K.db.partial"
    fresh.unlink(missing_ok=True)
    note.unlink(missing_ok=True)
    try:
        with Database.create(fresh, encoder, text) as db:
            for entity in story.entities:
                enrol(
                    db,
                    entity.name,
                    entity.photos,
                    prompt=entity.prompt,
                    class_word=entity.class_word,
                    personalise=entity.personalise,
                    seed=seed,
                    progress=stage(f"enrolling {entity.name}"),
                    steps=steps,
                )
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    note.write_text(recipe)
    return Database.open(path, encoder)


def _about(seconds: float) -> str:
    """A duration as one says it: "40 seconds", "3 minutes"."""
    return f"{10 * max(1, round(seconds / 10))} seconds" if seconds < 100 else f"{round(seconds / 60)} minutes"


def _recipe(story: Story, seed: int, steps: int | None, encoder: str, text: str) -> str:
    """What K is made of, so that it is made again when a photograph, a network or the seed changes."""
    entities = [
        {
            "name": entity.name,
            "class_word": entity.class_word,
            "prompt": entity.prompt,
            "photos": [hashlib.sha256(photo).hexdigest() for photo in entity.photos],
            "personalise": entity.personalise,
        }
        for entity in story.entities
    ]
    weights = {n: models.sha256(path) for n, path in models.shipped_files().items() if n.startswith("weights/")}
    recipe = {"entities": entities, "seed": seed, "steps": steps, "encoder": encoder, "text": text, "weights": weights}
    return json.dumps(recipe, indent=2, sort_keys=True)


def run_demo(out: Path, story: Story, seed: int, stage: Stage, steps: int | None = None) -> list[dict[str, Any]]:
    """A story at each SNR of `SNRS`, Bob and Eve alike; writes fig4.png, report.json and more.

    Returns:
        The figures of each run, as in report.json. summary.png is fig4.png with the two lowest SNRs only.
    """
    folder = output_folder(out)
    config = RunConfig.build(seed=seed)
    stage("networks")
    networks = Models.load()
    with database(folder, story, seed, stage, steps) as db, ResultFolder(folder) as results:
        stage("guard and transmitter")
        sent, seconds = send(story.image, db, networks, config)
        trials: list[Trial] = []
        for snr in SNRS:
            at_snr = config.model_copy(update={"snr_db": snr})
            trials.append(receive_trial(sent, seconds, db, networks, at_snr, _labelled(stage, f"{snr:g} dB")))
        stage("pictures")
        results.add("fig4.png", grid_picture(trials, story.truth))
        results.add("summary.png", grid_picture(trials[:2], story.truth))
        results.add("sent.png", encode_png(sent.truth.image))
        results.add("masked.png", encode_png(sent.truth.guarded.masked))
        results.add("mask.png", encode_png(sent.truth.guarded.mask))
        for snr, trial in zip(SNRS, trials, strict=True):
            results.add(f"received-{snr:g}dB.png", encode_png(trial.bob.heard.image))
            results.add(f"bob-{snr:g}dB.png", encode_png(trial.bob.restored))
            results.add(f"eve-{snr:g}dB.png", encode_png(trial.eve.restored))
        results.add("report.json", to_json(_report(story, sent.truth.guarded.mask, trials)))
    return [trial.figures for trial in trials]


def _report(story: Story, mask: NDArray[np.bool_], trials: list[Trial]) -> dict[str, Any]:
    """Contents of report.json: what was sent, and the figures of every run."""
    report: dict[str, Any] = {"note": story.note, "truth": story.truth, "runs": [trial.figures for trial in trials]}
    if story.stranger is not None:
        name, (x0, y0, x1, y1) = story.stranger
        hidden = float(mask[y0:y1, x0:x1].mean())
        report["stranger"] = {"name": name, "box": [x0, y0, x1, y1], "hidden_share": hidden}
    return report


def _labelled(stage: Stage, label: str) -> Stage:
    return lambda name: stage(f"{label}: {name}")
