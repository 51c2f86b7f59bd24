"""Links over bursts: found, not told; SNR as asked; echoes; antennas."""

from collections import Counter

import numpy as np
import pytest

from phy.codec.codec import shipped
from phy.errors import LinkError
from phy.frame import frame, tx
from phy.frame.received import ReceivedFrame
from phy.link import Link
from phy.modem.burst import Layout
from phy.modem.waveform import BurstWaveform, SymbolWaveform, combine_antennas

DIGEST = b"digest of K"
BODY = np.random.default_rng(0).integers(0, 256, 20_000).astype(np.uint8).tobytes()


def noise(shape: tuple[int, ...], power: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((*shape, 2)) @ np.array([1, 1j]) * np.sqrt(power / 2)).astype(np.complex64)


def symbols() -> tuple[np.ndarray, np.ndarray]:
    """(payloads [F, P], frame symbols [F, L])."""
    codec = shipped("image8x4")
    payloads = frame.split(BODY, 1024)
    headers = frame.headers_for(
        payloads, len(BODY), kind=frame.Kind.BODY, codec_id=codec.codec_id, image_id=1, k_digest=DIGEST
    )
    return payloads, tx.modulate(headers, payloads, codec)


@pytest.mark.parametrize("antennas", [1, 2])
def test_bursts_are_found_and_their_snr_is_the_channels(antennas):
    payloads, group = symbols()
    waveform = BurstWaveform()
    sent = waveform.send([group])
    y = sent.iq + noise((antennas, len(sent.iq)), 10**-1.4, antennas)
    frames = waveform.receive(y, np.zeros(0, np.int64), Counter())  # no starts: the receiver is on its own
    assert sorted(f.header.sequence for f in frames) == list(range(len(payloads)))
    assert all(f.crc_ok and np.array_equal(f.payload, payloads[f.header.sequence]) for f in frames)
    assert np.mean([f.snr_db for f in frames]) == pytest.approx(14 + 10 * np.log10(antennas), abs=0.3)


def test_channel_uses_are_symbols_not_samples():
    _, group = symbols()
    layout = Layout()
    sent = BurstWaveform().send([group, group[:3]])
    assert sent.channel_uses == (len(group) + 3) * layout.num_symbols(group.shape[1] - tx.TRAINING_SYMBOLS)
    assert len(sent.starts) == len(group) + 3 and len(sent.iq) > layout.pulse.sps * sent.channel_uses
    told = SymbolWaveform().send([group, group[:3]])
    assert told.channel_uses == len(told.iq) == (len(group) + 3) * group.shape[1]


def test_a_second_antenna_saves_frames_that_one_loses():
    payloads, group = symbols()
    waveform = BurstWaveform()
    sent = waveform.send([group])
    y = sent.iq + noise((2, len(sent.iq)), 10**-1.0, 5)
    alone = [waveform.receive(antenna, sent.starts, Counter()) for antenna in y]
    together = waveform.receive(y, sent.starts, Counter())
    good = [sum(f.crc_ok for f in frames) for frames in (*alone, together)]
    assert good[2] > 0.8 * len(payloads) > 3 * max(good[:2])


def test_copies_are_matched_by_header_and_place():
    _, group = symbols()
    header = next(iter(BurstWaveform().receive(BurstWaveform().send([group]).iq, np.zeros(0), Counter()))).header
    body = np.zeros(1004, np.uint8)

    def copy(start: int) -> ReceivedFrame:
        return ReceivedFrame(header, body, True, start, 10.0, np.zeros(4016, np.complex64))

    # 95 and 105 straddle a border of the grid and are one frame; 900 is the same header sent again
    assert len(combine_antennas([[copy(95)], [copy(105), copy(900)]], 100)) == 2


def test_echoes_need_bursts_and_auto_chooses_them():
    parameters = {"delay_spread": 300e-9, "sample_rate": 10e6}
    link = Link(codec="ae8x8", channel="tdl-c", rx_antennas=2, channel_parameters=parameters)
    sent = link.transmit(b"head", BODY, image_id=1, k_digest=DIGEST)
    got = link.receive(sent, snr_db=20, seed=1, k_digest=DIGEST)
    assert got.head == b"head" and got.k_digest_matches
    assert got.body_ok.mean() > 0.9
    with pytest.raises(LinkError, match="channel 'tdl-c' has echoes"):
        Link(channel="tdl-c", waveform="symbols")
    with pytest.raises(LinkError, match="waveform must be one of auto, symbols, burst, got 'smoke'"):
        Link(waveform="smoke")


def test_burst_link_delivers_what_the_symbol_link_delivers():
    for waveform in ("symbols", "burst"):
        link = Link(waveform=waveform)
        sent = link.transmit(b"head", BODY, image_id=1, k_digest=DIGEST, best_effort=True)
        got = link.receive(sent, snr_db=7.0, seed=1, k_digest=DIGEST)
        assert got.head == b"head" and got.stats.frames_lost == 0
        assert got.stats.message_error_rate == pytest.approx(0.064, abs=0.02)


def test_outer_code_carries_a_link_where_the_plain_codec_fails():
    body = bytes(range(256)) * 4
    results = {}
    for codec in ("ae8x4", "ae8x4+outer"):
        link = Link(codec=codec, waveform="burst", payload_bytes=200)
        sent = link.transmit(b"head", body, image_id=1, k_digest=bytes(8))
        results[codec] = link.receive(sent, snr_db=4.0, seed=1, k_digest=None)
    assert results["ae8x4+outer"].body == body and results["ae8x4+outer"].body_crc_ok
    assert not results["ae8x4"].body_ok.any()
    with pytest.raises(LinkError, match="outer code needs waveform"):
        Link(codec="ae8x4+outer", waveform="symbols")
    fallback = Link(codec="image8x4", fallback="ae8x4+outer", snr_threshold_db=8.0)
    assert fallback.codec_for(5.0) == ("ae8x4+outer", True) and fallback.codec_for(9.0) == ("image8x4", False)
