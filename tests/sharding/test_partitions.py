"""Partitions: hashes that nothing changes, clusters that hold no more than their share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.sharding._clusters import assign_with_capacity, balanced_clusters, embed
from sklearn_unlearn.sharding._partitions import KINDS, hashed_labels, make_partition
from sklearn_unlearn.utils._random import hashed_bits


def some_data(n_users=40, n_items=25, density=0.2, seed=0):
    rng = np.random.RandomState(seed)
    values = 1 + rng.rand(n_users, n_items)
    return Interactions.from_matrix(values * (rng.rand(n_users, n_items) < density))


def blocks(n_blocks=3, size=12, n_items=10, seed=0):
    """Users of one block share items that no other block has."""
    rng = np.random.RandomState(seed)
    X = np.zeros((n_blocks * size, n_blocks * n_items))
    for block in range(n_blocks):
        rows = slice(block * size, (block + 1) * size)
        columns = slice(block * n_items, (block + 1) * n_items)
        X[rows, columns] = rng.rand(size, n_items) < 0.7
    return Interactions.from_matrix(X), np.repeat(np.arange(n_blocks), size)


# -- hashes ----------------------------------------------------------------------------------------
def test_a_hash_depends_on_seed_and_user_alone():
    few, many = hashed_labels(3, 20, 7), hashed_labels(3, 500, 7)
    expected = [int(hashed_bits(3, user)[()]) % 7 for user in range(20)]
    assert few.tolist() == many[:20].tolist() == expected
    assert (hashed_labels(4, 500, 7) != many).mean() > 0.7


def test_a_hash_fills_shards_evenly():
    counts = np.bincount(hashed_labels(0, 10_000, 10))
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 99))
def test_dealt_users_differ_by_one_at_most(n_users, n_shards, seed):
    data = Interactions.from_matrix(np.ones((n_users, 2)))
    labels = make_partition("random", data, n_shards, seed).labels
    counts = np.bincount(labels, minlength=n_shards)
    assert counts.max() - counts.min() <= 1 and counts.sum() == n_users


@pytest.mark.parametrize("kind", ["hash", "random"])
def test_no_data_can_change_where_users_go(kind):
    data = some_data()
    reference = make_partition(kind, data, 4, seed=5)
    rest = data.remove(np.arange(0, data.n_interactions, 2))
    assert np.array_equal(make_partition(kind, rest, 4, seed=5).labels, reference.labels)
    assert not reference.learned
    gone = np.arange(0, data.n_interactions, 2)
    assert reference.without(rest, gone) is reference


# -- clusters --------------------------------------------------------------------------------------
def greedy(distances, capacity):
    """All pairs by ascending distance, one after the other."""
    n, n_clusters = distances.shape
    labels, room = np.full(n, -1), [capacity] * n_clusters
    for flat in np.argsort(distances, axis=None, kind="stable"):
        point, cluster = divmod(int(flat), n_clusters)
        if labels[point] < 0 and room[cluster]:
            labels[point] = cluster
            room[cluster] -= 1
    return labels


@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 3), st.integers(0, 10**6))
def test_assignment_is_the_greedy_one(n, n_clusters, spare, seed):
    distances = np.random.RandomState(seed).rand(n, n_clusters)
    capacity = -(-n // n_clusters) + spare
    found = assign_with_capacity(distances, capacity)
    assert found.tolist() == greedy(distances, capacity).tolist()


@given(st.integers(0, 40), st.integers(1, 7), st.integers(0, 10**6))
def test_no_cluster_holds_more_than_its_share(n, n_clusters, seed):
    table = np.random.RandomState(seed).randn(max(n, 1), 3)
    labels = balanced_clusters([table], [np.arange(n)], n_clusters, seed)
    assert len(labels) == n
    counts = np.bincount(labels, minlength=n_clusters)
    assert counts.max() <= -(-n // n_clusters)


def test_distances_of_pairs_are_those_of_their_rows_side_by_side():
    rng = np.random.RandomState(0)
    left, right = rng.randn(6, 2), rng.randn(5, 3)
    rows, columns = rng.randint(0, 6, 20), rng.randint(0, 5, 20)
    whole = np.hstack([left[rows], right[columns]])
    together = balanced_clusters([whole], [np.arange(20)], 3, seed=1)
    assert np.array_equal(balanced_clusters([left, right], [rows, columns], 3, seed=1), together)


def test_embeddings_are_singular_vectors_of_the_normalised_matrix():
    data = some_data(12, 9, 0.5)
    X = (data.to_csr().toarray() != 0).astype(float)
    scaled = X / np.sqrt(X.sum(axis=1, keepdims=True)) / np.sqrt(X.sum(axis=0))
    U, sigma, Vt = np.linalg.svd(scaled, full_matrices=False)
    for found, dense in zip(embed(data, 0), (U * sigma, Vt.T * sigma), strict=True):
        dense = dense / np.linalg.norm(dense, axis=1, keepdims=True)
        np.testing.assert_allclose(found @ found.T, dense @ dense.T, atol=1e-8)


def test_what_holds_nothing_is_embedded_at_zero():
    users, items = embed(Interactions.from_matrix(np.array([[1, 0, 1], [0, 0, 0]])), 0)
    assert (users[1] == 0).all() and (items[1] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(users[0]), 1)


@pytest.mark.parametrize("kind", ["user", "item", "interaction"])
def test_clusters_find_the_blocks(kind):
    data, block_of = blocks()
    partition = make_partition(kind, data, 3, seed=0)
    assert partition.learned
    shards = partition.of(data)
    block_of_interaction = block_of[data.rows]
    pairs = set(zip(shards.tolist(), block_of_interaction.tolist(), strict=True))
    # Interactions of a block may be a few more than the capacity.
    if kind == "interaction":
        table = sparse.coo_array((np.ones(len(shards)), (shards, block_of_interaction))).toarray()
        assert table.max(axis=1).sum() > 0.9 * len(shards)
    else:
        assert len(pairs) == 3


def test_a_sign_tells_users_apart():
    X = np.ones((8, 6))
    X[4:] = -1
    X[0, 0] = X[4, 0] = 0
    labels = make_partition("user", Interactions.from_matrix(X), 2, seed=0).labels
    assert len(set(labels[:4])) == len(set(labels[4:])) == 1 and labels[0] != labels[4]


# -- the container ---------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10**6), n_shards=st.integers(1, 6))
def test_shards_of_positions_are_those_of_all(kind, seed, n_shards):
    data = some_data(15, 10, 0.3, seed % 7)
    partition = make_partition(kind, data, n_shards, seed)
    shards = partition.of(data)
    assert shards.min() >= 0 and shards.max() < n_shards
    positions = np.random.RandomState(seed).permutation(data.n_interactions)[:20]
    assert np.array_equal(partition.of(data, positions), shards[positions])
    key = {"item": data.indices}.get(partition.axis, data.rows)
    if partition.axis != "interaction":
        assert np.array_equal(shards, partition.labels[key])
    counts = np.zeros((n_shards, data.n_items), int)
    np.add.at(counts, (shards, data.indices), 1)
    assert np.array_equal(partition.item_counts(data), counts)


@pytest.mark.parametrize("kind", KINDS)
def test_what_remains_stays_where_it_is(kind):
    data = some_data()
    partition = make_partition(kind, data, 4, seed=2)
    gone = np.random.RandomState(1).permutation(data.n_interactions)[:60]
    rest = data.remove(gone)
    kept = np.setdiff1d(np.arange(data.n_interactions), gone)
    assert np.array_equal(partition.without(rest, np.sort(gone)).of(rest), partition.of(data)[kept])


@pytest.mark.parametrize(("kind", "axis"), [("user", 0), ("item", 1)])
def test_what_is_emptied_keeps_no_label_that_its_data_gave_it(kind, axis):
    data = some_data(60, 50)
    partition = make_partition(kind, data, 5, seed=0)
    chosen = np.arange(0, 50, 2)
    mask = np.zeros(data.shape[axis], bool)
    mask[chosen] = True
    gone = data.incident(*((mask, None) if axis == 0 else (None, mask)))
    labels = partition.without(data.remove(gone), gone).labels
    hashed = hashed_labels(0, data.shape[axis], 5)
    assert np.array_equal(labels[chosen], hashed[chosen])
    assert (partition.labels[chosen] != hashed[chosen]).any()
