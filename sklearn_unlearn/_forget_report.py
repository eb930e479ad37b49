"""What a request did, in scalars: never an id, a pair or a value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sklearn_unlearn.utils._html import counted, html_card, html_table

__all__ = ["GUARANTEES", "ForgetReport"]

GUARANTEES = {
    "exact": "equal to a refit, to floating-point tolerance",
    "certified": "provably as close to any refit as the certificate says",
    "residual-bounded": "the gradient of the objective after the request met its tolerance",
    "rows-solved": "rows are solved, given the others; `answered` is the share that this answers",
    "one-step": "steps were taken; nothing was promised and the residual says how far they got",
    "refit": "the model was fitted again",
}


@dataclass(frozen=True)
class ForgetReport:
    """Report of one request to forget, learn or rectify.

    Parameters
    ----------
    method : str
        What was done: ``"influence"``, ``"influence+refine"`` or ``"refit"``.

    guarantee : str
        ``"exact"``, ``"certified"``, ``"residual-bounded"``, ``"rows-solved"``, ``"one-step"`` or
        ``"refit"``.

    status : str
        How the last linear solve ended, in words.

    n_interactions, n_users, n_items : int
        Interactions forgotten, and users and items that lost one, or gained one.

    n_rows_updated : int
        Users and items whose parameters changed.

    n_steps : int
        Newton steps.

    n_solver_iter : int
        Hessian-vector products, over the interactions that they walked: a product of a restricted
        problem counts by its share of all interactions, so the number may be a fraction.

    gradient_norm : tuple of float
        Norm of the gradient of the objective after the request, before and after.

    residual : float
        After over before; 0 where there was nothing to do. Of `EASE`, where it is not exact: the
        root mean square of the inverse times its matrix less the identity.

    seconds : float
        Wall-clock time of the whole request.

    n_learned : int, default=0
        Interactions learned. One whose value is changed is forgotten and learned.

    Examples
    --------
    >>> from sklearn_unlearn.influence import ForgetReport
    >>> report = ForgetReport(
    ...     method="influence", guarantee="residual-bounded", status="converged",
    ...     n_interactions=3, n_users=1, n_items=3, n_rows_updated=40, n_steps=2,
    ...     n_solver_iter=7, gradient_norm=(1.5, 3e-4), residual=2e-4, seconds=0.012)
    >>> report.guarantee
    'residual-bounded'
    >>> report.answered
    0.9998
    >>> report.to_dict()["gradient_norm"]
    (1.5, 0.0003)
    >>> print(report)
    Forgot 3 interactions, of 1 user and 3 items, in 0.012 s: residual-bounded, residual 2.0e-04,
    by influence
    """

    method: str
    guarantee: str
    status: str
    n_interactions: int
    n_users: int
    n_items: int
    n_rows_updated: int
    n_steps: int
    n_solver_iter: float
    gradient_norm: tuple[float, float]
    residual: float
    seconds: float
    n_learned: int = 0

    @property
    def answered(self) -> float:
        """Share of the request's gradient that is answered: 1 less the residual, at least 0."""
        return max(1.0 - self.residual, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dict, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        touched = f"{counted(self.n_users, 'user')} and {counted(self.n_items, 'item')}"
        left = f"residual {self.residual:.1e}"
        if self.guarantee == "rows-solved":  # its residual is that of rows nobody meant to move
            left = f"{self.answered:.0%} of the request's gradient answered"
        return (
            f"{self._what()}, of {touched}, in {self.seconds:.2g} s: {self.guarantee}, {left}, "
            f"by {self.method}"
        )

    def _repr_html_(self) -> str:
        table = html_table(self._what(), self.to_dict().items())
        return html_card(table, mark=self.guarantee, note=GUARANTEES.get(self.guarantee, ""))

    def _what(self) -> str:
        """Say what went and what came."""
        done = [
            f"{verb} {counted(number, 'interaction')}"
            for verb, number in (("forgot", self.n_interactions), ("learned", self.n_learned))
            if number or (verb == "forgot" and not self.n_learned)
        ]
        return " and ".join(done).capitalize()
