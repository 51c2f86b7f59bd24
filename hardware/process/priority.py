"""Priority for what must be in time."""

from __future__ import annotations

import os
from pathlib import Path

NICE = -15  # before everything else on a busy computer, yet not alone


def hurry() -> bool:
    """Priority for the calling thread and for those that it will start, a driver's too; False where the system does not
    grant it. Linux shares the processor among sessions first: this one, if it is the process's own, needs it as well.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        if os.getsid(0) == os.getpid():
            Path("/proc/self/autogroup").write_text(str(NICE), encoding="ascii")
    except FileNotFoundError:  # a kernel that knows no such groups
        return True
    except OSError:
        return False
    return True
