"""Benchmarks beside peers from public packages, run in turns in one process or the same minute; ratios count.

    make bench                                        all of them, one table: results/bench/table.md
    PYTHONPATH=. /usr/bin/python3 -s -m benchmarks.bench_burst --frames 1000        one, with its own figures

`table` holds the clock, the turns and the rows; `run` runs all. Every command pins the numerical libraries to one
thread: what is compared is work, not how many threads share it.
"""

import os
import sys

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")

if sys.argv[:1] == ["-m"]:  # "python -m benchmarks.…" has not yet found its module, so numpy is not loaded either
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
