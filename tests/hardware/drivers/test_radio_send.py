"""Bursts through drivers of every habit: patience with time-outs, whole buffers filled up, one mark at the end."""

import numpy as np
import pytest

from hardware.drivers.radio import Radio
from hardware.profiles.profile import load


class Device(Radio):
    """A transmitter with a habit. takes: samples of a write at most; refuses: so many writes time out first; buffer:
    only whole ones of so many samples leave."""

    def __init__(self, takes=1000, refuses=0, buffer=1):
        super().__init__(load("virtual"), transmit=True)
        self.takes, self.refuses, self.buffer = takes, refuses, buffer
        self.written, self.writes = [], []

    def _tail(self, count):
        return -(sum(map(len, self.written)) + count) % self.buffer

    def _write(self, samples, at, end, timeout):
        if self.refuses:
            self.refuses -= 1
            return 0
        took = samples[: self.takes]
        self.written.append(took.copy())
        self.writes.append((len(samples), len(took), at, end))
        return len(took)

    @property
    def on_air(self):
        """What left: whole buffers."""
        samples = np.concatenate(self.written)
        return samples[: len(samples) // self.buffer * self.buffer]

    def describe(self):
        raise NotImplementedError

    _apply = start = stop = stop_receiving = close = setting = _set_gain = poll = now = receive = describe


BURST = (np.arange(2500) + 1).astype(np.complex64)


@pytest.mark.parametrize("buffer", [1, 4096, 131072])
@pytest.mark.parametrize("takes", [1, 999, 5000])
def test_the_whole_burst_leaves_and_its_end_is_marked_once(buffer, takes):
    device = Device(takes, buffer=buffer)
    for _ in range(2):
        assert device.send(BURST, at=7, end=True) == len(BURST)
    assert len(device.on_air) % buffer == 0 and device.counts["sent"] == 2 * len(BURST)
    loud = device.on_air[device.on_air != 0]
    assert np.array_equal(loud, np.concatenate([BURST, BURST]))
    ends = [(offered, took) for offered, took, _, end in device.writes if end]
    assert ends == [(1, 1), (1, 1)]
    assert sum(at is not None for _, _, at, _ in device.writes) == 2


def test_without_an_end_nothing_is_added():
    device = Device(buffer=4096)
    assert device.send(BURST) == len(BURST)
    assert sum(map(len, device.written)) == len(BURST) and not any(end for *_, end in device.writes)


def test_ten_time_outs_are_waited_for_and_a_dead_driver_is_not():
    assert Device(refuses=10).send(BURST, end=True, timeout=1.0) == len(BURST)
    assert Device(refuses=10**9).send(BURST, end=True, timeout=0.05) == 0


def test_a_burst_of_one_sample():
    device = Device()
    assert device.send(BURST[:1], at=5, end=True) == 1
    assert device.writes == [(1, 1, 5, True)]
