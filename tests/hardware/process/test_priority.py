"""Priority is taken where the system grants it, and done without where it does not."""

import json
import subprocess
import sys

from hardware.process.priority import NICE
from tests.hardware.conftest import ROOT

CODE = """
import json, os, threading
from pathlib import Path
from hardware.process.priority import hurry
granted = hurry()
seen = []
thread = threading.Thread(target=lambda: seen.append(os.getpriority(os.PRIO_PROCESS, 0)))
thread.start(), thread.join()
print(json.dumps([granted, seen[0]]))
"""


def test_threads_that_are_started_later_have_it():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, cwd=ROOT, timeout=60, start_new_session=True
    )
    assert done.returncode == 0, done.stderr
    granted, nice = json.loads(done.stdout)
    assert granted == (nice == NICE)


def test_without_the_right_it_goes_on():
    """As somebody who may raise no priority."""
    limited = "import resource; resource.setrlimit(resource.RLIMIT_NICE, (0, 0))\nimport os\n"
    limited += "if os.getuid() == 0: os.setgid(65534), os.setuid(65534)\n"
    code = "from hardware.process.priority import hurry\n" + limited
    code += "print(hurry(), os.getpriority(os.PRIO_PROCESS, 0) >= 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, start_new_session=True
    )
    assert done.stdout.split() == ["False", "True"], done.stderr
