import copy
import pickle

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_unlearn.interactions import Interactions

DENSE = np.array([[1.0, 0, -3, 0], [0, 0, 0, 0], [0, 2, 0, 4], [5, 6, 0, 0]])


@st.composite
def tables(draw):
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    return draw(arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.0, 1.0, -2.5])))


@st.composite
def tables_and_cells(draw):
    dense = draw(tables())
    marked = draw(arrays(np.bool_, dense.shape))
    return dense, marked & (dense != 0)


def owns_memory(data):
    return all(getattr(data, name).base is None for name in ("indptr", "indices", "values"))


def check_canonical(data, dense):
    rows, columns = np.nonzero(dense)
    assert_array_equal(data.rows, rows)
    assert_array_equal(data.indices, columns)
    assert_array_equal(data.values, dense[rows, columns])
    assert_array_equal(data.user_degrees, (dense != 0).sum(axis=1))
    assert_array_equal(data.item_degrees, (dense != 0).sum(axis=0))
    assert data.shape == dense.shape
    assert data.indptr.dtype == np.int64


@given(tables())
def test_the_table_is_its_dense_twin(dense):
    data = Interactions.from_matrix(dense)
    check_canonical(data, dense)
    assert_array_equal(data.to_csr().toarray(), dense)


@given(tables(), st.data())
def test_locate_finds_exactly_the_stored_cells(dense, source):
    data = Interactions.from_matrix(dense)
    users = source.draw(st.lists(st.integers(0, dense.shape[0] - 1), max_size=20))
    items = [source.draw(st.integers(0, dense.shape[1] - 1)) for _ in users]
    users, items = np.array(users, int), np.array(items, int)
    positions = data.locate(users, items)
    assert_array_equal(positions >= 0, dense[users, items] != 0)
    assert_array_equal(data.contains(users, items), dense[users, items] != 0)
    found = positions[positions >= 0]
    assert_array_equal(data.rows[found], users[positions >= 0])
    assert_array_equal(data.indices[found], items[positions >= 0])


@given(tables_and_cells(), st.booleans())
def test_remove_is_zeroing_the_cells(case, with_transpose):
    dense, marked = case
    data = Interactions.from_matrix(dense)
    if with_transpose:
        data.transpose_pattern()
    positions = data.locate(*np.nonzero(marked))
    expected = np.where(marked, 0, dense)
    for request in (positions, positions[::-1], np.isin(np.arange(data.n_interactions), positions)):
        retained = data.remove(request)
        check_canonical(retained, expected)
        assert owns_memory(retained)
        assert ("transpose" in retained._cache) == with_transpose
        fresh = Interactions.from_matrix(expected).transpose_pattern()
        for got, want in zip(retained.transpose_pattern(), fresh, strict=True):
            assert_array_equal(got, want)
            assert got.base is None
    check_canonical(data, dense)
    check_canonical(data.subset(positions), np.where(marked, dense, 0))


@given(tables())
def test_the_transposed_pattern_is_the_pattern_of_the_transpose(dense):
    data = Interactions.from_matrix(dense)
    indptr, users, order = data.transpose_pattern()
    twin = Interactions.from_matrix(dense.T)
    assert_array_equal(indptr, twin.indptr)
    assert_array_equal(users, twin.indices)
    assert_array_equal(data.values[order], twin.values)


@given(tables(), st.booleans(), st.data())
def test_incident_takes_whole_rows_and_columns(dense, with_transpose, source):
    data = Interactions.from_matrix(dense)
    if with_transpose:
        data.transpose_pattern()
    user_mask = source.draw(arrays(np.bool_, dense.shape[0]))
    item_mask = source.draw(arrays(np.bool_, dense.shape[1]))
    for users, items in ((user_mask, item_mask), (user_mask, None), (None, item_mask)):
        cells = dense != 0
        keep = np.zeros_like(cells)
        if users is not None:
            keep |= users[:, None]
        if items is not None:
            keep |= items
        assert_array_equal(data.incident(users, items), data.locate(*np.nonzero(cells & keep)))


def test_many_scattered_positions_leave_by_the_mask_and_few_by_pieces():
    rng = np.random.default_rng(0)
    dense = rng.random((100, 100)) * (rng.random((100, 100)) < 0.9)
    data = Interactions.from_matrix(dense)
    data.transpose_pattern()
    gone = np.arange(0, data.n_interactions, 2)  # more runs than are copied one by one
    expected = dense.copy()
    expected[data.rows[gone], data.indices[gone]] = 0
    check_canonical(data.remove(gone), expected)
    assert owns_memory(data.remove(gone))
    for got, want in zip(
        data.remove(gone).transpose_pattern(),
        Interactions.from_matrix(expected).transpose_pattern(),
        strict=True,
    ):
        assert_array_equal(got, want)


def foreign_sparse(dense):
    csr = sparse.csr_array(dense)
    csr.data = csr.data.astype(">f8")
    return csr


@pytest.mark.parametrize(
    "make",
    [
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.csc_array,
        sparse.coo_matrix,
        sparse.lil_array,
        lambda X: X.tolist(),
        lambda X: X.astype(">f8"),
        foreign_sparse,
        lambda X: np.asfortranarray(X),
        lambda X: X.astype(np.int8),
    ],
)
def test_every_container_gives_the_same_native_table(make):
    data = Interactions.from_matrix(make(DENSE))
    check_canonical(data, DENSE)
    assert data.values.dtype.isnative and data.values.dtype == np.float64


@pytest.mark.parametrize("dtype, kept", [("f4", "f4"), (">f4", "f4"), ("f2", "f4"), ("i8", "f8")])
def test_single_precision_stays_single(dtype, kept):
    assert Interactions.from_matrix(DENSE.astype(dtype)).values.dtype == np.dtype(kept)


def test_duplicates_are_summed_before_zeros_go_and_the_input_is_left_alone():
    X = sparse.csr_matrix(
        (np.array([1, 2, 3, -3, 0, 120, 120], np.int8), [2, 2, 0, 0, 1, 1, 1], [0, 5, 7]),
        shape=(2, 3),
    )
    before = [a.copy() for a in (X.data, X.indices, X.indptr)]
    data = Interactions.from_matrix(X)
    check_canonical(data, np.array([[0, 0, 3.0], [0, 240, 0]]))  # int8 would have wrapped
    for array, copied in zip((X.data, X.indices, X.indptr), before, strict=True):
        assert_array_equal(array, copied)
        assert not any(np.shares_memory(array, one) for one in (data.values, data.indices))
    assert owns_memory(data)


def test_a_stale_canonical_flag_is_not_believed():
    X = sparse.csr_array((np.ones(3), [2, 0, 1], [0, 3]), shape=(1, 3))
    X.has_canonical_format = X.has_sorted_indices = True
    assert_array_equal(Interactions.from_matrix(X).indices, [0, 1, 2])


def test_users_of_weight_zero_are_empty_rows_and_empty_rows_weigh_one():
    data = Interactions.from_matrix(DENSE, sample_weight=[0, 7, 3, 2])
    check_canonical(data, np.array([[0.0, 0, 0, 0], [0, 0, 0, 0], [0, 2, 0, 4], [5, 6, 0, 0]]))
    assert_array_equal(data.row_weights, [1, 1, 3, 2])
    retained = data.remove(data.incident(np.array([False, False, True, False])))
    assert_array_equal(retained.row_weights, [1, 1, 1, 2])
    assert_array_equal(data.row_weights, [1, 1, 3, 2])


def test_nothing_can_be_changed():
    data = Interactions.from_matrix(DENSE, sample_weight=np.ones(4))
    for array in (data.values, data.indices, data.indptr, data.row_weights, data.rows):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    for array in data.transpose_pattern():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(AttributeError, match="never change"):
        data.values = np.ones(3)
    with pytest.raises(AttributeError, match="never change"):
        del data.values


@pytest.mark.parametrize(
    "clone", [lambda d: pickle.loads(pickle.dumps(d)), copy.deepcopy, copy.copy]
)
def test_copies_are_equal_read_only_and_without_caches(clone):
    data = Interactions.from_matrix(DENSE, sample_weight=[1, 1, 2, 2])
    data.transpose_pattern(), data.rows
    other = clone(data)
    check_canonical(other, DENSE)
    assert_array_equal(other.row_weights, data.row_weights)
    assert not other.values.flags.writeable
    assert clone(data)._cache == {}


def test_caches_do_not_enlarge_the_pickle():
    data = Interactions.from_matrix(DENSE)
    before = pickle.dumps(data)
    data.transpose_pattern(), data.rows
    assert pickle.dumps(data) == before


@pytest.mark.parametrize("max_runs", [0, 10])
@pytest.mark.parametrize("n_gone", [0, 1, 3])
def test_a_memory_mapped_table_works_and_its_children_are_in_memory(
    tmp_path, monkeypatch, n_gone, max_runs
):
    monkeypatch.setattr("sklearn_unlearn.utils._interactions._MAX_RUNS", max_runs)
    data = Interactions.from_matrix(DENSE, sample_weight=[1, 1, 2, 2])
    joblib.dump(data, tmp_path / "data.joblib")
    mapped = joblib.load(tmp_path / "data.joblib", mmap_mode="r")
    assert isinstance(mapped.values, np.memmap)
    mapped.transpose_pattern()
    retained = mapped.remove(np.arange(n_gone))
    assert_array_equal(
        retained.to_csr().toarray(), data.remove(np.arange(n_gone)).to_csr().toarray()
    )
    for array in (
        retained.values,
        retained.indices,
        retained.indptr,
        *retained.transpose_pattern(),
    ):
        assert type(array) is np.ndarray and array.base is None


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 2)])
def test_tables_without_interactions(shape):
    data = Interactions.from_matrix(np.zeros(shape))
    assert data.n_interactions == 0 and data.shape == shape
    assert_array_equal(data.locate([], []), np.empty(0))
    assert_array_equal(data.item_degrees, np.zeros(shape[1]))
    assert_array_equal(data.transpose_pattern()[0], np.zeros(shape[1] + 1))
    assert data.remove([]).shape == shape
    if 0 not in shape:
        assert_array_equal(data.locate([0, 1], [1, 1]), [-1, -1])


def test_more_items_than_32_bits_can_count():
    n_items = 2**31 + 5
    X = sparse.coo_array((np.ones(2), ([0, 1], [n_items - 1, 3])), shape=(2, n_items))
    data = Interactions.from_matrix(X)
    assert data.indices.dtype == np.int64
    assert_array_equal(data.locate([0, 1, 1], [n_items - 1, 3, n_items - 1]), [0, 1, -1])
    assert data.remove([0]).n_interactions == 1


def test_the_repr_shows_counts():
    assert repr(Interactions.from_matrix(DENSE)) == (
        "Interactions(n_users=4, n_items=4, n_interactions=6)"
    )


@pytest.mark.parametrize("known", [None, "item_degrees", "transpose_pattern"])
@pytest.mark.parametrize("items", [[], [0], [2, 3], [0, 1, 2, 3, 4]])
def test_cells_of_items_are_those_of_the_dense_columns(known, items):
    dense = np.random.default_rng(3).random((9, 5)) < 0.4
    dense[:, 3] = False
    data = Interactions.from_matrix(dense.astype(float))
    if known == "item_degrees":
        assert data.item_degrees.sum() == data.n_interactions
    elif known:
        data.transpose_pattern()
    indptr, users, positions = data.item_cells(np.array(items, np.int64))
    for n, item in enumerate(items):
        own = slice(indptr[n], indptr[n + 1])
        assert_array_equal(users[own], np.flatnonzero(dense[:, item]))
        assert_array_equal(
            data.locate(users[own], np.full(own.stop - own.start, item)), positions[own]
        )
    assert len(indptr) == len(items) + 1
    assert len(users) == len(positions) == indptr[-1] == dense[:, items].sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_squares_that_are_carried_over_are_those_of_what_remains(weighted):
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(12, 9)) * (rng.random((12, 9)) < 0.5) * 10.0 ** rng.integers(-5, 9)
    data = Interactions.from_matrix(dense, rng.random(12) if weighted else None)
    assert_allclose(data.user_squares, (dense**2).sum(axis=1))
    for _ in range(4):
        data = data.remove(rng.choice(data.n_interactions, 9, replace=False))
        fresh = Interactions.from_matrix(data.to_csr())
        assert "user_squares" in data._cache
        assert_array_equal(data.user_squares, fresh.user_squares)
        assert_array_equal(data.degrees_of(np.arange(12)[::-1]), fresh.user_degrees[::-1])
        assert_array_equal(data.item_degrees, fresh.item_degrees)


def test_bare_shares_the_arrays_and_drops_what_was_derived():
    data = Interactions.from_matrix(np.eye(3))
    data.transpose_pattern()
    bare = data.bare()
    assert bare.indices is data.indices or np.shares_memory(bare.indices, data.indices)
    assert "transpose" not in bare._cache
    assert_array_equal(bare.to_csr().toarray(), np.eye(3))


def test_degrees_that_are_carried_over_are_those_of_what_remains():
    rng = np.random.default_rng(0)
    data = Interactions.from_matrix((rng.random((12, 9)) < 0.5) * 1.0)
    assert data.item_degrees.sum() == data.n_interactions
    for _ in range(4):
        data = data.remove(rng.choice(data.n_interactions, 5, replace=False))
        expected = np.bincount(data.indices, minlength=9)
        assert_array_equal(data._cache["item_degrees"], expected)
        assert not data.item_degrees.flags.writeable


# -- larger tables --------------------------------------------------------------------------------
@given(st.integers(0, 99), st.sampled_from([np.float32, np.float64]), st.booleans(), st.booleans())
def test_what_is_inserted_leaves_the_table_of_all(seed, dtype, weighted, asked):
    rng = np.random.default_rng(seed)
    whole = np.where(rng.random((9, 8)) < 0.5, rng.random((9, 8)), 0).astype(dtype)
    kept = np.where(rng.random(whole.shape) < 0.6, whole, 0)
    kept[6:], kept[:, 5:] = 0, 0
    weights = 1 + rng.random(9) if weighted else None
    want = Interactions.from_matrix(whole, weights)
    data = Interactions.from_matrix(kept[:6, :5], None if weights is None else weights[:6])
    if asked:
        _ = data.item_degrees, data.user_squares, data.transpose_pattern()
    grown = data.grown(whole.shape)
    assert_array_equal(grown.to_csr().toarray(), kept)
    for name in ("item_degrees", "user_squares", "user_degrees"):
        fresh = getattr(Interactions.from_matrix(kept), name)
        assert_array_equal(getattr(grown, name), fresh, err_msg=name)
    for got, fresh in zip(
        grown.transpose_pattern(), Interactions.from_matrix(kept).transpose_pattern(), strict=True
    ):
        assert_array_equal(got, fresh)
    users, items = np.nonzero((whole != 0) & (kept == 0))
    table = grown.insert(users, items, whole[users, items], weights)
    for name in ("indptr", "indices", "values", "item_degrees", "user_squares", "row_weights"):
        assert_array_equal(getattr(table, name), getattr(want, name), err_msg=name)
    assert table.dtype == dtype and table.indices.dtype == want.indices.dtype
    for array in (table.indices, table.values):
        assert array.base is None and not array.flags.writeable


def test_a_table_that_is_large_enough_does_not_grow():
    data = Interactions.from_matrix([[1.0, 2.0]])
    assert data.grown((1, 2)) is data
