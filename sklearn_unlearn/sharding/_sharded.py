"""ShardedRecommender: an ensemble in which a request changes few members."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn._learn_request import NewInteractions
from sklearn_unlearn.base import ForgetMixin, LearnMixin, RecommenderMixin
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.sharding._aggregation import combine, familiarity, gates_of
from sklearn_unlearn.sharding._attention import learn_attention
from sklearn_unlearn.sharding._loaded import check_ensemble
from sklearn_unlearn.sharding._partitions import KINDS, Partition, make_partition
from sklearn_unlearn.sharding._questions import draw_questions
from sklearn_unlearn.sharding._reports import merge_reports
from sklearn_unlearn.sharding._tasks import fit_shards, grow_shards, in_shards
from sklearn_unlearn.utils._compat import HasMethods, Interval, StrOptions, _fit_context
from sklearn_unlearn.utils._random import draw_seed
from sklearn_unlearn.utils._tags import get_forget_tags, with_forget_tags
from sklearn_unlearn.utils._verbs import restored_on_failure

__all__ = ["ShardedRecommender"]


def _is_unfinished(model: Any) -> bool:
    """Tell a model that was to converge and did not; `max_iter` of 0 asks for no convergence."""
    return not getattr(model, "converged_", True) and bool(getattr(model, "max_iter", True))


def _has_score(self: Any) -> bool:
    return hasattr(self.estimator, "score")


class ShardedRecommender(
    MetaEstimatorMixin, RecommenderMixin, LearnMixin, ForgetMixin, BaseEstimator
):
    """An ensemble of recommenders, each fitted to a part of the data, so that requests stay local.

    The interactions are divided into shards, and a clone of `estimator` is fitted to each (SISA
    [1]_). A request changes only the models of the shards that hold something of it. Every model
    scores every row, by folding it in, and the scores are averaged, or weighed by attention
    (RecEraser [2]_). Positions mean the same in all shards.

    Parameters
    ----------
    estimator : recommender
        What is fitted to each shard; it never is fitted itself.

    n_shards : int, default=10
        How many shards. Some may be empty; those have no model and no say.

    partition : {"hash", "random", "user", "item", "interaction"}, default="hash"
        Who goes to which shard. "hash": a hash of the user's position decides. "random": users are
        dealt in turn, in random order, so that shards have equally many. No data can change these
        two. The others put similar users, items or interactions together, in balanced clusters of
        their embeddings [2]_: a better start for attention, but learned from data that may have to
        be forgotten. An item partition takes the score of each item from its own shard.

    aggregation : {"mean", "attention"}, default="mean"
        How scores are joined. "attention" listens more to the shards that know a row's items and
        the item to be scored, as far as training data show that this ranks better than the mean;
        it is learned again at each request. An item partition leaves nothing to attend to.

    method : {"forget", "refit"}, default="forget"
        Whether the models of touched shards forget, as they do, or are fitted again.

    random_state : int, RandomState, Generator or None, default=None
        Seed of partition and attention, and of what `estimator` would draw if its own is no
        integer. The seed drawn is kept.

    n_jobs : int or None, default=None
        Shards that are fitted, or forget, at once, as in joblib: None is 1 unless in a
        `joblib.parallel_config` block. Results do not depend on it.

    Attributes
    ----------
    estimators_ : list of recommender or None, one a shard
        The fitted models; None for a shard without interactions.

    shard_sizes_ : ndarray of int64, shape (n_shards,)
        Interactions of each shard.

    attention_ : ndarray of shape (2,)
        Weights of the affinity of a row to a shard and of the familiarity of an item to it; zero is
        the mean. Only there with attention.

    forget_report_, learn_report_ : ForgetReport
        What the last request to forget, and the last to learn or rectify, did; only there after
        such. The guarantee is the weakest of those
        of the shards, and "exact" only if neither partition nor aggregation was learned. Rows and
        products are sums over shards, steps and residual those of the worst.

    n_features_in_ : int
        Number of items.

    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items; only there if X had string names.

    Notes
    -----
    Where shards are fitted is joblib's affair::

        with joblib.parallel_config(backend="loky", n_jobs=4):  # processes of this machine
            model.fit(X)

        client = distributed.Client(address)  # a Dask cluster
        with joblib.parallel_config(backend="dask"):
            model.fit(X)

    A shard travels inside its task, so once; if a Dask worker dies, the scheduler sends the task to
    another one and nothing is lost. A task that outlives as many workers as
    ``distributed.scheduler.allowed-failures`` says is given up. Whatever goes wrong, the model
    stays as it was. A request that touches one shard is answered where it is made.

    References
    ----------
    .. [1] Bourtoule et al., "Machine Unlearning", IEEE Symposium on Security and Privacy 2021.
    .. [2] Chen, Sun, Zhang and Ding, "Recommendation Unlearning", WWW 2022.

    Examples
    --------
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.sharding import ShardedRecommender
    >>> X = abs(make_interactions(60, 40, random_state=0))
    >>> model = ShardedRecommender(ALS(8, random_state=0), n_shards=3, random_state=0).fit(X)
    >>> items, scores = model.recommend(users=[7], n_items=3)
    >>> items.shape
    (1, 3)
    >>> model.forget(users=[7]).forget_report_.status
    '1 of 3 shards changed; ...'
    >>> again = model.set_params(method="refit").forget(users=[8])
    >>> again.forget_report_.guarantee
    'exact'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "estimator": [HasMethods(["fit", "forget", "decision_function"])],
        "n_shards": [Interval(Integral, 1, None, closed="left")],
        "partition": [StrOptions(set(KINDS))],
        "aggregation": [StrOptions({"mean", "attention"})],
        "method": [StrOptions({"forget", "refit"})],
        "random_state": [object],  # draw_seed takes more forms, and its errors say what to do
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        estimator: Any,
        n_shards: int = 10,
        *,
        partition: str = "hash",
        aggregation: str = "mean",
        method: str = "forget",
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.n_shards = n_shards
        self.partition = partition
        self.aggregation = aggregation
        self.method = method
        self.random_state = random_state
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Divide the interactions and fit a model to each shard.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            What `estimator` takes.

        y : None
            Ignored.

        **fit_params : dict
            ``sample_weight``, array-like of shape (n_users,), for estimators that take it: how many
            users each row stands for. Weight 0 means never trained on. A row of weight 2 is in one
            shard, where two rows may be in two: only in this do they differ.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            For other parameters than ``sample_weight``.

        ValueError
            If X holds no interaction at all, or what `estimator` refuses.

        Warns
        -----
        NotConvergedWarning
            If the model of any shard says that it has not converged.
        """
        unknown = sorted(set(fit_params) - {"sample_weight"})
        if unknown:
            raise TypeError(
                f"fit got the parameters {', '.join(unknown)}; expected sample_weight or none. "
                "Set other parameters on the estimator."
            )
        with restored_on_failure(self):
            with self._threads():
                state = self._fit(X, **fit_params)
            for name in ("forget_report_", "learn_report_", "attention_", "_familiarity"):
                self.__dict__.pop(name, None)
            self.__dict__.update(state)
        return self

    def _fit(self, X: Any, sample_weight: Any = None) -> dict[str, Any]:
        data = self._check_training_data(X, sample_weight)
        seed = draw_seed(self.random_state)
        partition = make_partition(self.partition, data, self.n_shards, seed)
        sizes = np.bincount(partition.of(data), minlength=self.n_shards)
        models = fit_shards(self.estimator, data, partition, np.flatnonzero(sizes), self.n_jobs)
        estimators = [models.get(shard) for shard in range(self.n_shards)]
        unfinished = sum(_is_unfinished(one) for one in models.values())
        if unfinished:
            warnings.warn(
                f"{unfinished} of {len(models)} shards did not converge. Raise max_iter of the "
                "estimator, raise its regularization, or loosen its tol.",
                NotConvergedWarning,
                stacklevel=4,  # past `fit` and scikit-learn's wrapper of it
            )
        state = {
            "estimators_": estimators,
            "shard_sizes_": sizes,
            "_partition": partition,
            "_interactions": data,
        }
        # An item partition leaves nothing to attend to: each item is known to one shard.
        if self.aggregation == "attention" and partition.axis != "item":
            state.update(self._attend(estimators, data, partition))
        return state

    def _attend(
        self, models: list[Any], data: Interactions, partition: Partition
    ) -> dict[str, Any]:
        """Learn attention: the attributes that belong to it."""
        implicit = get_tags(self.estimator).input_tags.positive_only
        questions = draw_questions(data, partition, partition.seed, implicit=implicit)
        table = familiarity(partition.item_counts(data))
        return {"attention_": learn_attention(models, questions, table), "_familiarity": table}

    @available_if(_has_score)
    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of what the models of the shards say of their own scores.

        Parameters
        ----------
        X : sparse container or array-like, shape (n, n_items)
            Interactions of the rows.

        y : None
            Ignored.

        Returns
        -------
        score : float
            Higher is better; 0 if there is no model left. The ensemble ranks better than its parts:
            rank held-out items with `sklearn_unlearn.metrics` to judge it.
        """
        check_is_fitted(self)
        models = [model for model in self.estimators_ if model is not None]
        return float(np.mean([model.score(X) for model in models])) if models else 0.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if hasattr(self.estimator, "__sklearn_tags__"):
            tags.input_tags = copy.deepcopy(get_tags(self.estimator).input_tags)
            tags.input_tags.sparse = True
            tags = with_forget_tags(tags, copy.deepcopy(get_forget_tags(self.estimator)))
        tags.forget_tags.exact = (
            (tags.forget_tags.exact or self.method == "refit")
            and self.partition in ("hash", "random")
            and self.aggregation == "mean"
        )
        return tags

    # -- what the ensemble is made of --------------------------------------------------------------
    def _memory_needed(self, n_users: int, n_items: int, n_stored: int) -> int:
        needed = getattr(self.estimator, "_memory_needed", None)
        one = needed(n_users, n_items, -(-n_stored // self.n_shards)) if needed else 0
        return 4 * n_users + int(one) * self.n_shards

    def _check_loaded(self, state: Mapping[str, Any]) -> None:
        check_ensemble(self, state)

    # -- hooks of the mixins -----------------------------------------------------------------------
    def _forget(self, retained: Interactions, request: ForgetRequest) -> dict[str, Any]:
        data = self._interactions
        labels = (
            self._partition.of(data, request.positions),
            self._partition.of_new(retained, request),
        )
        partition = self._partition.after(retained, request)
        lost, gained = (np.bincount(side, minlength=partition.n_shards) for side in labels)
        sizes = self.shard_sizes_ - lost + gained
        changed = np.flatnonzero(lost + gained)
        left = changed[sizes[changed] > 0]
        # A shard that was empty has no model that could learn.
        fresh = left if self.method == "refit" else left[self.shard_sizes_[left] == 0]
        models = fit_shards(self.estimator, retained, partition, fresh, self.n_jobs)
        n_rows = partition.count_rows(retained)[fresh].sum() if len(fresh) else 0
        rest = np.setdiff1d(left, fresh)
        done = in_shards(self.estimators_, data, retained, request, labels, rest, self.n_jobs)
        reports = [report for _, report in done.values()]
        models.update({shard: model for shard, (model, _) in done.items()})
        estimators = list(self.estimators_)
        for shard in changed.tolist():
            estimators[shard] = models.get(shard)
        state = {"estimators_": estimators, "shard_sizes_": sizes, "_partition": partition}
        if "attention_" in self.__dict__:
            state.update(self._attend(estimators, retained, partition))
        state["forget_report_"] = merge_reports(
            reports,
            request,
            method=self.method,
            n_touched=len(changed),
            n_shards=partition.n_shards,
            learned=partition.learned,
            attention="attention_" in state,
            n_rows_refitted=int(n_rows),
        )
        return state

    def _grown(self, data: Interactions) -> dict[str, Any]:
        partition = self._partition.grown(data.shape)
        state = {
            "estimators_": grow_shards(self.estimators_, data.shape),
            "_partition": partition,
        }
        if "_familiarity" in self.__dict__:
            state["_familiarity"] = familiarity(partition.item_counts(data))
        return state

    def _check_new(self, new: NewInteractions) -> None:
        if not hasattr(self.estimator, "rectify"):
            raise TypeError(
                f"the estimator is a {type(self.estimator).__name__}; expected one that has learn "
                "and rectify. Fit again, or choose another estimator."
            )
        super()._check_new(new)

    def _score_rows(self, X: Any) -> NDArray[Any]:
        gates = None
        if "_familiarity" in self.__dict__:
            gates = gates_of(X, self._familiarity, self.attention_)
        by_item = self._partition.axis == "item"
        labels = self._partition.labels if by_item else None
        return combine(self.estimators_, X, item_labels=labels, gates=gates)
