"""Certificates say what was done and no more, and every change of one is found."""

import base64
import contextlib
import copy
import datetime
import html.parser
import json
import re
import sqlite3

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sklearn_unlearn import audit
from sklearn_unlearn._forget_report import GUARANTEES
from sklearn_unlearn.audit import CertificateError, DeletionCertificate, verify

KEY = audit.generate_signing_key()
ENTRY = {
    "sequence": 12,
    "time": "2026-03-01T09:00:00Z",
    "request_id": "9f0c7a52-6c1e-4d0a-8f43-0c4b3a1d7e11",
    "action": "forget",
    "n_interactions": 31,
    "n_users": 1,
    "n_items": 31,
    "method": "influence",
    "guarantee": "residual-bounded",
    "status": "converged",
    "outcome": "done",
    "residual": 3.25e-5,
    "model_before": "a" * 64,
    "model_after": "b" * 64,
    "versions": "sklearn-unlearn 0.1.0",
    "seconds": 0.25,
    "mark": None,
    "previous": "c" * 64,
    "hash": "d" * 64,
}
TEXT = DeletionCertificate.from_entry(ENTRY, key=KEY, scope=["the model", "<b>'index'|"]).to_json()
THREE_PARTS = r"^the certificate .*; expected .*\. [A-Z]"


class Ledger:
    """As much of a ledger as verification asks for."""

    def __init__(self, *hashes):
        self.hashes = hashes

    def head(self):
        return len(self.hashes), self.hashes[-1]

    def entry(self, sequence):
        return {"hash": self.hashes[sequence - 1]}


def made(key=KEY, scope="the model", **kwargs):
    fields = {name: kwargs.pop(name) for name in list(kwargs) if name in ENTRY}
    return DeletionCertificate.from_entry({**ENTRY, **fields}, key=key, scope=scope, **kwargs)


def test_it_says_what_the_ledger_says():
    until = datetime.datetime(2026, 6, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    body = made(residue=0, valid_until=until).body
    assert body["asked"]["n_interactions"] == 31 and body["done"]["model_after"] == "b" * 64
    assert body["checked"]["meaning"] == GUARANTEES["residual-bounded"]
    assert body["checked"]["residual"] == 3.25e-5
    assert body["audit_head"] == {"sequence": 12, "hash": "d" * 64}
    assert body["declared_scope"] == ["the model"] and "logs" in body["not_in_scope"]
    assert body["residual_count"] == 0 and body["verify_method"] == "residue audit"
    assert body["valid_until"] == "2026-06-01T00:00:00Z"
    assert made().body["residual_count"] is None and made().body["verify_method"] == "report"
    assert made(verified="compared with a refit").body["verify_method"] == "compared with a refit"


@pytest.mark.parametrize("word", GUARANTEES)
def test_every_guarantee_is_explained_in_a_sentence(word):
    checked = made(guarantee=word).body["checked"]
    assert checked["meaning"] and len(checked["residual_meaning"]) > 20


def test_a_round_trip_verifies():
    certificate = made(residue=2)
    for key in (
        KEY,
        KEY.public_key(),
        audit.public_key_pem(KEY),
        audit.public_key_pem(KEY).encode(),
    ):
        assert verify(certificate.to_json(), key) == certificate
        assert verify(certificate.to_json().encode(), key).body == certificate.body
        assert verify(certificate, key) is certificate


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_every_edit_of_a_byte_is_found(first):
    original = TEXT.encode()
    for seed in range(first, first + 250):
        rng = np.random.default_rng(seed)
        changed, place = bytearray(original), rng.integers(len(original))
        kind = seed % 4
        if kind == 0:
            changed[place] ^= 1 << rng.integers(8)
        elif kind == 1:
            del changed[place]
        elif kind == 2:
            changed.insert(place, int(rng.choice([*b' \n0a"}', original[place]])))
        else:
            changed[place] = int((changed[place] + rng.integers(1, 256)) % 256)
        if bytes(changed) == original:
            continue
        with pytest.raises(CertificateError, match=THREE_PARTS):
            verify(bytes(changed), KEY)


def test_an_edit_of_the_object_is_found():
    certificate = made()
    for path, value in [
        (("asked", "n_interactions"), 30),
        (("checked", "guarantee"), "exact"),
        (("audit_head", "sequence"), 11),
        (("declared_scope",), ["the model", "backups"]),
        (("residual_count",), 0),
    ]:
        body = copy.deepcopy(dict(certificate.body))
        owner = body
        for name in path[:-1]:
            owner = owner[name]
        owner[path[-1]] = value
        with pytest.raises(CertificateError, match="was changed"):
            verify(DeletionCertificate(body, certificate.key, certificate.signature), KEY)


def test_another_key_does_not_verify():
    other = audit.generate_signing_key()
    with pytest.raises(CertificateError, match="names another key"):
        verify(TEXT, other)
    forged = made(key=other)
    disguised = DeletionCertificate(forged.body, made().key, forged.signature)
    with pytest.raises(CertificateError, match="was changed"):
        verify(disguised, KEY)


def test_the_ledger_is_compared():
    hashes = ["x"] * 11 + ["d" * 64]
    for head in ((12, "d" * 64), (13, "e"), Ledger(*hashes), Ledger(*hashes, "e")):
        verify(TEXT, KEY, ledger_head=head)
    for head in ((11, "x"), (12, "e" * 64), Ledger(*hashes[:-1]), Ledger(*["x"] * 13)):
        with pytest.raises(CertificateError, match=r"ledger|of that number"):
            verify(TEXT, KEY, ledger_head=head)


# -- malformed -----------------------------------------------------------------------------------
def malformed(seed):
    """A malformed certificate, rightly signed where it can be."""
    rng = np.random.default_rng(seed)
    body = json.loads(TEXT)["certificate"]
    places = [(body, name) for name in body]
    places += [
        (body[part], name) for part in body if isinstance(body[part], dict) for name in body[part]
    ]
    owner, name = places[rng.integers(len(places))]
    secret = "secret-person@example.org"
    kind = seed % 5
    if kind == 0:
        del owner[name]
    elif kind == 1:
        owner[name] = [[{secret: 1}], {secret: 1}, True, -1.5e308, secret * 50][rng.integers(5)]
    elif kind == 2:
        owner[secret] = secret
    elif kind == 3:
        return [
            b"\xff" + secret.encode(),
            b"[" * 100_000,
            json.dumps([secret]).encode(),
            secret.encode() * 10**5,
            TEXT.replace('"key"', '"key":"0","key"').encode(),
            TEXT.replace("31", "NaN").encode(),
            b"",
            json.dumps({"certificate": secret, "key": secret, "signature": secret}).encode(),
        ][rng.integers(8)]
    else:
        body["format"] = secret
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    signature = base64.b64encode(KEY.sign(text.encode())).decode()
    whole = {"certificate": body, "key": json.loads(TEXT)["key"], "signature": signature}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("first", range(0, 200, 100))
def test_a_malformed_certificate_is_refused_and_leaks_nothing(first):
    for seed in range(first, first + 100):
        text = malformed(seed)
        with pytest.raises(CertificateError, match=THREE_PARTS) as caught:
            verify(text, KEY)
            pytest.fail(repr(text))
        assert "secret" not in str(caught.value) and caught.value.__cause__ is None


def test_no_certificate_is_made_of_what_is_no_deletion():
    for fields in ({"action": "suppress"}, {"guarantee": None}, {"guarantee": "none"}):
        with pytest.raises(CertificateError, match="of no finished deletion"):
            made(**fields)
    for kwargs in (
        {"scope": []},
        {"scope": ""},
        {"scope": "GDPR-Compliant"},
        {"verified": "compliance check"},
        {"scope": "a\nb"},
        {"model_after": None},
        {"valid_until": "soon"},
        {"valid_until": datetime.datetime(2026, 1, 1)},
        {"residue": -1},
    ):
        with pytest.raises(CertificateError, match=THREE_PARTS):
            made(**kwargs)
    with pytest.raises(TypeError, match="expected a DeletionCertificate or its JSON"):
        verify({}, KEY)


# -- to read -------------------------------------------------------------------------------------
class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.open += [tag] if tag != "meta" else []
        assert not any(name in ("src", "href") or name.startswith("on") for name, _ in attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_is_whole_escaped_and_loads_nothing():
    certificate = DeletionCertificate.from_json(TEXT)
    for text in (certificate.to_html(), certificate._repr_html_()):
        found = Tags()
        found.feed(text)
        assert not found.open and "b" not in found.tags and "script" not in found.tags
        assert any("<b>'index'|" in word for word in found.words)
        assert "prefers-color-scheme:dark" in text and "url(" not in text and "http" not in text


def test_the_page_and_the_text_say_all_that_the_json_says():
    certificate = DeletionCertificate.from_json(TEXT)
    for text in (certificate.to_html(), certificate.to_markdown().replace("\\", "")):
        for value in (31, "residual-bounded", "3.25e-05", "a" * 64, "b" * 64, "d" * 64, "logs"):
            assert str(value) in text
        assert "nobody looked" in text and certificate.key in text
    rows = [one for one in certificate.to_markdown().splitlines() if one.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)


def test_nothing_claims_to_satisfy_a_law():
    certificate = made()
    for text in (certificate.to_html(), certificate.to_markdown(), certificate.to_json()):
        assert "complian" not in text.casefold()


@pytest.mark.parametrize(
    ("edit", "message"),
    [("UPDATE ledger SET entry = replace(entry, 'suppress', 'forgets')", "another entry"),
     ("UPDATE ledger SET entry = '[' || entry || ']'", "not in the ledger"),
     ("UPDATE ledger SET entry = 'gone'", "not in the ledger"),
     ("DELETE FROM ledger WHERE sequence = 1", "not in the ledger"),
     ("DELETE FROM ledger", "after the end"), ("DROP TABLE ledger", "cannot be read")],
)  # fmt: skip
def test_an_entry_that_was_edited_or_deleted_in_the_ledger_is_found(tmp_path, edit, message):
    path = tmp_path / "deletions.db"
    with audit.DeletionQueue(path, key=audit.generate_key()) as queue:
        queue.submit_many([{"users": [1]}, {"users": [2]}])
        first = queue.ledger.entry(1)
    certificate = made(sequence=1, hash=first["hash"])
    assert verify(certificate, KEY, ledger_head=audit.Ledger(path)) is certificate
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(edit)
    with pytest.raises(CertificateError, match=message) as caught:
        verify(certificate, KEY, ledger_head=audit.Ledger(path))
    assert re.match(THREE_PARTS, str(caught.value))


# -- keys ----------------------------------------------------------------------------------------
def test_keys_go_through_pem():
    for password in (None, b"a password"):
        pem = audit.signing_key_pem(KEY, password)
        again = audit.load_signing_key(pem, password)
        assert verify(made(key=again), KEY)
        assert (b"ENCRYPTED" in pem.encode()) == (password is not None)
    assert verify(made(key=audit.signing_key_pem(KEY)), audit.public_key_pem(KEY))


@pytest.mark.parametrize(
    "key",
    ["", b"-----BEGIN PRIVATE KEY-----\nsecret\n", 3, ec.generate_private_key(ec.SECP256R1())],
)
def test_what_is_no_key_is_refused(key):
    for load in (audit.load_signing_key, audit.load_public_key):
        with pytest.raises(ValueError, match=r"no Ed25519 key in PEM: .*; expected") as caught:
            load(key)
        assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="no Ed25519 key"):
        audit.load_signing_key(audit.signing_key_pem(KEY, b"right"), b"wrong")
