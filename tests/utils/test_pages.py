"""Arrays in pages: the same as plain arrays, and nothing of what goes is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from sklearn_unlearn.utils._pages import Pages, passed, release, whole


@st.composite
def cut_arrays(draw):
    n, width = draw(st.integers(1, 30)), draw(st.sampled_from([None, 1, 3]))
    array = np.random.default_rng(draw(st.integers(0, 99))).random((n, *filter(None, [width])))
    inner = draw(st.lists(st.integers(0, n), max_size=5))
    return array, Pages.cut(array, np.array([0, *sorted(inner)]))


@given(cut_arrays(), st.data())
def test_entries_are_those_of_the_array_in_any_order(case, source):
    array, pages = case
    assert (len(pages), pages.shape, pages.dtype) == (len(array), array.shape, array.dtype)
    assert pages.nbytes == array.nbytes
    assert_array_equal(whole(pages), array)
    positions = source.draw(st.lists(st.integers(0, len(array) - 1), max_size=40))
    positions = np.array(positions, np.int64)
    assert_array_equal(pages[positions], array[positions])


@given(cut_arrays(), st.data())
def test_versions_are_those_of_the_array_and_share_what_they_can(case, source):
    array, pages = case
    chosen = np.flatnonzero(source.draw(arrays(np.bool_, len(array))))
    entries = -array[chosen]
    changed = array.copy()
    changed[chosen] = entries
    for version, expected in (
        (pages.without(chosen), np.delete(array, chosen, axis=0)),
        (pages.replace(chosen, entries), changed),
        (pages.matching(changed), changed),
    ):
        assert_array_equal(whole(version), expected)
        held = np.searchsorted(pages.starts, chosen, side="right") - 1
        for n, (old, new) in enumerate(zip(pages.pages, version.pages, strict=True)):
            assert (old is new) == (n not in held)
            assert new.base is None and not new.flags.writeable
    assert_array_equal(whole(pages), array)


def test_pages_are_copies_that_nothing_can_write_to():
    array = np.arange(4.0)
    pages = Pages.cut(array, np.array([0, 2]))
    array[:] = -1
    assert_array_equal(whole(pages), np.arange(4.0))
    with pytest.raises(ValueError, match="read-only"):
        pages.pages[0][0] = 1


def test_an_array_is_one_page():
    array = np.arange(3)
    ((start, page),) = passed(array)
    assert whole(array) is page is array and start == 0


@given(cut_arrays())
def test_a_pass_goes_through_all_pages(case):
    array, pages = case
    for start, page in passed(pages):
        assert_array_equal(page, array[start : start + len(page)])
    assert_array_equal(np.concatenate([page for _, page in passed(pages)]), array)


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_what_is_released_reads_as_before(tmp_path, mode):
    np.save(tmp_path / "array.npy", np.arange(5000.0))
    mapped = np.load(tmp_path / "array.npy", mmap_mode=mode)
    expected = np.arange(5000.0)
    if mode != "r":
        mapped[7] = expected[7] = -1
    release(mapped)
    assert_array_equal(mapped, expected)
