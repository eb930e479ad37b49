"""Pages of source code without links back: names offered by several modules have no one address."""

import re


def drop_links_back(app, pagename, templatename, context, doctree):
    if pagename.startswith("_modules/"):
        back = r'<a class="viewcode-back"[^>]*>.*?</a>'
        context["body"] = re.sub(back, "", context.get("body", ""))


def setup(app):
    app.connect("html-page-context", drop_links_back)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
