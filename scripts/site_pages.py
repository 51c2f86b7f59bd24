"""Hook of mkdocs: the manuals that lie beside the code, flowgraphs/ and hardware/, are pages of the site too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
BESIDE = ("flowgraphs/README.md", "hardware/README.md", "hardware/soapy_zmq/README.md")
PICTURES = ("flowgraphs/pictures/*.png", "hardware/*.png")
OUT = re.compile(r"\]\((?:\.\./)+(?=(?:flowgraphs|hardware)/)")


def on_files(files: Files, config: Any) -> Files:
    """Add them under their paths in the repository."""
    names = [*BESIDE, *(str(path.relative_to(ROOT)) for glob in PICTURES for path in sorted(ROOT.glob(glob)))]
    for name in names:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ to those manuals lead to their pages; links to files that are no pages become their names."""
    if page.file.src_uri in BESIDE:
        return re.sub(r"\[([^\]]+)\]\((?!https?://|#)[^)]*(?<!\.md)(?<!\.png)\)", r"\1", markdown)
    up = "../" * page.file.src_uri.count("/")
    return OUT.sub(f"]({up}", markdown)
