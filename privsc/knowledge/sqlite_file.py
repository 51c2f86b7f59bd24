"""K as an SQLite file: its schema, and how a file that anybody may have written is opened.

A file is K where its tables are exactly those of `SCHEMA` (no trigger, view, index or table more), its pages are
intact and none of its cells is larger than K's largest blob. Connections run no function that a schema names, map no
memory, overwrite what they delete, and write only inside `Database.transaction`.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from functools import cache
from pathlib import Path

from privsc.errors import DatabaseError
from privsc.knowledge.entity import MAX_PHOTO

APPLICATION_ID = 0x50534B31  # "PSK1" in SQLite's header: the file is a K
SCHEMA_VERSION = 1
SQLITE_MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
MAX_FILE = 1 << 30  # [bytes] of a whole K
MAX_CELL = MAX_PHOTO + (1 << 16)  # [bytes] of one value or row

SCHEMA = """
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
_PRAGMAS = (
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "mmap_size = 0",
    "temp_store = MEMORY",
    "secure_delete = ON",
    "foreign_keys = ON",
)
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_CELL,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 32,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}


def read_whole(path: Path, limit: int = MAX_FILE) -> bytes:
    """Contents of a file of at most `limit` bytes.

    Raises:
        DatabaseError: where it is missing, a folder, larger, or cannot be read.
    """
    if not path.exists():
        raise DatabaseError(f"{path}: no such database; make one with 'privsc db init {path}'")
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file"
        raise DatabaseError(f"{path}: is {what}; give the path of a database file")
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if len(data) > limit and limit == MAX_FILE:
        raise DatabaseError(f"{path}: more than the limit of {MAX_FILE} bytes; split it into several databases")
    return data[:limit]


def check_header(path: Path) -> None:
    """Refuse what SQLite would create, misread or repair: a missing, foreign, truncated, newer or huge file."""
    check_start(path, read_whole(path, HEADER_BYTES), path.stat().st_size)


def check_start(path: Path, header: bytes, size: int) -> None:
    """The same for the first `HEADER_BYTES` of a file, or of its contents in memory, of `size` bytes."""
    if len(header) < HEADER_BYTES or not header.startswith(SQLITE_MAGIC):
        raise DatabaseError(f"{path}: is not a privacy database; make one with 'privsc db init'")
    version, application = struct.unpack(">I4xI", header[60:72])
    if application != APPLICATION_ID:
        raise DatabaseError(f"{path}: is an SQLite file of another program; give one made with 'privsc db init'")
    if version != SCHEMA_VERSION:
        raise DatabaseError(
            f"{path}: has schema version {version}, this program reads {SCHEMA_VERSION}; "
            "use the program that made it or enrol the entities anew"
        )
    if header[18:20] != b"\1\1":
        raise DatabaseError(f"{path}: is in a journal mode that K does not use (WAL); restore it from a copy")
    if size > MAX_FILE:
        raise DatabaseError(f"{path}: {size} bytes are more than the limit of {MAX_FILE}; split it into several")
    page_size, pages = struct.unpack(">H", header[16:18])[0], struct.unpack(">I", header[28:32])[0]
    page_size = 65_536 if page_size == 1 else page_size
    if size < page_size * pages:
        raise DatabaseError(f"{path}: is truncated ({size} of {page_size * pages} bytes); restore it from a copy")


def new_connection() -> sqlite3.Connection:
    """An empty K in memory, to be written somewhere."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; {SCHEMA}"
    )
    _harden(connection)
    return connection


def open_file(path: Path) -> sqlite3.Connection:
    """A checked connection to the file itself; every commit goes there."""
    check_header(path)
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=10)
    except sqlite3.Error as error:
        raise sqlite_error(path, error) from error
    return _checked(path, connection)


def open_bytes(path: Path, data: bytes) -> sqlite3.Connection:
    """A checked connection to contents that lie in memory; `path` is for messages."""
    check_start(path, data[:HEADER_BYTES], len(data))
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.deserialize(data)
    except sqlite3.Error as error:
        connection.close()
        raise sqlite_error(path, error) from error
    return _checked(path, connection)


def _checked(path: Path, connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection itself, hardened, where what it reads has K's schema and is intact."""
    try:
        _harden(connection)
        if _schema_of(connection) != expected_schema():
            raise DatabaseError(
                f"{path}: its tables are not those of a privacy database (a trigger, view or table more, or another "
                "form); restore it from a copy"
            )
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise DatabaseError(f"{path}: the database is damaged; restore it from a copy")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise DatabaseError(f"{path}: holds photographs of nobody; restore it from a copy")
        connection.execute("PRAGMA query_only = ON")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        connection.close()
        raise sqlite_error(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _harden(connection: sqlite3.Connection) -> None:
    for kind, limit in _LIMITS.items():
        connection.setlimit(kind, limit)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


@cache
def expected_schema() -> tuple[tuple[str | None, ...], ...]:
    """Rows of `sqlite_schema` of a K."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        return _schema_of(connection)


def _schema_of(connection: sqlite3.Connection) -> tuple[tuple[str | None, ...], ...]:
    """(type, name, table, SQL) of everything in a database, at most 32 of them."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name LIMIT 32")
    return tuple(rows.fetchall())


def sqlite_error(path: Path, error: Exception) -> DatabaseError:
    """One line for an exception of sqlite3, or of the decoding of what it read."""
    text = " ".join(str(error).split())[:200]
    if "locked" in text:
        return DatabaseError(f"{path}: is in use by another program; try again when it has ended")
    if "readonly" in text:
        return DatabaseError(f"{path}: is read-only; change its permissions or work on a copy")
    return DatabaseError(f"{path}: the database is damaged ({text}); restore it from a copy")
