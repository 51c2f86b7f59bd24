"""Results that do not depend on the number of threads."""

import dataclasses
import hashlib

import pytest
import torch
from PIL import Image
from skimage import data

from privsc.datasets.builtin import views
from privsc.experiments import provenance
from privsc.experiments.enrolment import Enrolment, enrol_one
from privsc.knowledge.database import Database
from privsc.system.build import DEFAULT
from privsc.threads import one_thread


@pytest.fixture
def threads():
    """Sets the number of torch's threads; it is what it was after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_one_thread_within_and_as_before_afterwards(threads):
    threads(3)
    with pytest.raises(RuntimeError), one_thread():
        assert torch.get_num_threads() == 1
        raise RuntimeError
    assert torch.get_num_threads() == 3


@pytest.mark.slow
def test_a_subject_is_enrolled_to_the_same_k_on_any_number_of_threads(tmp_path, threads):
    paths = []
    for number, seen in enumerate(views(data.coffee(), 2, seed=0)):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(seen).save(paths[-1])
    found = provenance.identities(DEFAULT)
    one = Enrolment("Coffee", tuple(paths), "cup", None, False, None, "", DEFAULT, found)
    digests, adapters = set(), set()
    for count in (1, 2):
        threads(count)
        target = tmp_path / f"{count}.db"
        enrol_one(dataclasses.replace(one, target=str(target), personalise=True, steps=1))
        with Database.open(target, found.encoder) as db:
            digests.add(db.digest().hex())
            adapters.add(hashlib.sha256(db.get("Coffee").adapter).hexdigest())
    assert len(digests) == len(adapters) == 1
