"""What the computer did to a process is told."""

import os
import subprocess
import sys
import time
from pathlib import Path

from hardware.process.waits import Waits


def test_a_thread_that_shares_its_processor_has_waited():
    before = os.sched_getaffinity(0)
    one = {min(before)}
    command = [sys.executable, "-c", "while True: pass"]
    os.sched_setaffinity(0, one)
    try:
        with subprocess.Popen(command) as other:
            waits = Waits()
            waits.read()
            until = time.process_time() + 0.3
            while time.process_time() < until:
                pass
            told = waits.read()
            other.kill()
    finally:
        os.sched_setaffinity(0, before)
    assert set(told) == {"waited_ms", "stolen_ms", "major_faults"}
    assert told["waited_ms"] > 30 or not Path("/proc/self/schedstat").exists()
    assert min(told.values()) >= 0
