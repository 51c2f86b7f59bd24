"""Threads and blocks: how the device cuts its reads does not matter, losses are told, memory is bounded."""

import threading
import time

import numpy as np
import pytest

from hardware.diagnosis.train import known_train
from hardware.drivers.radio import Radio, Received
from hardware.errors import HardwareError
from hardware.process.chain import Chain
from hardware.process.streaming import BLOCK, Receiving, Sending, to_complex, to_device
from hardware.profiles.profile import load


class Tape(Radio):
    """A radio whose antenna hears an array: cuts its reads at random, loses samples where told, keeps what is sent."""

    def __init__(self, samples, losses=(), seed=0, form="CF32", most=9000):
        profile = load("virtual", {"rx": {"format": form}, "tx": {"format": form}})
        super().__init__(profile, transmit=True)
        self.samples, self.losses, self.at, self.most = samples, dict(losses), 0, most
        self.rng, self.sent, self.ended = np.random.default_rng(seed), [], threading.Event()
        self.fail = None

    def receive(self, out, timeout=0.1):
        if self.fail is not None:
            raise self.fail
        for at in [at for at in self.losses if at <= self.at]:
            self.at += self.losses.pop(at)
            self.tell_overflow()
        count = min(int(self.rng.integers(1, self.most)), len(out), len(self.samples) - self.at)
        if count <= 0:
            self.ended.set()
            time.sleep(0.005)
            return self._account(0, None)
        out[:count] = self.samples[self.at : self.at + count]
        told = self._account(count, round(self.at * 1e9 / self.rate))
        self.at += count
        return told

    def now(self):
        return round(len(self.samples) * 1e9 / self.rate)

    def _write(self, samples, at, end, timeout):
        self.sent.append((samples[:5000].copy(), at, end and len(samples) <= 5000))
        return min(5000, len(samples))

    def poll(self, timeout=0.0):
        return None

    def describe(self):
        raise NotImplementedError

    _apply = start = stop = stop_receiving = close = setting = _set_gain = describe


def run(tape, chains, **more):
    gaps = []
    receiving = Receiving(tape, chains, gap=gaps.append, **more)
    receiving.start()
    assert tape.ended.wait(60)
    receiving.stop()
    return receiving, gaps


@pytest.fixture(scope="module")
def heard():
    train = known_train(frames=24, gap=500)
    rng = np.random.default_rng(4)
    noise = rng.standard_normal(2 * len(train.iq), np.float32).view(np.complex64) * np.float32(0.05)
    return np.concatenate([np.zeros(3000, np.complex64), 0.3 * (train.iq + noise)]).astype(np.complex64), train


def test_frames_do_not_depend_on_how_the_device_cut_its_reads(heard):
    samples, train = heard
    digests = set()
    for seed, most in ((1, 9000), (2, 300_000)):
        chain = Chain("bob")
        receiving, gaps = run(Tape(samples, seed=seed, most=most), [chain])
        assert receiving.counts["processed"] == len(samples) and not gaps
        assert chain.tally.good == train.frames
        digests.add(chain.digest)
    assert len(digests) == 1


def test_sixteen_bit_samples_come_through(heard):
    samples, train = heard
    shorts = to_device(samples, "CS16")
    assert shorts.dtype == np.int16 and np.abs(to_complex(shorts) - samples).max() < 1 / 32767
    chain = Chain("bob")
    run(Tape(shorts, form="CS16"), [chain])
    assert chain.tally.good == train.frames


def test_each_overflow_costs_at_most_its_frame(heard):
    samples, train = heard
    period = train.period
    losses = [(3000 + k * period + period // 3, 400) for k in (2, 7, 8, 15, 20)]  # inside frames
    chain = Chain("bob")
    tape = Tape(samples, losses=losses, seed=3)
    _, gaps = run(tape, [chain])
    assert tape.counts["overflow"] == len(gaps) == 5
    assert [gap.lost for gap in gaps] == [400] * 5 and {gap.why for gap in gaps} == {"overflow"}
    assert train.frames - chain.tally.good <= 5
    assert chain.tally.skipped + chain.tally.frames - chain.tally.good <= 5


def test_a_slow_chain_costs_samples_and_no_memory(heard):
    class Slow:
        pushed = 0

        def push(self, samples):
            self.pushed += len(samples)
            time.sleep(0.05)

        def finish(self):
            pass

    slow = Slow()
    long = np.zeros(60 * BLOCK, np.complex64)
    receiving, gaps = run(Tape(long, most=BLOCK), [slow], blocks=4)
    assert receiving.counts["behind"] > 0 and slow.pushed == receiving.counts["processed"]
    assert slow.pushed + receiving.counts["behind"] == len(long)
    assert gaps and {gap.why for gap in gaps} == {"behind"}
    assert len(receiving._ring) == 4


def test_eves_own_noise_is_the_same_every_time(heard):
    samples, _ = heard
    first, second, other = (Chain("eve", noise_db=-16.0, seed=seed) for seed in (5, 5, 6))
    run(Tape(samples, seed=1), [first])
    run(Tape(samples, seed=2), [second, other])
    assert first.digest == second.digest != other.digest
    assert first.summary()["snr_db"] < 20


def test_a_device_that_breaks_off_is_reported_in_one_line(heard):
    tape = Tape(heard[0])
    tape.fail = RuntimeError("usb gone")
    receiving = Receiving(tape, [])
    receiving.start()
    with pytest.raises(HardwareError, match=r"broke off \(RuntimeError: usb gone\)"):
        receiving.stop()


def test_sending_is_one_burst_with_one_time_and_one_end(heard):
    samples, _ = heard
    tape = Tape(samples)
    sending = Sending(tape, samples, at=123, piece=8192)
    sending.start()
    assert sending.done.wait(10)
    sending.stop()
    assert np.array_equal(np.concatenate([part for part, _, _ in tape.sent]), samples)
    assert [at for _, at, _ in tape.sent if at is not None] == [123] and tape.sent[0][1] == 123
    assert [k for k, (_, _, end) in enumerate(tape.sent) if end] == [len(tape.sent) - 1]
    assert sending.rounds == 1 and tape.counts["sent"] == len(samples)


def test_a_transmission_has_ended_when_its_last_sample_is_on_the_air(heard):
    """The device takes everything at once; half a second of it is on the air after that."""
    tape = Tape(heard[0])
    tape.now = time.monotonic_ns
    samples = np.zeros(round(0.5 * tape.rate), np.complex64)
    for delay in (None, 0.2):
        begin = time.monotonic()
        sending = Sending(tape, samples, at=None if delay is None else tape.now() + round(delay * 1e9))
        sending.start()
        assert sending.done.wait(10)
        assert 0.5 + (delay or 0) <= time.monotonic() - begin < 3


def test_sending_without_end_ends_when_told(heard):
    tape = Tape(heard[0])
    sending = Sending(tape, heard[0][:6000], repeat=0)
    sending.start()
    time.sleep(0.1)
    assert not sending.done.is_set()
    sending.stop()
    assert sending.rounds > 1 and tape.sent[-1][2]
    assert not tape.sent[-1][0].any()  # it ends in silence


def test_a_driver_that_gives_nothing_any_more_is_one_line(heard, monkeypatch):
    monkeypatch.setattr("hardware.process.streaming.SILENT", 0.2)
    tape = Tape(heard[0][:20_000])
    receiving = Receiving(tape, [])
    receiving.start()
    assert tape.ended.wait(60)
    tape.receive = lambda out, timeout=0.1: time.sleep(0.005) or Received(0, None)
    time.sleep(0.05)
    tape.tell_overflow()
    until = time.monotonic() + 20
    while receiving.alive and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(HardwareError, match=r"no sample came for 0.2 s after an overflow; the driver hangs"):
        receiving.stop()
