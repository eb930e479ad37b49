"""Certificates of entries of a ledger, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sklearn_unlearn.audit import DeletionCertificate, load_signing_key

__all__ = ["Scope", "SigningKey", "certify_entries", "signer_of"]

SigningKey = Annotated[
    Path | None, typer.Option(help="File that signs certificates; see `key --signing`.")
]
Scope = Annotated[str, typer.Option(help="What the deletion covered, for the certificates.")]


def signer_of(folder: Path | None, file: Path | None) -> Any:
    """Return the key that signs; folder and key belong together."""
    if (folder is None) != (file is None):
        raise ValueError(
            "one of --certificates and --signing-key was given; expected both or none. Make a key "
            "by `sklearn-unlearn key --signing FILE`."
        )
    if folder is None or file is None:
        return None
    if not folder.is_dir():
        raise ValueError(f"there is no folder '{folder}'; expected one. Make it first.")
    return load_signing_key(file.read_text(encoding="ascii"))


def certify_entries(entries: list[dict[str, Any]], key: Any, scope: str, folder: Path) -> int:
    """Write a certificate of each entry of a deletion, as JSON and as a page; count them."""
    count = 0
    for entry in entries:
        if entry["action"] != "forget" or entry["outcome"] != "forgotten":
            continue  # of a request of which nothing was found there is nothing to certify
        made = DeletionCertificate.from_entry(entry, key=key, scope=scope)
        name = f"certificate-{entry['sequence']:06d}"
        (folder / f"{name}.json").write_text(made.to_json(), encoding="utf-8")
        (folder / f"{name}.html").write_text(made.to_html(), encoding="utf-8")
        count += 1
    return count
