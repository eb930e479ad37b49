import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import ortho_group

from sklearn_unlearn.metrics import _scores, noise_floor, remaining_gap
from sklearn_unlearn.metrics._scores import PairSet


class FactorModel:
    """A model from elsewhere: all that the metric may use is here."""

    def __init__(self, user_factors, item_factors):
        self.user_factors_, self.item_factors_ = user_factors, item_factors
        self.asked = []

    def predict_pairs(self, pairs):
        self.asked.append(pairs)
        return np.einsum(
            "nk,nk->n", self.user_factors_[pairs[:, 0]], self.item_factors_[pairs[:, 1]]
        )

    @property
    def scores(self):
        return self.user_factors_ @ self.item_factors_.T


def random_models(seed, n=3, shape=(6, 5), k=3):
    rng = np.random.default_rng(seed)
    return [
        FactorModel(rng.normal(size=(shape[0], k)), rng.normal(size=(shape[1], k)))
        for _ in range(n)
    ]


def naive_gap(before, after, refit, pairs):
    left = sum((after[u, i] - refit[u, i]) ** 2 for u, i in pairs)
    moved = sum((before[u, i] - refit[u, i]) ** 2 for u, i in pairs)
    return np.sqrt(left / moved)


def affected(shape, users, items):
    if users is None and items is None:
        users = range(shape[0])
    return [
        (u, i)
        for u in range(shape[0])
        for i in range(shape[1])
        if u in (users or ()) or i in (items or ())
    ]


subsets = st.none() | st.lists(st.integers(0, 4), min_size=1, max_size=4)


@given(st.integers(0, 10_000), subsets, subsets)
def test_gap_and_floor_are_their_definitions(seed, users, items):
    models = random_models(seed)
    matrices = [model.scores for model in models]
    pairs = affected((6, 5), users, items)
    expected = naive_gap(*matrices, pairs)
    assert remaining_gap(*matrices, users=users, items=items) == pytest.approx(expected, rel=1e-12)
    assert remaining_gap(*models, users=users, items=items) == pytest.approx(expected, rel=1e-10)
    before, refit, other = matrices
    floor = naive_gap(before, other, refit, pairs)
    assert noise_floor(*matrices, users=users, items=items) == pytest.approx(floor, rel=1e-12)


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_affected_pairs_are_numbered_once_each(n_users, n_items, data):
    users = data.draw(st.none() | st.lists(st.integers(0, n_users - 1)))
    items = data.draw(st.none() | st.lists(st.integers(0, n_items - 1)))
    pair_set = PairSet((n_users, n_items), users, items)
    numbered = list(
        zip(*(part.tolist() for part in pair_set[np.arange(pair_set.size)]), strict=True)
    )
    expected = affected((n_users, n_items), users, items)
    assert sorted(numbered) == sorted(expected)


def test_masks_mean_their_positions():
    matrices = [model.scores for model in random_models(0)]
    mask = np.array([True, False, False, True, False, False])
    assert remaining_gap(*matrices, users=mask) == remaining_gap(*matrices, users=[3, 0, 3])


def test_models_and_matrices_can_be_mixed():
    before, after, refit = random_models(1)
    expected = remaining_gap(before.scores, after.scores, refit.scores)
    assert remaining_gap(before.scores, after, refit) == pytest.approx(expected, rel=1e-12)
    assert remaining_gap(before, after.scores.tolist(), refit) == pytest.approx(expected, rel=1e-12)


def test_rotated_factors_change_nothing():
    before, after, refit = random_models(2, shape=(20, 15), k=4)
    expected = remaining_gap(before, after, refit, items=[1, 2])
    rotation = ortho_group.rvs(4, random_state=0)
    turned = FactorModel(after.user_factors_ @ rotation, after.item_factors_ @ rotation)
    assert not np.allclose(turned.user_factors_, after.user_factors_)
    assert remaining_gap(before, turned, refit, items=[1, 2]) == pytest.approx(expected, rel=1e-12)
    assert remaining_gap(after, turned, refit) == pytest.approx(1.0, rel=1e-12)
    assert remaining_gap(before, turned, after) < 1e-14


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_scale_of_scores_changes_nothing(scale):
    matrices = [model.scores for model in random_models(3)]
    expected = remaining_gap(*matrices)
    assert remaining_gap(*(scale * m for m in matrices)) == pytest.approx(expected, rel=1e-12)


def test_known_values():
    refit, before = np.zeros((2, 3)), np.full((2, 3), 2.0)
    assert remaining_gap(before, before, refit) == 1.0
    assert remaining_gap(before, refit, refit) == 0.0
    assert remaining_gap(before, refit + 0.5, refit) == pytest.approx(0.25)
    assert noise_floor(before, refit, refit + 0.5) == pytest.approx(0.25)


def test_nothing_to_forget_is_zero_or_infinite():
    same, other = np.ones((2, 2)), np.array([[1.0, 1.0], [1.0, 1.5]])
    assert remaining_gap(same, same, same) == 0.0
    assert remaining_gap(same, other, same) == np.inf
    assert noise_floor(same, same, other) == np.inf


def test_vectors_are_scores_of_the_same_pairs():
    matrices = [model.scores for model in random_models(4)]
    pairs = np.array([[0, 1], [5, 4], [0, 1], [2, 2]])
    vectors = [m[pairs[:, 0], pairs[:, 1]] for m in matrices]
    expected = naive_gap(*matrices, pairs)
    assert remaining_gap(*vectors) == pytest.approx(expected, rel=1e-12)
    assert remaining_gap(*matrices, pairs=pairs) == pytest.approx(expected, rel=1e-12)
    assert remaining_gap(*matrices, pairs=(pairs[:, 0], pairs[:, 1])) == pytest.approx(
        expected, rel=1e-12
    )


def test_pairs_serve_models_of_unknown_size():
    models = random_models(5)
    matrices = [model.scores for model in models]
    pairs = [[3, 3], [1, 0]]

    class Unsized:
        def __init__(self, scores):
            self.predict_pairs = lambda pairs: scores[pairs[:, 0], pairs[:, 1]]

    unsized = [Unsized(m) for m in matrices]
    assert remaining_gap(*unsized, pairs=pairs) == pytest.approx(naive_gap(*matrices, pairs))
    with pytest.raises(ValueError, match=r"score matrix, or pairs\. Pass pairs="):
        remaining_gap(*unsized)
    # One source that knows the size is enough.
    assert remaining_gap(matrices[0], *unsized[1:]) == pytest.approx(remaining_gap(*matrices))


def test_blocks_change_nothing(monkeypatch):
    models = random_models(6, shape=(11, 13))
    expected = remaining_gap(*models, users=[3], items=[1, 4])
    monkeypatch.setattr(_scores, "BLOCK_SIZE", 7)
    models = random_models(6, shape=(11, 13))
    assert remaining_gap(*models, users=[3], items=[1, 4]) == pytest.approx(expected, rel=1e-12)
    assert max(len(pairs) for pairs in models[0].asked) == 7
    assert sum(len(pairs) for pairs in models[0].asked) == 13 + 10 * 2


def test_sampled_gap_is_near_the_full_one_and_stays_in_scope(monkeypatch):
    models = random_models(7, shape=(300, 200), k=4)
    scope = {"users": np.arange(20), "items": np.arange(10)}
    full = remaining_gap(*models, **scope)
    monkeypatch.setattr(_scores, "MAX_ALL_PAIRS", 1000)
    monkeypatch.setattr(_scores, "BLOCK_SIZE", 999)
    models = random_models(7, shape=(300, 200), k=4)
    sampled = remaining_gap(*models, **scope, n_pairs=4000)
    assert sampled != full
    assert sampled == pytest.approx(full, rel=0.1)
    asked = np.vstack(models[0].asked)
    assert len(asked) == 4000
    assert np.all((asked[:, 0] < 20) | (asked[:, 1] < 10))
    # Uniform: 4,000 of the 6,800 affected pairs are rows; five standard deviations are 0.04.
    assert np.mean(asked[:, 0] < 20) == pytest.approx(4000 / 6800, abs=0.04)
    for model in models[1:]:
        np.testing.assert_array_equal(np.vstack(model.asked), asked)
    assert remaining_gap(*models, **scope, n_pairs=4000) == sampled
    assert remaining_gap(*models, **scope, n_pairs=4000, random_state=1) != sampled
    assert remaining_gap(*models, **scope, n_pairs=None) == pytest.approx(full, rel=1e-12)
    assert remaining_gap(*models, **scope, n_pairs=6800) == pytest.approx(full, rel=1e-12)


def test_large_catalogue_is_sampled_by_default():
    models = random_models(8, shape=(100_000, 60_000), k=1)
    assert 0 < remaining_gap(*models) < np.inf
    assert sum(len(pairs) for pairs in models[0].asked) == 200_000
    # Positions beyond 32 bits of pair numbers are reached.
    assert np.vstack(models[0].asked)[:, 0].max() > 99_000


GOOD = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((GOOD, GOOD * np.nan, GOOD), {}, ValueError, "after holds NaN"),
        ((GOOD, GOOD, GOOD + np.inf), {}, ValueError, "refit holds NaN or infinite"),
        ((GOOD, GOOD[:, :2], GOOD), {}, ValueError, r"before .*\(2, 3\) and after .*\(2, 2\)"),
        ((GOOD, GOOD.ravel(), GOOD), {}, ValueError, "expected one shape"),
        ((sparse.csr_array(GOOD), GOOD, GOOD), {}, TypeError, "before is a sparse matrix"),
        ((GOOD, GOOD, None), {}, TypeError, "refit is a NoneType"),
        ((GOOD, GOOD, "refit"), {}, TypeError, "expected scores"),
        ((GOOD, GOOD.astype(str), GOOD), {}, TypeError, "expected real scores"),
        ((GOOD, GOOD + 1j, GOOD), {}, TypeError, "expected real scores"),
        ((GOOD,) * 3, {"users": []}, ValueError, "no pair is selected"),
        ((GOOD,) * 3, {"pairs": np.empty((0, 2), int)}, ValueError, "no pair is selected"),
        ((np.empty(0),) * 3, {}, ValueError, "no pair is selected"),
        ((GOOD,) * 3, {"users": [2]}, ValueError, "out of range"),
        ((GOOD,) * 3, {"items": [-1]}, ValueError, "out of range"),
        ((GOOD,) * 3, {"users": [0.0]}, TypeError, "integer positions"),
        ((GOOD,) * 3, {"pairs": [[0, 3]]}, ValueError, "out of range"),
        ((GOOD,) * 3, {"pairs": [[0.0, 1.0]]}, TypeError, "integer positions"),
        ((GOOD,) * 3, {"pairs": [0, 1]}, ValueError, r"shape \(n, 2\)"),
        ((GOOD,) * 3, {"pairs": [[0, 1]], "items": [0]}, ValueError, "items and pairs were passed"),
        ((GOOD.ravel(),) * 3, {"users": [0]}, ValueError, "with score vectors"),
        ((GOOD,) * 3, {"n_pairs": 0}, ValueError, "n_pairs=0"),
        ((GOOD,) * 3, {"n_pairs": 1.5}, TypeError, "n_pairs=1.5"),
        ((GOOD,) * 3, {"n_pairs": True}, TypeError, "n_pairs=True"),
    ],
)
def test_bad_arguments_are_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        remaining_gap(*arguments, **options)


def test_bad_models_are_refused():
    good, other, _ = random_models(9)
    bad = FactorModel(good.user_factors_ * np.nan, good.item_factors_)
    with pytest.raises(ValueError, match=r"after.predict_pairs holds NaN"):
        remaining_gap(good, bad, other)
    smaller = random_models(9, shape=(5, 5))[0]
    with pytest.raises(ValueError, match="expected one shape"):
        noise_floor(good, other, smaller)
    with pytest.raises(ValueError, match="score vector was passed with a recommender"):
        remaining_gap(GOOD.ravel(), *[NoSize()] * 2)
    with pytest.raises(ValueError, match=r"returned shape \(1,\) for 2 pairs"):
        remaining_gap(*[NoSize()] * 3, pairs=[[0, 0], [0, 1]])


class NoSize:
    def predict_pairs(self, pairs):
        return np.zeros(1)
