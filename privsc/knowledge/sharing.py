"""A copy of K for one receiver: sealed to the receiver's public key, so that it may travel by any way.

    ephemeral X25519 ──× BOB.pub──► shared secret ──HKDF-SHA256──► AES-256-GCM over K

Whoever has BOB.pub can make such a file: it proves nothing about its sender. Both sides print K's digest; compare it by
telephone before the copy is used.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privsc.errors import DatabaseError
from privsc.knowledge.keys import PUBLIC, SECRET, read_key, write_key
from privsc.knowledge.sealing import KEY_BYTES, NONCE_BYTES

MAGIC = b"PSKCOPY\x01"
_START = len(MAGIC) + KEY_BYTES + NONCE_BYTES


def make_pair(path: Path) -> tuple[Path, Path]:
    """A receiver's new keys: PATH.pub for everybody who sends, PATH.key (mode 0600) for nobody else."""
    public, secret = path.with_name(path.name + ".pub"), path.with_name(path.name + ".key")
    if public.exists():
        raise DatabaseError(f"{public}: exists already; choose another name")
    key = X25519PrivateKey.generate()
    write_key(secret, SECRET, key.private_bytes_raw())
    write_key(public, PUBLIC, key.public_key().public_bytes_raw(), 0o644)
    return public, secret


def seal_to(recipient: Path, data: bytes) -> bytes:
    """Contents of a K for the owner of the public key in the file `recipient`."""
    theirs = read_key(recipient, PUBLIC)
    ephemeral = X25519PrivateKey.generate()
    mine, nonce = ephemeral.public_key().public_bytes_raw(), secrets.token_bytes(NONCE_BYTES)
    start = MAGIC + mine + nonce
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError as error:  # a point of small order
        raise DatabaseError(f"{recipient}: is no usable public key; ask its owner for a new one") from error
    return start + AESGCM(_key(shared, mine, theirs)).encrypt(nonce, data, start + theirs)


def open_copy(path: Path, copy: bytes, secret: Path) -> bytes:
    """Contents of a K that was sealed to the owner of the key file `secret`.

    Raises:
        DatabaseError: where the file is no such copy, was made for another receiver, or was changed.
    """
    if len(copy) < _START + 16 or not copy.startswith(MAGIC):
        raise DatabaseError(f"{path}: is no exported database; make one with 'privsc db export'")
    own = X25519PrivateKey.from_private_bytes(read_key(secret, SECRET))
    start = copy[:_START]
    theirs, nonce = start[len(MAGIC) : len(MAGIC) + KEY_BYTES], start[-NONCE_BYTES:]
    public = own.public_key().public_bytes_raw()
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(theirs))
        return AESGCM(_key(shared, theirs, public)).decrypt(nonce, copy[_START:], start + public)
    except (InvalidTag, ValueError):
        raise DatabaseError(f"{path}: was made for another key, or was changed; ask for a new copy") from None


def _key(shared: bytes, ephemeral: bytes, recipient: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, ephemeral + recipient, b"privsc K copy 1").derive(shared)
