"""Work spread over processes with Dask: a cluster of this machine by default, or one that exists.

    groups of work ──► scheduler ──► workers, one thread each ──► rows in the shared folder, as each is done

Each worker computes on one thread, whatever the number of workers: results are equal to the last bit.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from privsc.errors import ExperimentError

POLL = 0.4  # [s]
_CONNECT = "20s"

Run = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]], Callable[[], None]], None]
"""Called as run(function, arguments of each task, tick): does all, calls tick now and then meanwhile."""


def here(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], tick: Callable[[], None]) -> None:
    """Everything in this process, one after the other."""
    for arguments in tasks:
        function(*arguments)
        tick()


@contextmanager
def spread(workers: int | None, scheduler: str | None) -> Iterator[tuple[Run, int]]:
    """How to run tasks, and on how many workers.

    Args:
        workers: processes of a cluster of this machine; None one for each core; 0 no cluster but this process.
        scheduler: address of a Dask scheduler that runs already, instead.

    Raises:
        ExperimentError: where no scheduler answers there, or it has no workers.
    """
    if workers == 0 and scheduler is None:
        yield here, 1
        return
    import dask
    from distributed import Client, LocalCluster

    quiet = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": [],
             "distributed.comm.timeouts.connect": _CONNECT}  # fmt: skip
    with dask.config.set(quiet):
        if scheduler is not None:
            with _client(Client, scheduler) as client:
                count = len(client.scheduler_info(n_workers=-1)["workers"])
                if count == 0:
                    raise ExperimentError(f"--scheduler: {scheduler} has no workers; start some with 'dask worker'")
                yield _on(client), count
            return
        count = workers or os.cpu_count() or 1
        # Encrypted and with a certificate made for this run: other users of this machine cannot send it work.
        with (
            LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                security=True,
                dashboard_address=None,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield _on(client), count


@contextmanager
def _client(kind: Any, scheduler: str) -> Iterator[Any]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = kind(scheduler, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ExperimentError(f"--scheduler: nothing answers at {scheduler}; is 'dask scheduler' running?") from error
    with client:
        yield client


def _on(client: Any) -> Run:
    def run(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], tick: Callable[[], None]) -> None:
        from distributed.scheduler import KilledWorker

        waiting = {client.submit(function, *arguments, pure=False) for arguments in tasks}
        try:
            while waiting:
                done = {future for future in waiting if future.done()}
                for future in done:
                    future.result()
                waiting -= done
                tick()
                if waiting:
                    time.sleep(POLL)
        except KilledWorker as error:
            raise ExperimentError(
                "workers died again and again at the same work (out of memory?); try fewer with --workers, what is "
                "done is kept"
            ) from error
        finally:
            client.cancel(list(waiting), force=True)

    return run
