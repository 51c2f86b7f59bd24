"""What is written beside every result, so that it can be made again: revision, versions, digests of weights."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from privsc import models
from privsc.choice import Choice
from privsc.knowledge import Identities

REVISION = "PRIVSC_REVISION"
"""Environment variable that names the revision where there is no git (an installed package, a container)."""
PACKAGES = ("numpy", "torch", "sionna", "diffusers", "scikit-image")


def revision() -> str | None:
    """Git revision of this code, with ``-dirty`` where files differ from it; None where that cannot be known."""
    if given := os.environ.get(REVISION):
        return given
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    commands = (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no", "--", "privsc", "phy"))
    try:
        head, changed = (
            subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=True, timeout=20)
            .stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head[:12]}{'-dirty' if changed else ''}"


def version(package: str) -> str:
    """Version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def weights_sha256(start: str = "") -> str:
    """First 16 hex digits of the SHA-256 over the shipped weight files whose names begin with ``start``."""
    files = {name: models.sha256(path) for name, path in sorted(models.shipped_files().items()) if start in name}
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def identities(choice: Choice) -> Identities:
    """Which networks the choice means; loads them."""
    from privsc.text import load_text_encoder

    encoder, _ = choice.pair()
    segmenter = weights_sha256("sam-lite") + weights_sha256("strangers")
    painter = str(getattr(choice.recover(), "identity", choice.recovery))
    return Identities(encoder.identity, load_text_encoder().identity, painter, segmenter)


def stamps(found: Identities) -> tuple[tuple[str, str], ...]:
    """Columns of every row."""
    return (
        ("encoder", found.encoder), ("text", found.text), ("recovery", found.painter),
        ("weights_sha256", weights_sha256()), ("revision", revision() or "unknown"), ("privsc", version("privsc")),
        ("python", platform.python_version()), *((name, version(name)) for name in PACKAGES),
    )  # fmt: skip
