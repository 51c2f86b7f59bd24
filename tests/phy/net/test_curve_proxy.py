"""The encrypted link: samples arrive, unknown keys do not get in, key files are private."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import zmq

from phy.net.curve_proxy import CurveError, Proxy, main, make_keys, read_key
from phy.net.endpoints import EndpointError

pytestmark = pytest.mark.skipif(not zmq.has("curve"), reason="this libzmq was built without CURVE")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, tuple[Path, Path]]:
    return {name: make_keys(tmp_path / "keys" / name) for name in ("alice", "bob", "mallory")}


class Running:
    """A proxy in a thread; ``error`` is how it ended."""

    def __init__(self, *arguments, **named):
        self.proxy, self.error = Proxy(*arguments, **named), None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.proxy.run()
        except CurveError as error:
            self.error = error

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_) -> None:
        self.proxy.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.proxy.close()


@pytest.fixture
def context():
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


def plain_pair(context: zmq.Context, tmp_path: Path) -> tuple[zmq.Socket, str, str]:
    push = context.socket(zmq.PUSH)
    push.bind(f"ipc://{tmp_path}/in")
    return push, f"ipc://{tmp_path}/in", f"ipc://{tmp_path}/out"


@pytest.mark.parametrize("sender_listens", [True, False])
def test_samples_cross_encrypted(keys, context, tmp_path, sender_listens) -> None:
    """Whoever listens; every byte, in order."""
    push, near, end = plain_pair(context, tmp_path)
    listener, caller = {"allow": [keys["bob"][0]]}, {"peer": keys["alice"][0]}
    listening = (sender_listens, near if sender_listens else end, "tcp://127.0.0.1:*", keys["alice"][1])
    with Running(*listening, **listener) as first:
        other = (not sender_listens, end if sender_listens else near, first.proxy.far, keys["bob"][1])
        with Running(*other, **caller) as second:
            pull = context.socket(zmq.PULL)
            pull.connect(end)
            sent = np.random.default_rng(0).integers(0, 256, (300, 8000), dtype=np.uint8)
            writer = threading.Thread(target=lambda: [push.send(row.tobytes()) for row in sent])
            writer.start()
            got = []
            for _ in sent:
                assert pull.poll(10000), (first.error, second.error)
                got.append(pull.recv())
            writer.join()
            assert b"".join(got) == sent.tobytes()
    assert first.error is second.error is None
    assert first.proxy.counts["connected"] == 1 and first.proxy.counts["refused"] == 0
    assert first.proxy.counts["bytes"] == second.proxy.counts["bytes"] == sent.size


def test_an_unknown_key_is_refused_on_both_sides(keys, context, tmp_path, capsys) -> None:
    _, near, end = plain_pair(context, tmp_path)
    with Running(True, near, "tcp://127.0.0.1:*", keys["alice"][1], allow=[keys["bob"][0]]) as alice:
        with Running(False, end, alice.proxy.far, keys["mallory"][1], peer=keys["alice"][0]) as mallory:
            mallory.thread.join(10)
            assert "does not know this key; it needs --allow" in str(mallory.error)
        assert alice.proxy.counts["refused"] >= 1 and alice.proxy.counts["connected"] == 0
    assert "refused an unknown key" in capsys.readouterr().err


def test_a_host_with_another_key_is_not_spoken_to(keys, context, tmp_path) -> None:
    """Mallory listens at Alice's place and would take Bob."""
    push, near, end = plain_pair(context, tmp_path)
    with Running(True, near, "tcp://127.0.0.1:*", keys["mallory"][1], allow=[keys["bob"][0]]) as mallory:
        with Running(False, end, mallory.proxy.far, keys["bob"][1], peer=keys["alice"][0]) as bob:
            push.send(b"secret", zmq.NOBLOCK) if push.poll(1000, zmq.POLLOUT) else None
            bob.thread.join(20)
            assert "is not the owner of the key in --peer" in str(bob.error)
        assert bob.proxy.counts["messages"] == 0 and mallory.proxy.counts["connected"] == 0


def test_a_plain_socket_gets_nothing(keys, context, tmp_path) -> None:
    push, near, _ = plain_pair(context, tmp_path)
    with Running(True, near, "tcp://127.0.0.1:*", keys["alice"][1], allow=[keys["bob"][0]]) as alice:
        tap = context.socket(zmq.PULL)
        tap.connect(alice.proxy.far)
        push.send(b"samples!")
        assert not tap.poll(1500)
        assert alice.proxy.counts["refused"] >= 1


def test_key_files(tmp_path, keys) -> None:
    public, secret = keys["alice"]
    assert secret.stat().st_mode & 0o777 == 0o600
    assert read_key(public)[1] is None and len(read_key(secret, secret=True)[1]) == 40
    assert "secret" not in public.read_text()
    with pytest.raises(CurveError, match="exists already"):
        make_keys(tmp_path / "keys" / "alice")
    with pytest.raises(CurveError, match="holds no secret key"):
        read_key(public, secret=True)
    secret.chmod(0o640)
    with pytest.raises(CurveError, match=r"others may read this secret key \(mode 0640\); run: chmod 600"):
        read_key(secret, secret=True)
    with pytest.raises(CurveError, match="no key file"):
        read_key(tmp_path / "none.key")
    (tmp_path / "short.key").write_text('curve\n    public-key = "abc"\n')
    with pytest.raises(CurveError, match="a key has 40 characters, got 3"):
        read_key(tmp_path / "short.key")


def test_wrong_arguments(tmp_path, keys, capsys) -> None:
    with pytest.raises(CurveError, match="either --allow"):
        Proxy(True, f"ipc://{tmp_path}/a", "tcp://127.0.0.1:*", keys["bob"][1])
    with pytest.raises(EndpointError, match="must be tcp://127"):
        Proxy(False, "tcp://0.0.0.0:5561", "tcp://127.0.0.1:1", keys["bob"][1], peer=keys["alice"][0])
    with pytest.raises(EndpointError, match="cannot connect there"):
        Proxy(True, f"ipc://{tmp_path}/a", "nonsense", keys["bob"][1], peer=keys["alice"][0])
    assert main(["send", "tcp://127.0.0.1:1", "tcp://127.0.0.1:*", "--key", str(tmp_path / "k"), "--peer", "x"]) == 2
    assert (said := capsys.readouterr().err).count("\n") == 1 and "no key file" in said
    assert main(["keys", str(tmp_path / "new" / "carol")]) == 0
    assert (tmp_path / "new" / "carol.key").exists()
