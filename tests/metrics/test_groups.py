"""Gap between active users and others, and the exposure of pairs, against loops in Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import _groups, exposure_at_k, fairness_gap, ndcg_at_k


def naive_exposure(lists, pairs, k):
    values = []
    for user, item in pairs:
        row = list(lists[user][:k])
        values.append(1 / np.log2(row.index(item) + 2) if item in row else 0.0)
    return np.mean(values)


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 30))
def test_exposure_is_its_definition(seed, k, n_pairs):
    rng = np.random.default_rng(seed)
    scores = rng.permutation(8 * 7).reshape(8, 7) * 1.0
    pairs = np.column_stack([rng.integers(0, 8, n_pairs), rng.integers(0, 7, n_pairs)])
    lists = np.argsort(-scores, axis=1)
    expected = naive_exposure(lists, pairs, k)
    assert exposure_at_k(scores, pairs, k) == pytest.approx(expected, rel=1e-12)
    assert exposure_at_k(lists, (pairs[:, 0], pairs[:, 1]), k) == pytest.approx(expected, rel=1e-12)
    # Whatever is left out of the lists is not shown.
    X_train = np.zeros((8, 7))
    X_train[tuple(pairs.T)] = 1
    assert exposure_at_k(scores, pairs, k, X_train) == 0.0


def test_chunks_of_users_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(30, 9))
    pairs = np.column_stack([rng.integers(0, 30, 50), rng.integers(0, 9, 50)])
    expected = exposure_at_k(scores, pairs, 5)
    monkeypatch.setattr(_groups, "CHUNK_USERS", 4)
    assert exposure_at_k(scores, pairs, 5) == expected


def test_forgotten_pairs_are_as_visible_as_after_a_refit():
    X = make_interactions(60, 40, n_interactions=700, feedback="implicit", random_state=0)
    pairs = np.argwhere(X.toarray())[::9]
    model = ALS(8, regularization=20.0, alpha=10.0, random_state=0).fit(X)
    refit = ALS(**{**model.get_params(), "unlearner": "refit"}).fit(X).forget(pairs)
    rest = X.tolil()
    rest[tuple(pairs.T)] = 0
    nothing = exposure_at_k(model, pairs, 10, rest)
    target = exposure_at_k(refit, pairs, 10)
    found = exposure_at_k(model.forget(pairs), pairs, 10)
    assert found == pytest.approx(target, abs=1e-3)
    assert nothing > 1.5 * target


@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.2, 0.5]))
def test_gap_is_the_difference_between_two_groups(seed, share):
    rng = np.random.default_rng(seed)
    X = (rng.random((20, 9)) < rng.random((20, 1))) * 1.0
    X[0] = 0  # is in no group
    X_test = np.ones((20, 9)) * (rng.random((20, 9)) < 0.6)
    X_test[:, 8] = 1
    scores = rng.normal(size=(20, 9))
    ranked = sorted((-row.sum(), user) for user, row in enumerate(X) if row.any())
    n_active = int(np.ceil(share * len(ranked)))
    active, others = ([user for _, user in part] for part in (ranked[:n_active], ranked[n_active:]))
    expected = ndcg_at_k(scores, X_test, 4, users=active) - ndcg_at_k(
        scores, X_test, 4, users=others
    )
    assert fairness_gap(scores, X_test, X, 4, share=share) == expected


ONES = np.ones((3, 4))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fairness_gap(ONES, ONES, ONES, share=0), ValueError, "share=0; expected"),
        (lambda: fairness_gap(ONES, ONES, ONES, share="5 %"), TypeError, "share='5 %'; expected"),
        (lambda: fairness_gap(ONES, ONES, ONES[:2]), ValueError, r"X has shape \(2, 4\)"),
        (lambda: fairness_gap(ONES, ONES, ONES * 0), ValueError, "none of the 0 active users"),
        (
            lambda: fairness_gap(ONES, ONES * [[0], [1], [1]], ONES, 2),
            ValueError,
            "none of the 1 active users has an item",
        ),
        (lambda: exposure_at_k(ONES, np.empty((0, 2), int)), ValueError, "no pair was passed"),
        (lambda: exposure_at_k(ONES, [[0, 4]]), ValueError, "out of range"),
        (lambda: exposure_at_k(ONES, [[0, 1]], 0), ValueError, "k=0"),
        (lambda: exposure_at_k(ONES, [[0.0, 1.0]]), TypeError, "integer"),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
