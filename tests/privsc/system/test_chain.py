import dataclasses

import numpy as np
import pytest

from phy.link import Link
from privsc.errors import DatabaseError
from privsc.knowledge.database import Database
from privsc.system.chain import Eavesdropper, Receiver, Transmitter
from privsc.transport.concealment import GREY
from privsc.transport.levels import LOWEST
from tests.fakes.networks import BOX, COLOURS, BoxGuard, ColourRecovery
from tests.fakes.samples import make_entity

LINK = Link(codec="image8x4", channel="awgn")


def test_bob_gets_the_entity_back_and_eve_does_not(k, image):
    guard, recovery = BoxGuard({"Vicky": BOX}), ColourRecovery()
    sent = Transmitter(guard, k, LINK).send(image)
    bob = Receiver(LINK, recovery, k, steps=3, init="noise").receive(sent.on_air, snr_db=30, seed=1)
    eve = Eavesdropper(LINK, recovery, "cat", steps=3).receive(sent.on_air, snr_db=30, seed=2)
    mask = sent.guarded.mask
    assert (bob.heard.region == mask).mean() > 0.99
    assert (bob.restored[mask] == COLOURS["Vicky"]).mean() > 0.99
    assert (eve.restored[mask] == GREY).mean() > 0.99
    assert np.abs(bob.restored[~mask].astype(int) - image[~mask]).mean() < 1
    assert recovery.calls == [
        {"names": ["Vicky"], "class_word": None, "steps": 3, "init": "noise", "seed": 1},
        {"names": None, "class_word": "cat", "steps": 3, "init": "noise", "seed": 2},
    ]


def test_no_private_pixel_is_on_the_air(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK).send(image)
    levels = np.frombuffer(sent.on_air.body, np.uint8).reshape(image.shape)
    assert (levels[sent.guarded.mask] == 0).all()
    assert levels[~sent.guarded.mask].min() >= LOWEST
    other = image.copy()
    other[sent.guarded.mask] = 99
    again = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK).send(other)
    assert np.array_equal(again.on_air.iq, sent.on_air.iq)


def test_with_nothing_to_hide_the_image_itself_is_sent(k, image):
    recovery = ColourRecovery()
    sent = Transmitter(BoxGuard({}), k, LINK).send(image)
    bob = Receiver(LINK, recovery, k).receive(sent.on_air, snr_db=40, seed=1)
    eve = Eavesdropper(LINK, recovery).receive(sent.on_air, snr_db=40, seed=2)
    assert sent.on_air.body == image.tobytes()
    assert bob.heard.indices == ()
    for seen in (bob, eve):
        assert np.array_equal(seen.restored, image)
        assert not seen.heard.region.any()


def test_indices_go_from_left_to_right_whatever_the_order_in_k(k, image):
    boxes = {"Vicky": (80, 10, 110, 50), "Tom": (8, 10, 40, 50)}
    recovery = ColourRecovery()
    sent = Transmitter(BoxGuard(boxes), k, LINK).send(image)
    bob = Receiver(LINK, recovery, k).receive(sent.on_air, snr_db=30, seed=1)
    assert bob.heard.indices == (2, 1)
    assert recovery.calls[0]["names"] == ["Tom", "Vicky"]
    assert tuple(bob.restored[30, 24]) == COLOURS["Tom"]
    assert tuple(bob.restored[30, 95]) == COLOURS["Vicky"]


def test_bob_refuses_a_sender_with_another_k(k, image, tmp_path):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK).send(image)
    with Database.create(tmp_path / "old.db", "encoder", "text") as old:
        old.add(make_entity("Vicky", 1))
        recovery = ColourRecovery()
        with pytest.raises(DatabaseError, match="another version of K"):
            Receiver(LINK, recovery, old).receive(sent.on_air, snr_db=30, seed=1)
        seen = Receiver(LINK, recovery, old, any_version=True).receive(sent.on_air, snr_db=30, seed=1)
    assert (seen.restored[sent.guarded.mask] == COLOURS["Vicky"]).mean() > 0.99


def test_noise_changes_with_the_seed_only(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK).send(image)
    receiver = Receiver(LINK, ColourRecovery(), k)
    first, again, other = (receiver.receive(sent.on_air, snr_db=5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.restored, again.restored)
    assert not np.array_equal(first.restored, other.restored)


def test_more_noise_is_a_worse_picture(k, image):
    sent = Transmitter(BoxGuard({}), k, LINK).send(image)
    receiver = Receiver(LINK, ColourRecovery(), k)
    errors = [
        np.abs(receiver.receive(sent.on_air, snr_db=snr, seed=1).restored.astype(int) - image).mean()
        for snr in (2, 8, 20)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_a_coded_picture_is_whole_or_grey(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK, coding="webp", quality=90).send(image)
    receiver = Receiver(LINK, ColourRecovery(), k)
    whole = receiver.receive(sent.on_air, snr_db=30, seed=1)
    assert whole.heard.failure is None
    assert len(sent.on_air.body) < image.size / 5
    broken = receiver.receive(sent.on_air, snr_db=3, seed=1)
    assert "bytes of the webp image were lost" in broken.heard.failure
    assert broken.restored.shape == image.shape
    assert (broken.restored == GREY).all()
    assert broken.heard.concealed.all()


def test_a_lost_head_gives_a_grey_image_of_the_asked_size(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK).send(image)
    receiver = Receiver(LINK, ColourRecovery(), k)
    heard = receiver.listen(sent.on_air, snr_db=-25, seed=1, size=(80, 128))
    assert heard.failure == "the head of the payload was lost"
    assert heard.image.shape == (80, 128, 3)
    assert np.array_equal(receiver.restore(heard).restored, heard.image)


def test_a_head_of_rubbish_that_passed_the_link_is_an_error_in_words(k, image):
    class Rubbish:
        def receive(self, sent, **options):
            reception = LINK.receive(sent, **options)
            return dataclasses.replace(reception, head=b"rubbish but long enough")

    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK).send(image)
    heard = Receiver(Rubbish(), ColourRecovery(), k).listen(sent.on_air, snr_db=30, seed=1, size=(80, 128))
    assert "wrong CRC-32" in heard.failure
    assert heard.image.shape == (80, 128, 3)
