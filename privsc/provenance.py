"""Which program made a result: revision of the source and versions of the packages."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

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
            subprocess.run(
                ["git", "-C", str(root), *command], capture_output=True, text=True, check=True, timeout=20
            ).stdout.strip()
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
