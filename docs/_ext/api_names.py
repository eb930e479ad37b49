"""Public names as the API pages list them, and the pages of the guide that use each."""

import re
from functools import cache
from pathlib import Path

from sphinx.ext.autosummary.generate import find_autosummary_in_files

DOCS = Path(__file__).parents[1]
GUIDE = ("user_guide", "extending")
MOST_PAGES = 5


@cache
def listed_names():
    """List the full name of every entry of the API pages that has a page of its own."""
    pages = [str(page) for page in sorted((DOCS / "api").glob("*.md"))]
    return [entry.name for entry in find_autosummary_in_files(pages) if entry.path]


def short_forms(full):
    """List the forms by which text may name it: a bare one only where it is no plain word."""
    parts = full.split(".")
    forms = [".".join(parts[at:]) for at in range(len(parts) - 1)]
    is_distinct = not parts[-1].islower() or "_" in parts[-1]
    return [*forms, parts[-1]] if is_distinct else forms


@cache
def names_by_form():
    """Map each form that names one thing alone to its full name."""
    found = {}
    for full in listed_names():
        for form in short_forms(full):
            found.setdefault(form, set()).add(full)
    return {form: full for form, (full, *more) in found.items() if not more}


def _guide_pages():
    for folder in GUIDE:
        for page in sorted((DOCS / folder).glob("*.md")):
            if page.stem != "index":
                yield page, page.read_text(encoding="utf-8")


@cache
def guide_pages_of():
    """Map full names to the pages that use them most, as (address, title)."""
    uses = {}
    for page, text in _guide_pages():
        title = re.search(r"^# (.+)$", text, re.M)[1].replace("`", "")
        docname = "/" + page.relative_to(DOCS).with_suffix("").as_posix()
        for word in re.findall(r"[A-Za-z_][\w.]*\w", text):
            full = names_by_form().get(word)
            if full:
                of_name = uses.setdefault(full, {})
                of_name[docname, title] = of_name.get((docname, title), 0) + 1
    return {
        full: sorted(pages, key=lambda page: -pages[page])[:MOST_PAGES]
        for full, pages in uses.items()
    }
