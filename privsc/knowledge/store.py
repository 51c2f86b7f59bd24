"""What keeps K: its connection, its seal, changes that happen wholly or not at all, and its secret.

transaction ──commit──► the file              (plain: SQLite writes it)
            └─────────► memory ──seal──► file (sealed: written whole, under a new name, then renamed)
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from privsc.errors import DatabaseError
from privsc.files import write_atomic
from privsc.knowledge import sqlite_file
from privsc.knowledge.sealing import Seal
from privsc.knowledge.sqlite_file import sqlite_error

SECRET_BYTES = 32
TAIL = 32  # [bytes] at the end of a sealed file, which no other has
_META = frozenset({"encoder", "text", "digest", "secret", "epoch"})
_MAX_META = 1000  # [characters]
_MAX_EPOCH = 1 << 31


class Store:
    """An open K, without what its rows mean.

    Args:
        path: of the file.
        connection: checked by `privsc.knowledge.sqlite_file`, to the file or to its contents in memory.
        seal: of a sealed file; None where SQLite writes the file itself.
        stored: the last bytes of the sealed file as it was read.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, seal: Seal | None = None, stored: bytes = b""):
        self.path = path
        self._connection = connection
        self._seal, self._stored = seal, stored  # stored: end of the sealed file as it was read, which no other has
        self._depth = 0
        meta = self._meta()
        self.encoder_identity: str = meta["encoder"]
        self.text_identity: str = meta["text"]

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def digest(self) -> bytes:
        """[32] SHA-256 over the contents."""
        raise NotImplementedError(f"{type(self).__name__} must say what its contents are")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes made inside happen together, or none when the block raises. May be nested."""
        outermost = self._depth == 0
        before = self._connection.serialize() if outermost and self._seal is not None else b""
        try:
            if outermost:
                self._connection.execute("PRAGMA query_only = OFF")
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            if outermost:
                if "secret" not in self._meta():  # a K of an older version
                    self._renew_secret()
                self._store_digest()
                self._connection.execute("COMMIT")
                self._write_back(before)
        except BaseException as error:
            if outermost and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise sqlite_error(self.path, error) from error
            raise
        finally:
            if outermost:
                self._connection.execute("PRAGMA query_only = ON")

    def _write_back(self, before: bytes) -> None:
        """The sealed file anew; where that fails, memory is what it was `before`."""
        if self._seal is None:
            return
        try:
            sealed = self._seal.close(self._connection.serialize())
            with locked(self.path.parent):
                if sqlite_file.read_whole(self.path)[-TAIL:] != self._stored:
                    raise DatabaseError(f"{self.path}: another program has changed it meanwhile; try again")
                write_atomic(self.path, sealed)
            self._stored = sealed[-TAIL:]
        except BaseException:
            self._connection.close()
            self._connection = sqlite_file.open_bytes(self.path, before)
            raise

    @property
    def secret(self) -> bytes:
        """[32] random bytes that all holders of this K share.

        Raises:
            DatabaseError: where K is of an older version and has none yet.
        """
        value = self._meta().get("secret")
        if value is None:
            raise DatabaseError(f"{self.path}: has no secret yet; run 'privsc db rotate {self.path}' and share it anew")
        return bytes.fromhex(value)

    @property
    def epoch(self) -> int:
        """How often K has got a secret; 0 for a K of an older version without one."""
        return int(self._meta().get("epoch", "0"))

    @property
    def sealed(self) -> bool:
        """Whether the file is encrypted."""
        return self._seal is not None

    def rotate(self, seal: Seal | None = None) -> int:
        """A new secret, and the epoch that comes with it.

        Args:
            seal: from now on encrypt the file so; None leaves it as it is.
        """
        if seal is not None:
            self._seal_anew(seal)
        with self.transaction():
            self._renew_secret()
        return self.epoch

    def _seal_anew(self, seal: Seal) -> None:
        """Encrypt the file with another seal, or for the first time, and go on in memory."""
        data = self.contents()
        connection = sqlite_file.open_bytes(self.path, data)
        sealed = seal.close(data)
        with locked(self.path.parent):
            write_atomic(self.path, sealed)
        self._connection.close()
        self._connection, self._seal, self._stored = connection, seal, sealed[-TAIL:]

    def contents(self) -> bytes:
        """The file's bytes, never sealed."""
        return self._connection.serialize()

    def _renew_secret(self) -> None:
        rows = [("secret", secrets.token_hex(SECRET_BYTES)), ("epoch", str(self.epoch + 1))]
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def _meta(self) -> dict[str, str]:
        """What K says of itself, checked."""
        rows = self._connection.execute("SELECT key, value FROM meta LIMIT 20").fetchall()
        for key, value in rows:
            if key not in _META or not isinstance(value, str) or len(value) > _MAX_META:
                raise DatabaseError(f"{self.path}: says something of itself that no K says; restore it from a copy")
        meta = dict(rows)
        good = len(bytes.fromhex(meta.get("secret", "00" * SECRET_BYTES))) == SECRET_BYTES
        if not good or not 0 <= int(meta.get("epoch", "0")) <= _MAX_EPOCH:
            raise DatabaseError(f"{self.path}: its secret or epoch is damaged; restore it from a copy")
        return meta

    def _store_digest(self) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('digest', ?)", (self.digest().hex(),))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """No other writer of a sealed K in this folder, for the length of a block."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
