"""What is made is for its owner alone, whatever the umask."""

import os
import stat
from pathlib import Path

import pytest

from privsc.cli.app import main
from privsc.errors import OutputError
from privsc.files import ResultFolder, atomic_path, output_folder, private_folder, write_atomic
from privsc.knowledge.database import Database
from tests.fakes.samples import encoded, make_entity, scene


@pytest.fixture(params=[0, 0o022, 0o077], ids=["000", "022", "077"])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_results_are_for_their_owner(tmp_path, umask):
    with ResultFolder(tmp_path / "a" / "b") as results:
        results.add("bob.png", b"x")
    write_atomic(tmp_path / "a" / "one", b"y")
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/bob.png", "a/one")] == [0o700, 0o700, 0o600, 0o600]


def test_a_result_that_replaces_one_for_all_is_for_its_owner(tmp_path, umask):
    (tmp_path / "bob.png").write_bytes(b"old")
    (tmp_path / "bob.png").chmod(0o644)
    with ResultFolder(tmp_path) as results:
        results.add("bob.png", b"new")
    assert mode(tmp_path / "bob.png") == 0o600 and (tmp_path / "bob.png").read_bytes() == b"new"


def test_nothing_is_readable_even_while_it_is_written(tmp_path, umask, monkeypatch):
    with atomic_path(tmp_path / "one") as temporary:
        assert mode(temporary) == 0o600
    seen = []
    real = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: seen.append(mode(path)) or real(path, data))
    with ResultFolder(tmp_path / "out") as results:
        results.add("bob.png", b"x")
    assert seen == [0o600]


def test_a_folder_that_exists_keeps_its_mode(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine").chmod(0o755)
    assert output_folder(tmp_path / "mine" / "new").is_dir() and mode(tmp_path / "mine") == 0o755
    assert mode(private_folder(tmp_path / "mine")) == 0o755
    with pytest.raises(OutputError, match="is not a folder"):
        (tmp_path / "file").write_bytes(b"")
        output_folder(tmp_path / "file")


def test_k_is_for_its_owner(tmp_path, umask):
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        db.add(make_entity())
    assert mode(tmp_path / "K.db") == 0o600


def test_a_command_leaves_the_umask_as_it_was(tmp_path, umask, capsys):
    (tmp_path / "photo.png").write_bytes(encoded(scene()))
    assert main(["db", "list", str(tmp_path / "none.db")]) == 2
    now = os.umask(umask)
    assert now == umask
    capsys.readouterr()
