"""Figure of what is left behind after many requests, one after the other."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_unlearn.metrics import forget_gap
from sklearn_unlearn.plotting._axes import (
    BLUE,
    GREY,
    NOTHING,
    REFITS,
    VERMILION,
    drawn,
    legend_above,
    new_axes,
)

__all__ = ["SequentialForgetDisplay"]


class SequentialForgetDisplay:
    """Remaining gap after a number of requests: whether errors add up.

    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    n_requests : sequence of int
        Requests answered at each comparison, ascending.

    gaps : sequence of float
        Share left then of the effect of all requests so far, as by `metrics.remaining_gap`.

    floors : sequence of float, default=None
        Gaps of another refit at the same places; None leaves them out.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.

    lines_ : dict of str to matplotlib Line2D
        "forgotten", "nothing" and, if there are any, "floor".

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.model_selection import sample_forget_set
    >>> from sklearn_unlearn.plotting import SequentialForgetDisplay
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
    >>> requests = sample_forget_set(X, "pairs", 40, random_state=0).batches(8)
    >>> display = SequentialForgetDisplay.from_estimator(model, requests)
    >>> display.n_requests
    [2, 4, 6, 8]
    """

    def __init__(
        self,
        n_requests: Sequence[int],
        gaps: Sequence[float],
        floors: Sequence[float] | None = None,
    ) -> None:
        lengths = {len(n_requests), len(gaps), len(gaps if floors is None else floors)}
        if len(lengths) > 1 or not len(gaps):
            raise ValueError(
                f"n_requests and gaps have lengths {len(n_requests)} and {len(gaps)}; expected one "
                "entry for each comparison, and at least one. Pass sequences of one length."
            )
        self.n_requests, self.gaps = list(n_requests), list(gaps)
        self.floors = None if floors is None else list(floors)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        requests: Sequence[dict[str, Any]],
        *,
        n_refits: int = 4,
        group: str = "affected",
        X: Any = None,
        ax: Any = None,
    ) -> SequentialForgetDisplay:
        """Let a copy of a fitted model answer requests, compare it with refits, and draw.

        Parameters
        ----------
        estimator : recommender
            Fitted. It is not changed.

        requests : sequence of dict
            Keywords of ``forget``, as `ForgetSet.batches` gives: users, items or (n, 2) arrays of
            interactions.

        n_refits : int, default=4
            Comparisons, evenly spread; the last one is at the end. 4 is the protocol of ERASE: a
            refit after each quarter of the requests.

        group : {"affected", "neighbours", "all"}, default="affected"
            Which pairs are compared, see `metrics.forget_gap`.

        X : {array, sparse} of shape (n_users, n_items), default=None
            What the model was fitted on; None: what it keeps.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : SequentialForgetDisplay

        Raises
        ------
        ValueError
            If there are fewer requests than refits, or no refit.
        """
        if not 0 < n_refits <= len(requests):
            raise ValueError(
                f"n_refits={n_refits} and there are {len(requests)} requests; expected from 1 up "
                "to that. Pass more requests, or fewer refits."
            )
        ends = np.unique(np.ceil(np.arange(1, n_refits + 1) * len(requests) / n_refits).astype(int))
        model, gaps, done = copy.deepcopy(estimator), [], 0
        for end in ends:
            for request in requests[done:end]:
                model.forget(**request)
            done = int(end)
            found = forget_gap(estimator, **_united(requests[:done]), after=model, X=X)
            gaps.append(found.groups[group].gap)
        return cls(ends.tolist(), gaps).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        n_requests: Sequence[int],
        gaps: Sequence[float],
        floors: Sequence[float] | None = None,
        *,
        ax: Any = None,
    ) -> SequentialForgetDisplay:
        """Draw what was measured elsewhere.

        Parameters
        ----------
        n_requests, gaps, floors
            As of the class.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : SequentialForgetDisplay
        """
        return cls(n_requests, gaps, floors).plot(ax=ax)

    def plot(self, ax: Any = None) -> SequentialForgetDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : SequentialForgetDisplay
            Itself.

        Raises
        ------
        ImportError
            If there is no `ax`, and matplotlib is not installed.
        """
        ax = new_axes(ax, (6.4, 3.4))
        line = ax.axhline(1.0, color=VERMILION, linestyle="--", label=NOTHING)
        self.lines_ = {"nothing": line}
        if self.floors is not None:
            [self.lines_["floor"]] = ax.plot(
                self.n_requests, drawn(self.floors), "s:", color=GREY, label=REFITS
            )
        [self.lines_["forgotten"]] = ax.plot(
            self.n_requests, drawn(self.gaps), "o-", color=BLUE, label="after forget, one by one"
        )
        ax.set_yscale("log")
        ax.set_xlim(0, None)
        ax.set_xlabel("requests answered")
        ax.set_ylabel("difference from a refit\n(share of the requests' effect)")
        legend_above(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _united(requests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one request of all."""
    names = dict.fromkeys(name for request in requests for name in request)
    return {
        name: np.concatenate([np.asarray(one[name]) for one in requests if name in one])
        for name in names
    }
