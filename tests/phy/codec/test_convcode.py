"""The header's convolutional code against its free distance and its theory."""

import heapq

import numpy as np
import pytest

from phy.codec import convcode


def test_round_trip_without_noise():
    bits = np.random.default_rng(0).integers(0, 2, (5, 192)).astype(np.uint8)
    coded = convcode.encode(bits)
    assert coded.shape == (5, convcode.coded_length(192))
    assert np.array_equal(convcode.decode(1.0 - 2.0 * coded, 192), bits)


def test_free_distance_is_twenty():
    """Dijkstra over the trellis of the encoder itself: the lightest path that leaves state 0 and comes back."""

    def step(state: int, bit: int) -> tuple[int, int]:
        register = bit << convcode.MEMORY | state
        weight = sum(bin(register & g).count("1") & 1 for g in convcode.GENERATORS)
        return register >> 1, weight

    start, weight = step(0, 1)
    queue, done = [(weight, start)], set()
    while queue:
        weight, state = heapq.heappop(queue)
        if state == 0:
            break
        if state in done:
            continue
        done.add(state)
        for bit in (0, 1):
            following, more = step(state, bit)
            heapq.heappush(queue, (weight + more, following))
    assert weight == 20
    impulse = convcode.encode(np.eye(1, 192, dtype=np.uint8))
    assert impulse.sum() >= 20


@pytest.mark.parametrize(("snr_db", "most_lost"), [(0.0, 0.03), (1.5, 0.004)])
def test_header_sized_blocks_survive_low_snr(snr_db, most_lost):
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, (1500, 192)).astype(np.uint8)
    soft = (1.0 - 2.0 * convcode.encode(bits)) * np.sqrt(0.5)
    soft += rng.normal(0, np.sqrt(10 ** (-snr_db / 10) / 2), soft.shape)
    lost = (convcode.decode(soft, 192) != bits).any(axis=1).mean()
    assert lost <= most_lost
