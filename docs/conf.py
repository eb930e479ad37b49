"""Sphinx configuration; `make docs` builds with warnings as errors."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"

from sklearn_unlearn import __version__

project = "sklearn-unlearn"
author = "sklearn-unlearn developers"
project_copyright = "2026, sklearn-unlearn developers"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
templates_path = ["_templates"]

# The API pages list what the modules list in `__all__`, so that a new public name needs no edit.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"  # numpydoc sections already say the types
# Inherited scikit-learn methods link to pages that are not built here.
numpydoc_show_class_members = False

html_theme = "alabaster"
html_theme_options = {"description": "Recommenders that can forget", "page_width": "1100px"}


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out what a class inherits from elsewhere: its text refers to pages not built here."""
    obj = getattr(obj, "fget", None) or obj
    owner = getattr(obj, "__objclass__", obj)
    module = getattr(owner, "__module__", None) or "sklearn_unlearn"
    return skip or not module.startswith("sklearn_unlearn")


def setup(app):
    app.connect("autodoc-skip-member", skip_foreign_members)
