"""Removal of generated pages whose source is gone, so that a rebuild does not trip over them."""

import re
from pathlib import Path

from sphinx.ext.autosummary.generate import find_autosummary_in_files


def remove_stale_stubs(app):
    folder = Path(app.srcdir, "api", "generated")
    pages = [str(page) for page in Path(app.srcdir, "api").glob("*.md")]
    wanted = {entry.name for entry in find_autosummary_in_files(pages)}
    for stub in folder.glob("*.rst"):
        if stub.stem not in wanted:
            stub.unlink()


def remove_stale_gallery(app):
    scripts = Path(app.srcdir).parent / "examples"
    gallery = Path(app.srcdir, "auto_examples")
    for page in gallery.rglob("*.rst"):
        place = page.relative_to(gallery)
        source = scripts / place.with_suffix(".py")
        gone = not source.parent.is_dir() if page.stem == "index" else not source.exists()
        if gone:
            for made in page.parent.glob(f"{re.sub('[*?[]', '?', page.stem)}.*"):
                made.unlink()


def remove_stale(app):
    remove_stale_stubs(app)
    remove_stale_gallery(app)


def setup(app):
    # Before autosummary and the gallery write theirs.
    app.connect("builder-inited", remove_stale, priority=10)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
