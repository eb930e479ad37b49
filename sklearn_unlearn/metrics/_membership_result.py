"""What an attack on the membership of pairs or users found: rates, intervals, a verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from sklearn_unlearn.utils._html import html_card, html_table

__all__ = ["MembershipArm", "MembershipResult"]

Floats = NDArray[np.float64]
_LABELS = {"nothing": "did nothing", "forgotten": "forgotten", "refit": "refit"}


@dataclass(frozen=True)
class MembershipArm:
    """How well one model gives away what it was fitted on.

    Parameters
    ----------
    auc : float
        Probability that a member is told from a non-member; .5 is guessing.

    tpr : float
        Share of the members that are found while 1 % of the non-members are taken for members.

    auc_interval, tpr_interval : tuple of float
        95 %, by a bootstrap over users.

    Examples
    --------
    >>> from sklearn_unlearn.metrics import MembershipArm
    >>> MembershipArm(auc=0.5, tpr=0.01, auc_interval=(0.45, 0.55), tpr_interval=(0.0, 0.03)).auc
    0.5
    """

    auc: float
    tpr: float
    auc_interval: tuple[float, float]
    tpr_interval: tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False)
class MembershipResult:
    """What `membership_inference` found: print it for a table.

    Parameters
    ----------
    arms : dict of str to MembershipArm
        "nothing": the model before the request; "forgotten": after it; "refit": fitted without it.

    level : {"pairs", "users"}
        Whose membership was asked for.

    n_members, n_nonmembers : int
        Pairs or users that were forgotten, and that were never trained on.

    n_shadows : int
        Models that the attack was made from.

    Attributes
    ----------
    verdict : str
        "as a refit", "told from a refit" or "this attack sees nothing".

    Examples
    --------
    >>> from sklearn_unlearn.metrics import MembershipArm, MembershipResult
    >>> seen = MembershipArm(0.9, 0.4, (0.85, 0.95), (0.3, 0.5))
    >>> unseen = MembershipArm(0.5, 0.01, (0.45, 0.55), (0.0, 0.03))
    >>> arms = {"nothing": seen, "forgotten": unseen, "refit": unseen}
    >>> MembershipResult(arms, "pairs", 100, 100, 32).verdict
    'as a refit'
    """

    arms: dict[str, MembershipArm] = field(repr=False)
    level: str
    n_members: int
    n_nonmembers: int
    n_shadows: int

    @property
    def verdict(self) -> str:
        """Whether the forgotten model is within the intervals of the refit, and nothing is not."""
        if self._is_inside("nothing"):
            return "this attack sees nothing"
        return "as a refit" if self._is_inside("forgotten") else "told from a refit"

    def _is_inside(self, arm: str) -> bool:
        one, refit = self.arms[arm], self.arms["refit"]
        within = [
            low <= value <= high
            for value, (low, high) in (
                (one.auc, refit.auc_interval),
                (one.tpr, refit.tpr_interval),
            )
        ]
        return all(within)

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers, without pairs and users."""
        return {
            "verdict": self.verdict,
            "level": self.level,
            "n_members": self.n_members,
            "n_nonmembers": self.n_nonmembers,
            "n_shadows": self.n_shadows,
            "arms": {name: asdict(arm) for name, arm in self.arms.items()},
        }

    def __repr__(self) -> str:
        return f"MembershipResult(verdict={self.verdict!r}, n_shadows={self.n_shadows})"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (_LABELS[name], f"{one.auc:.3f}", _interval(one.auc_interval), f"{one.tpr:.3f}",
             _interval(one.tpr_interval))
            for name, one in self.arms.items()
        ]  # fmt: skip

    def __str__(self) -> str:
        head = f"{'':12}{'AUC':>7}{'95 %':>16}{'TPR at 1 %':>12}{'95 %':>16}"
        lines = [f"{a:12}{b:>7}{c:>16}{d:>12}{e:>16}" for a, b, c, d, e in self._rows()]
        return "\n".join([head, *lines, "", f"verdict: {self.verdict}"])

    def _repr_html_(self) -> str:
        head = ("", "AUC", "95 %", "TPR at 1 % FPR", "95 %")
        note = (
            f"{self.n_members} forgotten and {self.n_nonmembers} other {self.level}, "
            f"{self.n_shadows} shadow models"
        )
        table = html_table("Membership inference", self._rows(), head)
        return html_card(table, mark=self.verdict, note=note)


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3f} - {ends[1]:.3f}"


def auc_of(members: Floats, others: Floats) -> float:
    """Return the probability that a member's value is the larger one; ties count half."""
    n, m = len(members), len(others)
    ranks = rankdata(np.concatenate([members, others]))[:n]
    return float((ranks.sum() - n * (n + 1) / 2) / (n * m))


def tpr_at(members: Floats, others: Floats, rate: float = 0.01) -> float:
    """Return the share of members above all but a share `rate` of the others."""
    allowed = int(rate * len(others))
    border = np.sort(others)[len(others) - 1 - allowed]
    return float(np.mean(members > border))


def measure_arm(
    values: Floats,
    is_member: NDArray[np.bool_],
    groups: NDArray[np.int64],
    n_bootstrap: int,
    generator: np.random.RandomState,
) -> MembershipArm:
    """Measure how well values tell members; resample whole groups for the intervals."""
    drawn = []
    sides = [(np.flatnonzero(is_member == side)) for side in (True, False)]
    parts = []
    for places in sides:
        order = places[np.argsort(groups[places], kind="stable")]
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        parts.append(np.split(order, starts[1:]))
    for _ in range(n_bootstrap):
        some = [
            values[np.concatenate([part[i] for i in generator.randint(len(part), size=len(part))])]
            for part in parts
        ]
        drawn.append((auc_of(*some), tpr_at(*some)))
    low, high = np.quantile(np.array(drawn), (0.025, 0.975), axis=0).tolist()
    both = values[sides[0]], values[sides[1]]
    return MembershipArm(auc_of(*both), tpr_at(*both), (low[0], high[0]), (low[1], high[1]))
