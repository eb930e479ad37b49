r"""The certificate of propagated factors: a semidefinite programme.

Conventions
-----------
In those of `objectives._propagated`, scores are linear in ``M = theta theta'``, a positive
semidefinite matrix, and the penalty is ``trace(Lam M) / 2``, with Lam the penalties of the rows on
the diagonal.
So the factors are those of a *convex* problem in M [1]_. With R the slopes of f in the scores, a
stationary theta is a global optimum if and only if no eigenvalue of

    C = Lam^-1/2 Pi' [0 R ; R' 0] Pi Lam^-1/2

is below -1. Its dual is that of f, for slopes whose C keeps to that; nothing else is penalised.
Without layers, C has the singular values of the residual matrix of plain factors and their
negatives.

References
----------
.. [1] Burer and Monteiro, "A nonlinear programming algorithm for solving semidefinite programs via
   low-rank factorization", Mathematical Programming 95, 2003.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from sklearn_unlearn.certificates._base import Certificate

__all__ = ["PropagatedCertificate"]

Floats = NDArray[Any]


@dataclass(frozen=True)
class PropagatedCertificate(Certificate):
    """Of an inner objective of propagated rows.

    Parameters
    ----------
    objective : PropagatedObjective
        J.

    inner : Certificate
        Of the losses alone, under a penalty of 1.

    Examples
    --------
    >>> from sklearn_unlearn import LightGCN
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, feedback="implicit", random_state=0)
    >>> model = LightGCN(16, loss="weighted", regularization=8.0, random_state=0).fit(X)
    >>> model.certify().certified
    True
    """

    objective: Any
    inner: Certificate

    is_symmetric: ClassVar[bool] = True

    def residual_operator(self, theta: Floats) -> LinearOperator:
        """C, symmetric: no eigenvalue below -1 certifies theta."""
        o = self.objective
        slopes = self.inner.residual_operator(o.propagate(theta))
        scale = 1 / np.sqrt(self.objective.row_penalties)[:, None]
        n, m, backend = len(scale), o.layout.n_users, o.backend

        def apply(X: Floats) -> Floats:
            Z = o.propagate(scale * X.reshape(n, -1))
            out = np.concatenate([slopes.matmat(Z[m:]), slopes.rmatmat(Z[:m])])
            out = backend.to_numpy(o.propagation.adjoint(backend.asarray(out)))
            return (scale * out).reshape(X.shape)

        return LinearOperator(
            (n, n), matvec=apply, rmatvec=apply, matmat=apply, rmatmat=apply, dtype=np.float64
        )

    def residual_change(self, before: Floats, after: Floats, rows: NDArray[Any]) -> float:
        """Nothing is known: the graph may have changed with the data."""
        return float("inf")

    def removed_residual(
        self, theta: Floats, users: NDArray[Any], items: NDArray[Any], values: Floats
    ) -> float:
        """Nothing is known: the graph changed with the data."""
        return float("inf")

    def factors_of(self, left: Floats, values: Floats, right: Floats) -> Floats:
        """Rows with ``M = V diag(values^2) V'`` in the operator's scaling, V both parts."""
        scale = 1 / np.sqrt(self.objective.row_penalties)
        return np.concatenate([left, right]) * values * scale[:, None]

    def score_spectrum(self, theta: Floats) -> Floats:
        """Half the eigenvalues of ``theta' Lam theta``: their sum is the penalty."""
        gram = theta.T @ (theta * self.objective.row_penalties[:, None])
        return 0.5 * np.maximum(np.linalg.eigvalsh(gram)[::-1], 0)

    def convex_value(self, theta: Floats, nuclear_norm: float) -> float:
        """Losses and the trace: the value itself, for the factors of M are no bound but M."""
        return self.inner.convex_value(self.objective.propagate(theta), nuclear_norm)

    def dual_value(self, theta: Floats, shrink: float) -> float:
        """Dual value at the slopes of theta times `shrink`."""
        return self.inner.dual_value(self.objective.propagate(theta), shrink)

    def prediction_bound(self, theta: Floats, shrink: float, gap: float) -> float:
        """Bound of the distance to any model with no larger gap, in the inner objective's terms."""
        return self.inner.prediction_bound(self.objective.propagate(theta), shrink, gap)
