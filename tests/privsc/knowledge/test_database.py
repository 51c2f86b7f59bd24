import shutil
import sqlite3
import struct

import numpy as np
import pytest

from privsc.errors import DatabaseError, EntityError
from privsc.knowledge import database
from privsc.knowledge.database import Database, Sample
from tests.fakes.samples import make_entity

ENCODER, TEXT = "lite0/0123", "minilm/4567"


@pytest.fixture
def db(tmp_path):
    with Database.create(tmp_path / "K.db", ENCODER, TEXT) as opened:
        yield opened


def test_an_entity_comes_back_bit_by_bit(db):
    entity = db.add(make_entity())
    db.close()
    with Database.open(db.path, ENCODER) as again:
        (stored,) = again.entities()
    assert entity.index == stored.index == 1
    for field in ("name", "prompt", "class_word", "samples", "gamma", "adapter"):
        assert getattr(stored, field) == getattr(entity, field)
    for field in ("f_k", "prototypes", "text_embedding"):
        assert getattr(stored, field).dtype == np.float32
        assert np.array_equal(getattr(stored, field), getattr(entity, field))


def test_absent_threshold_and_adapter_stay_absent(db):
    db.add(make_entity(gamma=None, adapter=None))
    assert (db.get("Vicky").gamma, db.get("Vicky").adapter) == (None, None)


def test_an_index_is_never_given_twice(db):
    first = db.add(make_entity("A")).index
    second = db.add(make_entity("B")).index
    db.remove("B")
    db.close()
    with Database.open(db.path) as again:
        assert (first, second, again.add(make_entity("C")).index) == (1, 2, 3)
        assert [entity.index for entity in again.by_index([3, 2, 1])] == [3, 1]


def test_a_name_is_unique_whatever_its_case(db):
    db.add(make_entity("Vicky"))
    with pytest.raises(EntityError, match=r"Vicky: is in .* already"):
        db.add(make_entity("VICKY"))
    assert db.get("vicky").name == "Vicky"
    assert len(db.entities()) == 1


def test_an_unknown_name_is_answered_with_the_known_ones(db):
    db.add(make_entity("Vicky"))
    for call in (db.get, db.remove):
        with pytest.raises(EntityError, match=r"Tom: no such entity .* it holds Vicky"):
            call("Tom")


def test_digest_depends_on_contents_only(db, tmp_path):
    a, b = make_entity("A", 1), make_entity("B", 2)
    db.add(a)
    db.add(b)
    with Database.create(tmp_path / "other.db", ENCODER, TEXT) as other:
        other.add(a)
        other.add(make_entity("passing", 5, f_k=np.full(16, 0.25, np.float32)))
        other.remove("passing")
        other.add(b)
        assert other.digest() != db.digest()  # B has another index there
    with Database.create(tmp_path / "same.db", ENCODER, TEXT) as same:
        same.add(a)
        same.add(b)
        same.add(make_entity("passing", 5))
        same.remove("passing")
        assert same.digest() == db.digest()
    assert len(db.digest()) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "another"},
        {"class_word": "dog"},
        {"gamma": 0.51},
        {"gamma": None},
        {"adapter": b"x"},
        {"adapter": None},
        {"f_k": np.full(16, 0.25, np.float32)},
        {"samples": (Sample(b"p", b"m"), Sample(b"p", b"m"))},
    ],
)
def test_update_changes_the_digest_and_nothing_else(db, change):
    entity = db.add(make_entity())
    before = db.digest()
    changed = make_entity(index=entity.index, **change)
    db.update(changed)
    assert db.digest() != before
    db.update(entity)
    assert db.digest() == before


def test_update_needs_a_known_index(db):
    with pytest.raises(EntityError, match="index 7 is not in"):
        db.update(make_entity(index=7))


def test_a_failed_transaction_leaves_nothing(db):
    db.add(make_entity("A"))
    before = db.digest()
    with pytest.raises(RuntimeError), db.transaction():
        db.add(make_entity("B"))
        db.remove("A")
        raise RuntimeError
    assert db.digest() == before
    db.add(make_entity("C"))
    assert [entity.name for entity in db.entities()] == ["A", "C"]


def test_two_programs_do_not_overwrite_each_other(db, monkeypatch):
    with Database.open(db.path) as other:
        other._connection.execute("PRAGMA busy_timeout = 50")
        with db.transaction():
            db.add(make_entity("A"))
            with pytest.raises(DatabaseError, match="in use by another program"):
                other.add(make_entity("B"))
        assert [entity.name for entity in other.entities()] == ["A"]


def test_features_of_another_length_are_refused(db):
    db.add(make_entity("A"))
    with pytest.raises(EntityError, match="B: f_k and text embedding of 8 and 24 values do not fit"):
        db.add(make_entity("B", dim=8))
    assert len(db.entities()) == 1


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"name": ""}, "1 to 64 characters"),
        ({"name": " A"}, "no space at its ends"),
        ({"name": "a" * 65}, "1 to 64"),
        ({"name": "../etc"}, "none of /"),
        ({"name": "a\x1b[31m"}, "printable"),
        ({"prompt": "  "}, "prompt must have 1 to 400"),
        ({"class_word": "x" * 65}, "class word must have"),
        ({"samples": ()}, "at least one photograph"),
        ({"f_k": np.ones(16)}, "f_k must be a float32 array"),
        ({"f_k": np.full(16, np.nan, np.float32)}, "f_k holds values that are not finite"),
        ({"prototypes": np.full((2, 4), 0.5, np.float32)}, "must have the 16 values of f_k"),
        ({"gamma": float("nan")}, "gamma is a cosine similarity"),
        ({"gamma": 1.5}, "gamma is a cosine similarity"),
        ({"adapter": bytes(16 * 1024 * 1024 + 1)}, "exceeds the limit"),
        ({"index": 65_536}, "index must lie in"),
    ],
)
def test_nonsense_is_refused_when_an_entity_is_built(changes, match):
    with pytest.raises(EntityError, match=match):
        make_entity(**changes)


def test_create_never_overwrites(db, tmp_path):
    with pytest.raises(DatabaseError, match="exists already"):
        Database.create(db.path, ENCODER, TEXT)
    with pytest.raises(DatabaseError, match=r"folder .* does not exist"):
        Database.create(tmp_path / "none" / "K.db", ENCODER, TEXT)


def _foreign_sqlite(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()


def _patch_version(path):
    data = bytearray(path.read_bytes())
    data[60:64] = struct.pack(">I", 99)
    path.write_bytes(data)


def _break_row(path, column, value):
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE entities SET {column} = ?", (value,))
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("harm", "match"),
    [
        (lambda p: p.unlink(), "no such database; make one with 'privsc db init"),
        (lambda p: (p.unlink(), p.mkdir()), "is a folder"),
        (lambda p: p.write_bytes(b"hello" * 100), "is not a privacy database"),
        (lambda p: p.write_bytes(b""), "is not a privacy database"),
        (lambda p: (p.unlink(), _foreign_sqlite(p)), "SQLite file of another program"),
        (lambda p: p.write_bytes(p.read_bytes()[:-4096]), "is truncated"),
        (lambda p: p.write_bytes(p.read_bytes()[:1000]), "is truncated"),
        (_patch_version, "has schema version 99, this program reads 1"),
        (lambda p: _break_row(p, "f_k", b"abc"), "f_k of Vicky has an impossible length"),
        (lambda p: _break_row(p, "prototypes", b"abcd"), "prototypes of Vicky has an impossible length"),
        (lambda p: _break_row(p, "f_k", "text"), "impossible length"),
        (lambda p: _break_row(p, "prompt", b"\xff"), "a row is damaged"),
        (lambda p: _break_row(p, "prompt", "a photo of another cat"), "do not match their digest"),
        (lambda p: _break_row(p, "name", b"\xff"), "a row is damaged"),
        (lambda p: _break_row(p, "gamma", "high"), "a row is damaged"),
        (lambda p: _break_row(p, "adapter", "text"), "a row is damaged"),
    ],
)
def test_a_harmed_file_is_one_clear_error(db, harm, match):
    db.add(make_entity())
    db.close()
    harm(db.path)
    with pytest.raises(DatabaseError, match=match) as caught:
        Database.open(db.path)
    assert "\n" not in str(caught.value)


def test_random_damage_never_gives_a_foreign_exception(db, tmp_path):
    db.add(make_entity("A", 1))
    db.add(make_entity("B", 2))
    digest = db.digest()
    db.close()
    data = db.path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for trial in range(60):
        harmed = bytearray(data)
        start = int(rng.integers(0, len(data) - 64))
        harmed[start : start + 64] = rng.bytes(64)
        path = tmp_path / f"harmed{trial}.db"
        path.write_bytes(harmed)
        try:
            with Database.open(path) as opened:
                assert opened.digest() == digest  # damage in a place that holds nothing
        except DatabaseError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused >= 15
    with Database.open(db.path) as intact:
        assert intact.digest() == digest


def test_another_encoder_is_refused(db):
    with pytest.raises(DatabaseError, match="was made with the encoder lite0/0123, this run uses vit"):
        Database.open(db.path, "vit/89ab")


def test_read_only_file_can_be_read_but_not_changed(db, monkeypatch):
    db.add(make_entity("A"))
    with Database.open(db.path) as opened:
        opened._connection = sqlite3.connect(f"file:{db.path}?mode=ro", uri=True, isolation_level=None)
        assert opened.get("A").index == 1
        with pytest.raises(DatabaseError, match="is read-only"):
            opened.add(make_entity("B"))


def test_a_copied_file_is_the_same_k(db, tmp_path):
    db.add(make_entity())
    shutil.copy(db.path, tmp_path / "copy.db")
    with Database.open(tmp_path / "copy.db") as copy:
        assert copy.digest() == db.digest()
        assert copy.info()["digest"] == db.digest().hex()
        assert (copy.info()["entities"], copy.info()["samples"], copy.info()["schema"]) == (
            1,
            1,
            database.SCHEMA_VERSION,
        )
