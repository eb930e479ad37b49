"""Deletion in production: snapshots of models, certificates, residue audits and standard forms."""

from ._snapshots import digest_of, load, save

__all__ = ["digest_of", "load", "save"]
