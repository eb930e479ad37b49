"""Fit, fold-in and certificate of `BPR`, each against the dense twin that SciPy minimises."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn import BPR
from sklearn_unlearn.backends import _scipy
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.solvers._newton import newton
from tests.recommenders.bpr_twin import DenseBPR
from tests.recommenders.oracles import distance, scores_of

X = abs(make_interactions(40, 30, n_interactions=350, random_state=0)).toarray()
COUNTS = X * np.random.default_rng(0).integers(1, 4, X.shape)
# Regularised so that the factors are more than the optimum uses.
SETTINGS = [
    {},
    {"fit_bias": False},
    {"n_negatives": 1, "bias_regularization": 0.3, "regularization": 1.5},
    {"regularization": 0.3, "frequency_scaling": 0.5},
]


def fitted(data=X, weights=None, **params):
    defaults = {"n_factors": 20, "regularization": 0.9, "random_state": 0}
    return BPR(**{**defaults, **params}).fit(data, sample_weight=weights)


def compared(model, data, scores):
    """Differences of scores that the model was trained on."""
    u, i, j, w = DenseBPR.of(model).triples(np.asarray(data, float))
    return (scores[u, i] - scores[u, j])[w > 0]


# -- the optimum ---------------------------------------------------------------------------------
@pytest.mark.parametrize("data", [X, COUNTS], ids=["presence", "counts"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_fit_reaches_the_optimum_that_a_general_minimizer_finds(setting, data):
    model = fitted(data, **setting)
    expected = DenseBPR.of(model).fit(data)[0]
    flat = DenseBPR.of(clone(model).set_params(n_factors=0).fit(data)).fit(data)[0]
    assert distance(scores_of(model), expected) < 1e-4
    # Not the optimum of biases alone, and not limited by the number of factors.
    assert distance(flat, expected) > 0.1
    assert 0 < model.item_factors_.any(axis=0).sum() < 20
    assert model.converged_


def test_user_biases_cancel_and_item_biases_follow_popularity():
    model = fitted()
    assert_allclose(model.user_biases_, 0, atol=1e-9)
    assert model.global_mean_ == 0
    assert np.corrcoef(model.item_biases_, X.sum(axis=0))[0, 1] > 0.9
    assert not fitted(fit_bias=False).item_biases_.any()


def test_more_is_scored_above_less():
    # Two groups of users, each with its own half of the items and some of them still unseen.
    blocks = np.kron(np.eye(2), np.ones((10, 8)))
    seen = blocks * (np.random.default_rng(0).random(blocks.shape) < 0.7)
    model = fitted(seen, regularization=0.5)
    items, _ = model.recommend(users=np.arange(20), n_items=2)
    unseen = (blocks - seen).sum(axis=1)
    hits = [blocks[u, items[u, 0]] for u in range(20) if unseen[u]]
    assert np.mean(hits) == 1.0


@pytest.mark.parametrize("setting", SETTINGS)
def test_another_start_ends_at_the_same_scores_and_both_are_certified(setting):
    model = fitted(tol=1e-8, **setting)
    objective = model._make_objective(model._interactions)
    rng, layout = np.random.default_rng(7), objective.layout
    start = layout.pack(0.3 * rng.standard_normal((layout.shape[0], 20)))
    other = newton(objective, start, 1e-8 * objective.gradient_scale).theta
    scores = other[:40] @ other[40:].T  # user biases are zero
    certificate = model.certify()
    assert certificate.certified
    assert distance(scores, scores_of(model)) < 1e-4
    difference = compared(model, X, scores) - compared(model, X, scores_of(model))
    assert np.sqrt(np.mean(difference**2)) <= certificate.prediction_bound


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_holds_for_models_that_are_not_quite_there(seed):
    exact = fitted(tol=1e-9, random_state=seed)
    assert exact.certify().certified
    for tol in (1e-2, 1e-3, 1e-4):
        loose = fitted(tol=tol, random_state=seed)
        bound = loose.certify(1.0).prediction_bound
        difference = compared(exact, X, scores_of(loose)) - compared(exact, X, scores_of(exact))
        assert np.sqrt(np.mean(difference**2)) <= bound
    assert bound < 0.5


def test_what_is_not_optimal_is_not_certified():
    with pytest.warns(NotConvergedWarning, match=r"stopped after 2 steps .* Raise max_iter"):
        stopped = fitted(max_iter=2)
    assert not stopped.converged_
    assert not stopped.certify().certified
    saturated = fitted(n_factors=2, regularization=0.1)
    assert saturated.converged_
    certificate = saturated.certify()
    assert not certificate.certified and certificate.spectral_ratio > 1.01
    assert certificate.rank == certificate.n_factors == 2


# -- the draws -----------------------------------------------------------------------------------
def test_the_seed_of_the_draws_is_drawn_at_fit_and_kept():
    one, other = fitted(random_state=1), fitted(random_state=2)
    assert distance(scores_of(one), scores_of(other)) > 0.01
    assert_array_equal(scores_of(fitted(random_state=1)), scores_of(one))
    state = np.random.RandomState(3)
    models = [fitted(random_state=state) for _ in range(2)]
    assert models[0].random_state is state
    assert distance(*(scores_of(model) for model in models)) > 0.01
    for model in models:  # each certifies against the negatives of its own fit
        assert model.certify().certified
        assert distance(scores_of(model), DenseBPR.of(model).fit(X)[0]) < 1e-4
    free = fitted(random_state=None)
    assert free.random_state is None
    assert distance(scores_of(free), DenseBPR.of(free).fit(X)[0]) < 1e-4


def test_more_negatives_bring_models_of_two_seeds_closer():
    def spread(n_negatives):
        one, other = (scores_of(fitted(n_negatives=n_negatives, random_state=s)) for s in (0, 1))
        return np.linalg.norm(one - other)

    assert spread(32) < 0.6 * spread(1)


def test_everybody_has_met_everything_leaves_nothing_to_say():
    model = fitted(np.ones((6, 5)))
    assert model.converged_
    assert not scores_of(model).any()
    assert not model.decision_function(np.eye(5)).any()
    single = fitted(np.ones((4, 1)))
    assert single.decision_function(np.ones((2, 1))).shape == (2, 1)
    assert not scores_of(single).any()
    assert single.score(np.ones((2, 1))) == 0.0


# -- weights -------------------------------------------------------------------------------------
def test_a_value_weighs_like_that_many_interactions():
    assert_allclose(
        scores_of(fitted(2 * X, regularization=1.8, bias_regularization=2.0, tol=1e-9)),
        scores_of(fitted(X, regularization=0.9, bias_regularization=1.0, tol=1e-9)),
        atol=1e-5,
    )
    assert distance(scores_of(fitted(COUNTS)), scores_of(fitted(X))) > 0.1


@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[3]])
def test_weights_of_users_are_those_of_the_twin(setting):
    weights = np.random.default_rng(0).integers(0, 4, 40).astype(float)
    model = fitted(weights=weights, tol=1e-8, **setting)
    assert distance(scores_of(model), DenseBPR.of(model).fit(X, weights)[0]) < 1e-4
    assert distance(scores_of(model), scores_of(fitted(**setting))) > 0.1
    kept = fitted(weights=(weights > 0).astype(float))
    assert_array_equal(scores_of(kept), scores_of(fitted(X * (weights > 0)[:, None])))


# -- fold-in -------------------------------------------------------------------------------------
@pytest.mark.parametrize("setting", SETTINGS)
def test_unseen_row_folds_in_to_the_minimum_beside_held_items(setting):
    model = fitted(**setting)
    rows = abs(make_interactions(7, 30, n_interactions=60, random_state=9)).toarray()
    rows[3] = 0
    twin, Q, b = DenseBPR.of(model), model.item_factors_, model.item_biases_
    solved = np.array([twin.fold_in(row, Q, b) for row in rows])
    assert_allclose(model.transform(rows), solved, atol=1e-6)
    assert_allclose(model.decision_function(rows), solved @ Q.T + b, atol=1e-6)
    assert not model.transform(rows)[3].any()


def test_a_row_folds_in_alike_wherever_it_stands(monkeypatch):
    model = fitted()
    batch = model.transform(X)
    assert_array_equal(model.transform(X[::-1]), batch[::-1])
    assert_array_equal(np.concatenate([model.transform(row[None]) for row in X]), batch)
    monkeypatch.setattr("sklearn_unlearn.recommenders._factor_scores._ROWS_AT_ONCE", 7)
    assert_array_equal(model.transform(X), batch)


def test_training_rows_fold_in_close_to_their_factors():
    model = fitted(n_negatives=64)
    folded, own = model.transform(X), model.user_factors_
    assert np.linalg.norm(folded - own) < 0.25 * np.linalg.norm(own)
    few = fitted(n_negatives=2)
    far = np.linalg.norm(few.transform(X) - few.user_factors_) / np.linalg.norm(few.user_factors_)
    assert far > 0.3


def test_score_is_minus_the_mean_loss_of_the_comparisons():
    model = fitted(COUNTS)
    u, i, j, w = DenseBPR.of(model).triples(COUNTS, key=-1)
    scores = model.decision_function(COUNTS)
    losses = np.logaddexp(0, scores[u, j] - scores[u, i])
    assert model.score(COUNTS) == pytest.approx(-np.average(losses, weights=w), rel=1e-9)
    assert model.score(np.zeros((2, 30))) == 0.0


# -- one result, however it is computed ----------------------------------------------------------
def test_threads_change_no_bit(monkeypatch):
    one = fitted(n_jobs=1).forget(users=[3, 7])
    monkeypatch.setattr(_scipy, "_MIN_WORK", 0)
    two = fitted(n_jobs=2).forget(users=[3, 7])
    for name in ("user_factors_", "item_factors_", "user_biases_", "item_biases_"):
        assert_array_equal(getattr(one, name), getattr(two, name))
    assert_array_equal(one.transform(X), two.transform(X))


def test_dense_sparse_and_single_precision_inputs_give_one_model():
    expected = scores_of(fitted())
    for same in (sparse.csr_array(X), sparse.coo_array(X), X.astype(np.float32), X.astype(int)):
        assert_array_equal(scores_of(fitted(same)), expected)


# -- what is refused -----------------------------------------------------------------------------
def test_negative_values_are_refused():
    with pytest.raises(ValueError, match=r"^Negative values in data"):
        fitted(-X)


@pytest.mark.parametrize(
    "wrong",
    [{"n_negatives": 0}, {"regularization": 0.0}, {"unlearner": "sweep"}, {"n_factors": -1}],
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=f"'{next(iter(wrong))}' parameter of BPR must be"):
        fitted(**wrong)
