"""Requests drawn from data, against loops over dense matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_unlearn import ALS, EASE, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import forget_gap
from sklearn_unlearn.model_selection import sample_forget_set
from sklearn_unlearn.model_selection._forget_set import KINDS

X = make_interactions(40, 25, n_interactions=300, random_state=0)
RATINGS = X.copy()
RATINGS.data = np.random.default_rng(0).integers(1, 6, X.nnz).astype(float)
CATEGORIES = np.arange(25) % 4
NEEDS = {
    "category": {"categories": CATEGORIES, "category": 2},
    "time": {"timestamps": np.arange(X.nnz), "window": (50, 70)},
}


def dense_pairs(pairs, shape):
    marked = np.zeros(shape, bool)
    marked[tuple(np.asarray(pairs).T)] = True
    return marked


@pytest.mark.parametrize("kind", KINDS)
def test_request_is_what_the_pairs_say_and_the_rest_is_kept(kind):
    before = RATINGS.copy()
    found = sample_forget_set(RATINGS, kind, random_state=0, **NEEDS.get(kind, {}))
    dense, [(name, parts)] = found.X.toarray(), found.request.items()
    marked = np.zeros(dense.shape, bool)
    if name == "users":
        marked[parts] = True
    elif name == "items":
        marked[:, parts] = True
    else:
        marked = dense_pairs(parts, dense.shape)
    marked &= dense != 0
    np.testing.assert_array_equal(found.pairs, np.argwhere(marked))
    np.testing.assert_array_equal(found.retained.toarray(), np.where(marked, 0, dense))
    assert found.retained.shape == found.X.shape and marked.any()
    # The data that were passed are not touched.
    np.testing.assert_array_equal(RATINGS.toarray(), before.toarray())
    again = sample_forget_set(RATINGS, kind, random_state=0, **NEEDS.get(kind, {}))
    np.testing.assert_array_equal(again.pairs, found.pairs)
    np.testing.assert_array_equal(again.X.toarray(), dense)
    model = EASE().fit(found.X).forget(**found.request)
    assert model.forget_report_.n_interactions == len(found.pairs)


@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.3, 1, 4]))
def test_sizes_and_activity(seed, size):
    degrees = (X.toarray() != 0).sum(axis=1)
    n = size if isinstance(size, int) else max(round(size * np.count_nonzero(degrees)), 1)
    core, edge, users = (
        sample_forget_set(X, kind, size, random_state=seed).request["users"]
        for kind in ("core_users", "edge_users", "users")
    )
    assert len(core) == len(edge) == len(users) == n
    ordered = np.sort(degrees[degrees > 0])
    np.testing.assert_array_equal(np.sort(degrees[edge]), ordered[:n])
    np.testing.assert_array_equal(np.sort(degrees[core]), ordered[len(ordered) - n :])
    assert np.all(degrees[users] > 0)
    items = sample_forget_set(X, "items", size, random_state=seed).request["items"]
    assert len(items) == (size if isinstance(size, int) else max(round(size * 25), 1))
    pairs = sample_forget_set(X, "pairs", size, random_state=seed).pairs
    assert len(pairs) == (size if isinstance(size, int) else round(size * X.nnz))


def test_every_interaction_is_as_likely_to_be_drawn():
    counts = np.zeros(X.shape)
    for seed in range(3000):
        counts[tuple(sample_forget_set(X, "pairs", 30, random_state=seed).pairs.T)] += 1
    drawn = counts[X.toarray() != 0]
    # 3000 draws of probability 1/10: 5 standard deviations are 82.
    assert np.abs(drawn - 300).max() < 83 and drawn.sum() == counts.sum()


def test_category_is_of_the_users_who_met_it():
    dense = X.toarray() != 0
    concerned = dense & (CATEGORIES == 2)
    everybody = sample_forget_set(X, "category", categories=CATEGORIES, category=2)
    np.testing.assert_array_equal(everybody.pairs, np.argwhere(concerned))
    some = sample_forget_set(
        X, "category", 3, categories=CATEGORIES, category=2, random_state=0
    ).pairs
    users = np.unique(some[:, 0])
    assert len(users) == 3
    np.testing.assert_array_equal(some, [p for p in np.argwhere(concerned) if p[0] in users])
    names = np.array(list("abcd"))[CATEGORIES]
    by_name = sample_forget_set(X, "category", categories=names, category="c")
    np.testing.assert_array_equal(by_name.pairs, everybody.pairs)


def test_window_takes_what_happened_in_it():
    times = np.random.default_rng(0).integers(0, 100, X.nnz)
    T = sparse.csr_array((times, X.indices, X.indptr), X.shape)
    pairs = np.argwhere(X.toarray())
    for window, inside in {
        (20, 40): (times >= 20) & (times < 40),
        (None, 30): times < 30,
        (90, None): times >= 90,
    }.items():
        for timestamps in (times, T, T.tocoo()):
            found = sample_forget_set(X, "time", timestamps=timestamps, window=window)
            np.testing.assert_array_equal(found.pairs, pairs[inside])
    days = times.astype("datetime64[D]")
    window = (np.datetime64("1970-01-21"), np.datetime64("1970-02-10"))
    found = sample_forget_set(X, "time", timestamps=days, window=window)
    np.testing.assert_array_equal(found.pairs, pairs[(times >= 20) & (times < 40)])


@pytest.mark.parametrize("data", [X, RATINGS, abs(X)], ids=["labels", "ratings", "implicit"])
@pytest.mark.parametrize("attack", ["random", "average", "bandwagon", "push"])
def test_injected_users_raise_the_targets(attack, data):
    found = sample_forget_set(
        data, f"{attack}_attack", 5, targets=[3, 7], n_filler=4, random_state=0
    )
    dense, rows = data.toarray(), found.X.toarray()[40:]
    np.testing.assert_array_equal(found.X.toarray()[:40], dense)
    np.testing.assert_array_equal(found.request["users"], np.arange(40, 45))
    assert np.all(rows[:, [3, 7]] == dense.max())
    rows[:, [3, 7]] = 0
    assert np.all((rows != 0).sum(axis=1) == (0 if attack == "push" else 4))
    assert set(np.unique(rows)) <= {0.0, *np.unique(dense)}
    popularity = (dense != 0).sum(axis=0)
    popularity[[3, 7]] = -1
    if attack == "bandwagon":
        popular = np.argsort(-popularity, kind="stable")[:4]
        assert np.all(rows[:, popular] == dense.max())
    if attack == "average":
        for item in np.flatnonzero(rows.any(axis=0)):
            value = rows[:, item].max(initial=-9, where=rows[:, item] != 0)
            values = np.unique(dense[dense != 0])
            mean = dense[:, item][dense[:, item] != 0].mean()
            assert abs(value - mean) == pytest.approx(np.abs(values - mean).min())


def test_attack_works_and_is_forgotten():
    data = abs(X)
    found = sample_forget_set(data, "bandwagon_attack", 0.3, targets=11, random_state=0)
    model = ALS(8, alpha=10.0, regularization=10.0, random_state=0)
    clean = model.fit(data)
    clean_scores = clean.decision_function(data)[:, 11].mean()
    spammed = ALS(**model.get_params()).fit(found.X)
    assert spammed.decision_function(data)[:, 11].mean() > clean_scores + 0.05
    gap = forget_gap(spammed, **found.request)
    assert gap.groups["neighbours"].gap < 0.01
    spammed.forget(**found.request)
    after = spammed.decision_function(data)[:, 11].mean()
    assert after == pytest.approx(clean_scores, abs=1e-3)


def test_labels_are_mirrored():
    for data, total in ((RATINGS, 6.0), (X, 0.0)):
        found = sample_forget_set(data, "flipped_labels", 0.1, random_state=0)
        flipped = dense_pairs(found.pairs, X.shape)
        dense = data.toarray()
        expected = np.where(flipped, total - dense, dense)
        np.testing.assert_array_equal(found.X.toarray(), expected)
        assert len(found.pairs) == round(0.1 * X.nnz)
    model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(found.X)
    assert forget_gap(model, **found.request).groups["affected"].gap < 0.01


def test_batches_are_the_request():
    for kind in ("users", "items", "pairs"):
        found = sample_forget_set(X, kind, 7, random_state=0)
        [(name, parts)] = found.request.items()
        batches = found.batches(3)
        assert [len(batch[name]) for batch in batches] == [3, 2, 2]
        np.testing.assert_array_equal(np.concatenate([batch[name] for batch in batches]), parts)
        model = EASE().fit(abs(found.X))
        for batch in batches:
            model.forget(**batch)
        once = EASE().fit(abs(found.X)).forget(**found.request)
        np.testing.assert_allclose(
            model.decision_function(abs(X)), once.decision_function(abs(X)), atol=1e-8
        )
    with pytest.raises(ValueError, match="n_batches=8 and the request has 7 interactions"):
        found.batches(8)
    with pytest.raises(TypeError, match=r"n_batches=2\.0"):
        found.batches(2.0)
    assert repr(found) == f"ForgetSet('pairs', n_interactions=7, n_users={len(set(parts[:, 0]))})"


ONES = np.ones((4, 3))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "some"}, ValueError, "kind='some'; expected one of 'pairs'"),
        ({"size": 0}, ValueError, "size=0 is 0 of 12 interactions"),
        ({"size": 12}, ValueError, "expected at least 1 and fewer than all"),
        ({"size": 1.0}, ValueError, "fewer than all"),
        ({"size": 1.5}, ValueError, "size=1.5 is 0 of 12"),
        ({"size": "5 %"}, TypeError, "size='5 %'; expected a float"),
        ({"size": True}, TypeError, "size=True"),
        ({"kind": "users", "size": 4}, ValueError, "of 4 users"),
        ({"kind": "category"}, ValueError, "categories has shape None"),
        ({"kind": "category", "categories": [1, 2]}, ValueError, r"expected \(3,\), one for each"),
        (
            {"kind": "category", "categories": [1, 2, 3], "category": 4},
            ValueError,
            "a value of categories that occurs",
        ),
        (
            {"kind": "category", "categories": [1, 1, 1], "category": 1},
            ValueError,
            "the request holds all interactions",
        ),
        ({"kind": "time"}, ValueError, r"a tuple \(start, stop\)"),
        (
            {"kind": "time", "timestamps": np.arange(3), "window": (0, 1)},
            ValueError,
            r"expected \(12,\), one for each",
        ),
        (
            {"kind": "time", "timestamps": sparse.eye_array(4, 3), "window": (0, 1)},
            ValueError,
            "other places than X",
        ),
        (
            {"kind": "time", "timestamps": np.arange(12), "window": (20, 30)},
            ValueError,
            "no interaction is in the window",
        ),
        (
            {"kind": "time", "timestamps": np.arange(12), "window": (None, None)},
            ValueError,
            "the request holds all interactions",
        ),
        ({"kind": "flipped_labels", "size": 1}, ValueError, "all values of X are 1; expected two"),
        ({"kind": "push_attack", "targets": 3}, ValueError, "targets has positions out of range"),
        ({"kind": "random_attack", "n_filler": 3}, ValueError, "n_filler=3; expected from 0 to 2"),
        ({"kind": "random_attack", "n_filler": 1.0}, TypeError, "n_filler=1.0; expected"),
        ({"X": ONES * 0}, ValueError, "X holds no interaction"),
        ({"X": ONES * np.nan}, ValueError, "NaN"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        sample_forget_set(**{"X": ONES, **options})
