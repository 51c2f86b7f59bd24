"""Frames to images: which head and body win, what is given out when, and what a hostile frame can cost."""

import math
import struct
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from phy.codec.codec import shipped
from phy.errors import LinkError
from phy.frame import frame
from phy.frame.assembly import MAX_BODY, PREFIX, Assembler, assemble
from phy.frame.frame import Header, Kind
from phy.frame.framing import Framing
from phy.frame.received import ReceivedFrame
from phy.frame.tx import modulate_headers, modulate_payloads
from phy.modem.waveform import BurstWaveform

BODY = np.random.default_rng(0).integers(0, 256, 5_000, dtype=np.uint8).tobytes()
DIGEST = bytes(range(8))


def frames_of(head=b"the head", body=BODY, image_id=1, digest=DIGEST, repeats=8, payload_bytes=500):
    """Every frame as a perfect receiver delivers it."""
    image = Framing("image8x4", payload_bytes, repeats).image(head, body, image_id, digest)
    return [
        ReceivedFrame(header, row, True, 0, 10.0)
        for group in image.groups
        for header, row in zip(group.headers, frame.add_crc(group.payloads), strict=True)
    ]


def forged(kind, total, count, data=b"", codec_id=3, sequence=0, crc_ok=True, image_id=1, symbols=None):
    header = Header(kind, codec_id, image_id, sequence, count, total, DIGEST)
    payload = np.zeros((1, header.payload_bytes), np.uint8)
    payload[0, : len(data)] = np.frombuffer(data, np.uint8)[: header.payload_bytes]
    return ReceivedFrame(header, frame.add_crc(payload)[0], crc_ok, 0, 10.0, symbols)


def forged_head(text, length):
    return forged(Kind.HEAD, 4 + len(text), 1, frame.split(PREFIX.pack(length) + text, 256)[0].tobytes())


def test_any_order_and_repetitions_give_the_image():
    frames = frames_of() * 2
    np.random.default_rng(1).shuffle(frames)
    (image,) = assemble(frames).images
    assert image.head == b"the head" and image.body == BODY and image.complete and image.body_crc_ok
    assert (image.count, image.lost, image.missing, len(image.bodies)) == (10, 0, (), 10)
    assert image.snr_db == pytest.approx(10)
    assert image.made_with(DIGEST + b"more") and not image.made_with(bytes(8))


def test_masks_tell_arrived_from_exact():
    frames = [one for one in frames_of() if one.header.kind == Kind.HEAD or one.header.sequence not in (3, 5)]
    frames.append(forged(Kind.BODY, len(BODY), 10, b"wrong", 18, 5, crc_ok=False))
    (image,) = assemble(frames).images
    assert (image.lost, image.crc_failures, image.missing) == (1, 1, (3, 5))
    assert (image.arrived.sum(), image.exact.sum()) == (4500, 4000) and not image.complete
    body, truth = (np.frombuffer(one, np.uint8) for one in (image.body, BODY))
    assert np.array_equal(body[image.exact], truth[image.exact]) and not body[~image.arrived].any()


def test_the_streaming_assembler_gives_out_complete_late_and_incomplete_images():
    now = [0.0]
    assembler = Assembler(2.0, lambda: now[0])
    first, second = frames_of(image_id=1), frames_of(image_id=2)
    out = [image for one in first for image in assembler.add(one)]
    assert [image.body for image in out] == [BODY]
    assert not assembler.add(first[-1]) and assembler.counts["late"] == 1
    assert not [image for one in second[:-1] for image in assembler.add(one)]
    (peeked,) = assembler.peek()
    now[0] = 3.0
    (image,) = assembler.expired()
    assert image.lost == 1 == peeked.lost and image.head == b"the head" and not assembler.flush()
    assert (assembler.counts["complete"], assembler.counts["incomplete"]) == (1, 1)
    with pytest.raises(LinkError, match="timeout must be positive"):
        Assembler(0)


def test_a_forged_frame_ahead_does_not_displace_the_honest_image():
    honest = frames_of()
    other_body = forged(Kind.BODY, len(BODY), 2, b"forged", 18)
    other_length = forged(Kind.BODY, 40, 1, b"forged", 18)
    heads = [forged_head(b"forged", 0), forged_head(b"forged", 40), forged_head(b"HEAD!!!!", 0)]
    for ahead in ([other_body], [other_length], *([one] for one in heads), [*heads, other_length]):
        best = assemble([*ahead, *honest]).best(DIGEST)
        assert best.head == b"the head" and best.body == BODY, ahead
        assembler = Assembler()
        given_out = [image for one in [*ahead, *honest] for image in assembler.add(one)] + assembler.flush()
        assert any(image.head == b"the head" and image.body == BODY for image in given_out), ahead


def test_forged_heads_of_different_codecs_raise_nothing():
    """Two fragments of one group whose symbols differ in number, both with a wrong CRC."""
    iq = []
    for name in ("ae8x8", "ae8x4"):
        codec = shipped(name)
        header = Header(Kind.HEAD, codec.codec_id, 7, 0, 1, 40, DIGEST)
        body = frame.add_crc(np.zeros((1, 40), np.uint8))
        body[0, -1] ^= 1
        packed = np.frombuffer(header.pack(), np.uint8)[None]
        symbols = np.concatenate([modulate_headers(packed), modulate_payloads(body, codec)], axis=1)
        iq.append(BurstWaveform().transmitter.stream(symbols))
    frames = list(BurstWaveform().receive(np.concatenate(iq), Counter()))
    assert len(frames) == 2
    (image,) = assemble(frames).images
    assert image.head is None and image.body == b"" and not image.complete
    same = [forged(Kind.HEAD, 40, 1, crc_ok=False, symbols=np.ones(n, np.complex64)) for n in (352, 100)]
    assert assemble(same).images[0].head is None
    assert assemble([forged(Kind.HEAD, 40, 1, crc_ok=False)] * 3).images[0].head is None


@pytest.mark.parametrize("length", [MAX_BODY + 1, 0xFFFFFFFF])
def test_a_head_that_announces_gigabytes_is_no_head(length):
    head = struct.pack(">I", length) + b"head"
    one = forged(Kind.HEAD, len(head), 1, frame.split(head, 256)[0].tobytes())
    tracemalloc.start()
    (image,) = assemble([one]).images
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.head is None and image.body == b"" and peak < 1 << 20


def test_frames_that_announce_too_much_are_counted_and_cost_nothing():
    long_body = forged(Kind.BODY, MAX_BODY + 1, MAX_BODY // 4096 + 1, codec_id=18)
    long_head = forged(Kind.HEAD, 1 << 21, 512)
    reception = assemble([long_body, long_head])
    assert reception.images == () and reception.refusals == {"too_long": 2}


def test_memory_of_an_image_is_three_times_its_body_at_most():
    limit = 1 << 22
    one = forged(Kind.BODY, limit, 1024, codec_id=18)
    tracemalloc.start()
    (image,) = assemble([one], max_body=limit).images
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(image.body) == limit and image.arrived.sum() == 4096
    assert peak < 3.1 * limit


def test_a_flood_of_images_is_bounded():
    assembler, out = Assembler(math.inf, max_body=1 << 16), []
    for number in range(2000):
        out += assembler.add(forged(Kind.BODY, 60_000, 15, codec_id=18, image_id=number))
    assert len(assembler.peek()) == 8 and len(out) == 1992
    for total in range(10_000, 40_000, 1000):  # geometries of one image
        assembler.add(forged(Kind.BODY, total, 10, codec_id=18, image_id=5))
    assert len(assembler.peek()) == 8


def test_framing_gives_every_kind_of_frame_and_refuses_nonsense():
    image = Framing("image8x4", 500, 3).image(b"head" * 100, BODY, 9, DIGEST, chosen=[7, 2, 2])
    assert [group.kind for group in image.groups] == [Kind.HEAD] * 3 + [Kind.BODY]
    assert image.chosen == (2, 7) and image.body_count == 10 and len(image) == 3 * 2 + 2
    assert [header.sequence for header in image.groups[-1].headers] == [2, 7]
    coded = Framing("ae8x4+outer", 200, 1).image(b"h", BODY[:400], 1, DIGEST).groups[-1]
    assert coded.modulate().shape == (2, coded.symbols)
    for options, words in (({"payload_bytes": 0}, "payload_bytes"), ({"head_repeats": 65}, "head_repeats")):
        with pytest.raises(LinkError, match=words):
            Framing(**options)
