import struct
import zlib

import numpy as np
import pytest

from privsc.errors import PayloadError
from privsc.knowledge.entity import Entity
from privsc.transport import embeddings, payload
from privsc.transport.head import BOXES, MASK, POSES, Head
from privsc.transport.outline import decode_outline, encode_outline
from tests.fakes.samples import make_entity, scene
from tests.privsc.hints.test_fit import hint


def with_crc(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def body_of(width=32, height=24):
    return 3 * width * height


FULL = Head(
    "pixels",
    32,
    24,
    body_of(),
    (5, 2),
    mask=b"abc",
    boxes=((0, 0, 4, 4), (8, 2, 32, 24)),
    poses=hint(box=(0, 0, 9, 9)).to_bytes() * 2,
)


def test_a_head_with_indices_only_is_of_version_1_and_as_short_as_ever():
    data = Head("pixels", 32, 24, body_of(), (5, 2)).to_bytes()
    assert data[0] == 1 and len(data) == 11 + 4 + 4
    assert Head.from_bytes(data) == Head("pixels", 32, 24, body_of(), (5, 2))


def test_all_sections_come_back():
    data = FULL.to_bytes()
    assert data[0] == 2
    assert Head.from_bytes(data) == FULL
    embedded = Head("pixels", 32, 24, body_of() + 2 * 3 * 2, (), regions=2, dim=3, copies=2)
    assert Head.from_bytes(embedded.to_bytes()) == embedded
    assert embedded.count == 2 and embedded.vector_bytes == 12


def test_every_damaged_head_is_refused():
    data = FULL.to_bytes()
    for position in range(len(data)):
        for cut in (data[:position], data[:position] + bytes([data[position] ^ 0x5A]) + data[position + 1 :]):
            with pytest.raises(PayloadError):
                Head.from_bytes(cut)


def test_heads_with_a_right_crc_and_rubbish_inside_are_refused_and_never_raise_anything_else():
    rng, content = np.random.default_rng(0), bytearray(FULL.to_bytes()[:-4])
    refused = 0
    for _ in range(3000):
        forged = content.copy()
        for _ in range(rng.integers(1, 4)):
            forged[rng.integers(len(forged))] = rng.integers(256)
        data = with_crc(bytes(forged[: rng.integers(12, len(forged) + 1)]))
        try:
            head = Head.from_bytes(data)
        except PayloadError:
            refused += 1
        else:
            head.check()
    assert refused > 1000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"boxes": ((0, 0, 4, 4),)}, "2 regions need as many boxes"),
        ({"boxes": ((0, 0, 4, 4), (0, 0, 33, 4))}, "box must lie in the picture"),
        ({"poses": b"x" * 59}, "need 118 bytes of pose hints"),
        ({"body_length": 7}, "need a body of"),
        ({"indices": (2, 2)}, "indices must differ"),
        ({"indices": (), "boxes": (), "poses": b"", "regions": 33, "dim": 2, "copies": 1}, "at most 32"),
        ({"indices": (), "boxes": (), "poses": b"", "regions": 1, "dim": 2, "copies": 9}, "1 to 8 copies"),
    ],
)
def test_what_no_sender_of_ours_would_name_is_refused(changes, words):
    head = Head(**{**FULL.__dict__, **changes})
    with pytest.raises(PayloadError, match=words):
        head.check()


def test_sections_that_are_unknown_twice_or_cut_off_are_refused():
    fixed = struct.pack("<BBHHIB", 2, 0, 32, 24, body_of(), 1)
    index = struct.pack("<BHH", 1, 2, 5)
    for rest, words in (
        (index + struct.pack("<BH", 99, 0), "section 99 is unknown"),
        (index + index, "section 1 is there twice"),
        (index + struct.pack("<BH", MASK, 9) + b"ab", "mask are cut off"),
        (index + bytes([POSES]), "ends within a section"),
        (index + struct.pack("<BH", BOXES, 7) + bytes(7), "8 bytes a box"),
    ):
        with pytest.raises(PayloadError, match=words):
            Head.from_bytes(with_crc(fixed + rest))


def test_a_section_that_is_too_long_is_refused_by_the_sender():
    with pytest.raises(PayloadError, match="the mask in the payload's head takes 70000 bytes"):
        Head("pixels", 32, 24, body_of(), (5,), mask=bytes(70000)).to_bytes()


# outlines


@pytest.mark.parametrize("seed", range(12))
def test_masks_come_back_exactly(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 70, 2)
    mask = rng.random((height, width)) < rng.random()
    assert np.array_equal(decode_outline(encode_outline(mask), height, width), mask)
    for even in (np.zeros_like(mask), np.ones_like(mask)):
        assert np.array_equal(decode_outline(encode_outline(even), height, width), even)


def test_an_outline_is_small():
    y, x = np.mgrid[:480, :640]
    mask = ((x - 300) / 180) ** 2 + ((y - 240) / 200 + 0.2 * np.sin(x / 40)) ** 2 < 1
    assert len(encode_outline(mask)) < 700  # packed bits would take 38,400


def test_damaged_outlines_are_refused_and_never_raise_anything_else():
    rng, data = np.random.default_rng(1), encode_outline(scene(40, 50)[..., 0] > 120)
    for _ in range(1500):
        forged = bytearray(data)
        forged[rng.integers(len(forged))] = rng.integers(256)
        try:
            mask = decode_outline(bytes(forged[: rng.integers(1, len(forged) + 1)]), 40, 50)
        except PayloadError:
            continue
        assert mask.shape == (40, 50) and mask.dtype == bool


def test_an_outline_of_another_size_is_refused():
    with pytest.raises(PayloadError):
        decode_outline(encode_outline(np.ones((30, 20), bool)), 31, 20)


# embeddings


def embedding(seed, dim=384):
    values = np.random.default_rng(seed).normal(size=dim).astype(np.float32)
    return values / np.linalg.norm(values)


def entities(count=6) -> list[Entity]:
    from dataclasses import replace

    made = [make_entity(f"E{k}", k, text_embedding=embedding(k)) for k in range(count)]
    return [replace(entity, index=k + 1) for k, entity in enumerate(made)]


def test_embeddings_as_bytes_keep_their_direction():
    sent = np.stack([embedding(1), embedding(2)])
    got = embeddings.from_bytes(embeddings.to_bytes(sent)[None], np.ones((1, *sent.shape), bool))
    assert ((got * sent).sum(axis=1) > 0.999).all()


def test_a_bent_embedding_still_means_its_entity_and_nothing_at_all_means_nobody():
    known = entities()
    rng = np.random.default_rng(30)
    sent = embeddings.to_bytes(np.stack([known[4].text_embedding, known[1].text_embedding]))
    noisy = np.clip(sent + rng.normal(0, 40, sent.shape), 0, 255).astype(np.uint8)
    got = embeddings.from_bytes(noisy[None], np.ones((1, *sent.shape), bool))
    assert embeddings.nearest(got, known) == (5, 2)
    ok = np.ones((1, *sent.shape), bool)
    ok[0, 1] = False
    assert embeddings.nearest(embeddings.from_bytes(sent[None], ok), known) == (5, embeddings.NOBODY)


def test_one_entity_is_named_at_most_once():
    known = entities()
    twice = np.stack([known[2].text_embedding, known[2].text_embedding])
    got = embeddings.nearest(twice, known)
    assert 3 in got and len(set(got)) == 2
    assert embeddings.nearest(twice, known[:1]).count(embeddings.NOBODY) == 1
    assert embeddings.nearest(twice, []) == (embeddings.NOBODY,) * 2
    assert embeddings.nearest(twice[:0], known) == ()


def test_embeddings_of_another_length_are_refused():
    with pytest.raises(PayloadError, match="copy the sender's K"):
        embeddings.nearest(np.ones((1, 7), np.float32), entities())


# the payload with all of it


def test_mask_boxes_hints_and_embeddings_travel_with_the_picture():
    image = scene(24, 32)
    mask = np.zeros((24, 32), bool)
    mask[4:20, 6:20] = True
    state = np.stack([embedding(1, 16), embedding(2, 16)])
    poses = [hint(box=(0, 0, 9, 9)), hint(sample=1, box=(3, 3, 32, 24))]
    head, body = payload.encode(
        image, (), mask=mask, boxes=((0, 0, 9, 9), (9, 0, 32, 24)), embeddings=state, poses=poses
    )
    got = payload.decode(head, body)
    assert np.array_equal(got.image, image) and np.array_equal(got.mask, mask)
    assert got.boxes == ((0, 0, 9, 9), (9, 0, 32, 24))
    assert [pose.to_bytes() for pose in got.poses] == [pose.to_bytes() for pose in poses]
    assert ((got.vectors * state).sum(axis=1) > 0.999).all()


def test_a_lost_copy_of_an_embedding_is_no_loss():
    image, state = scene(24, 32), np.stack([embedding(1, 16)])
    head, body = payload.encode(image, (), embeddings=state)
    ok = np.ones(len(body), bool)
    ok[:16] = False  # the copy before the picture
    got = payload.decode(head, body, ok)
    assert ((got.vectors * state).sum(axis=1) > 0.999).all() and np.array_equal(got.image, image)
    assert not got.concealed.any()
    assert not payload.decode(head, body, np.zeros(len(body), bool)).vectors.any()


def test_a_hint_beyond_the_picture_is_refused():
    with pytest.raises(PayloadError, match="hint's box must lie in the picture of 32x24"):
        payload.decode(*payload.encode(scene(24, 32), (1,), poses=[hint(box=(0, 0, 33, 9))]))
