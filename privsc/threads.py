"""One thread for a computation whose result must be the same on any machine and with any number of workers.

Sums of floating-point numbers depend on how many threads share them: torch and the BLAS under numpy give other last
digits on four cores than on two, and a mask or a threshold made of them is then another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


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
