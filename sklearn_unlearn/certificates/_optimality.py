r"""Global optimality of a factor model, checked from the model and its data alone.

Conventions
-----------
With scores :math:`X = PQ'`, the penalty :math:`\frac{\lambda}{2}(\|P\|^2 + \|Q\|^2)` is the
variational form of :math:`\lambda \|X\|_*`, so a factor model with an L2 penalty is a low-rank
factorisation of a *convex* problem in the scores. Rows may have weights of their own: with
:math:`L_u, L_i` the diagonal penalties, everything is said of :math:`L_u^{1/2} X L_i^{1/2}`.

    convex  sum l(x) + ||L_u^1/2 X L_i^1/2||_* + sum ridge b^2 / 2
    dual    sum -l*(rho) - (||rho 1||^2 / ridge_u + ||rho' 1||^2 / ridge_i) / 2
            for every rho with ||L_u^-1/2 rho L_i^-1/2|| <= 1

The objective J of the model's own factors is never below the convex value of their scores, and both
have the same minimum: J less the dual bounds how far J is above its minimum. Factors out of
balance, ``P c`` and ``Q / c``, have the same scores and a larger J.

Where rows are propagated before they are multiplied, scores are linear in the positive semidefinite
matrix :math:`M = \theta\theta'`. The nuclear norm is then the trace, and rho has to keep all
eigenvalues of the symmetric residual operator at -1 or above: see `objectives._propagated`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.certificates._base import Certifiable
from sklearn_unlearn.solvers._extremal import lowest_eigenvalue_bound, spectral_norm_bound
from sklearn_unlearn.utils._html import html_card, html_table

__all__ = ["OptimalityCertificate", "certify"]

Floats = NDArray[Any]

# A column counts towards the rank if it is not smaller than this share of the largest.
_RANK_TOL = 1e-4


@dataclass(frozen=True)
class OptimalityCertificate:
    """How far a model can be from the global optimum of its objective, and from any refit.

    Parameters
    ----------
    spectral_ratio : float
        Norm of the scaled residual matrix; for propagated rows, minus its lowest eigenvalue. A
        stationary model is globally optimal if and only if it is at most 1.

    relative_gap : float
        Objective of the model's own factors less a dual value, over the objective: it is at most
        this share above its minimum. Where all ratings are met to six digits
        and more, the objective at six digits is the unit.

    rank : int
        Rank of the factors. A rank equal to `n_factors` means that `n_factors` limits the model.

    n_factors : int
        Latent columns of the model.

    prediction_bound : float
        Upper bound of the root mean square, over the observed interactions, of the difference
        between the scores of this model and those of *any* model of the same data and
        hyper-parameters whose gap is no larger, from whatever seed. Infinite where nothing can be
        said.

    tol : float
        Relative gap up to which `certified` is true.

    Notes
    -----
    What is verified is optimality on the interactions that the model holds now. It says nothing of
    copies of the data or of the model elsewhere.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> certificate = MatrixFactorization(16, regularization=3.0, random_state=0).fit(X).certify()
    >>> certificate.certified
    True
    >>> print(certificate)
    certified: relative gap ... (tol 1e-06), spectral ratio 1.0000..., rank ... of 16
    """

    spectral_ratio: float
    relative_gap: float
    rank: int
    n_factors: int
    prediction_bound: float
    tol: float = 1e-6

    @property
    def certified(self) -> bool:
        """Whether the relative gap is within the tolerance."""
        return bool(self.relative_gap <= self.tol)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and the verdict, as a plain dict."""
        return {**asdict(self), "certified": self.certified}

    def __str__(self) -> str:
        return (
            f"{self._verdict()}: relative gap {self.relative_gap:.1e} (tol {self.tol:.0e}), "
            f"spectral ratio {self.spectral_ratio:.6f}, rank {self.rank} of {self.n_factors}"
        )

    def _repr_html_(self) -> str:
        table = html_table(
            "Optimality certificate",
            [
                ("relative_gap", self.relative_gap, "share by which the objective may be too high"),
                ("tol", self.tol, "up to where that counts as certified"),
                ("spectral_ratio", self.spectral_ratio, "1 or less at the optimum"),
                ("rank", f"{self.rank} of {self.n_factors}", "columns of the factors in use"),
                (
                    "prediction_bound",
                    self.prediction_bound,
                    "distance to the scores of a refit, at most",
                ),
            ],
        )
        return html_card(table, mark=self._verdict(), note=self._advice())

    def _verdict(self) -> str:
        return "certified" if self.certified else "not certified"

    def _advice(self) -> str:
        """Say what the verdict means, and what would make it better."""
        if self.rank == 0:
            return "No factor is left, so lists are the same for all: lower regularization."
        if self.certified:
            return "The objective is at its global minimum, up to tol: where converged refits end."
        if self.rank == self.n_factors:
            return "n_factors limits the rank: raise n_factors or regularization."
        return "The objective may be lower elsewhere: fit, or forget, with a smaller tol."


def certify(objective: Certifiable, theta: Floats, tol: float = 1e-6) -> OptimalityCertificate:
    """Check a point of an objective for global optimality.

    Parameters
    ----------
    objective : FactorObjective
        J, on the data that the model holds.

    theta : ndarray
        The model.

    tol : float, default=1e-6
        Relative gap that counts as certified.

    Returns
    -------
    certificate : OptimalityCertificate
    """
    certificate = objective.certificate()
    residual = certificate.residual_operator(theta)
    ratio = (
        -lowest_eigenvalue_bound(residual)
        if certificate.is_symmetric
        else spectral_norm_bound(residual)
    )
    singular = certificate.score_spectrum(theta)
    # The model's own factors, not the best factors of their scores: fold-in reads one side alone.
    primal = objective.value(theta)
    shrink = min(1.0, 1.0 / ratio) if ratio > 0 else 1.0
    dual = certificate.dual_value(theta, shrink)
    # Both values are sums of n terms, each rounded.
    gap = max(primal - dual, 1e-15 * abs(primal))
    roots = np.sqrt(singular)
    rank = int(np.count_nonzero(roots > _RANK_TOL * roots.max(initial=0.0)))
    return OptimalityCertificate(
        ratio,
        gap / max(abs(primal), objective.value_unit, np.finfo(float).tiny),
        rank,
        objective.layout.n_factors,
        certificate.prediction_bound(theta, shrink, gap),
        tol,
    )
