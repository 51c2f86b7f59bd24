"""Where passphrases and keys of K come from, and key files: never from a command line, never readable by others.

sealed with a passphrase    the first line of the file that PRIVSC_K_PASSPHRASE_FILE names, else a prompt
sealed with a key file      the file that PRIVSC_K_KEY_FILE names
"""

from __future__ import annotations

import base64
import binascii
import getpass
import os
import secrets
import stat
import sys
from pathlib import Path

from privsc.errors import DatabaseError
from privsc.files import write_atomic
from privsc.knowledge.sealing import KEY_BYTES, KEY_FILE, Seal

PASSPHRASE_VARIABLE = "PRIVSC_K_PASSPHRASE_FILE"
KEY_VARIABLE = "PRIVSC_K_KEY_FILE"
LEAST_PASSPHRASE = 10  # [characters] of a new one
_MOST_PASSPHRASE = 1024  # [bytes]
REST, SECRET, PUBLIC = "PRIVSC-K-KEY", "PRIVSC-X25519-SECRET", "PRIVSC-X25519-PUBLIC"
"""First words of key files: of K at rest, and the two of a receiver to whom a K is exported."""

_told: dict[Path, bytes] = {}  # passphrases typed in this process, so that one is asked for once


def secret_for(path: Path, what: int) -> bytes:
    """The passphrase or key that opens the K at `path`.

    Args:
        path: of the sealed K.
        what: PASSPHRASE or KEY_FILE of `privsc.knowledge.sealing`.

    Raises:
        DatabaseError: where there is none: no variable, no terminal.
    """
    if what == KEY_FILE:
        named = os.environ.get(KEY_VARIABLE)
        if not named:
            raise DatabaseError(f"{path}: is sealed with a key file; set {KEY_VARIABLE} to its path")
        return read_key(Path(named), REST)
    if named := os.environ.get(PASSPHRASE_VARIABLE):
        return _first_line(Path(named))
    if (known := _told.get(path.absolute())) is not None:
        return known
    return _typed(path, f"Passphrase of {path}: ")


def forget(path: Path) -> None:
    """Forget a typed passphrase: it was wrong, or is not needed any more."""
    _told.pop(path.absolute(), None)


def new_seal(path: Path, passphrase: bool, key_file: Path | None) -> Seal | None:
    """The seal that a command's options ask for, None for a plain file.

    Args:
        path: of the K that is to be sealed.
        passphrase: whether to seal with one; it comes from the variable or is typed twice.
        key_file: seal with this key; the file is made where it does not exist.

    Raises:
        DatabaseError: for both at once, a short passphrase, or two that differ.
    """
    if passphrase and key_file is not None:
        raise DatabaseError(f"{path}: seal it with a passphrase or with a key file, not with both")
    if key_file is not None:
        if not key_file.exists():
            write_key(key_file, REST, secrets.token_bytes(KEY_BYTES))
        return Seal.from_key(read_key(key_file, REST))
    if not passphrase:
        return None
    if named := os.environ.get(PASSPHRASE_VARIABLE):
        chosen = _first_line(Path(named))
    else:
        chosen = _typed(path, f"New passphrase of {path}: ")
        if _typed(path, "Once more: ") != chosen:
            forget(path)
            raise DatabaseError(f"{path}: the two passphrases differ; nothing was written, try again")
    if len(chosen.decode(errors="replace")) < LEAST_PASSPHRASE:
        forget(path)
        raise DatabaseError(f"{path}: a passphrase needs at least {LEAST_PASSPHRASE} characters; four random words do")
    return Seal.from_passphrase(chosen)


def _typed(path: Path, prompt: str) -> bytes:
    if not sys.stdin.isatty():
        raise DatabaseError(
            f"{path}: needs a passphrase and there is no terminal; set {PASSPHRASE_VARIABLE} to a file that holds it"
        )
    text = getpass.getpass(prompt).encode()
    if not 1 <= len(text) <= _MOST_PASSPHRASE:
        raise DatabaseError(f"{path}: a passphrase has 1 to {_MOST_PASSPHRASE} bytes; got {len(text)}")
    _told[path.absolute()] = text
    return text


def _first_line(path: Path) -> bytes:
    line = _private_bytes(path, _MOST_PASSPHRASE + 2).split(b"\n", 1)[0].rstrip(b"\r")
    if not 1 <= len(line) <= _MOST_PASSPHRASE:
        raise DatabaseError(f"{path}: its first line must be a passphrase of 1 to {_MOST_PASSPHRASE} bytes")
    return line


def _private_bytes(path: Path, limit: int) -> bytes:
    """At most `limit` bytes of a file that nobody else may read."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise DatabaseError(f"{path}: others may read it (mode {mode:04o}); run: chmod 600 {path}")
            return file.read(limit)
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror}); give the path of a secret's file") from error


def write_key(path: Path, label: str, key: bytes, mode: int = 0o600) -> None:
    """32 bytes as one line of text; a file that exists is never overwritten.

    Raises:
        DatabaseError: where it exists.
    """
    if path.exists():
        raise DatabaseError(f"{path}: exists already; choose another name, a lost key cannot be made again")
    write_atomic(path, f"{label} {base64.b64encode(key).decode()}\n".encode(), mode)


def read_key(path: Path, label: str) -> bytes:
    """[32] bytes of `write_key`.

    Raises:
        DatabaseError: where the file is none of that kind, or a secret that others may read.
    """
    try:
        data = _private_bytes(path, 200) if label != PUBLIC else path.open("rb").read(200)
        first, _, rest = data.decode("ascii").strip().partition(" ")
        key = base64.b64decode(rest, validate=True)
    except (UnicodeDecodeError, binascii.Error) as error:
        raise DatabaseError(f"{path}: is no key file; it must begin with {label}") from error
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror}); give the path of a key file") from error
    if first != label or len(key) != KEY_BYTES:
        raise DatabaseError(f"{path}: must begin with {label} and hold {KEY_BYTES} bytes; got {first[:30]!r}")
    return key
