import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklearn_unlearn.utils import estimator_checks
from sklearn_unlearn.utils.estimator_checks import (
    check_forgetting,
    parametrize_with_forget_checks,
    yield_forget_checks,
)
from sklearn_unlearn.utils.estimator_checks._walk import walk
from tests.cases import RidgeRecommender
from tests.utils.mutants import MUTANTS, PartOfTheWay


class Implicit(RidgeRecommender):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


class Approximate(PartOfTheWay):
    left = 1e-3


@parametrize_with_forget_checks([RidgeRecommender(), Implicit(), Approximate(regularization=5)])
def test_a_recommender_that_keeps_the_contract_passes(check):
    check()


@pytest.mark.parametrize(
    "check, mutant", MUTANTS, ids=[f"{check}-{mutant.__name__}" for check, mutant in MUTANTS]
)
def test_every_broken_promise_is_caught(check, mutant):
    with pytest.raises(AssertionError, match=mutant.__name__):
        getattr(estimator_checks, check)(mutant.__name__, mutant())


def test_every_check_has_a_mutant_and_is_public():
    names = {name for name, _ in yield_forget_checks(RidgeRecommender())}
    assert names == {check for check, _ in MUTANTS}
    assert names < set(estimator_checks.__all__)
    assert len(names) >= 28


def test_checks_leave_the_estimator_alone():
    model = RidgeRecommender(regularization=4.0)
    passed = check_forgetting(model)
    assert passed == [name for name, _ in yield_forget_checks(model)]
    assert vars(model) == {"regularization": 4.0, "random_state": None}


@pytest.mark.parametrize(
    "run", [check_forgetting, lambda one: parametrize_with_forget_checks([one])]
)
@pytest.mark.parametrize(
    "wrong, message", [(Ridge(), "no forget method"), (RidgeRecommender, "is a class")]
)
def test_what_cannot_forget_is_refused(run, wrong, message):
    with pytest.raises(TypeError, match=message):
        run(wrong)


def test_a_walk_reaches_slots_closures_containers_and_bases():
    class Slots:
        __slots__ = ("one",)

    marks = [np.array([float(k)]) for k in range(6)]
    holder = Slots()
    holder.one = marks[0]
    things = np.empty(1, object)
    things[0] = marks[3]
    view = np.arange(9.0)
    root = {
        "slots": holder,
        "closure": lambda default=marks[1]: (default, marks[2]),
        "objects": things,
        "view": view[2:3],
        "memory": memoryview(marks[4]),
        "method": [marks[5]].append,
    }
    found = {id(one) for one in walk(root)}
    assert {id(one) for one in marks[:5]} <= found and id(view) in found
