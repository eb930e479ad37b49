"""The package is imported without its extras, and says which one is missing when it is needed."""

import subprocess
import sys

import pytest

from sklearn_unlearn import audit
from tests.audit.test_certificate import ENTRY

OPTIONAL = ("skops", "cryptography", "sqlalchemy", "typer", "torch")


def test_no_optional_package_is_imported_before_it_is_needed():
    code = f"""
import sys
import sklearn_unlearn.audit
print([name for name in {OPTIONAL} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("skops.io", lambda path: audit.save(fitted(), path)),
        ("skops.io", lambda path: audit.load(written(path))),
        (
            "cryptography.hazmat.primitives.asymmetric.ed25519",
            lambda path: audit.generate_signing_key(),
        ),
        (
            "cryptography.hazmat.primitives.serialization",
            lambda path: audit.DeletionCertificate.from_entry(ENTRY, key="PEM", scope="all"),
        ),
        ("cryptography.hazmat.primitives.hashes", lambda path: sent()),
    ],
)
def test_what_is_missing_is_named_with_its_extra(module, call, tmp_path, monkeypatch):
    path = tmp_path / "model"
    written(path)
    before = path.read_bytes()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{module.split('.')[0]}.*sklearn-unlearn\[audit\]"):
        call(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def fitted():
    from sklearn_unlearn import ItemKNN

    return ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])


def written(path):
    if not path.exists():
        audit.save(fitted(), path)
    return path


def sent():
    from tests.audit.test_opendsr import NOW, REQUEST, SENDER

    return audit.opendsr.cancel(REQUEST, **SENDER, received_time=NOW)
