"""LightGCN: fit, fold-in and forget against dense arithmetic and actual refits."""

import copy
import pickle
from functools import lru_cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import minimize
from sklearn.base import clone

from sklearn_unlearn import ALS, LightGCN
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning, UnknownInteractionError
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.metrics import remaining_gap
from sklearn_unlearn.objectives._negatives import draw_groups
from tests.objectives.graph_problems import dense_propagation

X = make_interactions(60, 40, n_interactions=700, feedback="implicit", random_state=0)
DENSE = X.toarray()
# Regularised so that 24 factors are more than the optimum uses: every refit is the same model.
SETTINGS = {
    "weighted": {"alpha": 4.0, "regularization": 2.0},
    "bpr": {"regularization": 0.4},
    "logistic": {"regularization": 0.6},
}
losses = pytest.mark.parametrize("loss", SETTINGS)


def model_of(loss="bpr", **params):
    return LightGCN(
        **{"n_factors": 24, "n_layers": 2, "loss": loss, "random_state": 0}
        | SETTINGS[loss]
        | params
    )


@lru_cache
def _fitted(loss, params):
    return model_of(loss, **dict(params)).fit(X)


def fitted(loss="bpr", **params):
    """Model of the data, fitted once; a copy."""
    return copy.deepcopy(_fitted(loss, tuple(params.items())))


def scores_of(model):
    return model._score_users(np.arange(len(model.user_factors_)))


def cells_of_losses(model, data):
    """Users, positives, draws and weights of every comparison, by the definition."""
    drawn, counted = draw_groups(data, model.n_negatives, model._seed)
    users = data.rows[:, None] + 0 * drawn.groups[:, 1:]
    own = drawn.groups[:, :1] + 0 * drawn.groups[:, 1:]
    values = data.values[:, None] / model.n_negatives + 0 * own
    return users[counted], own[counted], drawn.groups[:, 1:][counted], values[counted]


def dense_losses(model, data, scores):
    """Losses and their slopes in the scores of all pairs."""
    matrix, slopes = data.to_csr().toarray(), np.zeros(data.shape)
    if model.loss == "weighted":
        c, p = np.where(matrix > 0, model.alpha * matrix, 1.0), matrix > 0
        return 0.5 * (c * (scores - p) ** 2).sum(), c * (scores - p)
    u, i, j, weights = cells_of_losses(model, data)
    if model.loss == "bpr":
        x = scores[u, i] - scores[u, j]
        by_x = -weights / (1 + np.exp(x))
        np.add.at(slopes, (u, i), by_x)
        np.add.at(slopes, (u, j), -by_x)
        return weights @ np.logaddexp(0, -x), slopes
    np.add.at(slopes, (u, j), weights / (1 + np.exp(-scores[u, j])))
    slopes -= matrix / (1 + np.exp(scores))
    value = (matrix * np.logaddexp(0, -scores)).sum() + weights @ np.logaddexp(0, scores[u, j])
    return value, slopes


def dense_value_and_gradient(model, data, theta):
    m, Pi = data.n_users, dense_propagation(data.to_csr().toarray(), model.n_layers)
    Z = Pi @ theta
    value, slopes = dense_losses(model, data, Z[:m] @ Z[m:].T)
    gradient = Pi @ np.concatenate([slopes @ Z[m:], slopes.T @ Z[:m]])
    gradient += model.regularization * theta
    return value + 0.5 * model.regularization * (theta**2).sum(), gradient


def table_of(model):
    return np.concatenate([model.user_embeddings_, model.item_embeddings_])


# -- fit -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("loss", "n_layers"), [("weighted", 1), ("bpr", 3), ("logistic", 2)])
def test_fit_is_the_minimum_that_another_optimizer_finds(loss, n_layers):
    model = fitted(loss, n_layers=n_layers)
    data, shape = model._interactions, (100, 24)
    assert model.certify().certified

    def fun(x):
        value, gradient = dense_value_and_gradient(model, data, x.reshape(shape))
        return value, gradient.ravel()

    start = 0.3 * np.random.default_rng(5).standard_normal(shape)
    options = {"maxiter": 3000, "maxfun": 6000, "ftol": 0, "gtol": 1e-6, "maxcor": 30}
    found = minimize(fun, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    own = fun(table_of(model).ravel())
    assert own[0] == pytest.approx(found.fun, rel=1e-8)
    # Columns beyond the rank are set to exactly zero after the last step.
    assert np.linalg.norm(own[1]) == pytest.approx(model.gradient_norm_, rel=0.1, abs=1e-9)
    Z = dense_propagation(DENSE, n_layers) @ found.x.reshape(shape)
    expected = Z[:60] @ Z[60:].T
    assert np.linalg.norm(scores_of(model) - expected) <= 1e-3 * np.linalg.norm(expected)


@losses
def test_factors_are_propagated_embeddings(loss):
    model = fitted(loss, n_layers=3)
    Z = dense_propagation(DENSE, 3) @ table_of(model)
    assert_allclose(np.concatenate([model.user_factors_, model.item_factors_]), Z, atol=1e-12)


def test_without_layers_and_negatives_it_is_als():
    options = {"alpha": 4.0, "regularization": 8.0, "random_state": 0}
    flat = LightGCN(24, n_layers=0, loss="weighted", **options).fit(X)
    assert_allclose(scores_of(flat), scores_of(ALS(24, **options).fit(X)), atol=1e-5)
    assert_array_equal(flat.user_factors_, flat.user_embeddings_)


@losses
def test_factors_of_a_fit_are_canonical(loss):
    model = fitted(loss)
    P, Q = model.canonical_factors()
    gram = Q.T @ Q
    assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)
    assert_allclose(np.abs(P), np.abs(model.user_factors_), atol=1e-7)


@losses
def test_rows_that_nothing_is_felt_of_are_zero(loss):
    matrix = DENSE.copy()
    matrix[[0, 9]] = 0
    matrix[:, [3, 39]] = 0
    model = model_of(loss).fit(matrix)
    assert not model.user_embeddings_[[0, 9]].any() and not model.user_factors_[[0, 9]].any()
    # An item that nobody met is still drawn as a negative: only without draws it is zero.
    assert model.item_embeddings_[[3, 39]].any() == (loss != "weighted")


@pytest.mark.parametrize("loss", ["bpr", "logistic"])
def test_values_weigh_the_losses(loss):
    """Twice the losses under twice the penalty are the same problem; the edges are the same."""
    once, twice = model_of(loss).fit(DENSE > 0), model_of(loss)
    twice.set_params(regularization=2 * twice.regularization).fit(2.0 * (DENSE > 0))
    assert_allclose(scores_of(once), scores_of(twice), atol=1e-4)
    assert np.abs(scores_of(once) - scores_of(fitted(loss))).max() > 0.1


def test_threads_change_nothing():
    one, two = fitted(), model_of(n_jobs=2).fit(X)
    assert_array_equal(one.item_embeddings_, two.item_embeddings_)


def test_verbose_prints_a_line_a_step(capsys):
    model = model_of(verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(f"[LightGCN] step {model.n_iter_}: objective ")


def test_a_fit_cut_short_says_so():
    with pytest.warns(NotConvergedWarning, match="LightGCN stopped after 1 steps"):
        model = model_of(max_iter=1).fit(X)
    assert not model.converged_
    assert not model.certify().certified
    with pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"):
        model.forget(users=[1])
    assert model.forget_report_.guarantee in ("residual-bounded", "refit")


@pytest.mark.parametrize("name, value", [
    ("n_layers", -1), ("loss", "squared"), ("n_negatives", 0), ("alpha", 0), ("unlearner", "sweep"),
])  # fmt: skip
def test_wrong_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of LightGCN"):
        model_of().set_params(**{name: value}).fit(X)


def test_dislikes_and_sweeps_are_refused():
    with pytest.raises(ValueError, match="Negative values in data"):
        model_of().fit(-X)
    model = fitted().set_params(unlearner=SweepUnlearner())
    with pytest.raises(TypeError, match=r"PropagatedObjective; expected.*Use InfluenceUnlearner"):
        model.forget(users=[1])
    assert model.user_factors_[1].any()


# -- new rows --------------------------------------------------------------------------------------
@pytest.mark.parametrize("options", [
    {}, {"n_layers": 1}, {"n_layers": 3, "frequency_scaling": 0.5, "regularization": 0.8},
    {"n_layers": 0, "regularization": 8.0},
])  # fmt: skip
def test_training_rows_come_out_as_they_were_trained(options):
    model = fitted("weighted", tol=1e-9, **options)
    assert_allclose(model.transform(X), model.user_factors_, atol=1e-6)
    assert_allclose(model.decision_function(X), scores_of(model), atol=1e-6)
    weights = np.random.default_rng(0).integers(1, 4, 60)
    model.fit(X, sample_weight=weights)
    assert_allclose(model.transform(X), model.user_factors_, atol=1e-6)


@pytest.mark.parametrize("loss", ["bpr", "logistic"])
def test_training_rows_come_out_nearer_the_more_is_drawn(loss):
    def error(n_negatives):
        model = fitted(loss, n_negatives=n_negatives)
        expected = scores_of(model)
        return np.linalg.norm(model.decision_function(X) - expected) / np.linalg.norm(expected)

    few, many = error(4), error(64)
    assert many < 0.5 * few < 0.2
    assert many < 0.1


@losses
def test_a_request_keeps_the_fold_in_exact(loss):
    model = fitted(loss).set_params(unlearner=InfluenceUnlearner(tol=1e-8)).forget(users=[7])
    refit = copy.deepcopy(model).fit(model._interactions.to_csr())
    assert_allclose(model.decision_function(X), refit.decision_function(X), atol=1e-4)


@losses
def test_a_row_comes_out_alone_as_in_company(loss):
    model = fitted(loss)
    rows = sparse.random_array((50, 40), density=0.2, rng=0).tocsr()
    whole = model.transform(rows)
    for row in (0, 20, 49):
        assert_allclose(model.transform(rows[[row]])[0], whole[row], atol=1e-9)
    assert not model.transform(np.zeros((1, 40))).any()


@losses
@pytest.mark.parametrize("user", [1, 31])
def test_a_new_row_is_closer_to_a_model_trained_with_it_than_what_its_items_pass_on(loss, user):
    kept = np.arange(60) != user
    model = model_of(loss, n_negatives=32).fit(DENSE[kept])
    expected = scores_of(fitted(loss, n_negatives=32))[user]
    found = model.decision_function(DENSE[[user]])[0]
    model.converged_ = False  # its own embedding counts as zero
    passed_on = model.decision_function(DENSE[[user]])[0]
    assert np.linalg.norm(found - expected) < 0.7 * np.linalg.norm(passed_on - expected)
    assert np.corrcoef(expected, found)[0, 1] > 0.85


@losses
def test_score_is_minus_the_mean_loss_of_the_rows(loss):
    model = fitted(loss, n_negatives=3)
    objective = model._make_fold_in(model._interactions)
    theta = np.concatenate([model.transform(X), model.item_factors_])
    assert model.score(X) == pytest.approx(-objective.mean_loss(theta))
    assert model.score(X) < 0


# -- forget ----------------------------------------------------------------------------------------
REQUESTS = {
    "pair": {"interactions": [[3, int(np.flatnonzero(DENSE[3])[0])]]},
    "user": {"users": [7]},
    "item": {"items": [5]},
    "some": {"interactions": np.argwhere(DENSE)[::50]},
}


@losses
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_forgetting_ends_at_the_refit(loss, request_):
    start = fitted(loss)
    model = copy.deepcopy(start).forget(**request_)
    refit = copy.deepcopy(start).fit(model._interactions.to_csr())
    assert remaining_gap(start, model, refit) <= 0.01
    report = model.forget_report_
    assert (report.guarantee, report.method) == ("residual-bounded", "influence")
    theta = table_of(model)
    norm = np.linalg.norm(dense_value_and_gradient(model, model._interactions, theta)[1])
    assert norm == pytest.approx(report.gradient_norm[1], rel=1e-3, abs=1e-9)


def test_requests_one_by_one_end_where_all_at_once_do():
    users = [4, 19, 33, 50]
    start = fitted()
    batch, one = copy.deepcopy(start).forget(users=users), copy.deepcopy(start)
    for user in users:
        one.forget(users=user)
    assert remaining_gap(start, one, batch) <= 0.01
    assert not one.user_embeddings_[users].any()


def test_a_pair_that_was_never_there_is_named_and_nothing_changes():
    model = fitted()
    before = pickle.dumps(vars(model))
    gap = np.argwhere(DENSE == 0)[0]
    with pytest.raises(UnknownInteractionError):
        model.forget([gap])
    assert pickle.dumps(vars(model)) == before


def test_forgetting_everything_leaves_nothing():
    for loss in SETTINGS:
        model = fitted(loss).forget(users=np.arange(60))
        assert not table_of(model).any()
        assert not model._gathered.any() and not model._pulled.any()


def test_a_pruned_request_goes_on_until_the_tolerance_is_met():
    from sklearn_unlearn.pruning import HopPruner

    start = fitted("weighted")
    pruned = InfluenceUnlearner(pruner=HopPruner(1))
    model = copy.deepcopy(start).set_params(unlearner=pruned).forget(users=[7])
    refit = copy.deepcopy(start).fit(model._interactions.to_csr())
    assert remaining_gap(start, model, refit) <= 0.01


def test_clone_and_pickle():
    model = fitted()
    twin = clone(model)
    assert set(vars(twin)) == set(twin.get_params(deep=False))
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.forget(users=[3]).item_factors_, model.forget(users=[3]).item_factors_)


@losses
def test_ends_of_the_range(loss):
    flat = LightGCN(0, loss=loss, random_state=0).fit(X).forget(users=[3])
    assert flat.transform(X).shape == (60, 0) and not flat.decision_function(X).any()
    assert flat.forget_report_.guarantee == "residual-bounded"
    deep = model_of(loss, n_layers=6).fit(X)
    assert deep.converged_ and deep.certify().certified
    one = LightGCN(3, loss=loss, random_state=0).fit(np.array([[1.0]]))
    assert one.certify().certified
    assert not one.forget(users=[0]).decision_function(np.array([[1.0]])).any()
