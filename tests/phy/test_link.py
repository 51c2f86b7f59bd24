"""The link as ``privsc`` uses it."""

import numpy as np
import pytest

from phy.codec.codec import available
from phy.errors import ChannelError, CodecError, FrameError, LinkError
from phy.frame import tx
from phy.link import Link

DIGEST = b"digest of K, version one"
HEAD = b"head: sizes and indices" * 4
BODY = np.random.default_rng(0).integers(0, 256, 60_001).astype(np.uint8).tobytes()


def send(link: Link | None = None, **kwargs):
    return (link or Link()).transmit(HEAD, BODY, image_id=7, k_digest=DIGEST, **kwargs)


def test_exact_at_high_snr():
    link = Link()
    sent = send(link)
    got = link.receive(sent, snr_db=20, seed=1, k_digest=DIGEST)
    assert got.head == HEAD
    assert got.body == BODY
    assert got.body_ok.all() and got.body_crc_ok and got.k_digest_matches
    assert got.snr_db == pytest.approx(20, abs=0.3)
    assert got.stats.message_error_rate == 0
    assert got.stats.frames_lost == got.stats.crc_failures == 0
    assert got.stats.frames_sent == len(sent.starts) == 8 + 59
    assert got.stats.channel_uses == len(sent.iq)
    assert got.refusals == {}


def test_channel_uses_count_everything():
    sent = send()
    body_frames, payload = sent.body_frames.shape
    body = body_frames * (tx.OVERHEAD_SYMBOLS + 4 * payload)
    head = 8 * (tx.OVERHEAD_SYMBOLS + 8 * (4 + len(HEAD) + 4))
    assert sent.channel_uses == body + head


def test_error_rate_falls_with_snr_and_wrong_messages_cost_samples_only():
    link = Link()
    sent = send(link, best_effort=True)
    rates = []
    for snr_db in (5.0, 8.0, 11.0):
        got = link.receive(sent, snr_db=snr_db, seed=3, k_digest=DIGEST)
        assert got.head == HEAD
        assert len(got.body) == len(BODY)
        assert got.body_ok.mean() > 0.99
        wrong = np.frombuffer(got.body, np.uint8) != np.frombuffer(BODY, np.uint8)
        assert wrong[got.body_ok].mean() == pytest.approx(got.stats.message_error_rate, rel=0.02)
        rates.append(got.stats.message_error_rate)
    assert rates[0] > 0.1 > rates[1] > rates[2]
    assert got.stats.crc_failures > 0 and not got.body_crc_ok


def test_coded_payload_treats_a_failed_crc_as_a_lost_frame():
    link = Link()
    sent = send(link, best_effort=False)
    got = link.receive(sent, snr_db=11, seed=4, k_digest=DIGEST)
    assert 0 < got.stats.crc_failures == got.stats.frames_lost < 59
    body, ok = np.frombuffer(got.body, np.uint8), got.body_ok
    assert np.array_equal(body[ok], np.frombuffer(BODY, np.uint8)[ok])
    assert not body[~ok].any()
    assert np.count_nonzero(~ok) == pytest.approx(got.stats.frames_lost * 1017, abs=60)


@pytest.mark.parametrize("seed", range(12))
def test_head_survives_zero_db(seed):
    link = Link()
    got = link.receive(send(link), snr_db=0.0, seed=seed, k_digest=DIGEST)
    assert got.head == HEAD
    assert got.k_digest_matches


def test_bob_and_eve_see_independent_noise():
    link = Link()
    sent = send(link, best_effort=True)
    bob, again, eve = (link.receive(sent, snr_db=5, seed=s, k_digest=DIGEST) for s in (1, 1, 2))
    assert bob.body == again.body != eve.body
    both = np.mean(
        (np.frombuffer(bob.body, np.uint8) != np.frombuffer(BODY, np.uint8))
        & (np.frombuffer(eve.body, np.uint8) != np.frombuffer(BODY, np.uint8))
    )
    assert both == pytest.approx(bob.stats.message_error_rate * eve.stats.message_error_rate, rel=0.15)


def test_digest_of_another_database_or_none():
    link = Link()
    sent = send(link)
    assert link.receive(sent, snr_db=10, seed=1, k_digest=b"other database").k_digest_matches is False
    assert link.receive(sent, snr_db=10, seed=1, k_digest=None).k_digest_matches is None


def test_far_below_the_limit_nothing_arrives_and_nothing_raises():
    link = Link()
    got = link.receive(send(link), snr_db=-20, seed=1, k_digest=DIGEST)
    assert got.head is None and got.k_digest_matches is None
    assert got.body == bytes(len(BODY)) and not got.body_ok.any() and not got.body_crc_ok
    assert got.stats.message_error_rate is None and np.isnan(got.snr_db)
    assert got.refusals == {"header_crc": 67}


@pytest.mark.parametrize("antennas", [1, 2])
def test_rayleigh_fading_per_frame(antennas):
    link = Link(channel="rayleigh", rx_antennas=antennas)
    got = link.receive(send(link, best_effort=True), snr_db=15, seed=1, k_digest=DIGEST)
    assert got.head == HEAD
    assert 0 < got.stats.message_error_rate < (0.2 if antennas == 1 else 0.02)


def test_empty_body_long_head_and_other_codecs():
    link = Link(codec="ae8x2")
    head = bytes(range(256)) * 5
    got = link.receive(link.transmit(head, b"", image_id=0, k_digest=DIGEST), snr_db=5, seed=1, k_digest=DIGEST)
    assert got.head == head and got.body == b"" and got.body_crc_ok and got.stats.message_error_rate is None
    got = link.receive(link.transmit(head, BODY[:5000], image_id=0, k_digest=DIGEST), snr_db=22, seed=1, k_digest=None)
    assert got.body == BODY[:5000]


@pytest.mark.parametrize("waveform", ["symbols", "burst"])
@pytest.mark.parametrize("name", available())
def test_every_shipped_codec_carries_a_body(name, waveform):
    link = Link(codec=name, waveform=waveform)
    sent = link.transmit(HEAD, BODY[:4000], image_id=7, k_digest=DIGEST)
    got = link.receive(sent, snr_db=23, seed=2, k_digest=DIGEST)
    assert got.body == BODY[:4000] and got.head == HEAD


def test_frames_of_another_image_are_counted():
    link = Link()
    mine, other = send(link), link.transmit(HEAD, BODY, image_id=8, k_digest=DIGEST)
    got = link.decode(mine, other.iq, k_digest=DIGEST)
    assert got.head is None and not got.body_ok.any()
    assert got.refusals == {"foreign_image": 67}


def test_nonsense_is_refused():
    with pytest.raises(CodecError, match="no codec named 'morse'"):
        Link(codec="morse")
    with pytest.raises(ChannelError, match="no channel named 'string'"):
        Link(channel="string")
    with pytest.raises(LinkError, match="payload_bytes must be 1 to 4096, got 0"):
        Link(payload_bytes=0)
    with pytest.raises(LinkError, match="head_repeats must be 1 to 64"):
        Link(head_repeats=0)
    with pytest.raises(LinkError, match="channel is external"):
        outside = Link(channel="external")
        outside.receive(send(outside), snr_db=10, seed=1, k_digest=DIGEST)
    link = Link()
    with pytest.raises(LinkError, match="head must hold at least 1 byte"):
        link.transmit(b"", BODY, image_id=1, k_digest=DIGEST)
    with pytest.raises(FrameError, match="k_digest must be at least 8 bytes"):
        link.transmit(HEAD, BODY, image_id=1, k_digest=b"short")
    with pytest.raises(FrameError, match="image_id"):
        link.transmit(HEAD, BODY, image_id=70_000, k_digest=DIGEST)
    with pytest.raises(LinkError, match="snr_db must be a finite number"):
        link.receive(send(link), snr_db=float("nan"), seed=1, k_digest=DIGEST)
