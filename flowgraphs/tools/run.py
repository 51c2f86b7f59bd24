"""Runs a photograph through a flowgraph without gnuradio-companion: worker, grcc, flowgraph, results, end.

    python3 -s -m flowgraphs.tools.run IMAGE --db K.db --out DIR          loopback.grc without a window
    python3 -s -m flowgraphs.tools.run IMAGE --db K.db --window           the same with its window, until that is closed
    python3 -s -m flowgraphs.tools.run IMAGE --worker ipc://worker --snr 10 --eve-snr 5 --codec ae8x4+outer

Writes what `privsc run` writes. Runs in the distribution's Python; the worker runs in .venv.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
CODECS = ("image8x2", "image8x4", "image8x8", *(f"ae8x{n}{end}" for n in (2, 4, 8) for end in ("", "+outer")))
MODELS_PYTHON = Path(os.environ.get("PRIVSC_MODELS_PYTHON") or ROOT / ".venv" / "bin" / "python")


class RunError(RuntimeError):
    """Why there is no result, in one line."""


@contextmanager
def worker(database: Path, python: Path = MODELS_PYTHON) -> Iterator[str]:
    """A worker with every role for as long as the block runs; gives its endpoint. It ends even when we are killed."""
    if not python.exists():
        raise RunError(
            f"{python}: the models side is not installed; run 'make setup', or name its Python in PRIVSC_MODELS_PYTHON"
        )
    command = [
        str(python),
        "-m",
        "privsc",
        "worker",
        "all",
        "--db",
        str(database),
        "--until-eof",
        "--endpoint",
        "ipc://*",
    ]
    process = subprocess.Popen(command, cwd=Path.cwd(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise RunError(f"the worker ended with code {process.wait()}; its message is above")
        yield json.loads(line)["endpoint"]
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def load(path: Path) -> ModuleType:
    """The module that grcc made."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options(arguments: argparse.Namespace, endpoint: str) -> dict:
    """The flowgraph's parameters."""
    eve = arguments.snr if arguments.eve_snr is None else arguments.eve_snr
    return {
        "image": str(arguments.image),
        "worker": endpoint,
        "folder": str(arguments.out),
        "snr_of_bob": arguments.snr,
        "snr_of_eve": eve,
        "cfo": arguments.cfo,
        "clock_ppm": arguments.clock_ppm,
        "seed": arguments.seed,
        "max_side": arguments.max_side,
        "class_word": arguments.eve_class,
        "codec": arguments.codec,
    }


def say(line: str) -> None:
    """Where the run is, on a terminal; the next line takes its place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line[:120]}", end="", file=sys.stderr, flush=True)


def progress(top) -> str:
    """What the flowgraph is at."""
    if not top.guard.counts["answered"]:
        return "guard: looking for what is private"
    sent, bob, eve = (one.counts["frames"] for one in (top.encoder, top.assembler_bob, top.assembler_eve))
    if min(bob, eve) < sent:
        width = 30 * bob // max(sent, 1)
        return f"on the air [{'=' * width}{' ' * (30 - width)}] frames: {sent} sent, {bob} at Bob, {eve} at Eve"
    waiting = [who for who in ("bob", "eve") if not getattr(top, f"recovery_{who}").counts["answered"]]
    return f"recovery: {', '.join(waiting)}" if waiting else "report"


def headless(program: Path, parameters: dict, timeout: float) -> dict:
    """Start the flowgraph, wait for its report, stop it; counters of its blocks."""
    top = getattr(load(program), program.stem)(**parameters)
    top.start()
    try:
        end = time.monotonic() + timeout
        while not (done := top.report.wait(0.3)) and time.monotonic() < end:
            say(progress(top))
    finally:
        say("")
        top.stop()
        top.wait()
    names = ("source", "guard", "encoder", "receiver_bob", "receiver_eve", "assembler_bob", "assembler_eve",
             "recovery_bob", "recovery_eve", "report")  # fmt: skip
    counts = {name: {k: v for k, v in getattr(top, name).counts.items() if v} for name in names}
    if not done:
        raise RunError(f"no report within {timeout:g} s; counters: {json.dumps(counts)}")
    return counts


def window(program: Path, parameters: dict) -> None:
    """Run the program with its window until that is closed."""
    from flowgraphs.tools.variants import environment

    named = [f"--{name.replace('_', '-')}={value}" for name, value in parameters.items()]
    done = subprocess.run([sys.executable, str(program), *named], env=environment())
    if done.returncode:
        raise RunError(f"the flowgraph's program ended with code {done.returncode}; its message is above")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        prog="flowgraphs.tools.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", type=Path, help="photograph to send")
    parser.add_argument("--db", type=Path, metavar="K.db", help="privacy database K; not needed with --worker")
    parser.add_argument("--out", type=Path, default=Path("results/radio"), help="folder for the results")
    parser.add_argument("--snr", type=float, default=15.0, help="Es/N0 at Bob in dB")
    parser.add_argument("--eve-snr", type=float, help="Es/N0 at Eve in dB; Bob's if left out")
    parser.add_argument("--cfo", type=float, default=0.1, help="carrier offset in rad/sample")
    parser.add_argument("--clock-ppm", type=float, default=50.0, help="offset of the sample clocks in ppm")
    parser.add_argument("--seed", type=int, default=0, help="of noise, fractional delay and recovery")
    parser.add_argument("--max-side", type=int, default=640, help="larger photographs are scaled down to this [px]")
    parser.add_argument("--codec", default="image8x4", choices=CODECS, help="of the body; image8x4 if left out")
    parser.add_argument("--eve-class", default="", metavar="WORD", help="class word that Eve knows")
    parser.add_argument("--worker", metavar="ENDPOINT", help="a worker that runs already")
    parser.add_argument("--window", action="store_true", help="show the flowgraph's window")
    parser.add_argument("--timeout", type=float, default=600.0, help="give up after this many seconds")
    given = parser.parse_args(arguments)
    numbers = {"snr": given.snr, "cfo": given.cfo, "clock-ppm": given.clock_ppm, "timeout": given.timeout}
    if given.eve_snr is not None:
        numbers["eve-snr"] = given.eve_snr
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise RunError(f"--{name}: must be a finite number; got {value}")
    if not given.image.is_file():
        raise RunError(f"{given.image}: no such file; give the path of a photograph")
    if given.db is None and given.worker is None:
        raise RunError("--db: give the privacy database K, or --worker with the endpoint of a running worker")
    return given


def run(given: argparse.Namespace, endpoint: str) -> None:
    """Compile, run, and say what came out."""
    from flowgraphs.tools.variants import HERE, CompileError, build

    with tempfile.TemporaryDirectory(prefix="privsc-") as folder:
        try:
            (program,) = build([HERE / "loopback.grc"], Path(folder), given.window)
        except CompileError as error:
            raise RunError(str(error)) from error
        parameters = options(given, endpoint)
        if given.window:
            return window(program, parameters)
        began = time.monotonic()
        counts = headless(program, parameters, given.timeout)
        seconds = time.monotonic() - began
    report = json.loads((given.out / "report.json").read_text())
    link = report["link"]
    lost, at_eve = link["frames_lost"], link["eve_frames_lost"]
    print(
        f"frames: {link['frames_sent']} sent, {lost} of Bob's lost, {at_eve} of Eve's; "
        f"{link['channel_uses']} symbols, {seconds:.1f} s"
    )
    for who in ("bob", "eve"):
        one = report[who]
        known = one["identified"] or "nobody"
        shown = "-" if one["psnr_private"] is None else f"{one['psnr_private']:.2f} dB"
        print(f"{who}: private PSNR {shown}, recognised as {known}")
    print(f"counters: {json.dumps(counts)}")
    print(f"results in {given.out}")


def main() -> int:
    try:
        given = parse()
        if given.worker:
            run(given, given.worker)
        else:
            with worker(given.db) as endpoint:
                run(given, endpoint)
        return 0
    except RunError as error:
        print(f"flowgraphs.tools.run: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("flowgraphs.tools.run: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
