"""The slack that local requests carry is never more than there is."""

import copy

import numpy as np
import pytest

from sklearn_unlearn import BPR, MatrixFactorization
from sklearn_unlearn.certificates._rank import slack_of
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.influence._slack import change_bound, slack_after
from sklearn_unlearn.interactions import Interactions
from tests.problems import Problem, labels


def model(**settings):
    return MatrixFactorization(
        **{"n_factors": 28, "regularization": 2.0, "random_state": 0, **settings}
    )


@pytest.mark.parametrize(("regularization", "n_carried"), [(2.0, 0), (4.0, 3)])
def test_slack_carried_through_local_requests_is_never_too_large(regularization, n_carried):
    sparse = make_interactions(1500, 1500, n_interactions=6000, random_state=2, popularity=0.3)
    unlearner = InfluenceUnlearner(tol=1e-2)
    local = model(n_factors=8, regularization=regularization, unlearner=unlearner).fit(sparse)
    pairs = np.argwhere(sparse.toarray() != 0)
    kept = 0
    for pair in np.random.default_rng(0).permutation(pairs)[:25]:
        carried = local._slack
        local.forget(pair[None])
        objective = local._make_objective(local._interactions)
        true = slack_of(objective, local._theta(objective.layout))
        assert local._slack <= true + 2e-3
        kept += local._slack < min(carried, true - 1e-9)
    assert kept >= n_carried  # so many requests were served without a new check


@pytest.mark.parametrize("regularization", [2.0, 4.0])
def test_slack_carried_through_lessons_is_never_too_large(regularization):
    sparse = make_interactions(600, 600, n_interactions=2400, random_state=2, popularity=0.3)
    X = sparse.toarray()
    new = np.random.default_rng(0).permutation(np.argwhere(X != 0))[:15]
    kept = X.copy()
    kept[tuple(new.T)] = 0
    unlearner = InfluenceUnlearner(tol=1e-2)
    local = model(n_factors=8, regularization=regularization, unlearner=unlearner).fit(kept)
    for pair in new:
        local.learn(pair[None], X[tuple(pair)])
        objective = local._make_objective(local._interactions)
        true = slack_of(objective, local._theta(objective.layout))
        assert local._slack <= true + 2e-3


def test_new_cells_count_in_full():
    fitted = model(n_factors=6).fit(make_interactions(30, 20, n_interactions=150, random_state=0))
    data = fitted._interactions
    users, items = (side[:3] for side in np.nonzero(data.to_csr().toarray() == 0))
    after = data.insert(users, items, np.array([1.0, -1.0, 1.0]))
    objective = fitted._make_objective(after)
    theta = fitted._theta(objective.layout)
    asked = ForgetProblem(
        before=data,
        retained=after,
        positions=np.empty(0, np.int64),
        objective=objective,
        objective_before=lambda: fitted._make_objective(data),
        theta=theta,
        converged=True,
        gradient_norm=0.0,
        slack=1.0,
        n_free=0,
        local=True,
        refit=None,
        added=after.locate(users, items),
    )
    dense = [
        one.certificate().residual_operator(theta) @ np.eye(20)
        for one in (asked.objective_before(), objective)
    ]
    change = np.linalg.norm(dense[1] - dense[0], 2)
    assert 0 < change <= change_bound(asked, theta, np.empty(0, np.int64)) < 3 * change


def request(rows, slack, n_free, after):
    """A local request that moved some rows of a small problem to `after`."""
    problem = Problem("", labels(0, 12, 9), n_factors=3, regularization=1.0)
    data, theta = Interactions.from_matrix(problem.matrix), problem.theta(0)
    moved = theta.copy()
    moved[rows] = after(theta[rows])
    asked = ForgetProblem(
        before=data,
        retained=data,
        positions=np.empty(0, np.int64),
        objective=problem.objective(),
        objective_before=problem.objective,
        theta=theta,
        converged=True,
        gradient_norm=0.0,
        slack=slack,
        n_free=n_free,
        local=True,
        refit=None,
    )
    return slack_after(asked, moved, np.asarray(rows))


def test_slack_falls_by_what_the_residual_changes():
    left = request([14], 5.0, 2, lambda rows: rows + 0.01)
    assert 0 < left < 5.0
    assert request([14], 5.0, 2, lambda rows: rows) == 5.0
    assert request([14], np.inf, 0, lambda rows: rows + 0.01) == np.inf


@pytest.mark.parametrize("slack", [1e6, np.inf])
def test_a_column_that_shrinks_away_leaves_nothing_known(slack):
    """Weyl's inequality counts singular values: it holds while every used column stays one."""

    def without_a_direction(rows):
        direction = np.array([0.6, 0.8, 0.0])
        rows = rows.copy()
        rows[:, :3] -= 0.9 * np.outer(rows[:, :3] @ direction, direction)
        return rows

    assert request(np.arange(12, 21), slack, 2, without_a_direction) == 0.0
    assert request(np.arange(12, 21), slack, 2, lambda rows: 0.8 * rows) > 0


def test_forget_takes_in_a_column_where_a_used_one_has_shrunk_to_almost_nothing():
    """Without item 3 a column vanishes: what is left of it lies along one that is missing."""
    rng = np.random.default_rng(82)
    X = np.where(rng.random((30, 8)) < 0.5, 1.0, 0.0)
    weights = rng.choice([0.1, 1.0, 3.0, 10.0], 30)
    before = BPR(8, regularization=1.3, fit_bias=False, n_negatives=1, random_state=82)
    before.fit(X, sample_weight=weights)
    after = copy.deepcopy(before).forget(items=[3])
    rest = X.copy()
    rest[:, 3] = 0
    refit = copy.deepcopy(before).fit(rest, sample_weight=weights)
    assert refit.certify().certified
    assert after.forget_report_.guarantee == "residual-bounded"
    assert after.certify().spectral_ratio < 1.01
    scores = [one.user_factors_ @ one.item_factors_.T for one in (before, after, refit)]
    assert np.linalg.norm(scores[1] - scores[2]) < 0.05 * np.linalg.norm(scores[0] - scores[2])
