"""Figure of what a request left behind, by groups of pairs."""

from __future__ import annotations

from typing import Any

from sklearn_unlearn.metrics import ForgetGap, forget_gap
from sklearn_unlearn.plotting._axes import (
    BLUE,
    GAP_LABEL,
    GREY,
    NOTHING,
    REFITS,
    VERMILION,
    drawn,
    legend_above,
    new_axes,
)

__all__ = ["ForgetGapDisplay"]

_LABELS = {
    "pairs": "forgotten pairs",
    "affected": "affected users and items",
    "neighbours": "users who share an item",
    "all": "all pairs",
}


class ForgetGapDisplay:
    """How far a model that forgot is from a refit, for the pairs of a request and for all.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    gap : ForgetGap
        What `metrics.forget_gap` found.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.

    lines_ : dict of str to matplotlib Line2D
        "forgotten", "nothing" and, if there is one, "floor".

    See Also
    --------
    sklearn_unlearn.metrics.forget_gap : The numbers.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.plotting import ForgetGapDisplay
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
    >>> display = ForgetGapDisplay.from_estimator(model, users=[7])
    >>> display.ax_.get_xlabel()
    "difference from a refit (share of the request's effect)"
    """

    def __init__(self, gap: ForgetGap) -> None:
        self.gap = gap

    @classmethod
    def from_estimator(
        cls, estimator: Any, interactions: Any = None, *, ax: Any = None, **options: Any
    ) -> ForgetGapDisplay:
        """Let a copy of a fitted model forget, compare it with a refit, and draw.

        Parameters
        ----------
        estimator : recommender
            As `metrics.forget_gap` takes it. It is not changed.

        interactions : default=None
            The request, or a part of it, in every form that `forget` takes.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **options : dict
            Further keywords of `metrics.forget_gap`: `users`, `items`, `refit`, `other_refit` ...

        Returns
        -------
        display : ForgetGapDisplay
        """
        return cls(forget_gap(estimator, interactions, **options)).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        before: Any,
        after: Any,
        refit: Any,
        interactions: Any = None,
        *,
        X: Any,
        ax: Any = None,
        **options: Any,
    ) -> ForgetGapDisplay:
        """Compare scores, and draw.

        Parameters
        ----------
        before, after, refit : array of shape (n_users, n_items)
            Scores of the model as first fitted, after the request, and fitted without it.

        interactions : default=None
            The request, or a part of it, in every form that `forget` takes.

        X : {array, sparse} of shape (n_users, n_items)
            What the model was fitted on.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **options : dict
            Further keywords of `metrics.forget_gap`.

        Returns
        -------
        display : ForgetGapDisplay
        """
        found = forget_gap(before, interactions, after=after, refit=refit, X=X, **options)
        return cls(found).plot(ax=ax)

    def plot(self, ax: Any = None) -> ForgetGapDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ForgetGapDisplay
            Itself.

        Raises
        ------
        ImportError
            If there is no `ax`, and matplotlib is not installed.
        """
        ax = new_axes(ax, (6.4, 2.8))
        groups, rows = self.gap.groups, range(len(self.gap.groups))
        values = [group.gap for group in groups.values()]
        floors = [group.floor for group in groups.values()]
        line = ax.axvline(1.0, color=VERMILION, linestyle="--", label=NOTHING)
        self.lines_ = {"nothing": line}
        if None not in floors:
            [self.lines_["floor"]] = ax.plot(
                drawn(floors), rows, "|", color=GREY, markersize=16, label=REFITS
            )
        [self.lines_["forgotten"]] = ax.plot(
            drawn(values), rows, "o", color=BLUE, label="after forget"
        )
        for row, value in zip(rows, values, strict=True):
            ax.annotate(
                f"{value:.1e}",
                (float(drawn(value)), row),
                (0, 7),
                textcoords="offset points",
                ha="center",
                fontsize="small",
            )
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        ax.set_xlim(low / 2, max(high, 3.0))
        ax.set_yticks(rows, labels=[_LABELS[name] for name in groups])
        ax.set_ylim(len(groups) - 0.5, -0.6)
        ax.set_xlabel(GAP_LABEL)
        legend_above(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
