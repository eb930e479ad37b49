"""Links from code words of the guide to the API: the first use of a name in each section."""

import re

from api_names import names_by_form
from docutils import nodes
from sphinx import addnodes

_PLACES = re.compile(r"^(index$|user_guide/|extending/)")


def _link(node, full):
    reference = addnodes.pending_xref(
        "", refdomain="py", reftype="obj", reftarget=full, refexplicit=True, refwarn=True
    )
    node.replace_self(reference)
    reference += node


def link_code_words(app, doctree):
    if not _PLACES.match(app.env.docname):
        return
    met = set()
    for node in list(doctree.findall(nodes.literal)):
        full = names_by_form().get(re.sub(r"\(\)$", "", node.astext()))
        inside = node.parent
        while inside is not None and not isinstance(inside, nodes.section):
            if isinstance(inside, (nodes.reference, addnodes.pending_xref, nodes.title)):
                full = None
            inside = inside.parent
        if full and (id(inside), full) not in met:
            met.add((id(inside), full))
            _link(node, full)


def setup(app):
    app.connect("doctree-read", link_code_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
