"""Requests of data subjects in the form of OpenDSR 2.0 (formerly OpenGDPR), and the answers.

The specification is at https://github.com/opengdpr/OpenDSR. Nothing here opens a connection: a web
service hands the body of a request to `read_request`, and sends what `respond`, `report_status` and
`cancel` return.

Examples
--------
>>> from sklearn_unlearn.audit.opendsr import matching_ids, read_request
>>> body = '''{
...   "regulation": "gdpr",
...   "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
...   "subject_request_type": "erasure",
...   "submitted_time": "2018-10-02T15:00:00Z",
...   "subject_identities": [{"identity_type": "email", "identity_format": "raw",
...                           "identity_value": "al@example.org"}],
...   "status_callback_urls": ["https://controller.example/callbacks"]}'''
>>> request = read_request(body)
>>> request
<Request of type erasure under gdpr with 1 identities>
>>> matching_ids(request, {"email": {"al@example.org": 4711, "bo@example.org": 4712}})
[4711]
"""

from __future__ import annotations

from sklearn_unlearn.audit._opendsr_answers import (
    Message,
    cancel,
    error_body,
    report_status,
    respond,
    verify_message,
)
from sklearn_unlearn.audit._opendsr_fields import OpenDSRError
from sklearn_unlearn.audit._opendsr_request import Identity, Request, matching_ids, read_request

__all__ = [
    "Identity",
    "Message",
    "OpenDSRError",
    "Request",
    "cancel",
    "error_body",
    "matching_ids",
    "read_request",
    "report_status",
    "respond",
    "verify_message",
]
