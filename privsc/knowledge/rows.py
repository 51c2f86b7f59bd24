"""Entities to rows of K's tables and back, and the digest over them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

from privsc.errors import EntityError
from privsc.knowledge.entity import Entity, Sample, from_blob, name_key, to_blob
from privsc.knowledge.sqlite_file import SCHEMA_VERSION

COLUMNS = "name, name_key, prompt, class_word, f_k, prototypes, gamma, text_embedding, adapter"
MARKS = ", ".join("?" for _ in COLUMNS.split(", "))


def to_row(entity: Entity) -> tuple[object, ...]:
    """Values of `COLUMNS`."""
    return (
        entity.name,
        name_key(entity.name),
        entity.prompt,
        entity.class_word,
        to_blob(entity.f_k),
        to_blob(entity.prototypes),
        entity.gamma,
        to_blob(entity.text_embedding),
        entity.adapter,
    )


def from_row(row: tuple[Any, ...], samples: tuple[Sample, ...]) -> Entity:
    """The index and the values of `COLUMNS` to an entity.

    Raises:
        EntityError, ValueError, TypeError, AttributeError: where they are not what `to_row` writes.
    """
    index, name, key, prompt, class_word, f_k_blob, prototypes_blob, gamma, text_blob, adapter = row
    f_k = from_blob(f_k_blob, None, f"f_k of {name}")
    entity = Entity(
        name=name,
        prompt=prompt,
        class_word=class_word,
        samples=samples,
        f_k=f_k,
        prototypes=from_blob(prototypes_blob, f_k.size, f"prototypes of {name}").reshape(-1, f_k.size),
        text_embedding=from_blob(text_blob, None, f"text embedding of {name}"),
        gamma=gamma,
        adapter=adapter,
        index=index,
    )
    if key != name_key(name):
        raise EntityError(f"{name}: is filed under another name")
    return entity


def contents_digest(encoder: str, text: str, entities: Sequence[Entity]) -> bytes:
    """[32] SHA-256 over what K says of its entities: the same whatever file they lie in, and whatever its secret."""
    hasher = hashlib.sha256()

    def feed(data: bytes | None) -> None:
        hasher.update(b"\0" if data is None else struct.pack("<BQ", 1, len(data)) + data)

    feed(struct.pack("<I", SCHEMA_VERSION))
    feed(encoder.encode())
    feed(text.encode())
    for entity in entities:
        feed(struct.pack("<I", entity.index))
        for words in (entity.name, entity.prompt, entity.class_word):
            feed(words.encode())
        for array in (entity.f_k, entity.prototypes, entity.text_embedding):
            feed(to_blob(array))
        feed(None if entity.gamma is None else struct.pack("<d", entity.gamma))
        feed(entity.adapter)
        feed(struct.pack("<I", len(entity.samples)))
        for sample in entity.samples:
            feed(sample.photo)
            feed(sample.mask_png)
    return hasher.digest()
