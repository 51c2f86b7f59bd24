"""Pictures of flowgraphs as gnuradio-companion draws them, for the README and for slides.

    PYTHONPATH=. xvfb-run -a /usr/bin/python3 -s -m flowgraphs.tools.drawing FOLDER [NAME...]      one PNG a flowgraph

Drawn by gnuradio-companion's own code (what its menu calls Screen Capture), so it needs GTK and a display.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from flowgraphs.tools.variants import CompileError, environment, sources


def application(graphs: list[Path]):
    """gnuradio-companion with these flowgraphs open, not shown."""
    import gi

    gi.require_version("Gtk", "3.0")
    gi.require_version("PangoCairo", "1.0")
    from gi.repository import Gtk

    if not Gtk.init_check()[0]:
        raise CompileError("there is no display: run it under xvfb-run -a")
    from gnuradio import gr
    from gnuradio.grc.gui.Platform import Platform  # isort: skip  (their modules want this one first)
    from gnuradio.grc.gui.Application import Application  # isort: skip

    platform = Platform(
        version=gr.version(),
        version_parts=(gr.major_version(), gr.api_version(), gr.minor_version()),
        prefs=gr.prefs(),
        install_prefix=gr.prefix(),
    )
    platform.build_library()
    made = Application([str(path) for path in graphs], platform)
    made.register()
    made.activate()
    while Gtk.events_pending():
        Gtk.main_iteration()
    return made


def draw(graph, picture: Path) -> None:
    """One flowgraph to a PNG, under a temporary name until it is whole."""
    from gnuradio.grc.gui.Utils import make_screenshot

    graph.update()
    if not graph.is_valid():
        raise CompileError(f"{picture.stem}: {graph.get_error_messages()[0]}")
    partial = picture.with_name(f"{picture.stem}.part.png")
    make_screenshot(graph, str(partial))
    partial.rename(picture)


def main() -> int:
    if len(sys.argv) < 2:
        print("usage: python -m flowgraphs.tools.drawing FOLDER [NAME...]", file=sys.stderr)
        return 2
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    known = {source.stem: source for source in sources()}
    try:
        if unknown := [name for name in names if name not in known]:
            raise CompileError(f"{unknown[0]}: no such flowgraph; there are {', '.join(known)}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="privsc-") as home:
            os.environ.update(environment(), HOME=home)  # the user's own list of open files stays as it is
            Path(home, ".gnuradio").mkdir()
            opened = application([known[name] for name in names or known])
            for page in opened.main_window.get_pages():
                picture = folder / f"{Path(page.file_path).stem}.png"
                draw(page.flow_graph, picture)
                print(picture)
    except (CompileError, OSError, ImportError, ValueError) as error:
        print(f"flowgraphs.tools.drawing: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
