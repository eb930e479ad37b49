"""Figure of whether forgotten models can be told from refits with other seeds."""

from __future__ import annotations

from typing import Any

from sklearn_unlearn.metrics import SeedTestResult, seed_test
from sklearn_unlearn.plotting._axes import new_axes

__all__ = ["SeedTestDisplay"]


class SeedTestDisplay:
    """AUC of telling forgotten models from refits, by groups of pairs.

    Parameters
    ----------
    result : SeedTestResult
        What `metrics.seed_test` found.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.plotting import SeedTestDisplay
    >>> X = make_interactions(40, 30, feedback="implicit", random_state=0)
    >>> model = ALS(4, alpha=10.0, regularization=2.0, n_sweeps=3, max_iter=0)
    >>> pairs = np.argwhere(X.toarray())[::20]
    >>> display = SeedTestDisplay.from_estimator(
    ...     model, X, pairs, n_seeds=10, forget=lambda model, request: model
    ... )
    >>> display.result.n_seeds
    10
    """

    def __init__(self, result: SeedTestResult) -> None:
        self.result = result

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, interactions: Any = None, *, ax: Any = None, **options: Any
    ) -> SeedTestDisplay:
        """Train the ensembles, compare them, and draw.

        Parameters
        ----------
        estimator : recommender
            As `metrics.seed_test` takes it.

        X : {array, sparse} of shape (n_users, n_items)
            Interactions.

        interactions : default=None
            The request, or a part of it, in every form that `forget` takes.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **options : dict
            Further keywords of `metrics.seed_test`: `users`, `items`, `n_seeds`, `n_jobs` ...

        Returns
        -------
        display : SeedTestDisplay
        """
        return cls(seed_test(estimator, X, interactions, **options)).plot(ax=ax)

    def plot(self, ax: Any = None) -> SeedTestDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : SeedTestDisplay
            Itself.

        Raises
        ------
        ImportError
            If there is no `ax`, and matplotlib is not installed.
        """
        ax = new_axes(ax, (6.8, 3.2))
        self.ax_ = self.result.plot(ax)
        self.figure_ = self.ax_.figure
        return self
