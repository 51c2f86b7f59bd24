import dataclasses

import numpy as np
import pytest

from phy.link import Link
from privsc.errors import DatabaseError, PayloadError
from privsc.knowledge.database import Database
from privsc.system.chain import Eavesdropper, Receiver, Transmitter
from privsc.system.measure import fitted, measure
from privsc.transport import payload
from privsc.transport.concealment import GREY
from privsc.transport.levels import LOWEST
from tests.fakes.networks import BOX, COLOURS, BoxGuard, ColourRecovery
from tests.fakes.samples import make_entity
from tests.privsc.hints.test_fit import hint

LINK = Link(codec="image8x4", channel="awgn")
RADIO = LINK.receiver()


def at(sent, snr, seed):
    """What arrives of a transmission at an antenna."""
    return sent.through(LINK.channel_at(snr, seed))


def test_bob_gets_the_entity_back_and_eve_does_not(k, image):
    guard, recovery = BoxGuard({"Vicky": BOX}), ColourRecovery()
    sent = Transmitter(guard, k, LINK.transmitter()).send(image)
    bob = Receiver(RADIO, recovery, k, steps=3, init="noise").receive(at(sent, 30, 1), seed=1)
    eve = Eavesdropper(RADIO, recovery, "cat", steps=3).receive(at(sent, 30, 2), seed=2)
    mask = sent.truth.guarded.mask
    assert (bob.heard.region == mask).mean() > 0.99
    assert (bob.restored[mask] == COLOURS["Vicky"]).mean() > 0.99
    assert (eve.restored[mask] == GREY).mean() > 0.99
    assert np.abs(bob.restored[~mask].astype(int) - image[~mask]).mean() < 1
    assert recovery.calls == [
        {"names": ["Vicky"], "class_word": None, "steps": 3, "init": "noise", "seed": 1},
        {"names": None, "class_word": "cat", "steps": 3, "init": "noise", "seed": 2},
    ]


def test_no_private_pixel_is_on_the_air(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK.transmitter()).send(image, seed=0)
    levels = np.frombuffer(sent.truth.on_air.body, np.uint8).reshape(image.shape)
    assert (levels[sent.truth.guarded.mask] == 0).all()
    assert levels[~sent.truth.guarded.mask].min() >= LOWEST
    other = image.copy()
    other[sent.truth.guarded.mask] = 99
    again = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK.transmitter()).send(other, seed=0)
    assert np.array_equal(again.iq, sent.iq)


def test_with_nothing_to_hide_the_image_itself_is_sent(k, image):
    recovery = ColourRecovery()
    sent = Transmitter(BoxGuard({}), k, LINK.transmitter()).send(image)
    bob = Receiver(RADIO, recovery, k).receive(at(sent, 40, 1))
    eve = Eavesdropper(RADIO, recovery).receive(at(sent, 40, 2))
    assert sent.truth.on_air.body == image.tobytes()
    assert bob.heard.indices == ()
    for seen in (bob, eve):
        assert np.array_equal(seen.restored, image)
        assert not seen.heard.region.any()


def test_indices_go_from_left_to_right_whatever_the_order_in_k(k, image):
    boxes = {"Vicky": (80, 10, 110, 50), "Tom": (8, 10, 40, 50)}
    recovery = ColourRecovery()
    sent = Transmitter(BoxGuard(boxes), k, LINK.transmitter()).send(image)
    bob = Receiver(RADIO, recovery, k).receive(at(sent, 30, 1))
    assert bob.heard.indices == (2, 1)
    assert recovery.calls[0]["names"] == ["Tom", "Vicky"]
    assert tuple(bob.restored[30, 24]) == COLOURS["Tom"]
    assert tuple(bob.restored[30, 95]) == COLOURS["Vicky"]


def test_bob_refuses_a_sender_with_another_k(k, image, tmp_path):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK.transmitter()).send(image)
    with Database.create(tmp_path / "old.db", "encoder", "text") as old:
        old.add(make_entity("Vicky", 1))
        recovery = ColourRecovery()
        with pytest.raises(DatabaseError, match="another version of K"):
            Receiver(RADIO, recovery, old).receive(at(sent, 30, 1))
        seen = Receiver(RADIO, recovery, old, any_version=True).receive(at(sent, 30, 1))
    assert (seen.restored[sent.truth.guarded.mask] == COLOURS["Vicky"]).mean() > 0.99


def test_noise_changes_with_the_seed_only(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK.transmitter()).send(image)
    receiver = Receiver(RADIO, ColourRecovery(), k)
    first, again, other = (receiver.receive(at(sent, 5, seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.restored, again.restored)
    assert not np.array_equal(first.restored, other.restored)


def test_more_noise_is_a_worse_picture(k, image):
    sent = Transmitter(BoxGuard({}), k, LINK.transmitter()).send(image)
    receiver = Receiver(RADIO, ColourRecovery(), k)
    errors = [np.abs(receiver.receive(at(sent, snr, 1)).restored.astype(int) - image).mean() for snr in (2, 8, 20)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_a_coded_picture_is_whole_or_grey(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK.transmitter(), coding="webp", quality=90).send(image)
    receiver = Receiver(RADIO, ColourRecovery(), k)
    whole = receiver.receive(at(sent, 30, 1))
    assert whole.heard.failure is None
    assert len(sent.truth.on_air.body) < image.size / 5
    broken = receiver.receive(at(sent, 3, 1))
    assert "bytes of the webp image were lost" in broken.heard.failure
    assert broken.restored.shape == image.shape
    assert (broken.restored == GREY).all()
    assert broken.heard.concealed.all()


def test_a_lost_head_gives_a_grey_image_of_the_receivers_own_size(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK.transmitter()).send(image)
    receiver = Receiver(RADIO, ColourRecovery(), k, grey_size=(60, 70))
    heard = receiver.listen(at(sent, -25, 1))
    assert heard.failure == "the head of the payload was lost" and heard.k_digest_matches is None
    assert heard.image.shape == (60, 70, 3)
    seen = receiver.restore(heard)
    assert np.array_equal(seen.restored, heard.image)
    figures = measure(seen, sent)  # at the size of what was sent
    assert figures["failure"] and figures["frames_lost"] > 0 and figures["message_error_rate"] is None
    assert fitted(seen, image.shape[:2]).restored.shape == image.shape
    assert 5 < figures["psnr"] < 20 and fitted(seen, (60, 70)).restored is seen.restored


def test_a_head_of_rubbish_that_passed_the_link_is_an_error_in_words(k, image):
    sent = LINK.transmitter().send(b"rubbish but long enough", image.tobytes(), k_digest=k.digest())
    heard = Receiver(RADIO, ColourRecovery(), k).listen(at(sent, 30, 1))
    assert "wrong CRC-32" in heard.failure
    assert heard.image.shape == (256, 256, 3)


def forged_heads(k, image):
    """Heads with right checksums that no honest sender writes for this K."""
    given = hint(box=(10, 10, 70, 70))
    vector = np.zeros((1, 16), np.float32)
    vector[0, 0] = 1
    yield payload.encode(image, (7,))  # an index that K has not
    yield payload.encode(image, (1, 2, 1000))
    yield payload.encode(image, (), embeddings=vector)  # of another length than K's
    yield payload.encode(image, (1,), poses=[dataclasses.replace(given, sample=127)])
    yield payload.encode(image, (1,), poses=[dataclasses.replace(given, box=(0, 0, 4000, 4000))])
    yield payload.encode(image, (1,), mask=np.ones(image.shape[:2], bool))
    head, body = payload.encode(image, (1,), "webp")
    yield head, bytes(len(body))
    yield head, b""


class StrictRecovery(ColourRecovery):
    """Refuses hints as the real one does."""

    def __call__(self, received, region, entities, *, poses=(), **options):
        for pose in poses:
            if pose.sample > 3 or pose.box[2] > region.shape[1]:
                raise PayloadError("a pose hint names a sample that this K has not")
        return super().__call__(received, region, entities, poses=poses, **options)


def test_forged_heads_raise_nothing(k, image):
    vicky = BOX
    image = image.copy()
    image[vicky[1] : vicky[3], vicky[0] : vicky[2]] = 0
    bob, eve = Receiver(RADIO, StrictRecovery(), k), Eavesdropper(RADIO, StrictRecovery(), "cat")
    for head, body in forged_heads(k, image):
        sent = LINK.transmitter().send(head, body, k_digest=k.digest())
        for receiver in (bob, eve):
            seen = receiver.receive(at(sent, 30, 1))
            assert seen.restored.shape == image.shape
