"""Sphinx configuration; `make docs` builds with warnings as errors and without a network."""

import json
import os
import sys
from pathlib import Path

os.environ["SCIPY_ARRAY_API"] = "1"

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from api_names import guide_pages_of  # noqa: E402 - found by the path set above

from sklearn_unlearn import __version__  # noqa: E402 - after the environment

project = "sklearn-unlearn"
author = "sklearn-unlearn developers"
project_copyright = "2026, sklearn-unlearn developers"
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "guide_links",
    "landing_figure",
    "mathml",
    "no_mail",
    "source_pages",
    "stale",
]
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "auto_examples/**/*.ipynb", "auto_examples/*.ipynb"]
templates_path = ["_templates"]
html_math_renderer = "mathml"

# Summaries and pages of all names that the pages in api/ list; tests compare them with `__all__`.
autosummary_generate = sorted(f"api/{page.name}" for page in Path(__file__).parent.glob("api/*.md"))
autosummary_context = {"guide_pages_of": guide_pages_of()}
toc_object_entries_show_parents = "hide"
default_role = "py:obj"  # `forget` in a docstring is code, and a link where there is such a name
autodoc_typehints = "none"  # numpydoc sections already say the types
# Inherited scikit-learn methods link to pages that are not built here.
numpydoc_show_class_members = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "subsection_order": "gallery.section_key",
    "within_subsection_order": "gallery.script_key",
    "reset_modules": ("matplotlib", "gallery.use_figure_style"),
    "doc_module": ("sklearn_unlearn",),
    "backreferences_dir": "auto_examples/backreferences",
    "inspect_global_variables": False,
    "parallel": True,
    "plot_gallery": "True",
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-unlearn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_js_files = ["versions.js"]
html_search_scorer = str(HERE / "_ext/scorer.js")
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "changes/*": [], "glossary": [], "faq": []}
html_context = {
    "default_mode": "auto",
    "versions": json.loads((HERE / "_static/versions.json").read_text("utf-8")),
}
html_theme_options = {
    "logo": {
        "text": "sklearn-unlearn",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
    },
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navbar_end": ["versions", "theme-switcher", "navbar-icon-links"],
    "navigation_depth": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "search_bar_text": "Search",
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out what a class inherits from elsewhere: its text refers to pages not built here."""
    obj = getattr(obj, "fget", None) or obj
    owner = getattr(obj, "__objclass__", obj)
    module = getattr(owner, "__module__", None) or "sklearn_unlearn"
    return skip or not module.startswith("sklearn_unlearn")


def head_examples_of_modules_plainly(app, what, name, obj, options, lines):
    """Make headings in docstrings of modules text: they stand within a section of a page."""
    if what == "module":
        for at in range(len(lines) - 1):
            if lines[at] and lines[at + 1] == "-" * len(lines[at]):
                lines[at : at + 2] = [f".. rubric:: {lines[at]}", ""]


def setup(app):
    # Before numpydoc makes sections of them.
    app.connect("autodoc-process-docstring", head_examples_of_modules_plainly, priority=10)
    app.connect("autodoc-skip-member", skip_foreign_members)
