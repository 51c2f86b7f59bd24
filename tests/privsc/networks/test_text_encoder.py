"""The text encoder: unit vectors that put like prompts near each other, without the network."""

import numpy as np
import pytest

from privsc.networks.text_encoder import DIM, load_text_encoder


def test_embeddings_are_unit_vectors_of_the_right_size():
    vector = load_text_encoder().embed("a photo of the cat Vicky")
    assert vector.shape == (DIM,) and vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_like_prompts_are_nearer_than_unlike_ones():
    encoder = load_text_encoder()
    cat, kitten, truck = (encoder.embed(f"a photo of a {word}") for word in ("cat", "kitten", "truck"))
    assert cat @ kitten > cat @ truck + 0.1


def test_blank_prompt_is_refused():
    with pytest.raises(ValueError, match="at least one word"):
        load_text_encoder().embed("  ")
