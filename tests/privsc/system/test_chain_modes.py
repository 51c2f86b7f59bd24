"""What may travel beside A and i: hints, masks, boxes, embeddings; and whom `remove` hides."""

from dataclasses import replace

import numpy as np
import pytest

from phy.link import Link
from privsc.errors import ConfigError, EntityError
from privsc.knowledge.database import Database
from privsc.networks.text_encoder import load_text_encoder
from privsc.system.chain import Eavesdropper, Receiver, Transmitter
from privsc.system.config import RunConfig
from privsc.transport.embeddings import NOBODY, nearest
from privsc.transport.payload import decode
from tests.fakes.networks import BOX, COLOURS, GREY, BoxGuard, ColourRecovery, HintingGuard, PosedRecovery
from tests.fakes.samples import make_entity
from tests.privsc.hints.test_fit import hint

LINK = Link(codec="image8x4", channel="awgn")
RADIO = LINK.receiver()


def at(sent, snr, seed):
    """What arrives of a transmission at an antenna."""
    return sent.through(LINK.channel_at(snr, seed))


@pytest.fixture(scope="module")
def texts():
    embed = load_text_encoder().embed
    return {name: embed(f"a photo of the cat {name}") for name in ("Vicky", "Tom")}


@pytest.fixture
def k(tmp_path, texts):
    with Database.create(tmp_path / "K.db", "encoder", "text") as db:
        for seed, (name, embedding) in enumerate(texts.items(), start=1):
            db.add(make_entity(name, seed, text_embedding=embedding))
        yield db


def test_a_hint_reaches_bob_and_is_of_no_use_to_eve(k, image):
    given, recovery = hint(box=(10, 10, 70, 70)), PosedRecovery()
    sent = Transmitter(HintingGuard({"Vicky": BOX}, given), k, LINK.transmitter()).send(image)
    Receiver(RADIO, recovery, k).receive(at(sent, 20, 1))
    eve = Eavesdropper(RADIO, recovery, "cat").receive(at(sent, 20, 2))
    bobs, eves = recovery.told
    assert [pose.to_bytes() for pose in bobs[1]] == [given.to_bytes()]
    assert eves == ((), ()) and eve.heard.poses  # she hears it and has no sample to lay


def test_without_a_hint_the_air_knows_nothing_of_the_private_pixels_and_with_one_59_bytes(k, image):
    guard = HintingGuard({"Vicky": BOX}, hint(box=(10, 10, 70, 70)))
    plain = Transmitter(guard, k, LINK.transmitter(), hint="none").send(image)
    hinted = Transmitter(guard, k, LINK.transmitter(), hint="pose").send(image)
    assert np.array_equal(plain.truth.on_air.body, hinted.truth.on_air.body)
    assert len(hinted.truth.on_air.head) == len(plain.truth.on_air.head) + 59 + 6  # and two sections' frames
    assert not decode(plain.truth.on_air.head, plain.truth.on_air.body).poses


def test_a_hint_is_fitted_to_the_silhouette_whatever_shape_is_removed(k, image):
    guard = HintingGuard({"Vicky": BOX}, hint(box=(10, 10, 70, 70)))
    sent = Transmitter(guard, k, LINK.transmitter(), mask="silhouette+5").send(image)
    silhouette = guard.regions[0]
    assert silhouette.sum() == 40 * 40 and sent.truth.guarded.mask.sum() > silhouette.sum()


def test_where_one_entity_has_no_hint_nobody_has(k, image):
    class Half(HintingGuard):
        def hint(self, image, region, entity, removed=None):
            return self.given if entity.name == "Vicky" else None

    boxes = {"Vicky": (80, 10, 110, 50), "Tom": (8, 10, 40, 50)}
    sent = Transmitter(Half(boxes, hint(box=(10, 10, 70, 70))), k, LINK.transmitter()).send(image)
    got = decode(sent.truth.on_air.head, sent.truth.on_air.body)
    assert got.poses == () and got.indices == (2, 1)


def test_a_mask_in_the_payload_is_exact_at_any_noise_and_keeps_the_levels(k, image):
    sent = Transmitter(BoxGuard({"Vicky": BOX}), k, LINK.transmitter(), mask_in_payload=True).send(image)
    body = np.frombuffer(sent.truth.on_air.body, np.uint8).reshape(image.shape)
    assert np.array_equal(
        body[~sent.truth.guarded.mask], image[~sent.truth.guarded.mask]
    )  # nothing to reserve black for
    assert not body[sent.truth.guarded.mask].any()
    for snr in (3, 20):
        heard = Receiver(RADIO, ColourRecovery(), k).listen(at(sent, snr, 1))
        assert np.array_equal(heard.region, sent.truth.guarded.mask)
        assert not heard.image[heard.region].any()


def test_touching_regions_come_with_boxes(k, image):
    boxes = {"Vicky": (60, 10, 110, 50), "Tom": (8, 10, 60, 50)}
    recovery = PosedRecovery()
    sent = Transmitter(BoxGuard(boxes), k, LINK.transmitter()).send(image)
    Receiver(RADIO, recovery, k).receive(at(sent, 20, 1))
    assert recovery.told[0][0] == ((8, 10, 60, 50), (60, 10, 110, 50))
    apart = Transmitter(BoxGuard({"Vicky": (80, 10, 110, 50), "Tom": (8, 10, 40, 50)}), k, LINK.transmitter()).send(
        image
    )
    assert decode(apart.truth.on_air.head, apart.truth.on_air.body).boxes == ()


def test_an_embedding_finds_its_entity_in_noise_and_eve_has_only_numbers(k, image, texts):
    recovery = ColourRecovery()
    sent = Transmitter(BoxGuard({"Tom": BOX}), k, LINK.transmitter(), send="embedding").send(image)
    assert decode(sent.truth.on_air.head, sent.truth.on_air.body).indices == ()
    for snr in (3, 10):
        bob = Receiver(RADIO, recovery, k).receive(at(sent, snr, 1))
        assert bob.heard.indices == (2,) and recovery.calls[-1]["names"] == ["Tom"]
    eve = Eavesdropper(RADIO, recovery, "cat").receive(at(sent, 20, 2))
    assert eve.heard.indices == () and (eve.heard.vectors @ texts["Tom"])[0] > 0.99


def test_a_lost_embedding_leaves_the_others_at_their_places(k, image):
    """Nobody stands where it was: Vicky, on the right, is not painted into Tom's place, nor with his hint."""
    boxes, given = {"Vicky": (80, 10, 110, 50), "Tom": (8, 10, 40, 50)}, hint(box=(10, 10, 70, 70))
    recovery = PosedRecovery()
    sent = Transmitter(HintingGuard(boxes, given), k, LINK.transmitter(), send="embedding").send(image)
    bob = Receiver(RADIO, recovery, k)
    heard = bob.listen(at(sent, 20, 1))
    assert heard.indices == (2, 1)
    lost = heard.vectors.copy()
    lost[0] = 0
    indices = nearest(lost, k.entities())
    assert indices == (NOBODY, 1)
    seen = bob.restore(replace(heard, indices=indices))
    assert recovery.calls[-1]["names"] == [None, "Vicky"] and len(recovery.told[-1][1]) == 2
    assert tuple(seen.restored[30, 24]) == (GREY,) * 3
    assert tuple(seen.restored[30, 95]) == COLOURS["Vicky"]


def test_remove_hides_those_it_means_and_leaves_the_others(k, image):
    boxes = {"Vicky": (80, 10, 110, 50), "Tom": (8, 10, 40, 50)}
    sent = Transmitter(BoxGuard(boxes), k, LINK.transmitter(), remove=("the cat Tom",)).send(image)
    assert [d.name for d in sent.truth.guarded.detections] == ["Tom"]
    assert sent.truth.guarded.mask[20, 20] and not sent.truth.guarded.mask[20, 90]
    with pytest.raises(EntityError, match="means nobody in K"):
        Transmitter(BoxGuard(boxes), k, LINK.transmitter(), remove=("the river",))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hint": "lots"}, "hint: must be pose or none; got 'lots'"),
        ({"send": "letter"}, "send: must be index or embedding"),
        ({"send": "embedding", "coding": "webp"}, "goes with the coding pixels"),
    ],
)
def test_ways_that_there_are_not_are_refused(k, options, words):
    with pytest.raises(ConfigError, match=words):
        Transmitter(BoxGuard({}), k, LINK.transmitter(), **options)


def test_the_configuration_refuses_them_too():
    with pytest.raises(ConfigError, match="embedding goes with the coding pixels only"):
        RunConfig.build(send="embedding", coding="webp")
    with pytest.raises(ConfigError, match="hint"):
        RunConfig.build(hint="lots")
    assert RunConfig.build(remove=["cat"]).remove == ("cat",)
