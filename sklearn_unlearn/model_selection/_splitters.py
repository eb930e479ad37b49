"""Splitters of tables of events, in scikit-learn's protocol: by user, by time, of whole users."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from sklearn_unlearn.preprocessing._columns import EventTable, read_events
from sklearn_unlearn.preprocessing._factorize import factorize_objects

__all__ = ["LeaveKOut", "LeaveUsersOut", "TemporalSplit"]

Positions = NDArray[np.int64]
Split = tuple[Positions, Positions]


class LeaveKOut(BaseCrossValidator):
    """Hold out k events of every user: the last ones, or some at random.

    Users with k events or fewer stay in the training part, so that every test user is known.

    Parameters
    ----------
    k : int, default=1
        Events to hold out, at least 1.

    timestamp : str or None, default=None
        Column of times; each user's latest events are held out, of equal times those further down
        in the table. None: events are drawn at random. Of an array it is column 3, whatever the
        name.

    n_splits : int, default=1
        Draws, each on its own. With `timestamp` there is one.

    user : str, default="user"
        Column of users. Of an array it is column 0.

    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    See Also
    --------
    TemporalSplit : All events from some time on.
    split_interactions : The same for a matrix, with ``cv=LeaveKOut()``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn.model_selection import LeaveKOut
    >>> events = {"user": ["ann", "bob", "ann", "ann"], "timestamp": [5, 1, 9, 2]}
    >>> [(train, test)] = LeaveKOut(timestamp="timestamp").split(events)
    >>> train, test
    (array([0, 1, 3]), array([2]))
    """

    def __init__(
        self,
        k: int = 1,
        *,
        timestamp: str | None = None,
        n_splits: int = 1,
        user: str = "user",
        random_state: Any = None,
    ) -> None:
        self.k = k
        self.timestamp = timestamp
        self.n_splits = n_splits
        self.user = user
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; all parameters are ignored."""
        return _whole("n_splits", self.n_splits)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield positions of training and test events.

        Parameters
        ----------
        X : table of events
            A pandas, polars or pyarrow frame, a dict of columns, `datasets.Events` or an array.

        y, groups : object, default=None
            Ignored.

        Yields
        ------
        train, test : ndarray of int64
            Rows of the table, ascending.

        Raises
        ------
        TypeError, ValueError
            For parameters or tables of a wrong form, and if no user has more than k events.
        """
        k, n_splits = _whole("k", self.k), self.get_n_splits()
        table = _table(X, self.user, self.timestamp)
        users = _codes(table.user)
        if self.timestamp is not None and n_splits > 1:
            raise ValueError(
                f"n_splits={n_splits} was given with a timestamp; expected 1, as the latest events "
                "are the same in every split. Pass timestamp=None for random ones."
            )
        if np.bincount(users, minlength=1).max() <= k:
            raise ValueError(
                f"no user has more than k={k} events; expected one that has, as another event has "
                "to be left to learn from. Pass a smaller k."
            )
        generator = check_random_state(self.random_state)
        for _ in range(n_splits):
            if self.timestamp is None:
                keys: Any = generator.permutation(len(users))
            else:
                keys = _times(table)
            left, counts = _places_from_end(users, keys)
            yield _parts((left < k) & (counts[users] > k))


class TemporalSplit(BaseCrossValidator):
    """Train on the past and test on the future, of the whole table or of every user.

    Parameters
    ----------
    test_size : float, default=0.2
        Share of events to hold out, between 0 and 1, rounded to at least one. Of the whole table,
        events at the time of the first held-out one are held out, too. Of each user, all but one
        are held out at most, so that users with one event stay in the training part.

    per_user : bool, default=False
        False: one time divides all events, so that nothing of the future is learnt from. True: the
        latest events of every user are held out, so that all test users are known.

    user, timestamp : str, default="user", "timestamp"
        Columns of users and of times: integers, floats or datetimes. Of an array they are columns
        0 and 3.

    Examples
    --------
    >>> from sklearn_unlearn.model_selection import TemporalSplit
    >>> events = {"user": ["ann", "bob", "ann", "bob"], "timestamp": [1, 2, 3, 9]}
    >>> [(train, test)] = TemporalSplit(0.25).split(events)
    >>> train, test
    (array([0, 1, 2]), array([3]))
    >>> [(train, test)] = TemporalSplit(0.25, per_user=True).split(events)
    >>> train, test
    (array([0, 1]), array([2, 3]))
    """

    def __init__(
        self,
        test_size: float = 0.2,
        *,
        per_user: bool = False,
        user: str = "user",
        timestamp: str = "timestamp",
    ) -> None:
        self.test_size = test_size
        self.per_user = per_user
        self.user = user
        self.timestamp = timestamp

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return 1; all parameters are ignored."""
        return 1

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield positions of training and test events.

        Parameters
        ----------
        X : table of events
            As in `LeaveKOut.split`, with times.

        y, groups : object, default=None
            Ignored.

        Yields
        ------
        train, test : ndarray of int64
            Rows of the table, ascending.

        Raises
        ------
        TypeError, ValueError
            For parameters or tables of a wrong form, missing times, and if a part would be empty.
        """
        share = _share("test_size", self.test_size)
        table = _table(X, self.user, self.timestamp)
        users, times = _codes(table.user), _times(table)
        if self.per_user:
            left, counts = _places_from_end(users, times)
            n_test = np.clip(np.round(share * counts).astype(np.int64), 1, counts - 1)
            in_test = left < n_test[users]
        else:
            first = len(times) - max(round(share * len(times)), 1)
            in_test = times >= np.partition(times, first)[first]
        if in_test.all() or not in_test.any():
            part = "training" if in_test.all() else "test"
            raise ValueError(
                f"test_size={share} leaves the {part} part empty; expected events in both, which "
                "takes two times, or of each user two events. Pass another test_size or more data."
            )
        yield _parts(in_test)


class LeaveUsersOut(BaseCrossValidator):
    """Hold out whole users, one part of them after the other: strong generalisation.

    All events of a user are in one part, so that test users are new to the model. It is
    ``GroupKFold`` with the users as groups, shuffled, and reads them from the table itself. Rows of
    a matrix are users already: ``KFold`` splits those.

    Parameters
    ----------
    n_splits : int, default=5
        Parts, at least 2 and at most as many as there are users.

    user : str, default="user"
        Column of users. Of an array it is column 0.

    random_state : int, RandomState instance or None, default=None
        Seed of the draw.

    Examples
    --------
    >>> from sklearn_unlearn.model_selection import LeaveUsersOut
    >>> events = {"user": ["ann", "bob", "ann", "eve"]}
    >>> [test.tolist() for _, test in LeaveUsersOut(3, random_state=0).split(events)]
    [[3], [1], [0, 2]]
    """

    def __init__(self, n_splits: int = 5, *, user: str = "user", random_state: Any = None) -> None:
        self.n_splits = n_splits
        self.user = user
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; all parameters are ignored."""
        return _whole("n_splits", self.n_splits, least=2)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Yield positions of training and test events.

        Parameters
        ----------
        X : table of events
            As in `LeaveKOut.split`.

        y, groups : object, default=None
            Ignored.

        Yields
        ------
        train, test : ndarray of int64
            Rows of the table, ascending.

        Raises
        ------
        TypeError, ValueError
            For parameters or tables of a wrong form, and for fewer users than parts.
        """
        n_splits = self.get_n_splits()
        users = _codes(_table(X, self.user, None).user)
        n_users = int(users.max()) + 1
        if n_users < n_splits:
            raise ValueError(
                f"n_splits={n_splits} and the table has {n_users} users; expected a user for each "
                "part. Pass a smaller n_splits."
            )
        part = check_random_state(self.random_state).permutation(n_users) % n_splits
        for number in range(n_splits):
            yield _parts(part[users] == number)


# -- tables ----------------------------------------------------------------------------------------
def _table(events: Any, user: str, timestamp: str | None) -> EventTable:
    """Read users and times of a table of events."""
    if sparse.issparse(events):
        raise TypeError(
            "a sparse matrix was passed; expected a table of events, as rows of a matrix are whole "
            "users. Call split_interactions(X, cv=...) with this splitter."
        )
    table = read_events(events, user, user, None, timestamp, pairs=True)
    if timestamp is not None and table.time is None:
        raise ValueError(
            f"an array of {events.shape[1]} columns was passed; expected 4, the last of which has "
            "the times. Add it, or pass a frame or a dict, where columns have names."
        )
    if not len(table.user):
        raise ValueError("the table has no event; expected at least two. Pass events.")
    return table


def _codes(column: Any) -> Positions:
    """Return the number of the id in each row of a column."""
    values = column.to_numpy() if hasattr(column, "to_numpy") else column
    if isinstance(values, np.ndarray) and values.dtype != object:
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    return factorize_objects(list(values))[1].astype(np.int64)


def _times(table: EventTable) -> NDArray[Any]:
    """Return times that can be put in order."""
    column = table.time
    times = np.asarray(column.to_numpy() if hasattr(column, "to_numpy") else column)
    if times.dtype == object:  # numbers in an array of objects, next to ids
        times = np.array(times.tolist())
    if times.dtype.kind not in "iufM":
        raise TypeError(
            f"the times have dtype {times.dtype}; expected integers, floats or datetimes. Convert "
            "the column, for instance by pandas.to_datetime."
        )
    missing = np.isnat(times) if times.dtype.kind == "M" else ~np.isfinite(times)
    if missing.any():
        raise ValueError(
            f"{int(missing.sum())} times are missing or infinite; expected one for each event. "
            "Drop these events."
        )
    return times


def _places_from_end(users: Positions, keys: NDArray[Any]) -> tuple[Positions, Positions]:
    """Return how many events of the same user come after each, and the events of each user."""
    order = np.lexsort((keys, users))
    counts = np.bincount(users)
    ends = np.cumsum(counts)
    left = np.empty(len(users), np.int64)
    left[order] = ends[users[order]] - 1 - np.arange(len(users))
    return left, counts


def _parts(in_test: NDArray[np.bool_]) -> Split:
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def _whole(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r}; expected an integer. Pass a whole number.")
    if value < least:
        raise ValueError(f"{name}={value}; expected at least {least}. Pass a larger number.")
    return int(value)


def _share(name: str, value: Any) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r}; expected a number between 0 and 1. Pass 0.2.")
    if not 0 < float(value) < 1:
        raise ValueError(
            f"{name}={value}; expected a share between 0 and 1, both excluded. Pass 0.2 for a "
            "fifth."
        )
    return float(value)
