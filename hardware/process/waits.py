"""What the computer did to this process while it streamed: the evidence behind samples that were lost."""

from __future__ import annotations

import os
from pathlib import Path


class Waits:
    """Differences since the last call; zeros where the kernel does not tell (Linux's schedstat, stat)."""

    def __init__(self) -> None:
        self._waited: dict[str, int] = {}
        self._stolen = self._faults = 0

    def read(self) -> dict[str, float]:
        """waited_ms: of the thread that had work and no processor for longest. stolen_ms: that the machine's host took
        from all processors together. major_faults: pages of this process that were fetched from a disk."""
        waited = _waits()
        longest = max((ns - self._waited.get(name, ns) for name, ns in waited.items()), default=0)
        stolen, faults = _stolen_ms(), _major_faults()
        told = {
            "waited_ms": round(longest * 1e-6, 1),
            "stolen_ms": float(max(0, stolen - (self._stolen or stolen))),
            "major_faults": float(max(0, faults - (self._faults or faults))),
        }
        self._waited, self._stolen, self._faults = waited, stolen, faults
        return told


def _waits() -> dict[str, int]:
    """[ns] that each thread has waited in all."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            found[task.name] = int((task / "schedstat").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError, ValueError):  # the thread has ended, or the kernel was built without
            continue
    return found


def _stolen_ms() -> int:
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        return int(fields[8]) * 1000 // os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0


def _major_faults() -> int:
    try:
        return int(Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[9])
    except (OSError, IndexError, ValueError):
        return 0
