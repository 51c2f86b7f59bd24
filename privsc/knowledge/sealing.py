"""K sealed at rest: the whole file encrypted under a passphrase or a key file, and opened in memory only.

    passphrase ──scrypt──►┐
                          ├─► key [32] ──AES-256-GCM──► sealed file      header: what made the key, salt, nonce
    key file ────HKDF────►┘

Every write takes a new nonce. The header is authenticated with the contents, so that a sealed K that opens is one that
a holder of the passphrase wrote. Whatever a header names (scrypt's cost above all) is bounded before it is spent.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from privsc.errors import DatabaseError
from privsc.knowledge.sqlite_file import MAX_FILE, read_whole

MAGIC = b"PSKSEAL\x01"
PASSPHRASE, KEY_FILE = 1, 2
"""What the key is made from."""
LOG2_N = 17
"""scrypt's cost with r = 8: 2^17 takes 128 MiB and some 0.3 s."""
_LEAST_LOG2_N, _MOST_LOG2_N = 14, 18
_HEADER = struct.Struct(">8sBB16s12s")  # magic, what, log2 N, salt, nonce
_TAG = 16  # [bytes]
KEY_BYTES = 32
SALT_BYTES, NONCE_BYTES = 16, 12


@dataclass(frozen=True)
class Seal:
    """A key and the way it was made: what is needed to write a sealed K again.

    Attributes:
        what: PASSPHRASE or KEY_FILE.
        log2_n: scrypt's cost, 0 for a key file.
        salt: [16] bytes.
        key: [32] bytes, AES-256.
    """

    what: int
    log2_n: int
    salt: bytes
    key: bytes = field(repr=False)

    @classmethod
    def from_passphrase(cls, passphrase: bytes) -> Seal:
        """A seal with a new salt."""
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(PASSPHRASE, LOG2_N, salt, _stretched(passphrase, salt, LOG2_N))

    @classmethod
    def from_key(cls, key: bytes) -> Seal:
        """A seal with a new salt, from the 32 bytes of a key file."""
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(KEY_FILE, 0, salt, _expanded(key, salt))

    def close(self, data: bytes) -> bytes:
        """Contents of a K to those of a sealed file."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        header = _HEADER.pack(MAGIC, self.what, self.log2_n, self.salt, nonce)
        return header + AESGCM(self.key).encrypt(nonce, data, header)

    def open(self, path: Path, sealed: bytes) -> bytes:
        """Contents of a file that this key sealed."""
        try:
            return AESGCM(self.key).decrypt(
                sealed[_HEADER.size - NONCE_BYTES : _HEADER.size], sealed[_HEADER.size :], sealed[: _HEADER.size]
            )
        except InvalidTag:
            thing = "passphrase" if self.what == PASSPHRASE else "key file"
            raise DatabaseError(
                f"{path}: wrong {thing}, or the file was changed; try again or restore a copy"
            ) from None


def is_sealed(path: Path) -> bool:
    """Whether a file begins as a sealed K does."""
    return path.is_file() and read_whole(path, len(MAGIC)) == MAGIC


def what_opens(path: Path, sealed: bytes) -> int:
    """PASSPHRASE or KEY_FILE.

    Raises:
        DatabaseError: where the header is no header of ours, or asks for more work than this program ever does.
    """
    if not _HEADER.size + _TAG <= len(sealed) <= MAX_FILE:
        raise DatabaseError(f"{path}: the sealed database is truncated or too large; restore it from a copy")
    _, what, log2_n, _, _ = _HEADER.unpack(sealed[: _HEADER.size])
    cheap = what == KEY_FILE and log2_n == 0
    if not cheap and not (what == PASSPHRASE and _LEAST_LOG2_N <= log2_n <= _MOST_LOG2_N):
        raise DatabaseError(f"{path}: is sealed in a way that this program does not know; use the one that made it")
    return what


def open_sealed(path: Path, sealed: bytes, secret: bytes) -> tuple[Seal, bytes]:
    """A sealed file's seal and contents.

    Args:
        path: for messages.
        sealed: the file.
        secret: the passphrase, or the 32 bytes of the key file.

    Raises:
        DatabaseError: for a wrong secret, or a file that was changed: nobody can tell which.
    """
    what = what_opens(path, sealed)
    _, _, log2_n, salt, _ = _HEADER.unpack(sealed[: _HEADER.size])
    key = _stretched(secret, salt, log2_n) if what == PASSPHRASE else _expanded(secret, salt)
    seal = Seal(what, log2_n, salt, key)
    return seal, seal.open(path, sealed)


@lru_cache(maxsize=8)
def _stretched(passphrase: bytes, salt: bytes, log2_n: int) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=1 << log2_n, r=8, p=1).derive(passphrase)


def _expanded(key: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt, b"privsc K at rest 1").derive(key)
