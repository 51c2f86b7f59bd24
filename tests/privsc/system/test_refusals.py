"""Nothing leaves that must not: what is required, what was approved, suspects on the air."""

import numpy as np
import pytest

from privsc.errors import ApprovalError, NothingFoundError
from privsc.knowledge.detection import Detection
from privsc.system.build import Models
from privsc.system.chain import Transmitter
from privsc.system.config import RunConfig
from privsc.system.trial import run_trial
from privsc.transport import embeddings, payload
from tests.fakes.networks import BOX, BoxGuard, ColourRecovery


class Doubting(BoxGuard):
    """Whatever is found is also there a second time, and somewhere somebody unknown."""

    def __call__(self, image, entities):
        result = super().__call__(image, entities)
        (first,) = result.detections
        more = []
        for index, name, x in ((first.index, first.name, 70), (0, "unknown", 100)):
            mask = np.zeros_like(result.mask)
            mask[20:50, x : x + 20] = True
            more.append(Detection(index, name, 0.4, (x, 20, x + 20, 50), np.zeros((0, 2)), mask))
        joint = result.mask | more[0].mask | more[1].mask
        masked = np.where(joint[..., None], np.uint8(0), image)
        return type(result)(masked, joint, (first, *more))


def test_nothing_is_packed_where_nobody_is_found(image, k):
    silent = Transmitter(BoxGuard({}), k, allow_nothing=False)
    with pytest.raises(NothingFoundError, match="nobody of K found"):
        silent.pack(image)
    with pytest.raises(NothingFoundError, match="--require Tom"):
        Transmitter(BoxGuard({"Vicky": BOX}), k, require=("Tom",)).pack(image)
    assert Transmitter(BoxGuard({"Vicky": BOX}), k, require=("any",), allow_nothing=False).pack(image).head


def test_only_what_was_approved_is_sent(image, k):
    models, config = Models(BoxGuard({"Vicky": BOX}), ColourRecovery()), RunConfig.build(snr_db=20)
    with pytest.raises(ApprovalError, match="pixels differ from what would be sent"):
        run_trial(image, k, models, config, approved=image)


def test_copies_and_unknown_regions_travel_and_nobody_is_painted_as_somebody(image, k):
    packed = Transmitter(Doubting({"Vicky": BOX}), k, mask_in_payload=True).pack(image)
    received = payload.decode(packed.head, packed.body, np.ones(len(packed.body), bool))
    assert received.indices == (1, 1, 0)
    assert (received.mask == packed.guarded.mask).all()
    known = {entity.index: entity for entity in k.by_index(received.indices)}
    assert [known.get(index) and known[index].name for index in received.indices] == ["Vicky", "Vicky", None]


def test_an_embedding_of_nobody_stays_nobody_s(k):
    sent = embeddings.to_bytes(embeddings.stacked((2, 0, 1), k.entities()))
    copies = np.stack([sent, sent])
    heard = embeddings.from_bytes(copies, np.ones(copies.shape, bool))
    assert embeddings.nearest(heard, k.entities()) == (2, 0, 1)
    bent = np.clip(copies[:, 1].astype(int) + np.random.default_rng(0).integers(-6, 7, copies[:, 1].shape), 1, 255)
    copies[:, 1] = bent
    assert not embeddings.from_bytes(copies, np.ones(copies.shape, bool))[1].any()
