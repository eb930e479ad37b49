"""Aggregation: means and attention against loops, and attention that has something to find."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.sharding import _attention
from sklearn_unlearn.sharding._aggregation import affinities, combine, familiarity, gates_of
from sklearn_unlearn.sharding._attention import learn_attention, ranking_loss
from sklearn_unlearn.sharding._partitions import make_partition
from sklearn_unlearn.sharding._questions import draw_questions


class Linear:
    """Scores are rows times a matrix."""

    def __init__(self, weights):
        self.weights = weights

    def decision_function(self, X):
        return X @ self.weights


def linear_models(n_shards=4, n_items=7, seed=0):
    rng = np.random.RandomState(seed)
    models = [Linear(rng.randn(n_items, n_items)) for _ in range(n_shards)]
    X = sparse.csr_array(rng.rand(5, n_items) * (rng.rand(5, n_items) < 0.5))
    return models, X, rng


# -- combining -------------------------------------------------------------------------------------
def test_the_mean_is_over_shards_that_have_a_model():
    models, X, _ = linear_models()
    models[2] = None
    expected = sum(models[s].decision_function(X) for s in (0, 1, 3)) / 3
    np.testing.assert_allclose(combine(models, X), expected, atol=1e-14)


def test_without_any_model_scores_are_zero():
    _, X, rng = linear_models()
    gates = rng.rand(5, 4), rng.rand(4, 7)
    assert not combine([None] * 4, X).any()
    assert not combine([None] * 4, X, gates=gates).any()


def test_an_item_is_scored_by_its_own_shard_from_what_that_shard_knows():
    models, X, _ = linear_models()
    labels = np.array([0, 1, 3, 1, 0, 2, 3])
    models[2] = None
    found = combine(models, X, item_labels=labels)
    for item, shard in enumerate(labels):
        shown = X.toarray() * (labels == shard)
        expected = 0 if shard == 2 else shown @ models[shard].weights[:, item]
        np.testing.assert_allclose(found[:, item], expected, atol=1e-14)


def test_gates_weigh_shards_cell_by_cell():
    models, X, rng = linear_models()
    models[1] = None
    rows, items = rng.rand(5, 4), rng.rand(4, 7)
    scores = [None if one is None else one.decision_function(X) for one in models]
    found = combine(models, X, gates=(rows, items))
    for u in range(5):
        for i in range(7):
            weights = {s: rows[u, s] * items[s, i] for s in (0, 2, 3)}
            total = sum(weight * scores[s][u, i] for s, weight in weights.items())
            np.testing.assert_allclose(found[u, i], total / sum(weights.values()), atol=1e-13)


def test_attention_of_weight_zero_is_the_mean():
    models, X, rng = linear_models()
    table = familiarity(rng.randint(0, 9, (4, 7)))
    found = combine(models, X, gates=gates_of(X, table, np.zeros(2)))
    np.testing.assert_allclose(found, combine(models, X), atol=1e-13)


def test_familiarity_and_affinity_by_loops():
    _, X, rng = linear_models()
    counts = rng.randint(0, 9, (4, 7))
    table = familiarity(counts)
    for s in range(4):
        for i in range(7):
            others = np.mean([np.log(1 + counts[t, i]) for t in range(4)])
            np.testing.assert_allclose(table[s, i], np.log(1 + counts[s, i]) - others, atol=1e-14)
    rows = affinities(X, table)
    for u, row in enumerate(X.toarray()):
        held = np.flatnonzero(row)
        expected = table[:, held].mean(axis=1) if len(held) else np.zeros(4)
        np.testing.assert_allclose(rows[u], expected, atol=1e-14)


# -- the loss --------------------------------------------------------------------------------------
def loss_arguments(seed, n_shards=4, n=6, n_compared=5):
    rng = np.random.RandomState(seed)
    scores, items = rng.randn(2, n_shards, n, n_compared)
    asked = rng.rand(n_shards, n) < 0.7
    asked[0] = True
    valid = rng.rand(n, n_compared) < 0.7
    valid[:, 0] = True
    return rng.randn(3), (scores, rng.randn(n_shards, n), items, asked, valid)


def naive_loss(weights, scores, user, items, asked, valid):
    n_shards, n, n_compared = scores.shape
    total = 0.0
    for u in range(n):
        mixed = []
        for k in range(n_compared):
            gates = [
                asked[s, u] * np.exp(weights[0] * user[s, u] + weights[1] * items[s, u, k])
                for s in range(n_shards)
            ]
            mean = sum(g * scores[s, u, k] for s, g in enumerate(gates)) / sum(gates)
            mixed.append(np.exp(weights[2]) * mean)
        listed = [np.exp(one) for k, one in enumerate(mixed) if valid[u, k]]
        total -= np.log(np.exp(mixed[0]) / sum(listed))
    return total / n


@given(st.integers(0, 10**6))
def test_loss_is_that_of_loops(seed):
    weights, arguments = loss_arguments(seed)
    np.testing.assert_allclose(
        ranking_loss(weights, *arguments)[0], naive_loss(weights, *arguments), rtol=1e-10
    )


@given(st.integers(0, 10**6))
def test_gradient_is_that_of_finite_differences(seed):
    weights, arguments = loss_arguments(seed)
    gradient = ranking_loss(weights, *arguments)[1]
    for k, direction in enumerate(np.eye(3) * 1e-5):
        ahead, behind = (
            ranking_loss(weights + sign * direction, *arguments)[0] for sign in (1, -1)
        )
        np.testing.assert_allclose(gradient[k], (ahead - behind) / 2e-5, atol=1e-7)


def test_the_smallest_share_that_is_as_good_as_the_best_is_chosen():
    n = 400
    noise = np.random.RandomState(0).randn(n) * 0.1
    steps = np.array([0, 0.01, 0.02, 0.05, 0.0501, 0.05, 0.04, 0.03, 0.0])
    gains = steps[:, None] + noise * (np.arange(9)[:, None] > 0)
    assert _attention._chosen_share(gains) == _attention._SHARES[3]
    assert _attention._chosen_share(-gains) == 0
    assert _attention._chosen_share(noise * np.arange(9)[:, None] * 1e-3) == 0


# -- questions -------------------------------------------------------------------------------------
def ratings(n_users=60, n_items=30, seed=0):
    rng = np.random.RandomState(seed)
    density = np.where(np.arange(n_users)[:, None] % 3, 0.4, 0.07)
    values = rng.randint(1, 6, (n_users, n_items)) * (rng.rand(n_users, n_items) < density)
    return Interactions.from_matrix(values.astype(float))


@pytest.mark.parametrize("implicit", [True, False])
def test_questions_hide_their_answers_and_list_rivals(implicit):
    data = ratings()
    partition = make_partition("hash", data, 4, seed=0)
    questions = draw_questions(data, partition, 3, implicit=implicit)
    assert len(questions) > 20
    X, rivals = data.to_csr().toarray(), questions.rivals()
    shown = questions.rows.toarray()
    for row, answer, mask, drawn, shard in zip(
        shown, questions.answers, rivals, questions.drawn, questions.shards, strict=True
    ):
        # The row is that of one user, without some of it.
        (user,) = np.flatnonzero((X[:, row > 0] == row[row > 0]).all(axis=1) & (X[:, answer] > 0))
        hidden = (X[user] > 0) & (row == 0)
        assert row.any() and hidden[answer] and shard == partition.labels[user]
        expected = X[user] == 0 if implicit else hidden & (X[user] < X[user, answer])
        assert np.array_equal(mask, expected) and mask.any()
        assert mask[drawn[drawn >= 0]].all() and (drawn >= 0).any()
        if not implicit:
            assert X[user, answer] == X[user, hidden].max()


@pytest.mark.parametrize("implicit", [True, False])
def test_questions_about_others_do_not_change_when_a_user_goes(implicit):
    data = ratings()
    mask = np.zeros(60, bool)
    mask[[7, 20, 31]] = True
    rest = data.remove(data.incident(mask))
    partition = make_partition("hash", data, 4, seed=0)
    one, other = (draw_questions(d, partition, 3, implicit=implicit) for d in (data, rest))

    def contents(questions):
        return {
            (row.tobytes(), int(answer), drawn.tobytes())
            for row, answer, drawn in zip(
                questions.rows.toarray(), questions.answers, questions.drawn, strict=True
            )
        }

    assert contents(other) < contents(one)


def test_no_more_rows_are_asked_about_than_allowed(monkeypatch):
    monkeypatch.setattr("sklearn_unlearn.sharding._questions._MAX_ROWS", 10)
    data = ratings()
    questions = draw_questions(data, make_partition("hash", data, 4, seed=0), 3, implicit=True)
    assert len(questions) == 10


# -- learning --------------------------------------------------------------------------------------
def planted(n_blocks=4, size=40, n_items=15, seed=0):
    """Users of one block like items of one block; a shard that knows a block ranks it well."""
    rng = np.random.RandomState(seed)
    block = np.repeat(np.arange(n_blocks), size)
    of_item = np.repeat(np.arange(n_blocks), n_items)
    chance = np.where(block[:, None] == of_item, 0.5, 0.05)
    return Interactions.from_matrix((rng.rand(*chance.shape) < chance).astype(float)), of_item


def test_attention_finds_the_shard_that_knows():
    data, of_item = planted(size=100)
    rng = np.random.RandomState(1)
    n = data.n_items
    # Each shard knows what the items of its own block go with, and has no idea of all others.
    same = of_item[:, None] == of_item
    models = [Linear(np.where(of_item[:, None] == s, same, 4 * rng.randn(n, n))) for s in range(4)]
    table = familiarity(np.array([np.where(of_item == s, 30, 3) for s in range(4)] + [[3] * n]))
    # All of them were fitted to other users: the shard that is not asked is one without a model.
    models += [None]
    questions = draw_questions(data, make_partition("hash", data, 4, seed=0), 0, implicit=True)
    questions = replace(questions, shards=np.full(len(questions), 4))
    weights = learn_attention(models, questions, table)
    assert weights.max() > 0.5
    X = questions.rows
    rows = np.arange(len(questions))

    def mean_rank(scores):
        above = questions.rivals() & (scores >= scores[rows, questions.answers][:, None])
        return above.sum(axis=1).mean()

    plain = mean_rank(combine(models, X))
    attentive = mean_rank(combine(models, X, gates=gates_of(X, table, weights)))
    assert attentive < 0.8 * plain


@pytest.mark.parametrize("seed", range(5))
def test_where_shards_know_alike_attention_is_close_to_the_mean(seed):
    data, of_item = planted(seed=seed)
    rng = np.random.RandomState(seed)
    good = (of_item[:, None] == of_item) * 1.0
    models = [Linear(good + 0.1 * rng.randn(*good.shape)) for _ in range(4)]
    table = familiarity(rng.poisson(20, (4, data.n_items)))
    questions = draw_questions(data, make_partition("hash", data, 4, seed=0), seed, implicit=True)
    gates = gates_of(questions.rows, table, learn_attention(models, questions, table))
    shares = gates[0][:, :, None] * gates[1]
    shares /= shares.sum(axis=1, keepdims=True)
    assert np.abs(shares - 0.25).mean() < 0.05


def test_a_shard_that_knows_the_answer_is_not_asked():
    data, _ = planted()
    partition = make_partition("hash", data, 4, seed=0)
    questions = draw_questions(data, partition, 0, implicit=True)
    models = [Linear(np.zeros((data.n_items, data.n_items))) for _ in range(4)]
    models[2] = None
    for part, _, asked in _attention._answers_of_shards(models, questions):
        for shard, one in zip(part.shards, asked.T, strict=True):
            assert one.tolist() == [s not in (shard, 2) for s in range(4)]


def test_two_shards_leave_nothing_to_learn():
    data, _ = planted()
    models = [Linear(np.eye(data.n_items)), Linear(-np.eye(data.n_items)), None]
    questions = draw_questions(data, make_partition("hash", data, 3, seed=0), 0, implicit=True)
    table = familiarity(np.ones((3, data.n_items)))
    assert not learn_attention(models, questions, table).any()


def test_chunks_do_not_change_what_is_learned(monkeypatch):
    data, of_item = planted()
    rng = np.random.RandomState(1)
    same = (of_item[:, None] == of_item) * 1.0
    models = [Linear(same + rng.rand(*same.shape)) for _ in range(4)]
    table = familiarity(rng.poisson(20, (4, data.n_items)))
    questions = draw_questions(data, make_partition("hash", data, 4, seed=0), 0, implicit=True)
    reference = learn_attention(models, questions, table)
    monkeypatch.setattr(_attention, "_CELLS_AT_ONCE", 4 * data.n_items * 7)
    np.testing.assert_allclose(learn_attention(models, questions, table), reference, atol=1e-8)
