"""Where sockets may be: a folder of one's own, this machine, or behind CURVE keys."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest
import zmq

from phy.net.bridge import Bridge
from phy.net.endpoints import Address, EndpointError, bound, private_folder, resolved, stream_socket


@pytest.fixture
def runtime(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_a_name_is_a_socket_in_a_folder_of_ones_own(runtime):
    mask = os.umask(0)
    try:
        assert resolved("ipc://worker") == f"ipc://{runtime}/privsc/worker"
    finally:
        os.umask(mask)
    assert stat.S_IMODE((runtime / "privsc").stat().st_mode) == 0o700
    assert resolved("ipc:///tmp/a/b") == "ipc:///tmp/a/b" and resolved("tcp://127.0.0.1:1") == "tcp://127.0.0.1:1"
    assert resolved("ipc://*") != resolved("ipc://*")


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_others_can_enter_is_refused(runtime, mode):
    (runtime / "privsc").mkdir()
    (runtime / "privsc").chmod(mode)
    with pytest.raises(EndpointError, match="must be your own folder with mode 0700"):
        private_folder()


def test_a_link_in_place_of_the_folder_is_refused(runtime):
    (runtime / "elsewhere").mkdir(mode=0o700)
    (runtime / "privsc").symlink_to(runtime / "elsewhere")
    with pytest.raises(EndpointError, match="must be your own folder"):
        private_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(runtime):
    (runtime / "privsc").mkdir(mode=0o700)
    os.chown(runtime / "privsc", 12345, 12345)
    with pytest.raises(EndpointError, match="must be your own folder"):
        private_folder()


@pytest.mark.parametrize(
    ("endpoint", "match"),
    [
        ("ipc://@worker", "is open to everybody"),
        ("ipc:///" + "x" * 120, "at most 100 bytes"),
        ("tcp://127.0.0.1:1?key=a", "must stand key=FILE&peer=FILE"),
        ("tcp://127.0.0.1:1?key=a&peer=", "must stand key=FILE&peer=FILE"),
        ("tcp://127.0.0.1:1?", "must stand key=FILE&peer=FILE"),
    ],
)
def test_what_is_no_address_is_one_line(endpoint, match):
    with pytest.raises(EndpointError, match=match):
        Address.parse(endpoint)


def test_keys_in_an_address():
    assert Address.parse("tcp://h:1?key=a/b&peer=c") == Address("tcp://h:1", Path("a/b"), Path("c"))


def test_a_socket_is_for_its_owner_and_is_not_taken_from_a_program_that_listens(runtime):
    context = zmq.Context()
    mask = os.umask(0)
    try:
        first, second = (stream_socket(context, zmq.PULL, 4) for _ in range(2))
        place = bound(first, "ipc://worker")
        assert stat.S_IMODE((runtime / "privsc" / "worker").stat().st_mode) & 0o077 == 0
        with pytest.raises(EndpointError, match="is another program there"):
            bound(second, "ipc://worker")
        assert place == f"ipc://{runtime}/privsc/worker"
    finally:
        os.umask(mask)
        context.destroy(linger=0)


def test_a_name_left_behind_is_taken(runtime):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(private_folder() / "worker"))
    left.close()
    context = zmq.Context()
    try:
        place = bound(stream_socket(context, zmq.PULL, 4), "ipc://worker")
        assert place == f"ipc://{private_folder() / 'worker'}"
    finally:
        context.destroy(linger=0)


@pytest.mark.parametrize("place", ["tcp://192.0.2.1:5560", "tcp://*:5560", "tcp://0.0.0.0:5560"])
def test_a_bridge_stays_on_this_machine(place):
    for tx, bob in ((place, "tcp://127.0.0.1:5561"), ("tcp://127.0.0.1:0", place)):
        with pytest.raises(EndpointError, match="endpoint must be"):
            Bridge(tx, {"bob": bob})


def test_both_interpreters_have_curve():
    assert zmq.has("curve") and sys.version_info >= (3, 11)
