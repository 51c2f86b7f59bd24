"""Selective repeat, and the codec's choice by expected SNR."""

import numpy as np
import pytest

from phy import arq
from phy.codec.codec import codec_with_id
from phy.errors import CodecError, LinkError
from phy.link import Link, compare

DIGEST = b"digest of K"
BODY = np.random.default_rng(1).integers(0, 256, 30_000).astype(np.uint8).tobytes()


def delivered(link: Link, snr_db: float, **options) -> arq.Delivery:
    return arq.deliver(link, b"head", BODY, image_id=3, k_digest=DIGEST, snr_db=snr_db, seed=1, **options)


@pytest.mark.parametrize("waveform", ["burst", "symbols"])
def test_exact_under_frame_loss_and_cheaper_than_sending_all_again(waveform):
    link = Link(waveform=waveform)
    once = link.transmitter().send(b"head", BODY, image_id=3, k_digest=DIGEST)
    first = link.receiver().receive(once.through(link.channel_at(11, 1))).best()
    assert 3 < len(first.missing) < 28  # the case is a real one
    done = delivered(link, 11)
    assert done.exact and done.image.body == BODY and done.image.exact.all()
    assert 1 < done.rounds <= 8
    assert once.channel_uses < done.channel_uses < 0.9 * done.rounds * once.channel_uses


def test_one_way_use_stops_after_one_round():
    done = delivered(Link(), 11, return_path=lambda missing: None)
    assert done.rounds == 1 and not done.exact and not done.image.body_crc_ok


def test_rounds_are_limited_and_nothing_at_all_may_arrive():
    done = delivered(Link(), 5, max_rounds=2)
    assert done.rounds == 2 and not done.exact and done.image.missing
    done = delivered(Link(), -25, max_rounds=2)
    assert done.rounds == 2 and done.image is None and not done.exact
    with pytest.raises(LinkError, match="max_rounds must be at least 1, got 0"):
        delivered(Link(), 5, max_rounds=0)


def test_only_asked_frames_are_sent():
    link = Link()
    sent = link.transmitter().send(b"head", BODY, image_id=3, k_digest=DIGEST, frames=[2, 5, 5])
    assert sent.frames == (2, 5) and len(sent.starts) == link.head_repeats + 2
    got = link.receiver().receive(sent.through(link.channel_at(25, 1))).best()
    assert compare(got, sent).frames_lost == 0 and not got.body_crc_ok
    assert set(range(30)) - set(got.missing) == {2, 5}
    with pytest.raises(LinkError, match="frames must be 0 to 29, got 2 to 30"):
        link.transmitter().send(b"head", BODY, image_id=3, k_digest=DIGEST, frames=[2, 30])


def test_below_the_threshold_the_link_says_so_and_falls_back_if_asked():
    def send(expected: float | None, **options):
        link = Link(snr_threshold_db=9.0, **options)
        sent = link.transmitter().send(b"head", BODY, k_digest=DIGEST, expected_snr_db=expected)
        return sent, link.receiver().receive(sent.through(link.channel_at(8.0, 1))).best()

    plain, lost = send(7.0)
    assert plain.below_threshold and plain.codec.name == "image8x4" and not lost.body_crc_ok
    strong, exact = send(7.0, fallback="ae8x8")
    assert strong.below_threshold and strong.codec is codec_with_id(3)
    assert exact.body == BODY  # the receiver learnt the codec from the headers
    assert not send(9.5, fallback="ae8x8")[0].below_threshold
    assert not send(None)[0].below_threshold
    with pytest.raises(CodecError, match="no codec named 'morse'"):
        Link(fallback="morse")
    with pytest.raises(LinkError, match="snr_threshold_db must be a finite"):
        Link(snr_threshold_db=float("nan"))
