"""All measures of lists, against loops in Python and against irspack, on 1,000 random cases."""

from collections import Counter

import numpy as np
import pytest
from irspack import Evaluator
from scipy import sparse

from sklearn_unlearn import metrics
from sklearn_unlearn.metrics import (
    _lists,
    coverage_at_k,
    gini_at_k,
    novelty_at_k,
    popularity_at_k,
)

CATALOGUE = [coverage_at_k, gini_at_k, novelty_at_k, popularity_at_k]
N_CASES = 1000


def draw_case(seed):
    """Scores without ties, training and test interactions of random sizes, and k."""
    rng = np.random.default_rng(seed)
    n_users, n_items = rng.integers(2, 12), rng.integers(2, 15)
    scores = rng.permutation(n_users * n_items).reshape(n_users, n_items) / 7.0
    kinds = rng.random((n_users, n_items))
    X, X_test = (kinds < 0.25) * 2.0, (kinds > 0.7) * 1.0
    X[0, 0], X_test[0, 0], X_test[0, 1] = 3.0, 0.0, 1.0
    return scores, X, X_test, int(rng.integers(1, n_items + 1))


# -- naive twins -----------------------------------------------------------------------------------
def naive_lists(scores, X, k):
    lists = []
    for row, seen in zip(scores, X, strict=True):
        order = sorted(range(len(row)), key=lambda item: -row[item])
        lists.append([item for item in order if not seen[item]][:k])
    return lists


def naive_hits(metric, items, wanted, k):
    hits = [item in wanted for item in items]
    places = [r for r, hit in enumerate(hits, start=1) if hit]
    return {
        "recall": len(places) / len(wanted),
        "precision": len(places) / k,
        "hit_rate": float(bool(places)),
        "mrr": 1 / places[0] if places else 0.0,
        "map": sum(n / r for n, r in enumerate(places, start=1)) / len(wanted),
        "ndcg": sum(1 / np.log2(r + 1) for r in places)
        / sum(1 / np.log2(r + 1) for r in range(1, min(k, len(wanted)) + 1)),
    }[metric]


def naive_catalogue(lists, X):
    n_items = X.shape[1]
    shown = Counter(item for items in lists for item in items)
    counts = [shown[item] for item in range(n_items)]
    # Half the mean absolute difference, over the mean.
    apart = sum(abs(a - b) for a in counts for b in counts)
    met = {item: sum(1 for row in X if row[item] != 0) for item in range(n_items)}
    n_users = sum(1 for row in X if row.any())
    bits = {item: -np.log2(max(met[item], 1) / n_users) for item in met}
    filled = [items for items in lists if items]
    return {
        "coverage": len(shown) / n_items,
        "gini": apart / (2 * n_items * sum(counts)) if shown else 0.0,
        "novelty": np.mean([np.mean([bits[item] for item in one]) for one in filled or [[0]]]),
        "popularity": np.mean([np.mean([met[item] for item in one]) for one in filled or [[0]]]),
    }


# -- the values ------------------------------------------------------------------------------------
def test_hits_are_valued_as_by_hand_in_a_thousand_cases():
    for seed in range(N_CASES):
        scores, X, X_test, k = draw_case(seed)
        lists = naive_lists(scores, X, k)
        wanted = [set(np.flatnonzero(row)) for row in X_test]
        for name in ("recall", "precision", "hit_rate", "mrr", "map", "ndcg"):
            expected = np.mean(
                [naive_hits(name, *pair, k) for pair in zip(lists, wanted, strict=True) if pair[1]]
            )
            found = getattr(metrics, f"{name}_at_k")(scores, X_test, k, X)
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-15), (seed, name)


def test_catalogue_is_valued_as_by_hand_in_a_thousand_cases():
    for seed in range(N_CASES):
        scores, X, _, k = draw_case(seed)
        expected = naive_catalogue(naive_lists(scores, X, k), X)
        for name, value in expected.items():
            found = getattr(metrics, f"{name}_at_k")(scores, X, k, X)
            assert found == pytest.approx(value, rel=1e-12, abs=1e-12), (seed, name)


class Scored:
    """What the evaluator of irspack asks a model for."""

    def __init__(self, scores):
        self.scores, (self.n_users, self.n_items) = scores, scores.shape
        self.X_train_all = sparse.csr_matrix(scores.shape)

    def get_score_block(self, begin, end):
        return self.scores[begin:end].copy()


def test_values_are_those_of_irspack_in_a_thousand_cases():
    names = {"hit": "hit_rate", "recall": "recall", "precision": "precision", "map": "map"}
    names |= {"ndcg": "ndcg", "gini_index": "gini", "catalog_coverage": "coverage"}
    for seed in range(N_CASES):
        scores, _, X_test, k = draw_case(seed)
        evaluator = Evaluator(sparse.csr_matrix(X_test), cutoff=k, n_threads=1)
        theirs = evaluator.get_scores(Scored(scores), [k])
        tested = np.flatnonzero(X_test.any(axis=1))
        for their_name, name in names.items():
            found = getattr(metrics, f"{name}_at_k")(scores, X_test, k, users=tested)
            expected = theirs[f"{their_name}@{k}"]
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-12), (seed, name)


def test_known_values():
    X = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    lists = np.array([[0, 1], [0, 2], [0, -1], [-1, -1]])
    # Shown: 0 three times, 1 and 2 once, 3 never. Met by 3, 2, 0 (as 1), 0 of 3 users.
    assert coverage_at_k(lists, X, 2) == 0.75
    assert gini_at_k(lists, X, 2) == pytest.approx((-3 * 0 - 1 + 1 + 3 * 3) / (4 * 5))
    assert popularity_at_k(lists, X, 2) == pytest.approx((2.5 + 1.5 + 3) / 3)
    bits = [0, np.log2(3 / 2), np.log2(3)]
    assert novelty_at_k(lists, X, 2) == pytest.approx((bits[1] / 2 + bits[2] / 2 + 0) / 3)
    assert gini_at_k(lists, X, 1, users=[0, 1]) == 1 - 1 / 4


@pytest.mark.parametrize("metric", CATALOGUE)
def test_empty_lists_are_zero(metric):
    assert metric(np.full((2, 3), -1), np.ones((2, 4)), 3) == 0.0


@pytest.mark.parametrize("metric", CATALOGUE)
def test_chunks_values_and_users_change_nothing(metric, monkeypatch):
    scores, X, _, k = draw_case(12)
    name = metric.__name__.removesuffix("_at_k")
    lists = naive_lists(scores, X, k)
    everybody = naive_catalogue(lists, X)[name]
    some = naive_catalogue(lists[1:3], X)[name]
    assert some != pytest.approx(everybody, rel=1e-3)
    monkeypatch.setattr(_lists, "CHUNK_USERS", 2)
    assert metric(scores, X * -0.5, k, sparse.coo_array(X)) == pytest.approx(everybody, rel=1e-12)
    assert metric(scores, X, k, X, users=[1, 2]) == pytest.approx(some, rel=1e-12)


LISTS = np.array([[0, 1], [2, 1]])


@pytest.mark.parametrize("metric", CATALOGUE)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((LISTS, np.ones((2, 3)), 0), ValueError, "k=0"),
        ((LISTS, np.ones((2, 3)), 3), ValueError, "lists of 2 items; expected at least k=3"),
        ((LISTS, np.ones((3, 3)), 2), ValueError, "has 2 users and 3 items; expected those of X"),
        ((LISTS, np.ones((2, 2)), 2), ValueError, "lists item 2; expected positions below 2"),
        ((LISTS, np.full((2, 3), np.nan), 2), ValueError, "NaN"),
        ((None, np.ones((2, 3)), 2), TypeError, "expected item lists"),
    ],
)
def test_bad_arguments_are_refused(metric, arguments, error, message):
    with pytest.raises(error, match=message):
        metric(*arguments)
