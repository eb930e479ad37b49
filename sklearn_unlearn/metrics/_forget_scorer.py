"""Scorers of forgetting: what a search over forget settings maximises."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import joblib
import numpy as np

from sklearn_unlearn.metrics._gap import remaining_gap
from sklearn_unlearn.metrics._parts import forgetting_part, innermost_recommender, parts_of
from sklearn_unlearn.metrics._scores import catalogue_shape
from sklearn_unlearn.utils._validation import as_pairs
from sklearn_unlearn.utils._verbs import lock_of

__all__ = ["make_forget_scorer"]

# Which field of the report a measure reads; the gap needs the models.
_FIELDS = {"residual": "residual", "seconds": "seconds", "rows": "n_rows_updated"}
_MEASURES = ("gap", *_FIELDS)
_PAIRS = ("affected", "all")
# One for each split of a cross-validation, so that every candidate finds the refit of its split.
_N_KEPT = 8


class ForgetScorer:
    """What `make_forget_scorer` returns: call it as ``scorer(estimator, request)``."""

    def __init__(self, measures: str | tuple[str, ...], reference: Any, pairs: str) -> None:
        self.measures, self.reference, self.pairs = measures, reference, pairs
        self._start_empty()

    def _start_empty(self) -> None:
        self._refits: OrderedDict[str, Any] = OrderedDict()

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float | dict[str, float]:
        """Let a copy of a fitted estimator forget `X`; higher is better, `y` is ignored."""
        model = forgetting_part(estimator)
        _check_forgets(model)
        after = copy.deepcopy(model)
        report_before = getattr(innermost_recommender(after), "forget_report_", None)
        after.forget(X)
        report = getattr(innermost_recommender(after), "forget_report_", None)
        if report is None or report is report_before:
            raise ValueError(
                "the request holds nothing to forget; expected at least one interaction. Use "
                "larger test parts."
            )
        names = (self.measures,) if isinstance(self.measures, str) else self.measures
        scores = {}
        for name in names:
            loss = self._gap(model, after, X) if name == "gap" else _read(report, name)
            scores[f"neg_{name}"] = -loss
        return scores if isinstance(self.measures, tuple) else scores[f"neg_{names[0]}"]

    def _gap(self, before: Any, after: Any, X: Any) -> float:
        pairs = _positions(before, X)
        refit = self.reference
        if refit is None:
            refit = self._refit(before, X, pairs)
        elif hasattr(refit, "predict_pairs") or hasattr(refit, "steps"):
            refit = innermost_recommender(refit)
        affected: Any = {"users": np.unique(pairs[:, 0]), "items": np.unique(pairs[:, 1])}
        return remaining_gap(
            innermost_recommender(before),
            innermost_recommender(after),
            refit,
            **(affected if self.pairs == "affected" else {}),
        )

    def _refit(self, model: Any, X: Any, pairs: np.ndarray) -> Any:
        """Return the recommender fitted anew on what remains, made once for each request."""
        recommender = innermost_recommender(model)
        _check_can_refit(recommender)
        # How it forgets makes no difference to the refit: candidates of a search share it.
        state = {key: value for key, value in vars(recommender).items() if key != "unlearner"}
        key = joblib.hash((type(recommender).__name__, state, np.unique(pairs, axis=0)))
        # One refit at a time: threads that score other candidates wait for it and share it.
        with lock_of(self):
            if key not in self._refits:
                twin = copy.deepcopy(model)
                innermost_recommender(twin).set_params(unlearner="refit")
                self._refits[key] = innermost_recommender(twin.forget(X))
            self._refits.move_to_end(key)
            while len(self._refits) > _N_KEPT:
                self._refits.popitem(last=False)
            return self._refits[key]

    def __getstate__(self) -> dict[str, Any]:
        # The models kept do not belong into a pickle or a copy.
        return {name: vars(self)[name] for name in ("measures", "reference", "pairs")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_empty()

    def __repr__(self) -> str:
        reference = "" if self.reference is None else ", reference=..."
        pairs = "" if self.pairs == "affected" else f", pairs={self.pairs!r}"
        return f"make_forget_scorer({self.measures!r}{reference}{pairs})"


def make_forget_scorer(
    measures: str | tuple[str, ...] = "gap", *, reference: Any = None, pairs: str = "affected"
) -> ForgetScorer:
    """Make a scorer of how a fitted model forgets, for ``scoring=`` of a search.

    The data that a search scores on are the *request*: a copy of the fitted estimator forgets them,
    and what is measured is what that left behind and what it took. Together with
    ``UnlearningRecommender(FrozenEstimator(model), ...)``, whose `fit` trains nothing, a search
    over forget settings costs at most one training for each split, the refit to compare with.

    Parameters
    ----------
    measures : {"gap", "residual", "seconds", "rows"} or tuple of these, default="gap"
        - "gap": `remaining_gap` between the model before, after, and fitted anew on what remains;
        - "residual": ``forget_report_.residual``, which needs no refit;
        - "seconds": ``forget_report_.seconds``;
        - "rows": ``forget_report_.n_rows_updated``.

        One name makes the scorer return a number, a tuple a dict with the keys "neg_gap" and so
        on, which searches take as several metrics. Higher is better: measures are negated.

    reference : recommender, pipeline or array of shape (n_users, n_items), default=None
        The model that never knew the request, or its scores, for "gap". It fits one request only,
        so the search must have a single split. None: a copy of the model forgets the same request
        with ``unlearner="refit"``.

    pairs : {"affected", "all"}, default="affected"
        Which (user, item) pairs "gap" compares: those of a user or of an item that loses an
        interaction, or all. An average over everybody hides a small request.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None) -> float or dict``. X is what the estimator's ``forget``
        takes: (n, 2) positions for recommenders, events for pipelines.

    Raises
    ------
    ValueError
        If a parameter is none of the above. The scorer raises what ``forget`` raises, and
        ValueError if the request is empty, or if there is no way to a refit or no value to report.

    See Also
    --------
    sklearn_unlearn.UnlearningRecommender : The estimator to search over.

    Notes
    -----
    The scorer keeps the refits of the last 8 requests and models, so that all candidates of a
    search share them, also across threads. They are not pickled and not copied: of a search with
    several processes, each refits for itself, which `reference` spares.

    Of pipelines over ids the recommenders inside are compared, by position.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.model_selection import GridSearchCV, ShuffleSplit
    >>> from sklearn_unlearn import MatrixFactorization, UnlearningRecommender
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.influence import InfluenceUnlearner
    >>> from sklearn_unlearn.metrics import make_forget_scorer
    >>> from sklearn_unlearn.pruning import ImportancePruner
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
    >>> step = InfluenceUnlearner(ImportancePruner(), n_steps=1, tol=None)
    >>> search = GridSearchCV(
    ...     UnlearningRecommender(FrozenEstimator(model), step),
    ...     {"unlearner__pruner__keep_ratio": [0.1, 0.5, 1.0]},
    ...     scoring=make_forget_scorer("gap"),
    ...     cv=ShuffleSplit(n_splits=1, test_size=0.01, random_state=0),
    ... )
    >>> search.fit(np.argwhere(X.toarray())).best_params_
    {'unlearner__pruner__keep_ratio': 1.0}
    """
    names = (measures,) if isinstance(measures, str) else measures
    listed = isinstance(names, tuple | list) and len(names) > 0
    if not listed or any(name not in _MEASURES for name in names):
        raise ValueError(
            f"measures={measures!r}; expected one or several of {', '.join(map(repr, _MEASURES))}. "
            "Pass a name, or a tuple of names."
        )
    if pairs not in _PAIRS:
        raise ValueError(
            f"pairs={pairs!r}; expected one of {', '.join(map(repr, _PAIRS))}. Choose one of these."
        )
    return ForgetScorer(measures if isinstance(measures, str) else tuple(names), reference, pairs)


def _positions(model: Any, X: Any) -> np.ndarray:
    """Return the (user, item) positions of a request."""
    encoder = parts_of(model).encoder
    if encoder is not None:
        return encoder.encode_pairs(X)
    shape = catalogue_shape(innermost_recommender(model))
    n_users, n_items = (np.iinfo(np.int64).max if size is None else size for size in shape)
    return np.column_stack(as_pairs(X, (n_users, n_items), "X"))


def _read(report: Any, measure: str) -> float:
    value = getattr(report, _FIELDS[measure], None)
    if value is None:
        raise ValueError(
            f"the report of the request has no {_FIELDS[measure]}; expected one for the measure "
            f"{measure!r}. Choose another measure for this model."
        )
    return float(value)


def _check_forgets(model: Any) -> None:
    if not hasattr(model, "forget"):
        raise TypeError(
            f"{type(model).__name__} has no forget; expected a recommender that forgets, or a "
            "RecommenderPipeline of one. Use make_ranking_scorer for other models."
        )


def _check_can_refit(recommender: Any) -> None:
    params = recommender.get_params(deep=False) if hasattr(recommender, "get_params") else ()
    if "unlearner" not in params:
        raise ValueError(
            f"{type(recommender).__name__} has no parameter unlearner, so it cannot be asked for a "
            "refit; expected one, or a reference. Pass reference=, a model fitted without the "
            "request."
        )
