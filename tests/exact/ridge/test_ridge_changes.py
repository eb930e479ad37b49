"""What a request changes of the Gram matrix: the term itself, and its rank."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.exact.ridge._ridge_changes import ChangedCells, cheapest_change
from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
from sklearn_unlearn.interactions import Interactions

RNG = np.random.default_rng(0)
DENSE = np.where(RNG.random((30, 12)) < 0.5, 1 + RNG.random((30, 12)), 0)
DENSE[:2, 10] = 1.0
DENSE[2:, 10] = 0.0  # an item of two users
DENSE[4] = np.eye(12)[11]
DENSE[5:, 11] = 0.0
DENSE[:4, 11] = 0.0  # an item of one user, who has nothing else
DENSE[6] = 1.5 * (np.arange(12) < 3)
PLAIN = RidgeTerms(1.0)
WEIGHTS = RNG.integers(1, 4, 30) * 0.5
# mask of cells, rank, number of items that are cut out
REQUESTS = {
    "a user": (np.s_[7], 1, 0),
    "a user with an item of their own": (np.s_[4], 1, 0),
    "two users with an item of their own": (np.s_[:2], 2, 0),
    "a cell": (np.s_[6, 0], 2, 0),
    "all cells but one of a user": (np.s_[6, :2], 2, 0),
    "an item": (np.s_[:, 3], 1, 1),
    "two items": (np.s_[:, 3:5], 2, 2),
    "half of an item": (np.s_[:15, 3], 2, 0),
    "everything": (np.s_[:], 12, 11),
}


def loss_of(cells, weights=None, terms=PLAIN):
    data = Interactions.from_matrix(DENSE, weights)
    mask = np.zeros(DENSE.shape, bool)
    mask[cells] = True
    positions = np.flatnonzero(mask[data.rows, data.indices])
    return ChangedCells(data, data.remove(positions), positions, terms=terms)


def gram(data, weights):
    X = data.to_csr().toarray()
    return X.T @ (weights[:, None] * X)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("cells", "rank", "n_cut"), REQUESTS.values(), ids=REQUESTS)
def test_the_term_is_the_change_of_the_gram_matrix(cells, rank, n_cut, weights):
    loss = loss_of(cells, weights)
    change = cheapest_change(loss, 100)
    assert (change.rank, len(change.items)) == (rank, n_cut)
    U = change.vectors.toarray()
    assert not U[:, change.items].any()
    assert_array_equal(change.core, change.core.T)
    weights = np.ones(30) if weights is None else weights
    expected = gram(loss.before, weights)
    expected[change.items] = expected[:, change.items] = 0.0
    if len(U):
        expected += U.T @ np.linalg.solve(change.core, U)
    assert_allclose(gram(loss.after, weights), expected, atol=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("dropout", "power"), [(0.4, 0.0), (0.0, 0.5), (0.4, 0.5)])
@pytest.mark.parametrize("cells", [one[0] for one in REQUESTS.values()], ids=REQUESTS)
def test_the_term_is_the_change_with_dropout_and_user_weights(cells, dropout, power, weights):
    loss = loss_of(cells, weights, RidgeTerms(1.0, dropout, power))
    change = cheapest_change(loss, 100)
    U = change.vectors.toarray()
    assert_array_equal(change.core, change.core.T)

    def matrix(data):
        given = np.ones(30) if weights is None else weights
        degrees = np.maximum(data.user_degrees, 1)
        G = gram(data, given * degrees**-power)
        return G + dropout / (1 - dropout) * np.diag(np.diag(G))

    expected = matrix(loss.before)
    expected[change.items] = expected[:, change.items] = 0.0
    if len(U):
        expected += U.T @ np.linalg.solve(change.core, U)
    assert_allclose(matrix(loss.after), expected, atol=1e-12)


def test_dropout_adds_a_rank_for_each_item_of_a_user_and_none_for_an_item():
    n_items = np.count_nonzero(DENSE[7])
    for cells, rank in ((np.s_[7], 1 + n_items), (np.s_[:15, 3], 2), (np.s_[:, 3], 1)):
        assert cheapest_change(loss_of(cells, terms=RidgeTerms(1.0, 0.4)), 100).rank == rank


def test_a_mixed_request_is_covered_by_items_and_users():
    mask = np.zeros(DENSE.shape, bool)
    mask[:, 3] = mask[7] = True
    mask[6, 0] = True
    change = cheapest_change(loss_of(mask), 100)
    assert_array_equal(change.items, [3])
    assert change.rank == 1 + 1 + 2


def test_no_change_above_the_highest_rank():
    loss = loss_of(np.s_[6, 0])
    assert cheapest_change(loss, 1) is None
    assert cheapest_change(loss, 2).rank == 2
