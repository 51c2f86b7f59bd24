"""Forged headers with right checksums: the work they cause is bounded by the samples, and honest frames get through."""

import functools

import numpy as np
import pytest

from phy.codec.codec import shipped
from phy.codec.outer import OuterCode
from phy.errors import CodecError
from phy.frame import coded, frame
from phy.frame.format import ImageFormat
from phy.frame.frame import Header, Kind
from phy.frame.tx import modulate_headers
from phy.modem import stream, tracking
from phy.modem.burst import BurstTransmitter
from phy.modem.demodulator import Demodulator
from phy.modem.stream import DEPTH, NEW_LENGTHS, StreamReceiver

AE = shipped("ae8x8").codec_id


def forged(lengths: list[int], codec_id: int = AE) -> np.ndarray:
    """Headers of single frames of these payload lengths, one after the other, nothing behind them: [N] complex64."""
    heads = [Header(Kind.BODY, codec_id, 7, 0, 1, length, bytes(8)) for length in lengths]
    packed = np.frombuffer(b"".join(head.pack() for head in heads), np.uint8).reshape(-1, frame.HEADER_BYTES)
    filling = np.ones((len(heads), 60), np.complex64)
    return BurstTransmitter(gap=64).stream(np.concatenate([modulate_headers(packed), filling], axis=1))


def honest(count: int = 6, size: int = 400, codec: str = "image8x4") -> tuple[np.ndarray, np.ndarray]:
    """Samples of frames, and their payloads [count, size]."""
    payload = np.random.default_rng(0).integers(0, 256, (count, size), dtype=np.uint8)
    heads = frame.headers_for(
        payload, payload.size, kind=Kind.BODY, codec_id=shipped(codec).codec_id, image_id=1, k_digest=bytes(8)
    )
    return BurstTransmitter(gap=64).stream(ImageFormat().modulate(heads, payload)), payload


@pytest.fixture
def work(monkeypatch) -> list[int]:
    """Data symbols of every payload that is demodulated."""
    symbols: list[int] = []
    real = Demodulator.read_payloads

    def counted(self, samples, found):
        symbols.extend(one.symbols for one in found)
        return real(self, samples, found)

    monkeypatch.setattr(Demodulator, "read_payloads", counted)
    return symbols


def received(iq: np.ndarray, cut: int = 1 << 16) -> tuple[list, StreamReceiver]:
    receiver = StreamReceiver(batch=cut)
    frames = [one for at in range(0, len(iq), cut) for one in receiver.push(iq[at : at + cut])]
    return frames + receiver.flush(), receiver


def test_long_claims_that_overlap_are_given_up(work):
    iq = np.concatenate([forged([1000] * 30), np.zeros(60_000, np.complex64)])
    _, receiver = received(iq)
    assert len(work) == DEPTH and receiver.refusals["overlap"] == 30 - DEPTH
    layout = receiver.layout
    assert sum(layout.num_samples(symbols) for symbols in work) <= (DEPTH + 1) * len(iq)


def test_ever_new_lengths_are_few(work):
    tables = tracking._wiener.cache_info().misses
    _, receiver = received(np.concatenate([forged(list(range(1, 41))), np.zeros(9000, np.complex64)]))
    assert receiver.refusals["new_length"] == 40 - NEW_LENGTHS and len(work) == NEW_LENGTHS
    assert tracking._wiener.cache_info().misses - tables <= 3 * NEW_LENGTHS


def test_new_lengths_are_earned_with_samples(monkeypatch):
    monkeypatch.setattr(stream, "PER_LENGTH", 5000)
    iq = np.concatenate([forged(list(range(1, 21))), np.zeros(30_000, np.complex64), forged([50, 51, 52])])
    _, receiver = received(np.concatenate([iq, np.zeros(9000, np.complex64)]))
    assert 20 - NEW_LENGTHS - 6 <= receiver.refusals["new_length"] <= 20 - NEW_LENGTHS - 3


def test_honest_frames_follow_forged_claims():
    """Three headers that claim 16,000 symbols each keep out nobody."""
    iq, payload = honest()
    frames, receiver = received(np.concatenate([forged([2000, 2001, 2002]), iq, np.zeros(80_000, np.complex64)]))
    good = [one.payload for one in frames if one.crc_ok]
    assert np.array_equal(np.stack(good), payload)
    assert receiver.refusals["overlap"] >= 1


@pytest.mark.parametrize("codec", ["image8x4", "ae8x4"])
def test_honest_frames_alone_lose_nothing_to_the_bounds(codec):
    iq, payload = honest(12, 300, codec)
    frames, receiver = received(iq)
    assert np.array_equal(np.stack([one.payload for one in frames]), payload)
    assert not receiver.refusals["overlap"] and not receiver.refusals["new_length"]


def test_what_is_given_up_does_not_depend_on_how_the_stream_is_cut():
    iq, _ = honest(3, 300)
    mixed = np.concatenate([forged([500, 501, 700]), iq, forged([300] * 5), iq, np.zeros(20_000, np.complex64)])
    seen = []
    for cut in (1 << 20, 1 << 16, 5000, 2048):
        frames, receiver = received(mixed, cut)
        refusals = {name: count for name, count in receiver.refusals.items() if count}
        seen.append(([(one.start, one.crc_ok) for one in frames if one.crc_ok], refusals))
    assert all(one == seen[0] for one in seen) and len(seen[0][0]) == 6


def test_a_header_costs_no_code(monkeypatch):
    built = []
    monkeypatch.setattr(coded, "_code", functools.lru_cache(coded._CODES)(lambda *key: built.append(key)))
    for length in range(1, 4097, 7):
        coded.coded_symbols(length, shipped("ae8x4"))
    assert not built
    assert coded._code.cache_info().maxsize == 16


@pytest.mark.parametrize(("num_bytes", "k"), [(1, 8), (24, 4), (516, 8), (4100, 2), (4100, 8)])
def test_sizes_are_those_of_the_code(num_bytes, k):
    info, total, blocks = coded.sizes(num_bytes, k)
    code, count = coded.plan(num_bytes, k)
    assert (code.info, code.total, count) == (info, total, blocks)
    with pytest.raises(CodecError, match="2 to 8 bits"):
        coded.sizes(num_bytes, 9)


def test_noise_does_not_cost_all_iterations(monkeypatch):
    code, passes = OuterCode(8, 64, 130), []
    real = OuterCode.satisfied
    monkeypatch.setattr(OuterCode, "satisfied", lambda self, words: passes.append(len(words)) or real(self, words))
    noise = np.random.default_rng(1).random((4, 130, 256)).astype(np.float32)
    _, good = code.decode(noise / noise.sum(axis=2, keepdims=True))
    assert not good.any() and len(passes) <= 18  # 40 and the first look without the bound
