"""Full models in miniature: the true architectures and file layouts with few, random numbers.

`save_stable_diffusion` writes a folder as Stable Diffusion 1.5 lies on the hub (vocab.json and merges.txt, safetensors
with the names of its tensors); `tiny_sam` builds a Sam that takes a fraction of a second at 1024 pixels.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from segment_anything.build_sam import _build_sam
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

TEXT_DIM = 32


def _write_vocabulary(folder: Path) -> int:
    """CLIP's two vocabulary files with bytes only, no merges but one; returns the number of tokens."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "ca", "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\nc a\n")
    config = {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(tokens)


def save_stable_diffusion(folder: Path, channels: int = 9, seed: int = 0, variant: str | None = None) -> Path:
    """A random Stable Diffusion whose U-Net has ``channels`` inputs, in a folder of the true layout."""
    torch.manual_seed(seed)
    words = _write_vocabulary(folder / "tokenizer")
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=TEXT_DIM,
            intermediate_size=37,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
            bos_token_id=words - 2,
            eos_token_id=words - 1,
            pad_token_id=words - 1,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=channels,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT_DIM,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 64),
        latent_channels=4,
        sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    pipeline = StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=text,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        requires_safety_checker=False,
    )
    if variant == "fp16":
        pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder, variant=variant)
    (folder / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)  # the hub's folder has none
    for path in (folder / "text_encoder").glob("model*.safetensors"):
        tensors = {_as_published(name): value for name, value in load_file(path).items()}
        tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]  # as files of 2022 have it
        save_file(tensors, path, metadata={"format": "pt"})
    return folder


def _as_published(name: str) -> str:
    return name if name.startswith("text_model.") else f"text_model.{name}"


tiny_sam = partial(  # windows only: attention over all 4096 patches is what takes the time
    _build_sam, encoder_embed_dim=32, encoder_depth=2, encoder_num_heads=2, encoder_global_attn_indexes=[]
)
