"""Semantic frames: the counted channel uses stay within the ratio, and a picture crosses the blind burst modem."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from phy.channel.sionna_channel import make_channel
from phy.codec.codec import available, codec_with_id, shipped
from phy.modem.waveform import BurstWaveform
from privsc.errors import PayloadError, WeightsError
from privsc.networks.picture_mixing import Points
from privsc.transport.semantic import SemanticHead, decode_picture, encode_picture, visible_blocks
from privsc.transport.semantic_frames import SemanticFrames, body_codec, check_points, head_of, soft_symbols
from tests.privsc.picture_codes import picture, small_code


def sent_picture(original: np.ndarray, rate: float, framing: SemanticFrames, hidden: np.ndarray | None = None):
    height, width = original.shape[:2]
    symbols = framing.symbols(rate, height, width, visible_blocks(hidden, height, width), 64)
    head, body = encode_picture(small_code(), original, hidden, symbols)
    return head, body, framing.groups(head.to_bytes(), body, image_id=9, k_digest=bytes(8))


@pytest.mark.parametrize(("height", "width"), [(512, 768), (256, 256), (200, 136)])
@pytest.mark.parametrize("rate", [1 / 24, 1 / 12, 1 / 6])
def test_all_channel_uses_stay_within_the_ratio_and_nearly_fill_it(height, width, rate):
    framing, blocks = SemanticFrames(), -(-height // 8) * -(-width // 8)
    symbols = framing.symbols(rate, height, width, blocks, 64)
    head = SemanticHead(width, height, symbols, bytes(4), (20,) * (2 * -(-symbols // blocks)))
    uses = (
        BurstWaveform()
        .send(framing.groups(head.to_bytes(), bytes(symbols), image_id=1, k_digest=bytes(8)))
        .channel_uses
    )
    allowed = rate * 3 * height * width
    assert allowed - 700 < uses <= allowed  # what is left is less than another frame's header


def test_a_picture_crosses_the_blind_modem():
    original, framing = picture(96, 128, 1), SemanticFrames(payload_bytes=1024)
    head, body, groups = sent_picture(original, 1 / 4, framing)
    waveform = BurstWaveform()
    sent = waveform.send(groups)
    samples = make_channel("awgn", snr_db=12.0, seed=3)(sent.iq, sent.starts)
    samples = np.concatenate([np.zeros(501, np.complex64), samples]) * np.complex64(0.3j)
    frames = list(waveform.receive(samples, Counter()))
    received = head_of(frames)
    assert received == head.to_bytes()
    soft, noise = soft_symbols(frames, SemanticHead.from_bytes(received))
    points = body_codec().codebook[np.frombuffer(body, np.uint8), 0]
    error = np.mean(np.abs(soft - points) ** 2)
    assert error == pytest.approx(10**-1.2, rel=0.15)
    assert noise.mean() == pytest.approx(error, rel=0.2)  # the receiver knows it without being told
    got = decode_picture(small_code(), head, soft, noise, None)
    assert 10 * np.log10(255**2 / np.mean((got.astype(float) - original) ** 2)) > 18


def test_a_lost_head_is_none_and_one_copy_is_enough():
    _, _, groups = sent_picture(picture(64, 96, 2), 1 / 3, SemanticFrames())
    waveform = BurstWaveform()
    for kept in ([groups[1], groups[2]], [groups[2]]):
        sent = waveform.send(kept)
        frames = list(waveform.receive(sent.iq, Counter()))
        assert (head_of(frames) is None) == (len(kept) == 1)


def test_the_codec_of_features_is_shipped_but_not_for_bytes():
    assert "picture8x1" not in available()
    codec = body_codec()
    assert codec_with_id(codec.codec_id) is codec is shipped("picture8x1")
    assert (codec.k, codec.n) == (8, 1) and codec.prior is not None


def test_nonsense_is_refused():
    with pytest.raises(PayloadError, match=r"too few for its head; raise the bandwidth ratio"):
        SemanticFrames().symbols(1 / 48, 64, 64, 64, 64)
    with pytest.raises(PayloadError, match="64 to 4096 bytes"):
        SemanticFrames(payload_bytes=5000)


def test_weights_with_other_points_are_refused():
    check_points(small_code())
    points = small_code().points
    turned = replace(small_code(), points=Points(points.codebook * 1j, points.prior, points.rounding))
    with pytest.raises(WeightsError, match="other points than the codec picture8x1: use the two files"):
        check_points(turned)
