"""Recordings as SigMF, written with the sigmf package: models side only (the package is in .venv).

Core fields, an annotation for each frame, and fields of our own in the namespace ``privsc``:

    global       privsc:codec, privsc:coding, privsc:k_digest, privsc:seed, privsc:models {file: SHA-256},
                 privsc:profile, privsc:signal_rate [samples/s], privsc:front_end {dc_block, swap_iq},
                 privsc:chains {name: {noise_db, seed, frames, digest}}, privsc:payloads {name: SHA-256}
    annotations  one a frame: privsc:sequence, privsc:kind, privsc:image_id, privsc:snr_db, privsc:cfo,
                 privsc:clock_ppm, privsc:crc_ok, privsc:codec
    captures     one from each gap on: privsc:lost (samples, null where unknown), privsc:why

Every field of the namespace is optional to readers: any SigMF program opens the file. ``hardware.recordings`` reads.
"""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardware.errors import RecordingError

NAMESPACE = "privsc"
EXTENSION = {"name": NAMESPACE, "version": "1.0.0", "optional": True}
MAX_ANNOTATIONS = 40_000  # frames beyond are left out: readers bound what they take
DATATYPES = {"CF32": "cf32_le", "CS16": "ci16_le"}


def base_of(path: Path) -> Path:
    """The recording's name without the ending of either file."""
    return path.with_suffix("") if path.suffix in (".sigmf-meta", ".sigmf-data", ".sigmf") else path


def partial_data(path: Path) -> Path:
    """Where the samples go until the recording is complete."""
    base = base_of(path)
    if not base.parent.is_dir():
        raise RecordingError(f"{base.parent}: no such folder; make it or name another place")
    return base.parent / f".{base.name}.{os.getpid()}.partial"


def write(
    path: Path,
    data: Path,
    *,
    form: str,
    sample_rate: float,
    frequency: float,
    hardware: str,
    started: datetime.datetime,
    frames: Sequence[Mapping[str, Any]],
    gaps: Sequence[Mapping[str, Any]],
    fields: Mapping[str, Any],
) -> Path:
    """Samples in ``data`` to a recording named ``path``; both files appear complete or not at all.

    frames: fields of frame events (start, end, sequence, ...). gaps: {at, lost, why}. fields: ours, for "global".
    """
    from sigmf import SigMFFile
    from sigmf.error import SigMFError

    base = base_of(path)
    stamp = started.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    try:
        meta = SigMFFile(
            data_file=data,
            global_info={
                "core:datatype": DATATYPES[form],
                "core:sample_rate": sample_rate,
                "core:version": "1.2.0",
                "core:description": "frames of privsc at a receiver's antenna",
                "core:recorder": "privsc radio record",
                "core:hw": hardware,
                "core:extensions": [EXTENSION],
                **{f"{NAMESPACE}:{key}": value for key, value in fields.items()},
            },
        )
        meta.add_capture(0, {"core:frequency": frequency, "core:datetime": stamp})
        for gap in gaps:
            if gap["at"] > 0:
                meta.add_capture(
                    int(gap["at"]),
                    {"core:frequency": frequency, f"{NAMESPACE}:lost": gap["lost"], f"{NAMESPACE}:why": gap["why"]},
                )
        for one in sorted(frames, key=lambda frame: frame["start"])[:MAX_ANNOTATIONS]:
            start = max(0, int(one["start"]))
            meta.add_annotation(
                start,
                int(one["end"]) - start,
                {
                    "core:label": f"{one['kind']} {one['sequence']}",
                    "core:generator": f"{NAMESPACE} {one['chain']}",
                    **{
                        f"{NAMESPACE}:{key}": one[key]
                        for key in ("kind", "sequence", "image_id", "snr_db", "cfo", "clock_ppm", "crc_ok", "codec")
                    },
                },
            )
        meta.validate()
        described = json.loads(meta.dumps())
        del described["global"]["core:dataset"]  # the name of the moment; a reader finds the samples by the common name
        text = json.dumps(described, indent=2)
    except (SigMFError, OSError, ValueError) as error:
        raise RecordingError(f"{base}: the recording cannot be described ({error})") from error
    handle, temporary = tempfile.mkstemp(prefix=f".{base.name}.", suffix=".partial", dir=base.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        data.chmod(0o600)  # who sent when, and from which radio, is for the owner to share
        data.replace(base.with_name(base.name + ".sigmf-data"))
        Path(temporary).replace(base.with_name(base.name + ".sigmf-meta"))
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise RecordingError(f"{base}: cannot be written ({error.strerror}); choose another place") from error
    return base.with_name(base.name + ".sigmf-meta")
