"""K at rest: sealed with a passphrase or a key file, opened in memory, exported to one receiver."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privsc.cli.app import main
from privsc.errors import DatabaseError
from privsc.knowledge import keys, sealing, sharing, store
from privsc.knowledge.database import Database
from privsc.knowledge.sealing import Seal
from tests.fakes.samples import make_entity

WORDS = b"correct horse battery staple"


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    monkeypatch.setattr(sealing, "LOG2_N", 14)
    monkeypatch.setattr(keys, "_told", {})


@pytest.fixture
def told(tmp_path, monkeypatch) -> Path:
    """The passphrase's file, named by the variable."""
    path = tmp_path / "words"
    path.write_bytes(WORDS + b"\n")
    path.chmod(0o600)
    monkeypatch.setenv(keys.PASSPHRASE_VARIABLE, str(path))
    return path


@pytest.fixture
def sealed(tmp_path, told) -> Path:
    with Database.create(tmp_path / "K.db", "encoder", "text", Seal.from_passphrase(WORDS)) as db:
        db.add(make_entity("Vicky", 1))
    return tmp_path / "K.db"


def test_a_sealed_k_says_nothing_and_comes_back(sealed):
    data = sealed.read_bytes()
    with Database.open(sealed) as db:
        entity = db.get("Vicky")
        contents = db.contents()
        assert db.sealed and db.info()["sealed"] is True
    assert data.startswith(sealing.MAGIC)
    for secret in (b"SQLite", b"Vicky", entity.samples[0].photo[100:140], entity.samples[0].mask_png):
        assert secret not in data
    assert b"Vicky" in contents and entity.samples[0].photo[100:140] in contents


def test_a_change_is_written_back_whole_and_sealed(sealed):
    before = sealed.read_bytes()
    with Database.open(sealed) as db:
        db.add(make_entity("Tom", 2))
        digest = db.digest()
    after = sealed.read_bytes()
    assert after.startswith(sealing.MAGIC) and after[-32:] != before[-32:]
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    with Database.open(sealed) as db:
        assert [entity.name for entity in db.entities()] == ["Vicky", "Tom"] and db.digest() == digest
    assert sorted(path.name for path in sealed.parent.iterdir()) == ["K.db", "words"]


def test_nothing_plain_is_ever_written(tmp_path, told):
    """Databases that a process connects to, and what lies in the folder, while a sealed K is made and filled."""
    script = (
        "import sys; from pathlib import Path; from privsc.knowledge import sealing; sealing.LOG2_N = 14\n"
        "from privsc.knowledge.database import Database; from privsc.knowledge.sealing import Seal\n"
        "from tests.fakes.samples import make_entity\n"
        "seen = set()\n"
        "def hook(event, args):\n"
        "    if event == 'sqlite3.connect': seen.add('sqlite:' + str(args[0]))\n"
        "sys.addaudithook(hook)\n"
        "path = Path(sys.argv[1])\n"
        "with Database.create(path, 'e', 't', Seal.from_passphrase(b'correct horse battery staple')) as db:\n"
        "    db.add(make_entity('Vicky', 1)); db.add(make_entity('Tom', 2)); db.remove('Vicky')\n"
        "print(sorted(name for name in seen if name.startswith('sqlite:')))\n"
        "print(sorted(path.name for path in path.parent.iterdir()))\n"
    )
    folder = tmp_path / "k"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "K.db")], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['sqlite::memory:']", "['K.db']"]


def test_a_wrong_passphrase_is_one_line_and_exit_code_2(sealed, told, capsys):
    told.write_bytes(b"another passphrase\n")
    assert main(["db", "list", str(sealed)]) == 2
    error = capsys.readouterr().err
    assert (
        error.startswith("privsc: ") and error.count("\n") == 1 and "wrong passphrase, or the file was changed" in error
    )


def test_without_a_terminal_or_a_file_the_variable_is_named(sealed, monkeypatch):
    monkeypatch.delenv(keys.PASSPHRASE_VARIABLE)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    with pytest.raises(DatabaseError, match="set PRIVSC_K_PASSPHRASE_FILE"):
        Database.open(sealed)


def test_a_typed_passphrase_is_asked_for_once_a_process(sealed, monkeypatch):
    monkeypatch.delenv(keys.PASSPHRASE_VARIABLE)
    asked = []
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or WORDS.decode())
    for _ in range(2):
        Database.open(sealed).close()
    assert asked == [f"Passphrase of {sealed}: "]


def test_a_passphrase_file_that_others_may_read_is_refused(sealed, told):
    told.chmod(0o644)
    with pytest.raises(DatabaseError, match="others may read it"):
        Database.open(sealed)


def test_two_writers_do_not_lose_each_others_changes(sealed):
    with Database.open(sealed) as one, Database.open(sealed) as other:
        one.add(make_entity("Tom", 2))
        with pytest.raises(DatabaseError, match="another program has changed it meanwhile"):
            other.add(make_entity("Ann", 3))
        assert [entity.name for entity in other.entities()] == ["Vicky"]
    with Database.open(sealed) as db:
        assert [entity.name for entity in db.entities()] == ["Vicky", "Tom"]


def test_a_write_that_fails_changes_nothing(sealed, monkeypatch):
    before = sealed.read_bytes()

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    with Database.open(sealed) as db:
        monkeypatch.setattr(store, "write_atomic", full)
        with pytest.raises(OSError, match="No space"):
            db.add(make_entity("Tom", 2))
        assert [entity.name for entity in db.entities()] == ["Vicky"]
    assert sealed.read_bytes() == before


def test_a_key_file_opens_what_it_sealed(tmp_path, monkeypatch):
    key = tmp_path / "K.key"
    seal = keys.new_seal(tmp_path / "K.db", False, key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with Database.create(tmp_path / "K.db", "encoder", "text", seal) as db:
        db.add(make_entity())
    with pytest.raises(DatabaseError, match="set PRIVSC_K_KEY_FILE to its path"):
        Database.open(tmp_path / "K.db")
    monkeypatch.setenv(keys.KEY_VARIABLE, str(key))
    with Database.open(tmp_path / "K.db") as db:
        assert len(db.entities()) == 1
    key.write_text(f"{keys.REST} {'A' * 43}=\n")
    with pytest.raises(DatabaseError, match="wrong key file"):
        Database.open(tmp_path / "K.db")


def test_every_bit_of_a_sealed_file_is_authenticated(sealed):
    data = sealed.read_bytes()
    for place in (8, 9, 10, 25, 26, 37, 38, len(data) // 2, len(data) - 1):
        harmed = bytearray(data)
        harmed[place] ^= 1
        sealed.write_bytes(harmed)
        with pytest.raises(DatabaseError, match=r"wrong passphrase|does not know|sealed with a key file"):
            Database.open(sealed)


def test_a_header_cannot_ask_for_gigabytes(sealed):
    data = bytearray(sealed.read_bytes())
    data[9] = 30  # scrypt with N = 2^30 and r = 8 takes a terabyte
    sealed.write_bytes(data)
    with pytest.raises(DatabaseError, match="sealed in a way that this program does not know"):
        Database.open(sealed)


def test_secret_and_epoch(tmp_path):
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        first, digest = db.secret, db.digest()
        assert len(first) == 32 and db.epoch == 1
        assert db.rotate() == 2
        assert db.secret != first and db.digest() == digest
    with Database.create(tmp_path / "other.db", "encoder", "text") as other:
        assert other.secret != first and other.digest() == digest


def test_an_old_k_gets_its_secret_with_its_first_change(tmp_path):
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        db._connection.execute("PRAGMA query_only = OFF")
        db._connection.execute("DELETE FROM meta WHERE key IN ('secret', 'epoch')")
    with Database.open(tmp_path / "K.db") as db:
        assert db.epoch == 0
        with pytest.raises(DatabaseError, match="run 'privsc db rotate"):
            db.secret  # noqa: B018
        db.add(make_entity())
        assert db.epoch == 1 and len(db.secret) == 32


def test_rotate_seals_a_plain_k(tmp_path, told, capsys):
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        db.add(make_entity("Vicky"))
        digest = db.digest()
    assert main(["db", "rotate", str(tmp_path / "K.db"), "--passphrase"]) == 0
    assert "epoch 2, sealed" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "K.db").read_bytes().startswith(sealing.MAGIC)
    with Database.open(tmp_path / "K.db") as db:
        assert db.digest() == digest and db.epoch == 2


def test_export_reaches_bob_and_nobody_else(sealed, tmp_path, capsys):
    for who in ("bob", "eve"):
        assert main(["db", "keygen", str(tmp_path / who)]) == 0
    assert stat.S_IMODE((tmp_path / "bob.key").stat().st_mode) == 0o600
    copy, mine = tmp_path / "copy", tmp_path / "mine.db"
    assert main(["db", "export", str(sealed), "--to", str(tmp_path / "bob.pub"), "--out", str(copy)]) == 0
    assert b"Vicky" not in copy.read_bytes()
    assert main(["db", "import", str(copy), str(mine), "--key", str(tmp_path / "eve.key")]) == 2
    assert "was made for another key, or was changed" in capsys.readouterr().err and not mine.exists()
    assert main(["db", "import", str(copy), str(mine), "--key", str(tmp_path / "bob.key"), "--passphrase"]) == 0
    with Database.open(sealed) as sent, Database.open(mine) as got:
        assert got.sealed and got.digest() == sent.digest()
        assert (got.secret, got.epoch) == (sent.secret, sent.epoch)
    harmed = bytearray(copy.read_bytes())
    harmed[-1] ^= 1
    copy.write_bytes(harmed)
    with pytest.raises(DatabaseError, match="was changed"):
        sharing.open_copy(copy, bytes(harmed), tmp_path / "bob.key")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["db", "init", "{0}/new.db", "--passphrase", "--key-file", "{0}/k"], "not with both"),
        (["db", "keygen", "{0}/words"], ""),
        (["db", "export", "{0}/K.db", "--to", "{0}/words", "--out", "{0}/o"], "no key file"),
        (["db", "import", "{0}/K.db", "{0}/new.db", "--key", "{0}/words"], "no exported database"),
    ],
)
def test_bad_use_of_keys_is_one_line(sealed, told, tmp_path, arguments, match, capsys):
    code = main([word.format(tmp_path) for word in arguments])
    error = capsys.readouterr().err
    assert (code == 2 and match in error and error.count("\n") == 1) or (not match and code == 0)


def test_a_short_passphrase_is_refused(tmp_path, told):
    told.write_bytes(b"short\n")
    with pytest.raises(DatabaseError, match="at least 10 characters"):
        keys.new_seal(tmp_path / "K.db", True, None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), start=st.sampled_from([b"", sealing.MAGIC, sharing.MAGIC]))
def test_any_bytes_are_refused_in_one_line(tmp_path, told, data, start):
    path = tmp_path / "any.db"
    path.write_bytes(start + data)
    if not (tmp_path / "b.key").exists():
        sharing.make_pair(tmp_path / "b")
    for attempt in (lambda: Database.open(path), lambda: sharing.open_copy(path, start + data, tmp_path / "b.key")):
        with pytest.raises(DatabaseError) as caught:
            attempt()
        assert "\n" not in str(caught.value)


def test_a_copied_sealed_file_is_the_same_k(sealed, tmp_path):
    shutil.copy(sealed, tmp_path / "copy.db")
    with Database.open(sealed) as one, Database.open(tmp_path / "copy.db") as other:
        assert one.digest() == other.digest() and one.secret == other.secret
