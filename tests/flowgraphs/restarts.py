"""Starts, stops and restarts every flowgraph many times, and counts what that leaves behind.

    PYTHONPATH=. /usr/bin/python3 -s -m tests.flowgraphs.restarts [--window] [TIMES] [NAME...]    20, all, if left out

A round builds the flowgraph's program, starts it, stops it, starts the same one again, stops it, and drops it. Counted
are this process's threads, file descriptors, sockets among them, and child processes, before (one round is for what is
made once) and after. With --window it is the program with its window, shown on a display that nobody sees. A flowgraph
for a radio that is not here is named with the driver's words.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
import tempfile
import time
from pathlib import Path

import yaml

from flowgraphs.tools.run import load
from flowgraphs.tools.variants import build, sources

RADIOS = ("soapy_", "uhd_", "privsc_soapy", "privsc_uhd")
KINDS = ("threads", "descriptors", "sockets", "processes")
_HANG = 180.0  # [s]
_SETTLE = 5.0  # [s] ZMQ's own threads take a moment to go


def state() -> dict[str, int]:
    """What this process holds now."""
    descriptors = []
    for one in Path("/proc/self/fd").iterdir():
        try:
            descriptors.append(str(one.readlink()))
        except OSError:  # the descriptor with which the folder was read
            continue
    children = sum(len((task / "children").read_text().split()) for task in Path("/proc/self/task").iterdir())
    threads = len(list(Path("/proc/self/task").iterdir()))
    sockets = sum(name.startswith("socket:") for name in descriptors)
    return dict(zip(KINDS, (threads, len(descriptors), sockets, children), strict=True))


def needs_radio(graph: dict) -> bool:
    """Does a flowgraph hold a radio's block."""
    return any(block["id"].startswith(RADIOS) for block in graph["blocks"])


def options(graph: dict) -> dict[str, str]:
    """Arguments with which several of its kind can run on one machine: what it binds gets any free port."""
    parameters = {block["name"] for block in graph["blocks"] if block["id"] == "parameter"}
    bound = {block["parameters"]["address"] for block in graph["blocks"] if block["id"] == "zeromq_push_sink"}
    return dict.fromkeys(parameters & bound, "tcp://127.0.0.1:*")


def once(program: type, arguments: dict[str, str], application=None) -> None:
    """One round. application: Qt's, where the program has a window."""
    top = program(**arguments)
    for _ in range(2):
        top.start()
        if application is not None:
            top.show()
            for _ in range(5):
                application.processEvents()
                time.sleep(0.01)
        time.sleep(0.01)
        top.stop()
        top.wait()
    if application is not None:
        top.close()
        top.deleteLater()
        application.sendPostedEvents(None, 52)  # QEvent.DeferredDelete: now, not when an event loop would begin
        application.processEvents()
    del top
    gc.collect()


def rounds(source: Path, program: Path, times: int, application=None) -> tuple[dict[str, int], dict[str, int], float]:
    """(before, after, seconds)."""
    arguments = options(yaml.safe_load(source.read_text()))
    made = getattr(load(program), program.stem)
    once(made, arguments, application)
    before = state()
    end = time.monotonic() + _SETTLE  # the first round's own threads go
    while time.monotonic() < end and (now := state()) != before:
        before = now
        time.sleep(0.3)
    began = time.monotonic()
    for _ in range(times):
        once(made, arguments, application)
    seconds = time.monotonic() - began
    after, end = state(), time.monotonic() + _SETTLE
    while any(after[kind] > before[kind] for kind in KINDS) and time.monotonic() < end:
        time.sleep(0.2)
        after = state()
    return before, after, seconds


def main(times: int, names: list[str], window: bool = False) -> int:
    """Print a table; 1 where something was left behind."""
    application = None
    if window:
        from PyQt5 import Qt

        application = Qt.QApplication(["restarts"])
    chosen = [source for source in sources() if not names or source.stem in names]
    print(f"{times} rounds each: started, stopped, started again, stopped; before → after")
    print(f"{'flowgraph':18}" + "".join(f"{kind:>14}" for kind in KINDS) + f"{'s':>8}", flush=True)
    leaks = 0
    with tempfile.TemporaryDirectory(prefix="privsc-") as folder:
        programs = build(chosen, Path(folder), window)
        for source, program in zip(chosen, programs, strict=True):
            faulthandler.dump_traceback_later(_HANG, exit=True)
            try:
                before, after, seconds = rounds(source, program, times, application)
            except RuntimeError as error:
                if not needs_radio(yaml.safe_load(source.read_text())):
                    raise
                print(f"{source.stem:18}  not run, no radio: {' '.join(str(error).split())[:80]}", flush=True)
                continue
            leaks += sum(max(0, after[kind] - before[kind]) for kind in KINDS)
            cells = "".join(f"{f'{before[kind]} → {after[kind]}':>14}" for kind in KINDS)
            print(f"{source.stem:18}{cells}{seconds:8.1f}", flush=True)
    faulthandler.cancel_dump_traceback_later()
    print(f"left behind: {leaks}", flush=True)
    return int(leaks > 0)


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    given = [one for one in sys.argv[1:] if one != "--window"]
    count = int(given.pop(0)) if given and given[0].isdigit() else 20
    code = main(count, given, "--window" in sys.argv)
    os._exit(code)  # Qt's teardown at the interpreter's end is not what is looked at
