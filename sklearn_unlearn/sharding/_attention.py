"""Learning how much to listen to each shard, from items that it has not seen a row with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from sklearn_unlearn.sharding._aggregation import affinities, shard_scores
from sklearn_unlearn.sharding._questions import Questions

__all__ = ["learn_attention", "ranking_loss"]

# Scores of all shards are held for so many cells at a time: 64 MiB in float64.
_CELLS_AT_ONCE = 2**23
_PENALTY = 1e-3
# Shares of the way from equal weights to the learned ones, that rows left out judge.
_SHARES = np.linspace(0.0, 1.0, 9)


def learn_attention(
    models: list[Any], questions: Questions, table: NDArray[np.float64]
) -> NDArray[np.float64]:
    r"""Learn the weights of attention over shards by a ranking loss.

    Shard s counts for user u and item i in proportion to :math:`\exp(w_0 a_{us} + w_1 k_{si})`,
    with a the affinity and k the familiarity. Both weights start at zero, the mean, and never are
    below.

    Each question shows a row without a fifth of what it holds; one hidden item has to rank above
    items drawn at random. The shard that was fitted to that interaction knows the answer, and is
    not asked. Half of the questions teach, by a softmax over the items. The other half judge, by
    the discounted rank among all items: of the way from zero to the minimum the smallest share is
    gone that is as good as the best up to a standard error. Where that is none, this is the mean.

    Parameters
    ----------
    models : list of recommender or None, one a shard
        Fitted.

    questions : Questions
        In random order.

    table : ndarray of shape (n_shards, n_items)
        Familiarity.

    Returns
    -------
    weights : ndarray of shape (2,)
        :math:`w_0, w_1`.
    """
    teaching, judging = questions.part(slice(0, None, 2)), questions.part(slice(1, None, 2))
    # One shard is not asked, and one that is alone has all the attention.
    if sum(model is not None for model in models) < 3 or not len(judging):
        return np.zeros(2)
    parts = zip(*_lessons(models, table, teaching), strict=True)
    scores, user, items, asked, valid = (np.concatenate(one, axis=1) for one in parts)
    scores /= float(np.std(scores.mean(axis=0), where=valid[0])) or 1.0

    def loss(weights: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        value, gradient = ranking_loss(weights, scores, user, items, asked, valid[0])
        penalised = weights * [1, 1, 0]
        return value + _PENALTY * (penalised @ penalised), gradient + 2 * _PENALTY * penalised

    # Never below zero: shards that know more are listened to more. The shard that is not asked is
    # often the one that knows most, and what the others know less of must not speak against them.
    bounds = [(0, None), (0, None), (None, None)]
    found = minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B", bounds=bounds).x[:2]
    gains = np.concatenate(list(_discounts(models, table, judging, found)), axis=1)
    return _chosen_share(gains) * found


def _chosen_share(values: NDArray[np.float64]) -> float:
    """Choose a share of the way by what each is worth to each question."""
    gains = values - values[0]
    means = gains.mean(axis=1)
    best = int(np.argmax(means))
    error = gains[best].std() / np.sqrt(gains.shape[1])
    return float(_SHARES[np.argmax(means >= means[best] - error)])


def ranking_loss(
    weights: NDArray[np.float64],
    scores: NDArray[np.float64],
    user: NDArray[np.float64],
    items: NDArray[np.float64],
    asked: NDArray[np.bool_],
    valid: NDArray[np.bool_],
) -> tuple[float, NDArray[np.float64]]:
    """Mean of minus the log of the first item's share in a softmax of weighed scores.

    Parameters
    ----------
    weights : ndarray of shape (3,)
        Of affinity, of familiarity, and the log of the factor on scores.

    scores, items : ndarray of shape (n_shards, n, n_compared)
        Scores and familiarities of the items compared.

    user : ndarray of shape (n_shards, n)
        Affinities.

    asked : ndarray of bool, shape (n_shards, n)
        The shards that count.

    valid : ndarray of bool, shape (n, n_compared)
        The items that count, the first always.

    Returns
    -------
    loss : float
    gradient : ndarray of shape (3,)
    """
    logits = weights[0] * user[:, :, None] + weights[1] * items
    shares = softmax(np.where(asked[:, :, None], logits, -np.inf), axis=0)
    factor = np.exp(weights[2])
    mixed = factor * np.einsum("snk,snk->nk", shares, scores)
    pull = shares * (factor * scores - mixed)  # of a score by each logit
    slopes = [
        np.einsum("snk,sn->nk", pull, user),
        np.einsum("snk,snk->nk", pull, items),
        mixed,
    ]
    listed = np.where(valid, mixed, -np.inf)
    surprise = logsumexp(listed, axis=1) - mixed[:, 0]
    blame = softmax(listed, axis=1)
    blame[:, 0] -= 1
    gradient = [np.einsum("nk,nk->", blame, slope) / len(mixed) for slope in slopes]
    return float(surprise.mean()), np.array(gradient)


def _answers_of_shards(
    models: list[Any], questions: Questions
) -> Iterator[tuple[Questions, NDArray[Any], NDArray[np.bool_]]]:
    """Yield some questions, the scores of all shards, and which shards are asked."""
    known = np.array([model is not None for model in models])
    n_items = questions.rows.shape[1]
    step = max(1, _CELLS_AT_ONCE // (n_items * len(models)))
    for start in range(0, len(questions), step):
        part = questions.part(slice(start, start + step))
        scores = np.zeros((len(models), len(part), n_items))
        for shard in np.flatnonzero(known):
            scores[shard] = shard_scores(models[shard], part.rows)
        asked = np.tile(known[:, None], len(part))
        asked[part.shards, np.arange(len(part))] = False
        yield part, scores, asked


def _lessons(
    models: list[Any], table: NDArray[np.float64], questions: Questions
) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield what the loss takes, each answer first among the items drawn."""
    for part, scores, asked in _answers_of_shards(models, questions):
        compared = np.column_stack([part.answers, part.drawn])
        valid = compared >= 0
        of = np.arange(len(part))[:, None]
        user = affinities(part.rows, table).T
        yield scores[:, of, compared], user, table[:, compared], asked, valid[None]


def _discounts(
    models: list[Any],
    table: NDArray[np.float64],
    questions: Questions,
    weights: NDArray[np.float64],
) -> Iterator[NDArray[np.float64]]:
    """Yield discounted ranks of the answers, higher is better, for each share of the weights."""
    for part, scores, asked in _answers_of_shards(models, questions):
        user, of = affinities(part.rows, table).T, np.arange(len(part))
        rivals = part.rivals()
        values = []
        for share in _SHARES:
            side_user = np.where(asked, np.exp(share * weights[0] * user), 0.0)
            side_item = np.exp(share * weights[1] * table)
            mixed = np.zeros(rivals.shape)
            for one, other, of_shard in zip(side_user, side_item, scores, strict=True):
                mixed += one[:, None] * other * of_shard
            mixed /= side_user.T @ side_item
            above = rivals & (mixed >= mixed[of, part.answers][:, None])
            values.append(1 / np.log2(2 + above.sum(axis=1)))
        yield np.array(values)
