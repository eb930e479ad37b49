import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_unlearn.metrics import _lists, ndcg_at_k, recall_at_k


class ScoreModel:
    """A model from elsewhere, one user at a time: its own training rows are left out on request."""

    def __init__(self, scores, seen):
        self.scores, self.seen = scores, seen
        self.asked = []

    def recommend(self, *, users, n_items, exclude_seen):
        assert n_items <= self.scores.shape[1]
        self.asked.append(n_items)
        lists = np.full((len(users), n_items), -1)
        for row, user in enumerate(users):
            found = naive_list(self.scores[user], self.seen[user] * exclude_seen, n_items)
            lists[row, : len(found)] = found
        return lists, None


class ProfileModel:
    """A model that only scores rows."""

    def __init__(self, weights):
        self.weights = weights

    def decision_function(self, X):
        return X @ self.weights


def naive_list(scores, excluded, k):
    order = sorted(range(len(scores)), key=lambda item: (-scores[item], item))
    return [item for item in order if not excluded[item] and scores[item] > -np.inf][:k]


def naive_recall(lists, X_test, k):
    values = []
    for row, relevant in zip(lists, X_test, strict=True):
        wanted = set(np.flatnonzero(relevant))
        if wanted:
            values.append(len(wanted & set(row[:k])) / len(wanted))
    return np.mean(values)


def naive_ndcg(lists, X_test, k):
    values = []
    for row, relevant in zip(lists, X_test, strict=True):
        wanted = set(np.flatnonzero(relevant))
        if wanted:
            gain = sum(1 / np.log2(r + 2) for r, item in enumerate(row[:k]) if item in wanted)
            values.append(gain / sum(1 / np.log2(r + 2) for r in range(min(k, len(wanted)))))
    return np.mean(values)


def random_problem(seed, shape=(12, 9)):
    """Scores with ties, training and test interactions; some users have no test items."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, shape) / 2.0
    kinds = rng.random(shape)
    X_train, X_test = (kinds < 0.3) * 2.0, ((kinds > 0.3) & (kinds < 0.5)) * 1.0
    X_test[rng.random(shape[0]) < 0.3] = 0
    X_test[0, 0], X_train[0, 0] = 1, 0
    X_train[1] = 1
    return scores, X_train, X_test


def pad(lists, k):
    return np.array([row + [-1] * (k - len(row)) for row in lists])


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_every_source_gives_the_naive_value(seed, k):
    scores, X_train, X_test = random_problem(seed)
    lists = [naive_list(*pair, k) for pair in zip(scores, X_train, strict=True)]
    sources = [
        (pad(lists, k), None),
        (np.where(X_train > 0, -np.inf, scores), None),
        (scores, X_train),
        (ScoreModel(scores, X_train), None),
        (ScoreModel(scores, np.zeros_like(X_train)), X_train),
    ]
    for metric, naive in ((recall_at_k, naive_recall), (ndcg_at_k, naive_ndcg)):
        expected = naive(lists, X_test, k)
        for source, train in sources:
            assert metric(source, X_test, k, train) == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 10_000))
def test_model_with_decision_function_only_scores_training_rows(seed):
    _, X_train, X_test = random_problem(seed)
    weights = np.random.default_rng(seed).normal(size=(9, 9))
    lists = [naive_list(*pair, 4) for pair in zip(X_train @ weights, X_train, strict=True)]
    value = recall_at_k(ProfileModel(weights), X_test, 4, sparse.csr_matrix(X_train))
    assert value == pytest.approx(naive_recall(lists, X_test, 4), rel=1e-12)


def test_known_values():
    X_test = np.array([[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    lists = np.array([[0, 1, 4], [0, 1, 2], [3, 1, 2]])
    # User 0: 2 of 3, at ranks 1 and 3; user 1 has no test item; user 2: 1 of 1, at rank 2.
    assert recall_at_k(lists, X_test, k=3) == pytest.approx((2 / 3 + 1) / 2)
    first = (1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)
    assert ndcg_at_k(lists, X_test, k=3) == pytest.approx((first + 1 / np.log2(3)) / 2)
    # The ideal list ends at k, recall's denominator does not.
    assert ndcg_at_k(lists, X_test, k=1, users=[0]) == 1.0
    assert recall_at_k(lists, X_test, k=1, users=[0]) == pytest.approx(1 / 3)


@given(st.integers(0, 10_000), st.integers(1, 9))
def test_test_items_as_scores_are_perfect(seed, k):
    _, _, X_test = random_problem(seed)
    assert ndcg_at_k(X_test, X_test, k) == pytest.approx(1.0)
    n_relevant = X_test.sum(axis=1)[X_test.any(axis=1)]
    ceiling = np.mean(np.minimum(k, n_relevant) / n_relevant)
    assert recall_at_k(X_test, X_test, k) == pytest.approx(ceiling)


@given(st.integers(0, 10_000))
def test_order_of_users_and_names_of_items_change_nothing(seed):
    scores, X_train, X_test = random_problem(seed)
    rng = np.random.default_rng(seed)
    scores += rng.random(scores.shape) * 1e-3  # no ties: those are broken by position
    rows, columns = rng.permutation(12), rng.permutation(9)
    for metric in (recall_at_k, ndcg_at_k):
        expected = metric(scores, X_test, 3, X_train)
        moved = [part[rows][:, columns] for part in (scores, X_test, X_train)]
        assert metric(moved[0], moved[1], 3, moved[2]) == pytest.approx(expected, rel=1e-12)


def test_values_of_interactions_and_stored_zeros_do_not_matter():
    scores, X_train, X_test = random_problem(1)
    expected = recall_at_k(scores, X_test, 3, X_train)
    assert recall_at_k(scores, X_test * 0.5, 3, X_train * -7) == expected
    stored = sparse.csr_array(np.ones_like(X_test))
    stored.data = X_test.ravel().copy()
    before = stored.copy()
    assert recall_at_k(scores, stored, 3, sparse.coo_array(X_train)) == expected
    assert stored.nnz == before.nnz


def test_users_select_rows():
    scores, X_train, X_test = random_problem(2)
    chosen = [0, 4, 5]
    rows = [part[chosen] for part in (scores, X_test, X_train)]
    for metric in (recall_at_k, ndcg_at_k):
        expected = metric(rows[0], rows[1], 3, rows[2])
        assert metric(scores, X_test, 3, X_train, users=chosen) == expected
        mask = np.isin(np.arange(12), chosen)
        assert metric(ScoreModel(scores, X_train), X_test, 3, users=mask) == expected


def test_chunks_change_nothing(monkeypatch):
    scores, X_train, X_test = random_problem(3, (60, 9))
    model = ScoreModel(scores, X_train)
    expected = [metric(model, X_test, 4) for metric in (recall_at_k, ndcg_at_k)]
    monkeypatch.setattr(_lists, "CHUNK_USERS", 7)
    monkeypatch.setattr(_lists, "CHUNK_SCORES", 20)
    for source, train in ((model, None), (model, X_train), (scores, X_train)):
        chunked = [metric(source, X_test, 4, train) for metric in (recall_at_k, ndcg_at_k)]
        assert chunked == pytest.approx(expected, rel=1e-12)


def test_users_without_test_items_are_not_asked_for():
    scores, X_train, X_test = random_problem(4)
    X_test[3:] = 0

    class Watched(ScoreModel):
        def recommend(self, *, users, n_items, exclude_seen):
            assert np.all(np.asarray(users) < 3)
            return super().recommend(users=users, n_items=n_items, exclude_seen=exclude_seen)

    recall_at_k(Watched(scores, X_train), X_test, 3)


def test_list_longer_than_the_catalogue_is_cut_to_it():
    scores, X_train, X_test = random_problem(5)
    X_test[1] = 0  # has seen every item
    model = ScoreModel(scores, X_train)
    assert recall_at_k(model, X_test, 1000) == 1.0
    assert model.asked == [9]


LISTS, X_TEST = np.array([[0, 1], [2, 1]]), np.array([[1, 0, 0], [0, 1, 0]])


class Fixed:
    def __init__(self, items):
        self.items = items

    def recommend(self, *, users, n_items, exclude_seen):
        return self.items, None


class Sized(Fixed):
    n_features_in_ = 4


@pytest.mark.parametrize("metric", [recall_at_k, ndcg_at_k])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((LISTS, X_TEST, 0), ValueError, "k=0"),
        ((LISTS, X_TEST, 2.0), TypeError, "k=2.0"),
        ((LISTS, X_TEST, True), TypeError, "k=True"),
        ((LISTS, X_TEST, 3), ValueError, "lists of 2 items; expected at least k=3"),
        ((LISTS[:1], X_TEST, 2), ValueError, "recommender has 1 users"),
        ((LISTS * 1.0, X_TEST, 2), ValueError, "recommender has 2 users and 2 items"),
        ((LISTS + 1, X_TEST, 2), ValueError, "lists item 3; expected positions below 3"),
        ((LISTS - 2, X_TEST, 2), ValueError, "holds item -2"),
        ((np.array([[0, 0], [1, 2]]), X_TEST, 2), ValueError, "twice for one user"),
        ((LISTS, X_TEST, 2, X_TEST), ValueError, "finished item lists"),
        ((X_TEST * 1.0, X_TEST, 2, X_TEST[:, :2]), ValueError, "X_train has 2 users and 2 items"),
        ((X_TEST * np.nan, X_TEST, 2), ValueError, "NaN scores"),
        ((LISTS, X_TEST * np.nan, 2), ValueError, "NaN"),
        ((LISTS, -X_TEST, 2), ValueError, "Negative values in data"),
        ((LISTS, X_TEST * 0, 2), ValueError, "no selected user has an item"),
        ((LISTS.astype(str), X_TEST, 2), TypeError, "expected item lists"),
        ((LISTS > 0, X_TEST, 2), TypeError, "expected item lists"),
        (((LISTS, LISTS * 1.0), X_TEST, 2), TypeError, "pass the first part"),
        ((sparse.csr_array(X_TEST), X_TEST, 2), TypeError, "expected item lists"),
        ((None, X_TEST, 2), TypeError, "expected item lists"),
        ((Fixed(LISTS[:1]), X_TEST, 2), ValueError, "expected one row a user"),
        ((Fixed(LISTS * 1.0), X_TEST, 2), TypeError, "items of dtype float64"),
        ((Fixed(LISTS * 0), X_TEST, 2), ValueError, "twice for one user"),
        ((Sized(LISTS), X_TEST, 2), ValueError, "recommender has 2 users and 4 items"),
        ((Sized(LISTS), X_TEST, 2, X_TEST), ValueError, "interactions to exclude"),
        ((ProfileModel(np.eye(3)), X_TEST, 2), ValueError, "has decision_function"),
        ((ProfileModel(np.eye(3)[:, :2]), X_TEST, 2, X_TEST), ValueError, "gave scores of shape"),
    ],
)
def test_bad_arguments_are_refused(metric, arguments, error, message):
    with pytest.raises(error, match=message):
        metric(*arguments)


def test_bad_users_are_refused():
    with pytest.raises(ValueError, match="out of range"):
        recall_at_k(LISTS, X_TEST, 2, users=[2])
    with pytest.raises(ValueError, match="no user is selected"):
        recall_at_k(LISTS, X_TEST, 2, users=[])
    with pytest.raises(TypeError, match="integer positions"):
        recall_at_k(LISTS, X_TEST, 2, users=["ann"])
