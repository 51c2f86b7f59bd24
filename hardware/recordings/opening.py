"""Any recording by its path: which kind of file it is, and what it holds.

NAME, NAME.sigmf-meta, .sigmf-data ──► metadata ─┐
NAME.sigmf (archive) ──► archive ──► metadata ───┼──► Recording
.wav ──► wav ────────────────────────────────────┤
.cu8 .cs8 .cs16 .cf32 … (or --format) ───────────┘
"""

from __future__ import annotations

from pathlib import Path

from hardware.errors import RecordingError
from hardware.recordings import archive, metadata, wav
from hardware.recordings.recording import Recording, checked_rate
from hardware.recordings.samples import SampleFormat, SampleSource, regular_size

# Endings of raw files, and what they hold by custom (rtl_sdr, hackrf_transfer, inspectrum, gqrx, GNU Radio).
RAW = {
    "cu8": "cu8", "cs8": "ci8", "ci8": "ci8", "cs16": "ci16_le", "ci16": "ci16_le", "sc16": "ci16_le",
    "cu16": "cu16_le", "cs32": "ci32_le", "ci32": "ci32_le", "cf32": "cf32_le", "fc32": "cf32_le",
    "cfile": "cf32_le", "c64": "cf32_le", "cf64": "cf64_le", "fc64": "cf64_le",
}  # fmt: skip


def open_recording(
    path: Path, *, form: str | None = None, sample_rate: float | None = None, channel: int = 0
) -> Recording:
    """Whatever ``path`` is: SigMF (with either ending or none), an archive, a WAV file, raw samples.

    Args:
        path: Of the recording.
        form: Of raw samples, as ``cs16`` or ``ci16_be``; by the file's ending where left out.
        sample_rate: [samples/s] of raw samples, or in the place of what the file says.
        channel: Which one of an interleaved recording.

    Raises:
        RecordingError: One line with the reason why it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise RecordingError(f"{path}: is a folder; name a recording in it")
    if sample_rate is not None:
        checked_rate(sample_rate, "--sample-rate")
    kind = path.suffix.lower().lstrip(".")
    if form is not None or kind in RAW:
        found = _raw(path, kind, form, sample_rate, channel)
    elif kind == "wav":
        found = wav.read(path, channel, sample_rate)
    elif kind == "sigmf" and path.is_file():
        found = archive.read(path, channel, sample_rate)
    elif kind == "sigmf-collection":
        raise RecordingError(f"{path}: is a collection of recordings; name one of them")
    else:
        found = _sigmf(path, kind, channel, sample_rate)
    if found.samples == 0:
        raise RecordingError(f"{path}: holds no sample")
    return found


def _sigmf(path: Path, kind: str, channel: int, sample_rate: float | None) -> Recording:
    base = path.with_suffix("") if kind in ("sigmf-meta", "sigmf-data", "sigmf") else path
    meta = base.with_name(base.name + ".sigmf-meta")
    if meta.exists() or kind in ("sigmf-meta", "sigmf-data", "sigmf"):
        return metadata.read(meta, channel, sample_rate)
    packed = base.with_name(base.name + ".sigmf")
    if packed.is_file():
        return archive.read(packed, channel, sample_rate)
    if path.is_file():
        raise RecordingError(
            f"{path}: nothing says how its samples are stored; give --format (as cs16) and --sample-rate"
        )
    raise RecordingError(
        f"{meta}: no such file; a recording is NAME.sigmf-meta and .sigmf-data, NAME.sigmf, a .wav, or raw samples "
        f"({', '.join('.' + name for name in RAW)})"
    )


def _raw(path: Path, kind: str, form: str | None, sample_rate: float | None, channel: int) -> Recording:
    """Samples and nothing else; what is no whole sample at the end is left out."""
    if kind in ("wav", "sigmf", "sigmf-meta", "sigmf-data"):
        raise RecordingError(f"--format: is for raw samples; {path.name} says itself how its samples are stored")
    named = form or kind
    stored = SampleFormat.named(RAW.get(named.lower(), named.lower()), "--format" if form else str(path))
    size = regular_size(path)
    if sample_rate is None:
        raise RecordingError(f"{path}: raw samples do not say their rate; give --sample-rate")
    source = SampleSource(path, stored, ((0, size // stored.size),), 1, channel)
    return Recording(source, sample_rate, captures=1, about=f"raw {stored.name}")
