"""Text such as recall@20 stays text: docutils would make links to addresses of mail of it."""

from docutils import nodes


def keep_as_text(app, doctree):
    for link in list(doctree.findall(nodes.reference)):
        if link.get("refuri", "").startswith("mailto:") and not link.rawsource.startswith(
            "mailto:"
        ):
            link.replace_self(nodes.Text(link.astext()))


def setup(app):
    app.connect("doctree-read", keep_as_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
