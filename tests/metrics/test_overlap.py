import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_unlearn.metrics import _lists, rank_biased_overlap, top_k_overlap

ragged = st.lists(st.integers(0, 7), max_size=5, unique=True)


def pad(lists, k=5):
    return np.array([row + [-1] * (k - len(row)) for row in lists])


def agreement(a, b):
    longer = max(len(a), len(b))
    return len(set(a) & set(b)) / longer if longer else 1.0


def long_rbo(a, b, p):
    """The infinite sum itself, cut where the rest is below 1e-12, with the last agreement held."""
    depth = int(np.ceil(np.log(1e-12) / np.log(p)))
    k = 5
    return (1 - p) * sum(
        p ** (d - 1) * agreement(a[: min(d, k)], b[: min(d, k)]) for d in range(1, depth)
    )


@given(st.lists(st.tuples(ragged, ragged), min_size=1, max_size=5), st.integers(1, 5))
def test_overlap_is_its_definition(pairs, k):
    a, b = zip(*pairs, strict=True)
    expected = np.mean([agreement(x[:k], y[:k]) for x, y in pairs])
    assert top_k_overlap(pad(a), pad(b), k) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.tuples(ragged, ragged), min_size=1, max_size=5), st.floats(0.05, 0.95))
def test_rank_biased_overlap_is_the_infinite_sum(pairs, p):
    a, b = zip(*pairs, strict=True)
    expected = np.mean([long_rbo(x, y, p) for x, y in pairs])
    value = rank_biased_overlap(pad(a), pad(b), p, k=5)
    assert value == pytest.approx(expected, abs=1e-10)
    assert value == pytest.approx(rank_biased_overlap(pad(b), pad(a), p, k=5), abs=1e-14)
    assert -1e-12 <= value <= 1 + 1e-12
    assert rank_biased_overlap(pad(a), pad(a), p, k=5) == pytest.approx(1.0)


def test_known_values():
    a, b = np.array([[1, 2, 3, 4]]), np.array([[2, 1, 9, 8]])
    assert top_k_overlap(a, b, k=4) == 0.5
    assert top_k_overlap(a, b, k=1) == 0.0
    assert top_k_overlap(a, a[:, ::-1], k=4) == 1.0
    # Agreements 0, 1, 2/3, 1/2 at p = 1/2: (0 + 1/2 + 2/12 + 1/16) / 2 + (1/16) (1/2).
    expected = (1 / 2 + 1 / 6 + 1 / 16) / 2 + 1 / 32
    assert rank_biased_overlap(a, b, 0.5, k=4) == pytest.approx(expected)


def test_disjoint_lists_are_zero_and_the_top_counts_most():
    a, b = np.array([[0, 1, 2, 3]]), np.array([[4, 5, 6, 7]])
    assert top_k_overlap(a, b, k=4) == rank_biased_overlap(a, b, k=4) == 0.0
    values = []
    for changed in range(4):
        other = a.copy()
        other[0, changed] = 9
        values.append(rank_biased_overlap(a, other, k=4))
        assert top_k_overlap(a, other, k=4) == 0.75
    assert np.all(np.diff(values) > 0)


class Factors:
    """A model with factors that leaves out what it was fitted on."""

    def __init__(self, user_factors, item_factors, seen):
        self.user_factors_, self.item_factors_, self.seen = user_factors, item_factors, seen

    def recommend(self, *, users, n_items, exclude_seen):
        scores = self.user_factors_[users] @ self.item_factors_.T
        if exclude_seen:
            scores[self.seen[users]] = -np.inf
        items = np.argsort(-scores, axis=1)[:, :n_items]
        ordered = np.take_along_axis(scores, items, axis=1)
        return np.where(ordered == -np.inf, -1, items), ordered


def two_models(seed=0, shape=(30, 12), k=3):
    rng = np.random.default_rng(seed)
    user_factors, item_factors = rng.normal(size=(shape[0], k)), rng.normal(size=(shape[1], k))
    seen = rng.random(shape) < 0.3
    moved = item_factors + 0.5 * rng.normal(size=item_factors.shape)
    forgot = seen & (rng.random(shape) < 0.6)
    return Factors(user_factors, item_factors, seen), Factors(user_factors, moved, forgot)


def scores_of(model, seen):
    return np.where(seen, -np.inf, model.user_factors_ @ model.item_factors_.T)


@pytest.mark.parametrize("metric", [top_k_overlap, rank_biased_overlap])
def test_models_and_their_scores_agree(metric, monkeypatch):
    a, b = two_models()
    own = metric(scores_of(a, a.seen), scores_of(b, b.seen), k=6)
    shared = metric(scores_of(a, b.seen), scores_of(b, b.seen), k=6)
    assert 0 < own < shared < 1
    raw_a, raw_b = scores_of(a, False), scores_of(b, False)
    monkeypatch.setattr(_lists, "CHUNK_USERS", 7)
    assert metric(a, b, k=6) == pytest.approx(own, rel=1e-12)
    assert metric(a, b, k=6, exclude=b.seen * 1) == pytest.approx(shared, rel=1e-12)
    assert metric(a, raw_b, k=6, exclude=b.seen * 1) == pytest.approx(shared, rel=1e-12)
    assert metric(raw_a, raw_b, k=6, exclude=b.seen * 1) == pytest.approx(shared, rel=1e-12)


def test_rotated_factors_change_nothing():
    a, _ = two_models(1)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = Factors(a.user_factors_ @ rotation, a.item_factors_ @ rotation, a.seen)
    assert top_k_overlap(a, turned) == rank_biased_overlap(a, turned) == pytest.approx(1.0)


def test_users_are_averaged_apart():
    a, b = np.array([[0, 1], [2, 3], [4, 5]]), np.array([[0, 1], [3, 9], [8, 9]])
    assert top_k_overlap(a, b, 2) == pytest.approx(0.5)
    assert top_k_overlap(a, b, 2, users=[1]) == 0.5
    assert top_k_overlap(a, b, 2, users=np.array([True, True, False])) == 0.75
    assert rank_biased_overlap(a, b, k=2, users=[2]) == 0.0


def test_models_of_unknown_size_need_users():
    a, b = two_models(2)
    expected = top_k_overlap(a, b, 5, users=np.arange(30))
    sized = top_k_overlap(a, b, 5)

    class Unsized:
        def __init__(self, model):
            self.recommend = model.recommend

    assert top_k_overlap(Unsized(a), Unsized(b), 5, users=np.arange(30)) == expected == sized
    assert top_k_overlap(Unsized(a), b, 5) == expected
    with pytest.raises(ValueError, match="Pass users="):
        top_k_overlap(Unsized(a), Unsized(b), 5)


LISTS = np.array([[0, 1], [2, 1]])


@pytest.mark.parametrize("metric", [top_k_overlap, rank_biased_overlap])
@pytest.mark.parametrize(
    ("a", "b", "options", "error", "message"),
    [
        (LISTS, LISTS, {"k": 3}, ValueError, "a has lists of 2 items"),
        (LISTS, LISTS, {"k": 0}, ValueError, "k=0"),
        (LISTS, LISTS[:1], {"k": 2}, ValueError, "a has n_users=2 and b has n_users=1"),
        (LISTS * 1.0, np.ones((2, 3)), {"k": 2}, ValueError, "n_items=2 and b has n_items=3"),
        (LISTS, LISTS, {"k": 2, "exclude": LISTS}, ValueError, "finished item lists"),
        (LISTS * 1.0, LISTS * 1.0, {"exclude": np.eye(3)}, ValueError, "expected one shape"),
        (two_models()[0], two_models()[1], {"exclude": np.eye(3)}, ValueError, "to exclude"),
        (LISTS, np.array([[0, 1], [1, 1]]), {"k": 2}, ValueError, "first in row 1"),
        (LISTS, LISTS, {"k": 2, "users": [5]}, ValueError, "out of range"),
        (LISTS, LISTS, {"k": 2, "users": []}, ValueError, "no user is selected"),
        (LISTS, "lists", {"k": 2}, TypeError, "b is a str"),
        (LISTS, LISTS, {"k": "2"}, TypeError, "k='2'"),
    ],
)
def test_bad_arguments_are_refused(metric, a, b, options, error, message):
    with pytest.raises(error, match=message):
        metric(a, b, **options)


@pytest.mark.parametrize(
    ("p", "error"),
    [(0, ValueError), (1.0, ValueError), (np.nan, ValueError), ("a", TypeError), (True, TypeError)],
)
def test_bad_persistence_is_refused(p, error):
    with pytest.raises(error, match="between 0 and 1"):
        rank_biased_overlap(LISTS, LISTS, p, k=2)
