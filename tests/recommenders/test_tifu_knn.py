"""TIFUKNN against a slow twin of the paper, and requests against refits."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn import TIFUKNN
from sklearn_unlearn.audit import load, save
from sklearn_unlearn.backends import _scipy
from sklearn_unlearn.exact.sequences import _basket_kernels
from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

MODELS = [TIFUKNN(), TIFUKNN(3, 2, 0.5, 0.8, 0.4), TIFUKNN(5, 1, 1.0, 1.0, 0.0)]
STATE = ("_owners", "_basket_weights", "_squares")


@parametrize_with_checks(MODELS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(MODELS)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", MODELS)
def test_no_scikit_learn_check_is_skipped(estimator, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) >= 40
    assert {result["status"] for result in results} == {"passed"}


# -- data ------------------------------------------------------------------------------------------
def histories(n_owners, n_baskets, n_items, seed, span=50):
    """Baskets of 1 to 6 items, of owners who have favourites; short spans of time give ties."""
    rng = np.random.default_rng(seed)
    owners = rng.integers(0, n_owners, n_baskets)
    liked = rng.random((n_owners, n_items)) ** 4
    X = np.zeros((n_baskets, n_items))
    for row, owner in zip(X, owners, strict=True):
        chances = liked[owner] / liked[owner].sum()
        items = rng.choice(n_items, rng.integers(1, 6), replace=False, p=chances)
        row[items] = rng.integers(1, span, len(items))
    return X, owners


X, OWNERS = histories(25, 200, 30, 0)


# -- the twin --------------------------------------------------------------------------------------
def vector_of(baskets, n_groups, within, across):
    """Vector of a history, group by group."""
    n = len(baskets)
    if not n:
        return None
    m = min(n_groups, n)
    short, n_long = divmod(n, m)
    sizes = [short] * (m - n_long) + [short + 1] * n_long
    groups, first = [], 0
    for size in sizes:
        group = baskets[first : first + size]
        terms = [within ** (size - j) * b for j, b in enumerate(group, 1)]
        groups.append(sum(terms) / size)
        first += size
    return sum(across ** (m - g) * v for g, v in enumerate(groups, 1)) / m


def vectors_of(X, owners, *settings):
    vectors = {}
    for owner in range(owners.max() + 1):
        rows = [r for r in np.flatnonzero(owners == owner) if X[r].any()]
        rows.sort(key=lambda r: (X[r].max(), r))
        vectors[owner] = vector_of([(X[r] > 0).astype(float) for r in rows], *settings)
    return {owner: v for owner, v in vectors.items() if v is not None}


def twin(vectors, v, k, alpha, own=-1):
    """Scores by the distances to all vectors, and how far the choice is from a tie."""
    others = [o for o in vectors if o != own]
    distances = {o: ((vectors[o] - v) ** 2).sum() for o in others}
    near = sorted(others, key=lambda o: (distances[o], o))
    sure = len(near) <= k or distances[near[k]] - distances[near[k - 1]] > 1e-9
    mean = sum(vectors[o] for o in near[:k]) / len(near[:k]) if near else 0
    return alpha * v + (1 - alpha) * mean, sure


SETTINGS = [(7, 0.9, 0.7), (1, 0.8, 1.0), (3, 0.61, 0.37), (100, 1.0, 0.93), (2, 0.77, 0.31)]


@pytest.mark.parametrize("groups", SETTINGS)
@pytest.mark.parametrize(("k", "alpha"), [(1, 0.7), (4, 0.0), (9, 1.0), (300, 0.25)])
def test_scores_are_those_of_the_paper(groups, k, alpha):
    model = TIFUKNN(k, *groups, alpha).fit(X, owners=OWNERS)
    vectors = vectors_of(X, OWNERS, *groups)
    scores = model._score_users(np.arange(len(X)))
    expected = [twin(vectors, vectors[o], k, alpha, o) for o in OWNERS]
    sure = np.array([one[1] for one in expected])
    assert sure.mean() > 0.9
    assert_allclose(scores[sure], np.array([one[0] for one in expected])[sure], rtol=0, atol=1e-12)


@pytest.mark.parametrize("groups", SETTINGS)
def test_the_state_is_weights_and_norms(groups):
    model = TIFUKNN(3, *groups).fit(X, owners=OWNERS)
    for owner, v in vectors_of(X, OWNERS, *groups).items():
        rows = owner == OWNERS
        assert_allclose(model._basket_weights[rows] @ (X[rows] > 0), v, rtol=0, atol=1e-14)
        assert_allclose(model._squares[owner], v @ v, rtol=1e-13)


def test_a_new_owner_has_the_basket_of_its_row():
    model = TIFUKNN(5).fit(X, owners=OWNERS)
    vectors = vectors_of(X, OWNERS, 7, 0.9, 0.7)
    new, _ = histories(5, 12, 30, 4)
    expected = [twin(vectors, (row > 0).astype(float), 5, 0.7) for row in new]
    assert all(one[1] for one in expected)
    scores = model.decision_function(new)
    assert_allclose(scores, [one[0] for one in expected], rtol=0, atol=1e-12)


def test_seen_are_the_items_of_all_baskets_of_the_owner():
    model = TIFUKNN(5).fit(X, owners=OWNERS)
    items, scores = model.recommend(users=[0, 150], n_items=30)
    for row, found, best in zip((0, 150), items, scores, strict=True):
        bought = X[OWNERS[row] == OWNERS].any(axis=0)
        assert set(found[found >= 0]) == set(np.flatnonzero(~bought))
        assert (found >= 0).sum() == np.isfinite(best).sum()
    every = model.recommend(users=[0, 150], n_items=30, exclude_seen=False)[0]
    assert_array_equal(np.sort(every), np.tile(np.arange(30), (2, 1)))


def test_rows_of_one_owner_score_alike_and_without_owners_each_row_is_one():
    model = TIFUKNN(5).fit(X, owners=OWNERS)
    same = np.flatnonzero(OWNERS[0] == OWNERS)
    scores = model._score_users(same)
    assert_array_equal(scores, np.tile(scores[0], (len(same), 1)))
    alone = TIFUKNN(5).fit(X)
    assert_array_equal(alone._basket_weights, np.ones(len(X)))
    assert_array_equal(alone._squares, (X > 0).sum(axis=1))


def test_scores_do_not_depend_on_threads_nor_on_the_rows_beside(monkeypatch):
    one = TIFUKNN(6).fit(X, owners=OWNERS)
    rows = np.arange(0, 200, 9)
    expected = one._score_users(rows)
    for n, row in enumerate(rows):
        assert_array_equal(one._score_users(np.array([row]))[0], expected[n])
    monkeypatch.setattr(_scipy, "_MIN_WORK", 1)
    two = TIFUKNN(6, n_jobs=2).fit(X, owners=OWNERS)
    assert_array_equal(two._score_users(rows), expected)


# -- requests --------------------------------------------------------------------------------------
def require_same_state(model, data, owners):
    refit = TIFUKNN(**model.get_params()).fit(data, owners=owners)
    for name in STATE:
        one, other = getattr(model, name), getattr(refit, name)
        assert_array_equal(one, other)
        assert one.dtype == other.dtype
    every = np.arange(len(data))
    assert_array_equal(model._score_users(every), refit._score_users(every))


kinds = st.sampled_from(["event", "basket", "item", "owner", "learn", "rectify"])
requests = st.lists(st.tuples(kinds, st.integers(0, 10**6)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(requests, st.integers(0, 5), st.sampled_from([2, 50]), st.integers(1, 5))
def test_any_sequence_of_requests_ends_at_the_refit_bit_for_bit(sequence, seed, span, n_groups):
    rest, owners = histories(6, 24, 8, seed, span)
    model = TIFUKNN(3, n_groups, 0.77, 0.61).fit(rest, owners=owners)
    for kind, number in sequence:
        rest, owners = answer(model, rest, owners, kind, np.random.default_rng(number))
        if not rest.any():
            return
    require_same_state(model, rest, owners)


def answer(model, rest, owners, kind, rng):
    """Make one random request of a kind; return the data after it."""
    rest = rest.copy()
    rows, items = np.nonzero(rest)
    if not len(rows):
        return rest, owners
    one = rng.integers(len(rows))
    if kind == "event":
        some = rng.integers(len(rows), size=3)
        model.forget((rows[some], items[some]))
        rest[rows[some], items[some]] = 0
    elif kind == "basket":
        model.forget(users=[rows[one]])
        rest[rows[one]] = 0
    elif kind == "item":
        model.forget(items=items[one])
        rest[:, items[one]] = 0
    elif kind == "owner":
        model.forget(owners=[owners[rows[one]]])
        rest[owners == owners[rows[one]]] = 0
    elif kind == "learn":
        n = len(rest)
        cells = np.array([[n, 1], [n, 4], [n + 1, 0], [rows[one], items[one]]])
        times = rng.integers(1, 60, 4).astype(float)
        whose = rng.integers(0, owners.max() + 2, 2)
        model.learn(cells, times, owners=whose, existing="replace")
        rest, owners = np.pad(rest, ((0, 2), (0, 0))), np.append(owners, whose)
        rest[tuple(cells.T)] = times
    else:
        old, new = (rows[one], items[one]), (rows[one], rng.integers(8))
        model.rectify([old], [new], 77.0, existing="replace")
        rest[old] = 0
        rest[new] = 77
    return rest, owners


def test_a_thousand_requests_end_at_the_refit_bit_for_bit():
    rng = np.random.default_rng(0)
    rest, owners = histories(150, 1200, 60, 3, 500)
    model = TIFUKNN(8).fit(rest, owners=owners)
    for step in range(1000):
        rows, items = np.nonzero(rest)
        one = rng.integers(len(rows))
        if step % 3 == 0:
            model.forget(users=rows[one])
            rest[rows[one]] = 0
        elif step % 97 == 0:
            model.forget(items=items[one])
            rest[:, items[one]] = 0
        elif step % 31 == 0:
            model.forget(owners=owners[rows[one]])
            rest[owners == owners[rows[one]]] = 0
        else:
            model.forget([[rows[one], items[one]]])
            rest[rows[one], items[one]] = 0
    assert 200 < np.count_nonzero(rest) < 3000
    require_same_state(model, rest, owners)


def test_the_last_event_that_goes_moves_the_basket():
    data = np.array([[9.0, 1], [3, 0], [0, 4]])
    model = TIFUKNN(1, 1, 0.5).fit(data, owners=[0, 0, 0])
    assert_allclose(model._basket_weights, np.array([1, 0.25, 0.5]) / 3)
    model.forget([[0, 0]])
    assert_allclose(model._basket_weights, np.array([0.25, 0.5, 1]) / 3)


def test_an_owner_without_baskets_has_no_scores_and_is_no_neighbour():
    model = TIFUKNN(300, alpha=0.0).fit(X, owners=OWNERS).forget(owners=[3, 4])
    rows = np.flatnonzero(np.isin(OWNERS, [3, 4]))
    assert not model._score_users(rows).any()
    vectors = vectors_of(X, OWNERS, 7, 0.9, 0.7)
    others = [v for owner, v in vectors.items() if owner not in (3, 4, OWNERS[0])]
    assert_allclose(model._score_users(np.array([0]))[0], np.mean(others, axis=0), atol=1e-12)


def test_new_baskets_items_and_owners_are_learned():
    model = TIFUKNN(5).fit(X[:, :28], owners=OWNERS)
    model.learn(([200, 202, 3], [29, 0, 28]), [200.0, 50.0, 60.0], owners=[4, 25, 26])
    larger = np.zeros((203, 30))
    larger[:200, :28] = X[:, :28]
    larger[[200, 202, 3], [29, 0, 28]] = 200, 50, 60
    require_same_state(model, larger, np.append(OWNERS, [4, 25, 26]))
    assert model.learn_report_.guarantee == "exact"


def test_a_request_costs_what_it_touches(monkeypatch):
    model = TIFUKNN().fit(X, owners=OWNERS)
    monkeypatch.setattr(_basket_kernels, "score_baskets", lambda *_: pytest.fail("scored"))
    report = model.forget(users=[3]).forget_report_
    assert (report.method, report.guarantee, report.n_users) == ("downdate", "exact", 1)
    assert report.n_rows_updated == 1


def test_a_snapshot_keeps_the_state(tmp_path):
    model = TIFUKNN(5).fit(X, owners=OWNERS).forget(users=[3])
    save(model, tmp_path / "model.skops")
    loaded = load(tmp_path / "model.skops")
    for name in STATE:
        assert_array_equal(getattr(loaded, name), getattr(model, name))
    loaded.forget(owners=[5])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("_basket_weights", lambda a: a[:-1]),
        ("_basket_weights", lambda a: a.astype(int)),
        ("_squares", lambda a: a[:-1]),
        ("_owners", lambda a: a - 1),
        ("_owners", lambda a: a + 1),
        ("_owners", lambda a: a.astype(float)),
    ],
)
def test_damaged_states_are_refused(name, change):
    state = TIFUKNN().fit(X, owners=OWNERS).__getstate__()
    with pytest.raises(ValueError, match="the loaded TIFUKNN is damaged"):
        TIFUKNN().__setstate__({**state, name: change(state[name])})


def test_copies_share_nothing_that_changes():
    model = TIFUKNN(5).fit(X, owners=OWNERS)
    twin_of = pickle.loads(pickle.dumps(model))
    expected = model._score_users(np.arange(9))
    twin_of.forget(owners=[2])
    assert_array_equal(model._score_users(np.arange(9)), expected)


def test_exactness_is_tagged():
    assert get_forget_tags(TIFUKNN()).exact


@pytest.mark.parametrize(
    "params",
    [
        {"n_neighbors": 0},
        {"n_groups": 0},
        {"within_decay": 0.0},
        {"group_decay": 1.1},
        {"alpha": 2},
    ],
)
def test_parameters_are_validated(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        TIFUKNN(**params).fit(X)
