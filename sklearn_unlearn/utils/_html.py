"""HTML of a result for a notebook: a heading, a verdict and a table, on light and dark ground."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

__all__ = ["counted", "html_card", "html_table", "shown"]

# Colours are those of the page: text and lines are the ink of the notebook, more or less faint, so
# that themes need not be told apart.
_STYLE = (
    ".unlearn-card{display:inline-block;max-width:46rem;padding:.6rem .9rem;margin:.3rem 0;"
    "border:1px solid rgba(128,128,128,.45);border-radius:6px;color:inherit;"
    "font:0.9rem/1.45 system-ui,sans-serif}"
    ".unlearn-card table{border-collapse:collapse;margin:.2rem 0;color:inherit;"
    "background:none;border:0;font-size:.95em;min-width:16rem}"
    ".unlearn-card caption{caption-side:top;text-align:left;padding:0 0 .3rem;color:inherit;"
    "font-weight:600;white-space:normal}"
    ".unlearn-card tr{background:none!important}"
    ".unlearn-card th,.unlearn-card td{padding:.12rem .9rem .12rem 0;border:0;"
    "border-top:1px solid rgba(128,128,128,.25);background:none;color:inherit;"
    "vertical-align:top;font-variant-numeric:tabular-nums}"
    ".unlearn-card th{font-weight:400;opacity:.75;text-align:left}"
    ".unlearn-card td{text-align:left;overflow-wrap:anywhere}"
    ".unlearn-card td.number{text-align:right}"
    ".unlearn-card p{margin:.1rem 0 .35rem;max-width:40rem}"
    ".unlearn-card .mark{display:inline-block;padding:0 .5rem;margin-right:.4rem;border-radius:1em;"
    "border:1px solid currentColor;font-size:.85em}"
)


def html_card(*tables: str, mark: str = "", note: str = "") -> str:
    """Put tables on a card, with a word that sums them up and what it means.

    Parameters
    ----------
    *tables : str
        HTML of `html_table`.

    mark, note : str, default=""
        The verdict in a word, and a sentence on it, as plain text.

    Returns
    -------
    html : str
        Part of a page; it loads nothing, runs nothing and has no anchor.

    Examples
    --------
    >>> from sklearn_unlearn.utils._html import html_card, html_table
    >>> html = html_card(html_table("Forgot <3>", [("seconds", 0.25)]), mark="exact")
    >>> "<caption>Forgot &lt;3&gt;</caption>" in html
    True
    """
    label = f"<span class='mark'>{escape(mark)}</span>" if mark else ""
    line = f"<p>{label}{escape(note)}</p>" if mark or note else ""
    return f"<div class='unlearn-card'><style>{_STYLE}</style>{line}{''.join(tables)}</div>"


def html_table(
    caption: str, rows: Iterable[Sequence[Any]], head: Sequence[str] | None = None
) -> str:
    """Write a table; the first cell of a row names it.

    Parameters
    ----------
    caption : str
        What it shows, as plain text.

    rows : iterable of sequence
        Cells, shown by `shown`; numbers are aligned where there is a `head`.

    head : sequence of str or None, default=None
        Names of the columns.

    Returns
    -------
    html : str
        All text is escaped.
    """
    top = "" if head is None else f"<tr>{''.join(f'<th>{escape(one)}</th>' for one in head)}</tr>"
    kind = "" if head is None else " class='number'"
    body = "".join(
        f"<tr><th scope='row'>{escape(str(row[0]))}</th>"
        + "".join(f"<td{kind}>{escape(shown(cell))}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><caption>{escape(caption)}</caption>{top}{body}</table>"


def shown(value: Any) -> str:
    """Write a value in a few characters; what is not known is a dash.

    Examples
    --------
    >>> from sklearn_unlearn.utils._html import shown
    >>> shown(0.000123456), shown((1.5, 3e-4)), shown(None), shown(True)
    ('0.0001235', '1.5 to 0.0003', '-', 'yes')
    """
    if value is None or value != value:
        return "-"
    if isinstance(value, tuple):
        return " to ".join(shown(part) for part in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def counted(number: int, name: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> from sklearn_unlearn.utils._html import counted
    >>> counted(1, "user"), counted(12, "interaction"), counted(2, "entry")
    ('1 user', '12 interactions', '2 entries')
    """
    if number == 1:
        return f"{number} {name}"
    return f"{number} {name[:-1]}ies" if name.endswith("ry") else f"{number} {name}s"
