"""Deletion in production: requests, ledger, certificates, snapshots, residue, standard forms."""

from . import drop, opendsr
from ._certificate import CertificateError, DeletionCertificate, verify
from ._do_not_learn import DoNotLearnList
from ._errors import DoNotLearnError, DoNotLearnWarning, StaleModelError, StoreError
from ._flush_reports import FlushPreview, FlushReport
from ._keys import generate_key
from ._ledger import Ledger, LedgerCheck, verify_ledger
from ._queue import DeletionQueue, RequestStatus
from ._replay import ReplayReport, replay
from ._requests import DeletionRequest
from ._residue import Residue, ResidueProbe, ResidueReport, audit_residue, make_probe
from ._service import DeletionService
from ._signing_keys import (
    generate_signing_key,
    load_public_key,
    load_signing_key,
    public_key_pem,
    signing_key_pem,
)
from ._snapshots import digest_of, load, save
from ._store import Store

__all__ = [
    "CertificateError",
    "DeletionCertificate",
    "DeletionQueue",
    "DeletionRequest",
    "DeletionService",
    "DoNotLearnError",
    "DoNotLearnList",
    "DoNotLearnWarning",
    "FlushPreview",
    "FlushReport",
    "Ledger",
    "LedgerCheck",
    "ReplayReport",
    "RequestStatus",
    "Residue",
    "ResidueProbe",
    "ResidueReport",
    "StaleModelError",
    "Store",
    "StoreError",
    "audit_residue",
    "digest_of",
    "drop",
    "generate_key",
    "generate_signing_key",
    "load",
    "load_public_key",
    "load_signing_key",
    "make_probe",
    "opendsr",
    "public_key_pem",
    "replay",
    "save",
    "signing_key_pem",
    "verify",
    "verify_ledger",
]
