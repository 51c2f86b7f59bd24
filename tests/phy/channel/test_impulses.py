"""Impulse responses: their messages, the filter that applies them, held against Sionna's, and the server."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import zmq

from phy.channel.impulses import ImpulseError, Segment, decode, encode
from phy.channel.varying import VaryingFilter


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def pieces(segments: list[Segment], x: np.ndarray, sizes: list[int]) -> np.ndarray:
    """x through the segments, in pieces of those sizes, in turn."""
    varying, coming, out, at, turn = VaryingFilter(), iter(segments), [], 0, 0
    while at < len(x):
        if not varying.left:
            varying.load(next(coming))
        size = min(sizes[turn % len(sizes)], varying.left, len(x) - at)
        out.append(varying(x[at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate(out)


def interpolated(segment: Segment) -> np.ndarray:
    """h [samples, L] by numpy's own interpolation."""
    if len(segment.taps) == 1:
        return np.repeat(segment.taps, segment.samples, axis=0)
    knots = np.arange(len(segment.taps)) * segment.spacing
    place = np.arange(segment.samples)
    return np.stack([np.interp(place, knots, column) for column in segment.taps.T], axis=1)


SERIES = [
    Segment(noise(9, 5, seed=1), 700, 100),  # ends in the middle of an interval
    Segment(noise(1, 12, seed=2), 333),
    Segment(noise(41, 3, seed=3), 40, 1),
    Segment(noise(2, 7, seed=4), 900, 900),
]


@pytest.mark.parametrize("sizes", [[1 << 20], [1], [37, 1, 250], [100], [99, 101]])
def test_the_filter_is_the_sum_over_taps_however_the_stream_is_cut(sizes) -> None:
    x = noise(sum(s.samples for s in SERIES), seed=9)
    expected, at = np.zeros(len(x), complex), 0
    for segment in SERIES:
        for n, row in enumerate(interpolated(segment), start=at):
            reach = min(len(row), n + 1)
            expected[n] = row[:reach] @ x[n::-1][:reach]
        at += segment.samples
    assert np.allclose(pieces(SERIES, x, sizes), expected, atol=2e-5)


def test_an_impulse_brings_out_the_response() -> None:
    x = np.zeros(700, np.complex64)
    x[250] = 1
    got = pieces(SERIES[:1], x, [64])
    for j in range(5):  # by then the taps have moved on
        assert np.isclose(got[250 + j], interpolated(SERIES[0])[250 + j, j], atol=1e-6)
    assert not got[:250].any() and not got[255:].any()


def test_after_the_last_segment_its_end_is_held_and_before_the_first_there_is_silence() -> None:
    varying, x = VaryingFilter(), noise(500)
    assert not varying.hold(x[:100]).any() and not varying.loaded
    varying.load(SERIES[0])
    with pytest.raises(ImpulseError, match="holds for 700 more samples, got 701"):
        varying(noise(701))
    varying(noise(700))
    got = varying.hold(x)
    assert np.allclose(got[10:], np.convolve(x, SERIES[0].taps[7])[10:500], atol=1e-5)


def test_equal_to_sionnas_own_time_channel() -> None:
    """The same taps through ApplyTimeChannel; and TimeChannel's taps, made for each sample, against our knots."""
    torch = pytest.importorskip("torch")
    from sionna.phy.channel import ApplyTimeChannel, cir_to_time_channel

    from phy.channel.sionna_channel import FIRST_LAG, Channel, seeded
    from phy.net.sionna_taps import _seed, segments

    count, parameters = 3000, {"speed": 20.0, "delay_spread": 3e-6}
    segment = next(segments("tdl-c", seed=4, hold=count + 40, **parameters))
    taps = interpolated(segment)
    length, x = taps.shape[1], noise(count, seed=5)
    ours = pieces([segment], np.concatenate([x, np.zeros(length - 1, np.complex64)]), [700])
    theirs = ApplyTimeChannel(count, length)

    def applied(h: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(h[: count + length - 1].astype(np.complex64))[None, None, None, None, None]
        return theirs(torch.from_numpy(x)[None, None, None], rows)[0, 0, 0].numpy()

    assert length > 20 and len(segment.taps) > 10
    assert np.allclose(ours, applied(taps), atol=1e-4)
    channel = Channel("tdl-c", 0.0, _seed(4, 0), **parameters)
    with seeded(channel.seed), torch.no_grad():  # the same draw, at every sample
        gain, delay = channel._model()(1, count + length - 1, channel.sample_rate)
        full = cir_to_time_channel(channel.sample_rate, gain, delay, FIRST_LAG, FIRST_LAG + length - 1)
    exact = applied(full[0, 0, 0, 0, 0].numpy())
    assert np.sqrt(np.mean(np.abs(ours - exact) ** 2) / np.mean(np.abs(exact) ** 2)) < 5e-3


def test_messages_come_back_and_foreign_ones_are_refused() -> None:
    segment = Segment(noise(3, 4), 20, 10, -6, "ab", 7, "tdl-c", 2e6)
    got = decode(encode(segment))
    assert np.array_equal(got.taps, segment.taps)
    assert [getattr(got, n) for n in ("samples", "spacing", "first_lag", "stream", "sequence", "channel")] == [
        20,
        10,
        -6,
        "ab",
        7,
        "tdl-c",
    ]
    header, taps = encode(segment)

    def changed(**fields) -> list[bytes]:
        return [json.dumps(json.loads(header) | fields).encode(), taps]

    for parts, said in (
        ([header], "1 parts"),
        ([b"{", taps], "not JSON"),
        ([b"[1]", taps], "version 1; got None"),
        (changed(privsc_impulses=2), "version 1; got 2"),
        (changed(shape=[3]), "must be .knots, L"),
        (changed(shape=[3, 5]), "96 bytes are no taps"),
        (changed(samples=0), "samples of a segment"),
        (changed(samples=True), "samples of a segment"),
        (changed(samples=21), "do not reach over 21"),
        (changed(spacing=1.5), "spacing of a segment"),
        (changed(sample_rate="x"), "sample_rate"),
        ([header, np.full(12, np.nan, np.complex64).tobytes()], "finite"),
        ([header, b"x" * (65 << 20)], "at most"),
    ):
        with pytest.raises(ImpulseError, match=said):
            decode(parts)
    with pytest.raises(ImpulseError, match=r"taps of a segment must be 1 to 512, got 513"):
        Segment(noise(1, 513), 1)
    with pytest.raises(ImpulseError, match="complex64"):
        Segment(np.ones((1, 1)), 1)


def test_the_server_draws_ahead_for_bob_and_eve(tmp_path) -> None:
    pytest.importorskip("torch")
    from phy.net.sionna_taps import Server, segments

    parameters = {"hold": 5000, "speed": 100.0}
    sources = {"bob": segments("tdl-d", seed=1, **parameters), "eve": segments("tdl-d", seed=2, **parameters)}
    server = Server(sources, {name: f"ipc://{tmp_path}/{name}" for name in sources})
    thread = threading.Thread(target=server.serve)
    thread.start()
    context = zmq.Context()
    got: dict[str, list[Segment]] = {name: [] for name in sources}
    try:
        for name, place in server.endpoints.items():
            socket = context.socket(zmq.PULL)
            socket.connect(place)
            for _ in range(12):
                assert socket.poll(20000)
                got[name].append(decode(socket.recv_multipart()))
    finally:
        context.destroy(linger=0)
        server.stop()
        thread.join(10)
        server.close()
    assert not thread.is_alive() and min(server.counts.values()) >= 12
    for series in got.values():
        assert [s.sequence for s in series] == list(range(12)) and len({s.stream for s in series}) == 1
        assert all(s.samples == 5000 and s.first_lag == -6 for s in series)
    assert not np.allclose(got["bob"][0].taps, got["eve"][0].taps, atol=0.01)
    assert not np.allclose(got["bob"][0].taps, got["bob"][1].taps, atol=0.01)


def test_eve_may_be_correlated_with_bob() -> None:
    pytest.importorskip("torch")
    from phy.net.sionna_taps import segments

    bob = next(segments("tdl-c", seed=2, hold=100))
    near = next(segments("tdl-c", seed=3, hold=100, correlated_with=2, correlation=0.99))
    alone = next(segments("tdl-c", seed=3, hold=100))
    distance = [np.linalg.norm(one.taps - bob.taps) / np.linalg.norm(bob.taps) for one in (near, alone)]
    assert distance[0] < 0.3 < distance[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tdl-c", "--bob", "tcp://0.0.0.0:5570"], "endpoint must be tcp://127.0.0.1"),
        (["tdl-c", "--bob", "tcp://127.0.0.1:5570", "--speed", "-1"], "speed must be 0.0 to 10000.0, got -1.0"),
        (["tdl-c", "--speed", "3000", "--hold", "20000000"], "--hold: at this speed a draw can hold for at most 85"),
    ],
)
def test_a_wrong_command_line_is_one_line(capsys, arguments, said) -> None:
    from phy.net.sionna_taps import main

    assert main(arguments) == 2
    assert said in (said_there := capsys.readouterr().err) and said_there.count("\n") == 1
