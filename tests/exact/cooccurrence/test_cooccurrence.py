"""Lists of similar items against dense arithmetic, and their correction against a second count."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import ScipyBackend, _scipy
from sklearn_unlearn.exact.cooccurrence import _cooccurrence
from sklearn_unlearn.exact.cooccurrence._cooccurrence import find_again, find_all
from sklearn_unlearn.exact.cooccurrence._weightings import SIMILARITIES, ItemCells, Rule
from sklearn_unlearn.interactions import Interactions

BACKEND = ScipyBackend()
similarities = pytest.mark.parametrize("similarity", SIMILARITIES)


def table(seed=0, shape=(40, 25), density=0.2, binary=True, dtype=np.float64):
    rng = np.random.default_rng(seed)
    values = np.ones(shape) if binary else rng.integers(1, 6, shape)
    return (values * (rng.random(shape) < density)).astype(dtype)


def dense_similarity(X, similarity, k1=1.2, b=0.75, weights=None, **exponents):
    """All similarities, from the definition of each and nothing shared."""
    X = np.asarray(X, float)
    n_users, n_items = X.shape
    weights = np.ones(n_users) if weights is None else weights
    X = X * (weights > 0)[:, None]
    if similarity in PAIRWISE:
        return pairwise_similarity(X, similarity, weights, **exponents)
    idf = np.log(n_items / (1 + np.count_nonzero(X, axis=1)))[:, None]
    if similarity == "cosine":
        W = X
    elif similarity == "tfidf":
        W = np.sqrt(X) * idf
    else:
        lengths = weights @ X
        saturation = X + k1 * (1 - b + b * lengths / lengths.mean())
        W = idf * X * (k1 + 1) / np.where(X > 0, saturation, 1)
    gram = W.T @ (weights[:, None] * W)
    if similarity == "bm25":
        return gram
    norms = np.sqrt(np.diag(gram))
    return gram / np.where(norms > 0, np.outer(norms, norms).T, 1)


PAIRWISE = ("asymmetric_cosine", "rp3beta", "turbo", "jaccard", "dice")


def pairwise_similarity(X, similarity, weights, alpha=0.5, beta=0.5, power=1.0):
    """Pair by pair of items that have a user in common, as the definitions are written."""
    out = np.zeros((X.shape[1],) * 2)
    rows, columns = X.sum(axis=1), weights @ X
    for i, j in np.ndindex(*out.shape):
        x, y, both = X[:, i], X[:, j], (X[:, i] > 0) & (X[:, j] > 0)
        if not both.any():
            continue
        n_i, n_j, n_both = (weights[one].sum() for one in (x > 0, y > 0, both))
        if similarity == "jaccard":
            out[i, j] = n_both / weights[(x > 0) | (y > 0)].sum()
        elif similarity == "dice":
            out[i, j] = 2 * n_both / (n_i + n_j)
        elif similarity == "asymmetric_cosine":
            norms = weights @ x**2, weights @ y**2
            out[i, j] = weights @ (x * y) / (norms[0] ** alpha * norms[1] ** (1 - alpha))
        elif similarity == "rp3beta":
            there, back = (x[both] / columns[i]) ** alpha, (y[both] / rows[both]) ** alpha
            out[i, j] = weights[both] @ (there * back) / columns[j] ** beta
        else:
            users = np.where(rows > 0, rows, 1) ** -alpha
            walks = weights @ (users**2 * x * y)
            out[i, j] = (walks * (columns[i] * columns[j]) ** (alpha - 1)) ** power
    return out


def require_best(matrix, dense, n_neighbors):
    """Every row lists true values, and the largest of them."""
    assert matrix.has_sorted_indices
    for row, true in enumerate(dense):
        items, values = (
            one[matrix.indptr[row] : matrix.indptr[row + 1]]
            for one in (matrix.indices, matrix.data)
        )
        assert_allclose(values, true[items], rtol=1e-6 if values.dtype == np.float32 else 1e-12)
        best = np.sort(true[true > 1e-14])[::-1][:n_neighbors]
        assert_allclose(np.sort(values)[::-1], best, rtol=1e-6)


def require_same(one, other):
    for a, b in zip(astuple_of(one), astuple_of(other), strict=True):
        assert_array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype


def astuple_of(found):
    matrix = found.similarity
    return (matrix.indptr, matrix.indices, matrix.data, *astuple(found)[1:])


# -- counting ------------------------------------------------------------------------------------
@similarities
@pytest.mark.parametrize("binary", [True, False], ids=["ones", "values"])
@pytest.mark.parametrize("n_neighbors", [1, 4, 1000])
def test_lists_hold_the_best_of_the_dense_table(similarity, binary, n_neighbors):
    X = table(binary=binary)
    found = find_all(Interactions.from_matrix(X), Rule(similarity), n_neighbors, BACKEND)
    require_best(found.similarity, dense_similarity(X, similarity), n_neighbors)
    assert found.all_ones == (binary or Rule(similarity).is_of_sets)


@similarities
@pytest.mark.parametrize("binary", [True, False], ids=["ones", "values"])
def test_a_weight_is_a_number_of_copies(similarity, binary):
    X = table(binary=binary)
    weights = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    found = find_all(Interactions.from_matrix(X, weights), Rule(similarity), 6, BACKEND)
    copies = np.repeat(X, weights.astype(int), axis=0)
    again = find_all(Interactions.from_matrix(copies), Rule(similarity), 6, BACKEND)
    assert_allclose(found.similarity.toarray(), again.similarity.toarray(), rtol=1e-12)
    require_best(found.similarity, dense_similarity(X, similarity, weights=weights), 6)


@pytest.mark.parametrize("k1", [0.0, 1.2, 50.0])
@pytest.mark.parametrize("b", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("binary", [True, False], ids=["ones", "values"])
def test_bm25_follows_its_parameters(k1, b, binary):
    X = table(binary=binary)
    found = find_all(Interactions.from_matrix(X), Rule("bm25", k1, b), 5, BACKEND)
    require_best(found.similarity, dense_similarity(X, "bm25", k1, b), 5)


@pytest.mark.parametrize("similarity", ["asymmetric_cosine", "rp3beta", "turbo"])
@pytest.mark.parametrize("exponents", [(0.0, 0.3, 0.5), (0.8, 0.0, 1.0), (1.0, 1.0, 2.5)], ids=str)
@pytest.mark.parametrize("binary", [True, False], ids=["ones", "values"])
def test_similarities_follow_their_exponents(similarity, exponents, binary):
    X = table(binary=binary)
    names = dict(zip(("alpha", "beta", "power"), exponents, strict=True))
    weights = np.random.default_rng(1).integers(0, 4, len(X)) / 3
    data = Interactions.from_matrix(X, weights)
    found = find_all(data, Rule(similarity, **names), 5, BACKEND)
    require_best(found.similarity, dense_similarity(X, similarity, weights=weights, **names), 5)


def test_an_asymmetric_cosine_of_one_half_is_the_cosine():
    data = Interactions.from_matrix(table(binary=False))
    found = find_all(data, Rule("asymmetric_cosine"), 5, BACKEND).similarity
    cosine = find_all(data, Rule("cosine"), 5, BACKEND).similarity
    assert_allclose(found.toarray(), cosine.toarray(), rtol=1e-12)


def test_sets_do_not_count_values():
    X = table(binary=False)
    for name in ("jaccard", "dice"):
        values, ones = (
            find_all(Interactions.from_matrix(one), Rule(name), 5, BACKEND)
            for one in (X, (X > 0).astype(float))
        )
        require_same(values, ones)


def test_ties_go_to_the_lowest_item():
    X = np.ones((3, 6))
    found = find_all(Interactions.from_matrix(X), Rule("cosine"), 2, BACKEND)
    assert_array_equal(found.similarity.indices.reshape(6, 2), [[0, 1]] * 6)
    # Items 1 to 5 are alike, item 0 is less similar to them.
    X[0, 1:] = 0
    found = find_all(Interactions.from_matrix(X), Rule("cosine"), 3, BACKEND)
    assert_array_equal(found.similarity.indices.reshape(6, 3), [[0, 1, 2]] + [[1, 2, 3]] * 5)


def test_users_of_no_weight_under_tfidf_make_nothing_similar():
    """A row of n - 1 items has idf 0: neither not a number nor a place in a list comes of it."""
    X = np.zeros((4, 5))
    X[0, :4] = 1
    X[1, [2, 4]] = 1
    found = find_all(Interactions.from_matrix(X), Rule("tfidf"), 5, BACKEND)
    assert_array_equal(np.argwhere(found.similarity.toarray()), [[2, 2], [2, 4], [4, 2], [4, 4]])
    assert_allclose(found.similarity.data, 1)


def test_products_too_small_for_a_float_are_not_similar():
    X = np.full((3, 4), 1e-200)
    found = find_all(Interactions.from_matrix(X), Rule("cosine"), 4, BACKEND)
    assert found.similarity.nnz == 0


@similarities
def test_lists_depend_on_neither_threads_nor_blocks(similarity, monkeypatch):
    data = Interactions.from_matrix(table(binary=False))
    expected = find_all(data, Rule(similarity), 4, BACKEND)
    monkeypatch.setattr(_cooccurrence, "_PLACES_AT_ONCE", 30)
    require_same(find_all(data, Rule(similarity), 4, BACKEND), expected)
    monkeypatch.setattr(_scipy, "_MIN_WORK", 1)
    require_same(find_all(data, Rule(similarity), 4, ScipyBackend(3)), expected)


def test_the_table_keeps_no_transposed_copy():
    data = Interactions.from_matrix(table())
    find_all(data, Rule("cosine"), 4, BACKEND)
    assert not data._cache


@pytest.mark.parametrize("items", [[], [0], [24], [2, 3, 11], list(range(25))])
def test_cells_of_items(items):
    X = table(binary=False)
    data = Interactions.from_matrix(X)
    cells = ItemCells.of(data, np.array(items, np.int64))
    for n, item in enumerate(items):
        users = cells.users[cells.starts[n] : cells.starts[n + 1]]
        positions = cells.positions[cells.starts[n] : cells.starts[n + 1]]
        assert_array_equal(users, np.flatnonzero(X[:, item]))
        assert_array_equal(data.values[positions], X[users, item])
        assert_array_equal(data.indices[positions], item)
    assert len(cells.users) == cells.starts[-1] == np.count_nonzero(X[:, items])


# -- correcting ----------------------------------------------------------------------------------
@st.composite
def problems(draw):
    shape = draw(st.integers(2, 14)), draw(st.integers(2, 12))
    seed = draw(st.integers(0, 2**16))
    X = table(seed, shape, draw(st.sampled_from([0.1, 0.3, 0.7])), draw(st.booleans()))
    X[0, 0] = X[-1, -1] = 1
    if draw(st.booleans()):
        X = X.astype(np.float32)
    weights = None
    if draw(st.booleans()):
        weights = np.random.default_rng(seed).integers(0, 3, len(X)).astype(float)
        weights[0] = 2.5
    exponents = draw(st.sampled_from([(0.5, 0.5, 1.0), (0.2, 0.9, 2.0), (1.0, 0.0, 0.7)]))
    rule = Rule(draw(st.sampled_from(SIMILARITIES)), 1.2, 0.75, *exponents)
    return Interactions.from_matrix(X, weights), rule, draw(st.integers(1, 6)), seed


@given(problems(), st.lists(st.sampled_from(["cells", "user", "item"]), min_size=1, max_size=5))
def test_requests_end_where_a_second_count_ends(problem, kinds):
    """Bit for bit, whatever was asked for before."""
    data, rule, n_neighbors, seed = problem
    rng = np.random.default_rng(seed)
    found = find_all(data, rule, n_neighbors, BACKEND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cooccurrence, "_MAX_SHARE", 2)
        for kind in kinds:
            if not data.n_interactions:
                break
            one = rng.integers(data.n_interactions)
            positions = np.unique(rng.integers(0, data.n_interactions, 3))
            if kind == "user":
                positions = np.flatnonzero(data.rows == data.rows[one])
            elif kind == "item":
                positions = np.flatnonzero(data.indices == data.indices[one])
            retained = data.remove(positions)
            found, _ = find_again(found, data, retained, positions, rule, n_neighbors, BACKEND)
            require_same(found, find_all(retained, rule, n_neighbors, BACKEND))
            data = retained


@pytest.mark.parametrize("lower", [True, False])
def test_an_item_that_draws_level_goes_by_its_position(lower):
    """Item i reaches the similarity of w, the last of the list of item 1."""
    i, w = (0, 2) if lower else (2, 0)
    X = np.zeros((3, 3))
    X[[0, 0, 1, 1, 2], [1, w, 1, i, i]] = 1
    before, after = lists_of(X, [(2, i)], n_neighbors=2)
    assert_array_equal(before[1], sorted([1, w]))
    assert_array_equal(after[1], [0, 1])


def test_what_was_left_out_comes_before_an_item_that_draws_level_with_it():
    """The list of item 0 loses item 1; item 2 was level with that, item 3 is now."""
    X = np.zeros((4, 4))
    X[[0, 0, 1, 1, 2, 2, 3], [0, 1, 0, 2, 0, 3, 3]] = 1
    before, after = lists_of(X, [(0, 1), (3, 3)], n_neighbors=2)
    assert_array_equal(before[0], [0, 1])
    assert_array_equal(after[0], [0, 2])


def lists_of(X, cells, n_neighbors):
    """Lists of similar items before and after some cells go, however much that is of the data."""
    data, rule = Interactions.from_matrix(X), Rule("cosine")
    positions = np.sort(data.locate(*np.transpose(cells)))
    found = find_all(data, rule, n_neighbors, BACKEND)
    retained = data.remove(positions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cooccurrence, "_MAX_SHARE", 2)
        new, _ = find_again(found, data, retained, positions, rule, n_neighbors, BACKEND)
    require_same(new, find_all(retained, rule, n_neighbors, BACKEND))
    return [np.split(one.similarity.indices, one.similarity.indptr[1:-1]) for one in (found, new)]


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "asymmetric_cosine", "jaccard", "dice"])
def test_a_list_that_loses_its_place_is_made_again(similarity, monkeypatch):
    """Cells that go one by one let other items into lists that are full: that path must run."""
    monkeypatch.setattr(_cooccurrence, "_MAX_SHARE", 2)
    made = []
    rank = _cooccurrence._rank
    monkeypatch.setattr(_cooccurrence, "_rank", lambda *args: made.append(0) or rank(*args))
    data = Interactions.from_matrix(table(3, (60, 30), binary=False))
    rule, rng = Rule(similarity, alpha=0.2), np.random.default_rng(0)
    found = find_all(data, rule, 5, BACKEND)
    for _ in range(60):
        positions = rng.integers(0, data.n_interactions, 1)
        retained = data.remove(positions)
        found, _ = find_again(found, data, retained, positions, rule, 5, BACKEND)
        data = retained
    assert len(made) > 10
    require_same(found, find_all(data, rule, 5, BACKEND))


@pytest.mark.parametrize("similarity", [one for one in SIMILARITIES if one != "bm25"])
def test_only_lists_near_the_request_are_looked_at(similarity):
    blocks = np.kron(np.eye(4), np.ones((6, 5)))
    data = Interactions.from_matrix(blocks * table(shape=blocks.shape, density=0.8))
    found = find_all(data, Rule(similarity), 3, BACKEND)
    positions = np.flatnonzero(data.rows == 7)
    new, n_rows = find_again(
        found, data, data.remove(positions), positions, Rule(similarity), 3, BACKEND
    )
    assert 0 < n_rows <= 5
    assert abs(new.similarity - found.similarity)[5:10].max() > 0


def test_a_request_for_most_of_the_data_counts_once(monkeypatch):
    def fail(*args):
        raise AssertionError("counted row by row")

    monkeypatch.setattr(_cooccurrence._kernels, "rank_touched", fail)
    data = Interactions.from_matrix(table())
    positions = np.arange(0, data.n_interactions, 2)
    retained = data.remove(positions)
    found = find_all(data, Rule("cosine"), 3, BACKEND)
    new, n_rows = find_again(found, data, retained, positions, Rule("cosine"), 3, BACKEND)
    assert n_rows == 25
    require_same(new, find_all(retained, Rule("cosine"), 3, BACKEND))


def test_nothing_is_written_to_what_was_there():
    data = Interactions.from_matrix(table(binary=False))
    found = find_all(data, Rule("tfidf"), 3, BACKEND)
    for array in astuple_of(found)[:-1]:
        array.setflags(write=False)
    kept = [np.array(one) for one in astuple_of(found)]
    positions = np.array([3, 40])
    new, _ = find_again(found, data, data.remove(positions), positions, Rule("tfidf"), 3, BACKEND)
    for one, other in zip(kept, astuple_of(found), strict=True):
        assert_array_equal(one, other)
    for one, other in zip(astuple_of(new)[:-1], astuple_of(found)[:-1], strict=True):
        assert not np.shares_memory(one, other)
        assert np.ndim(one) == 0 or one.base is None
