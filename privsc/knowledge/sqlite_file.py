"""Whether a file is a K that this program can read, and what SQLite's complaints mean for a person."""

from __future__ import annotations

import struct
from pathlib import Path

from privsc.errors import DatabaseError

APPLICATION_ID = 0x50534B31  # "PSK1" in SQLite's header: the file is a K
SCHEMA_VERSION = 1
SQLITE_MAGIC = b"SQLite format 3\0"


def check_header(path: Path) -> None:
    """Refuse what SQLite would create, misread or repair: a missing, foreign, truncated or newer file."""
    if not path.exists():
        raise DatabaseError(f"{path}: no such database; make one with 'privsc db init {path}'")
    if path.is_dir():
        raise DatabaseError(f"{path}: is a folder; give the path of a database file")
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if len(header) < 100 or not header.startswith(SQLITE_MAGIC):
        raise DatabaseError(f"{path}: is not a privacy database; make one with 'privsc db init'")
    version, application = struct.unpack(">I4xI", header[60:72])
    if application != APPLICATION_ID:
        raise DatabaseError(f"{path}: is an SQLite file of another program; give one made with 'privsc db init'")
    if version != SCHEMA_VERSION:
        raise DatabaseError(
            f"{path}: has schema version {version}, this program reads {SCHEMA_VERSION}; "
            "use the program that made it or enrol the entities anew"
        )
    page_size, pages = struct.unpack(">H", header[16:18])[0], struct.unpack(">I", header[28:32])[0]
    page_size = 65_536 if page_size == 1 else page_size
    size = path.stat().st_size
    if size < page_size * pages:
        raise DatabaseError(f"{path}: is truncated ({size} of {page_size * pages} bytes); restore it from a copy")


def sqlite_error(path: Path, error: Exception) -> DatabaseError:
    """One line for an exception of sqlite3, or of the decoding of what it read."""
    text = str(error)
    if "locked" in text:
        return DatabaseError(f"{path}: is in use by another program; try again when it has ended")
    if "readonly" in text:
        return DatabaseError(f"{path}: is read-only; change its permissions or work on a copy")
    return DatabaseError(f"{path}: the database is damaged ({text}); restore it from a copy")
