from dataclasses import fields

import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.utils import Tags as SklearnTags
from sklearn.utils import get_tags

from sklearn_unlearn.exceptions import (
    ForgetError,
    NotConvergedWarning,
    UnknownInteractionError,
)
from sklearn_unlearn.utils._tags import ForgetTags, get_forget_tags, with_forget_tags


def test_scikit_learns_values_are_carried_over():
    plain = get_tags(Ridge())
    plain.non_deterministic = True
    tags = with_forget_tags(plain, ForgetTags(exact=True, users=False))
    assert isinstance(tags, SklearnTags)
    assert all(getattr(tags, one.name) is getattr(plain, one.name) for one in fields(plain))
    assert tags.forget_tags == ForgetTags(exact=True, interactions=True, users=False, items=True)


def test_tags_added_twice_keep_what_a_class_below_has_set():
    once = with_forget_tags(get_tags(BaseEstimator()), ForgetTags(items=False))
    assert with_forget_tags(once).forget_tags == ForgetTags(items=False)
    assert with_forget_tags(get_tags(BaseEstimator())).forget_tags == ForgetTags()


def test_no_two_estimators_share_forget_tags():
    one, two = (with_forget_tags(get_tags(BaseEstimator())) for _ in range(2))
    one.forget_tags.exact = True
    assert not two.forget_tags.exact


def test_other_estimators_have_none():
    assert get_forget_tags(Ridge()) is None


@pytest.mark.parametrize(
    "kind, parents",
    [
        (UnknownInteractionError, (ValueError, KeyError)),
        (ForgetError, (RuntimeError,)),
        (NotConvergedWarning, (ConvergenceWarning, UserWarning)),
    ],
)
def test_errors_can_be_caught_by_what_they_are(kind, parents):
    assert all(issubclass(kind, parent) for parent in parents)
    assert str(kind("say 'it' plainly")) == "say 'it' plainly"
