"""Formulas as MathML, written when the pages are built: no script, no network, any theme."""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def as_mathml(tex, block):
    """Translate LaTeX; the source stays in an annotation, for copying and for screen readers."""
    return tex2mathml(re.sub(r"\s+", " ", tex).strip(), as_block=block)


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
