"""Formulas as MathML, written when the pages are built: no script, no network, any theme."""

import re

from docutils import nodes
from math_core import LatexToMathML

_CONVERTER = LatexToMathML()


def as_mathml(tex, block):
    """Translate LaTeX; what cannot be translated ends the build."""
    return _CONVERTER.convert_with_local_state(re.sub(r"\s+", " ", tex).strip(), displaystyle=block)


def visit_math(translator, node):
    translator.body.append(as_mathml(node.astext(), block=False))
    raise nodes.SkipNode


def visit_displaymath(translator, node):
    # A formula wider than a phone scrolls in its own box; tabindex lets a keyboard reach it.
    translator.body.append('<div class="formula" tabindex="0">')
    translator.body.append(as_mathml(node.astext(), block=True))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
