import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from sklearn_unlearn.backends import Pattern, get_backend
from sklearn_unlearn.interactions import Interactions

masks = arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6)))


@given(masks)
def test_pattern_describes_the_cells_both_ways(mask):
    pattern = Pattern.from_interactions(Interactions.from_matrix(mask.astype(float)))
    rows, columns = np.nonzero(mask)
    assert pattern.n_interactions == len(rows)
    assert_array_equal(np.repeat(np.arange(len(mask)), np.diff(pattern.indptr)), rows)
    assert_array_equal(pattern.indices, columns)
    assert_array_equal(pattern.order, np.arange(len(rows)))
    assert_array_equal(pattern.indices_t, rows[pattern.order_t])
    by_item = np.repeat(np.arange(mask.shape[1]), np.diff(pattern.indptr_t))
    assert_array_equal(by_item, columns[pattern.order_t])
    for name in ("indptr", "indices", "indptr_t", "indices_t", "order_t", "order"):
        assert not getattr(pattern, name).flags.writeable


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_backend_is_chosen_by_device(device):
    backend = get_backend(device, n_jobs=2)
    assert (backend.name, backend.n_threads) == ("scipy", 2)
    assert get_backend(device).n_threads == 1


def test_unknown_device_is_an_error_in_three_parts():
    with pytest.raises(ValueError, match=r"device='tpu' was given; expected .*: set device='cpu'"):
        get_backend("tpu")
