"""The picture code's file: whole, small, and refused where it is not what it should be."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from privsc.errors import WeightsError
from privsc.networks.picture_code_file import load_picture_code, save_picture_code
from tests.privsc.picture_codes import small_code, small_model


@pytest.fixture
def path(tmp_path):
    code = small_code()
    save_picture_code(tmp_path / "code.safetensors", code.model, code.points)
    return tmp_path / "code.safetensors"


def test_round_trip(path):
    code, loaded = small_code(), load_picture_code(path)
    assert np.array_equal(loaded.points.codebook, code.points.codebook)
    assert loaded.points.rounding == code.points.rounding
    assert torch.equal(loaded.model.basis, code.model.basis)
    for name, value in code.model.state_dict().items():
        assert torch.allclose(loaded.model.state_dict()[name], value, atol=2e-3, rtol=1e-3), name
    assert len(loaded.digest) == 4


def test_the_digest_is_the_files(path, tmp_path):
    save_picture_code(tmp_path / "again.safetensors", small_code().model, small_code().points)
    save_picture_code(tmp_path / "other.safetensors", small_model(seed=5), small_code().points)
    first, again, other = (load_picture_code(p).digest for p in (path, *sorted(tmp_path.glob("[ao]*.safetensors"))))
    assert first == again != other


def test_what_is_no_picture_code_is_refused(path, tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        load_picture_code(tmp_path / "none.safetensors")
    whole = path.read_bytes()
    for length in (0, 5, 1000, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="the picture code is damaged"):
            load_picture_code(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="is not a picture-code-1 file"):
        load_picture_code(path)


def test_nan_in_the_weights_is_refused(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        about = file.metadata()
    tensors = load_file(path)
    tensors["net.decoder.outward.bias"][3] = torch.nan
    save_file(tensors, path, metadata=about)
    with pytest.raises(WeightsError, match="NaN or Inf"):
        load_picture_code(path)
