"""Deletion in production: snapshots of models, certificates, residue audits and standard forms."""

from . import drop, opendsr
from ._certificate import CertificateError, DeletionCertificate, verify
from ._residue import Residue, ResidueProbe, ResidueReport, audit_residue, make_probe
from ._signing_keys import (
    generate_signing_key,
    load_public_key,
    load_signing_key,
    public_key_pem,
    signing_key_pem,
)
from ._snapshots import digest_of, load, save

__all__ = [
    "CertificateError",
    "DeletionCertificate",
    "Residue",
    "ResidueProbe",
    "ResidueReport",
    "audit_residue",
    "digest_of",
    "drop",
    "generate_signing_key",
    "load",
    "load_public_key",
    "load_signing_key",
    "make_probe",
    "opendsr",
    "public_key_pem",
    "save",
    "signing_key_pem",
    "verify",
]
