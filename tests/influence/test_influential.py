"""What moves a score most, by one solve, is what actual refits say."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn import ALS, BPR, EASE, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import find_influential
from sklearn_unlearn.influence._influential import _solve

LABELS = make_interactions(70, 50, feedback="label", random_state=1)
POSITIVES = make_interactions(70, 50, feedback="implicit", random_state=1)
RATINGS = make_interactions(70, 50, feedback="rating", random_state=1)
TARGETS = np.array([[3, 7], [3, 9], [11, 7]])

CASES = {
    "logistic": (MatrixFactorization(4, regularization=4.0, tol=1e-10), LABELS),
    "squared with mean": (
        MatrixFactorization(4, loss="squared", regularization=8.0, tol=1e-10), RATINGS
    ),
    "frequency": (
        MatrixFactorization(4, regularization=1.0, frequency_scaling=0.5, tol=1e-10), LABELS
    ),
    "weighted": (ALS(4, regularization=12.0, alpha=5.0, tol=1e-10), POSITIVES),
    "weighted, frequency": (
        ALS(4, regularization=6.0, alpha=5.0, frequency_scaling=0.5, tol=1e-10), POSITIVES
    ),
}  # fmt: skip


def total(model):
    return model.predict_pairs(TARGETS).sum()


def effect_of_refit(model, X, pair, weight=None):
    left = X.tolil()
    left[tuple(pair)] = 0
    refit = clone(model).fit(sparse.csr_array(left), sample_weight=weight)
    return total(refit) - total(model)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_effects_are_those_of_refits(name, weighted):
    estimator, X = CASES[name]
    weight = 1.0 + np.arange(X.shape[0]) % 3 if weighted else None
    model = clone(estimator).set_params(random_state=0).fit(X, sample_weight=weight)
    found = find_influential(model, TARGETS, k=None)
    assert len(found.pairs) == X.nnz and found.residual <= 1e-6
    assert (np.diff(np.abs(found.effects)) <= 0).all()
    places = np.r_[:6, 40:46, X.nnz // 2]
    actual = np.array([effect_of_refit(model, X, found.pairs[j], weight) for j in places])
    predicted = found.effects[places]
    # What is left is of second order, beyond the two rows of the interaction itself.
    assert np.linalg.norm(actual - predicted) < 0.2 * np.linalg.norm(actual)
    assert (np.sign(actual[:6]) == np.sign(predicted[:6])).all()


@pytest.mark.parametrize("name", ["logistic", "weighted"])
def test_sums_over_a_user_are_derivatives_by_its_weight(name):
    """Against fits with the weight of one user changed a little: there is no second order."""
    estimator, X = CASES[name]
    model = clone(estimator).set_params(random_state=0, tol=1e-12).fit(X)
    effects = find_influential(model, TARGETS).user_effects
    objective = model._make_objective(model._interactions, offset=model._offset)
    theta = model._theta(objective.layout)
    response, *_ = _solve(objective, theta, TARGETS)
    # The weight of a user also multiplies its penalty, and for ALS its unobserved cells.
    rest = np.einsum("nk,nk->n", response, objective.ridge_gradient(theta, np.arange(len(theta))))
    m, step = X.shape[0], 1e-4
    if name == "weighted":
        scores = theta[:m] @ theta[m:].T
        rest[:m] += np.einsum("ui,uk,ik->u", scores, response[:m], theta[m:])
        rest[:m] += np.einsum("ui,uk,ik->u", scores, theta[:m], response[m:])
    for user in (3, 20, 41):
        ends = []
        for sign in (1, -1):
            weight = np.ones(m)
            weight[user] += sign * step
            ends.append(total(clone(model).fit(X, sample_weight=weight)))
        derivative = (ends[0] - ends[1]) / (2 * step)
        assert effects[user] + rest[user] == pytest.approx(-derivative, rel=1e-3, abs=1e-7)


def test_lists_of_users_are_targets():
    estimator, X = CASES["weighted"]
    model = clone(estimator).set_params(random_state=0).fit(X)
    items, _ = model.recommend(users=[5, 8], n_items=4)
    pairs = np.column_stack([np.repeat([5, 8], 4), items.ravel()])
    by_users, by_pairs = (
        find_influential(model, users=[5, 8], n_items=4), find_influential(model, pairs)
    )  # fmt: skip
    np.testing.assert_array_equal(by_users.pairs, by_pairs.pairs)
    np.testing.assert_allclose(by_users.effects, by_pairs.effects)
    assert len(by_users.pairs) == 10
    sums = np.zeros(X.shape[1])
    everything = find_influential(model, pairs, k=None)
    assert np.abs(everything.item_effects).argmax() in everything.pairs[:20, 1]
    np.add.at(sums, everything.pairs[:, 1], 1)
    assert (everything.item_effects[sums == 0] == 0).all()


@pytest.mark.parametrize(
    "estimator",
    [BPR(4, regularization=2.0), LightGCN(4, regularization=2.0)],
    ids=["BPR", "LightGCN"],
)
def test_models_whose_terms_depend_on_each_other_are_refused(estimator):
    model = clone(estimator).set_params(random_state=0).fit(POSITIVES)
    with pytest.raises(TypeError, match=r"one interaction changes .*; expected MatrixF.*\. Let"):
        find_influential(model, TARGETS)


def test_bad_questions_are_refused():
    model = ALS(4, regularization=12.0, random_state=0).fit(POSITIVES)
    for given in ({}, {"pairs": TARGETS, "users": [1]}):
        with pytest.raises(ValueError, match=r"of pairs and users were given; expected one"):
            find_influential(model, **given)
    for pairs in ([[3.5, 1.0]], [[3]], np.empty((0, 2), int)):
        with pytest.raises(ValueError, match=r"expected integers of shape \(n, 2\)"):
            find_influential(model, pairs)
    for pairs in ([[70, 0]], [[0, 50]], [[-1, 0]]):
        with pytest.raises(ValueError, match=r"positions outside .* expected"):
            find_influential(model, pairs)
    for k in (0, 1.5):
        with pytest.raises(ValueError, match=r"expected a positive integer"):
            find_influential(model, TARGETS, k=k)
    with pytest.raises(TypeError, match=r"got a EASE.*expected MatrixFactorization or ALS"):
        find_influential(EASE(5.0).fit(POSITIVES), TARGETS)
