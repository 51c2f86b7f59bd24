"""The stream receiver: impaired frames delivered, chunks of any size, locks again, believes only frames."""

import numpy as np
import pytest

from phy.channel.impairments import Impairments, drop_samples, multipath, noise_variance, repeat_samples, white_noise
from phy.evaluation.hostile import hostile_streams
from phy.evaluation.trials import image_frames, receive, run_trials, short_frames
from phy.modem.burst import Layout
from phy.modem.preamble import Preamble
from phy.modem.pulse import Pulse
from phy.modem.stream import StreamError, StreamReceiver

GAP = 40


@pytest.fixture(scope="module")
def stream():
    """30 frames back to back at 9 dB with every offset at once: (payloads, samples, samples a frame)."""
    rng = np.random.default_rng(1)
    frames = image_frames(30, 64, "ae8x8", rng, gap=GAP)
    path = Impairments(cfo=-0.21, clock_ppm=60, delay=0.4, phase=1.0, noise=noise_variance(9.0, 2))
    return frames.payloads, path.apply(frames.bursts.reshape(-1), rng), frames.bursts.shape[1]


def sequences(frames):
    return [frame.header.sequence for frame in frames if frame.crc_ok]


def test_frames_arrive_with_their_measurements(stream):
    payloads, samples, size = stream
    receiver = StreamReceiver()
    frames = receive(receiver, samples)
    assert sequences(frames) == list(range(30))
    for i, frame in enumerate(frames):
        assert np.array_equal(frame.payload, payloads[i])
        assert frame.start == pytest.approx(12.4 + i * size * (1 + 60e-6), abs=1.6)
        assert frame.cfo == pytest.approx(-0.21, abs=3e-4)
        assert frame.codec == "ae8x8" and frame.refusal is None and not frame.selective
        assert frame.evm_db == pytest.approx(-frame.snr_db)
    assert np.mean([frame.snr_db for frame in frames]) == pytest.approx(9.0, abs=0.3)
    assert np.mean([frame.clock_ppm for frame in frames]) == pytest.approx(60, abs=20)
    assert receiver.counts["frames"] == 30 and receiver.counts["samples"] == len(samples)
    assert receiver.refusals.total() == 0


@pytest.mark.parametrize("chunk", [1 << 16, 4097, 1000])
def test_frames_do_not_depend_on_how_the_stream_is_cut(stream, chunk):
    _, samples, _ = stream
    whole, cut = receive(StreamReceiver(), samples), receive(StreamReceiver(batch=1), samples, chunk)
    assert [frame.start for frame in cut] == [frame.start for frame in whole]
    assert all(np.array_equal(a.body, b.body) for a, b in zip(cut, whole, strict=True))


def test_chunks_of_random_size_down_to_empty_and_single_samples(stream):
    _, samples, _ = stream
    rng, receiver, frames, at = np.random.default_rng(2), StreamReceiver(batch=1), [], 0
    while at < len(samples):
        step = int(rng.choice([0, 1, 2, 7, 100, 3000]))
        frames += receiver.push(samples[at : at + step])
        at += step
    assert sequences(frames + receiver.flush()) == list(range(30))


def test_a_frame_is_reported_as_soon_as_it_is_complete(stream):
    _, samples, size = stream
    receiver = StreamReceiver(batch=1)
    early = receiver.push(samples[: 4 * size + 4200])
    assert sequences(early) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "layout",
    [
        Layout(pulse=Pulse(4, 0.35, 6)),
        Layout(pulse=Pulse(3, 0.25, 8)),
        Layout(Preamble(64), Pulse(2, 0.2, 8), 16),
        Layout(Preamble(16), Pulse(2, 0.5, 4), 64),
    ],
)
def test_other_layouts(layout):
    rng, sps = np.random.default_rng(16), layout.pulse.sps
    frames = image_frames(12, 100, "ae8x8", rng, layout=layout)

    def impair(burst, _):
        path = Impairments(cfo=rng.uniform(-0.5, 0.5) / sps, clock_ppm=rng.uniform(-100, 100), delay=rng.uniform(0, 1))
        return path.apply(burst, rng)

    tally = run_trials(frames, impair, noise_variance(9.5, sps), rng)
    assert tally.right == 12 and np.mean(tally.snr_db) == pytest.approx(9.5, abs=0.4)


def test_a_preamble_on_the_border_of_two_searches_is_one_frame():
    rng = np.random.default_rng(15)
    burst = image_frames(1, 8, "ae8x8", rng).bursts[0]
    samples = Impairments(cfo=-0.21, delay=0.4, noise=noise_variance(9.0, 2)).apply(
        np.append(burst, np.zeros(6000)), rng
    )
    border = StreamReceiver()._searched + StreamReceiver().detector.hop
    for shift in range(-8, 2):
        receiver = StreamReceiver(batch=1)
        frames = receive(receiver, np.concatenate([np.zeros(border + shift), samples]), border + 2000)
        assert len(frames) == 1 and frames[0].crc_ok


def test_two_workers_find_what_one_finds(stream):
    _, samples, _ = stream
    receiver = StreamReceiver(workers=2)
    assert sequences(receive(receiver, samples)) == list(range(30))
    receiver.close()


@pytest.mark.parametrize("damage", [drop_samples, repeat_samples])
def test_a_hole_or_a_repetition_costs_only_the_frames_that_it_touches(stream, damage):
    _, samples, size = stream
    rng = np.random.default_rng(3)
    for _ in range(12):
        at, count = int(rng.integers(4 * size, 20 * size)), int(rng.integers(1, 2 * size))
        broken = damage(samples, at, count)
        lost = set(range(30)) - set(sequences(receive(StreamReceiver(), broken)))
        first = (at - (count if damage is repeat_samples else 0)) // size - 1
        last = (at + (count if damage is drop_samples else 0)) // size + 1
        assert lost <= set(range(first, last + 1))
        assert len(lost) <= count // size + 2


def test_locks_at_once_after_long_silence_and_other_levels(stream):
    _, samples, size = stream
    noise = white_noise(np.zeros(30_000), 25.0, np.random.default_rng(4))
    parts = [
        samples[: 2 * size],
        np.zeros(50_000, np.complex64),
        1e-3 * samples[2 * size : 4 * size],
        noise,
        300 * samples[4 * size : 6 * size],
    ]
    assert sequences(receive(StreamReceiver(), np.concatenate(parts))) == [0, 1, 2, 3, 4, 5]


def test_no_frame_in_noise_a_sine_or_another_signal():
    rng = np.random.default_rng(5)
    qpsk = np.repeat(np.exp(1j * np.pi / 2 * rng.integers(0, 4, 60_000)), 3)
    for samples in (white_noise(np.zeros(1 << 20), 1.0, rng), 30 * np.exp(0.3j * np.arange(200_000)), qpsk):
        receiver = StreamReceiver()
        assert receive(receiver, white_noise(samples, 0.01, rng)) == []
        assert receiver.counts["samples"] == len(samples)


def test_multipath_needs_the_equaliser():
    rng = np.random.default_rng(6)
    frames = short_frames(40, rng)
    gains, delays = np.array([0.7, 0.5j, -0.45, 0.25]), np.array([0.0, 2.5, 7.0, 16.0])

    def impair(burst, _):
        return multipath(burst, gains, delays)

    noise = noise_variance(15.0, 2)
    with_it = run_trials(frames, impair, noise, rng)
    without = StreamReceiver(frames.layout, frames.frame_format, equalise=False)
    assert with_it.right == 40
    assert run_trials(frames, impair, noise, rng, receiver=without).right < 20


def test_outer_coded_frames_survive_where_plain_ones_do_not():
    rng = np.random.default_rng(7)
    noise = noise_variance(3.0, 2)
    plain = run_trials(image_frames(30, 64, "ae8x4", rng), lambda burst, _: burst, noise, rng)
    coded = run_trials(image_frames(30, 64, "ae8x4+outer", rng), lambda burst, _: burst, noise, rng)
    assert plain.right == 0 and plain.refusals["payload_crc"] > 20 and coded.right == 30


@pytest.mark.parametrize("snr_db", [20.0, 40.0])
def test_every_frame_arrives_where_there_is_hardly_noise(snr_db):
    rng = np.random.default_rng(12)
    frames = image_frames(80, 40, "ae8x4", rng)
    tally = run_trials(frames, lambda burst, _: burst, noise_variance(snr_db, 2), rng)
    assert tally.right == 80 and np.mean(tally.snr_db) == pytest.approx(snr_db, abs=2.0)


def test_headers_survive_three_db_below_the_strongest_payload():
    rng = np.random.default_rng(8)
    frames = image_frames(60, 64, "ae8x8", rng)
    lost = run_trials(frames, lambda burst, _: burst, noise_variance(6.5, 2), rng)
    low = run_trials(frames, lambda burst, _: burst, noise_variance(3.5, 2), rng)
    assert lost.right >= 57 and low.detected >= 59 and low.right < 30


def test_bad_samples_are_counted_and_cost_only_their_frame(stream):
    _, samples, size = stream
    bad = samples.copy()
    bad[3 * size + 500 : 3 * size + 510] = np.nan
    bad[7 * size + 500] = np.inf
    bad[9 * size + 700] = 1e30
    bad[11 * size : 11 * size + 900] = 0
    receiver = StreamReceiver()
    with np.errstate(all="raise", under="ignore"):
        got = sequences(receive(receiver, bad))
    assert set(range(30)) - set(got) <= {3, 7, 9, 11}
    assert receiver.counts["non_finite"] == 11 and receiver.counts["too_large"] == 1


def test_nothing_in_the_samples_raises():
    rng = np.random.default_rng(9)
    frames = image_frames(6, 40, "ae8x4", rng).bursts.reshape(-1)
    receiver = StreamReceiver()
    hostile = [
        np.full(9000, np.nan),
        np.full(9000, np.inf),
        np.zeros(9000),
        np.full(9000, 1e38),
        np.ones(20_000),
        np.sign(frames.real) + 1j * np.sign(frames.imag),
        frames * 1e-30,
        frames * 1e7,
        np.tile(frames[:200], 60),
        rng.integers(-128, 128, 9000),
        np.empty(0),
    ]
    for samples in hostile:
        receiver.push(samples)
    for _ in range(60):  # frames with pieces exchanged, repeated, conjugated, turned
        mutant = frames.copy()
        for _ in range(5):
            (a, b), n = rng.integers(0, len(frames) - 400, 2), int(rng.integers(1, 400))
            mutant[a : a + n] = rng.choice([1, -1, 1j, 3]) * frames[b : b + n]
        receiver.push(mutant.conj() if rng.random() < 0.2 else mutant)
    receiver.flush()
    assert receiver.counts["non_finite"] == 18_000 and receiver.counts["too_large"] == 9000
    assert receiver.refusals.total() > 0


def test_forged_headers_are_refused_by_cause():
    rng, receiver = np.random.default_rng(13), StreamReceiver()
    for samples in hostile_streams(400, rng):
        assert not any(frame.crc_ok for frame in receiver.push(samples))
    receiver.flush()
    for cause in ("header_crc", "version", "kind", "unknown_codec", "impossible_length", "payload_crc"):
        assert receiver.refusals[cause] > 0, cause
    assert receiver.counts["non_finite"] > 0 and receiver.counts["too_large"] > 0


def test_a_receiver_that_leaks_its_carrier_still_receives():
    rng = np.random.default_rng(14)
    frames = image_frames(10, 96, "ae8x4", rng, gap=100)
    samples = Impairments(cfo=0.05, noise=noise_variance(15.0, 2)).apply(frames.bursts.reshape(-1), rng) + 0.4
    received = receive(StreamReceiver(), samples)
    assert sequences(received) == list(range(10))
    assert np.mean([frame.snr_db for frame in received]) > 13.5


def test_flush_counts_what_is_cut_off_and_begins_anew(stream):
    _, samples, size = stream
    receiver = StreamReceiver()
    frames = receiver.push(samples[: 2 * size - 600]) + receiver.flush()
    assert sequences(frames) == [0] and receiver.refusals["cut_off"] == 1
    assert receiver.position == 0
    again = receive(receiver, samples[: 2 * size])
    assert sequences(again) == [0, 1]


def test_short_frames_at_two_and_a_half_db():
    rng = np.random.default_rng(10)
    tally = run_trials(
        short_frames(60, rng),
        lambda b, _: Impairments(cfo=rng.uniform(-0.3, 0.3)).apply(b, rng),
        noise_variance(2.5, 2),
        rng,
    )
    assert tally.right >= 58 and tally.wrong == 0


def test_impossible_chunks():
    with pytest.raises(StreamError, match="a chunk must be"):
        StreamReceiver().push(np.zeros((2, 2)))
    with pytest.raises(StreamError, match="a chunk must be"):
        StreamReceiver().push(np.array(["a"]))
    with pytest.raises(StreamError, match="workers must be"):
        StreamReceiver(workers=0)
    with pytest.raises(StreamError, match="batch must be"):
        StreamReceiver(batch=0)


@pytest.mark.slow
def test_no_false_frame_in_ten_million_noise_samples():
    rng, receiver = np.random.default_rng(11), StreamReceiver()
    found = [receiver.push(white_noise(np.zeros(1 << 20), 1.0, rng)) for _ in range(10)]
    assert not any(found) and receiver.refusals.total() <= 1


def test_what_looks_like_a_preamble_inside_a_frame_is_no_refusal():
    """At 6 dB every payload CRC is wrong; each header is right, so that nothing in between was a frame."""
    rng = np.random.default_rng(8)
    frames = image_frames(150, 1024, "image8x4", rng, gap=GAP)
    samples = Impairments(noise=noise_variance(6.0, 2)).apply(frames.bursts.reshape(-1), rng)
    receiver = StreamReceiver()
    found = receive(receiver, samples)
    assert len(found) == 150 and not any(frame.crc_ok for frame in found)
    assert +receiver.refusals == {"payload_crc": 150} and receiver.counts["false_alarms"] > 0
