import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from sklearn_unlearn.pruning import HopPruner
from tests.pruning.oracles import distances, importances_of, problems, support_of


@given(problem=problems(), n_hops=st.integers(0, 5))
@settings(max_examples=60)
def test_support_is_what_breadth_first_search_meets(problem, n_hops):
    X, pairs = problem
    pruner = HopPruner(n_hops).fit(X, forget=pairs)
    expected = distances(X, pairs)
    np.testing.assert_array_equal(support_of(pruner), expected <= n_hops)
    importances = np.where(expected <= n_hops, 1 / (1 + expected), 0)
    np.testing.assert_allclose(importances_of(pruner), importances, rtol=1e-15)


@given(problem=problems(), n_hops=st.integers(0, 4))
@settings(max_examples=30)
def test_support_grows_with_hops_and_with_the_request(problem, n_hops):
    X, pairs = problem
    assume(len(pairs))
    wide = support_of(HopPruner(n_hops + 1).fit(X, forget=pairs))
    narrow = support_of(HopPruner(n_hops).fit(X, forget=pairs))
    part = support_of(HopPruner(n_hops).fit(X, forget=pairs[1:]))
    assert (narrow <= wide).all() and (part <= narrow).all()


def test_a_long_path_is_walked_to_its_end_and_no_further():
    n = 60
    X = sparse.csr_array(np.eye(n) + np.eye(n, k=1))  # u0 - i1 - u1 - i2 - ...
    pruner = HopPruner(n_hops=41).fit(X, forget=[[0, 0]])
    # u0, i0 and i1 are at 0, 0 and 1; u_j is at 2 j, i_j at 2 j - 1.
    assert list(pruner.get_support(axis=0, indices=True)) == list(range(21))
    assert list(pruner.get_support(axis=1, indices=True)) == list(range(22))
    assert support_of(pruner.set_params(n_hops=10**9).fit(X, forget=[[0, 0]])).all()


def test_values_do_not_matter_but_stored_zeros_are_no_edges():
    X = np.array([[1.0, -7.0, 0.0], [0.0, 1e-300, 2.0]])
    plain = HopPruner(2).fit((X != 0).astype(int), forget=[[0, 0]])
    np.testing.assert_array_equal(
        support_of(HopPruner(2).fit(X, forget=[[0, 0]])), support_of(plain)
    )
    stored_zero = sparse.csr_array(([1.0, 0.0, 1.0], ([0, 0, 1], [0, 1, 1])), shape=(2, 3))
    alone = HopPruner(5).fit(stored_zero, forget=[[0, 0], [0, 1]])
    np.testing.assert_array_equal(support_of(alone), [True, False, True, False, False])
