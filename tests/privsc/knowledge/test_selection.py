from dataclasses import replace

import pytest

from privsc.errors import EntityError
from privsc.knowledge.selection import select
from privsc.networks.text_encoder import load_text_encoder
from tests.fakes.samples import make_entity

EMBED = load_text_encoder().embed


def known(name, word, index):
    prompt = f"a photo of the {word} {name}"
    entity = make_entity(name, index, class_word=word, prompt=prompt, text_embedding=EMBED(prompt))
    return replace(entity, index=index)


K = [
    known("Vicky", "cat", 1),
    known("Tom", "cat", 2),
    known("Rex", "dog", 3),
    known("my mug", "cup", 4),
    known("blue_bag", "backpack", 5),
]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("Vicky", ["Vicky"]),
        ("the cat Vicky", ["Vicky"]),
        ("VICKY the Cat", ["Vicky"]),
        ("cat", ["Vicky", "Tom"]),
        ("the cats", ["Vicky", "Tom"]),
        ("dog", ["Rex"]),
        ("my mug", ["my mug"]),
        ("blue bag", ["blue_bag"]),
        ("the puppy", ["Rex"]),
    ],
)
def test_words_mean_those_they_name(words, names):
    assert [entity.name for entity in select(K, [words], EMBED)] == names


def test_several_descriptions_add_up_in_the_order_of_k():
    assert [entity.name for entity in select(K, ["Rex", "Vicky"], EMBED)] == ["Vicky", "Rex"]


def test_a_kitten_is_both_cats_rather_than_neither():
    assert {entity.name for entity in select(K, ["the kitten"], EMBED)} >= {"Vicky", "Tom"}


def test_a_cat_of_an_unknown_name_hides_all_cats():
    assert {entity.name for entity in select(K, ["the cat Moritz"], EMBED)} >= {"Vicky", "Tom"}


@pytest.mark.parametrize("words", ["the river", "a spaceship"])
def test_words_that_mean_nobody_are_refused_with_the_nearest_names(words):
    with pytest.raises(EntityError) as caught:
        select(K, [words], EMBED)
    assert f"--remove: '{words}' means nobody in K" in str(caught.value) and "nearest are" in str(caught.value)
    assert sum(f"{entity.name} (" in str(caught.value) for entity in K) == 3


def test_no_words_and_no_k_are_refused():
    with pytest.raises(EntityError, match="has no word"):
        select(K, ["  ... "], EMBED)
    with pytest.raises(EntityError, match="K is empty"):
        select([], ["cat"], EMBED)
