"""The table of an experiment: a row for each transmission, as CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from privsc.errors import ExperimentError

Row = dict[str, Any]


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Names of the columns, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


def to_csv(rows: Sequence[Row]) -> bytes:
    """CSV with a heading; absent values are empty, floats have all their digits, so equal tables have equal bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if value is None else value for name, value in row.items()})
    return text.getvalue().encode()


def to_parquet(rows: Sequence[Row]) -> bytes:
    """The same as Parquet, typed: whole numbers, floats, booleans, text."""
    import pyarrow as pa
    from pyarrow import parquet

    arrays = {
        name: pa.array([row.get(name) for row in rows], _type([row.get(name) for row in rows]))
        for name in columns_of(rows)
    }
    sink = io.BytesIO()
    parquet.write_table(pa.table(arrays), sink)
    return sink.getvalue()


def _type(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    for kind, arrow in ((bool, pa.bool_()), (int, pa.int64()), (float, pa.float64())):
        if kinds and kinds <= ({int, float} if kind is float else {kind}):
            return arrow
    return pa.string()


def read_table(path: Path) -> list[Row]:
    """The rows of a Parquet file that a sweep wrote.

    Raises:
        ExperimentError: where there is none.
    """
    from pyarrow import ArrowException, parquet

    if not path.is_file():
        raise ExperimentError(f"{path}: no such file; run 'privsc sweep' into this folder first")
    try:
        return parquet.ParquetFile(path).read().to_pylist()
    except (ArrowException, OSError) as error:
        raise ExperimentError(f"{path}: is damaged; run the same 'privsc sweep' again, which writes it anew") from error
