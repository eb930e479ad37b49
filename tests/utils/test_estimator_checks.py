import importlib
import pickle
import pkgutil

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklearn_unlearn.pipeline import RecommenderPipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.utils import estimator_checks
from sklearn_unlearn.utils.estimator_checks import (
    _registry,
    _run,
    check_encoder,
    check_forgetting,
    parametrize_with_forget_checks,
    yield_forget_checks,
)
from sklearn_unlearn.utils.estimator_checks._walk import walk
from tests.cases import RidgeRecommender
from tests.utils.mutants import MUTANTS, PartOfTheWay
from tests.utils.mutants_ids import ENCODER_MUTANTS, PIPELINE_MUTANTS, pipeline_of


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


def test_every_check_that_a_module_defines_is_registered_and_public():
    defined = []
    for module in pkgutil.iter_modules(estimator_checks.__path__, f"{estimator_checks.__name__}."):
        for name, one in vars(importlib.import_module(module.name)).items():
            if name.startswith("check_") and one.__module__ == module.name:
                defined.append((name, one))
    registered = _registry.public_checks()
    runners = {name: getattr(_run, name) for name in _run.__all__}
    checks = [(name, one) for name, one in defined if name not in runners]
    assert len(checks) == len(registered) and dict(checks) == registered
    public = {name: getattr(estimator_checks, name) for name in estimator_checks.__all__}
    assert public == registered | runners
    assert len(estimator_checks.__all__) == len(public)
    assert set(public) <= set(dir(estimator_checks))
    for name, one in public.items():
        assert pickle.loads(pickle.dumps(one)) is one and one.__name__ == name


def test_every_registered_check_is_run():
    plain = {name for name, _ in yield_forget_checks(RidgeRecommender())}
    by_ids = {name for name, _ in yield_forget_checks(pipeline_of(RecommenderPipeline))}
    encoders = set(check_encoder(InteractionEncoder(value="n")))
    assert plain | by_ids | encoders == set(_registry.public_checks())
    assert not encoders & (plain | by_ids)


@pytest.fixture
def registry(monkeypatch):
    for name in ("_FORGET_CHECKS", "_ENCODER_CHECKS"):
        monkeypatch.setattr(_registry, name, {})
    return _registry


def named(name):
    def check(label, estimator):
        pass

    check.__name__ = name
    return check


def test_checks_are_ordered_by_subject_then_name(registry):
    later, second, first, replaced = map(named, ("check_a", "check_z", "check_y", "check_x"))
    memory, steps, of_ids, version = map(named, ("check_b", "check_m", "check_n", "check_o"))
    for subject, check in [("traces", later), ("outcome", second), ("outcome", first)]:
        assert registry.forget_check(subject)(check) is check
    for subject, check in [("memory", memory), ("steps", steps), ("ids", of_ids)]:
        registry.forget_check(subject)(check)
    registry.forget_check("request")(replaced)
    registry.forget_check("ids", instead_of=replaced)(version)
    assert registry.checks_by_positions() == [first, second, replaced, later]
    start = [(first, True), (second, True), (version, False), (later, True), (of_ids, False)]
    assert registry.checks_by_ids({"alpha"}) == start
    assert registry.checks_by_ids({"memory"}) == [*start, (memory, False)]
    assert registry.checks_by_ids({"memory", "steps"}) == [*start, (steps, False), (memory, False)]


def test_a_check_is_registered_once_under_a_known_subject(registry):
    encoders = [registry.encoder_check(named(f"check_{k}")) for k in (2, 1)]
    assert registry.encoder_checks() == encoders
    for enter in (registry.encoder_check, registry.forget_check("ids")):
        with pytest.raises(ValueError, match=r"check_1 is registered twice; .* Rename"):
            enter(named("check_1"))
    with pytest.raises(ValueError, match="got subject 'weather'; expected one of outcome, request"):
        registry.forget_check("weather")


# What a pipeline does itself, so that a defect of its recommender is never seen: it reads requests,
# hands positions on, and lets its steps be read and changed as copies.
OUT_OF_REACH = {
    "CommitsInSteps",
    "IgnoresMostOfAMask",
    "LooksAtTheCallersData",
    "LosesPartOfItself",
    "NeverMinds",
    "ReturnsNothing",
    "RoundsDenseInput",
    "SilentWhenUnfitted",
    "SortsTheRequest",
    "TakesNoTurns",
    "WritesToTheCallersData",
}
WITHIN_REACH = [
    (check, mutant)
    for check, mutant in MUTANTS
    if mutant.__name__ not in OUT_OF_REACH
    and check in dict(yield_forget_checks(pipeline_of(RecommenderPipeline)))
]


@parametrize_with_forget_checks([pipeline_of(RecommenderPipeline)])
def test_a_pipeline_that_keeps_the_contract_passes(check):
    check()


@pytest.mark.shows_ids
@pytest.mark.parametrize(
    "check, mutant",
    PIPELINE_MUTANTS,
    ids=[f"{check}-{mutant.__name__}" for check, mutant in PIPELINE_MUTANTS],
)
def test_every_broken_promise_of_a_pipeline_is_caught(check, mutant):
    with pytest.raises(AssertionError, match=mutant.__name__):
        dict(yield_forget_checks(pipeline_of(mutant)))[check]()


@pytest.mark.parametrize(
    "check, mutant",
    WITHIN_REACH,
    ids=[f"{check}-{mutant.__name__}" for check, mutant in WITHIN_REACH],
)
def test_a_recommender_that_breaks_a_promise_is_caught_through_ids(check, mutant):
    with pytest.raises(AssertionError, match="RecommenderPipeline"):
        dict(yield_forget_checks(pipeline_of(RecommenderPipeline, mutant())))[check]()


@pytest.mark.shows_ids
@pytest.mark.parametrize(
    "check, mutant",
    ENCODER_MUTANTS,
    ids=[f"{check}-{mutant.__name__}" for check, mutant in ENCODER_MUTANTS],
)
def test_every_broken_promise_of_an_encoder_is_caught(check, mutant):
    with pytest.raises(AssertionError, match=mutant.__name__):
        getattr(estimator_checks, check)(mutant.__name__, mutant(value="stars"))


ENCODERS = [
    InteractionEncoder(),
    InteractionEncoder("who", "what", "stars", unknown="ignore"),
    InteractionEncoder(value="n", duplicates="last", timestamp="when"),
    InteractionEncoder(value="n", duplicates="error"),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
def test_encoders_pass(encoder):
    before = repr(vars(encoder))
    assert set(check_encoder(encoder)) == {check for check, _ in ENCODER_MUTANTS}
    assert repr(vars(encoder)) == before


def test_every_check_of_ids_has_a_mutant_and_is_public():
    names = [name for name, _ in yield_forget_checks(pipeline_of(RecommenderPipeline))]
    own = {name for name in names if name.startswith("check_ids_")}
    assert own == {check for check, _ in PIPELINE_MUTANTS if check.startswith("check_ids_")}
    public = set(estimator_checks.__all__)
    assert own | {check for check, _ in ENCODER_MUTANTS} < public
    of_positions = {name for name, _ in yield_forget_checks(RidgeRecommender())}
    of_learning = {name for name in of_positions if "learn" in name or "rectify" in name}
    assert len(of_learning) == 6 and not of_learning & set(names)
    others = of_positions - of_learning
    assert len(others) == 35 and len(others - set(names)) == 4
    assert len(names) == len(set(names)) == 47


def test_steps_and_memory_are_asked_of_those_that_have_them():
    class Plain(RidgeRecommender):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.two_d_array = False
            return tags

    names = {name for name, _ in yield_forget_checks(Plain())}
    assert len(names) == 45
    assert not any(name.endswith("are_refused") or name.endswith("is_refused") for name in names)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (Ridge(), "has no encode_pairs"),
        (InteractionEncoder, r"is a class.* InteractionEncoder\(\)"),
    ],
)
def test_what_is_no_encoder_is_refused(wrong, message):
    with pytest.raises(TypeError, match=message):
        check_encoder(wrong)


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
