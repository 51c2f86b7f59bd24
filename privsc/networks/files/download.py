"""Downloads that can be trusted and interrupted: the only use of the network in this project.

    GET, Range from what is there, If-Range its ETag ──► NAME.partial ──size, SHA-256──► NAME (rename)

An interrupted download leaves ``NAME.partial`` and its ETag in ``NAME.partial.etag``; the next one goes on from there
where the server still has the same file and can send a part of it, and begins anew where not.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import requests

from privsc.errors import FetchError
from privsc.networks.files.catalogue import RemoteFile, Source
from privsc.networks.files.sd_layout import write_configs

BLOCK = 1 << 16  # [bytes]; a broken connection costs less than one
TIMEOUT = (15, 60)  # [s], to connect and between two blocks
IDLE_ATTEMPTS = 3  # in a row without a byte, after which the network counts as gone
PAUSE = 1.0  # [s] before another attempt, which goes on where the last one broke off
BROKEN = (
    requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError, requests.exceptions.Timeout,
)  # fmt: skip

Progress = Callable[[int, int, str], None]
"""Called as progress(bytes done, bytes in all, file)."""


def fetch(source: Source, models: Path, progress: Progress | None = None, mirror: str | None = None) -> Path:
    """Fetch what is missing of a full model, and return its file or folder.

    Args:
        models: the models folder.
        mirror: address to take the files from instead of the source's; their SHA-256 must be the same.

    Raises:
        FetchError: without a network, for an answer that is an error, a wrong size or SHA-256, or a full disk.
    """
    base = (mirror or source.url).rstrip("/") + "/"
    if not base.startswith(("https://", "http://")):
        raise FetchError(f"{base}: an address to fetch from starts with https:// or http://")
    folder = source.folder(models)
    done = 0
    for file in source.files:
        start = done

        def tell(now: int, name: str = file.name, start: int = start) -> None:
            if progress is not None:
                progress(start + now, source.size, name)

        target = folder / file.name
        if not (target.is_file() and target.stat().st_size == file.size):
            fetch_file(base + file.name, target, file, tell)
        done += file.size
        tell(file.size)
    if len(source.files) > 1:
        write_configs(folder)
    return source.result(models)


def fetch_file(url: str, target: Path, file: RemoteFile, tell: Callable[[int], None]) -> None:
    """Fetch one file to ``target``, going on from an earlier attempt; ``tell`` gets the bytes that are there."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(
            f"{target.parent}: cannot be made ({error.strerror}); choose another folder with --to"
        ) from error
    partial = target.with_name(target.name + ".partial")
    with _locked(partial) as out:
        _check_space(partial, file.size - partial.stat().st_size)
        idle = 0
        while True:
            before = partial.stat().st_size
            try:
                _receive(url, partial, out, file, tell)
                break
            except BROKEN as error:
                idle = 0 if partial.stat().st_size > before else idle + 1
                if idle == IDLE_ATTEMPTS:
                    raise FetchError(
                        f"{url}: {_reason(error)}; check the network and repeat the command, which goes on from here"
                    ) from error
            except requests.exceptions.RequestException as error:
                raise FetchError(f"{url}: {_reason(error)}; check the address") from error
            time.sleep(PAUSE)
        _check_contents(url, partial, file)
        os.fsync(out.fileno())
        partial.replace(target)
        _etag_file(partial).unlink(missing_ok=True)


def _receive(url: str, partial: Path, out: BinaryIO, file: RemoteFile, tell: Callable[[int], None]) -> None:
    """One request; what arrives is appended."""
    there = out.seek(0, os.SEEK_END)
    if there > file.size:  # of another file, or written by another program
        there = _begin_anew(partial, out)
    if there == file.size:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "privsc"}
    etag = _etag_file(partial)
    if there and etag.is_file():
        headers |= {"Range": f"bytes={there}-", "If-Range": etag.read_text()}
    elif there:  # nothing says that the server's file is the one that was begun; its SHA-256 will
        headers |= {"Range": f"bytes={there}-"}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:
            _begin_anew(partial, out)
            raise requests.exceptions.ConnectionError("the server cannot go on from what is there")
        if answer.status_code >= 500:
            raise requests.exceptions.ConnectionError(f"the server answers {answer.status_code} {answer.reason}")
        if answer.status_code not in (200, 206):
            raise FetchError(
                f"{url}: the server answers {answer.status_code} {answer.reason}; the file may have moved, see --help"
            )
        if answer.status_code == 200 and there:  # no Range here, or another file now
            there = _begin_anew(partial, out)
        if answer.status_code == 206 and not _continues(answer, there):
            raise FetchError(f"{url}: the server sent another part than was asked for; remove {partial} and repeat")
        length = answer.headers.get("Content-Length", "")
        if length.isdigit() and there + int(length) != file.size:
            raise FetchError(
                f"{url}: the server offers {there + int(length)} bytes instead of {file.size}; it is another file"
            )
        tag = answer.headers.get("ETag", "")
        if tag and not tag.startswith("W/"):  # a weak tag does not promise the same bytes
            etag.write_text(tag)
        else:
            etag.unlink(missing_ok=True)
        tell(there)
        for block in answer.iter_content(BLOCK):
            if there + len(block) > file.size:
                raise FetchError(f"{url}: the server sends more than {file.size} bytes; it is another file")
            _write(partial, out, block)
            there += len(block)
            tell(there)
    if there < file.size:
        raise requests.exceptions.ConnectionError(f"the connection ended after {there} of {file.size} bytes")


def _continues(answer: requests.Response, there: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {there}-")


def _begin_anew(partial: Path, out: BinaryIO) -> int:
    out.truncate(0)
    out.seek(0)
    _etag_file(partial).unlink(missing_ok=True)
    return 0


def _write(partial: Path, out: BinaryIO, block: bytes) -> None:
    try:
        out.write(block)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FetchError(
                f"{partial.parent}: the disk is full; free space and repeat the command, which goes on from here, or "
                "choose another folder with --to"
            ) from error
        raise FetchError(f"{partial}: cannot be written ({error.strerror})") from error


def _check_space(partial: Path, wanted: int) -> None:
    free = shutil.disk_usage(partial.parent).free
    if wanted > free:
        raise FetchError(
            f"{partial.parent}: {wanted / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; free space or "
            "choose another folder with --to"
        )


def _check_contents(url: str, partial: Path, file: RemoteFile) -> None:
    with partial.open("rb") as read:
        found = hashlib.file_digest(read, "sha256").hexdigest()
    if found != file.sha256:
        partial.unlink()
        _etag_file(partial).unlink(missing_ok=True)
        raise FetchError(
            f"{url}: its SHA-256 is {found[:12]}..., {file.sha256[:12]}... is wanted; what arrived was removed, repeat "
            "the command"
        )


@contextmanager
def _locked(partial: Path) -> Iterator[BinaryIO]:
    """The partial file, opened for one process alone."""
    try:
        out = partial.open("ab", buffering=0)
    except OSError as error:
        raise FetchError(f"{partial}: cannot be written ({error.strerror}); choose another folder with --to") from error
    with out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FetchError(f"{partial}: is being fetched by another command; wait for it to end") from error
        yield out


def _etag_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".etag")


def _reason(error: Exception) -> str:
    """The innermost words of an error of requests, without the addresses of objects."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    text = " ".join(str(inner).split()) or type(inner).__name__
    return f"no connection ({text[:160]})" if isinstance(error, requests.exceptions.ConnectionError) else text[:160]
