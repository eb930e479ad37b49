"""New users and items that have only each other do not stay at zero, where nothing pulls them."""

import copy
import warnings

import numpy as np
import pytest

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.exceptions import ForgetFallbackWarning, NotConvergedWarning

N_USERS, N_ITEMS = 25, 14
RNG = np.random.default_rng(0)
DENSE = (RNG.random((N_USERS, N_ITEMS)) < 0.3).astype(float)
DENSE[np.arange(N_USERS), np.arange(N_USERS) % N_ITEMS] = 1
LABELS = np.where(RNG.random(DENSE.shape) < 0.5, 1.0, -1.0) * DENSE
# A pair alone, and a group of which nobody has met anybody else.
NEW = {
    "pair": [[N_USERS, N_ITEMS]],
    "group": [[N_USERS + u, N_ITEMS + i] for u in range(3) for i in range(3) if u != i],
}
MODELS = {
    "saturated": (ALS(N_ITEMS, regularization=0.3, random_state=0), DENSE),
    "with room": (ALS(2 * N_ITEMS, regularization=2.0, random_state=0), DENSE),
    "MatrixFactorization": (MatrixFactorization(6, regularization=0.2, random_state=0), LABELS),
    "without biases": (
        MatrixFactorization(6, regularization=0.2, fit_bias=False, random_state=0), LABELS
    ),
    "BPR": (BPR(8, regularization=0.1, random_state=0), DENSE),
    "LightGCN": (LightGCN(8, regularization=0.1, random_state=0), DENSE),
}  # fmt: skip


def with_new(X, pairs):
    larger = np.zeros(np.maximum(X.shape, np.max(pairs, axis=0) + 1))
    larger[: X.shape[0], : X.shape[1]] = X
    larger[tuple(np.transpose(pairs))] = 1
    return larger


@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
@pytest.mark.parametrize("new", NEW)
@pytest.mark.parametrize("name", MODELS)
def test_they_score_as_in_a_refit(name, new):
    estimator, X = MODELS[name]
    pairs = NEW[new]
    model = copy.deepcopy(estimator).fit(X).learn(pairs)
    refit = copy.deepcopy(estimator).fit(with_new(X, pairs))
    np.testing.assert_allclose(
        model.predict_pairs(pairs), refit.predict_pairs(pairs), rtol=0.02, atol=1e-3
    )
    others = np.argwhere(X)[::7]
    scale = np.abs(refit.predict_pairs(others)).max()
    assert np.abs(model.predict_pairs(pairs)).min() > 0.05 * scale


@pytest.mark.parametrize("new", NEW)
def test_a_model_stopped_early_lists_them(new):
    model = ALS(6, regularization=0.3, max_iter=0, random_state=0).fit(DENSE)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ForgetFallbackWarning)
        warnings.simplefilter("ignore", NotConvergedWarning)
        model.learn(NEW[new])
    assert (model.predict_pairs(NEW[new]) > 0.3).all()
    users = np.unique(np.array(NEW[new])[:, 0])
    items, _ = model.recommend(users=users, n_items=2, exclude_seen=False)
    assert (items >= N_ITEMS).all(axis=1).sum() >= (items[:, 0] >= N_ITEMS).all()


def test_zero_is_an_optimum_where_the_penalty_is_large():
    estimator = ALS(4, regularization=60.0, alpha=5.0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no refit
        model = copy.deepcopy(estimator).fit(DENSE).learn(NEW["pair"])
    refit = copy.deepcopy(estimator).fit(with_new(DENSE, NEW["pair"]))
    np.testing.assert_allclose(model.predict_pairs(NEW["pair"]), 0.0, atol=1e-3)
    np.testing.assert_allclose(refit.predict_pairs(NEW["pair"]), 0.0, atol=1e-3)


def test_a_saddle_that_is_kept_is_said(monkeypatch):
    """Where a strategy leaves them at zero, the request is a refit and no success."""
    from sklearn_unlearn.objectives.weighted._row_solver import RowChanges

    monkeypatch.setattr(RowChanges, "_without_gradient", lambda self, theta: self.touched[:0])
    estimator, X = MODELS["saturated"]
    model = copy.deepcopy(estimator).fit(X)
    with pytest.warns(ForgetFallbackWarning, match="only each other are left at zero"):
        model.learn(NEW["pair"])
    assert model.learn_report_.guarantee == "refit"
    assert model.predict_pairs(NEW["pair"])[0] > 0.9
