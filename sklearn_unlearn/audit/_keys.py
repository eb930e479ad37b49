"""Keys: encryption of deletion requests, and keyed digests (HMAC) that stand for ids."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Any

from sklearn_unlearn.audit._extras import import_extra

__all__ = ["Key", "generate_key"]

_N_BYTES = 32
_NONCE = 12


def generate_key() -> str:
    """Make a random key for a store of deletion requests.

    Keep it where the store is not: in a secret manager, or an environment variable. Whoever has
    the store alone reads no id in it, and destroying the key destroys what it encrypts.

    Returns
    -------
    key : str
        256 random bits, in URL-safe base64.

    Examples
    --------
    >>> from sklearn_unlearn.audit import generate_key
    >>> len(generate_key())
    44
    """
    return base64.urlsafe_b64encode(secrets.token_bytes(_N_BYTES)).decode()


class Key:
    """A key of the caller's, and the keys for single purposes that are derived from it.

    Parameters
    ----------
    key : str or bytes
        What `generate_key` made.

    Examples
    --------
    >>> from sklearn_unlearn.audit._keys import Key, generate_key
    >>> key = Key(generate_key())
    >>> key.decrypt(key.encrypt(b"text", "queue", "7"), "queue", "7")
    b'text'
    >>> key
    <Key>
    """

    def __init__(self, key: str | bytes) -> None:
        self._secret = _read(key)
        self._ciphers: dict[str, Any] = {}  # by purpose

    def __repr__(self) -> str:
        return "<Key>"

    def __reduce__(self) -> None:  # type: ignore[override]  # no pickle holds a key
        raise TypeError(
            "a key cannot be pickled; expected that it stays where it is kept. Pass it again."
        )

    def encrypt(self, text: bytes, purpose: str, place: str) -> bytes:
        """Encrypt by AES-GCM; `place` ties the result to the row in which it stands."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher(purpose).encrypt(nonce, text, place.encode())

    def decrypt(self, sealed: bytes, purpose: str, place: str) -> bytes:
        """Undo `encrypt`; raise ValueError for another key, or bytes that were changed."""
        aead = import_extra("cryptography.exceptions", "a store of deletion requests")
        try:
            return self._cipher(purpose).decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (aead.InvalidTag, ValueError):
            raise ValueError(
                "a record of the store cannot be decrypted; expected the key that it was "
                "encrypted with, and the record unchanged. Pass the key of this store."
            ) from None

    def mark(self, text: bytes, purpose: str) -> str:
        """Return a keyed digest (HMAC-SHA256), in hexadecimal digits."""
        return hmac.new(self._derived(purpose), text, hashlib.sha256).hexdigest()

    def _derived(self, purpose: str) -> bytes:
        """Derive the key of one purpose (the expansion step of HKDF, one block)."""
        label = f"sklearn-unlearn {purpose}".encode() + b"\x01"
        return hmac.new(self._secret, label, hashlib.sha256).digest()

    def _cipher(self, purpose: str) -> Any:
        if purpose not in self._ciphers:
            ciphers = import_extra(
                "cryptography.hazmat.primitives.ciphers.aead", "a store of deletion requests"
            )
            self._ciphers[purpose] = ciphers.AESGCM(self._derived(purpose))
        return self._ciphers[purpose]


def _read(key: str | bytes) -> bytes:
    if not isinstance(key, str | bytes):
        raise TypeError(
            f"the key is of type {type(key).__name__}; expected str or bytes. Make one by "
            "generate_key."
        )
    try:
        secret = base64.b64decode(key, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != _N_BYTES:
        raise ValueError(
            "the key is not 32 bytes in URL-safe base64; expected what generate_key makes. Check "
            "that it was copied whole."
        )
    return secret
