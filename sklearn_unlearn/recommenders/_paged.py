"""Factors of many users in pages, and requests that read and write the rows they touch alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.backends import Pattern
from sklearn_unlearn.influence._problem import ForgetProblem, Unlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Layout
from sklearn_unlearn.recommenders._factor_state import report_of, to_table
from sklearn_unlearn.recommenders._types import Columns, Floats, Ints, ModelObjective, State
from sklearn_unlearn.utils._interactions import rows_of, sorted_union
from sklearn_unlearn.utils._pages import Pages, whole
from sklearn_unlearn.utils._state import check_table

__all__ = ["PagedFactors", "TouchedPart"]

_NAMES = ("user_factors_", "item_factors_")

# Rows of a page of factors.
_PAGE_ROWS = 1024
# From so many bytes of factors on, pages take less time than to copy all.
_WORTH_PAGES = 2**24
# Of more of the interactions than this, a table of their own saves nothing.
_MAX_SHARE = 0.25


@dataclass(frozen=True)
class TouchedPart:
    """The rows that a request touches and their neighbours, as a table of their own.

    All interactions of the touched rows are in it. The other rows come in through the Gram matrices
    alone.

    Parameters
    ----------
    before, retained : Interactions
        Of the rows of this table, before and after the request.

    positions, added : ndarray of int64
        What goes, as positions in `before`, and what comes, as positions in `retained`.

    users, items : ndarray of int64
        The rows, by their positions in the whole table, ascending.

    touched_users, touched_items : ndarray of int64
        Those of which an interaction changes.
    """

    before: Interactions
    retained: Interactions
    positions: Ints
    added: Ints
    users: Ints
    items: Ints
    touched_users: Ints
    touched_items: Ints

    @classmethod
    def of(
        cls, data: Interactions, retained: Interactions, request: ForgetRequest
    ) -> TouchedPart | None:
        """Find the rows of a request; None where they hold much of the data."""
        positions, added = request.positions, request.added
        new = rows_of(retained.indptr, added), retained.items_at(added)
        touched = (
            sorted_union(rows_of(data.indptr, positions), new[0]),
            sorted_union(data.items_at(positions), new[1]),
        )
        masks = [np.zeros(n, bool) for n in data.shape]
        for mask, rows in zip(masks, touched, strict=True):
            mask[rows] = True
        cells = data.incident(*masks)
        if len(cells) > _MAX_SHARE * data.n_interactions:
            return None
        users, items = rows_of(data.indptr, cells), data.items_at(cells)
        rows, columns = sorted_union(users, new[0]), sorted_union(items, new[1])
        counts = np.bincount(np.searchsorted(rows, users), minlength=len(rows))
        before = Interactions(
            np.append(0, np.cumsum(counts)),
            np.searchsorted(columns, items).astype(items.dtype),
            data.values_at(cells),
            (len(rows), len(columns)),
            None if data.row_weights is None else data.row_weights[rows],
        )
        gone = np.searchsorted(cells, positions)
        after, places = before.remove(gone), np.empty(0, np.int64)
        if len(added):
            new = np.searchsorted(rows, new[0]), np.searchsorted(columns, new[1])
            weights = None if retained.row_weights is None else retained.row_weights[rows]
            after = after.insert(*new, retained.values_at(added), weights)
            places = after.locate(*new)
        return cls(before, after, gone, places, rows, columns, *touched)

    def objective(self, whole: Any, table: Floats, sums: tuple[Floats, ...]) -> Any:
        """Objective of the table, given that of all rows and the Gram matrices over all rows."""
        m, weights = whole.layout.n_users, self.retained.row_weights
        rows = np.concatenate([self.users, self.items + m])
        part = replace(
            whole,
            pattern=Pattern.from_interactions(self.retained),
            values=self.retained.values,
            layout=whole.layout.for_rows(len(self.users), len(self.items)),
            ridge=whole.ridge.for_rows(rows),
            user_weights=weights,
            squares=None,
            n_outside_cells=whole.n_cells - self.retained.n_interactions,
        )
        inside = part.sums(table)
        largest = 1.0 if weights is None else float(whole.user_weights.max())
        outside = sums[0] - inside[0], sums[1] - inside[1]
        return replace(part, outside=outside, outside_weight=largest)


def _whole_table(name: str, text: str, *, keep: bool) -> property:
    """Make the attribute that puts a table together when it is asked for, if it is in pages."""

    def read(self: Any) -> Floats:
        try:
            table = self.__dict__[name]
        except KeyError:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message) from None
        if not isinstance(table, Pages):
            return table
        joined = table.joined() if keep else whole(table)
        joined.setflags(write=False)  # what is written to it would be lost
        return joined

    def write(self: Any, table: Floats) -> None:
        self.__dict__[name] = table

    def delete(self: Any) -> None:
        del self.__dict__[name]

    return property(read, write, delete, text)


class PagedFactors:
    """Mixin of `ALS`: large tables of factors in pages, of which a request copies some.

    The attributes ``user_factors_`` and ``item_factors_`` are arrays: the pages are put together
    when they are asked for. Those of the items are kept, as every list takes all of them.
    """

    _sums: tuple[Floats, ...]
    _interactions: Interactions

    user_factors_ = _whole_table(
        "user_factors_", "Factors of the users, shape (n_users, n_factors).", keep=False
    )
    item_factors_ = _whole_table(
        "item_factors_", "Factors of the items, shape (n_items, n_factors).", keep=True
    )

    def _rows_of_users(self, users: Ints) -> Floats:
        return self.__dict__["user_factors_"][users]

    @staticmethod
    def _parameters(state: State) -> State:
        items = state["item_factors_"]
        return {**state, "item_factors_": items.joined()} if isinstance(items, Pages) else state

    def _theta(self, layout: Layout, columns: Columns = slice(None)) -> Floats:
        tables = self._tables_in_pages()
        if tables is not None and layout.width == tables[0].shape[1]:
            # Put together once; there are no biases.
            return np.concatenate([page for table in tables for page in table.pages])
        return to_table(self, layout, columns)

    def _tables_in_pages(self) -> tuple[Pages, Pages] | None:
        """Return the tables of users and of items, if both are in pages."""
        users, items = (self.__dict__[name] for name in _NAMES)
        return (users, items) if isinstance(users, Pages) and isinstance(items, Pages) else None

    def _attributes(
        self,
        theta: Floats,
        objective: ModelObjective,
        data: Interactions,
        columns: Columns | None = None,
        sums: tuple[Floats, ...] = (),
    ) -> dict[str, Any]:
        # mypy, here and below: the methods of `super()` are those of the class it is mixed into.
        state: dict[str, Any] = super()._attributes(  # type: ignore[misc]
            theta, objective, data, columns, sums
        )
        if sum(state[name].nbytes for name in _NAMES) >= _WORTH_PAGES:
            old = vars(self)
            state.update({name: _paged(state[name], old.get(name)) for name in _NAMES})
        return state

    def _check_loaded(self, state: Mapping[str, Any]) -> None:
        for name in _NAMES:
            table = state.get(name)
            if isinstance(table, Pages):
                state = {**state, name: _checked(self, name, table)}
        super()._check_loaded(state)  # type: ignore[misc]

    # -- requests ----------------------------------------------------------------------------------
    def _answer(self: Any, retained: Interactions, request: ForgetRequest) -> dict[str, Any]:
        """Attributes after a request; of the touched rows alone, where no others move."""
        # A converged model has a slack, which is a property of all rows.
        tables = None if self.converged_ else self._tables_in_pages()
        if tables is not None and _uses_all_columns(tables[1]):
            state = self._answer_locally(retained, request)
            if state is not None:
                return state
        return super()._answer(retained, request)  # type: ignore[misc]

    def _answer_locally(
        self: Any, retained: Interactions, request: ForgetRequest
    ) -> dict[str, Any] | None:
        """Attributes after a request; None where the strategy may move other rows too."""
        strategy = self._strategy()
        if not _may_stay_local(strategy):
            return None
        part = TouchedPart.of(self._interactions, retained, request)
        if part is None:
            return None
        _ = retained.item_degrees  # counted once in a row of requests: `remove` carries it over
        problem = self._local_problem(retained, part, self._make_objective(retained))
        if not _stays_local(strategy, problem):
            return None
        outcome = strategy.unlearn(problem)
        rows, theta = (part.touched_users, part.touched_items), outcome.theta
        places = (
            np.searchsorted(part.users, rows[0]),
            np.searchsorted(part.items, rows[1]) + len(part.users),
        )
        users, items = (
            table.replace(own, theta[place])
            for table, own, place in zip(self._tables_in_pages(), rows, places, strict=True)
        )
        return {
            "user_factors_": users,
            "item_factors_": items,
            "_sums": outcome.sums,
            "_slack": min(outcome.slack, 0.0),
            "_fit_work": problem.refit_cost * max(retained.n_interactions, 1),
            "converged_": outcome.converged,
            "gradient_norm_": outcome.bound,
            "forget_report_": report_of(outcome, request, saturated=_uses_all_columns(items)),
        }

    def _local_problem(
        self: Any, retained: Interactions, part: TouchedPart, objective: Any
    ) -> ForgetProblem:
        users, items = self._tables_in_pages()
        theta = np.concatenate([users[part.users], items[part.items]])
        own = part.objective(objective, theta, self._sums)

        def before() -> Any:
            # Of J_D nothing is asked but the penalty: frequency scaling counts what goes.
            ridge = self._make_objective(self._interactions).ridge
            rows = np.concatenate([part.users, part.items + retained.n_users])
            return replace(own, ridge=ridge.for_rows(rows))

        return ForgetProblem(
            before=part.before,
            retained=part.retained,
            positions=part.positions,
            objective=own,
            objective_before=before,
            theta=theta,
            converged=self.converged_,
            gradient_norm=self.gradient_norm_,
            slack=self._slack,
            n_free=0,
            local=True,
            refit=lambda train=None, seed=None: self._refit(retained, train, seed),
            sums=self._sums,
            gtol=self._request_gtol(objective),
            trained_norm=self.tol * objective.gradient_scale,
            refit_cost=self._fit_work / max(self._interactions.n_interactions, 1),
            on_step=self._show,
            added=part.added,
        )


def _paged(factors: Floats, old: Any) -> Pages:
    """Factors in pages: those of an older version where nothing differs."""
    if isinstance(old, Pages) and old.shape == factors.shape and old.dtype == factors.dtype:
        return old.matching(factors)
    return Pages.cut(factors, np.arange(0, len(factors), _PAGE_ROWS))


def _may_stay_local(strategy: Unlearner) -> bool:
    """Tell whether a strategy moves the touched rows alone, or decides so by the request."""
    decides = hasattr(strategy, "moves_touched_rows_alone")
    return decides or getattr(strategy, "scope", None) == "touched"


def _stays_local(strategy: Unlearner, problem: ForgetProblem) -> bool:
    """Tell whether a strategy moves the touched rows alone."""
    decide = getattr(strategy, "moves_touched_rows_alone", None)
    return True if decide is None else bool(decide(problem))


def _uses_all_columns(table: Pages) -> bool:
    """Tell whether no column is zero in all rows; the first page mostly tells."""
    used = np.zeros(table.shape[1], bool)
    for page in table.pages:
        used |= page.any(axis=0)
        if used.all():
            return True
    return False


def _checked(owner: Any, name: str, table: Pages) -> Floats:
    """Check the pages of a loaded table; return an array of its shape that takes no memory."""
    first = check_table(owner, {name: table.pages[0]}, name, (None, None))
    for page in table.pages:
        check_table(owner, {name: page}, name, (None, first.shape[1]), (first.dtype,))
    return np.broadcast_to(np.zeros((), first.dtype), table.shape)
