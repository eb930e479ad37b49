"""Tags that say what a recommender can forget, on top of scikit-learn's own tags."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from sklearn.utils import Tags as SklearnTags
from sklearn.utils import get_tags

__all__ = ["ForgetTags", "Tags", "get_forget_tags", "with_forget_tags"]


@dataclass(slots=True)
class ForgetTags:
    """What an estimator can forget, and how well.

    Parameters
    ----------
    exact : bool, default=False
        Whether ``forget`` equals refitting on what remains to floating-point tolerance.

    interactions : bool, default=True
        Whether single (user, item) interactions can be forgotten.

    users : bool, default=True
        Whether whole users can be forgotten.

    items : bool, default=True
        Whether whole items can be forgotten.

    Examples
    --------
    >>> from sklearn_unlearn.utils._tags import ForgetTags
    >>> ForgetTags(exact=True)
    ForgetTags(exact=True, interactions=True, users=True, items=True)
    """

    exact: bool = False
    interactions: bool = True
    users: bool = True
    items: bool = True


# No ``slots`` here: scikit-learn 1.6 and 1.9 disagree on whether the parent has them.
@dataclass
class Tags(SklearnTags):
    """scikit-learn's tags, with those of forgetting.

    Parameters
    ----------
    forget_tags : ForgetTags, default=ForgetTags()
        What the estimator can forget. All other parameters are scikit-learn's.
    """

    forget_tags: ForgetTags = field(default_factory=ForgetTags)


def with_forget_tags(tags: SklearnTags, forget_tags: ForgetTags | None = None) -> Tags:
    """Turn scikit-learn's tags into `Tags`, leaving every value as it is.

    Parameters
    ----------
    tags : sklearn.utils.Tags
        Tags that the next class in the method resolution order returned.

    forget_tags : ForgetTags or None, default=None
        The tags to add; None keeps those already there, or takes the defaults.

    Returns
    -------
    tags : Tags
        A new object with the same values and a ``forget_tags`` attribute.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_unlearn.utils._tags import ForgetTags, with_forget_tags
    >>> tags = with_forget_tags(BaseEstimator().__sklearn_tags__(), ForgetTags(exact=True))
    >>> tags.forget_tags.exact
    True
    """
    values = {one.name: getattr(tags, one.name) for one in fields(tags)}
    if forget_tags is not None:
        values["forget_tags"] = forget_tags
    return Tags(**values)


def get_forget_tags(estimator: Any) -> ForgetTags | None:
    """Return the forget tags of an estimator, or None if it has none.

    Parameters
    ----------
    estimator : estimator object
        Any scikit-learn estimator.

    Returns
    -------
    forget_tags : ForgetTags or None
        None means that the estimator makes no promise about forgetting.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn_unlearn.utils._tags import get_forget_tags
    >>> get_forget_tags(Ridge()) is None
    True
    """
    return getattr(get_tags(estimator), "forget_tags", None)
