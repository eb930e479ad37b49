"""Links from the HTML diagram of an estimator to its page in the documentation."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["DocLinkMixin", "documentation_url"]

_VARIABLE = "SKLEARN_UNLEARN_DOCS"
_PAGE = "/api/generated/{estimator_module}.{estimator_name}.html"


def documentation_url() -> str:
    """Return the address of the documentation, without a slash at its end; "" if there is none.

    It is that of the environment variable ``SKLEARN_UNLEARN_DOCS``, for pages of your own build, or
    else the one that the installed package states as ``Documentation``.

    Examples
    --------
    >>> import os
    >>> from sklearn_unlearn.utils._doc_links import documentation_url
    >>> os.environ["SKLEARN_UNLEARN_DOCS"] = "https://docs.example.org/"
    >>> documentation_url()
    'https://docs.example.org'
    >>> del os.environ["SKLEARN_UNLEARN_DOCS"]
    """
    return os.environ.get(_VARIABLE, _stated_url()).rstrip("/")


@cache
def _stated_url() -> str:
    """Address under ``Documentation`` in the metadata of the installed package."""
    try:
        stated = metadata("sklearn-unlearn").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from a checkout that is not installed
        return ""
    urls = dict(one.split(", ", 1) for one in stated)
    return urls.get("Documentation", "")


class DocLinkMixin:
    """Mixin by which scikit-learn's HTML diagram of an estimator links to its page here.

    The class attributes are those that scikit-learn documents for packages around it; without an
    address there is no link. A class that is defined elsewhere gets none either.

    Examples
    --------
    >>> import os
    >>> from sklearn_unlearn import ALS
    >>> os.environ["SKLEARN_UNLEARN_DOCS"] = "https://docs.example.org"
    >>> ALS()._get_doc_link()
    'https://docs.example.org/api/generated/sklearn_unlearn.recommenders.ALS.html'
    >>> del os.environ["SKLEARN_UNLEARN_DOCS"]
    """

    _doc_link_module = "sklearn_unlearn"

    @property
    def _doc_link_template(self) -> str:
        return documentation_url() + _PAGE

    def _get_doc_link(self) -> str:
        # As in __sklearn_tags__: BaseEstimator has the method, where mypy does not look.
        return super()._get_doc_link() if documentation_url() else ""  # type: ignore[misc]
