"""K, the privacy database that transmitter and authorised receiver share: one SQLite file, plain or sealed.

K = {i_k, S_k, f_k} (paper, section III): per entity k its samples S_k, its feature vector f_k, the text embedding of
its prompt and what enrolment adds to them. `Database.digest` names a version of K by its contents; the first bytes of
it travel in every frame header, so that a receiver notices that it holds another version. K also holds a secret of 32
random bytes, with an epoch that counts its changes; neither is part of the digest.

A sealed K (`privsc.knowledge.sealing`) is opened in memory and written back, whole and sealed, after every change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from privsc.errors import DatabaseError, EntityError
from privsc.files import write_atomic
from privsc.knowledge import keys, sealing, sqlite_file
from privsc.knowledge.entity import MAX_ENTITIES, Entity, Sample, name_key
from privsc.knowledge.rows import COLUMNS, MARKS, contents_digest, from_row, to_row
from privsc.knowledge.sealing import Seal
from privsc.knowledge.sqlite_file import SCHEMA_VERSION, sqlite_error
from privsc.knowledge.store import TAIL, Store

__all__ = ["Database", "Entity", "Sample"]


class Database(Store):
    """K in one SQLite file. Every change is a transaction: it happens wholly or not at all.

    >>> db = Database.create("K.db", "efficientnet-lite0/...", "minilm/...")    # doctest: +SKIP
    >>> db.add(entity).index                                                   # doctest: +SKIP
    1
    """

    @classmethod
    def create(cls, path: str | Path, encoder_identity: str, text_identity: str, seal: Seal | None = None) -> Database:
        """A new, empty K at `path`, readable by its owner only, bound to the encoder that will make its features.

        Args:
            seal: how it is encrypted at rest, None for a plain file.
        """
        path = Path(path)
        if path.exists():
            raise DatabaseError(f"{path}: exists already; remove it first or choose another name")
        if not path.parent.is_dir():
            raise DatabaseError(f"{path}: the folder {path.parent} does not exist; make it first")
        connection = sqlite_file.new_connection()
        try:
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)", [("encoder", encoder_identity), ("text", text_identity)]
            )
            fresh = cls(path, connection)
            fresh._renew_secret()
            fresh._store_digest()
            data = connection.serialize()
        finally:
            connection.close()
        write_atomic(path, data if seal is None else seal.close(data))
        return cls._opened(path, seal)

    @classmethod
    def open(cls, path: str | Path, encoder_identity: str | None = None) -> Database:
        """K at `path`, refused when it is not an intact K of this schema (and, where given, of this encoder).

        A sealed K asks `privsc.knowledge.keys` for its passphrase or key.
        """
        database = cls._opened(Path(path), None)
        if encoder_identity is not None and encoder_identity != database.encoder_identity:
            database.close()
            raise DatabaseError(
                f"{path}: was made with the encoder {database.encoder_identity}, this run uses {encoder_identity}; "
                "choose that encoder or enrol the entities anew"
            )
        return database

    @classmethod
    def _opened(cls, path: Path, seal: Seal | None) -> Database:
        if not sealing.is_sealed(path):
            return cls._verified(path, sqlite_file.open_file(path))
        sealed = sqlite_file.read_whole(path)
        seal, data = _unsealed(path, sealed, seal)
        return cls._verified(path, sqlite_file.open_bytes(path, data), seal, sealed[-TAIL:])

    @classmethod
    def from_bytes(cls, path: Path, data: bytes) -> Database:
        """K from the contents of a file, in memory: `path` is for messages, and changes are written nowhere."""
        return cls._verified(path, sqlite_file.open_bytes(path, data))

    @classmethod
    def _verified(
        cls, path: Path, connection: sqlite3.Connection, seal: Seal | None = None, stored: bytes = b""
    ) -> Database:
        try:
            database = cls(path, connection, seal, stored)
            if database._meta().get("digest") != database.digest().hex():  # reads, and so checks, every row
                raise DatabaseError(f"{path}: its contents do not match their digest; restore it from a copy")
        except DatabaseError:
            connection.close()
            raise
        except (sqlite3.Error, KeyError, ValueError) as error:
            connection.close()
            raise sqlite_error(path, error) from error
        return database

    def add(self, entity: Entity) -> Entity:
        """Store a new entity and return it with the index that K gave it."""
        with self.transaction():
            rows = self._connection.execute("SELECT name FROM entities WHERE name_key = ?", (name_key(entity.name),))
            if taken := rows.fetchone():
                raise EntityError(f"{taken[0]}: is in {self.path} already; remove it first or choose another name")
            self._check_dims(entity)
            cursor = self._connection.execute(
                f"INSERT INTO entities ({COLUMNS}) VALUES ({MARKS})",
                to_row(entity),
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
                f"UPDATE entities SET ({COLUMNS}) = ({MARKS}) WHERE k = ?",
                (*to_row(entity), entity.index),
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
                samples.setdefault(k, []).append(Sample(photo, mask))
            rows = self._connection.execute(f"SELECT k, {COLUMNS} FROM entities ORDER BY k").fetchall()
            return tuple(from_row(row, tuple(samples.get(row[0], ()))) for row in rows)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise sqlite_error(self.path, error) from error
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
        return contents_digest(self.encoder_identity, self.text_identity, self.entities())

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
            "sealed": self.sealed,
            "epoch": self.epoch,
            "digest": self.digest().hex(),
        }

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


def _unsealed(path: Path, sealed: bytes, seal: Seal | None) -> tuple[Seal, bytes]:
    """Seal and contents of a sealed file; `seal` where it was written with that one just now."""
    what = sealing.what_opens(path, sealed)
    if seal is not None:
        return seal, seal.open(path, sealed)
    secret = keys.secret_for(path, what)
    try:
        return sealing.open_sealed(path, sealed, secret)
    except DatabaseError:
        keys.forget(path)
        raise
