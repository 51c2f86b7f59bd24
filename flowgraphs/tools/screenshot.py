"""A picture of the loopback flowgraph's window in action, for the README.

    xvfb-run -a /usr/bin/python3 -s -m flowgraphs.tools.screenshot IMAGE --db K.db --out window.png

The window opens, one photograph goes through, and once its report is written the window is drawn into a PNG.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from flowgraphs.tools.run import RunError, load, options, parse, worker
from flowgraphs.tools.variants import HERE, build

SIZE = (1640, 1000)  # [px]
SETTLE = 3.0  # [s] from the report to the picture


def shoot(given, endpoint: str, picture: Path) -> None:
    """Run the window until its report is there, and draw it."""
    from PyQt5 import Qt

    with tempfile.TemporaryDirectory(prefix="privsc-") as folder:
        given.out = Path(folder, "report")
        (program,) = build([HERE / "loopback.grc"], Path(folder), window=True)
        application = Qt.QApplication(sys.argv[:1])
        top = load(program).loopback(**options(given, endpoint))
        top.resize(*SIZE)
        top.show()
        top.start()
        end = time.monotonic() + given.timeout
        seen: list[float] = []

        def look() -> None:
            if not seen and top.report.wait(0):
                seen.append(time.monotonic())
            if (seen and time.monotonic() - seen[0] > SETTLE) or time.monotonic() > end:
                application.quit()

        timer = Qt.QTimer()
        timer.timeout.connect(look)
        timer.start(200)
        application.exec_()
        drawn = bool(seen) and top.grab().save(str(picture))
        top.stop()
        top.wait()
    if not drawn:
        raise RunError(f"no picture: no report within {given.timeout:g} s, or {picture} cannot be written")


def main() -> int:
    try:
        given = parse()
        picture = given.out
        if given.worker:
            shoot(given, given.worker, picture)
        else:
            with worker(given.db) as endpoint:
                shoot(given, endpoint, picture)
        return 0
    except RunError as error:
        print(f"flowgraphs.tools.screenshot: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
