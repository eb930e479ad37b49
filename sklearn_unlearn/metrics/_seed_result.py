"""What a comparison of seed ensembles found: numbers, a verdict, a table and a picture."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.utils._html import counted, html_card, html_table

__all__ = ["Measure", "SeedGroup", "SeedTestResult"]

INDISTINGUISHABLE = "indistinguishable"
CANNOT_BE_SEEN = "this request cannot be seen"

_DESCRIPTIONS = {
    "pairs": "forgotten pairs",
    "users": "other pairs of affected users",
    "items": "pairs of affected items, other users",
    "others": "pairs of others",
}
_LABELS = {
    "auc": "AUC",
    "spread_auc": "AUC of the spread",
    "effect_left": "effect left",
    "worst_effect_left": "  worst - median",
    "klom": "KLoM",
    "rank_klom": "KLoM of ranks",
    "epsilon": "epsilon, median",
}
# What a verdict says, by the measure that decides it.
_KINDS = {
    "auc": "the scores",
    "spread_auc": "the spread",
    "worst_effect_left": "single models",
}
# What must tell models that forgot nothing from refits, for a request to be seen.
_SEEN_BY = ("auc", "spread_auc")
_ARMS = ("floor", "forgotten", "nothing")


@dataclass(frozen=True, eq=False, repr=False)
class Measure:
    """One statistic of one group of pairs.

    Parameters
    ----------
    floor, forgotten, nothing : float
        Of refits, forgotten models and models that forgot nothing, each against refits.

    per_pair : dict of str to ndarray of shape (n_pairs,), or None, default=None
        The same before it is averaged over the pairs; None for statistics of models.

    per_model : dict of str to ndarray of shape (n_seeds,), or None, default=None
        The same for each model, of statistics of models.

    bound : float or None, default=None
        Up to where a value counts as that of a refit; None for statistics that decide nothing.

    interval : tuple of float or None, default=None
        Of `forgotten`, 95 %.
    """

    floor: float
    forgotten: float
    nothing: float
    per_pair: dict[str, NDArray[np.float64]] | None = None
    per_model: dict[str, NDArray[np.float64]] | None = None
    bound: float | None = None
    interval: tuple[float, float] | None = None

    def __repr__(self) -> str:
        values = (f"{name}={getattr(self, name):.3g}" for name in _ARMS)
        return f"Measure({', '.join(values)})"


@dataclass(frozen=True, eq=False, repr=False)
class SeedGroup:
    """Statistics of one group of pairs.

    Parameters
    ----------
    name : {"pairs", "users", "items", "others"}
        Which pairs: those forgotten; others of users who lose an interaction; of items that lose
        one, with other users; the rest.

    pairs : ndarray of int64, shape (n_pairs, 2)
        Positions of user and item.

    measures : dict of str to Measure
        "auc", "spread_auc", "effect_left", "worst_effect_left" (by how much that of the worst model
        exceeds the median one's), "klom", "rank_klom" and "epsilon".
    """

    name: str
    pairs: NDArray[np.int64]
    measures: dict[str, Measure]

    @property
    def verdict(self) -> str:
        """What this group alone says."""
        return _verdict([self])

    def per_user(self, measure: str = "auc") -> dict[str, NDArray[Any]]:
        """Average a measure over the pairs of each user.

        Parameters
        ----------
        measure : str, default="auc"
            A key of `measures`, of a statistic of pairs.

        Returns
        -------
        averages : dict of str to ndarray of shape (n_users,)
            "users", their positions, ascending, and the averages of "floor", "forgotten" and
            "nothing".
        """
        users, row = np.unique(self.pairs[:, 0], return_inverse=True)
        counts = np.bincount(row)
        per_pair = self.measures[measure].per_pair
        if per_pair is None:
            raise ValueError(
                f"{measure} has one value a model; expected a statistic of pairs. Use 'auc', or "
                "another that has per_pair."
            )
        means = {arm: np.bincount(row, per_pair[arm]) / counts for arm in _ARMS}
        return {"users": users, **means}

    @property
    def is_seen(self) -> bool:
        """Whether models that forgot nothing can be told from refits by this group."""
        return any(self._is_outside(name, "nothing") for name in _SEEN_BY)

    def shown(self) -> list[tuple[str, Measure]]:
        """Return the measures for a table: without shares of an effect that cannot be seen."""
        hidden = () if self.is_seen else ("effect_left", "worst_effect_left")
        return [(key, one) for key, one in self.measures.items() if key not in hidden]

    def reasons(self) -> list[str]:
        """Return the names of the measures by which forgotten models can be told from refits."""
        told = [name for name in _SEEN_BY if self._is_outside(name, "forgotten")]
        # Single models are named where the ensemble does not tell. Where the request cannot be
        # seen, nobody can say how much of it is left.
        single = not told and self.is_seen and self._is_outside("worst_effect_left", "forgotten")
        return ["worst_effect_left"] if single else told

    def _is_outside(self, name: str, arm: str) -> bool:
        measure = self.measures[name]
        return measure.bound is not None and getattr(measure, arm) > measure.bound

    def __repr__(self) -> str:
        return f"SeedGroup({self.name!r}, n_pairs={len(self.pairs)}, verdict={self.verdict!r})"


@dataclass(frozen=True, eq=False, repr=False)
class SeedTestResult:
    """What `seed_test` found.

    Parameters
    ----------
    groups : dict of str to SeedGroup
        By name; groups without pairs are left out.

    n_seeds : int
        Models in each ensemble.

    margin : float
        How far above the floor an AUC may be.

    n_interactions : int
        Interactions of the request.

    Attributes
    ----------
    verdict : str
        "indistinguishable", "this request cannot be seen" or "distinguishable by ...".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.metrics import seed_test
    >>> X = abs(make_interactions(40, 30, n_interactions=300, random_state=0))
    >>> model = ALS(4, alpha=10.0, regularization=2.0, n_sweeps=3, max_iter=0)
    >>> pairs = np.argwhere(X.toarray())[::20]
    >>> result = seed_test(model, X, pairs, n_seeds=10, forget=lambda model, request: model)
    >>> result.verdict.split()[0]
    'distinguishable'
    """

    groups: dict[str, SeedGroup] = field(repr=False)
    n_seeds: int
    margin: float
    n_interactions: int

    @property
    def verdict(self) -> str:
        """The last word on all groups together."""
        return _verdict(list(self.groups.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return all averages as plain numbers, without pairs and users."""
        groups = {
            name: {
                "n_pairs": len(group.pairs),
                "verdict": group.verdict,
                **{key: _plain(measure) for key, measure in group.measures.items()},
            }
            for name, group in self.groups.items()
        }
        return {
            "verdict": self.verdict,
            "n_seeds": self.n_seeds,
            "margin": self.margin,
            "n_interactions": self.n_interactions,
            "groups": groups,
        }

    def __repr__(self) -> str:
        return f"SeedTestResult(verdict={self.verdict!r}, n_seeds={self.n_seeds})"

    def __str__(self) -> str:
        lines = [f"{self.n_seeds} seeds, {self.n_interactions} forgotten interactions"]
        head = f"  {'':18}{'floor':>8}{'bound':>8}{'forgotten':>11}{'95 % interval':>18}"
        for name, group in self.groups.items():
            lines += ["", f"{_DESCRIPTIONS[name]} ({len(group.pairs)}): {group.verdict}"]
            lines.append(f"{head}{'nothing':>10}")
            lines += [_line(key, measure) for key, measure in group.shown()]
        note = "decided by AUC, AUC of the spread and single models, each against its bound"
        return "\n".join([*lines, "", f"verdict: {self.verdict} ({note})"])

    def _repr_html_(self) -> str:
        head = ("", "floor", "bound", "forgotten", "95 % interval", "nothing")
        tables = [
            html_table(
                f"{_DESCRIPTIONS[name].capitalize()} ({len(group.pairs)}): {group.verdict}",
                [_cells(key, measure) for key, measure in group.shown()],
                head,
            )
            for name, group in self.groups.items()
        ]
        note = (
            f"{self.n_seeds} seeds, {counted(self.n_interactions, 'forgotten interaction')}; "
            "floor: refits against refits, nothing: models that forgot nothing"
        )
        return html_card(*tables, mark=self.verdict, note=note)

    def plot(self, ax: Any = None) -> Any:
        """Draw the AUC of every group: the floor, forgotten models and doing nothing.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ax : matplotlib Axes

        Raises
        ------
        ImportError
            If there is no `ax`, and matplotlib is not installed.
        """
        ax = _new_axes() if ax is None else ax
        for row, group in enumerate(self.groups.values()):
            one = group.measures["auc"]
            low, high = one.interval or (one.forgotten, one.forgotten)
            first = row == 0  # one entry of each kind in the legend
            label = dict(zip(_ARMS, ("refits", "forgotten", "did nothing"), strict=True))
            label = label if first else dict.fromkeys(_ARMS, "_nolegend_")
            ax.fill_betweenx([row - 0.3, row + 0.3], 0.5, one.bound, color="0.9")
            ax.plot([one.floor], [row], "|", color="0.3", markersize=14, label=label["floor"])
            error = [[one.forgotten - low], [high - one.forgotten]]
            ax.errorbar(
                [one.forgotten],
                [row],
                xerr=error,
                fmt="o",
                color="#0072B2",
                label=label["forgotten"],
            )
            ax.plot([one.nothing], [row], "x", color="#D55E00", label=label["nothing"])
        ax.set_yticks(range(len(self.groups)), labels=[_DESCRIPTIONS[one] for one in self.groups])
        ax.set_ylim(len(self.groups) - 0.5, -0.5)  # in the order of the table
        ax.set_xlim(0.49, 1.01)
        verdict = textwrap.fill(f"verdict: {self.verdict}", 60)
        ax.set_xlabel(f"AUC of telling from refits (grey: as refits)\n{verdict}")
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False)
        return ax


def _verdict(groups: list[SeedGroup]) -> str:
    reasons = [
        f"{_KINDS[measure]} of {group.name}" for group in groups for measure in group.reasons()
    ]
    if reasons:
        return f"distinguishable by {', '.join(reasons)}"
    return INDISTINGUISHABLE if any(group.is_seen for group in groups) else CANNOT_BE_SEEN


def _plain(measure: Measure) -> dict[str, Any]:
    """Return the numbers of a measure, None for NaN, which JSON does not have."""
    values = {name: getattr(measure, name) for name in _ARMS}
    values = {name: None if np.isnan(value) else value for name, value in values.items()}
    more = {"bound": measure.bound, "interval": measure.interval}
    known = {name: one for name, one in more.items() if one is not None and not np.isnan(one).any()}
    return {**values, **known}


def _line(key: str, one: Measure) -> str:
    label, floor, bound, forgotten, interval, nothing = _cells(key, one)
    return f"  {label:18}{floor:>8}{bound:>8}{forgotten:>11}{interval:>18}{nothing:>10}"


def _cells(key: str, one: Measure) -> tuple[str, ...]:
    """Write a measure, cell by cell."""
    low, high = ("", "") if one.interval is None else map(_digits, one.interval)
    interval = f"{low} - {high}" if low else ""
    bound = "" if one.bound is None else _digits(one.bound)
    floor, forgotten, nothing = (_digits(getattr(one, arm)) for arm in _ARMS)
    return _LABELS[key], floor, bound, forgotten, interval, nothing


def _digits(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _new_axes() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "matplotlib is not installed; expected it for a picture without ax=. Install the extra "
            "'plot', or print the result for a table."
        ) from error
    return plt.subplots()[1]
