"""The link as ``privsc`` uses it."""

import numpy as np
import pytest

from phy.codec.codec import available
from phy.errors import ChannelError, CodecError, FrameError, LinkError
from phy.frame import tx
from phy.link import FrameSynchronised, Link, compare
from phy.modem.burst import Layout

DIGEST = b"digest of K, version one"
HEAD = b"head: sizes and indices" * 4
BODY = np.random.default_rng(0).integers(0, 256, 60_001).astype(np.uint8).tobytes()


def send(link: Link | None = None, **kwargs):
    return (link or Link()).transmitter().send(HEAD, BODY, image_id=7, k_digest=DIGEST, **kwargs)


def receive(link: Link, sent, snr_db: float, seed: int):
    """(the likeliest image, all of the reception) at an antenna."""
    reception = link.receiver().receive(sent.through(link.channel_at(snr_db, seed)))
    return reception.best(DIGEST), reception


@pytest.mark.parametrize("waveform", ["burst", "symbols"])
def test_exact_at_high_snr(waveform):
    link = Link(waveform=waveform)
    sent = send(link)
    got, reception = receive(link, sent, 20, 1)
    assert got.head == HEAD
    assert got.body == BODY
    assert got.arrived.all() and got.body_crc_ok and got.complete and got.made_with(DIGEST) and got.missing == ()
    assert got.snr_db == pytest.approx(20, abs=0.4)
    stats = compare(got, sent)
    assert stats.message_error_rate == 0
    assert stats.frames_lost == stats.crc_failures == 0
    assert stats.frames_sent == len(sent.starts) == 8 + 59
    assert reception.refusals == {} and len(reception.images) == 1


def test_channel_uses_count_everything():
    sent = send(Link(waveform="symbols"))
    body_frames, payload = sent.body_frames.shape
    body = body_frames * (tx.OVERHEAD_SYMBOLS + 4 * payload)
    head = 8 * (tx.OVERHEAD_SYMBOLS + 8 * (4 + len(HEAD) + 4))
    assert sent.channel_uses == len(sent.iq) == body + head
    layout, header = Layout(), tx.HEADER_SYMBOLS
    burst = 59 * layout.num_symbols(header + 4 * payload) + 8 * layout.num_symbols(header + 8 * (4 + len(HEAD) + 4))
    assert send().channel_uses == burst > sent.channel_uses


def test_error_rate_falls_with_snr_and_wrong_messages_cost_samples_only():
    link = Link()
    sent = send(link)
    rates = []
    for snr_db in (5.0, 8.0, 11.0):
        got, _ = receive(link, sent, snr_db, 3)
        stats = compare(got, sent)
        assert got.head == HEAD
        assert len(got.body) == len(BODY)
        assert got.arrived.mean() > 0.98
        wrong = np.frombuffer(got.body, np.uint8) != np.frombuffer(BODY, np.uint8)
        assert wrong[got.arrived].mean() == pytest.approx(stats.message_error_rate, rel=0.02)
        assert not wrong[got.exact].any()
        rates.append(stats.message_error_rate)
    assert rates[0] > 0.1 > rates[1] > rates[2]
    assert stats.crc_failures > 0 and not got.body_crc_ok


def test_where_wrong_frames_cannot_be_used_they_count_as_lost():
    link = Link()
    sent = send(link)
    got, _ = receive(link, sent, 11, 4)
    stats = compare(got, sent, wrong_frames_used=False)
    assert 0 < stats.crc_failures == stats.frames_lost == len(got.missing) < 59
    assert compare(got, sent).frames_lost == 0
    body, ok = np.frombuffer(got.body, np.uint8), got.exact
    assert np.array_equal(body[ok], np.frombuffer(BODY, np.uint8)[ok])
    assert np.count_nonzero(~ok) == pytest.approx(stats.frames_lost * 1017, abs=60)


@pytest.mark.parametrize("waveform", ["burst", "symbols"])
@pytest.mark.parametrize("seed", range(6))
def test_head_survives_zero_db(seed, waveform):
    link = Link(waveform=waveform)
    got, _ = receive(link, send(link), 0.0, seed)
    assert got.head == HEAD
    assert got.made_with(DIGEST)


def test_bob_and_eve_see_independent_noise():
    link = Link()
    sent = send(link)
    bob, again, eve = (receive(link, sent, 5, seed)[0] for seed in (1, 1, 2))
    assert bob.body == again.body != eve.body
    truth = np.frombuffer(BODY, np.uint8)
    wrong = [(np.frombuffer(one.body, np.uint8) != truth) for one in (bob, eve)]
    assert np.mean(wrong[0] & wrong[1]) == pytest.approx(wrong[0].mean() * wrong[1].mean(), rel=0.15)


def test_digest_of_another_database():
    got, _ = receive(Link(), send(), 15, 1)
    assert got.made_with(DIGEST) and not got.made_with(b"other database")


@pytest.mark.parametrize("waveform", ["burst", "symbols"])
def test_far_below_the_limit_nothing_arrives_and_nothing_raises(waveform):
    link = Link(waveform=waveform)
    sent = send(link)
    got, reception = receive(link, sent, -20, 1)
    assert got is None and reception.images == ()
    stats = compare(got, sent)
    assert stats.message_error_rate is None and stats.frames_lost == 59
    assert waveform == "burst" or reception.refusals == {"header_crc": 67}


@pytest.mark.parametrize("waveform", ["burst", "symbols"])
@pytest.mark.parametrize("antennas", [1, 2])
def test_rayleigh_fading_per_frame(antennas, waveform):
    link = Link(channel="rayleigh", rx_antennas=antennas, waveform=waveform)
    sent = send(link)
    got, _ = receive(link, sent, 15, 1)
    assert got.head == HEAD
    assert 0 < compare(got, sent).message_error_rate < (0.2 if antennas == 1 else 0.02)


def test_empty_body_long_head_and_other_codecs():
    link = Link(codec="ae8x2")
    head = bytes(range(256)) * 5
    sent = link.transmitter().send(head, b"", image_id=0, k_digest=DIGEST)
    got, _ = receive(link, sent, 6, 1)
    assert got.head == head and got.body == b"" and got.body_crc_ok and got.complete
    assert compare(got, sent).message_error_rate is None
    got, _ = receive(link, link.transmitter().send(head, BODY[:5000], k_digest=DIGEST), 22, 1)
    assert got.body == BODY[:5000]


@pytest.mark.parametrize("waveform", ["symbols", "burst"])
@pytest.mark.parametrize("name", available())
def test_every_shipped_codec_carries_a_body(name, waveform):
    link = Link(codec=name, waveform=waveform)
    got, _ = receive(link, link.transmitter().send(HEAD, BODY[:4000], k_digest=DIGEST), 23, 2)
    assert got.body == BODY[:4000] and got.head == HEAD


def test_two_images_in_one_recording_are_told_apart():
    sender, receiver = Link().transmitter(), Link().receiver()
    first = sender.send(b"first", BODY[:9000], image_id=1, k_digest=DIGEST)
    second = sender.send(b"second", BODY[9000:12_000], image_id=2, k_digest=b"another K")
    third = sender.send(b"third", BODY[:30_000], image_id=3, k_digest=DIGEST)
    cut = third.iq[: len(third.iq) // 2]  # this one's sender stops in the middle
    reception = receiver.receive(np.concatenate([first.iq, second.iq, cut]))
    assert [image.head for image in reception.images] == [b"first", b"second", b"third"]
    assert reception.best(DIGEST).body == BODY[:9000]
    assert reception.best(b"another K").body == BODY[9000:12_000]
    assert reception.best().complete and not reception.images[2].complete


def test_drawn_numbers_differ():
    numbers = {Link().transmitter().send(HEAD, b"x", k_digest=DIGEST).image_id for _ in range(8)}
    assert len(numbers) > 4


def test_each_receiver_wants_its_own_kind_of_samples():
    given, blind = Link(waveform="symbols"), Link()
    assert (given.receiver().synchronisation, blind.receiver().synchronisation) == ("given", "blind")
    sent = send(given)
    with pytest.raises(LinkError, match="no preamble to find"):
        given.receiver().receive(sent.iq)
    with pytest.raises(LinkError, match="finds its frames itself"):
        blind.receiver().receive(FrameSynchronised(sent.iq, sent.starts))


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
        Link(channel="external").channel_at(10, 1)
    with pytest.raises(LinkError, match="external channel needs waveform 'burst'"):
        Link(channel="external", waveform="symbols")
    sender = Link().transmitter()
    with pytest.raises(LinkError, match="head must hold at least 1 byte"):
        sender.send(b"", BODY, image_id=1, k_digest=DIGEST)
    with pytest.raises(FrameError, match="k_digest must be at least 8 bytes"):
        sender.send(HEAD, BODY, image_id=1, k_digest=b"short")
    with pytest.raises(FrameError, match="image_id"):
        sender.send(HEAD, BODY, image_id=70_000, k_digest=DIGEST)
    with pytest.raises(LinkError, match="snr_db must be a finite number"):
        Link().channel_at(float("nan"), 1)
