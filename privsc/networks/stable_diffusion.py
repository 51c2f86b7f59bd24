"""Stable Diffusion (Rombach et al. 2022) from a folder in diffusers' layout, part by part; never from the network.

Both kinds work: a U-Net of 9 input channels, made for inpainting (noisy latent, mask, masked picture), and one of 4,
for which `StableDiffusionInpaintPipeline` keeps the known pixels by eqs. (13) and (14) of the paper itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from privsc.errors import WeightsError
from privsc.networks.device import torch_device
from privsc.networks.diffusion import weights_digest

PARTS = ("tokenizer", "text_encoder", "vae", "unet", "scheduler")
WEIGHTS = {"text_encoder": "model", "vae": "diffusion_pytorch_model", "unet": "diffusion_pytorch_model"}


@dataclass(frozen=True, eq=False)
class StableDiffusion:
    """A pipeline that is ready to paint.

    Attributes:
        pipeline: diffusers' own, without its safety checker: what is painted is what the owner of K put into K.
        identity: kind and digest of the U-Net; adapters name it.
        side: of the pictures that it was trained on [pixels].
        unit: widths and heights must be multiples of it [pixels].
    """

    pipeline: StableDiffusionInpaintPipeline
    identity: str
    side: int
    unit: int

    @property
    def inpaints(self) -> bool:
        """Has the U-Net the 9 input channels of an inpainting model?"""
        return self.pipeline.unet.config.in_channels == 9


def find_folder(model: str) -> Path:
    """The folder of a model: a path, or an identifier whose files lie in the local Hugging Face cache.

    Raises:
        WeightsError: where there is neither.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise WeightsError(
            f"{path}: is one file; give a folder in diffusers' layout (model_index.json, unet, vae, ...)"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except Exception as error:  # not an identifier, or not in the cache
        raise WeightsError(
            f"{model}: neither a folder nor a model in this machine's Hugging Face cache; give the folder of a Stable "
            "Diffusion in diffusers' layout, or run 'privsc models fetch sd15-inpaint' and leave --model out"
        ) from error


def _part(folder: Path, part: str, load: Callable[..., Any], **more: Any) -> Any:
    """One part of the model, or an error that names its folder; ``more`` goes to the loader of a network."""
    path = folder / part
    if not path.is_dir():
        raise WeightsError(f"{folder}: has no {part}; a Stable Diffusion has the parts {', '.join(PARTS)}")
    options: dict[str, Any] = {"local_files_only": True}
    if part in WEIGHTS:
        name = WEIGHTS[part]
        if not list(path.glob(f"{name}*.safetensors")):
            pickled = ", only pickled ones, which are never read" if list(path.glob("*.bin")) else ""
            raise WeightsError(f"{path}: no {name}.safetensors{pickled}; fetch the model's safetensors files")
        options |= {"use_safetensors": True, "output_loading_info": True, **more}
        if not list(path.glob(f"{name}.safetensors")) and list(path.glob(f"{name}.fp16.safetensors")):
            options["variant"] = "fp16"
    try:
        loaded = load(path, **options)
        if part not in WEIGHTS:
            return loaded
        network, loading = loaded  # the libraries only warn of tensors that are not in the file; here that is an error
        if lost := [*loading["missing_keys"], *map(str, loading.get("mismatched_keys") or ())]:
            raise ValueError(f"{len(lost)} tensors are missing, first {sorted(lost)[0]}")
        return network
    except Exception as error:  # each library raises what a damaged file provokes in it
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise WeightsError(f"{path}: truncated or not a {part} of Stable Diffusion ({detail})") from error


def _check(folder: Path, unet: Any, vae: Any, text: Any) -> None:
    """Do the parts belong together?"""
    config = unet.config
    if config.in_channels not in (4, 9):
        raise WeightsError(f"{folder}/unet: must have 4 or 9 input channels; it has {config.in_channels}")
    if not config.out_channels == vae.config.latent_channels == 4:
        raise WeightsError(
            f"{folder}: U-Net and VAE must share a latent of 4 channels; they have {config.out_channels} and "
            f"{vae.config.latent_channels}"
        )
    if config.cross_attention_dim != text.config.hidden_size:
        raise WeightsError(
            f"{folder}: the U-Net takes text of {config.cross_attention_dim} values, the text encoder gives "
            f"{text.config.hidden_size}; the parts are of different models"
        )


@lru_cache(maxsize=1)
def load_stable_diffusion(model: str, device: str = "cpu") -> StableDiffusion:
    """Stable Diffusion from a folder or the local cache, in float32 on the processor and float16 elsewhere.

    Raises:
        WeightsError: for a part that is missing, truncated or of another model.
        ConfigError: for a device that is not there.
    """
    target, folder = torch_device(device), find_folder(model)
    try:
        index = json.loads((folder / "model_index.json").read_text())
        name = str(index["_class_name"])
    except FileNotFoundError as error:
        raise WeightsError(f"{folder}: no model_index.json; give a folder in diffusers' layout") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise WeightsError(f"{folder}/model_index.json: not that of a diffusers pipeline; restore the file") from error
    if not name.startswith("StableDiffusion") or "XL" in name or name.startswith("StableDiffusion3"):
        raise WeightsError(f"{folder}: is a {name}; a Stable Diffusion 1 or 2 is needed")
    tokenizer = _part(folder, "tokenizer", CLIPTokenizer.from_pretrained)
    dtype = torch.float32 if target.type == "cpu" else torch.float16
    text = _part(folder, "text_encoder", CLIPTextModel.from_pretrained, dtype=dtype)
    vae = _part(folder, "vae", AutoencoderKL.from_pretrained, torch_dtype=dtype)
    unet = _part(folder, "unet", UNet2DConditionModel.from_pretrained, torch_dtype=dtype)
    scheduler = _part(folder, "scheduler", DDIMScheduler.from_pretrained)
    _check(folder, unet, vae, text)
    pipeline = StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    for network in (vae, unet, text):
        network.requires_grad_(False)
    pipeline.to(target)
    scale = pipeline.vae_scale_factor
    return StableDiffusion(
        pipeline,
        f"stable-diffusion:{weights_digest(folder / 'unet')}",
        unet.config.sample_size * scale,
        scale * 2 ** (len(unet.config.block_out_channels) - 1),
    )
