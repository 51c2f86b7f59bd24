"""`privsc models fetch` against a real HTTP server on loopback that misbehaves as servers and networks do."""

import errno
import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple

import numpy as np
import pytest

from privsc.cli.app import main
from privsc.errors import FetchError, WeightsError
from privsc.networks.files import catalogue
from privsc.networks.files import download as fetch_module
from privsc.networks.files.catalogue import RemoteFile, Source
from privsc.networks.files.download import fetch

CONTENT = np.random.default_rng(0).bytes(3_158_073)
Asked = namedtuple("Asked", "path range if_range status")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.contents`, with Range and ETag unless told otherwise."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        content = server.contents.get(self.path)
        tag = f'"{hashlib.md5(content or b"").hexdigest()}"'
        same = self.headers.get("If-Range") in (None, tag)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges and same else 0
        status = server.status or (404 if content is None else 206 if start else 200)
        if content is not None and start > len(content):
            status = 416
        server.asked.append(Asked(self.path, wanted, self.headers.get("If-Range"), status))
        self.send_response(status)
        body = content[start:] if status in (200, 206) else b"no"
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if status in (200, 206) and server.etags:
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None or server.status:
            if server.hang and cut is not None:
                server.hang.wait(30)
            self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch_module, "PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.handle_error = lambda *arguments: None  # clients that go away are what is tested
    httpd.contents, httpd.asked, httpd.cuts = {"/big.bin": CONTENT, "/small.txt": b"words"}, [], []
    httpd.ranges, httpd.etags, httpd.status, httpd.hang = True, True, 0, None
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/"
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


def remote(name, content):
    return RemoteFile(name, len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def big(server):
    return Source("big", server.url, (remote("big.bin", CONTENT),), "a test", "none")


def left(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_arrives_whole_and_is_not_fetched_twice(server, big, tmp_path):
    told = []
    path = fetch(big, tmp_path / "new" / "folder", lambda *values: told.append(values))
    assert path.read_bytes() == CONTENT
    assert left(tmp_path / "new" / "folder") == ["big.bin"]
    assert told[-1] == (len(CONTENT), len(CONTENT), "big.bin")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told) and len(told) > 3
    assert fetch(big, tmp_path / "new" / "folder") == path
    assert len(server.asked) == 1


def test_a_broken_connection_goes_on_where_it_broke(server, big, tmp_path):
    server.cuts = [10 * fetch_module.BLOCK + 77, 5 * fetch_module.BLOCK]
    assert fetch(big, tmp_path).read_bytes() == CONTENT
    assert [asked.status for asked in server.asked] == [200, 206, 206]
    starts = [int(asked.range.removeprefix("bytes=").rstrip("-")) for asked in server.asked[1:]]
    assert starts == [10 * fetch_module.BLOCK, 15 * fetch_module.BLOCK]
    assert all(asked.if_range for asked in server.asked[1:])


def test_the_next_command_goes_on_where_the_last_gave_up(server, big, tmp_path, monkeypatch):
    server.cuts = [fetch_module.BLOCK + 9, 0, 0, 0]
    with pytest.raises(FetchError, match="repeat the command, which goes on from here"):
        fetch(big, tmp_path)
    there = (tmp_path / "big.bin.partial").stat().st_size
    assert there >= fetch_module.BLOCK
    assert not (tmp_path / "big.bin").exists()
    before = len(server.asked)
    assert fetch(big, tmp_path).read_bytes() == CONTENT
    assert server.asked[before].range == f"bytes={there}-"
    assert left(tmp_path) == ["big.bin"]


def test_a_killed_command_goes_on(server, tmp_path):
    """The process is killed in the middle of a transfer, as by a power cut."""
    server.hang = threading.Event()
    server.cuts = [2 * fetch_module.BLOCK]
    code = (
        "import sys; from pathlib import Path; from privsc.networks.files.download import fetch;"
        "from privsc.networks.files.catalogue import *;"
        f"fetch(Source('big', {server.url!r}, ({remote('big.bin', CONTENT)!r},), '', ''), Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    partial, end = tmp_path / "big.bin.partial", time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size >= fetch_module.BLOCK) and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    server.hang.set()
    there = partial.stat().st_size
    assert 0 < there < len(CONTENT)
    server.hang = None
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60).returncode == 0
    assert (tmp_path / "big.bin").read_bytes() == CONTENT
    assert server.asked[-1].range == f"bytes={there}-" and server.asked[-1].status == 206


def test_a_server_without_range_sends_all_again(server, big, tmp_path):
    server.ranges, server.cuts = False, [fetch_module.BLOCK + 1]
    assert fetch(big, tmp_path).read_bytes() == CONTENT
    assert [asked.status for asked in server.asked] == [200, 200]


def test_a_server_without_etag_is_gone_on_with(server, big, tmp_path):
    server.etags, server.cuts = False, [fetch_module.BLOCK + 1]
    assert fetch(big, tmp_path).read_bytes() == CONTENT
    assert [asked.if_range for asked in server.asked] == [None, None] and server.asked[1].status == 206


def test_a_file_that_changed_meanwhile_is_begun_anew(server, big, tmp_path):
    old = bytes(len(CONTENT))
    server.contents["/big.bin"], server.cuts = old, [fetch_module.BLOCK + 1, 0, 0, 0]
    with pytest.raises(FetchError):
        fetch(big, tmp_path)
    server.contents["/big.bin"] = CONTENT
    assert fetch(big, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1].range is not None and server.asked[-1].status == 200


@pytest.mark.parametrize("size", [len(CONTENT) + 5, len(CONTENT)])
def test_a_foreign_partial_file_does_no_harm(server, big, tmp_path, size):
    (tmp_path / "big.bin.partial").write_bytes(bytes(size))
    if size == len(CONTENT):  # complete, but wrong
        with pytest.raises(FetchError, match="what arrived was removed"):
            fetch(big, tmp_path)
    assert fetch(big, tmp_path).read_bytes() == CONTENT


def test_a_wrong_digest_is_refused_and_removed(server, big, tmp_path):
    server.contents["/big.bin"] = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(FetchError, match=r"its SHA-256 is .* is wanted; what arrived was removed"):
        fetch(big, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x"])
def test_another_length_is_refused_before_it_is_fetched(server, big, tmp_path, content):
    server.contents["/big.bin"] = content
    with pytest.raises(FetchError, match=f"offers {len(content)} bytes instead of {len(CONTENT)}"):
        fetch(big, tmp_path)
    assert not (tmp_path / "big.bin").exists()


def test_a_missing_file_is_said(server, big, tmp_path):
    del server.contents["/big.bin"]
    with pytest.raises(FetchError, match="the server answers 404 Not Found"):
        fetch(big, tmp_path)
    assert len(server.asked) == 1


def test_a_server_in_trouble_is_asked_again(server, big, tmp_path):
    server.status = 503
    with pytest.raises(FetchError, match="the server answers 503"):
        fetch(big, tmp_path)
    assert len(server.asked) == fetch_module.IDLE_ATTEMPTS


def test_no_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_module, "PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    nobody = Source("big", "http://127.0.0.1:9/", (remote("big.bin", CONTENT),), "", "")
    with pytest.raises(FetchError, match=r"no connection \(.*refused.*\); check the network") as caught:
        fetch(nobody, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_said_and_what_is_there_stays(server, big, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(fetch_module.shutil, "disk_usage", lambda path: usage(10, 0, 10))
    with pytest.raises(FetchError, match="3 MB are needed and 0 MB are free"):
        fetch(big, tmp_path)
    monkeypatch.undo()

    class Disk:
        def __init__(self, real):
            self.real, self.blocks = real, 0

        def __getattr__(self, name):
            return getattr(self.real, name)

        def write(self, block):
            self.blocks += 1
            if self.blocks == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.real.write(block)

    real = fetch_module._write
    disks = {}
    monkeypatch.setattr(
        fetch_module, "_write", lambda partial, out, block: real(partial, disks.setdefault(out, Disk(out)), block)
    )
    with pytest.raises(FetchError, match="the disk is full; free space and repeat"):
        fetch(big, tmp_path)
    assert (tmp_path / "big.bin.partial").stat().st_size == fetch_module.BLOCK
    monkeypatch.setattr(fetch_module, "_write", real)
    assert fetch(big, tmp_path).read_bytes() == CONTENT


def test_two_commands_do_not_write_one_file(big, tmp_path):
    with (
        fetch_module._locked(tmp_path / "big.bin.partial"),
        pytest.raises(FetchError, match="is being fetched by another command"),
    ):
        fetch(big, tmp_path)


def test_a_model_of_several_files_lies_in_its_folder(server, tmp_path):
    server.contents |= {"/unet/a.bin": CONTENT, "/tokenizer/b.txt": b"words"}
    files = (remote("tokenizer/b.txt", b"words"), remote("unet/a.bin", CONTENT))
    several = Source("several", "https://example.invalid/elsewhere/", files, "a test", "none")
    told = []
    folder = fetch(several, tmp_path, lambda *values: told.append(values), mirror=server.url.rstrip("/"))
    assert folder == tmp_path / "several"
    assert (folder / "unet" / "a.bin").read_bytes() == CONTENT
    assert (folder / "model_index.json").is_file() and (folder / "unet" / "config.json").is_file()
    assert told[-1][:2] == (len(CONTENT) + 5, len(CONTENT) + 5)
    assert catalogue.is_fetched(several, tmp_path)
    (folder / "unet" / "a.bin").write_bytes(b"short")
    assert not catalogue.is_fetched(several, tmp_path)


@pytest.fixture
def command(server, big, tmp_path, monkeypatch):
    """`privsc models ...` with a model of this server in the list, and a models folder of its own."""
    monkeypatch.setitem(catalogue.SOURCES, "big", big)
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(tmp_path / "models"))
    return lambda *words: main(["models", *words])


def test_fetch_list_and_verify_from_the_command_line(command, tmp_path, capsys):
    assert command("fetch", "big") == 0
    assert str(tmp_path / "models" / "big.bin") in capsys.readouterr().out.replace("\n", "")
    assert (tmp_path / "models" / "big.bin").read_bytes() == CONTENT
    assert command("list") == 0
    listed = capsys.readouterr().out
    assert "│ fetched" in listed and "not fetched" in listed
    assert command("verify") == 0
    assert "1 fetched files match theirs" in capsys.readouterr().out
    (tmp_path / "models" / "big.bin").write_bytes(bytes(len(CONTENT)))
    assert command("verify") == 2
    assert "remove it and run 'privsc models fetch big'" in capsys.readouterr().err


def test_fetch_to_another_folder_says_how_to_use_it(command, tmp_path, capsys):
    assert command("fetch", "big", "--to", str(tmp_path / "else where")) == 0
    assert f"export PRIVSC_MODELS={tmp_path / 'else where'}" in capsys.readouterr().out
    assert (tmp_path / "else where" / "big.bin").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fetch", "sam_vit_x"), "no model 'sam_vit_x' to fetch: choose one of sam_vit_b"),
        (("fetch", "big", "--from", "ftp://here"), "starts with https:// or http://"),
        (("fetch", "big", "--to", "/dev/null/x"), "/dev/null/x: cannot be made"),
    ],
)
def test_bad_commands_are_one_line(command, words, message, capsys):
    assert command(*words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and message in said[0]


def test_what_is_not_fetched_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv(catalogue.ENVIRONMENT, str(tmp_path))
    with pytest.raises(WeightsError, match=r"run 'privsc models fetch sam_vit_b' \(0.38 GB\) or name your own"):
        catalogue.fetched("sam_vit_b")
    (tmp_path / "sam_vit_b_01ec64.pth").touch()
    os.truncate(tmp_path / "sam_vit_b_01ec64.pth", 375_042_383)  # sparse
    assert catalogue.fetched("sam_vit_b") == tmp_path / "sam_vit_b_01ec64.pth"


def test_the_default_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv(catalogue.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert catalogue.models_folder() == tmp_path / "privsc" / "models"


def test_every_source_is_pinned():
    for source in catalogue.SOURCES.values():
        assert source.url.startswith("https://") and source.url.endswith("/")
        for file in source.files:
            assert len(bytes.fromhex(file.sha256)) == 32 and file.size > 100_000
    assert catalogue.SD15_REVISION in catalogue.SOURCES["sd15-inpaint"].url
