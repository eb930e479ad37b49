"""The ridge inverse and its corrections against dense arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.exact.ridge import _ridge_inverse
from sklearn_unlearn.exact.ridge._ridge_inverse import corrected_inverse, ridge_inverse
from sklearn_unlearn.exact.ridge._ridge_terms import RidgeTerms
from sklearn_unlearn.interactions import Interactions


def dense_inverse(data, terms):
    X, terms = data.to_csr().toarray().astype(float), RidgeTerms.of(terms)
    weights = np.ones(len(X)) if data.row_weights is None else data.row_weights
    weights = weights * np.maximum(np.count_nonzero(X, axis=1), 1) ** -terms.user_normalization
    gram = X.T @ (weights[:, None] * X)
    share = terms.dropout / (1 - terms.dropout)
    gram += np.diag(terms.regularization + share * np.diag(gram))
    return np.linalg.inv(gram)


TERMS = st.sampled_from(
    [0.5, 20.0, RidgeTerms(0.5, 0.4), RidgeTerms(0.5, 0.0, 0.5), RidgeTerms(3.0, 0.6, 1.0)]
)


def positions_of(data, mask):
    return np.flatnonzero(mask[data.rows, data.indices])


@st.composite
def tables(draw):
    """A table with empty rows and columns, equal rows, weights of 0; or none of these."""
    n_users, n_items = draw(st.integers(1, 30)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    X = np.where(rng.random((n_users, n_items)) < draw(st.sampled_from([0.1, 0.3, 0.8])), 1.0, 0)
    if draw(st.booleans()):
        X *= 0.5 + 3 * rng.random(X.shape)
    if draw(st.booleans()):
        X[n_users // 2 :] = X[: n_users - n_users // 2]
        X[:, n_items // 2] = 0
    weights = rng.integers(0, 4, n_users) * 1.5 if draw(st.booleans()) else None
    X = X.astype(draw(st.sampled_from([np.float64, np.float32])))
    return Interactions.from_matrix(X, weights)


@st.composite
def requests(draw, shape):
    """A mask of cells that mixes whole users, whole items, parts of both, and single cells."""
    mask = np.zeros(shape, bool)
    users, items = (st.integers(0, n - 1) for n in shape)
    for user in draw(st.lists(users, max_size=2)):
        mask[user] = True
    for item in draw(st.lists(items, max_size=2)):
        mask[:, item] = True
    for user, item in draw(st.lists(st.tuples(users, items), max_size=3)):
        mask[user, item] = True
    if draw(st.booleans()):
        mask[: draw(users), draw(items)] = True
    return mask


@given(tables(), TERMS)
def test_inverse_is_the_dense_one(data, regularization):
    P = ridge_inverse(data, regularization)
    assert_allclose(P, dense_inverse(data, regularization), rtol=1e-10, atol=1e-13)
    assert_array_equal(P, P.T)


@given(st.data(), tables(), TERMS)
def test_corrected_inverse_is_the_dense_one(draws, data, regularization):
    positions = positions_of(data, draws.draw(requests(data.shape)))
    if not len(positions):
        return
    after = data.remove(positions)
    P = ridge_inverse(data, regularization)
    before = P.copy()
    # Whatever the size of the request, the correction is what is tested.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ridge_inverse, "_MAX_RANK", 100)
        new, n_changed, status = corrected_inverse(P, data, after, positions, regularization)
    assert_array_equal(P, before)
    assert not np.shares_memory(new, P)
    assert status.startswith("downdate of rank")
    expected = dense_inverse(after, regularization)
    assert_allclose(new, expected, rtol=1e-9, atol=1e-12)
    moved = (np.abs(expected - before) > 1e-11).any(axis=1)
    assert moved.sum() <= n_changed <= len(P)


@pytest.mark.parametrize("rank", [1, 2, 4, 7, 64, 65, 90])
def test_a_term_of_any_rank_is_added_in_one_pass(rank):
    rng = np.random.default_rng(rank)
    table, probe = rng.standard_normal((700, 700)), rng.standard_normal(700)
    left, right = rng.standard_normal((2, rank, 700))
    kept = table.copy()
    new, product = _ridge_inverse._add(table, left, right, probe)
    assert_array_equal(table, kept)
    assert_allclose(new, table + left.T @ right, atol=1e-11)
    assert_allclose(product, new @ probe, atol=1e-10)


def problem(n_users=40, n_items=20, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return Interactions.from_matrix(
        np.where(rng.random((n_users, n_items)) < share, 1 + rng.random((n_users, n_items)), 0)
    )


def test_items_without_interactions_keep_nothing_of_what_they_were():
    data = problem()
    mask = np.zeros(data.shape, bool)
    mask[:, 3] = mask[5] = True
    positions = positions_of(data, mask)
    new, _, status = corrected_inverse(
        ridge_inverse(data, 4.0), data, data.remove(positions), positions, 4.0
    )
    assert status.startswith("downdate of rank 2,")
    alone = np.zeros(20)
    alone[3] = 0.25
    assert_array_equal(new[3], alone)
    assert_array_equal(new[:, 3], alone)


def test_forgetting_everything_leaves_the_penalty_alone():
    data = problem()
    positions = np.arange(data.n_interactions)
    new, n_changed, _ = corrected_inverse(
        ridge_inverse(data, 4.0), data, data.remove(positions), positions, 4.0
    )
    assert_array_equal(new, np.eye(20) / 4)
    assert n_changed == 20


@pytest.mark.parametrize("size", [1e-9, 1e-3, np.nan])
def test_an_inverse_that_has_drifted_is_made_again(size):
    data = problem()
    P = ridge_inverse(data, 4.0)
    positions = np.arange(data.indptr[1])
    after = data.remove(positions)
    sound, _, status = corrected_inverse(P, data, after, positions, 4.0)
    assert float(status.rpartition(" ")[2]) < 1e-13
    # One element, far from what the request touches.
    untouched = np.setdiff1d(np.arange(20), data.indices[positions])[0]
    P[untouched, untouched] += size
    new, n_changed, status = corrected_inverse(P, data, after, positions, 4.0)
    assert status.startswith("inverted again: rounding had left a residual of")
    assert n_changed == 20
    assert_allclose(new, sound, rtol=1e-11, atol=1e-14)


def test_the_residual_is_that_of_the_product_with_the_inverse():
    data = problem()
    rng = np.random.default_rng(0)
    inexact = ridge_inverse(data, 4.0) + 1e-6 * rng.standard_normal((20, 20))
    M = np.linalg.inv(dense_inverse(data, 4.0))
    probe = rng.choice([-1.0, 1.0], 20)
    residual, most = _ridge_inverse._residual(
        data, RidgeTerms(4.0), np.diagonal(inexact), probe, inexact @ probe
    )
    assert residual == pytest.approx(np.sqrt(np.mean((M @ inexact @ probe - probe) ** 2)), rel=1e-6)
    assert most == 1e-11


def test_what_rounding_allows_follows_the_condition_number():
    # Fewer users than items: nothing but the penalty keeps M from being singular.
    data = problem(n_users=10)
    X = data.to_csr().toarray()
    for regularization in (1e-3, 1e-6):
        M = X.T @ X + regularization * np.eye(20)
        P = ridge_inverse(data, regularization)
        most = _ridge_inverse._residual(
            data, RidgeTerms(regularization), np.diagonal(P), np.ones(20), P.sum(axis=1)
        )[1]
        assert 1 < most / (np.finfo(float).eps * np.linalg.cond(M)) < 20


def test_items_on_their_own_allow_nothing():
    """The penalty alone is small, and so would its inverse be large; no rounding comes of it."""
    X = problem().to_csr().toarray()
    X[:, 5] = 0
    data = Interactions.from_matrix(X)
    P = ridge_inverse(data, 1e-9)
    most = _ridge_inverse._residual(
        data, RidgeTerms(1e-9), np.diagonal(P), np.ones(20), P.sum(axis=1)
    )[1]
    assert most == 1e-11


def test_ill_conditioned_corrections_are_not_believed():
    data = problem(n_users=10)
    P = ridge_inverse(data, 1e-8)
    positions = np.arange(data.indptr[1])
    after = data.remove(positions)
    new, _, status = corrected_inverse(P, data, after, positions, 1e-8)
    assert status.startswith("inverted again")
    assert_array_equal(new, ridge_inverse(after, 1e-8))


def test_a_singular_correction_is_not_made():
    data = problem()
    positions = np.arange(data.indptr[1])
    after = data.remove(positions)
    wrong = np.zeros((20, 20))  # an item cut out of it would be a division by zero
    mask = np.zeros(data.shape, bool)
    mask[:, 2] = True
    positions = positions_of(data, mask)
    after = data.remove(positions)
    new, _, status = corrected_inverse(wrong, data, after, positions, 4.0)
    assert status == "inverted again: a correction would be singular"
    assert_array_equal(new, ridge_inverse(after, 4.0))


def test_large_requests_are_fits():
    data = problem()
    positions = np.arange(data.indptr[12])
    after = data.remove(positions)
    new, n_changed, status = corrected_inverse(
        ridge_inverse(data, 4.0), data, after, positions, 4.0
    )
    assert (status, n_changed) == ("inverted again: the request is large", 20)
    assert_array_equal(new, ridge_inverse(after, 4.0))


@pytest.mark.parametrize("scale", [1e12, 1e160])
def test_a_singular_matrix_is_an_error_in_three_parts(scale):
    data = Interactions.from_matrix(scale * np.ones((3, 4)))
    with pytest.raises(
        ValueError, match=r"regularization is 1, .* of the 4 items .* expected .* Raise"
    ):
        ridge_inverse(data, 1.0)
