"""A request may make a latent column worth having that the model does not use."""

import copy

import numpy as np
import pytest
from scipy.linalg import hadamard

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import ForgetFallbackWarning
from sklearn_unlearn.influence import _influence, _stages

X = make_interactions(60, 40, n_interactions=700, random_state=0)


def scores(model):
    return model._score_users(np.arange(model.user_factors_.shape[0]))


def gap(before, after):
    fresh = MatrixFactorization(**{**before.get_params(deep=False), "random_state": 5})
    target = scores(fresh.fit(after._interactions.to_csr()))
    return np.linalg.norm(scores(after) - target) / np.linalg.norm(scores(before) - target)


def model(**settings):
    return MatrixFactorization(
        **{"n_factors": 28, "regularization": 2.0, "random_state": 0, **settings}
    )


def test_one_pair_can_raise_the_rank_and_forget_follows():
    before = model().fit(X)
    after = copy.deepcopy(before).forget([[3, 27]])
    assert before.certify().rank == 9
    assert after.certify().rank == 10
    assert after.forget_report_.guarantee == "residual-bounded"
    assert gap(before, after) <= 0.01


def test_without_the_check_the_model_stays_at_a_saddle(monkeypatch):
    monkeypatch.setattr(_influence, "complete_rank", lambda problem, progress, rules: progress)
    before = model().fit(X)
    after = copy.deepcopy(before).forget([[3, 27]])
    assert after.certify().rank == 9
    assert gap(before, after) > 0.02


def test_more_missing_columns_than_may_be_added_end_in_a_reported_refit(monkeypatch):
    monkeypatch.setattr(_stages, "MAX_COLUMNS", 0)
    before = model().fit(X)
    with pytest.warns(ForgetFallbackWarning, match="the request met tol=0.001, but the optimum"):
        after = copy.deepcopy(before).forget([[3, 27]])
    assert after.forget_report_.method == "refit"
    assert "latent columns" in after.forget_report_.status
    assert gap(before, after) <= 1e-3


@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.DataWarning")  # likes are left
def test_half_of_a_perfectly_balanced_matrix():
    """All singular values of a Hadamard matrix are alike: none survives, until half is gone."""
    H = hadamard(16).astype(float)
    before = model(n_factors=16, regularization=2.5, fit_bias=False).fit(H)
    assert before.certify().rank == 0
    with pytest.warns(ForgetFallbackWarning, match="latent columns"):
        after = copy.deepcopy(before).forget(np.argwhere(H < 0))
    assert after.certify().rank == 1
    assert gap(before, after) <= 0.01


def test_a_new_column_takes_a_free_place_and_leaves_the_others():
    before = model().fit(X)
    after = copy.deepcopy(before).forget([[3, 27]])
    used = before.item_factors_.any(axis=0)
    added = after.item_factors_.any(axis=0) & ~used
    assert added.sum() == 1
    moved = after.item_factors_[:, used] - before.item_factors_[:, used]
    assert np.linalg.norm(moved) < 0.3 * np.linalg.norm(before.item_factors_)
