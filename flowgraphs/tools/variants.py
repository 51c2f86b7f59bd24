"""One .grc, two programs: with its window as it is, or headless, derived here. Compiling is left to grcc.

loopback.grc ──headless──► loopback.grc without QT blocks, sliders turned into variables ──grcc──► loopback.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parents[1]
SLIDER = "variable_qtgui_range"
SINKS = ("qtgui_", "privsc_picture", "privsc_figures")


class CompileError(RuntimeError):
    """grcc is not there, or does not accept a flowgraph."""


def sources() -> list[Path]:
    """Every flowgraph of the project."""
    return sorted(HERE.glob("*.grc"))


def headless(source: Path) -> str:
    """The text of a flowgraph that needs no display: no QT sinks, no connections to them, sliders as variables."""
    graph = yaml.safe_load(source.read_text())
    graph["options"]["parameters"] |= {"generate_options": "no_gui", "run_options": "prompt"}
    kept = []
    for block in graph["blocks"]:
        if block["id"].startswith(SINKS):
            continue
        if block["id"] == SLIDER:
            block = {**block, "id": "variable", "parameters": {"value": block["parameters"]["value"]}}
        kept.append(block)
    names = {block["name"] for block in kept}
    graph["blocks"] = kept
    graph["connections"] = [c for c in graph["connections"] if c[0] in names and c[2] in names]
    return yaml.safe_dump(graph, sort_keys=False)


def environment() -> dict[str, str]:
    """Environment in which grcc and gnuradio-companion find our blocks, and the programs they make find our modules."""
    found = dict(os.environ)
    for name, path in (("GRC_BLOCKS_PATH", HERE / "blocks"), ("PYTHONPATH", HERE.parent)):
        found[name] = os.pathsep.join([str(path), *filter(None, [os.environ.get(name)])])
    found["PYTHONNOUSERSITE"] = "1"  # a numpy 2 that the user installed with pip breaks GNU Radio
    return found


def build(sources: list[Path], folder: Path, window: bool = False) -> list[Path]:
    """Compile flowgraphs into ``folder``; the Python files they became. Raises CompileError with grcc's own words."""
    folder.mkdir(parents=True, exist_ok=True)
    graphs, targets = [], []
    for source in sources:
        text = source.read_text() if window else headless(source)
        graphs.append(folder / source.name)
        graphs[-1].write_text(text)
        targets.append(folder / (yaml.safe_load(text)["options"]["parameters"]["id"] + ".py"))
    try:
        done = subprocess.run(
            ["grcc", "-o", str(folder), *map(str, graphs)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
    except FileNotFoundError:
        raise CompileError("grcc is not installed: run 'sudo apt-get install gnuradio'") from None
    said = " ".join((done.stdout + done.stderr).split())
    if (
        done.returncode or not all(target.exists() for target in targets) or "Error:" in said
    ):  # of a bad connection grcc says so and goes on
        at = min((said.find(word) for word in ("Error", "error") if word in said), default=0)
        missing = [source for source, target in zip(sources, targets, strict=True) if not target.exists()]
        names = ", ".join(source.name for source in missing or sources)
        raise CompileError(f"{names}: grcc refuses it: {said[at : at + 1500]}")
    return targets


def main() -> int:
    """`python -m flowgraphs.tools.variants FOLDER [--window] [NAME...]`: compile flowgraphs."""
    arguments = [a for a in sys.argv[1:] if a != "--window"]
    if not arguments:
        print("usage: python -m flowgraphs.tools.variants FOLDER [--window] [NAME...]", file=sys.stderr)
        return 2
    folder, names = Path(arguments[0]), arguments[1:]
    known = {source.stem: source for source in sources()}
    try:
        if unknown := [name for name in names if name not in known]:
            raise CompileError(f"{unknown[0]}: no such flowgraph; there are {', '.join(known)}")
        for made in build([known[name] for name in names or known], folder, "--window" in sys.argv):
            print(made)
    except (CompileError, OSError) as error:
        print(f"flowgraphs.tools.variants: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
