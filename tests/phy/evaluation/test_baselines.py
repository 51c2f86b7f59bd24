"""Closed forms against published numbers, simulations against closed forms."""

import numpy as np
import pytest

from phy.codec.codec import shipped
from phy.errors import CodecError
from phy.evaluation import baselines
from phy.evaluation.bler import codec_scheme, simulate

EB_N0 = np.array([0.0, 2.0, 4.0, 6.0])


@pytest.mark.parametrize(
    ("curve", "published"),
    [
        (lambda e: baselines.bpsk_bler(e, 2), [0.151, 0.0736, 0.0249, 4.8e-3]),
        (lambda e: baselines.bpsk_bler(e, 8), [0.481, 0.264, 0.0957, 0.0190]),
        (baselines.hamming_hard_bler, [0.263, 0.124, 0.0367, 5.4e-3]),
        (baselines.hamming_union_bound, [0.340, 0.0942, 0.0142, 8.4e-4]),
        (lambda e: baselines.shannon59(e, 7, 4), [0.159, 0.0499, 7.1e-3, 2.6e-4]),
        (lambda e: baselines.shannon59(e, 8, 8), [0.369, 0.144, 0.0251, 1.1e-3]),
    ],
)
def test_curves_against_published_points(curve, published):
    assert curve(EB_N0) == pytest.approx(published, rel=0.03)


def test_shannon_bound_in_two_dimensions_is_phase_shift_keying():
    """n = 2, k = 1: the cone is a half plane, so the bound is BPSK of energy 2 Es, Q(sqrt(2 Eb/N0))."""
    assert baselines.shannon59(4.0, 2, 1) == pytest.approx(float(baselines.bpsk_bler(4.0, 1)), rel=1e-6)
    with pytest.raises(CodecError, match="n of at least 2"):
        baselines.shannon59(4.0, 1, 1)


def test_normal_approximation_tends_to_capacity():
    # rate 1/2 per real use is capacity at power 1, which is Eb/N0 = 0 dB
    long_below, long_above = (float(baselines.normal_approximation(e, 100_000, 50_000)) for e in (-0.2, 0.2))
    assert long_below > 0.99 and long_above < 0.01
    assert float(baselines.normal_approximation(1.0, 500, 250)) > float(baselines.normal_approximation(1.0, 2000, 1000))


def test_union_bound_of_hamming_is_the_general_one():
    general = baselines.union_bound(baselines.hamming_codec(), EB_N0)
    assert general == pytest.approx(baselines.hamming_union_bound(EB_N0))


@pytest.mark.parametrize(
    ("scheme", "formula"),
    [
        (codec_scheme(baselines.bpsk_codec(2)), lambda e: baselines.bpsk_bler(e, 2)),
        (codec_scheme(baselines.bpsk_codec(8)), lambda e: baselines.bpsk_bler(e, 8)),
        (codec_scheme(baselines.hamming_codec(), baselines.hamming_hard_decode), baselines.hamming_hard_bler),
    ],
    ids=["bpsk-2", "bpsk-8", "hamming-hard"],
)
def test_simulated_baselines_contain_their_formula(scheme, formula):
    for eb_n0_db in (2.0, 5.0):
        point = simulate(scheme, eb_n0_db, errors=1500, blocks=400_000)
        assert point.bler == pytest.approx(float(formula(eb_n0_db)), abs=4 * np.sqrt(point.bler / point.blocks))


def test_hamming_ml_lies_between_shannon_and_the_union_bound():
    point = simulate(codec_scheme(baselines.hamming_codec()), 5.0, errors=1500)
    low, high = point.interval
    assert float(baselines.shannon59(5.0, 7, 4)) < low
    assert high > 0.9 * point.bler and low < float(baselines.hamming_union_bound(5.0))


def test_hamming_words_have_distance_three_and_correct_one_error():
    words = baselines.hamming_words()
    distance = (words[:, None] ^ words[None]).sum(axis=2)
    assert sorted(np.bincount(distance[0], minlength=8).tolist()) == sorted([1, 0, 0, 7, 7, 0, 0, 1])
    for position in range(7):
        hit = words.copy()
        hit[:, position] ^= 1
        assert np.array_equal(baselines.hamming_hard_decode(1.0 - 2.0 * hit), np.arange(16))


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_gray_qam_neighbours_differ_in_one_bit(bits):
    codec = baselines.gray_qam_codec(bits)
    points = codec.codebook[:, 0]
    distance = np.abs(points[:, None] - points[None])
    nearest = np.isclose(distance, distance[distance > 1e-6].min(), rtol=1e-3)
    message = np.arange(1 << bits)
    flips = np.array([[bin(a ^ b).count("1") for b in message] for a in message])
    assert set(flips[nearest].tolist()) == {1}
    with pytest.raises(CodecError, match="bits must be 2, 4, 6 or 8, got 3"):
        baselines.gray_qam_codec(3)


@pytest.mark.parametrize(
    ("name", "peer", "at", "loss_db"),
    [
        ("real-2-2", baselines.bpsk_codec(2), 8.4, 0.0),
        ("real-7-4", baselines.hamming_codec(), 7.0, 0.0),
        ("real-8-8", baselines.bpsk_codec(8), 9.3, -1.3),
    ],
)
def test_learned_codecs_reach_their_peers_by_union_bound(name, peer, at, loss_db):
    """At BLER about 1e-4 the union bound is tight: the codec needs no more Eb/N0 than its peer, within 0.05 dB."""
    codec = shipped(name)
    assert baselines.union_bound(codec, at + loss_db + 0.05) < baselines.union_bound(peer, at)
