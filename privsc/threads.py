"""Threads of the numerical libraries: how they wait, and one thread where a result must not depend on their number.

Sums of floating-point numbers depend on how many threads share them: torch and the BLAS under numpy give other last
digits on four cores than on two, and a mask or a threshold made of them is then another one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

SPINS = 2000
"""Rounds for which an idle OpenMP thread waits actively. libgomp's own 300,000 cost two processes with two threads each
on two cores five times their time; none at all costs one process alone a fifth."""


def set_waiting_policy() -> None:
    """Let OpenMP threads sleep soon when they wait; to be called before torch is imported. What the user set stays."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))  # GNU's library, which torch's builds for Linux carry
        os.environ.setdefault("KMP_BLOCKTIME", "1")  # LLVM's and Intel's [ms]


@contextmanager
def one_thread() -> Iterator[None]:
    """torch, BLAS and OpenMP on one thread within; as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)
