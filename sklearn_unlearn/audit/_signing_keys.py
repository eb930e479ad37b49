"""Ed25519 keys that sign certificates, and their PEM files."""

from __future__ import annotations

import hashlib
from typing import Any

from sklearn_unlearn.audit._extras import import_extra

__all__ = [
    "generate_signing_key",
    "key_name",
    "load_public_key",
    "load_signing_key",
    "public_key_pem",
    "signing_key_pem",
]


def _modules() -> tuple[Any, Any]:
    purpose = "a signed certificate"
    return (
        import_extra("cryptography.hazmat.primitives.asymmetric.ed25519", purpose),
        import_extra("cryptography.hazmat.primitives.serialization", purpose),
    )


def generate_signing_key() -> Any:
    """Make a new private key.

    Returns
    -------
    key : cryptography's Ed25519PrivateKey
        Keep it where neither the model nor the ledger is; whoever has it can sign anything.

    Raises
    ------
    ImportError
        If the package cryptography is not installed.

    Examples
    --------
    >>> from sklearn_unlearn.audit import generate_signing_key, public_key_pem
    >>> key = generate_signing_key()
    >>> public_key_pem(key).splitlines()[0]
    '-----BEGIN PUBLIC KEY-----'
    """
    return _modules()[0].Ed25519PrivateKey.generate()


def signing_key_pem(key: Any, password: bytes | None = None) -> str:
    """Return a private key as PEM text (PKCS 8).

    Parameters
    ----------
    key : Ed25519PrivateKey
        Of `generate_signing_key`.

    password : bytes or None, default=None
        Encrypts it. Without one, the file that holds the text is the key.

    Returns
    -------
    pem : str
        The text.

    Examples
    --------
    >>> from sklearn_unlearn.audit import generate_signing_key, load_signing_key, signing_key_pem
    >>> pem = signing_key_pem(generate_signing_key(), b"a long password")
    >>> signing_key_pem(load_signing_key(pem, b"a long password")).splitlines()[0]
    '-----BEGIN PRIVATE KEY-----'
    """
    key, forms = load_signing_key(key), _modules()[1]
    how = forms.BestAvailableEncryption(password) if password else forms.NoEncryption()
    pem = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, how)
    return str(pem.decode("ascii"))


def public_key_pem(key: Any) -> str:
    """Return the public key of a key as PEM text, for those who verify.

    Parameters
    ----------
    key : Ed25519PrivateKey, Ed25519PublicKey, or PEM text
        The key.

    Returns
    -------
    pem : str
        The text.

    Examples
    --------
    >>> from sklearn_unlearn.audit import generate_signing_key, load_public_key, public_key_pem
    >>> pem = public_key_pem(generate_signing_key())
    >>> public_key_pem(load_public_key(pem)) == pem
    True
    """
    forms = _modules()[1]
    form = forms.PublicFormat.SubjectPublicKeyInfo
    return str(load_public_key(key).public_bytes(forms.Encoding.PEM, form).decode("ascii"))


def load_signing_key(key: Any, password: bytes | None = None) -> Any:
    """Read a private key.

    Parameters
    ----------
    key : Ed25519PrivateKey, or PEM text or bytes
        The key.

    password : bytes or None, default=None
        Of an encrypted one.

    Returns
    -------
    key : Ed25519PrivateKey
        The key.

    Raises
    ------
    ValueError
        If it is none, or the password is wrong.
    """
    kinds, forms = _modules()
    if isinstance(key, str | bytes):
        key = _read(lambda pem: forms.load_pem_private_key(pem, password), key, "private")
    if not isinstance(key, kinds.Ed25519PrivateKey):
        _refuse("private", f"it is a {type(key).__name__}")
    return key


def load_public_key(key: Any) -> Any:
    """Read a public key.

    Parameters
    ----------
    key : Ed25519PublicKey, Ed25519PrivateKey, or PEM text or bytes of a public key
        The key.

    Returns
    -------
    key : Ed25519PublicKey
        The key; that of a private one.

    Raises
    ------
    ValueError
        If it is none.
    """
    kinds, forms = _modules()
    if isinstance(key, str | bytes):
        key = _read(forms.load_pem_public_key, key, "public")
    if isinstance(key, kinds.Ed25519PrivateKey):
        key = key.public_key()
    if not isinstance(key, kinds.Ed25519PublicKey):
        _refuse("public", f"it is a {type(key).__name__}")
    return key


def key_name(key: Any) -> str:
    """Return 16 hexadecimal digits that name a public key: a part of its SHA-256 digest."""
    forms = _modules()[1]
    raw = load_public_key(key).public_bytes(forms.Encoding.Raw, forms.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def _read(read: Any, pem: str | bytes, kind: str) -> Any:
    try:
        return read(pem.encode() if isinstance(pem, str) else pem)
    except Exception as error:  # of OpenSSL too: what it says may hold parts of the key
        _refuse(kind, f"reading it ended in {type(error).__name__}")


def _refuse(kind: str, problem: str) -> Any:
    raise ValueError(
        f"the {kind} key is no Ed25519 key in PEM: {problem}; expected one as "
        "generate_signing_key makes it. Check the file and its password."
    ) from None
