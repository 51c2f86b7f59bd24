"""A K that somebody else has written, with a right digest: nothing of it runs, hides nobody, or takes memory."""

import io
import sqlite3
import struct
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from privsc.errors import DatabaseError, EntityError, PhotoError, PrivscError
from privsc.knowledge import rows, samples, sqlite_file
from privsc.knowledge.database import Database
from privsc.knowledge.entity import MAX_MASK, MAX_PHOTO, Sample, to_blob
from privsc.knowledge.samples import sample_pairs
from tests.fakes.samples import encoded, make_entity, scene


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        db.add(make_entity("Vicky", 1))
        db.add(make_entity("Tom", 2))
    return tmp_path / "K.db"


def edit(path: Path, *statements: str, values: tuple[object, ...] = ()) -> None:
    """Change K behind its back, in one connection."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement, values if "?" in statement else ())
        connection.commit()


def make_digest_right(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What anybody who can write the file can do: the digest over whatever its rows say."""
    with closing(sqlite3.connect(path)) as connection, monkeypatch.context() as patched:
        patched.setattr(rows, "Entity", _Unchecked)
        found = [
            rows.from_row(row, tuple(_Unchecked(photo=p, mask_png=m) for p, m in _samples(connection, row[0])))
            for row in connection.execute(f"SELECT k, {rows.COLUMNS} FROM entities ORDER BY k").fetchall()
        ]
        digest = rows.contents_digest("encoder", "text", found)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'digest'", (digest.hex(),))
        connection.commit()


class _Unchecked:
    def __init__(self, **fields: object) -> None:
        self.__dict__ |= fields


def _samples(connection: sqlite3.Connection, k: int) -> list[tuple[bytes, bytes]]:
    asked = connection.execute("SELECT photo, mask_png FROM samples WHERE k = ? ORDER BY position", (k,))
    return asked.fetchall()


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("gamma", 1.0, "above, nothing would be hidden"),
        ("gamma", 0.96, "above, nothing would be hidden"),
        ("f_k", to_blob(np.full(16, 1e-20, np.float32)), "f_k must have norm 1; got 4e-20"),
        ("f_k", to_blob(np.full(16, 3e38, np.float32)), "f_k must have norm 1"),
        ("prototypes", to_blob(np.full(32, 100, np.float32)), "prototypes must have norm 1; got 400"),
        ("prototypes", to_blob(np.full(16, np.inf, np.float32)), "not finite"),
        ("prototypes", to_blob(np.full(16 * 1000, 0.25, np.float32)), "at most 256 x 8192 values"),
        ("text_embedding", to_blob(np.full(9000, 0.0105, np.float32)), "at most 8192 values"),
    ],
)
def test_values_that_no_enrolment_stores_are_refused(path, column, value, match, monkeypatch):
    edit(path, f"UPDATE entities SET {column} = ? WHERE name = 'Vicky'", values=(value,))
    make_digest_right(path, monkeypatch)
    with pytest.raises(DatabaseError, match=match) as caught:
        Database.open(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TRIGGER t AFTER INSERT ON entities BEGIN UPDATE entities SET gamma = 0.9 WHERE k != NEW.k; END",),
        (
            "ALTER TABLE samples RENAME TO s2",
            "CREATE VIEW samples AS SELECT k, position, randomblob(900000000) AS photo, mask_png FROM s2",
        ),
        ("CREATE TABLE more (a)",),
        ("CREATE INDEX one_more ON samples (photo)",),
        ("ALTER TABLE entities ADD COLUMN more TEXT",),
        ("ALTER TABLE entities RENAME COLUMN prompt TO text",),
        ("DROP TABLE samples", "CREATE TABLE samples (k, position, photo, mask_png)"),
        ("CREATE VIRTUAL TABLE words USING fts5(a)",),
    ],
    ids=["trigger", "view", "table", "index", "column", "renamed", "retyped", "virtual"],
)
def test_another_schema_is_refused(path, statements):
    edit(path, *statements)
    with pytest.raises(DatabaseError, match="tables are not those of a privacy database"):
        Database.open(path)


def test_wal_is_refused(path):
    edit(path, "PRAGMA journal_mode = WAL")
    with pytest.raises(DatabaseError, match="journal mode that K does not use"):
        Database.open(path)


def test_a_number_in_place_of_a_photograph_takes_no_memory(path):
    edit(path, "UPDATE samples SET photo = 3000000000")  # bytes(3000000000) would be 3 GB of zeros
    with pytest.raises(DatabaseError, match="a sample's photograph must be 1 to 16777216 bytes; got int"):
        Database.open(path)


@pytest.mark.parametrize(("column", "limit"), [("photo", MAX_PHOTO), ("mask_png", MAX_MASK)])
def test_blobs_are_bounded(path, column, limit):
    edit(path, f"UPDATE samples SET {column} = zeroblob({limit + 1}) WHERE k = 1")
    with pytest.raises(DatabaseError, match=f"must be 1 to {limit} bytes; got {limit + 1}"):
        Database.open(path)


def test_a_cell_larger_than_any_blob_of_ours_is_never_read(path):
    edit(path, f"UPDATE samples SET photo = zeroblob({sqlite_file.MAX_CELL + 1}) WHERE k = 1")
    with pytest.raises(DatabaseError, match="too big"):
        Database.open(path)


def test_a_file_larger_than_any_k_is_refused(path):
    with path.open("r+b") as file:
        file.truncate(sqlite_file.MAX_FILE + 4096)  # sparse: takes no space
    with pytest.raises(DatabaseError, match=r"more than the limit of 1073741824"):
        Database.open(path)


def test_photographs_of_nobody_are_refused(path):
    edit(path, "UPDATE samples SET k = 77 WHERE k = 1")
    with pytest.raises(DatabaseError, match="photographs of nobody"):
        Database.open(path)


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("INSERT INTO meta VALUES ('plugin', 'x')", "says something of itself"),
        ("UPDATE meta SET value = hex(zeroblob(2000)) WHERE key = 'encoder'", "says something of itself"),
        ("UPDATE meta SET value = 'ab' WHERE key = 'secret'", "secret or epoch is damaged"),
        ("UPDATE meta SET value = '-1' WHERE key = 'epoch'", "secret or epoch is damaged"),
        ("UPDATE meta SET value = 'x' WHERE key = 'epoch'", "the database is damaged"),
        ("UPDATE entities SET name_key = 'somebody' WHERE k = 1", "filed under another name"),
    ],
)
def test_what_k_says_of_itself_is_checked(path, statement, match):
    edit(path, statement)
    with pytest.raises(DatabaseError, match=match):
        Database.open(path)


def test_a_connection_is_hardened_and_writes_in_transactions_only(path):
    with Database.open(path) as db:
        asked = {
            name: db._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("trusted_schema", "cell_size_check", "secure_delete", "query_only", "foreign_keys")
        }
        assert asked == {
            "trusted_schema": 0, "cell_size_check": 1, "secure_delete": 1, "query_only": 1, "foreign_keys": 1,
        }  # fmt: skip
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db._connection.execute("DELETE FROM samples")
        db.remove("Tom")
        assert db._connection.execute("PRAGMA query_only").fetchone()[0] == 1


def test_deleted_photographs_leave_the_file(path):
    with Database.open(path) as db:
        photo = db.get("Vicky").samples[0].photo
        assert photo[500:564] in path.read_bytes()
        db.remove("Vicky")
    assert photo[500:564] not in path.read_bytes()


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), 255).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("sample", "match"),
    [
        (Sample(encoded(scene()), png(3000, 3000)), "a silhouette of Vicky in K: is of 3000x3000 px instead of 64x48"),
        (Sample(encoded(scene()), png(13000, 13000)), "is of 13000x13000 px instead of 64x48"),
        (Sample(encoded(scene()), b"no png"), "a silhouette of Vicky in K: not a PNG mask"),
        (Sample(b"no photograph", png(64, 48)), "a photograph of Vicky in K: not an image"),
        (Sample(png(2000, 2000), png(2000, 2000)), "more than the limit of 2097152 pixels"),
    ],
)
def test_samples_are_looked_at_before_they_are_decoded(sample, match, monkeypatch):
    decoded = []
    real = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda image: decoded.append(image.size) or real(image))
    with pytest.raises(PhotoError, match=match):
        sample_pairs(make_entity(samples=(sample,)))
    assert all(width * height <= samples.MAX_SAMPLE_PIXELS for width, height in decoded)


def test_an_honest_sample_is_decoded(path):
    with Database.open(path) as db:
        photo, mask = sample_pairs(db.get("Vicky"))[0]
    assert photo.shape == (48, 64, 3) and mask.shape == (48, 64) and mask.any()


def test_too_many_samples_are_refused():
    entity = make_entity()
    with pytest.raises(EntityError, match="at most 1024; got 1025"):
        replace(entity, samples=entity.samples * 1025)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.none() | st.integers(0, 1 << 16),
)
def test_a_mutated_file_is_k_or_one_line(path, places, cut):
    data = bytearray(path.read_bytes())
    for place, value in places:
        data[place % len(data)] = value
    harmed = path.with_name("harmed.db")
    harmed.write_bytes(data[: len(data) if cut is None else cut % len(data)])
    for side in ("-journal", "-wal", "-shm"):
        harmed.with_name(harmed.name + side).unlink(missing_ok=True)
    try:
        with Database.open(harmed) as db:
            assert all(entity.gamma is None or entity.gamma <= 0.95 for entity in db.entities())
            for entity in db.entities():
                with suppress(PhotoError):
                    sample_pairs(entity)
    except PrivscError as error:
        assert "\n" not in str(error)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.sampled_from(["meta", "entities", "samples"]),
    column=st.integers(0, 9),
    value=st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=200)
    | st.text(st.characters(blacklist_categories=["Cs"]), max_size=80),
)
def test_any_value_in_any_cell_is_k_or_one_line(path, table, column, value):
    harmed = path.with_name("harmed.db")
    harmed.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(harmed)) as connection:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        with suppress(sqlite3.IntegrityError):
            connection.execute(f"UPDATE {table} SET {names[column % len(names)]} = ? WHERE rowid = 1", (value,))
        connection.commit()
    try:
        Database.open(harmed).close()
    except DatabaseError as error:
        assert "\n" not in str(error)


@settings(max_examples=200, deadline=None)
@given(header=st.binary(min_size=100, max_size=100), size=st.integers(0, 1 << 40))
def test_any_header_is_refused_or_fits_its_file(header, size):
    data = sqlite_file.SQLITE_MAGIC + header[16:60] + struct.pack(">I4xI", 1, sqlite_file.APPLICATION_ID) + header[72:]
    with suppress(DatabaseError):
        sqlite_file.check_start(Path("K.db"), data, size)
        assert size <= sqlite_file.MAX_FILE
