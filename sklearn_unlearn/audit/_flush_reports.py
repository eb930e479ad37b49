"""What a flush did, and what it would do."""

from __future__ import annotations

from dataclasses import dataclass

from sklearn_unlearn._forget_report import ForgetReport
from sklearn_unlearn.utils._html import counted, html_card, html_table

__all__ = ["FlushPreview", "FlushReport"]


@dataclass(frozen=True)
class FlushReport:
    """What a flush did.

    Parameters
    ----------
    n_requests, n_not_found : int
        Requests that it completed, and those of them of which the model held nothing.

    generation : int
        Number of the last flush that had something to forget, here or in backups.

    report : ForgetReport or None
        Of the model; None if it did not change.

    busy : bool
        Whether another process or thread was flushing, so that this one did nothing.

    erased : bool
        Whether the files of the store are free of what the requests named. False on PostgreSQL,
        where bytes go with its own housekeeping, and on SQLite while others read; the next flush
        tries again. What is left there is encrypted.

    seconds : float
        Wall-clock time.

    n_left : int
        Requests that stay pending, as they name categories or a date of which the service knows
        nothing.

    Examples
    --------
    >>> from sklearn_unlearn import ItemKNN
    >>> from sklearn_unlearn.audit import DeletionService
    >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> service = DeletionService(model, ":memory:")
    >>> _ = service.submit(users=[0])
    >>> flushed = service.flush()
    >>> flushed.n_requests, flushed.report.guarantee
    (1, 'exact')
    """

    n_requests: int = 0
    n_not_found: int = 0
    generation: int = 0
    report: ForgetReport | None = None
    busy: bool = False
    erased: bool = False
    seconds: float = 0.0
    n_left: int = 0

    def _repr_html_(self) -> str:
        fields = vars(self) | {"report": self.report and str(self.report)}
        table = html_table(f"Flush of {counted(self.n_requests, 'request')}", fields.items())
        return html_card(table, mark=self.report.guarantee if self.report else "")


@dataclass(frozen=True)
class FlushPreview:
    """What a flush would do now.

    Parameters
    ----------
    n_requests, n_not_found : int
        Requests that it would complete, and those of them of which the model holds nothing.

    n_interactions, n_users, n_items : int
        Interactions that would go, and users and items that would lose one.

    share : float
        Of the interactions of the model. What a flush costs grows with it, up to what the
        `max_cost` of the model's strategy allows.

    n_left : int, default=0
        As in `FlushReport`.

    Examples
    --------
    >>> from sklearn_unlearn import ItemKNN
    >>> from sklearn_unlearn.audit import DeletionService
    >>> model = ItemKNN(2).fit([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> service = DeletionService(model, ":memory:")
    >>> _ = service.submit(users=[0])
    >>> preview = service.preview()
    >>> preview.n_requests, preview.n_interactions
    (1, 2)
    """

    n_requests: int
    n_not_found: int
    n_interactions: int
    n_users: int
    n_items: int
    share: float
    n_left: int = 0

    def _repr_html_(self) -> str:
        caption = f"A flush would complete {counted(self.n_requests, 'request')}"
        return html_card(html_table(caption, vars(self).items()))
