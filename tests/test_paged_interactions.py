"""Interactions in pages of users: the answers of one piece, and no trace in shared pages."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.utils import _derived_tables
from sklearn_unlearn.utils._pages import Pages
from sklearn_unlearn.utils.estimator_checks._walk import walk


@pytest.fixture(autouse=True, scope="module")
def small_pages():
    """Three users a page, whatever the size of a table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_derived_tables, "_PAGE_USERS", 3)
        patch.setattr(_derived_tables, "_WORTH_PAGES", 0)
        yield


def made(seed, shape=(11, 7), weighted=False):
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random(shape) < 0.5, rng.random(shape), 0)
    dense[rng.integers(shape[0], size=3)] = 0
    return Interactions.from_matrix(dense, rng.random(shape[0]) if weighted else None)


def require_same(paged, plain):
    """Every answer of two tables is the same."""
    assert isinstance(paged._indices, Pages) and isinstance(paged._values, Pages)
    assert paged.n_interactions == plain.n_interactions and paged.shape == plain.shape
    assert paged.dtype == plain.dtype
    for name in ("indptr", "indices", "values", "rows", "user_degrees", "item_degrees"):
        assert_array_equal(getattr(paged, name), getattr(plain, name), err_msg=name)
    assert_array_equal(paged.user_squares, plain.user_squares)
    users, items = (np.arange(n) for n in plain.shape)
    cells = np.repeat(users, len(items))[::-1], np.tile(items, len(users))
    assert_array_equal(paged.locate(*cells), plain.locate(*cells))
    for got, want in zip(paged.item_cells(items[1::2]), plain.item_cells(items[1::2]), strict=True):
        assert_array_equal(got, want)
    some = users[::-2]
    wanted = plain.to_csr()[some]
    assert_array_equal(paged.rows_of_users(some).toarray(), wanted.toarray())
    assert_array_equal(paged.to_csr().toarray(), plain.to_csr().toarray())
    masks = users % 3 == 1, items % 3 == 1
    assert_array_equal(paged.incident(*masks), plain.incident(*masks))
    every = np.arange(plain.n_interactions)[::-1]
    assert_array_equal(paged.items_at(every), plain.indices[every])
    assert_array_equal(paged.values_at(every), plain.values[every])


@given(st.integers(0, 99), st.booleans(), st.booleans(), st.data())
def test_any_sequence_of_requests_leaves_the_same(seed, weighted, asked, source):
    plain = made(seed, weighted=weighted)
    paged = plain.paged()
    require_same(paged, plain)
    for _ in range(3):
        if asked:
            assert paged.transpose_pattern()[0][-1] == paged.n_interactions
        chosen = source.draw(st.sets(st.integers(0, max(plain.n_interactions - 1, 0)), max_size=9))
        chosen = [one for one in chosen if one < plain.n_interactions]
        paged, plain = paged.remove(chosen), plain.remove(chosen)
        require_same(paged, plain)
        shape = plain.n_users + source.draw(st.integers(0, 2)), plain.n_items
        paged, plain = paged.grown(shape), plain.grown(shape)
        cells = source.draw(st.sets(st.integers(0, plain.n_users * plain.n_items - 1), max_size=9))
        users, items = np.divmod(np.array(sorted(cells), np.int64), plain.n_items)
        new = ~plain.contains(users, items)
        entries = users[new], items[new], 1.0 + np.arange(np.count_nonzero(new)), plain.row_weights
        paged, plain = paged.insert(*entries), plain.insert(*entries)
        require_same(paged, plain)
        for got, want in zip(paged.transpose_pattern(), plain.transpose_pattern(), strict=True):
            assert_array_equal(got, want)
        for twin in (pickle.loads(pickle.dumps(paged)), copy.deepcopy(paged)):
            require_same(twin, plain)
    require_same(paged.subset(np.arange(0, plain.n_interactions, 2)), plain.subset(
        np.arange(0, plain.n_interactions, 2)
    ))  # fmt: skip


def test_pages_without_a_loss_are_shared_and_the_others_are_gone():
    data = made(0).paged()
    user = int(np.flatnonzero(data.user_degrees[3:6])[0]) + 3  # in the second page
    retained = data.remove(np.arange(data.indptr[user], data.indptr[user + 1]))
    for old, new in ((data._indices, retained._indices), (data._values, retained._values)):
        assert [a is b for a, b in zip(old.pages, new.pages, strict=True)] == [
            True, False, True, True,
        ]  # fmt: skip
    held = [one for one in walk(retained) if isinstance(one, np.ndarray)]
    assert not any(one is data._values.pages[1] for one in held)
    gone = data.values[data.indptr[user] : data.indptr[user + 1]]
    assert not any(np.isin(gone, one).any() for one in held if one.dtype == np.float64)


def test_small_tables_stay_in_one_piece(monkeypatch):
    monkeypatch.setattr(_derived_tables, "_WORTH_PAGES", 100)
    data = made(0)
    assert data.paged()._indices is data._indices


def test_pages_are_mapped_one_by_one(tmp_path):
    data = made(1).paged()
    joblib.dump(data, tmp_path / "data.joblib")
    mapped = joblib.load(tmp_path / "data.joblib", mmap_mode="r")
    assert all(isinstance(page, np.memmap) for page in mapped._values.pages if len(page))
    assert_array_equal(mapped.values, data.values)
    first = mapped.remove(np.arange(data.indptr[3]))  # all of the first page
    assert first._values.pages[1] is mapped._values.pages[1]
    assert not isinstance(first._values.pages[0], np.memmap)
    maps = {id(page._mmap) for page in mapped._values.pages if len(page)}
    assert len(maps) == sum(len(page) > 0 for page in mapped._values.pages)


def broken(state, name, change):
    state = {**state, "indices": list(state["indices"]), "values": list(state["values"])}
    pages = state[name] if isinstance(state[name], list) else None
    if pages is None:
        state[name] = change(state[name].copy())
    else:
        pages[1] = change(pages[1].copy())
    return state


DAMAGES = {
    "shorter": ("values", lambda page: page[:-1]),
    "longer": ("indices", lambda page: np.append(page, page[-1:])),
    "out of range": ("indices", lambda page: page + np.int32(7)),
    "descending": ("indices", lambda page: page[::-1].copy()),
    "another type": ("values", lambda page: page.astype(np.float32)),
    "no numbers": ("values", lambda page: page.astype(object)),
    "no vector": ("indices", lambda page: page[:, None]),
    "not finite": ("values", lambda page: page * np.nan),
    "another start": ("indptr", lambda indptr: indptr + 1),
    "too short": ("indptr", lambda indptr: indptr[:-1]),
    "backwards": ("indptr", lambda indptr: indptr[::-1].copy()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pages_are_refused(damage):
    state = broken(made(2).paged().__getstate__(), *DAMAGES[damage])
    with pytest.raises(ValueError, match="the loaded interactions are damaged"):
        made(2).__setstate__(state)


def test_pages_that_do_not_belong_together_are_refused():
    state = made(2).paged().__getstate__()
    within = {name: np.split(np.concatenate(state[name]), [1]) for name in ("values", "indices")}
    for change in (
        {"values": state["values"][:-1]},
        {"values": np.concatenate(state["values"])},
        within,
        {"values": [], "indices": []},
        {"row_weights": np.full(11, np.nan)},
        {"row_weights": np.ones(10)},
    ):
        with pytest.raises(ValueError, match="the loaded interactions are damaged"):
            made(2).__setstate__({**state, **change})
