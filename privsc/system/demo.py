"""`privsc demo`: the chain on the photograph of Chelsea the cat that scikit-image carries.

K is enrolled from views of the photograph (other crops, mirrored, in other light, in other perspective) together with
two decoys from the same package; the image sent is a view that K does not hold.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from skimage import data

from privsc.datasets.builtin import ENTITIES, NAME, VIEWS, _encoded, view, views
from privsc.errors import DatabaseError
from privsc.files import ResultFolder, output_folder, to_json
from privsc.images.photo_io import encode_png
from privsc.knowledge.database import Database
from privsc.networks.files import weights as models
from privsc.system.build import Models
from privsc.system.config import RunConfig
from privsc.system.report import grid_picture
from privsc.system.trial import Stage, Trial, receive_trial, send

SNRS = (5.0, 10.0, 15.0, 20.0)  # [dB]
NOTE = (
    "Views of one photograph make this easier than life: the cat sent has the pose of the cat enrolled. "
    "For photographs that K does not hold in any form, see the README."
)


def database(folder: Path, seed: int, stage: Stage) -> Database:
    """K of the demo; one that an earlier run made from the same photographs and networks is used again."""
    from privsc.networks.image_encoder import load_encoder
    from privsc.networks.text_encoder import load_text_encoder
    from privsc.recovery.personalise import estimated_seconds
    from privsc.system.enrol import enrol

    photos = {name: [_encoded(v) for v in views(load(), VIEWS, seed)] for name, load, _, _ in ENTITIES}
    encoder, text = load_encoder().identity, load_text_encoder().identity
    recipe = _recipe(photos, seed, encoder, text)
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
            for name, _, word, prompt in ENTITIES:
                enrol(
                    db,
                    name,
                    photos[name],
                    prompt=prompt,
                    class_word=word,
                    personalise=name == NAME,
                    seed=seed,
                    progress=stage(f"enrolling {name}"),
                )
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    note.write_text(recipe)
    return Database.open(path, encoder)


def _about(seconds: float) -> str:
    """A duration as one says it: "40 seconds", "3 minutes"."""
    return f"{10 * max(1, round(seconds / 10))} seconds" if seconds < 100 else f"{round(seconds / 60)} minutes"


def _recipe(photos: dict[str, list[bytes]], seed: int, encoder: str, text: str) -> str:
    """What K is made of, so that it is made again when a photograph, a network or the seed changes."""
    digests = {name: [hashlib.sha256(photo).hexdigest() for photo in those] for name, those in photos.items()}
    weights = {n: models.sha256(path) for n, path in models.shipped_files().items() if n.startswith("weights/")}
    recipe = {"photos": digests, "seed": seed, "encoder": encoder, "text": text, "weights": weights}
    return json.dumps(recipe, indent=2, sort_keys=True)


def run_demo(out: Path, seed: int, stage: Stage) -> list[dict[str, Any]]:
    """Chelsea at each SNR of `SNRS`, Bob and Eve alike; writes fig4.png and report.json and returns their figures."""
    folder = output_folder(out)
    config = RunConfig.build(seed=seed)
    stage("networks")
    networks = Models.load()
    with database(folder, seed, stage) as db, ResultFolder(folder) as results:
        sent_view = view(data.chelsea(), np.random.default_rng((seed, 1)))
        stage("guard and transmitter")
        sent, seconds = send(sent_view, db, networks, config)
        trials: list[Trial] = []
        for snr in SNRS:
            at_snr = config.model_copy(update={"snr_db": snr})
            trials.append(receive_trial(sent, seconds, db, networks, at_snr, _labelled(stage, f"{snr:g} dB")))
        stage("pictures")
        results.add("fig4.png", grid_picture(trials, NAME))
        results.add("sent.png", encode_png(sent.truth.image))
        results.add("masked.png", encode_png(sent.truth.guarded.masked))
        results.add("mask.png", encode_png(sent.truth.guarded.mask))
        for snr, trial in zip(SNRS, trials, strict=True):
            results.add(f"received-{snr:g}dB.png", encode_png(trial.bob.heard.image))
            results.add(f"bob-{snr:g}dB.png", encode_png(trial.bob.restored))
            results.add(f"eve-{snr:g}dB.png", encode_png(trial.eve.restored))
        results.add("report.json", to_json({"note": NOTE, "truth": NAME, "runs": [t.figures for t in trials]}))
    return [trial.figures for trial in trials]


def _labelled(stage: Stage, label: str) -> Stage:
    return lambda name: stage(f"{label}: {name}")
