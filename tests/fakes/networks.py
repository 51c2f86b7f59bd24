"""A guard and a recovery without networks, for tests of the chain around them.

`BoxGuard` hides one box for each entity, and tells entities apart by the colour of what it is shown; `ColourRecovery`
finds the removed region as the real one does and fills it with the entity's colour, or with grey without K.
"""

from __future__ import annotations

import numpy as np

from privsc.knowledge.detection import Detection, GuardResult, Identity

COLOURS = {"Vicky": (200, 60, 60), "Tom": (60, 60, 200)}
GREY = 128
BOX = (20, 16, 60, 56)  # where Vicky is in the fixture `image`


class BoxGuard:
    def __init__(self, boxes: dict[str, tuple[int, int, int, int]]):
        self.boxes = boxes

    def __call__(self, image, entities):
        joint, found = np.zeros(image.shape[:2], bool), []
        for entity in entities:
            if entity.name in self.boxes:
                x0, y0, x1, y1 = self.boxes[entity.name]
                mask = np.zeros_like(joint)
                mask[y0:y1, x0:x1] = True
                joint |= mask
                found.append(Detection(entity.index, entity.name, 0.9, (x0, y0, x1, y1), np.zeros((0, 2)), mask))
        masked = np.where(joint[:, :, None], 0, image).astype(np.uint8)
        return GuardResult(masked, joint, tuple(found))

    def hint(self, image, region, entity, removed=None):
        return None

    def rank(self, image, entities, mask=None):
        """Closeness to each entity's colour as the score, Gamma at 25 levels."""
        mean = image[np.ones(image.shape[:2], bool) if mask is None else mask].mean(axis=0)
        apart = [float(np.abs(mean - COLOURS[entity.name]).max()) for entity in entities]
        scored = [Identity(one.index, one.name, -far, -25.0) for one, far in zip(entities, apart, strict=True)]
        return sorted(scored, key=lambda identity: -identity.score)

    def identify(self, image, entities, mask=None):
        ranked = self.rank(image, entities, mask)
        return ranked[0] if ranked and ranked[0].score >= ranked[0].gamma else None


class ColourRecovery:
    def __init__(self):
        self.calls = []

    def __call__(
        self,
        received,
        region,
        entities,
        *,
        class_word=None,
        steps=None,
        init="reference",
        seed=0,
        progress=None,
        boxes=(),
        poses=(),
    ):
        names = None if entities is None else [entity and entity.name for entity in entities]
        self.calls.append({"names": names, "class_word": class_word, "steps": steps, "init": init, "seed": seed})
        painted = received.copy()
        columns = np.flatnonzero(region.any(axis=0))
        groups = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1) if columns.size else []
        for group, name in zip(groups, names or [None] * len(groups), strict=False):
            part = np.zeros_like(region)
            part[:, group] = region[:, group]
            painted[part] = COLOURS[name] if name else GREY
        if progress:
            progress(1, 1)
        return painted


class HintingGuard(BoxGuard):
    """Also hints, always the same, and remembers over which regions."""

    def __init__(self, boxes, hint):
        super().__init__(boxes)
        self.given, self.regions = hint, []

    def hint(self, image, region, entity, removed=None):
        self.regions.append(region)
        return self.given


class PosedRecovery(ColourRecovery):
    """Remembers the hints and boxes that it was told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def __call__(self, *arguments, boxes=(), poses=(), **options):
        self.told.append((boxes, poses))
        return super().__call__(*arguments, **options)
