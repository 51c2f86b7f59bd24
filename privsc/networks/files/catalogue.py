"""Where the weights of the full models come from, and where `privsc models fetch` keeps them.

The SHA-256 of every file is pinned. Those of SAM are of the files behind the links in the README of
facebookresearch/segment-anything (the six hex digits in their names are the start of their MD5, not of their SHA-256);
those of Stable Diffusion are the LFS digests of revision ``SD15_REVISION`` of its repository, which names every byte of
the CLIP vocabulary too. The small JSON files of Stable Diffusion are not fetched: they say how the networks are built,
and `privsc.networks.files.sd_layout` writes them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from privsc.errors import WeightsError

ENVIRONMENT = "PRIVSC_MODELS"
SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
SD15_REVISION = "8a4288a76071f7280aedbdb3253bdb9e9d5d84bb"
SD15_URL = f"https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-inpainting/resolve/{SD15_REVISION}/"


@dataclass(frozen=True)
class RemoteFile:
    """One file to fetch: its path below the source's address and below the model's folder, size [bytes], SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A full model.

    Attributes:
        name: what `privsc models fetch` calls it.
        url: address that the files' names are appended to.
        files: all of it; one file lies in the models folder itself, several lie in a folder of the model's name.
        what: purpose, in the paper's words.
        licence: under which its authors give it.
    """

    name: str
    url: str
    files: tuple[RemoteFile, ...]
    what: str
    licence: str

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)

    def folder(self, models: Path) -> Path:
        """Where its files lie, below the models folder."""
        return models if len(self.files) == 1 else models / self.name

    def result(self, models: Path) -> Path:
        """What a loader takes: the one file, or the folder."""
        return models / self.files[0].name if len(self.files) == 1 else models / self.name


_APACHE, _RAIL = "Apache-2.0", "CreativeML OpenRAIL-M"
SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "sam_vit_b",
            SAM_URL,
            (
                RemoteFile(
                    "sam_vit_b_01ec64.pth",
                    375_042_383,
                    "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
                ),
            ),
            "S_alpha and M_chi, SAM ViT-B",
            _APACHE,
        ),
        Source(
            "sam_vit_l",
            SAM_URL,
            (
                RemoteFile(
                    "sam_vit_l_0b3195.pth",
                    1_249_524_607,
                    "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
                ),
            ),
            "S_alpha and M_chi, SAM ViT-L",
            _APACHE,
        ),
        Source(
            "sam_vit_h",
            SAM_URL,
            (
                RemoteFile(
                    "sam_vit_h_4b8939.pth",
                    2_564_550_879,
                    "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
                ),
            ),
            "S_alpha and M_chi, SAM ViT-H",
            _APACHE,
        ),
        Source(
            "sd15-inpaint",
            SD15_URL,
            (
                RemoteFile(
                    "tokenizer/vocab.json",
                    1_059_962,
                    "e089ad92ba36837a0d31433e555c8f45fe601ab5c221d4f607ded32d9f7a4349",
                ),
                RemoteFile(
                    "tokenizer/merges.txt", 524_619, "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a"
                ),
                RemoteFile(
                    "vae/diffusion_pytorch_model.fp16.safetensors",
                    167_335_342,
                    "4fbcf0ebe55a0984f5a5e00d8c4521d52359af7229bb4d81890039d2aa16dd7c",
                ),
                RemoteFile(
                    "text_encoder/model.fp16.safetensors",
                    246_144_864,
                    "77795e2023adcf39bc29a884661950380bd093cf0750a966d473d1718dc9ef4e",
                ),
                RemoteFile(
                    "unet/diffusion_pytorch_model.fp16.safetensors",
                    1_719_154_104,
                    "24b788b4a777748377cc20364eea4ae113c8c42f4468c16bc8c02fdae5492af9",
                ),
            ),
            "U_theta, Stable Diffusion 1.5 inpainting",
            _RAIL,
        ),
    )
}


def models_folder() -> Path:
    """Per-user folder of fetched models: ``$PRIVSC_MODELS``, else ``models`` in the user's data folder (XDG)."""
    if given := os.environ.get(ENVIRONMENT):
        return Path(given).expanduser()
    return Path(platformdirs.user_data_dir("privsc", appauthor=False)) / "models"


def source(name: str) -> Source:
    """A full model by its name.

    Raises:
        WeightsError: for a name that is not in the list.
    """
    if name not in SOURCES:
        raise WeightsError(f"no model {name!r} to fetch: choose one of {', '.join(SOURCES)}")
    return SOURCES[name]


def is_fetched(wanted: Source, models: Path) -> bool:
    """Are all files there with their sizes? `privsc models verify` compares their contents too."""
    folder = wanted.folder(models)
    return all((folder / f.name).is_file() and (folder / f.name).stat().st_size == f.size for f in wanted.files)


def fetched(name: str) -> Path:
    """File or folder of a model that was fetched.

    Raises:
        WeightsError: where it was not, with the command that does it.
    """
    wanted, models = source(name), models_folder()
    if not is_fetched(wanted, models):
        option = "--model" if name.startswith("sd") else "--checkpoint"
        raise WeightsError(
            f"{name}: its weights are not in {models}; run 'privsc models fetch {name}' ({wanted.size / 1e9:.2f} GB) "
            f"or name your own with {option}"
        )
    return wanted.result(models)
