"""Lists of the best items, against a stable sort of each row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_unlearn.exceptions import NotFiniteError
from sklearn_unlearn.utils._ranking import top_k


def sorted_lists(scores, k):
    columns = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(scores, columns, axis=1)
    return np.where(np.isneginf(values), -1, columns), values


@given(st.data(), st.sampled_from([np.float32, np.float64]), st.booleans())
def test_lists_are_those_of_a_stable_sort(data, dtype, by_column):
    n_rows, n_columns = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 30))
    k = data.draw(st.integers(1, n_columns))
    # Few values: most are tied, as the scores of items that nothing speaks for.
    value = st.sampled_from([-np.inf, -1.5, 0.0, -0.0, 1e-3, 2.0])
    row = st.lists(value, min_size=n_columns, max_size=n_columns)
    cells = data.draw(st.lists(row, min_size=n_rows, max_size=n_rows))
    scores = np.array(cells, dtype).reshape(n_rows, n_columns)
    kept = scores.copy()
    if by_column:
        scores = np.asfortranarray(scores)
    columns, values = top_k(scores, k)
    expected = sorted_lists(scores, k)
    assert_array_equal(columns, expected[0])
    assert_array_equal(values, expected[1])
    assert (columns.dtype, values.dtype) == (np.int64, dtype)
    assert_array_equal(scores, kept)


@pytest.mark.parametrize("share", [0.0, 0.03, 1.0])
def test_long_rows(share):
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((20, 5_000)) * (rng.random((20, 5_000)) < share)
    for k in (1, 20, 5_000):
        for found, expected in zip(top_k(scores, k), sorted_lists(scores, k), strict=True):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_without_an_order_are_refused(bad):
    with pytest.raises(NotFiniteError):
        top_k(np.array([[1.0, bad, 0.0]]), 1)
