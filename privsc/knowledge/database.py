"""K, the privacy database that transmitter and authorised receiver share: one SQLite file.

K = {i_k, S_k, f_k} (paper, section III): per entity k its samples S_k, its feature vector f_k, the text embedding of
its prompt and what enrolment adds to them. `Database.digest` names a version of K by its contents; the first bytes of
it travel in every frame header, so that a receiver notices that it holds another version.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from privsc.errors import DatabaseError, EntityError
from privsc.files import atomic_path
from privsc.knowledge.entity import MAX_ENTITIES, Entity, Sample, from_blob, name_key, to_blob
from privsc.knowledge.sqlite_file import APPLICATION_ID, SCHEMA_VERSION, check_header, sqlite_error

__all__ = ["Database", "Entity", "Sample"]

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE entities (
    k              INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: an index is never given twice
    name           TEXT NOT NULL,
    name_key       TEXT NOT NULL UNIQUE,
    prompt         TEXT NOT NULL,
    class_word     TEXT NOT NULL,
    f_k            BLOB NOT NULL,
    prototypes     BLOB NOT NULL,
    gamma          REAL,
    text_embedding BLOB NOT NULL,
    adapter        BLOB
);
CREATE TABLE samples (
    k        INTEGER NOT NULL REFERENCES entities (k) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    photo    BLOB NOT NULL,
    mask_png BLOB NOT NULL,
    PRIMARY KEY (k, position)
);
"""
_COLUMNS = "k, name, prompt, class_word, f_k, prototypes, gamma, text_embedding, adapter"


class Database:
    """K in one SQLite file. Every change is a transaction: it happens wholly or not at all.

    >>> db = Database.create("K.db", "efficientnet-lite0/...", "minilm/...")    # doctest: +SKIP
    >>> db.add(entity).index                                                   # doctest: +SKIP
    1
    """

    def __init__(self, path: Path, connection: sqlite3.Connection):
        self.path = path
        self._connection = connection
        self._depth = 0
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        self.encoder_identity: str = meta["encoder"]
        self.text_identity: str = meta["text"]

    @classmethod
    def create(cls, path: str | Path, encoder_identity: str, text_identity: str) -> Database:
        """A new, empty K at `path`, bound to the encoder that will make its features."""
        path = Path(path)
        if path.exists():
            raise DatabaseError(f"{path}: exists already; remove it first or choose another name")
        if not path.parent.is_dir():
            raise DatabaseError(f"{path}: the folder {path.parent} does not exist; make it first")
        with atomic_path(path) as temporary:
            connection = sqlite3.connect(temporary, isolation_level=None)
            try:
                connection.executescript(
                    f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; {_SCHEMA}"
                )
                connection.executemany(
                    "INSERT INTO meta VALUES (?, ?)", [("encoder", encoder_identity), ("text", text_identity)]
                )
                cls(path, connection)._store_digest()
            finally:
                connection.close()
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path, encoder_identity: str | None = None) -> Database:
        """K at `path`, refused when it is not an intact K of this schema (and, where given, of this encoder)."""
        path = Path(path)
        check_header(path)
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise DatabaseError(f"{path}: the database is damaged; restore it from a copy")
            database = cls(path, connection)
            if database._stored_digest() != database.digest().hex():  # reads, and so checks, every row
                raise DatabaseError(f"{path}: its contents do not match their digest; restore it from a copy")
        except DatabaseError:
            connection.close()
            raise
        except (sqlite3.Error, KeyError, ValueError) as error:
            connection.close()
            raise sqlite_error(path, error) from error
        if encoder_identity is not None and encoder_identity != database.encoder_identity:
            database.close()
            raise DatabaseError(
                f"{path}: was made with the encoder {database.encoder_identity}, this run uses {encoder_identity}; "
                "choose that encoder or enrol the entities anew"
            )
        return database

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes made inside happen together, or none when the block raises. May be nested."""
        outermost = self._depth == 0
        try:
            if outermost:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            if outermost:
                self._store_digest()
                self._connection.execute("COMMIT")
        except BaseException as error:
            if outermost and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise sqlite_error(self.path, error) from error
            raise

    def add(self, entity: Entity) -> Entity:
        """Store a new entity and return it with the index that K gave it."""
        with self.transaction():
            rows = self._connection.execute("SELECT name FROM entities WHERE name_key = ?", (name_key(entity.name),))
            if taken := rows.fetchone():
                raise EntityError(f"{taken[0]}: is in {self.path} already; remove it first or choose another name")
            self._check_dims(entity)
            cursor = self._connection.execute(
                "INSERT INTO entities (name, name_key, prompt, class_word, f_k, prototypes, gamma, text_embedding,"
                " adapter) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _row(entity),
            )
            index = cursor.lastrowid or 0
            if not 1 <= index <= MAX_ENTITIES:
                raise DatabaseError(f"{self.path}: all {MAX_ENTITIES} indices have been given; start a new database")
            self._put_samples(index, entity.samples)
        return replace(entity, index=index)

    def update(self, entity: Entity) -> None:
        """Replace what K holds under `entity.index` (a new threshold, a new adapter, more samples)."""
        with self.transaction():
            self._check_dims(entity, apart_from=entity.index)
            cursor = self._connection.execute(
                "UPDATE entities SET name = ?, name_key = ?, prompt = ?, class_word = ?, f_k = ?, prototypes = ?,"
                " gamma = ?, text_embedding = ?, adapter = ? WHERE k = ?",
                (*_row(entity), entity.index),
            )
            if cursor.rowcount != 1:
                raise EntityError(f"{entity.name}: index {entity.index} is not in {self.path}; add it first")
            self._connection.execute("DELETE FROM samples WHERE k = ?", (entity.index,))
            self._put_samples(entity.index, entity.samples)

    def remove(self, name: str) -> Entity:
        """Forget an entity; its index stays used for ever."""
        with self.transaction():
            entity = self.get(name)
            self._connection.execute("DELETE FROM entities WHERE k = ?", (entity.index,))
        return entity

    def entities(self) -> tuple[Entity, ...]:
        """All entities in the order of their index."""
        try:
            samples: dict[int, list[Sample]] = {}
            for k, photo, mask in self._connection.execute(
                "SELECT k, photo, mask_png FROM samples ORDER BY k, position"
            ):
                samples.setdefault(k, []).append(Sample(bytes(photo), bytes(mask)))
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM entities ORDER BY k").fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise sqlite_error(self.path, error) from error
        try:
            return tuple(_entity(row, tuple(samples.get(row[0], ()))) for row in rows)
        except (TypeError, ValueError, AttributeError, EntityError) as error:
            raise DatabaseError(f"{self.path}: a row is damaged ({error}); restore the file from a copy") from error

    def get(self, name: str) -> Entity:
        """The entity called `name`, whatever the case of the letters."""
        entities = self.entities()
        for entity in entities:
            if name_key(entity.name) == name_key(name):
                return entity
        known = ", ".join(entity.name for entity in entities) or "nothing yet"
        raise EntityError(f"{name}: no such entity in {self.path}; it holds {known}")

    def by_index(self, indices: Sequence[int]) -> tuple[Entity, ...]:
        """Entities of the given indices in that order; indices that K does not hold are left out."""
        known = {entity.index: entity for entity in self.entities()}
        return tuple(known[k] for k in indices if k in known)

    def digest(self) -> bytes:
        """[32] SHA-256 over the contents: the same for the same entities, whatever file they lie in."""
        hasher = hashlib.sha256()

        def feed(data: bytes | None) -> None:
            hasher.update(b"\0" if data is None else struct.pack("<BQ", 1, len(data)) + data)

        feed(struct.pack("<I", SCHEMA_VERSION))
        feed(self.encoder_identity.encode())
        feed(self.text_identity.encode())
        for entity in self.entities():
            feed(struct.pack("<I", entity.index))
            for text in (entity.name, entity.prompt, entity.class_word):
                feed(text.encode())
            for array in (entity.f_k, entity.prototypes, entity.text_embedding):
                feed(to_blob(array))
            feed(None if entity.gamma is None else struct.pack("<d", entity.gamma))
            feed(entity.adapter)
            feed(struct.pack("<I", len(entity.samples)))
            for sample in entity.samples:
                feed(sample.photo)
                feed(sample.mask_png)
        return hasher.digest()

    def info(self) -> dict[str, object]:
        """What a person wants to know of K before trusting it."""
        entities = self.entities()
        return {
            "path": str(self.path),
            "schema": SCHEMA_VERSION,
            "encoder": self.encoder_identity,
            "text": self.text_identity,
            "entities": len(entities),
            "samples": sum(len(entity.samples) for entity in entities),
            "bytes": self.path.stat().st_size,
            "digest": self.digest().hex(),
        }

    def _stored_digest(self) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'digest'").fetchone()
        return row[0] if row else None

    def _store_digest(self) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('digest', ?)", (self.digest().hex(),))

    def _check_dims(self, entity: Entity, apart_from: int = 0) -> None:
        """All entities of one K have features of one length, since one encoder made them."""
        row = self._connection.execute(
            "SELECT length(f_k), length(text_embedding) FROM entities WHERE k != ? LIMIT 1", (apart_from,)
        ).fetchone()
        got = (4 * entity.f_k.size, 4 * entity.text_embedding.size)
        if row is not None and tuple(row) != got:
            raise EntityError(
                f"{entity.name}: f_k and text embedding of {got[0] // 4} and {got[1] // 4} values do not fit "
                f"{self.path}, which holds {row[0] // 4} and {row[1] // 4}; use the encoder it was made with"
            )

    def _put_samples(self, index: int, samples: Sequence[Sample]) -> None:
        rows = [(index, position, sample.photo, sample.mask_png) for position, sample in enumerate(samples)]
        self._connection.executemany("INSERT INTO samples VALUES (?, ?, ?, ?)", rows)


def _row(entity: Entity) -> tuple[object, ...]:
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


def _entity(row: tuple, samples: tuple[Sample, ...]) -> Entity:
    index, name, prompt, class_word, f_k_blob, prototypes_blob, gamma, text_blob, adapter = row
    f_k = from_blob(f_k_blob, None, f"f_k of {name}")
    return Entity(
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
