"""Figure of what ways to forget leave behind over what they take."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_unlearn.metrics import forget_gap
from sklearn_unlearn.metrics._parts import innermost_recommender
from sklearn_unlearn.plotting._axes import (
    GREY,
    NOTHING,
    REFITS,
    STYLES,
    VERMILION,
    drawn,
    new_axes,
    whole_decades,
)

__all__ = ["ForgetTradeoffDisplay"]


class ForgetTradeoffDisplay:
    """Remaining gap of several ways to forget, over their time.

    Down and to the left is better; beyond the time of the refit, nobody needs to forget.
    Make it by `from_estimator` or `from_predictions`.

    Parameters
    ----------
    names : sequence of str
        The ways, in the order of the legend.

    gaps : sequence of float
        Share of the request's effect that each leaves, as by `metrics.remaining_gap`.

    seconds : sequence of float
        Wall time of each.

    refit_seconds : float, default=None
        Wall time of the refit; None leaves its line out.

    floor : float, default=None
        Gap of another refit; None leaves its line out.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where it was drawn.

    lines_ : dict of str to matplotlib Line2D
        By name, and "nothing", "refit" and "floor".

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.plotting import ForgetTradeoffDisplay
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
    >>> ways = {"Newton": "influence", "sweeps": "sweep"}
    >>> display = ForgetTradeoffDisplay.from_estimator(model, ways, users=[7])
    >>> display.ax_.get_xlabel()
    'time to forget (seconds)'
    """

    def __init__(
        self,
        names: Sequence[str],
        gaps: Sequence[float],
        seconds: Sequence[float],
        *,
        refit_seconds: float | None = None,
        floor: float | None = None,
    ) -> None:
        lengths = len(names), len(gaps), len(seconds)
        if len(set(lengths)) > 1 or not len(names):
            raise ValueError(
                f"names, gaps and seconds have lengths {lengths}; expected one entry for each way "
                "to forget, and at least one. Pass sequences of one length."
            )
        if np.min(seconds) <= 0:
            raise ValueError(
                f"seconds has {np.min(seconds)}; expected positive times. Leave out doing nothing, "
                "which the figure shows as a line."
            )
        self.names, self.gaps, self.seconds = list(names), list(gaps), list(seconds)
        self.refit_seconds, self.floor = refit_seconds, floor

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        unlearners: Mapping[str, Any],
        interactions: Any = None,
        *,
        group: str = "affected",
        ax: Any = None,
        **options: Any,
    ) -> ForgetTradeoffDisplay:
        """Let copies of a fitted model forget, each in its way, and draw.

        Parameters
        ----------
        estimator : recommender or RecommenderPipeline
            Fitted, with a parameter ``unlearner``. It is not changed.

        unlearners : dict of str to strategy
            Values of that parameter, by the name that the legend shows.

        interactions : default=None
            The request, or a part of it, in every form that `forget` takes.

        group : {"pairs", "affected", "neighbours", "all"}, default="affected"
            Which pairs are compared, see `metrics.forget_gap`.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        **options : dict
            `users`, `items`, and further keywords of `metrics.forget_gap`.

        Returns
        -------
        display : ForgetTradeoffDisplay

        Raises
        ------
        ValueError
            If the request has no pairs of this group, or there is no way to forget.
        """
        request = {"interactions": interactions}
        request |= {name: options.get(name) for name in ("users", "items")}
        request = {name: value for name, value in request.items() if value is not None}
        gaps, seconds, floor, refit_seconds = [], [], None, None
        for unlearner in unlearners.values():
            twin = _copy_with(estimator, unlearner)
            start = time.perf_counter()
            twin.forget(**request)
            seconds.append(time.perf_counter() - start)
            if options.get("refit") is None:
                again = _copy_with(estimator, "refit")
                start = time.perf_counter()
                options["refit"] = again.forget(**request)
                refit_seconds = time.perf_counter() - start
            found = forget_gap(estimator, interactions, after=twin, **options)
            if group not in found.groups:
                raise ValueError(
                    f"group={group!r}; expected one of {list(found.groups)}, which this request "
                    "has. Choose one of these."
                )
            gaps.append(found.groups[group].gap)
            floor = found.groups[group].floor
        shown = cls(list(unlearners), gaps, seconds, refit_seconds=refit_seconds, floor=floor)
        return shown.plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        names: Sequence[str],
        gaps: Sequence[float],
        seconds: Sequence[float],
        *,
        refit_seconds: float | None = None,
        floor: float | None = None,
        ax: Any = None,
    ) -> ForgetTradeoffDisplay:
        """Draw what was measured elsewhere.

        Parameters
        ----------
        names, gaps, seconds, refit_seconds, floor
            As of the class.

        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ForgetTradeoffDisplay
        """
        return cls(names, gaps, seconds, refit_seconds=refit_seconds, floor=floor).plot(ax=ax)

    def plot(self, ax: Any = None) -> ForgetTradeoffDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ForgetTradeoffDisplay
            Itself.

        Raises
        ------
        ImportError
            If there is no `ax`, and matplotlib is not installed.
        """
        ax = new_axes(ax, (6.8, 3.6))
        line = ax.axhline(1.0, color=VERMILION, linestyle="--", label=NOTHING)
        self.lines_ = {"nothing": line}
        if self.floor is not None:
            level = float(drawn(self.floor))
            self.lines_["floor"] = ax.axhline(level, color=GREY, linestyle=":", label=REFITS)
        if self.refit_seconds is not None:
            self.lines_["refit"] = ax.axvline(
                self.refit_seconds, color=GREY, linestyle="-.", label="time of a refit"
            )
        for number, name in enumerate(self.names):
            color, marker = STYLES[number % len(STYLES)]
            [self.lines_[name]] = ax.plot(
                [self.seconds[number]],
                [float(drawn(self.gaps[number]))],
                marker,
                color=color,
                markersize=8,
                label=name,
            )
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.margins(0.15)
        whole_decades(ax)
        ax.set_xlabel("time to forget (seconds)")
        ax.set_ylabel("difference from a refit\n(share of the request's effect)")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _copy_with(estimator: Any, unlearner: Any) -> Any:
    """Copy a fitted model, or a pipeline of one, and let it forget in another way."""
    twin = copy.deepcopy(estimator)
    innermost_recommender(twin).set_params(unlearner=unlearner)
    return twin
