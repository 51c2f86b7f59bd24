"""`python -m tests.hardware.recordings`: what becomes of every kind of recording; exit code 1 where one fails.

--made: samples made without the virtual radio. --frames N: of the resampler's measurement; 0 leaves it out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

from hardware.recordings.opening import open_recording
from privsc.cli.app import main as privsc
from privsc.radio.replay import ReplayOptions, front_end_lines, heard_again
from tests.hardware.recordings.cases import LOSSLESS, LOSSY, Case
from tests.hardware.recordings.loss import losses
from tests.hardware.recordings.make import Run
from tests.hardware.recordings.refusals import REFUSED, Refusal
from tests.hardware.recordings.runs import FRAMES, live_run, made_run


def read_row(case: Case, run: Run, folder: Path) -> tuple[bool, str]:
    """(is it as it must be, what is printed)."""
    begun = time.monotonic()
    recording = open_recording(case.make(run, folder), **case.opening)
    _, figures = heard_again(recording, "bob")
    same = figures["payload_sha256"] == run.digests["bob"]
    good = figures["frames"] == FRAMES and (same if case.lossless else figures["crc_ok"] == FRAMES)
    eve = ""
    if case.eve:
        _, hers = heard_again(recording, "eve")
        good = good and hers["identical"] is True
        eve = f", Eve's {hers['frames'] - hers['crc_ok']} wrong ones {'too' if hers['identical'] else 'NOT'}"
    told = "; ".join(front_end_lines(figures))
    if figures["front_end"]["dc_removed"] or figures["front_end"]["swapped_iq"]:
        plain = ReplayOptions(figures["recording"]["signal_rate"], "no", "no")
        told += f"; without that {heard_again(recording, 'bob', plain)[1]['frames']} frames"
    digest = f"payloads {'equal the run' if same else 'differ'}{eve}"
    return good, f"{figures['frames']}/{FRAMES} frames, {figures['crc_ok']} exact, {digest}" + (
        f" ({told})" if told else ""
    ) + f", {time.monotonic() - begun:.1f} s"


def refused_row(case: Refusal, run: Run, folder: Path) -> tuple[bool, str]:
    """(one line that says why, and exit code 2; what is printed)."""
    path, out, err = case.make(run, folder), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = privsc(["radio", "replay", str(path), "--as", "eve", "--out", str(folder / "out"), *case.options])
    lines = [line for line in err.getvalue().splitlines() if line.startswith("privsc: ")]
    good = code == 2 and len(lines) == 1 and case.words in lines[0] and "Traceback" not in err.getvalue()
    shown = (lines or [err.getvalue()[-300:]])[0].removeprefix("privsc: ").replace(str(folder) + "/", "")
    return good, f"exit {code}: {shown[:150]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--made", action="store_true")
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    given = parser.parse_args()
    wrong = total = 0

    def show(name: str, good: bool, told: str) -> None:
        nonlocal wrong, total
        wrong, total = wrong + (not good), total + 1
        print(f"{'ok  ' if good else 'FAIL'} {name:<46} {told}", flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        run = made_run() if given.made else live_run(place)
        if not given.made:
            recording = open_recording(place / "live")
            told = [heard_again(recording, who)[1]["identical"] for who in ("bob", "eve")]
            show(
                "the run's own recording (virtual radio)",
                told == [True, True],
                f"as live: Bob {told[0]}, Eve {told[1]}",
            )
        for number, case in enumerate([*LOSSLESS, *LOSSY, *REFUSED]):
            if given.only not in case.name:
                continue
            folder = place / str(number)
            folder.mkdir()
            show(case.name, *(refused_row if isinstance(case, Refusal) else read_row)(case, run, folder))
    if given.frames:
        curve, rows = losses(given.frames)
        told = ", ".join(f"{9 - one.loss_db:.1f} dB {one.per:.4f}" for one in curve)
        print(f"packet error rate at the signal's own rate: {told} ({curve[0].frames} frames each)")
        for one in rows:
            show(
                f"{one.ratio:g} times the rate, 9 dB",
                one.loss_db <= 0.3,
                f"PER {one.per:.4f}, lost {one.loss_db:+.2f} dB",
            )
    print(f"{total - wrong} of {total} as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
