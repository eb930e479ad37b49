"""SessionKNN against slow twins of the papers, and requests against refits."""

import heapq
import math
import pickle
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn import TIFUKNN, SessionKNN, ShardedRecommender
from sklearn_unlearn.audit import load, save
from sklearn_unlearn.backends import _scipy
from sklearn_unlearn.exact.sequences import _session_index, _session_kernels
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

MODELS = [
    SessionKNN(),
    SessionKNN(5, 20, decay="harmonic", match_decay="window"),
    SessionKNN(3, 4, decay="none", match_decay="none", n_last=2, idf=False),
]
STATE = ("_owners", "_list_starts", "_list_sessions", "_session_times")


@parametrize_with_checks(MODELS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(MODELS)
def test_forget_checks(check):
    check()


WRAPPED = [
    ShardedRecommender(SessionKNN(5), 3, random_state=0),
    ShardedRecommender(TIFUKNN(5), 3, random_state=0),
    make_recommender_pipeline(InteractionEncoder(value="n", duplicates="max"), SessionKNN(5)),
    make_recommender_pipeline(InteractionEncoder(value="n", duplicates="max"), TIFUKNN(5)),
]


@parametrize_with_forget_checks(WRAPPED)
def test_forget_checks_in_shards_and_pipelines(check):
    check()


@pytest.mark.parametrize("estimator", MODELS)
def test_no_scikit_learn_check_is_skipped(estimator, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) >= 40
    assert {result["status"] for result in results} == {"passed"}


# -- data ------------------------------------------------------------------------------------------
def sessions(n, n_items, seed, span=40):
    """Sessions of 1 to 8 items, some of one time; short spans of time give many ties."""
    rng = np.random.default_rng(seed)
    X = np.zeros((n, n_items))
    for row in X:
        items = rng.choice(n_items, rng.integers(1, min(9, n_items)), replace=False)
        row[items] = rng.integers(1, span, len(items)) + rng.integers(0, 3 * span)
    return X


X = sessions(80, 30, 0)
QUERIES = sessions(25, 30, 1)


# -- twins -----------------------------------------------------------------------------------------
WEIGHTS = {
    "none": lambda q, n: 1.0,
    "linear": lambda q, n: 1 - q / n,
    "harmonic": lambda q, n: 1 / (1 + q),
    "window": lambda q, n: max(0.0, 0.9 - q / 10),
}


def vs_knn(H, s, k, m, decay, match, n_last=None, idf=True, own=-1):
    """VS-kNN by its definition: all sessions, sorted; all similarities; all scores."""
    held = np.flatnonzero(s)
    later = {j: int((s[held] > s[j]).sum()) for j in held}
    later = {j: q for j, q in later.items() if n_last is None or q < n_last}
    length = len(later)
    sharing = [n for n in range(len(H)) if n != own and any(H[n, j] for j in later)]
    recent = sorted(sharing, key=lambda n: (-H[n].max(), -n))[:m]
    similarity = {
        n: sum(WEIGHTS[decay](later[j], length) for j in later if H[n, j]) for n in recent
    }
    near = sorted(recent, key=lambda n: -round(similarity[n], 10))[:k]
    scores = np.zeros(H.shape[1])
    for n in near:
        last = min(later[j] for j in later if H[n, j])
        scores += (H[n] > 0) * similarity[n] * WEIGHTS[match](last, length)
    if idf:
        counts, total = (H > 0).sum(axis=0), (H > 0).any(axis=1).sum()
        scores *= [math.log(total / c) if c else 0.0 for c in counts]
    return scores


def vmis_knn(H, s, k, m):
    """VMIS-kNN: an index of the last m sessions of each item, and a heap of the m best."""
    index = {}
    for i in range(H.shape[1]):
        holders = [(H[n].max(), n) for n in np.flatnonzero(H[:, i])]
        index[i] = sorted(holders, reverse=True)[:m]
    evolving = [int(i) for i in np.argsort(s) if s[i]]
    similarity, heap = {}, []
    for position in range(len(evolving), 0, -1):
        weight = position / len(evolving)
        for time, n in index[evolving[position - 1]]:
            if n in similarity:
                similarity[n] += weight
            elif len(heap) < m:
                similarity[n] = weight
                heapq.heappush(heap, (time, n))
            elif (time, n) > heap[0]:
                _, out = heapq.heapreplace(heap, (time, n))
                del similarity[out]
                similarity[n] = weight
            else:
                break
    order = sorted(similarity, key=lambda n: (-round(similarity[n], 10), -H[n].max(), -n))
    scores, total = np.zeros(H.shape[1]), len(H)
    for n in order[:k]:
        match = max(p for p, i in enumerate(evolving, 1) if H[n, i]) / len(evolving)
        for i in np.flatnonzero(H[n]):
            scores[i] += match * similarity[n] * math.log(total / (H[:, i] > 0).sum())
    return scores


@pytest.mark.parametrize("match", WEIGHTS)
@pytest.mark.parametrize("decay", WEIGHTS)
def test_scores_are_those_of_vs_knn(decay, match):
    model = SessionKNN(7, 25, decay=decay, match_decay=match).fit(X)
    expected = [vs_knn(X, s, 7, 25, decay, match) for s in QUERIES]
    assert_allclose(model.decision_function(QUERIES), expected, rtol=0, atol=1e-12)
    assert np.any(expected)


@pytest.mark.parametrize(("k", "m"), [(1, 1), (3, 5), (5, 1000), (1000, 12)])
@pytest.mark.parametrize(("n_last", "idf"), [(None, True), (1, True), (3, False)])
def test_scores_with_other_sizes(k, m, n_last, idf):
    model = SessionKNN(k, m, n_last=n_last, idf=idf).fit(X)
    expected = [vs_knn(X, s, k, m, "linear", "linear", n_last, idf) for s in QUERIES]
    assert_allclose(model.decision_function(QUERIES), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("k", "m"), [(1, 1), (4, 9), (9, 30), (100, 500)])
def test_scores_are_those_of_vmis_knn(k, m):
    """Without items of one time in a session to score, as the paper has it."""
    ordered = np.zeros_like(QUERIES)
    for row, source in zip(ordered, QUERIES, strict=True):
        held = np.flatnonzero(source)
        row[held] = np.random.default_rng(len(held)).permutation(len(held)) + 1
    expected = [vmis_knn(X, s, k, m) for s in ordered]
    model = SessionKNN(k, m).fit(X)
    assert_allclose(model.decision_function(ordered), expected, rtol=0, atol=1e-12)


def test_a_training_session_is_no_neighbour_of_itself():
    model = SessionKNN(4, 20).fit(X)
    rows = np.array([5, 0, 79])
    expected = [vs_knn(X, X[r], 4, 20, "linear", "linear", own=r) for r in rows]
    assert_allclose(model._score_users(rows), expected, rtol=0, atol=1e-12)
    pairs = np.column_stack((np.repeat(rows, 30), np.tile(np.arange(30), 3)))
    assert_allclose(model.predict_pairs(pairs).reshape(3, 30), expected, rtol=0, atol=1e-12)


def test_ones_are_sessions_without_an_order_of_items():
    ones = (X > 0).astype(float)
    model = SessionKNN(6, 15).fit(ones)
    rows = (QUERIES > 0).astype(float)
    expected = [vs_knn(ones, s, 6, 15, "none", "none") for s in rows]
    assert_allclose(model.decision_function(rows), expected, rtol=0, atol=1e-12)


def test_scores_do_not_depend_on_threads_nor_on_the_rows_beside(monkeypatch):
    one = SessionKNN(6, 15).fit(X)
    expected = one.decision_function(QUERIES)
    for row in range(0, 25, 4):
        assert_array_equal(one.decision_function(QUERIES[[row]])[0], expected[row])
    monkeypatch.setattr(_scipy, "_MIN_WORK", 1)
    two = SessionKNN(6, 15, n_jobs=2).fit(X)
    assert_array_equal(two.decision_function(QUERIES), expected)


def test_times_since_1970_and_float32():
    late = np.where(X > 0, X + 1.5e9, 0)
    queries = np.where(QUERIES > 0, QUERIES + 1.5e9, 0)
    expected = SessionKNN(6, 15).fit(X).decision_function(QUERIES)
    assert_array_equal(SessionKNN(6, 15).fit(late).decision_function(queries), expected)
    single = SessionKNN(6, 15).fit(X.astype(np.float32))
    assert_array_equal(single.decision_function(QUERIES.astype(np.float32)), expected)


# -- requests --------------------------------------------------------------------------------------
def require_same_state(model, data, owners=None):
    refit = SessionKNN(**model.get_params()).fit(data, owners=owners)
    for name in STATE:
        one, other = getattr(model, name), getattr(refit, name)
        assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert_array_equal(model.decision_function(QUERIES), refit.decision_function(QUERIES))
    rows = np.arange(len(data))
    assert_array_equal(model._score_users(rows), refit._score_users(rows))


kinds = st.sampled_from(["event", "session", "item", "owner", "learn", "replace", "rectify"])
requests = st.lists(st.tuples(kinds, st.integers(0, 10**6)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(requests, st.integers(0, 5), st.sampled_from([3, 40]), st.sampled_from([0.0, 0.3, np.inf]))
def test_any_sequence_of_requests_ends_at_the_refit_bit_for_bit(sequence, seed, span, share):
    rest = sessions(20, 8, seed, span)
    owners = np.random.default_rng(seed).integers(0, 7, 20)
    model = SessionKNN(4, 9).fit(rest, owners=owners)
    for kind, number in sequence:
        with mock.patch.object(_session_index, "_CORRECTED", share):
            rest = answer(model, rest, owners, kind, np.random.default_rng(number))
        if not rest.any():
            return
    refit = SessionKNN(4, 9).fit(rest, owners=owners)
    for name in STATE:
        assert_array_equal(getattr(model, name), getattr(refit, name))
    every = np.arange(20)
    assert_array_equal(model._score_users(every), refit._score_users(every))


def answer(model, rest, owners, kind, rng):
    """Make one random request of a kind; return the data after it."""
    rest = rest.copy()
    rows, items = np.nonzero(rest)
    if not len(rows):
        return rest
    one = rng.integers(len(rows))
    if kind == "event":
        some = rng.integers(len(rows), size=3)
        model.forget((rows[some], items[some]))
        rest[rows[some], items[some]] = 0
    elif kind == "session":
        model.forget(users=[rows[one]])
        rest[rows[one]] = 0
    elif kind == "item":
        model.forget(items=items[one])
        rest[:, items[one]] = 0
    elif kind == "owner":
        model.forget(owners=owners[rows[one]], users=rows[:1])
        rest[(owners == owners[rows[one]]) | (np.arange(len(rest)) == rows[0])] = 0
    else:
        cells = np.unique(rng.integers((20, 8), size=(5, 2)), axis=0)
        times = rng.integers(1, 90, len(cells)).astype(float)
        if kind == "rectify":
            model.rectify(None, cells, times, users=[rows[one]], existing="replace")
            rest[rows[one]] = 0
        else:
            model.learn(cells, times, existing="replace" if kind == "replace" else "ignore")
        known = rest[tuple(cells.T)] > 0
        kept = known & (kind == "learn")
        rest[tuple(cells[~kept].T)] = times[~kept]
    return rest


def test_a_thousand_requests_end_at_the_refit_bit_for_bit():
    rng = np.random.default_rng(0)
    rest = sessions(600, 60, 3, 500)
    model = SessionKNN(8, 40).fit(rest)
    for step in range(1000):
        rows, items = np.nonzero(rest)
        one = rng.integers(len(rows))
        if step % 3 == 0 and step < 900:
            model.forget(users=rows[one])
            rest[rows[one]] = 0
        elif step % 97 == 0:
            model.forget(items=items[one])
            rest[:, items[one]] = 0
        else:
            model.forget([[rows[one], items[one]]])
            rest[rows[one], items[one]] = 0
    assert 100 < np.count_nonzero(rest) < 2000
    refit = SessionKNN(8, 40).fit(rest)
    for name in STATE:
        assert_array_equal(getattr(model, name), getattr(refit, name))


def test_the_last_event_that_goes_moves_the_session(monkeypatch):
    monkeypatch.setattr(_session_index, "_CORRECTED", np.inf)
    data = np.array([[5.0, 1], [3, 0], [0, 4]])
    model = SessionKNN().fit(data)
    assert_array_equal(model._list_sessions, [0, 1, 0, 2])
    model.forget([[0, 0]])
    assert_array_equal(model._list_sessions, [1, 2, 0])
    assert_array_equal(model._session_times, [1, 3, 4])


@pytest.mark.parametrize("share", [0.0, np.inf])
def test_new_sessions_items_and_owners_are_learned(monkeypatch, share):
    monkeypatch.setattr(_session_index, "_CORRECTED", share)
    owners = np.arange(80) % 11
    model = SessionKNN(5, 20).fit(X[:, :28], owners=owners)
    model.learn(([80, 82, 3], [29, 0, 28]), [200.0, 50.0, 60.0], owners=[4, 11, 12])
    larger = np.zeros((83, 30))
    larger[:80, :28] = X[:, :28]
    larger[[80, 82, 3], [29, 0, 28]] = 200, 50, 60
    require_same_state(model, larger, np.append(owners, [4, 11, 12]))
    assert model.learn_report_.guarantee == "exact"
    model.forget(owners=[4, 12], missing="ignore")
    larger[np.isin(np.append(owners, [4, 11, 12]), [4, 12])] = 0
    require_same_state(model, larger, np.append(owners, [4, 11, 12]))


def test_without_owners_each_new_session_has_its_own():
    model = SessionKNN().fit(X).learn([[81, 2]], 7.0)
    assert_array_equal(model._owners, np.arange(82))
    report = model.forget(owners=[81]).forget_report_
    assert (report.n_interactions, report.n_users) == (1, 1)


def test_events_through_the_encoder():
    rng = np.random.default_rng(5)
    n = 400
    events = {
        "session": rng.integers(0, 60, n).astype(str),
        "item": rng.integers(100, 120, n),
        "time": rng.integers(10**9, 2 * 10**9, n),
    }
    encoder = InteractionEncoder(user="session", value="time", duplicates="max")
    pipeline = make_recommender_pipeline(encoder, SessionKNN(5, 20)).fit(events)
    kept = events["session"] != "7"
    pipeline.forget(users=["7"])
    refit = make_recommender_pipeline(encoder, SessionKNN(5, 20))
    refit.fit({name: column[kept] for name, column in events.items()})
    new = {name: column[:30] for name, column in events.items()}
    one, other = (model.recommend(new, n_items=4) for model in (pipeline, refit))
    for name in ("item", "score"):
        assert_array_equal(one[name], other[name])


def test_owners_are_checked_before_anything_changes():
    model = SessionKNN().fit(X, owners=np.arange(80) % 4)
    before = pickle.dumps(vars(model))
    with pytest.raises(TypeError, match=r"owners are of type .*; expected integers"):
        model.fit(X, owners=np.full(80, "a"))
    for wrong in (np.zeros(79, int), np.full(80, -1), np.full(80, 10**9)):
        with pytest.raises(ValueError, match=r"owners .*; expected .*\. "):
            model.fit(X, owners=wrong)
    with pytest.raises(ValueError, match=r"owners have shape \(2,\)"):
        model.learn([[80, 1]], owners=[1, 2])
    with pytest.raises(ValueError, match=r"owners have shape \(1,\)"):
        model.learn([[3, 1]], existing="replace", owners=[1])
    with pytest.raises(ValueError, match="sessions have no weights"):
        model.learn([[80, 1]], sample_weight=np.ones(81))
    with pytest.raises(ValueError, match="owners"):
        model.forget(owners=[4])
    with pytest.raises(TypeError, match="owners"):
        model.forget(owners=["a"])
    assert pickle.dumps(vars(model)) == before
    model.forget(owners=[2])
    with pytest.raises(UnknownInteractionError, match="1 of 2 owners have no events"):
        model.forget(owners=[2, 3])
    before = pickle.dumps(vars(model))
    model.forget(owners=[2], missing="ignore")
    assert pickle.dumps(vars(model)) == before


def test_a_request_costs_what_it_touches(monkeypatch):
    model = SessionKNN().fit(X)
    monkeypatch.setattr(_session_index.SessionIndex, "of", lambda *_: pytest.fail("fitted"))
    monkeypatch.setattr(_session_kernels, "score_sessions", lambda *_: pytest.fail("scored"))
    report = model.forget(users=[3]).forget_report_
    assert (report.method, report.guarantee, report.n_users) == ("downdate", "exact", 1)
    assert report.n_rows_updated == report.n_interactions == np.count_nonzero(X[3])


def test_a_large_request_makes_every_list_again():
    rest, model = X.copy(), SessionKNN(5, 20).fit(X)
    rest[10:60] = 0
    report = model.forget(users=np.arange(10, 60)).forget_report_
    assert (report.status, report.n_rows_updated) == ("every list was made again", 30)
    require_same_state(model, rest)


def test_a_snapshot_keeps_the_state(tmp_path):
    model = SessionKNN(5, 20).fit(X, owners=np.arange(80) % 9).forget(users=[3])
    save(model, tmp_path / "model.skops")
    loaded = load(tmp_path / "model.skops")
    for name in STATE:
        assert_array_equal(getattr(loaded, name), getattr(model, name))
    loaded.forget(owners=[5])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("_list_sessions", lambda a: a + 1),
        ("_list_sessions", lambda a: a[:-1]),
        ("_list_sessions", lambda a: a.astype(float)),
        ("_list_starts", lambda a: a + 1),
        ("_list_starts", lambda a: a[::-1]),
        ("_session_times", lambda a: a[:-1]),
        ("_owners", lambda a: a - 1),
        ("_owners", lambda a: a * 10**6),
        ("_owners", lambda a: a[:-1]),
    ],
)
def test_damaged_states_are_refused(name, change):
    model = SessionKNN().fit(X)
    state = pickle.loads(pickle.dumps(model)).__getstate__()
    with pytest.raises(ValueError, match="the loaded SessionKNN is damaged"):
        SessionKNN().__setstate__({**state, name: change(state[name])})


def test_exactness_is_tagged():
    assert get_forget_tags(SessionKNN()).exact


def test_sparse_and_dense_are_one():
    dense = SessionKNN().fit(X).decision_function(QUERIES)
    rows = SessionKNN().fit(sparse.csc_array(X)).decision_function(sparse.coo_array(QUERIES))
    assert_array_equal(rows, dense)


@pytest.mark.parametrize(
    "params",
    [{"n_neighbors": 0}, {"n_recent": 0}, {"decay": "fast"}, {"n_last": 0}, {"idf": "yes"}],
)
def test_parameters_are_validated(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
        SessionKNN(**params).fit(X)
