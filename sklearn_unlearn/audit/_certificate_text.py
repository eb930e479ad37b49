"""Certificates to read: Markdown, and HTML that is light or dark and ready to print."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["as_html", "as_markdown"]

_STYLE = """
.unlearn-certificate{--ink:#1b1f24;--dim:#57606a;--line:#d0d7de;--ground:#fff;color:var(--ink);
background:var(--ground);font:15px/1.5 system-ui,sans-serif;max-width:46rem;padding:1.5rem 2rem;
border:1px solid var(--line);border-radius:8px;margin:1rem auto}
.unlearn-certificate h1{font-size:1.35rem;margin:0 0 .3rem}
.unlearn-certificate h2{font-size:.95rem;margin:1.2rem 0 .3rem;color:var(--dim)}
.unlearn-certificate table{border-collapse:collapse;width:100%;font-size:.92rem}
.unlearn-certificate th{text-align:left;font-weight:500;color:var(--dim);width:11rem;
vertical-align:top}
.unlearn-certificate th,.unlearn-certificate td{padding:.25rem .5rem .25rem 0;
border-top:1px solid var(--line);color:inherit;background:none;text-align:left}
.unlearn-certificate th{color:var(--dim)}
.unlearn-certificate td{overflow-wrap:anywhere}
.unlearn-certificate p{margin:.3rem 0;color:var(--dim)}
@media (prefers-color-scheme:dark){.unlearn-certificate{--ink:#e6edf3;--dim:#9da7b3;
--line:#3d444d;--ground:#151b23}}
@media print{.unlearn-certificate{--ink:#000;--dim:#333;--line:#999;--ground:#fff;border:0;
margin:0;max-width:none}}
"""
_NOTE = (
    "What is verified is the JSON of this certificate, with the public key of its issuer. It "
    "states what the software did and checked; it is no legal opinion."
)


def as_markdown(certificate: Mapping[str, Any]) -> str:
    """Write a certificate as Markdown.

    Parameters
    ----------
    certificate : dict
        Of `DeletionCertificate.to_dict`.

    Returns
    -------
    text : str
        A heading and a table for each part.
    """
    lines = [f"# {_title(certificate)}", ""]
    for heading, rows in _parts(certificate):
        lines += [f"## {heading}", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {_escape_markdown(text)} |" for name, text in rows]
        lines.append("")
    return "\n".join([*lines, _NOTE, ""])


def as_html(certificate: Mapping[str, Any], *, page: bool) -> str:
    """Write a certificate as HTML; nothing is loaded from elsewhere.

    Parameters
    ----------
    certificate : dict
        Of `DeletionCertificate.to_dict`.

    page : bool
        Whether as a page of its own.

    Returns
    -------
    text : str
        A page or a part of one.
    """
    title = escape(_title(certificate))
    tables = "".join(
        f"<h2>{escape(heading)}</h2><table>"
        + "".join(
            f"<tr><th scope='row'>{escape(name)}</th><td>{escape(text)}</td></tr>"
            for name, text in rows
        )
        + "</table>"
        for heading, rows in _parts(certificate)
    )
    style = f"<style>{_STYLE}</style>"
    body = (
        f"<article class='unlearn-certificate'><h1>{title}</h1>{tables}"
        f"<p>{escape(_NOTE)}</p></article>"
    )
    if not page:
        return style + body
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{title}</title>{style}</head><body>{body}</body></html>\n"
    )


def _title(certificate: Mapping[str, Any]) -> str:
    asked = certificate["certificate"]["asked"]
    return f"Certificate of deletion of {asked['n_interactions']} interactions"


Part = tuple[str, list[tuple[str, str]]]


def _parts(certificate: Mapping[str, Any]) -> list[Part]:
    """Headings, and names and texts under each."""
    body = certificate["certificate"]
    return [_asked(body), _done(body), _checked(body), _scope(body), _record(certificate)]


def _asked(body: Mapping[str, Any]) -> Part:
    asked = body["asked"]
    return "What was asked", _rows(
        ("request", asked["request_id"]),
        ("action", asked["action"]),
        ("interactions", asked["n_interactions"]),
        ("users and items that lost one", f"{asked['n_users']} and {asked['n_items']}"),
    )


def _done(body: Mapping[str, Any]) -> Part:
    done = body["done"]
    return "What was done", _rows(
        ("when", body["asked"]["time"]),
        ("method", done["method"]),
        ("status", done["status"]),
        ("outcome", done["outcome"]),
        ("model before", done["model_before"]),
        ("model after", done["model_after"]),
        ("versions", done["versions"]),
        ("seconds", done["seconds"]),
    )


def _checked(body: Mapping[str, Any]) -> Part:
    checked, count = body["checked"], body["residual_count"]
    return "What was checked", _rows(
        ("guarantee", f"{checked['guarantee']}: {checked['meaning']}"),
        ("residual", f"{_text(checked['residual'])}: {checked['residual_meaning']}"),
        ("verified by", body["verify_method"]),
        ("traces found", "nobody looked" if count is None else count),
    )


def _scope(body: Mapping[str, Any]) -> Part:
    return "Scope", _rows(
        ("covered", "; ".join(body["declared_scope"])),
        ("not covered", "; ".join(body["not_in_scope"])),
    )


def _record(certificate: Mapping[str, Any]) -> Part:
    body = certificate["certificate"]
    head = body["audit_head"]
    return "Record", _rows(
        ("issued", body["issued"]),
        ("valid until", body["valid_until"]),
        ("ledger entry", head["sequence"]),
        ("its hash", head["hash"]),
        ("key", certificate["key"]),
        ("signature", certificate["signature"]),
    )


def _rows(*pairs: tuple[str, Any]) -> list[tuple[str, str]]:
    return [(name, _text(value)) for name, value in pairs]


def _text(value: Any) -> str:
    if value is None:
        return "not stated"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _escape_markdown(text: str) -> str:
    """Escape what Markdown and the HTML in it would read as more than text."""
    for sign in "\\`*_[]|<>#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
