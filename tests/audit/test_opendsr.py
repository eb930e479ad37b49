"""OpenDSR: what is read is checked field by field, what is sent is signed, and nothing is shown."""

import base64
import datetime
import hashlib
import json
import uuid

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from sklearn_unlearn.audit import opendsr
from sklearn_unlearn.audit.opendsr import OpenDSRError, matching_ids, read_request

SECRET = "secret-person@example.org"
NOW = datetime.datetime(2026, 3, 1, 9, tzinfo=datetime.UTC)
BODY = {
    "regulation": "gdpr",
    "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
    "subject_request_type": "erasure",
    "submitted_time": "2018-10-02T15:00:00Z",
    "subject_identities": [
        {"identity_type": "email", "identity_value": SECRET, "identity_format": "raw"},
        {
            "identity_type": "email",
            "identity_value": hashlib.sha256(b"bo@example.org").hexdigest().upper(),
            "identity_format": "sha256",
        },
    ],
    "api_version": "2.0",
    "status_callback_urls": ["https://controller.example/callbacks"],
    "extensions": {"processor.example.org": {"project": SECRET}},
}
REQUEST = read_request(json.dumps(BODY))
RSA = rsa.generate_private_key(65537, 2048)
KEYS = {
    "RSA": RSA,
    "curve": ec.generate_private_key(ec.SECP256R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}
SENDER = {"key": RSA, "domain": "processor.example.org", "controller_id": "controller 1"}
THREE_PARTS = r"^.+ (is|has|cannot|does) .*; expected .*\. Ask the sender for another message\.$"


def test_a_request_is_read_field_by_field():
    assert REQUEST.regulation == "gdpr" and REQUEST.subject_request_type == "erasure"
    assert REQUEST.submitted_time == datetime.datetime(2018, 10, 2, 15, tzinfo=datetime.UTC)
    assert [one.identity_type for one in REQUEST.subject_identities] == ["email"] * 2
    assert REQUEST.subject_identities[0].identity_value == SECRET
    assert REQUEST.status_callback_urls == ("https://controller.example/callbacks",)
    assert REQUEST.extensions == BODY["extensions"]


def test_what_is_written_is_read_again():
    again = read_request(REQUEST.to_json())
    for name in ("regulation", "submitted_time", "subject_identities", "extensions"):
        assert getattr(again, name) == getattr(REQUEST, name)
    alone = {name: BODY[name] for name in list(BODY)[:5]}
    assert read_request(read_request(json.dumps(alone)).to_json()).extensions == {}


def test_older_requests_are_under_the_gdpr():
    older = {name: one for name, one in BODY.items() if name != "regulation"}
    assert read_request(json.dumps({**older, "api_version": "1.0"})).regulation == "gdpr"
    with pytest.raises(OpenDSRError, match="regulation is missing"):
        read_request(json.dumps(older))


def test_identities_are_matched_raw_and_by_digest():
    table = {"email": {SECRET: 1, "bo@example.org": 2, "cy@example.org": 3}, "android_id": {"x": 4}}
    assert matching_ids(REQUEST, table) == [1, 2]
    assert matching_ids(REQUEST, {"email": {SECRET: 1, "bo@example.org": 1}}) == [1]
    assert matching_ids(REQUEST, {}) == []
    with pytest.raises(ValueError, match="half of a surrogate pair; expected") as caught:
        matching_ids(REQUEST, {"email": {"al\ud800@example.org": 1}})
    assert "example" not in str(caught.value)


def test_nothing_is_shown():
    answer = opendsr.respond(REQUEST, **SENDER, received_time=NOW, expected_completion_time=NOW)
    shown = [repr(one) for one in (REQUEST, *REQUEST.subject_identities, answer)]
    assert not any(
        "secret" in text or base64.b64encode(b"secret")[:6].decode() in text for text in shown
    )


# -- malformed -----------------------------------------------------------------------------------
WRONG = (None, 7, SECRET, [], {}, [SECRET], True, "", SECRET * 200, f"{SECRET}\n", 1e300)


def malformed(seed):
    rng = np.random.default_rng(seed)
    body = json.loads(json.dumps(BODY))
    kind = seed % 4
    places = [(body, name) for name in BODY]
    places += [
        (body["subject_identities"][n], name)
        for n in (0, 1)
        for name in BODY["subject_identities"][0]
    ]
    owner, name = places[rng.integers(len(places))]
    if kind == 0 and name not in ("api_version", "status_callback_urls", "extensions"):
        if name == "subject_identities":
            del body["extensions"]
        del owner[name]
    elif kind == 3:
        text = json.dumps(body)
        return [
            text[: rng.integers(len(text))],
            text.replace("2.0", "2.0\\u0000"),
            "[" * 10**5,
            json.dumps([body]),
            text.encode("utf-16"),
            text[:-1] + ', "regulation": "gdpr"}',
            text * 10**4,
            text.replace('"raw"', "NaN"),
        ][rng.integers(8)]
    else:
        targeted = {
            "regulation": ["hipaa", "GDPR"],
            "subject_request_id": [BODY["subject_request_id"].upper(), "0" * 36, SECRET],
            "subject_request_type": ["delete", "rectification"],
            "submitted_time": [
                "2018-10-02",
                "2018-10-02T15:00:00",
                "yesterday",
                "2018-13-02T15:00:00Z",
            ],
            "status_callback_urls": [
                ["http://x.example"],
                ["https://u:p@x.example"],
                ["file:///x"],
                ["https://["],
            ],
            "extensions": [{SECRET: {}}, {"x.example.org": SECRET}],
            "identity_format": ["sha512", "RAW", "md5"],
            "identity_type": ["E-Mail", SECRET],
            "identity_value": [7, ["x"], "x\0"],
            "subject_identities": [[SECRET], [{}], "x", [[]]],
            "api_version": [2.0, ["2.0"]],
        }[name]
        value = targeted[rng.integers(len(targeted))]
        if kind == 2 and name not in ("status_callback_urls", "extensions", "api_version"):
            value = WRONG[rng.integers(len(WRONG))]
            if (
                name == "identity_value"
                and isinstance(value, str)
                and value in (SECRET, SECRET * 200)
            ):
                value = None
            if name == "subject_identities" and value in (None, []):
                value = {}
        owner[name] = value
    return json.dumps(body)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_a_malformed_request_is_refused_by_field_and_shows_nothing(first):
    for seed in range(first, first + 100):
        body = malformed(seed)
        with pytest.raises(OpenDSRError, match=THREE_PARTS) as caught:
            read_request(body)
            pytest.fail(str(body)[:2000])
        error = caught.value
        assert error.field and error.field in str(error) and error.__cause__ is None
        assert "secret" not in str(error) + opendsr.error_body(error)
        assert json.loads(opendsr.error_body(error))["error"]["code"] == 400


def test_the_field_is_named():
    def field_of(**changes):
        with pytest.raises(OpenDSRError) as caught:
            read_request(json.dumps({**BODY, **changes}))
        return caught.value.field

    assert field_of(regulation="x") == "regulation"
    for version in (uuid.uuid1(), uuid.uuid3(uuid.NAMESPACE_DNS, "x"), uuid.UUID(int=0)):
        assert field_of(subject_request_id=str(version)) == "subject_request_id"
    assert field_of(submitted_time="x") == "submitted_time"
    for time in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"):  # no years in UTC
        assert field_of(submitted_time=time) == "submitted_time"
    identities = [
        BODY["subject_identities"][0],
        {**BODY["subject_identities"][1], "identity_value": "f"},
    ]
    assert field_of(subject_identities=identities) == "subject_identities[1].identity_value"
    assert field_of(status_callback_urls=["https://a.example", "x"]) == "status_callback_urls[1]"
    with pytest.raises(TypeError, match="body is a dict"):
        read_request(BODY)


# -- answers -------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KEYS)
def test_a_response_is_signed_in_the_header_and_in_the_body(kind):
    key = KEYS[kind]
    answer = opendsr.respond(
        REQUEST, **{**SENDER, "key": key}, received_time=NOW, expected_completion_time=NOW
    )
    public = key.public_key()
    found = opendsr.verify_message(answer.body, answer.headers, public)
    assert found == dict(answer.fields) and found["received_time"] == "2026-03-01T09:00:00Z"
    assert base64.b64decode(found["encoded_request"]) == json.dumps(BODY).encode()
    assert answer.headers["X-OpenDSR-Processor-Domain"] == "processor.example.org"
    older = {"x-opengdpr-signature": answer.headers["X-OpenDSR-Signature"]}
    assert opendsr.verify_message(answer.body, older, public)
    for body, headers in (
        (answer.body.replace(b"controller 1", b"controller 2"), answer.headers),
        (answer.body, {}),
        (answer.body, {"X-OpenDSR-Signature": "!"}),
        (answer.body + b" ", answer.headers),
    ):
        with pytest.raises(OpenDSRError, match="does not fit the body"):
            opendsr.verify_message(body, headers, public)


def test_the_signature_is_that_of_any_other_library():
    answer = opendsr.cancel(REQUEST, **SENDER, received_time=NOW)
    signature = base64.b64decode(answer.headers["X-OpenDSR-Signature"])
    RSA.public_key().verify(signature, answer.body, padding.PKCS1v15(), hashes.SHA256())
    rest = {name: one for name, one in answer.fields.items() if name != "processor_signature"}
    inner = json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    signature = base64.b64decode(answer.fields["processor_signature"])
    RSA.public_key().verify(signature, inner, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("status", ["pending", "in_progress", "completed", "cancelled"])
def test_a_status_is_reported(status):
    answer = opendsr.report_status(
        REQUEST,
        status,
        **SENDER,
        expected_completion_time=NOW,
        callback_url=REQUEST.status_callback_urls[0],
        results_url="https://processor.example.org/certificate.json",
        results_count=1,
    )
    assert answer.fields["request_status"] == status and answer.fields["results_count"] == 1
    assert answer.fields["status_callback_url"] == REQUEST.status_callback_urls[0]
    assert SECRET.encode() not in answer.body
    assert opendsr.verify_message(answer.body, answer.headers, RSA.public_key())


def test_wrong_answers_are_refused():
    report = {**SENDER, "expected_completion_time": NOW}
    for kwargs in (
        {"status": "done"},
        {"callback_url": "https://other.example"},
        {"results_url": "ftp://x"},
        {"expected_completion_time": datetime.datetime(2026, 3, 1)},
        {"domain": "localhost"},
        {"controller_id": ""},
    ):
        arguments = {"status": "pending", **report, **kwargs}
        with pytest.raises(OpenDSRError, match="; expected "):
            opendsr.report_status(REQUEST, arguments.pop("status"), **arguments)
    with pytest.raises(TypeError, match="expected a private key"):
        opendsr.report_status(REQUEST, "pending", **{**report, "key": "pem"})
    with pytest.raises(TypeError, match="expected a private key"):
        opendsr.report_status(REQUEST, "pending", **{**report, "key": RSA.public_key()})
    with pytest.raises(TypeError, match="expected a public key"):
        opendsr.verify_message(b"{}", {}, "pem")
