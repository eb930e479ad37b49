"""Losses of one score against one target: value, slope, curvature, and the conjugate.

A loss knows arrays of scores and targets, of any backend, and nothing above them; what only a
certificate asks for speaks NumPy. With ``s`` the score and ``y`` the
target:

======== ============================== ================== =====================
name     value l(s)                     slope l'(s)        curvature l''(s)
======== ============================== ================== =====================
squared  (s - y)^2 / 2                  s - y              1
logistic log(1 + exp(s)) - y s          expit(s) - y       expit(s) expit(-s)
======== ============================== ================== =====================
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlog1py, xlogy

from sklearn_unlearn.backends import Array, expit, namespace_of

__all__ = ["LOSSES", "LogisticLoss", "Loss", "SquaredLoss", "step_length"]

Floats = NDArray[Any]


class Loss(Protocol):
    """What an objective and a certificate ask of a loss; convex and twice differentiable.

    An objective asks for targets, values and derivatives, and for `offset` where it has a global
    mean; steps in single rows are shortened where `is_curved`, as `step_length` says. The
    certificate asks for `conjugate` (a wrong one is not found by checks of forgetting: the model is
    not certified, or wrongly) and `curvature_at_slope`; its bound on scores also for `max_shift`
    and `curvature_kept`, where infinity and 0 give no bound.

    Attributes
    ----------
    name : str
        Of the loss, in messages.

    is_curved : bool
        Whether the curvature changes with the score.

    Examples
    --------
    >>> from sklearn_unlearn.objectives import LOSSES
    >>> sorted(LOSSES)
    ['logistic', 'squared']
    """

    name: str
    is_curved: bool

    def targets(self, values: Floats) -> Floats:
        """Targets that belong to the values of a matrix of interactions."""

    def value(self, scores: Array, targets: Array) -> Array:
        """Loss of each score."""

    def derivatives(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """Slope and curvature of each loss."""

    def conjugate(self, slopes: Floats, targets: Floats) -> Floats:
        """Convex conjugate ``sup_s slope * s - l(s)``; infinite where no score has the slope."""

    def curvature_at_slope(self, slopes: Floats, targets: Floats) -> Floats:
        """Curvature at the score that has this slope."""

    def max_shift(self, ratio: float) -> float:
        """Upper bound of ``|d|`` given ``l(s + d) - l(s) - l'(s) d <= ratio * l''(s)``."""

    def curvature_kept(self, shift: float) -> float:
        """Lower bound of the share of its curvature that a loss keeps within `shift`."""

    def offset(self, targets: Floats, weights: Floats | None) -> float:
        """Best constant score."""


class SquaredLoss:
    """Half the squared error of a rating.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.objectives import SquaredLoss
    >>> SquaredLoss().value(np.array([3.0, 5.0]), np.array([4.0, 5.0]))
    array([0.5, 0. ])
    """

    name = "squared"
    is_curved = False

    def targets(self, values: Floats) -> Floats:
        """Targets that belong to the values of a matrix: the values, ratings, themselves."""
        return np.asarray(values, dtype=np.float64)

    def value(self, scores: Array, targets: Array) -> Array:
        """Loss of each score."""
        return 0.5 * (scores - targets) ** 2

    def derivatives(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """Slope and curvature of each loss."""
        return scores - targets, namespace_of(scores).ones_like(scores)

    def conjugate(self, slopes: Floats, targets: Floats) -> Floats:
        """Convex conjugate: ``slope^2 / 2 + slope * y``."""
        return slopes * (0.5 * slopes + targets)

    def curvature_at_slope(self, slopes: Floats, targets: Floats) -> Floats:
        """Curvature at the score that has this slope."""
        return np.ones_like(slopes)

    def max_shift(self, ratio: float) -> float:
        """Upper bound of ``|d|`` given ``d^2 / 2 <= ratio``."""
        return math.sqrt(2 * ratio)

    def curvature_kept(self, shift: float) -> float:
        """Lower bound of the share of its curvature that a loss keeps within `shift`."""
        return 1.0

    def offset(self, targets: Floats, weights: Floats | None) -> float:
        """Best constant score: the mean rating."""
        return float(np.average(targets, weights=weights)) if len(targets) else 0.0


class LogisticLoss:
    """Negative log-likelihood of a label, 1 for a positive value and 0 for a negative one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.objectives import LogisticLoss
    >>> LogisticLoss().derivatives(np.array([0.0]), np.array([1.0]))
    (array([-0.5]), array([0.25]))
    """

    name = "logistic"
    is_curved = True

    def targets(self, values: Floats) -> Floats:
        """Targets that belong to the values of a matrix: the sign is the label."""
        return (np.asarray(values) > 0).astype(np.float64)

    def value(self, scores: Array, targets: Array) -> Array:
        """Loss of each score."""
        xp = namespace_of(scores)
        positive = xp.clip(scores, 0, None)
        return positive + xp.log1p(xp.exp(-xp.abs(scores))) - targets * scores

    def derivatives(self, scores: Array, targets: Array) -> tuple[Array, Array]:
        """Slope and curvature of each loss."""
        # expit(-s), not 1 - expit(s), which is 0 long before the curvature is.
        probability, complement = expit(scores), expit(-scores)
        return probability - targets, probability * complement

    def conjugate(self, slopes: Floats, targets: Floats) -> Floats:
        """Convex conjugate: the negative entropy of the probability ``slope + y``."""
        p = slopes + targets
        inside = (p >= 0) & (p <= 1)
        p = np.clip(p, 0, 1)
        return np.where(inside, xlogy(p, p) + xlog1py(1 - p, -p), np.inf)

    def curvature_at_slope(self, slopes: Floats, targets: Floats) -> Floats:
        """Curvature at the score that has this slope."""
        p = np.clip(slopes + targets, 0, 1)
        return p * (1 - p)

    def max_shift(self, ratio: float) -> float:
        """Upper bound of ``|d|`` given ``l(s + d) - l(s) - l'(s) d <= ratio * l''(s)``.

        Because ``|l'''| <= l''``, the left side is at least ``l''(s) (exp(-|d|) + |d| - 1)``, which
        is at least ``l''(s) d^2 / (2 + |d|)`` [1]_. Solve ``d^2 <= ratio (2 + d)``.

        References
        ----------
        .. [1] Bach, "Self-concordant analysis for logistic regression", Electronic Journal of
           Statistics 4, 2010, proposition 1.
        """
        return 0.5 * (ratio + math.sqrt(ratio * ratio + 8 * ratio))

    def curvature_kept(self, shift: float) -> float:
        """Lower bound of the share of its curvature that a loss keeps within `shift`.

        The third derivative is at most the second, in absolute value.
        """
        return math.exp(-shift)

    def offset(self, targets: Floats, weights: Floats | None) -> float:
        """Best constant score: the logit of the share of positives."""
        if not len(targets):
            return 0.0
        share = float(np.average(targets, weights=weights))
        # All labels alike: the logit is infinite; half an observation keeps it finite.
        share = min(max(share, 0.5 / len(targets)), 1 - 0.5 / len(targets))
        return math.log(share) - math.log1p(-share)


LOSSES: dict[str, Loss] = {loss.name: loss for loss in (SquaredLoss(), LogisticLoss())}


def step_length(change: Any) -> Any:
    """Length at which a Newton step of a row lowers its objective, given the change of its scores.

    ``log(1 + d) / d``, with d the largest change of a score of the row: for losses with
    ``|l'''| <= l''``, as the logistic one [1]_.

    References
    ----------
    .. [1] Sun and Tran-Dinh, "Generalized self-concordant functions: a recipe for Newton-type
       methods", Mathematical Programming 178, 2019, section 4.

    Examples
    --------
    >>> from sklearn_unlearn.objectives._losses import step_length
    >>> step_length(np.array([0.0, 1.0])).round(3)
    array([1.   , 0.693])
    """
    return np.where(change > 0, np.log1p(change) / np.where(change > 0, change, 1), 1.0)
