"""A picture through the semantic coding: privacy bit by bit, graceful loss, hostile heads, the channel uses."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phy.frame.frame import Kind, headers_for, split
from phy.frame.tx import HEADER_SYMBOLS, scrambling
from phy.modem.burst import Layout
from privsc.errors import PayloadError
from privsc.networks.picture_mixing import LOST
from privsc.transport.semantic import (
    SemanticHead,
    body_uses,
    decode_picture,
    encode_picture,
    head_bytes,
    soft_body,
    symbols_within,
    visible_blocks,
)
from tests.privsc.picture_codes import DIGEST, picture, small_code

HEAD = SemanticHead(64, 48, 320, DIGEST, (40, 38, 30, 29, 20, 20, 18, 18, 17, 17, 16, 16, 15, 15))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def points(body: bytes) -> np.ndarray:
    return small_code().points.codebook[np.frombuffer(body, np.uint8)]


def received(body: bytes, noise: float, seed: int = 0) -> np.ndarray:
    sent = points(body)
    return sent + np.sqrt(noise / 2) * (np.random.default_rng(seed).standard_normal((len(sent), 2)) @ (1, 1j))


def test_a_picture_comes_back_better_with_less_noise_and_more_symbols():
    original, quality = picture(72, 100, 1), {}  # neither side a multiple of 8 blocks
    for symbols in (480, 1920):
        head, body = encode_picture(small_code(), original, None, symbols)
        assert len(body) == symbols
        for noise in (1.0, 0.01):
            got = decode_picture(small_code(), head, received(body, noise), np.full(symbols, noise), None)
            assert got.shape == original.shape and got.dtype == np.uint8
            quality[symbols, noise] = psnr(got, original)
    assert quality[480, 1.0] < quality[1920, 1.0] < quality[1920, 0.01]
    assert quality[480, 1.0] < quality[480, 0.01] < quality[1920, 0.01]
    assert quality[1920, 0.01] > 25


def test_no_message_and_no_byte_of_the_head_depends_on_a_hidden_pixel():
    rng = np.random.default_rng(2)
    original = picture(80, 96, 3)
    hidden = np.zeros((80, 96), bool)
    hidden[11:53, 20:70] = True
    hidden[75:, 90:] = True  # up to the corner, where padding begins
    first = encode_picture(small_code(), original, hidden, 640)
    changed = np.where(hidden[..., None], rng.integers(0, 256, original.shape), original).astype(np.uint8)
    second = encode_picture(small_code(), changed, hidden, 640)
    assert (first[0].to_bytes(), first[1]) == (second[0].to_bytes(), second[1])
    visible = original.copy()
    visible[60, 5] = 255 - visible[60, 5]
    assert encode_picture(small_code(), visible, hidden, 640)[1] != first[1]


def test_hidden_blocks_take_no_symbols_and_the_rest_comes_back():
    original = picture(64, 64, 4)
    hidden = np.zeros((64, 64), bool)
    hidden[16:48, 16:48] = True
    assert visible_blocks(hidden, 64, 64) == 48
    head, body = encode_picture(small_code(), original, hidden, 768)
    assert len(head.levels) == 32  # 768 symbols of 48 blocks are 16 pairs
    got = decode_picture(small_code(), head, received(body, 0.01), np.full(768, 0.01), hidden)
    assert psnr(got[~hidden], original[~hidden]) > 24
    with pytest.raises(PayloadError, match="sender and receiver have different masks"):
        decode_picture(small_code(), head, received(body, 0.01), np.full(768, 0.01), None)


def test_lost_symbols_cost_little_and_all_lost_costs_no_exception():
    original = picture(96, 96, 5)
    head, body = encode_picture(small_code(), original, None, 1152)
    got = {}
    for lost in (0, 288, 1152):
        noise = np.full(1152, 0.05)
        noise[:lost] = LOST
        got[lost] = psnr(decode_picture(small_code(), head, received(body, 0.05), noise, None), original)
    assert got[0] > got[288] > got[1152]
    assert got[288] > got[1152] + 5


def test_another_model_is_refused_by_its_digest():
    head, body = encode_picture(small_code(), picture(32, 32, 6), None, 64)
    other = replace(small_code(), digest=b"\xaa\xbb\xcc\xdd")
    with pytest.raises(PayloadError, match="sent with the picture code 01020304, here is aabbccdd; use the sender's"):
        decode_picture(other, head, received(body, 0.1), np.full(64, 0.1), None)


def test_other_counts_of_symbols_than_the_heads_are_refused():
    head, body = encode_picture(small_code(), picture(32, 32, 6), None, 64)
    with pytest.raises(PayloadError, match="64 symbols, the code has 64 and 32 arrived"):
        decode_picture(small_code(), head, received(body, 0.1)[:32], np.full(32, 0.1), None)


def test_all_of_a_picture_hidden_is_an_error():
    with pytest.raises(PayloadError, match="nothing to send"):
        encode_picture(small_code(), picture(32, 32, 7), np.ones((32, 32), bool), 64)
    with pytest.raises(PayloadError, match=r"mask must be \[32, 32\]"):
        encode_picture(small_code(), picture(32, 32, 7), np.ones((31, 32), bool), 64)


def test_head_round_trip():
    data = HEAD.to_bytes()
    assert SemanticHead.from_bytes(data) == HEAD
    assert len(data) == head_bytes(320, 48) == 14 + 11


def test_damaged_heads_are_refused():
    data = HEAD.to_bytes()
    with pytest.raises(PayloadError, match="at least 14 bytes, got 3"):
        SemanticHead.from_bytes(data[:3])
    with pytest.raises(PayloadError, match="another length"):
        SemanticHead.from_bytes(data + b"\0")
    with pytest.raises(PayloadError, match="version 9"):
        SemanticHead.from_bytes(b"\x09" + data[1:])
    with pytest.raises(PayloadError, match="scale it down"):
        replace(HEAD, width=20_000)
    with pytest.raises(PayloadError, match="multiple of 32"):
        replace(HEAD, symbols=1_000_000_000)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 24), st.integers(0, 255))
def test_hostile_heads_end_in_a_head_or_one_kind_of_error(noise, position, value):
    damaged = bytearray(HEAD.to_bytes())
    damaged[position] = value
    for data in (noise, bytes(damaged)):
        try:
            head = SemanticHead.from_bytes(data)
        except PayloadError:
            continue
        assert head.symbols <= head.blocks * 96 and head.width * head.height <= 16_000_000


@pytest.mark.parametrize("rate", [6, 12, 24])
@pytest.mark.parametrize("size", [(512, 768), (256, 256)])
def test_the_body_stays_within_its_channel_uses(rate, size):
    uses, blocks = 3 * size[0] * size[1] // rate - 1500, size[0] * size[1] // 64
    symbols = symbols_within(uses, blocks, 64)
    assert symbols % 32 == 0 and body_uses(symbols, 4096, Layout()) <= uses
    assert body_uses(symbols + 32, 4096, Layout()) > uses or symbols == blocks * 32
    frames = split(bytes(symbols), 4096)  # what the link makes of such a body
    assert len(frames) * Layout().num_symbols(HEADER_SYMBOLS + frames.shape[1] + 4) <= uses


def test_too_few_channel_uses_carry_nothing():
    assert symbols_within(400, 1024, 64) == 0


def frames_of(body: bytes, snr_db: float, payload_bytes: int = 100) -> list[SimpleNamespace]:
    payloads = split(body, payload_bytes)
    headers = headers_for(payloads, len(body), kind=Kind.BODY, codec_id=70, image_id=1, k_digest=bytes(8))
    frames = []
    for header, payload in zip(headers, payloads, strict=True):
        symbols = np.concatenate([points(payload.tobytes()), np.ones(4)])
        frames.append(SimpleNamespace(header=header, snr_db=snr_db, symbols=symbols * scrambling(len(symbols))))
    return frames


def test_frames_become_symbols_in_the_messages_order():
    body = bytes(np.random.default_rng(8).integers(0, 256, 320).astype(np.uint8))
    frames = frames_of(body, 10.0)
    symbols, noise = soft_body(frames[::-1], 320)
    assert np.allclose(symbols, points(body), atol=1e-5)
    assert noise == pytest.approx(0.1)
    symbols, noise = soft_body(frames[1:], 320)
    lost = noise >= LOST
    assert lost.sum() == 80 and not symbols[lost].any()
    assert np.diff(np.flatnonzero(lost)).max() < 16  # a lost frame is spread over the picture
    assert np.allclose(symbols[~lost], points(body)[~lost], atol=1e-5)


def test_two_copies_count_twice_and_strange_frames_not_at_all():
    body = bytes(range(256)) + bytes(64)
    frames = frames_of(body, 10.0)
    symbols, noise = soft_body([*frames, *frames], 320)
    assert np.allclose(symbols, points(body), atol=1e-5) and noise == pytest.approx(0.05)
    frames[0].symbols = frames[0].symbols[:50]
    frames[1].symbols = None
    frames[2].snr_db = float("nan")
    _, noise = soft_body(frames + frames_of(bytes(200), 10.0), 320)
    assert np.count_nonzero(noise >= LOST) == 240
