"""What cannot be read, or must not be: each is refused with one line."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hardware.recordings.cases import Make, sigmf
from tests.hardware.recordings.make import Run, stored, write_sigmf, write_wav


@dataclass(frozen=True)
class Refusal:
    """make: the path that is given; options: of ``privsc radio replay``; words: that its one line must hold."""

    name: str
    make: Make
    words: str
    options: tuple[str, ...] = ()


def broken(change: Callable[[dict[str, Any]], Any], size: int | None = None) -> Make:
    """A recording whose metadata somebody changed; its dataset cut to ``size`` bytes."""

    def make(run: Run, folder: Path) -> Path:
        path = write_sigmf(folder / "r", stored(run, "ci16_le").tobytes()[:size], "ci16_le", run.rate)
        meta = json.loads(path.read_text())
        made = change(meta)
        path.write_text(json.dumps(meta if made is None else made))
        return path

    return make


def _set(name: str, value: Any) -> Make:
    return broken(lambda meta: meta["global"].__setitem__(name, value))


def _text(text: str) -> Make:
    def make(run: Run, folder: Path) -> Path:
        path = sigmf("ci16_le")(run, folder)
        path.write_text(text)
        return path

    return make


def _packed(*members: tuple[str, bytes, bytes]) -> Make:
    """A tar archive of (name, kind of member, content)."""

    def make(run: Run, folder: Path) -> Path:
        path = folder / "r.sigmf"
        with tarfile.open(path, "w") as tar:
            for name, kind, content in members:
                one = tarfile.TarInfo(name)
                one.type, one.size = kind, len(content) if kind == tarfile.REGTYPE else 0
                one.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
                tar.addfile(one, io.BytesIO(content))
        return path

    return make


def _file(name: str, content: bytes) -> Make:
    def make(run: Run, folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _long_header(run: Run, folder: Path) -> Path:
    """A member's name that claims 8 GiB."""
    one = tarfile.TarInfo("x")
    one.type, one.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    path = folder / "r.sigmf"
    path.write_bytes(one.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    return path


_META = json.dumps({"global": {"core:datatype": "ci16_le", "core:sample_rate": 1e6, "core:dataset": "../../etc/passwd"},
                    "captures": [], "annotations": []}).encode()  # fmt: skip


def _mono(run: Run, folder: Path) -> Path:
    path = write_wav(folder / "r.wav", run, 16)
    data = bytearray(path.read_bytes())
    data[22] = 1
    path.write_bytes(bytes(data))
    return path


def _without_rate(meta: dict[str, Any]) -> None:
    del meta["global"]["core:sample_rate"]


def _begins(*samples: int) -> Make:
    return broken(lambda meta: meta.update(captures=[{"core:sample_start": at} for at in samples]))


REFUSED = [
    Refusal("no such recording", lambda run, folder: folder / "gone", "gone.sigmf-meta: no such file"),
    Refusal("a folder", lambda run, folder: folder, "is a folder"),
    Refusal(
        "a device", lambda run, folder: Path("/dev/zero"), "is no file", ("--format", "cs16", "--sample-rate", "1e6")
    ),
    Refusal("raw samples without a format", _file("r.bin", bytes(4000)), "give --format"),
    Refusal("raw samples without a rate", _file("r.cs16", bytes(4000)), "give --sample-rate"),
    Refusal("an empty file", _file("r.cs16", b""), "holds no sample", ("--sample-rate", "1e6")),
    Refusal(
        "a format nobody knows",
        _file("r.bin", bytes(40)),
        "samples must be",
        ("--format", "cs7", "--sample-rate", "1e6"),
    ),
    Refusal("--format for SigMF", sigmf("ci16_le"), "is for raw samples", ("--format", "cs16")),
    Refusal("metadata that is no JSON", _text("{"), "is damaged or not SigMF"),
    Refusal("100,000 brackets", _text("[" * 100_000), "is damaged or not SigMF"),
    Refusal("metadata that is a list", _text("[1]"), "no object 'global'"),
    Refusal("metadata of 40 MB", _text('{"global": {"a": "' + "x" * 40_000_000 + '"}}'), "at most 33554432 bytes"),
    Refusal("real samples", _set("core:datatype", "rf32_le"), "must be complex"),
    Refusal("datatype is a number", _set("core:datatype", 7), "samples must be"),
    Refusal("sample_rate is a word", _set("core:sample_rate", "fast"), "the sample rate must be"),
    Refusal("sample_rate is infinite", _set("core:sample_rate", float("inf")), "the sample rate must be"),
    Refusal(
        "sample_rate 0.5 of the signal's",
        _set("core:sample_rate", 5e5),
        "cannot be one of a signal at 1e+06",
        ("--signal-rate", "1e6"),
    ),
    Refusal("no sample_rate", broken(_without_rate), "core:sample_rate is missing"),
    Refusal(
        "10^12 channels", _set("core:num_channels", 10**12), "core:num_channels must be a whole number from 1 to 64"
    ),
    Refusal("channel 3 of 1", sigmf("ci16_le"), "--channel must be below 1", ("--channel", "3")),
    Refusal("more trailing bytes than bytes", _set("core:trailing_bytes", 1 << 40), "core:trailing_bytes is"),
    Refusal("dataset elsewhere", _set("core:dataset", "../secret"), "must name a file of the same folder"),
    Refusal("metadata only", _set("core:metadata_only", True), "has no samples"),
    Refusal("a wrong checksum", _set("core:sha512", "00" * 64), "do not match core:sha512"),
    Refusal("captures beyond the end", _begins(10**9), "is cut off"),
    Refusal("captures that go back", _begins(9, 3), "must ascend"),
    Refusal(
        "headers of 10^18 bytes",
        broken(lambda meta: meta.update(captures=[{"core:header_bytes": 10**18}])),
        "is cut off",
    ),
    Refusal("chains is a number", _set("privsc:chains", 5), "privsc:chains"),
    Refusal("noise of 10^308 dB", _set("privsc:chains", {"eve": {"noise_db": 1e308}}), "noise_db must be"),
    Refusal("noise is a word", _set("privsc:chains", {"eve": {"noise_db": "loud"}}), "noise_db must be"),
    Refusal("seed -1", _set("privsc:chains", {"eve": {"seed": -1}}), "seed must be"),
    Refusal("front end is a word", _set("privsc:front_end", "best"), "privsc:front_end"),
    Refusal("an archive that is none", _file("r.sigmf", b"no tar" * 500), "is no tar archive"),
    Refusal("a compressed archive", _file("r.sigmf", b"\x1f\x8b" + bytes(600)), "is compressed"),
    Refusal("an archive with a link", _packed(("a/a.sigmf-meta", tarfile.SYMTYPE, b"")), "is no plain file"),
    Refusal(
        "an archive whose dataset is elsewhere", _packed(("a/a.sigmf-meta", tarfile.REGTYPE, _META)), "same folder"
    ),
    Refusal(
        "an archive of two",
        _packed(("a.sigmf-meta", tarfile.REGTYPE, _META), ("b.sigmf-meta", tarfile.REGTYPE, _META)),
        "must hold one recording",
    ),
    Refusal("an archive whose header has 8 GiB", _long_header, "a header of the archive asks for"),
    Refusal("a WAV that is none", _file("r.wav", bytes(400)), "is no WAV file"),
    Refusal("a WAV with one channel", _mono, "I and Q are two channels; got 1"),
]
