"""After a request `BPR` is the model that a refit would be: same draws, less data."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn import BPR
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning, UnknownInteractionError
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.objectives._negatives import negatives_of
from sklearn_unlearn.pruning import HopPruner
from sklearn_unlearn.solvers._newton import newton
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks
from tests.recommenders.oracles import scores_of

DEFAULTS = [BPR(), BPR(8, n_negatives=1, frequency_scaling=0.5, fit_bias=False)]
# Well-posed on the checks' small data: more factors than the optimum's rank.
SMALL = [BPR(28, regularization=1.0)]

X = abs(make_interactions(60, 40, n_interactions=700, random_state=0)).toarray()
CELLS = np.argwhere(X)
REQUESTS = {
    "pair": {"interactions": CELLS[[17]]},
    "pairs": {"interactions": CELLS[::70]},
    "user": {"users": [7]},
    "item": {"items": [3]},
    "popular item": {"items": [int(X.sum(axis=0).argmax())]},
    "all kinds": {"interactions": CELLS[[0, 300]], "users": [11, 30], "items": [20]},
}
requests = pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)


def fitted(data=X, **params):
    return BPR(**{"n_factors": 20, "regularization": 1.0, "random_state": 0, **params}).fit(data)


MODEL = fitted()


def gap(model, start, refit):
    """Share of the way from doing nothing to the refit that is left: everybody, and the users."""
    ours, before, after = (scores_of(one) for one in (model, start, refit))
    touched = (model._interactions.user_degrees != start._interactions.user_degrees).nonzero()[0]
    return [
        np.linalg.norm((ours - after)[rows]) / np.linalg.norm((before - after)[rows])
        for rows in (slice(None), touched)
    ]


@parametrize_with_checks(DEFAULTS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(SMALL)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", DEFAULTS)
def test_no_scikit_learn_check_is_skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 50
    assert {result["status"] for result in results} == {"passed"}


# -- the refit -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"fit_bias": False, "n_negatives": 1, "regularization": 1.5},
        {"frequency_scaling": 0.5, "regularization": 0.3},
    ],
    ids=["bias", "plain", "frequency"],
)
@requests
def test_forgetting_ends_where_a_refit_ends(request_, setting):
    start = fitted(**setting)
    # Of so few data, a refit costs fewer passes than some of these requests.
    model = copy.deepcopy(start).set_params(unlearner=InfluenceUnlearner()).forget(**request_)
    refit = fitted(model._interactions.to_csr(), **setting)
    assert max(gap(model, start, refit)) <= 1e-2
    report = model.forget_report_
    assert report.guarantee == "residual-bounded" and report.method == "influence"
    assert report.residual <= 1e-3 and model.converged_


@requests
def test_a_refit_from_another_start_is_no_further_away(request_):
    model = copy.deepcopy(MODEL).forget(**request_)
    objective = model._make_objective(model._interactions)
    rng, layout = np.random.default_rng(1), objective.layout
    theta = layout.pack(0.3 * rng.standard_normal((layout.shape[0], layout.n_factors)))
    theta = newton(objective, theta, 1e-7 * objective.gradient_scale).theta
    other = copy.deepcopy(model)
    other.user_factors_, other.item_factors_ = theta[:60, :20], theta[60:, :20]
    other.item_biases_ = theta[60:, 21]
    assert max(gap(model, MODEL, other)) <= 1e-2


@requests
def test_the_gradient_that_the_report_bounds_is_that_of_what_remains(request_):
    model = copy.deepcopy(MODEL).forget(**request_)
    objective = model._make_objective(model._interactions)
    norm = np.linalg.norm(objective.gradient(model._theta(objective.layout)))
    assert norm <= 1.01 * model.gradient_norm_
    before = np.linalg.norm(objective.gradient(MODEL._theta(objective.layout)))
    assert norm <= 2e-3 * before


def test_one_by_one_is_all_at_once():
    cells = CELLS[::70]
    together = copy.deepcopy(MODEL).forget(cells)
    refit = fitted(together._interactions.to_csr())
    model = copy.deepcopy(MODEL)
    for cell in cells:
        model.forget([cell])
    assert max(gap(model, MODEL, refit)) <= 2e-2


def test_certified_answers_are_within_the_bound_of_a_refit():
    model = fitted(unlearner=InfluenceUnlearner(certify=True))
    model.forget(users=[7])
    assert model.forget_report_.guarantee == "certified"
    certificate = model.certify()
    refit = fitted(model._interactions.to_csr(), tol=1e-8)
    pattern = model._make_objective(model._interactions).pattern
    users = np.repeat(np.arange(60), np.diff(pattern.indptr) // pattern.width)
    rows = [scores_of(one)[users[:, None], pattern.groups] for one in (model, refit)]
    one, other = (row[:, :1] - row[:, 1:] for row in rows)
    assert certificate.prediction_bound < 0.05
    assert np.sqrt(np.mean((one - other) ** 2)) <= certificate.prediction_bound


def test_a_refit_meets_the_draws_of_the_fit():
    np.random.seed(0)  # random_state=None draws from it, and one draw of sixty ends in a refit
    for unlearner in ("refit", None):
        model = fitted(random_state=None, unlearner=unlearner)
        before = model._make_objective(model._interactions)
        seed = model._seed
        model.forget(users=[7])
        after = model._make_objective(model._interactions)
        kept = np.repeat(np.arange(60) != 7, X.sum(axis=1).astype(int))
        assert model._seed == seed and model.random_state is None
        assert_array_equal(after.pattern.groups, before.pattern.groups[kept])


def test_a_refit_strategy_is_the_refit():
    model = fitted(unlearner="refit").forget(CELLS[::70])
    refit = fitted(model._interactions.to_csr())
    assert model.forget_report_.guarantee == "refit"
    assert_array_equal(scores_of(model), scores_of(refit))


# -- rows that a request empties -----------------------------------------------------------------
def test_a_forgotten_user_is_zero_and_a_forgotten_item_is_what_its_draws_make_of_it():
    model = copy.deepcopy(MODEL).forget(users=[7], items=[3])
    assert not model.user_factors_[7].any() and model.user_biases_[7] == 0
    objective = model._make_objective(model._interactions)
    assert objective.is_drawn(np.array([3]))[0]
    # Nobody has met it and many are compared with it: below everything else.
    assert model.item_biases_[3] == model.item_biases_.min()


def test_an_item_that_is_neither_met_nor_drawn_is_zero():
    data = np.zeros((3, 40))
    data[0, [0, 1]] = data[1, [1, 2]] = data[2, [2, 0]] = 1
    model = fitted(data, n_negatives=1, regularization=0.1)
    drawn = model._make_objective(model._interactions).is_drawn(np.arange(40))
    idle = ~drawn & ~data.any(axis=0)
    assert idle.sum() > 20
    assert not model.item_factors_[idle].any() and not model.item_biases_[idle].any()
    # Those that were drawn for a pair alone go with it, to zero and not merely near it.
    gone = negatives_of([0], [1], 40, 1, model._seed)[0, 0]
    model.forget([[0, 1]])
    still = model._make_objective(model._interactions).is_drawn(np.array([gone]))[0]
    assert not still and not data[:, gone].any()
    assert not model.item_factors_[gone].any() and model.item_biases_[gone] == 0


def test_what_a_user_has_met_is_compared_again_once_it_is_forgotten():
    model = fitted(n_negatives=32)
    user, item = CELLS[17]
    groups = model._make_objective(model._interactions).pattern.groups
    assert (groups[(CELLS[:, 0] == user)] == item)[:, 1:].any()
    refit = fitted(
        X * (1 - (np.arange(60)[:, None] == user) * (np.arange(40) == item)), n_negatives=32
    )
    after = copy.deepcopy(model).forget([[user, item]])
    assert max(gap(after, model, refit)) <= 1e-2
    assert scores_of(after)[user, item] < scores_of(model)[user, item]


# -- requests that change nothing, and strategies ------------------------------------------------
def test_a_request_delivered_twice_changes_nothing_more():
    model = copy.deepcopy(MODEL).forget(CELLS[::70])
    before = scores_of(model).copy()
    with pytest.raises(UnknownInteractionError):
        model.forget(CELLS[::70])
    model.forget(CELLS[::70], missing="ignore")
    assert_array_equal(scores_of(model), before)


def test_forgetting_everything_leaves_nothing():
    model = copy.deepcopy(MODEL).forget(users=np.arange(60))
    assert not scores_of(model).any()
    assert not model.decision_function(np.eye(40)).any()


def test_a_model_that_was_stopped_early_says_that_its_training_is_not_finished():
    with pytest.warns(NotConvergedWarning):
        start = fitted(max_iter=4)
    with pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"):
        model = copy.deepcopy(start).forget(users=[7])
    assert not model.converged_ and not model.user_factors_[7].any()
    # The gradient that training left is left still.
    assert 0.5 * start.gradient_norm_ < model.gradient_norm_ < 2 * start.gradient_norm_


def test_a_pruner_moves_only_what_it_keeps():
    one_step = InfluenceUnlearner(HopPruner(1), n_steps=1, tol=None)
    model = fitted(unlearner=one_step)
    start = copy.deepcopy(model)
    model.forget(users=[7])
    refit = fitted(model._interactions.to_csr())
    assert gap(model, start, refit)[0] < 0.5
    assert model.forget_report_.guarantee == "one-step"


def test_sweeps_are_refused_and_leave_the_model_alone():
    model = fitted(unlearner=SweepUnlearner())
    before = scores_of(model).copy()
    with pytest.raises(TypeError, match=r"PairwiseObjective; expected .* Use InfluenceUnlearner"):
        model.forget(users=[7])
    assert_array_equal(scores_of(model), before)
