"""Run the Python blocks of a Markdown page, top to bottom, as one program."""

import doctest
import re
import sys
import types
from pathlib import Path

ROOT = Path(__file__).parents[1]

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public_modules():
    """List the modules whose names the API pages show."""
    pages = sorted((ROOT / "docs" / "api").glob("*.md"))
    texts = [page.read_text(encoding="utf-8") for page in pages]
    found = re.findall(r"^\.\. (?:automodule|currentmodule):: (\S+)$", "\n".join(texts), re.M)
    return sorted(set(found))


def python_blocks(text):
    """List (lines before it, source) of every block; one that starts with >>> is a doctest."""
    return [(text.count("\n", 0, m.start(1)), m[1]) for m in _BLOCK.finditer(text)]


def run_page(path, monkeypatch):
    """Run a page in a module of its own, which classes need to be pickled; return its names."""
    module = types.ModuleType("page_" + path.stem)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names = vars(module)
    for lines_before, source in python_blocks(path.read_text(encoding="utf-8")):
        if source.startswith(">>>"):
            _run_doctest(source, names, path, lines_before)
        else:
            # Line numbers of a traceback are those of the page.
            exec(compile("\n" * lines_before + source, str(path), "exec"), names)
    return names


def _run_doctest(source, names, path, lines_before):
    test = doctest.DocTestParser().get_doctest(source, {}, path.name, str(path), lines_before)
    test.globs = names
    said = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=_OPTIONS)
    if runner.run(test, out=said.append, clear_globs=False).failed:
        raise AssertionError("".join(said))
