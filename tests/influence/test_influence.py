"""Strategies against refits, and the failure cases that must end in a status or a refit."""

import copy
import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import ForgetError, ForgetFallbackWarning, NotConvergedWarning
from sklearn_unlearn.influence import (
    InfluenceUnlearner,
    RefitUnlearner,
    _influence,
    _stages,
)
from sklearn_unlearn.influence._stages import Rules
from sklearn_unlearn.pruning import HopPruner, ImportancePruner
from sklearn_unlearn.solvers import NewtonSettings

X = make_interactions(80, 50, n_interactions=1500, random_state=0)
USER = [7]


def model(n_factors=30, regularization=2.0, **settings):
    settings.setdefault("random_state", 0)
    return MatrixFactorization(n_factors, regularization=regularization, **settings)


@pytest.fixture(scope="module")
def fitted():
    return model().fit(X)


def scores(fitted):
    return fitted._score_users(np.arange(fitted.user_factors_.shape[0]))


def refit(fitted, **changes):
    fresh = MatrixFactorization(**{**fitted.get_params(deep=False), "random_state": 9, **changes})
    return fresh.fit(fitted._interactions.to_csr())


def gap(before, after):
    target = scores(refit(after))
    return np.linalg.norm(scores(after) - target) / np.linalg.norm(scores(before) - target)


def forgotten(fitted, unlearner, **request):
    request = request or {"users": USER}
    return copy.deepcopy(fitted).set_params(unlearner=unlearner).forget(**request)


# -- what each setting promises --------------------------------------------------------------
@pytest.mark.parametrize(
    "unlearner",
    [
        None,
        InfluenceUnlearner(),
        InfluenceUnlearner(solver="cg"),
        InfluenceUnlearner(solver="minres"),
        InfluenceUnlearner(damping=0.1),
        InfluenceUnlearner(HopPruner(n_hops=1)),
        InfluenceUnlearner(ImportancePruner(n_hops=2, keep_ratio=0.3)),
    ],
    ids=str,
)
def test_every_setting_meets_its_tolerance(fitted, unlearner):
    after = forgotten(fitted, unlearner)
    report = after.forget_report_
    assert report.guarantee == "residual-bounded"
    assert report.residual <= 1e-3
    objective = after._make_objective(after._interactions)
    true = np.linalg.norm(objective.gradient(after._theta(objective.layout)))
    assert true <= 1.001 * (report.gradient_norm[1] + fitted.gradient_norm_)
    assert gap(fitted, after) <= 0.01


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-4])
def test_the_residual_is_the_one_asked_for(fitted, tol):
    assert forgotten(fitted, InfluenceUnlearner(tol=tol)).forget_report_.residual <= tol


def test_one_step_without_tolerance_promises_nothing_and_helps(fitted):
    after = forgotten(fitted, InfluenceUnlearner(n_steps=1, tol=None))
    report = after.forget_report_
    assert (report.guarantee, report.n_steps) == ("one-step", 1)
    assert 1e-6 < gap(fitted, after) < 0.1


def test_one_step_is_the_newton_step_of_the_dense_system(fitted):
    """The equation of the docstring, solved densely on the directions that do not rotate."""
    after = forgotten(fitted, InfluenceUnlearner(n_steps=1, tol=None), interactions=[[7, _item(7)]])
    used = np.flatnonzero(fitted.item_factors_.any(axis=0))
    objective = after._make_objective(after._interactions).with_factors(len(used))
    start = fitted._theta(objective.layout, used)
    point = objective.at(start)
    basis = np.eye(start.size).reshape(-1, *start.shape)
    H = np.stack([point.hessian_product(objective.mask(V.copy())).ravel() for V in basis])
    rotations = _rotations(start, len(used))
    horizontal = np.eye(start.size) - rotations @ rotations.T
    inverse = np.linalg.pinv(horizontal @ H @ horizontal, rcond=1e-9, hermitian=True)
    dense = start - (inverse @ point.gradient.ravel()).reshape(start.shape)
    m = objective.layout.n_users
    expected = dense[:m] @ dense[m:].T
    moved = scores(after) - scores(fitted)
    assert np.linalg.norm(scores(after) - expected) <= 0.01 * np.linalg.norm(moved)


def _rotations(theta, k):
    """Orthonormal basis of the tables that rotate the latent columns."""
    tables = []
    for i in range(k):
        for j in range(i):
            table = np.zeros_like(theta)
            table[:, i], table[:, j] = theta[:, j], -theta[:, i]
            tables.append(table.ravel())
    return np.linalg.qr(np.array(tables).T)[0]


def _item(user):
    return int(X[[user]].indices[0])


def test_local_and_global_solves_agree(fitted, monkeypatch):
    monkeypatch.setattr(_influence, "Rules", partial(Rules, max_share=2.0))
    local = forgotten(fitted, InfluenceUnlearner(tol=1e-6), interactions=[[7, _item(7)]])
    monkeypatch.setattr(_influence, "Rules", partial(Rules, max_share=0.0))
    everywhere = forgotten(fitted, InfluenceUnlearner(tol=1e-6), interactions=[[7, _item(7)]])
    change = np.linalg.norm(scores(everywhere) - scores(fitted))
    assert np.linalg.norm(scores(local) - scores(everywhere)) <= 1e-4 * change


def test_a_small_request_on_sparse_data_leaves_most_rows_alone():
    sparse = make_interactions(3000, 3000, n_interactions=9000, random_state=1, popularity=0.2)
    before = model(8, 3.0).fit(sparse)
    user = int(np.argmax(before._interactions.user_degrees == 3))
    after = forgotten(before, InfluenceUnlearner(tol=1e-2), users=[user])
    report = after.forget_report_
    assert report.n_solver_iter < 1
    assert 0 < report.n_rows_updated < 600
    same = (after.item_factors_ == before.item_factors_).all(axis=1)
    assert same.sum() > 2400
    assert gap(before, after) <= 0.01


def test_refit_is_a_fit(fitted):
    after = forgotten(fitted, RefitUnlearner())
    fresh = refit(after, random_state=0, unlearner=None)
    assert after.forget_report_.guarantee == after.forget_report_.method == "refit"
    assert_array_equal(after.user_factors_, fresh.user_factors_)
    assert_array_equal(after.item_biases_, fresh.item_biases_)


# -- what goes wrong, and how it ends ---------------------------------------------------------
def test_an_early_stopped_model_answers_the_request_without_finishing_the_training():
    with pytest.warns(NotConvergedWarning, match="stopped after 4 steps"):
        early = model(max_iter=4).fit(X)
    with pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"):
        corrected = forgotten(early, InfluenceUnlearner())
    with pytest.warns(NotConvergedWarning):
        finished = forgotten(early, InfluenceUnlearner(correct_residual=False))
        equal = scores(refit(corrected, random_state=0, unlearner=None))
    assert not corrected.converged_
    assert corrected.forget_report_.method == "influence"
    assert corrected.forget_report_.residual <= 1e-3
    do_nothing = np.linalg.norm(scores(early) - equal)
    left, without = (np.linalg.norm(scores(m) - equal) / do_nothing for m in (corrected, finished))
    assert left <= 0.01 < without


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_earlier_the_stop_the_more_the_correction_matters(steps):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        early = model(max_iter=steps).fit(X)
        corrected = forgotten(early, InfluenceUnlearner())
        finished = forgotten(early, InfluenceUnlearner(correct_residual=False))
        equal = scores(refit(corrected, random_state=0, unlearner=None))
    assert corrected.forget_report_.residual <= 1e-3
    do_nothing = np.linalg.norm(scores(early) - equal)
    left, without = (np.linalg.norm(scores(m) - equal) / do_nothing for m in (corrected, finished))
    assert left < 0.3
    assert left < 0.3 * without


def test_a_loose_fit_is_not_finished_by_a_request_smaller_than_what_it_left():
    loose = model(tol=0.05).fit(X)
    assert loose.converged_
    pair = {"interactions": [[7, _item(7)]]}
    by_itself = forgotten(loose, InfluenceUnlearner(), **pair)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        corrected = forgotten(loose, InfluenceUnlearner(correct_residual=True), **pair)
        finished = forgotten(loose, InfluenceUnlearner(correct_residual=False), **pair)
        # Trained by as many steps: what a step more would do is not what was asked for.
        equal = scores(refit(by_itself, random_state=0, tol=1e-12, max_iter=loose.n_iter_))
    assert by_itself.converged_
    assert by_itself.forget_report_.residual <= 1e-3
    assert_array_equal(scores(by_itself), scores(corrected))
    do_nothing = np.linalg.norm(scores(loose) - equal)
    left, without = (np.linalg.norm(scores(m) - equal) / do_nothing for m in (by_itself, finished))
    assert left <= 0.05 < 0.5 < without


@pytest.mark.parametrize(
    ("fit_tol", "tol", "n_forgotten"),
    [(1e-6, 1e-8, 1), (1e-2, 0.1, 1200)],
    ids=["tight fit", "large request"],
)
def test_what_training_left_counts_as_none_beside_a_large_request(fit_tol, tol, n_forgotten):
    """Nor in a tight fit, whose rank may have to grow: that takes a gradient that ends at zero."""
    start = model(tol=fit_tol).fit(X)
    gone = {"interactions": np.argwhere(X.toarray() != 0)[:n_forgotten]}
    by_itself = forgotten(start, InfluenceUnlearner(tol=tol), **gone)
    finished = forgotten(start, InfluenceUnlearner(tol=tol, correct_residual=False), **gone)
    assert_array_equal(scores(by_itself), scores(finished))


def test_too_small_a_penalty_ends_in_a_status_and_never_above_the_start():
    """Indefinite Hessian: it ends in a stationary point, a refit or an error; never silently."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        weak = model(3, 0.02, max_iter=300).fit(X)
        assert not weak.certify().certified
        for seed in range(4):
            rng = np.random.default_rng(seed)
            pairs = np.argwhere(X.toarray() != 0)
            gone = pairs[rng.random(len(pairs)) < 0.1]
            after = forgotten(weak, InfluenceUnlearner(n_steps=3), interactions=gone)
            objective = after._make_objective(after._interactions)
            end, start = (m._theta(objective.layout) for m in (after, weak))
            assert objective.value(end) <= objective.value(start)
            report = after.forget_report_
            assert report.method == "refit" or report.residual <= 1e-3


def test_a_model_that_uses_all_its_factors_says_so(fitted):
    used_up = model(2).fit(X)
    assert not used_up.certify().certified
    assert "all n_factors are in use" in forgotten(used_up, None).forget_report_.status
    assert "n_factors" not in forgotten(fitted, None).forget_report_.status


def impossible(on_failure):
    """One step of one iteration cannot do it, and neither can the refinement of this fixture."""
    return InfluenceUnlearner(n_steps=1, max_iter=1, tol=1e-9, on_failure=on_failure)


@pytest.fixture
def no_refinement(monkeypatch):
    monkeypatch.setattr(_stages, "REFINE", NewtonSettings(max_steps=1, max_iter=1))


def test_missing_the_tolerance_ends_in_a_refit_that_the_report_names(fitted, no_refinement):
    with pytest.warns(ForgetFallbackWarning, match="fitted again on the data after the request"):
        after = forgotten(fitted, impossible("refit"))
    report = after.forget_report_
    assert (report.method, report.guarantee) == ("refit", "refit")
    assert report.status.startswith("refit, because influence ended so")
    assert gap(fitted, after) <= 1e-4


def test_missing_the_tolerance_can_raise_and_leave_the_model_alone(fitted, no_refinement):
    before = copy.deepcopy(fitted).set_params(unlearner=impossible("raise"))
    with pytest.raises(ForgetError, match=r"tol=1e-09 was asked.*model is unchanged"):
        before.forget(users=USER)
    assert_array_equal(before.user_factors_, fitted.user_factors_)
    assert before._interactions.n_interactions == fitted._interactions.n_interactions


@pytest.mark.parametrize("on_failure", ["refit", "warn", "raise"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda fitted, some: fitted.learn([[80, 3], [80, 5]], 1.0),
        lambda fitted, some: fitted.rectify(some, some, -X[some[:, 0], some[:, 1]]),
    ],
    ids=["learn", "rectify"],
)
def test_what_is_said_of_a_failure_fits_every_verb(fitted, no_refinement, ask, on_failure):
    asked = copy.deepcopy(fitted).set_params(unlearner=impossible(on_failure))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            ask(asked, np.argwhere(X.toarray() != 0)[:20])
            (said,) = [str(one.message) for one in warned]
        except ForgetError as error:
            said = str(error)
    assert said.startswith("the request left")
    assert "forg" not in said and "remains" not in said


def test_missing_the_tolerance_can_warn_and_then_promises_nothing(fitted, no_refinement):
    with pytest.warns(NotConvergedWarning, match="tol=1e-09"):
        after = forgotten(fitted, impossible("warn"))
    assert after.forget_report_.guarantee == "one-step"
    assert not after.converged_


def test_more_steps_are_refined_before_anything_is_given_up(fitted):
    after = forgotten(fitted, InfluenceUnlearner(n_steps=1, max_iter=2, tol=1e-6))
    assert after.forget_report_.method == "influence+refine"
    assert after.forget_report_.residual <= 1e-6


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("n_steps", 0), ("tol", 2.0), ("solver", "lu"), ("damping", -1.0), ("on_failure", "cry"),
     ("pruner", 3)],
)  # fmt: skip
def test_wrong_parameters_are_named_before_anything_changes(fitted, parameter, value):
    before = copy.deepcopy(fitted).set_params(unlearner=InfluenceUnlearner(**{parameter: value}))
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of InfluenceUnlearner"):
        before.forget(users=USER)
    assert_array_equal(before.user_factors_, fitted.user_factors_)
