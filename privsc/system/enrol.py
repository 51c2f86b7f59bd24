"""Enrolment: photographs of one entity become an entry of K.

The entity is what the photographs have in common: patches that recur in the other photographs prompt M_chi, the masks
weigh the pooling of f_k, and f_k prompts M_chi again. With one photograph the middle of the picture stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from privsc.errors import EnrolmentError, EntityError
from privsc.guard.guard import GAMMA, Guard, weakest_match
from privsc.guard.strangers import PATCHES, diverse_patches, load_strangers, stranger_scores
from privsc.images.photo_io import decode_photo, encode_png, strip_photo
from privsc.knowledge.database import Database
from privsc.knowledge.entity import Entity, Sample, check_name, name_key
from privsc.networks.image_encoder import Encoder, ImageFeatures, pool
from privsc.networks.text_encoder import load_text_encoder
from privsc.system.build import DEFAULT, Choice

ROUNDS = 2
"""Times that masks and f_k improve one another."""
FAR = 0.5
"""An entity is also described as it looks at this share of its size: a second prototype for one that is far away."""

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what)."""


@dataclass(frozen=True)
class _View:
    """One sample photograph while it is being enrolled."""

    image: NDArray[np.uint8]
    features: ImageFeatures
    mask: NDArray[np.bool_]

    def f(self) -> NDArray[np.float32]:
        """Pooled features of the masked region [d]."""
        return pool(self.features.patches, self.features.region_weights(self.mask))


def centre_prior(height: int, width: int) -> NDArray[np.float32]:
    """Where photographers put their subject: a Gaussian over the picture [h, w], 1 in the middle."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = (y + 0.5) / height * 2 - 1, (x + 0.5) / width * 2 - 1
    return np.exp(-(x**2 + y**2) / 0.5)


def recurrence(views: Sequence[ImageFeatures]) -> list[NDArray[np.float32]]:
    """How well each patch [h, w] is met by a patch of the other photographs, times the centre prior."""
    out = []
    for number, view in enumerate(views):
        height, width, dim = view.patches.shape
        prior = centre_prior(height, width)
        if len(views) == 1:
            out.append(prior)
            continue
        flat = view.patches.reshape(-1, dim)
        best = [(flat @ other.patches.reshape(-1, dim).T).max(1) for n, other in enumerate(views) if n != number]
        out.append(np.mean(best, axis=0).reshape(height, width) * prior)
    return out


def find_subject(guard: Guard, images: Sequence[NDArray[np.uint8]], encoder: Encoder) -> list[_View]:
    """Masks of what the photographs have in common."""
    features = [encoder(image) for image in images]
    views = []
    for image, seen, score in zip(images, features, recurrence(features), strict=True):
        matched = score >= np.quantile(score, 0.85)
        mask, _ = guard.segment(image.shape[:2], seen, score, matched)
        views.append(_View(image, seen, mask))
    for _ in range(ROUNDS):
        f_k = _mean([view.f() for view in views])
        refined = []
        for view in views:
            height, width = view.features.patches.shape[:2]
            similarity = (view.features.patches @ f_k) * (0.5 + 0.5 * centre_prior(height, width))
            matched = similarity >= np.quantile(similarity, 0.85)
            mask, _ = guard.segment(view.image.shape[:2], view.features, similarity, matched)
            refined.append(replace(view, mask=mask) if mask.mean() >= 0.005 else view)
        views = refined
    return views


def _mean(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    total = np.mean(vectors, axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


def far_prototype(views: Sequence[_View], encoder: Encoder) -> NDArray[np.float32]:
    """f_k [d] of the same regions in photographs seen at half their size."""
    pooled = []
    for view in views:
        features = encoder(view.image, FAR)
        pooled.append(pool(features.patches, features.region_weights(view.mask)))
    return _mean(pooled)


def backgrounds(views: Sequence[_View]) -> NDArray[np.float32]:
    """Patches [views, PATCHES, d] off the masks: strangers that come with the samples."""
    rows = []
    for view in views:
        off = view.features.patches[view.features.region_weights(view.mask) == 0]
        if len(off):
            chosen = diverse_patches(off)
            rows.append(np.resize(chosen, (PATCHES, chosen.shape[1])))
    return np.stack(rows) if rows else np.zeros((0, PATCHES, 0), np.float32)


def calibrate(
    views: Sequence[_View], f_k: NDArray[np.float32], strangers: NDArray[np.float32], limits: tuple[float, float]
) -> float:
    """Gamma, within ``limits``: between what strangers reach and what each sample reaches against the others' mean.

    Six tenths of the way from the strangers to the worst of the entity's own samples, each held out in turn.
    """
    others = stranger_scores(f_k, strangers)
    floor = float(np.quantile(others, 0.99)) if others.size else GAMMA - 0.1
    if len(views) > 1:
        own = []
        for number, view in enumerate(views):
            rest = _mean([other.f() for n, other in enumerate(views) if n != number])
            own.append(weakest_match(view.features.patches @ rest))
        least = min(own)
    else:
        least = weakest_match(views[0].features.patches @ f_k) - 0.15  # a sample resembles itself too well
    gamma = floor + 0.6 * (least - floor)
    return float(np.clip(gamma, *limits))


def make_entity(
    name: str,
    photos: Sequence[bytes],
    prompt: str | None = None,
    class_word: str | None = None,
    progress: Progress | None = None,
    choice: Choice = DEFAULT,
) -> Entity:
    """Everything about an entity but its adapter, from encoded photographs.

    Raises:
        EnrolmentError: without photographs, or where no subject stands out in one.
        PhotoError: for what is not a photograph.
    """
    if not photos:
        raise EnrolmentError(f"{name}: enrolment needs at least one photograph; got none")
    report = progress or (lambda done, total, what: None)
    text, (encoder, segmenter) = load_text_encoder(), choice.pair()
    guard = Guard(encoder, segmenter)
    kept = [strip_photo(photo, f"{name}, photograph {n + 1}") for n, photo in enumerate(photos)]
    images = [decode_photo(photo, f"{name}, photograph {n + 1}") for n, photo in enumerate(kept)]
    report(0, 2, "finding the subject")
    views = find_subject(guard, images, encoder)
    for number, view in enumerate(views):
        if view.mask.mean() < 0.005:
            raise EnrolmentError(
                f"{name}: no subject stands out in photograph {number + 1}; use one in which it is larger and central"
            )
    report(1, 2, "describing it")
    f_k = _mean([view.f() for view in views])
    word = class_word or "subject"
    prompt = prompt or (f"a photo of the {word} {name}" if class_word else f"a photo of {name}")
    prototypes = np.stack([f_k, far_prototype(views, encoder)])
    strangers = load_strangers(encoder.identity)
    gamma = calibrate(views, f_k, strangers if len(strangers) else backgrounds(views), encoder.gamma_range)
    samples = tuple(Sample(photo, encode_png(view.mask)) for photo, view in zip(kept, views, strict=True))
    entity = Entity(
        name=name,
        prompt=prompt,
        class_word=word,
        samples=samples,
        f_k=f_k,
        prototypes=prototypes,
        text_embedding=text.embed(prompt),
        gamma=gamma,
    )
    report(2, 2, "described")
    return entity


def enrol(
    db: Database,
    name: str,
    photos: Sequence[bytes],
    prompt: str | None = None,
    class_word: str | None = None,
    personalise: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
    choice: Choice = DEFAULT,
    steps: int | None = None,
) -> Entity:
    """Make an entity from photographs, personalise U_theta on it (Algorithm 2), add it to K; all or nothing.

    Args:
        choice: the networks; K must have been made for their encoder.
        steps: of Algorithm 2, None for the model's own number.
    """
    check_name(name)
    if any(name_key(entity.name) == name_key(name) for entity in db.entities()):
        raise EntityError(f"{name}: is in {db.path} already; remove it first or choose another name")
    entity = make_entity(name, photos, prompt, class_word, progress, choice)
    if personalise:
        entity = replace(entity, adapter=choice.personalise(entity, seed=seed, steps=steps, progress=progress))
    return db.add(entity)
