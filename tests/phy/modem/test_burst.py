"""Layout of a burst, transmit power, and the formats' round trips."""

import numpy as np
import pytest

from phy.channel.impairments import white_noise
from phy.codec.codec import Codec, shipped
from phy.codec.outer import OuterCode, inverse, multiply
from phy.errors import CodecError, FrameError
from phy.frame.coded import OUTER_FLAG, coded_symbols, demodulate_coded, modulate_coded
from phy.frame.format import ImageFormat
from phy.frame.frame import FrameRefused, Kind, headers_for
from phy.modem.burst import BurstError, BurstTransmitter, Layout, PowerExceeded, PowerLimit
from phy.modem.preamble import pilot_symbols
from phy.modem.short import SHORT_LAYOUT, ShortFormat


@pytest.mark.parametrize("count", [1, 30, 31, 32, 62, 63, 500])
def test_every_symbol_of_a_burst_has_one_place(count):
    layout = Layout()
    data = np.arange(1, count + 1)[None] + 5j
    burst = layout.assemble(data)[0]
    places = np.concatenate([np.arange(64), layout.data_positions(count), layout.pilot_positions(count)])
    assert sorted(places) == list(range(layout.num_symbols(count)))
    assert np.array_equal(burst[layout.data_positions(count)], data[0].astype(np.complex64))
    assert np.array_equal(burst[layout.pilot_positions(count)], pilot_symbols(layout.num_pilots(count)))
    assert layout.pilot_positions(count)[-1] == layout.num_symbols(count) - 1


def test_bursts_end_to_end_with_gap_and_amplitude():
    data = np.exp(1j * np.random.default_rng(1).uniform(0, 6, (3, 200)))
    transmitter = BurstTransmitter(gap=50, amplitude=0.5)
    bursts = transmitter.bursts(data)
    assert bursts.shape == (3, transmitter.layout.num_samples(200) + 50)
    assert np.all(bursts[:, -50:] == 0)
    assert np.mean(np.abs(bursts[:, :-50]) ** 2) == pytest.approx(0.25, rel=0.05)
    assert np.array_equal(transmitter.stream(data), bursts.reshape(-1))


def test_power_limit_refuses_scales_or_clips():
    data = np.exp(1j * np.random.default_rng(2).uniform(0, 6, (4, 300)))
    plain = BurstTransmitter().bursts(data)
    power = np.abs(plain) ** 2
    peak, mean = float(power.max()), float(power.mean(axis=1).max())
    assert np.array_equal(BurstTransmitter(limit=PowerLimit(peak, mean)).bursts(data), plain)
    with pytest.raises(PowerExceeded, match=r"peak power .* lower the amplitude"):
        BurstTransmitter(limit=PowerLimit(peak=0.9 * peak)).bursts(data)
    with pytest.raises(PowerExceeded, match="and mean"):
        BurstTransmitter(limit=PowerLimit(mean=0.9 * mean)).bursts(data)
    scaled = np.abs(BurstTransmitter(limit=PowerLimit(0.5 * peak, 0.4 * mean, "scale")).bursts(data)) ** 2
    assert scaled.max() <= 0.5 * peak * 1.001 and scaled.mean(axis=1).max() <= 0.4 * mean * 1.001
    assert scaled / power == pytest.approx(np.broadcast_to((scaled[:, :1] / power[:, :1]), power.shape), rel=1e-3)
    clipped = BurstTransmitter(limit=PowerLimit(peak=0.5 * peak, action="clip")).bursts(data)
    assert (np.abs(clipped) ** 2).max() <= 0.5 * peak * 1.001
    untouched = power < 0.49 * peak
    assert np.array_equal(clipped[untouched], plain[untouched])


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: Layout(spacing=2), "spacing must be"),
        (lambda: Layout().assemble(np.ones(5)), "data must be"),
        (lambda: PowerLimit(peak=0), "power limits must be positive"),
        (lambda: PowerLimit(action="hope"), "action must be"),
        (lambda: BurstTransmitter(gap=-1), "gap must be"),
        (lambda: BurstTransmitter(amplitude=0), "amplitude positive"),
    ],
)
def test_impossible_bursts(make, said):
    with pytest.raises(BurstError, match=said):
        make()


def test_field_arithmetic():
    for k in range(2, 9):
        a = np.arange(1, 1 << k)
        assert np.all(multiply(a, inverse(a, k), k) == 1)
        assert len(set(multiply(a, 3, k).tolist())) == len(a)  # multiplication is a permutation
    b, c, d = np.random.default_rng(3).integers(0, 256, (3, 500))
    assert np.array_equal(multiply(b, c ^ d, 8), multiply(b, c, 8) ^ multiply(b, d, 8))
    assert multiply(0x53, 0xCA, 8) == 0x8F  # by hand modulo x^8 + x^4 + x^3 + x^2 + 1


@pytest.mark.parametrize("k, info, total", [(8, 76, 155), (4, 40, 82), (6, 128, 258), (3, 8, 18)])
def test_outer_code_words_satisfy_their_checks_and_only_they(k, info, total):
    rng, code = np.random.default_rng(4), OuterCode(k, info, total)
    words = code.encode(rng.integers(0, 1 << k, (20, info)))
    assert words.shape == (20, total) and code.holds(words).all()
    places = rng.integers(0, total, 20)
    words[np.arange(20), places] ^= 1
    assert not code.holds(words).any()


def test_outer_code_corrects_what_the_plain_codec_loses():
    rng, code, codec = np.random.default_rng(5), OuterCode(8, 76, 155), shipped("ae8x4")
    sent = rng.integers(0, 256, (12, 76))
    symbols = codec.encode(code.encode(sent))
    noisy = white_noise(symbols.reshape(-1), 10**-0.2, rng).reshape(symbols.shape)
    posteriors = codec.posteriors(noisy, 10**-0.2)  # 2 dB
    assert np.mean(posteriors[:, :76].argmax(axis=2) != sent) > 0.1
    decoded, held = code.decode(posteriors)
    assert held.all() and np.array_equal(decoded, sent)


def test_outer_code_says_when_it_failed():
    rng, code = np.random.default_rng(6), OuterCode(4, 40, 82)
    _, held = code.decode(rng.uniform(size=(5, 82, 16)).astype(np.float32), iterations=5)
    assert not held.any()


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: OuterCode(9, 40, 82), "k must be"),
        (lambda: OuterCode(8, 40, 44), "are impossible"),
        (lambda: OuterCode(8, 40, 82).encode(np.zeros((1, 41), int)), "messages must be"),
        (lambda: OuterCode(8, 40, 82).decode(np.zeros((1, 82, 16))), "posteriors must be"),
        (lambda: coded_symbols(10, Codec("bpsk", 9, 1, np.array([[1], [-1]]))), "2 to 8 bits"),
    ],
)
def test_impossible_outer_codes(make, said):
    with pytest.raises(CodecError, match=said):
        make()


@pytest.mark.parametrize("size", [1, 60, 300])
@pytest.mark.parametrize("name", ["ae8x4", "ae8x8"])
def test_coded_bodies_round_trip(size, name):
    rng, codec = np.random.default_rng(7), shipped(name)
    bodies = rng.integers(0, 256, (3, size), dtype=np.uint8)
    symbols = modulate_coded(bodies, codec)
    assert symbols.shape == (3, coded_symbols(size, codec))
    noisy = white_noise(symbols.reshape(-1), 0.3, rng).reshape(symbols.shape)
    assert np.array_equal(demodulate_coded(noisy, np.full(3, 0.3), codec, size), bodies)


def test_short_format_fills_its_budget():
    short = ShortFormat()
    assert SHORT_LAYOUT.num_samples(short.data_symbols) <= 1440 and short.payload_bytes == 72
    payloads = np.random.default_rng(8).integers(0, 256, (2, 72), dtype=np.uint8)
    symbols = short.modulate(payloads)
    bodies, good = short.read_payloads([None, None], symbols, np.full(2, 0.1))
    assert good.all() and np.array_equal(bodies[:, :72], payloads)
    with pytest.raises(FrameError, match="payloads must be"):
        short.modulate(payloads[:, :5])
    with pytest.raises(FrameError, match="8 bits a message"):
        ShortFormat(codec="real-2-2")
    with pytest.raises(FrameError, match="payload_bytes must be"):
        ShortFormat(0)


@pytest.mark.parametrize("flag", [0, OUTER_FLAG])
def test_image_format_round_trip_and_its_refusals(flag):
    payloads = np.random.default_rng(9).integers(0, 256, (4, 50), dtype=np.uint8)
    codec = shipped("ae8x4")
    headers = headers_for(payloads, 200, kind=Kind.BODY, codec_id=codec.codec_id | flag, image_id=5, k_digest=bytes(8))
    form = ImageFormat()
    data = form.modulate(headers, payloads)
    read, causes, sent = form.read_headers(data[:, : form.header_symbols], np.ones(4))
    assert read == headers and causes == [None] * 4
    assert np.allclose(sent, data[:, : form.header_symbols])
    assert data.shape[1] == form.header_symbols + form.payload_symbols(headers[0])
    bodies, good = form.read_payloads(headers, data[:, form.header_symbols :], np.full(4, 0.1))
    assert good.all() and np.array_equal(bodies[:, :-4], payloads)
    assert form.codec_name(headers[0]) == ("ae8x4+outer" if flag else "ae8x4")
    with pytest.raises(FrameError, match="one codec and one payload length"):
        form.modulate(headers[:2], payloads)
    unknown = headers_for(payloads, 200, kind=Kind.BODY, codec_id=99, image_id=5, k_digest=bytes(8))
    with pytest.raises(FrameRefused, match="no codec has id 99"):
        form.modulate(unknown, payloads)
