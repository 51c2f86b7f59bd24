"""Which entities of K some words mean: `--remove "the cat Vicky"`.

    words ──a name of K in them, a class word──► those entities
      └── else ──text embedding──► entities whose prompt or class word is alike

In doubt more is hidden, not less: class words mean everybody of the class, and so does a class word with a name that K
does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from privsc.errors import EntityError
from privsc.knowledge.entity import Entity, name_key

ALIKE = 0.64
"""Cosine similarity from which a description means an entity. Of 62 synonyms of 26 class words ("kitten", "rucksack")
85 % reach it, of 1,612 pairs of a class and something else ("the river", another class) 0.4 %."""
CLOSE = 0.1
"""Entities this far below the likeliest are meant as well."""
NEAREST = 3

_FILLERS = frozenset(
    ("a", "an", "the", "my", "our", "your", "his", "her", "their", "this", "these", "photo", "picture", "of")
)

Embed = Callable[[str], NDArray[np.float32]]
"""Text to its embedding [d] of unit norm."""


def select(entities: Sequence[Entity], wanted: Sequence[str], embed: Embed) -> tuple[Entity, ...]:
    """Entities that at least one of the descriptions means, in the order of K.

    Raises:
        EntityError: for a description that means nobody; it names the nearest.
    """
    chosen = set()
    for words in wanted:
        chosen |= {entity.index for entity in _meant(entities, words, embed)}
    return tuple(entity for entity in entities if entity.index in chosen)


def similarity(entity: Entity, description: str, embed: Embed) -> float:
    """Cosine similarity of a description with the entity's prompt or its class word, whichever is higher."""
    asked = embed(f"a photo of {description}")
    of_class = embed(f"a photo of a {entity.class_word}")
    return max(float(asked @ entity.text_embedding), float(asked @ of_class))


def _meant(entities: Sequence[Entity], words: str, embed: Embed) -> list[Entity]:
    tokens = _tokens(words)
    if not tokens:
        raise EntityError(f"--remove: {words!r} has no word; give a name of K or a description, or leave it out")
    if not entities:
        raise EntityError(f"--remove: {words!r} means nobody, K is empty; enrol somebody first")
    plain = [token for token in tokens if token not in _FILLERS]
    exact = [
        entity
        for entity in entities
        if name_key(entity.name) == name_key(words) or _is_class(plain, entity) or _holds(tokens, _tokens(entity.name))
    ]
    named = [entity for entity in exact if not _is_class(_tokens(entity.name), entity)]
    if exact:  # "Vicky the cat" is Vicky, "the dog" all dogs and one called dog as well
        return [entity for entity in named if _holds(tokens, _tokens(entity.name))] or exact
    scores = [similarity(entity, " ".join(words.split()), embed) for entity in entities]
    best = max(scores)
    if best < ALIKE:
        order = np.argsort(-np.array(scores), kind="stable")[:NEAREST]
        nearest = ", ".join(f"{entities[k].name} ({scores[k]:.2f})" for k in order)
        raise EntityError(
            f"--remove: {words!r} means nobody in K (a similarity of {ALIKE:g} is needed); nearest are {nearest}"
        )
    return [entity for entity, score in zip(entities, scores, strict=True) if score >= max(ALIKE, best - CLOSE)]


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+", text.replace("_", " ").casefold())


def _holds(tokens: list[str], part: list[str]) -> bool:
    """Whether ``part`` occurs in ``tokens`` in one piece."""
    return bool(part) and any(tokens[k : k + len(part)] == part for k in range(len(tokens) - len(part) + 1))


def _is_class(plain: list[str], entity: Entity) -> bool:
    """Whether words without articles are the entity's class word, in the singular or the plural."""
    word = _tokens(entity.class_word)
    return plain == word or plain == [*word[:-1], word[-1] + "s"] or plain == [*word[:-1], word[-1] + "es"]
