"""Figures in README.md and docs/ come from docs/published/*.json; this command writes them there.

    python -m scripts.tables                           rewrite every table between its markers
    python -m scripts.tables --check                   exit code 1 where a page differs, nothing written
    python -m scripts.tables demo results/demo         publish a demo: docs/published/demo.json and docs/demo.png
    python -m scripts.tables demo results/chelsea      the same for `privsc demo --chelsea`

A page holds `<!-- table: NAME -->` and `<!-- end -->`; what is between them is the table of docs/published/NAME.json:
command, date, columns and rows of text.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs" / "published"
MARKED = re.compile(r"(?P<begin><!-- table: (?P<name>[a-z0-9-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
DEMO_COLUMNS = [
    "SNR", "message errors", "Bob: PSNR whole / private", "SSIM private", "recognised as",
    "Eve: PSNR whole / private", "SSIM private", "recognised as",
]  # fmt: skip
PICTURE_BYTES = 300_000


def pages() -> list[Path]:
    """The pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def load(name: str) -> dict[str, Any]:
    """One published table, checked: {"command", "date", "columns", "rows"}.

    Raises:
        ValueError: in one line, for a table that is not complete.
    """
    path = PUBLISHED / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"{path.relative_to(ROOT)}: no such table; a page asks for it")
    table = json.loads(path.read_text(encoding="utf-8"))
    datetime.date.fromisoformat(table["date"])
    if not table["command"]:
        raise ValueError(f"{path.name}: command must say what printed the figures; got nothing")
    wide = len(table["columns"])
    for row in table["rows"]:
        if len(row) != wide or not all(isinstance(cell, str) for cell in row):
            raise ValueError(f"{path.name}: every row must have {wide} cells of text; got {row}")
    return table


def markdown(table: dict[str, Any]) -> str:
    """A table as Markdown, and below it what printed it."""
    lines = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    date = datetime.date.fromisoformat(table["date"])
    source = f"Printed by `{table['command']}`, {date.day} {date:%B %Y}."
    return "\n".join([*rows, "", source]) + "\n"


def filled(page: str) -> str:
    """A page with its tables as they are published."""
    return MARKED.sub(lambda m: m["begin"] + markdown(load(m["name"])) + m["end"], page)


def demo_table(report: dict[str, Any], command: str, date: str) -> dict[str, Any]:
    """The table of a demo's report.json: a row for each SNR."""
    rows = []
    for run in report["runs"]:
        rate = run["link"]["message_error_rate"]
        cells = [f"{run['link']['snr_db']:g} dB", "no frame arrived" if rate is None else f"{100 * rate:.2g} %"]
        for who in ("bob", "eve"):
            of = run[who]
            cells.append(f"{of['psnr']:.1f} / {of['psnr_private']:.1f} dB")
            cells += [f"{of['ssim_private']:.2f}", of["identified"] or "nobody"]
        rows.append(cells)
    return {"command": command, "date": date, "columns": DEMO_COLUMNS, "rows": rows}


def publish_demo(folder: Path) -> list[Path]:
    """report.json of a demo to docs/published, and its picture, as small as a README's may be, to docs."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    easy = "stranger" not in report
    date = datetime.date.fromtimestamp((folder / "report.json").stat().st_mtime).isoformat()
    table = demo_table(report, "privsc demo --chelsea" if easy else "privsc demo", date)
    path = PUBLISHED / ("demo-chelsea.json" if easy else "demo.json")
    path.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if easy:
        return [path]
    picture = ROOT / "docs" / "demo.png"
    picture.write_bytes(_small((folder / "summary.png").read_bytes()))
    return [path, picture]


def _small(png: bytes) -> bytes:
    """A PNG of 256 colours, scaled down until it has at most PICTURE_BYTES."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    for width in range(picture.width, 200, -50):
        size = (width, round(picture.height * width / picture.width))
        buffer = io.BytesIO()
        picture.resize(size, Image.Resampling.LANCZOS).quantize(256).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= PICTURE_BYTES:
            break
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0, 1 where --check finds a difference, 2 for input that is refused."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tables", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("publish", nargs="*", metavar="demo FOLDER", help="results to publish first")
    parser.add_argument("--check", action="store_true", help="write nothing, say which pages differ")
    options = parser.parse_args(arguments)
    try:
        if options.publish:
            kind, folder = options.publish if len(options.publish) == 2 else (options.publish[0], "")
            if kind != "demo" or not (Path(folder) / "report.json").is_file():
                raise ValueError(f"{' '.join(options.publish)}: must be demo and a folder with report.json")
            for path in publish_demo(Path(folder)):
                print(path.relative_to(ROOT))
        different = []
        for page in pages():
            text = page.read_text(encoding="utf-8")
            new = filled(text)
            if new != text:
                different.append(str(page.relative_to(ROOT)))
                if not options.check:
                    page.write_text(new, encoding="utf-8")
    except (ValueError, KeyError) as error:
        print(f"tables: {error}", file=sys.stderr)
        return 2
    print(f"{'differ' if options.check else 'rewritten'}: {', '.join(different) or 'none'}")
    return int(options.check and bool(different))


if __name__ == "__main__":
    sys.exit(main())
