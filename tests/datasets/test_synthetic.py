"""make_interactions against its own truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from sklearn_unlearn.datasets import Events, _synthetic, make_interactions
from sklearn_unlearn.preprocessing import InteractionEncoder


def score_matrix(truth):
    """The true scores, dense, from the formula of the docstring."""
    scores = np.einsum("uk,ik->ui", truth.user_factors, truth.item_factors)
    return scores + truth.user_bias[:, None] + truth.item_bias[None, :]


@given(
    n_users=st.integers(1, 30),
    n_items=st.integers(1, 30),
    feedback=st.sampled_from(["label", "rating", "implicit"]),
    popularity=st.sampled_from([0.0, 0.8, 3.0]),
    noise=st.sampled_from([0, 1.0]),
    grid=st.booleans(),
    data=st.data(),
)
def test_shape_size_and_form(n_users, n_items, feedback, popularity, noise, grid, data):
    n = data.draw(st.one_of(st.none(), st.integers(1, n_users * n_items)))
    expected = n or min(20 * n_users, max(n_users * n_items // 2, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_synthetic, "_MAX_GRID", 2_000_000 if grid else 0)
        X = make_interactions(
            n_users,
            n_items,
            n_interactions=n,
            feedback=feedback,
            popularity=popularity,
            noise=noise,
            random_state=3,
        )
    assert X.format == "csr"
    assert X.dtype == np.float64
    assert X.shape == (n_users, n_items)
    assert X.nnz == expected
    assert X.has_canonical_format  # sorted, no duplicates
    grids = {"label": {-1.0, 1.0}, "rating": set(np.arange(1, 5.5, 0.5)), "implicit": None}
    if grids[feedback] is None:
        assert (X.data >= 1).all()
        assert (X.data == np.round(X.data)).all()
    else:
        assert set(X.data) <= grids[feedback]
    if expected >= n_users + n_items:
        assert np.diff(X.indptr).min() >= 1
        assert np.bincount(X.indices, minlength=n_items).min() >= 1


def test_a_seed_fixes_the_data():
    one, same, other = (make_interactions(random_state=seed).toarray() for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    stream = np.random.RandomState(5)
    np.testing.assert_array_equal(make_interactions(random_state=stream).toarray(), one)
    assert (make_interactions(random_state=stream).toarray() != one).any()
    assert (make_interactions().toarray() != make_interactions().toarray()).any()


def test_without_noise_values_are_functions_of_the_truth():
    X, truth = make_interactions(noise=0, random_state=0, return_factors=True)
    scores = score_matrix(truth)
    np.testing.assert_array_equal(X.toarray(), np.sign(scores) * (X.toarray() != 0))
    X, truth = make_interactions(noise=0, feedback="rating", random_state=0, return_factors=True)
    expected = np.clip(np.round(2 * (3 + score_matrix(truth) / 2)) / 2, 1, 5)
    np.testing.assert_array_equal(X.toarray(), expected * (X.toarray() != 0))
    assert truth.user_factors.shape == (200, 5)
    assert truth.item_factors.shape == (100, 5)


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
def test_labels_are_drawn_from_the_logistic_of_the_score(noise):
    X, truth = make_interactions(
        300, 200, n_interactions=40_000, noise=noise, random_state=1, return_factors=True
    )
    cells = X.tocoo()
    chance = expit(score_matrix(truth)[cells.coords] / noise)
    for low, high in [(0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1)]:
        inside = (low <= chance) & (chance < high)
        surprise = (cells.data[inside] > 0) - chance[inside]
        sigma = np.sqrt((chance[inside] * (1 - chance[inside])).sum())
        assert abs(surprise.sum()) < 4 * sigma


def test_the_product_and_the_biases_have_the_documented_spread():
    _, truth = make_interactions(2000, 500, n_factors=3, bias_scale=0.7, random_state=0,
                                 return_factors=True)  # fmt: skip
    product = truth.user_factors @ truth.item_factors.T
    assert product.std() == pytest.approx(2, rel=0.1)
    assert np.linalg.matrix_rank(product[:50]) == 3
    assert truth.user_bias.std() == pytest.approx(0.7, rel=0.1)


@pytest.mark.parametrize("max_grid", [0, 2_000_000])
def test_implicit_prefers_cells_of_high_score_and_counts_grow_with_it(max_grid, monkeypatch):
    monkeypatch.setattr(_synthetic, "_MAX_GRID", max_grid)
    X, truth = make_interactions(
        200, 150, n_interactions=6000, popularity=0, feedback="implicit", random_state=2,
        return_factors=True,
    )  # fmt: skip
    scores, seen = score_matrix(truth), X.toarray() != 0
    assert scores[seen].mean() > scores[~seen].mean() + 1
    high = scores[seen] > np.median(scores[seen])
    counts = X.toarray()[seen]
    expected = 1 + np.exp(np.minimum(scores[seen], 3) / 2)
    for half in (high, ~high):
        sigma = np.sqrt((expected[half] - 1).sum())
        assert abs(counts[half].sum() - expected[half].sum()) < 4 * sigma
    never = make_interactions(
        200, 150, n_interactions=3000, noise=0, feedback="implicit", random_state=2,
        popularity=0, return_factors=True,
    )  # fmt: skip
    seen = never[0].toarray() != 0
    # all but those that give each user and item its first interaction
    assert (score_matrix(never[1])[seen] < 0).sum() <= 350


def degree_profile(grid, popularity, axis, monkeypatch, n=1500, n_seeds=12):
    """Mean of the sorted degrees over some seeds, in interactions."""
    monkeypatch.setattr(_synthetic, "_MAX_GRID", 10**9 if grid else 0)
    found = [
        np.sort(
            np.count_nonzero(
                make_interactions(
                    150, 90, n_interactions=n, popularity=popularity, random_state=seed
                ).toarray(),
                axis=axis,
            )
        )[::-1]
        for seed in range(n_seeds)
    ]
    return np.mean(found, axis=0)


@pytest.mark.parametrize("axis", [0, 1])
def test_both_ways_to_draw_follow_one_law_with_heavy_tails(axis, monkeypatch):
    grid = degree_profile(True, 0.8, axis, monkeypatch)
    rejection = degree_profile(False, 0.8, axis, monkeypatch)
    np.testing.assert_allclose(grid, rejection, atol=4)
    grid_again, rejection = (
        degree_profile(way, 1.2, axis, monkeypatch, n=3000) for way in (True, False)
    )
    np.testing.assert_allclose(grid_again, rejection, atol=6)  # here the head is nearly full
    flat = degree_profile(True, 0.0, axis, monkeypatch)
    head = len(flat) // 10
    assert grid[:head].sum() > 2 * flat[:head].sum()
    assert grid.sum() == pytest.approx(1500)


def test_sparse_draws_follow_zipfs_weights():
    # So sparse that cells hardly collide: the degree of rank k is n k^-a / sum.
    X = make_interactions(4000, 3000, n_interactions=30_000, popularity=1.0, random_state=0)
    degrees = np.sort(np.diff(X.indptr))[::-1]
    free = 30_000 - 7000  # 7,000 give each user and item its first one
    weights = 1 / np.arange(1, 4001)
    expected = (free + 3000) * weights / weights.sum() + 1
    np.testing.assert_allclose(degrees[10:60].sum(), expected[10:60].sum(), rtol=0.15)


def test_draws_end_when_the_head_is_used_up():
    X = make_interactions(3000, 1000, n_interactions=400_000, popularity=3.0, random_state=0)
    assert X.nnz == 400_000


@pytest.mark.parametrize("feedback", ["label", "rating", "implicit"])
def test_events_are_the_matrix_with_ids(feedback):
    arguments = {"n_users": 120, "n_items": 15, "feedback": feedback, "random_state": 4}
    X = make_interactions(**arguments)
    events, truth = make_interactions(**arguments, return_events=True, return_factors=True)
    assert isinstance(events, Events)
    assert truth.user_bias.shape == (120,)
    encoder = InteractionEncoder(value="value")
    np.testing.assert_array_equal(encoder.fit_transform(events).toarray(), X.toarray())
    assert sorted(set(events.user)) == [f"u{k:03d}" for k in range(120)]
    assert sorted(set(events.item)) == [f"i{k:02d}" for k in range(15)]
    np.testing.assert_array_equal(events.timestamp, np.arange(len(events)))
    assert list(events.user) != sorted(events.user)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_users": 0},
        {"n_items": 2.5},
        {"n_users": True},
        {"n_factors": 0},
        {"noise": -1},
        {"noise": np.nan},
        {"popularity": np.inf},
        {"bias_scale": "big"},
        {"feedback": "stars"},
        {"n_interactions": 0},
        {"n_interactions": 20_001},
        {"n_interactions": 3.0},
    ],
)
def test_wrong_parameters(wrong):
    name = next(iter(wrong))
    with pytest.raises(ValueError, match=rf"Got {name}=.*; expected .*\. \w+"):
        make_interactions(**wrong)
