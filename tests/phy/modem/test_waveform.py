"""Links over bursts: found, not told; SNR as asked; echoes; antennas."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from phy.errors import LinkError
from phy.frame import frame, tx
from phy.frame.framing import FrameGroup, Framing
from phy.frame.received import ReceivedFrame
from phy.link import Link, compare
from phy.modem.burst import Layout
from phy.modem.waveform import BurstWaveform, SymbolWaveform, combine_antennas

DIGEST = b"digest of K"
BODY = np.random.default_rng(0).integers(0, 256, 20_000).astype(np.uint8).tobytes()


def noise(shape: tuple[int, ...], power: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((*shape, 2)) @ np.array([1, 1j]) * np.sqrt(power / 2)).astype(np.complex64)


def frames_of_body() -> tuple[np.ndarray, FrameGroup]:
    """(payloads [F, P], their frames)."""
    group = Framing().image(b"head", BODY, 1, DIGEST).groups[-1]
    return frame.split(BODY, 1024), group


def first_three(group: FrameGroup) -> FrameGroup:
    return replace(group, headers=group.headers[:3], payloads=group.payloads[:3])


@pytest.mark.parametrize("antennas", [1, 2])
def test_bursts_are_found_and_their_snr_is_the_channels(antennas):
    payloads, group = frames_of_body()
    waveform = BurstWaveform()
    sent = waveform.send([group])
    y = sent.iq + noise((antennas, len(sent.iq)), 10**-1.4, antennas)
    frames = list(waveform.receive(y, Counter()))  # the receiver is on its own
    assert sorted(f.header.sequence for f in frames) == list(range(len(payloads)))
    assert all(f.crc_ok and np.array_equal(f.payload, payloads[f.header.sequence]) for f in frames)
    assert np.mean([f.snr_db for f in frames]) == pytest.approx(14 + 10 * np.log10(antennas), abs=0.3)


def test_channel_uses_are_symbols_not_samples():
    _, group = frames_of_body()
    layout = Layout()
    groups = [group, first_three(group)]
    sent = BurstWaveform().send(groups)
    assert sent.channel_uses == (len(group) + 3) * layout.num_symbols(group.symbols)
    assert BurstWaveform().count(groups) == len(sent.iq)
    assert np.array_equal(np.concatenate(list(BurstWaveform().chunks(groups))), sent.iq)
    assert len(sent.starts) == len(group) + 3 and len(sent.iq) > layout.pulse.sps * sent.channel_uses
    given = SymbolWaveform().send(groups)
    assert given.channel_uses == len(given.iq) == (len(group) + 3) * (group.symbols + tx.TRAINING_SYMBOLS)


def test_a_second_antenna_saves_frames_that_one_loses():
    payloads, group = frames_of_body()
    waveform = BurstWaveform()
    sent = waveform.send([group])
    y = sent.iq + noise((2, len(sent.iq)), 10**-1.0, 5)
    alone = [list(waveform.receive(antenna, Counter())) for antenna in y]
    together = list(waveform.receive(y, Counter()))
    good = [sum(f.crc_ok for f in frames) for frames in (*alone, together)]
    assert good[2] > 0.8 * len(payloads) > 3 * max(good[:2])


def test_copies_are_matched_by_header_and_place():
    _, group = frames_of_body()
    header = next(BurstWaveform().receive(BurstWaveform().send([group]).iq, Counter())).header
    body = np.zeros(1004, np.uint8)

    def copy(start: int) -> ReceivedFrame:
        return ReceivedFrame(header, body, True, start, 10.0, np.zeros(4016, np.complex64))

    # 95 and 105 straddle a border of the grid and are one frame; 900 is the same header sent again
    assert len(combine_antennas([[copy(95)], [copy(105), copy(900)]], 100)) == 2


def received(link: Link, head: bytes, body: bytes, snr_db: float):
    sent = link.transmitter().send(head, body, image_id=1, k_digest=DIGEST)
    return sent, link.receiver().receive(sent.through(link.channel_at(snr_db, 1))).best(DIGEST)


def test_echoes_need_bursts():
    parameters = {"delay_spread": 300e-9, "sample_rate": 10e6}
    link = Link(codec="ae8x8", channel="tdl-c", rx_antennas=2, channel_parameters=parameters)
    _, got = received(link, b"head", BODY, 20)
    assert got.head == b"head" and got.made_with(DIGEST)
    assert got.exact.mean() > 0.9
    with pytest.raises(LinkError, match="channel 'tdl-c' has echoes"):
        Link(channel="tdl-c", waveform="symbols")
    with pytest.raises(LinkError, match="waveform must be one of burst, symbols, got 'smoke'"):
        Link(waveform="smoke")


def test_burst_link_delivers_what_the_symbol_link_delivers():
    for waveform in ("symbols", "burst"):
        sent, got = received(Link(waveform=waveform), b"head", BODY, 7.0)
        stats = compare(got, sent)
        assert got.head == b"head" and stats.frames_lost == 0
        assert stats.message_error_rate == pytest.approx(0.064, abs=0.02)


def test_outer_code_carries_a_link_where_the_plain_codec_fails():
    body = bytes(range(256)) * 4
    results = {}
    for codec in ("ae8x4", "ae8x4+outer"):
        _, results[codec] = received(Link(codec=codec, payload_bytes=200), b"head", body, 4.0)
    assert results["ae8x4+outer"].body == body and results["ae8x4+outer"].body_crc_ok
    assert not results["ae8x4"].exact.any()
    with pytest.raises(LinkError, match="outer code needs waveform"):
        Link(codec="ae8x4+outer", waveform="symbols")
    fallback = Link(codec="image8x4", fallback="ae8x4+outer", snr_threshold_db=8.0).transmitter()
    framing, below = fallback.framing_for(5.0)
    assert (framing.codec, below) == ("ae8x4+outer", True) and fallback.framing_for(9.0)[0].codec == "image8x4"
