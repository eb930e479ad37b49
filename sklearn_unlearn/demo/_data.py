"""From a file of events, or from nothing, to matrices of positions and a way back to ids."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from sklearn_unlearn.datasets import Events, make_interactions
from sklearn_unlearn.datasets._load import read_events
from sklearn_unlearn.model_selection import split_interactions
from sklearn_unlearn.preprocessing import InteractionEncoder

__all__ = ["Problem", "file_events", "make_problem", "synthetic_events"]

TEST_SHARE = 0.1
# Half-star and whole-star scales end at 5; "4 or better" is how their likes are usually read.
STARS_MAX, STARS_LIKED = 5.0, 4.0


@dataclass(frozen=True, eq=False)
class Problem:
    """What the experiment needs to know of the data.

    Parameters
    ----------
    source : str
        Where the events are from.

    loss : str
        ``"logistic"`` (values are +1 and -1) or ``"squared"``.

    reading : str
        How values were read, in words.

    X_train, X_test : csr_array of shape (n_users, n_items)
        Events to fit on and held-out events.

    users, items : ndarray of int
        Positions that the caller asked to forget; both empty if nothing was asked.

    encoder : InteractionEncoder
        Between ids and positions.

    layout : str, default=""
        How the file was read, in words.
    """

    source: str
    loss: str
    reading: str
    X_train: sparse.csr_array
    X_test: sparse.csr_array
    users: np.ndarray
    items: np.ndarray
    encoder: InteractionEncoder
    layout: str = ""

    def user_id(self, position: int) -> str:
        """Return the id of a user."""
        return str(self.encoder.decode_users([position])[0])

    def item_ids(self, positions: Any) -> list[str]:
        """Return the ids of items."""
        return [str(item) for item in self.encoder.decode_items(positions)]


def synthetic_events(n_users: int, loss: str, seed: int) -> Events:
    """Make events with a known low-rank truth: labels, or ratings for the squared loss."""
    n_items = max(n_users // 4, 10)
    matrix = make_interactions(
        n_users,
        n_items,
        n_interactions=min(40 * n_users, n_users * n_items // 2),
        n_factors=4,
        noise=2.0 if loss == "squared" else 0.5,
        feedback="rating" if loss == "squared" else "label",
        random_state=seed,
    ).tocoo()
    users, items = (
        np.array([f"{role}_{position:05d}" for position in positions.tolist()], object)
        for role, positions in zip(("user", "item"), matrix.coords, strict=True)
    )
    return Events(users, items, matrix.data)


def file_events(path: str, columns: dict[str, Any], **options: Any) -> tuple[Events, str]:
    """Read a file, and say how; of several events of one pair the latest counts, by their times.

    `columns` and `options` are arguments of `load_interactions`.
    """
    wanted = dict.fromkeys(("user", "item", "value", "timestamp")) | columns
    try:
        events, reading = read_events(path, wanted, **options)
    except (ValueError, ImportError) as error:
        raise type(error)(_as_flags(str(error))) from None
    except OSError as error:
        if error.errno is None:  # the loader's own message says all
            raise
        raise ValueError(
            f"Got '{path}', which cannot be read ({error.strerror}); expected a readable file. "
            "Check its permissions."
        ) from error
    if events.timestamp is None:
        return events, str(reading)
    order = np.argsort(events.timestamp, kind="stable")
    return Events(events.user[order], events.item[order], events.value[order]), str(reading)


def _as_flags(text: str) -> str:
    """Turn the loader's words for its arguments into the options of the command line."""
    columns = "--columns USER,ITEM[,VALUE[,TIMESTAMP]]"
    text = re.sub(r"(user|item|value|timestamp)=\.\.\.(, (item|value)=\.\.\.)*", columns, text)
    text = text.replace("header=True", "--header").replace("header=False", "--no-header")
    text = text.replace("header=...", "--header or --no-header")
    text = re.sub(r"\b(sep|quoting|encoding|zeros|member)=\.\.\.", r"--\1", text)
    return re.sub(r"\b(sep|quoting|encoding|zeros|member)=", r"--\1 ", text)


def make_problem(
    events: Events,
    source: str,
    *,
    loss: str,
    threshold: float | None,
    user_ids: list[str],
    item_ids: list[str],
    seed: int,
    layout: str = "",
) -> Problem:
    """Turn events into the matrices of a problem; raise ValueError for what cannot be one.

    `loss` may be "auto". `threshold` None chooses one.
    """
    name = Path(source).name
    values, loss, reading = _read_values(events.value, name, loss, threshold)
    kept = values != 0  # a rating of 0 would say "not observed"
    if not kept.all():
        reading += f"; {np.count_nonzero(~kept):,} ratings of 0 left out (0 means not observed)"
    columns = {"user": events.user[kept], "item": events.item[kept], "value": values[kept]}
    encoder = InteractionEncoder(value="value", duplicates="last", unknown="ignore")
    X = encoder.fit_transform(columns)
    _check_size(X, name)
    users = _positions(encoder.encode_users, user_ids, columns["user"], "user", name)
    items = _positions(encoder.encode_items, item_ids, columns["item"], "item", name)
    X_train, X_test = split_interactions(X, TEST_SHARE, random_state=seed)
    # All events of who is to be forgotten are learned from, so that there is something to forget.
    named = touched(X_test, users, items)
    X_train = sparse.csr_array(X_train + subset(X_test, named))
    X_test = subset(X_test, ~named)
    X_train.sort_indices()
    if not X_test.nnz or touched(X_train, users, items).all():
        raise ValueError(
            f"The request takes all {X.nnz} events of '{name}', or all held-out ones; expected "
            "some to be left. Forget fewer users or items."
        )
    return Problem(source, loss, reading, X_train, X_test, users, items, encoder, layout)


def touched(X: sparse.csr_array, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Tell which stored entries of X belong to one of these users or items."""
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return np.isin(rows, users) | np.isin(X.indices, items)


def subset(X: sparse.csr_array, kept: np.ndarray) -> sparse.csr_array:
    """Return the stored entries of X that a mask keeps."""
    out = X.copy()
    out.data = np.where(kept, X.data, 0.0)
    out.eliminate_zeros()
    return out


def _read_values(
    values: np.ndarray, name: str, loss: str, threshold: float | None
) -> tuple[np.ndarray, str, str]:
    """Return the values to learn, the loss and the reading of the values in words."""
    distinct = np.unique(values)
    if len(distinct) < 2:
        raise ValueError(
            f"All {len(values):,} events of '{name}' have the value {distinct[0]:g}; expected "
            "ratings, or likes and dislikes: matrix factorisation over observed pairs has nothing "
            "to learn from likes alone. Add a column of values, such as 1 for taken and 0 for "
            "shown but not taken (with --zeros keep), or name it with --columns; from likes alone, "
            "learn in Python with ALS, BPR or LightGCN."
        )
    if loss == "squared":
        low, high = distinct[[0, -1]]
        return values, loss, f"ratings from {low:g} to {high:g}, as they are"
    reason = "given"
    if threshold is None:
        threshold, reason = _auto_threshold(values, distinct)
    liked = values >= threshold
    if liked.all() or not liked.any():
        raise ValueError(
            f"Got the threshold {threshold:g}, which makes every event of '{name}' a "
            f"{'like' if liked.all() else 'dislike'}; expected one between the values "
            f"{distinct[0]:g} and {distinct[-1]:g}. Pass --threshold {np.mean(values):g}, for "
            "instance."
        )
    reading = f"liked = value >= {threshold:.4g} ({reason}): {liked.mean():.0%} of the events"
    return np.where(liked, 1.0, -1.0), "logistic", reading


def _auto_threshold(values: np.ndarray, distinct: np.ndarray) -> tuple[float, str]:
    if len(distinct) == 2:
        return float(distinct[1]), "the larger of the two values"
    half_stars = bool((2 * distinct % 1 == 0).all()) and distinct[0] > 0
    if half_stars and distinct[-1] == STARS_MAX and distinct[0] < STARS_LIKED:
        return STARS_LIKED, "usual for a scale of 5 stars"
    return float(values.mean()), "the mean"


def _check_size(X: sparse.csr_array, name: str) -> None:
    if min(X.shape) < 2 or X.nnz < 20:
        raise ValueError(
            f"'{name}' has {X.nnz} different pairs of {X.shape[0]} users and {X.shape[1]} items; "
            "expected at least 20 pairs of 2 users and 2 items. Pass more events, or check which "
            "columns are read (--columns)."
        )


def _positions(encode: Any, ids: list[str], column: np.ndarray, role: str, name: str) -> np.ndarray:
    """Positions of ids that were typed on a command line."""
    typed = [_whole(text) for text in ids] if column.dtype.kind in "iu" else ids
    found = [-1 if value is None else int(encode([value])[0]) for value in typed]
    unknown = [text for text, position in zip(ids, found, strict=True) if position < 0]
    if unknown:
        integers = column.dtype.kind in "iu"
        kind = "whole numbers" if integers else "text, to the letter ('1.0' is not '1')"
        raise ValueError(
            f"Got --{role} {' '.join(unknown[:3])}, which '{name}' does not hold; expected {role} "
            f"ids of that file, which are {kind}. Check the ids; the file goes before --{role}."
        )
    return np.unique(np.array(found, np.int64))


def _whole(text: str) -> int | None:
    """Read an integer of 64 bits as files have it, or None for any other text."""
    if not re.fullmatch("0|-?[1-9][0-9]{,19}", text):
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**64 else None
