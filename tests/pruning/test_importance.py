import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sklearn_unlearn.pruning import HopPruner, ImportancePruner
from tests.pruning.oracles import distances, importances, importances_of, problems, support_of

RATIOS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])


@given(problem=problems(), n_hops=st.integers(0, 5))
@settings(max_examples=60)
def test_importances_are_powers_of_the_normalised_adjacency(problem, n_hops):
    X, pairs = problem
    pruner = ImportancePruner(n_hops).fit(X, forget=pairs)
    expected = importances(X, pairs, n_hops)
    np.testing.assert_allclose(importances_of(pruner), expected, rtol=1e-12, atol=1e-14)


@given(problem=problems(), n_hops=st.integers(0, 5))
@settings(max_examples=40)
def test_keeping_all_is_the_hop_pruner(problem, n_hops):
    X, pairs = problem
    pruner = ImportancePruner(n_hops, keep_ratio=1.0).fit(X, forget=pairs)
    np.testing.assert_array_equal(
        support_of(pruner), support_of(HopPruner(n_hops).fit(X, forget=pairs))
    )


def test_reach_does_not_end_where_importance_underflows():
    n = 350
    path = np.eye(n) + np.eye(n, k=1)  # u0 - i0, u0 - i1 - u1 - i2 - ...
    leaves = np.kron(np.eye(n), np.ones((1, 4)))  # four items more for each user
    X = sparse.csr_array(np.hstack((path, leaves)))
    pruner = ImportancePruner(n_hops=640).fit(X, forget=[[0, 0]])
    assert pruner.user_importances_[320] == 0
    assert list(pruner.get_support(axis=0, indices=True)) == list(range(321))


@given(problem=problems(), n_hops=st.integers(0, 4), keep_ratio=RATIOS)
@settings(max_examples=60)
def test_support_is_the_most_important_part_of_what_is_reached(problem, n_hops, keep_ratio):
    X, pairs = problem
    kept = support_of(ImportancePruner(n_hops, keep_ratio).fit(X, forget=pairs))
    found = distances(X, pairs)
    incident, reached = found == 0, found <= n_hops
    n_kept = math.ceil(Fraction(str(keep_ratio)) * int(reached.sum()))
    assert kept.sum() == max(n_kept, incident.sum())
    assert (incident <= kept).all() and (kept <= reached).all()
    # Rounded, so that equals tie; a tie goes to the lowest position, users first.
    rank = np.round(importances(X, pairs, n_hops), 9)
    order = sorted(np.flatnonzero(reached), key=lambda n: (not incident[n], -rank[n], n))
    np.testing.assert_array_equal(np.flatnonzero(kept), sorted(order[: kept.sum()]))


@given(problem=problems(), n_hops=st.integers(0, 4), ratios=st.tuples(RATIOS, RATIOS))
@settings(max_examples=40)
def test_support_grows_with_keep_ratio_and_in_number_with_hops(problem, n_hops, ratios):
    X, pairs = problem
    low, high = sorted(ratios)
    small = support_of(ImportancePruner(n_hops, low).fit(X, forget=pairs))
    large = support_of(ImportancePruner(n_hops, high).fit(X, forget=pairs))
    assert (small <= large).all()
    wide = support_of(ImportancePruner(n_hops + 1, low).fit(X, forget=pairs))
    assert small.sum() <= wide.sum()


def test_one_lost_interaction_of_a_popular_item_matters_less():
    X = np.zeros((20, 3))
    X[:, 0] = 1  # everybody's item
    X[0, 1] = X[1, 1] = 1  # the item of two
    X[5, 2] = 1
    pruner = ImportancePruner(n_hops=1, keep_ratio=0.2).fit(X, forget=[[0, 0], [0, 1]])
    assert pruner.item_importances_[1] > pruner.item_importances_[0]
    # User 1 shares the rare item; the others only the popular one. 23 x 0.2 rounds up to 5; with
    # the three end points that is user 1 and, of the equal rest, the lowest position.
    assert np.argmax(pruner.user_importances_[1:]) == 0
    assert list(pruner.get_support(axis=0, indices=True)) == [0, 1, 2]
    assert list(pruner.get_support(axis=1, indices=True)) == [0, 1]


def test_equal_importance_does_not_depend_on_the_order_of_summation():
    # Users 1 and 2 meet the forgotten items in opposite orders of degree.
    X = np.zeros((30, 9))
    X[0, :6] = 1
    X[1, [0, 1, 2]] = X[2, [3, 4, 5]] = 1
    for item, n_more in zip(range(6), (3, 6, 10, 10, 6, 3), strict=True):
        X[3 : 3 + n_more, item] = 1
    forget = (np.zeros(6, int), np.arange(6))
    swapped = X.copy()
    swapped[[1, 2]] = X[[2, 1]]
    for data in (X, swapped):
        pruner = ImportancePruner(keep_ratio=0.0).fit(data, forget=forget)
        low, high = np.sort(pruner.user_importances_[[1, 2]])
        assert high == pytest.approx(low, rel=1e-14)
        reached = int(HopPruner().fit(data, forget=forget).user_support_.sum()) + 6
        ranked = np.argsort(-np.round(pruner.user_importances_[1:], 9), kind="stable") + 1
        place = int(np.flatnonzero(ranked == 1)[0]) + 1
        pruner.set_params(keep_ratio=(7 + place) / reached).fit(data, forget=forget)
        assert pruner.user_support_[1] and not pruner.user_support_[2]


@pytest.mark.parametrize("keep_ratio", [-0.1, 1.1, "all", None, float("nan")])
def test_a_bad_ratio_is_refused(keep_ratio):
    with pytest.raises(ValueError, match="'keep_ratio' parameter"):
        ImportancePruner(keep_ratio=keep_ratio).fit([[1, 1]])


def test_a_share_is_rounded_up_but_not_past_a_whole_number():
    assert 0.14 * 50 > 7
    X = np.ones((1, 49))  # 50 rows in reach
    pruner = ImportancePruner(n_hops=1, keep_ratio=0.14).fit(X, forget=[[0, 4]])
    assert list(pruner.get_support(indices=True)) == [0, 1, 2, 3, 4, 5]
    assert support_of(pruner).sum() == 7
    assert support_of(pruner.set_params(keep_ratio=0.141).fit(X, forget=[[0, 4]])).sum() == 8
