"""How good a model is: its certificate, and its scores on held-out interactions."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from sklearn_unlearn.benchmarks.data._datasets import Problem
from sklearn_unlearn.benchmarks.data._forget_sets import Request
from sklearn_unlearn.metrics import ndcg_at_k, recall_at_k

__all__ = ["MAX_LISTS", "certificate_of", "n_users_of", "quality", "report_of"]

#: Lists of more users than these are not compared.
MAX_LISTS = 1000


def n_users_of(model: Any) -> int:
    """Return the number of users of a fitted model."""
    if hasattr(model, "user_factors_"):
        return len(model.user_factors_)
    if hasattr(model, "_interactions"):
        return int(model._interactions.n_users)
    raise TypeError(
        f"Got a fitted {type(model).__name__} that does not tell its number of users; expected "
        "user_factors_, or interactions. Build it on RecommenderMixin of sklearn_unlearn.base."
    )


def certificate_of(model: Any) -> dict[str, Any] | None:
    """Return the certificate as a dict, None for models that have none."""
    return model.certify().to_dict() if hasattr(model, "certify") else None


def report_of(model: Any) -> dict[str, Any] | None:
    """Return the report of the last request as a dict, None for models that have none."""
    report = getattr(model, "forget_report_", None)
    return None if report is None else report.to_dict()


def quality(model: Any, problem: Problem, request: Request | None = None) -> dict[str, Any]:
    """Measure a model on the test part: AUC of labels, RMSE of ratings, recall@20 of the observed.

    Of the observed ``test_ndcg`` is ndcg@20 as well.

    With a request also on the test pairs whose user *or* item it touches, and on those whose user
    *and* item it touches; recall and ndcg, which need whole lists, then come from a draw of users.
    """
    if problem.implicit:
        return _of_lists(model, problem, n_users=None if request is None else MAX_LISTS)
    users, items, values = problem.test
    groups = {"test": np.ones(len(users), bool)}
    if request is not None:
        touched = np.isin(users, request.users), np.isin(items, request.items)
        groups |= {"test_or": touched[0] | touched[1], "test_and": touched[0] & touched[1]}
    scores = model.predict_pairs((users, items))
    return {
        name: _metric(values[mask], scores[mask], problem.labels) for name, mask in groups.items()
    }


def _of_lists(model: Any, problem: Problem, n_users: int | None) -> dict[str, float | None]:
    users, items, _ = problem.test
    # In copies of the data nobody knows to which copy of an item the test part belongs.
    copied = n_users_of(model) != problem.X.shape[0]
    if copied or not len(users):
        return {"test": None, "test_ndcg": None}
    tested = np.unique(users)
    if n_users is not None and len(tested) > n_users:
        tested = np.sort(np.random.default_rng(0).choice(tested, n_users, replace=False))
    X_test = sparse.csr_array((np.ones(len(users)), (users, items)), shape=problem.X.shape)
    return {
        "test": recall_at_k(model, X_test, 20, users=tested),
        "test_ndcg": ndcg_at_k(model, X_test, 20, users=tested),
    }


def _metric(values: Any, scores: Any, labels: bool) -> float | None:
    if labels:
        return float(roc_auc_score(values > 0, scores)) if len(np.unique(values)) == 2 else None
    return float(root_mean_squared_error(values, scores)) if len(values) else None
