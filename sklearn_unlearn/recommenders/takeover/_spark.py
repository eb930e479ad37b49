"""Models of Spark MLlib: taken over from their files, and written for Spark to load."""

from __future__ import annotations

import os
from numbers import Real
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._types import Floats
from sklearn_unlearn.recommenders.takeover._spark_files import (
    read_metadata,
    read_side,
    write_model,
)
from sklearn_unlearn.recommenders.takeover._state import as_confidences, refuse, taken_over

__all__ = ["SparkMixin"]

Ids = NDArray[np.int64]

# Of Spark's ids: integers of 32 bits.
_LARGEST_ID = 2**31 - 1


class SparkMixin:
    """Mixin of `ALS`: from and to the files of `pyspark.ml.recommendation.ALSModel`."""

    # Of the estimator.
    user_factors_: Floats
    item_factors_: Floats
    _interactions: Interactions

    @classmethod
    def from_spark(
        cls,
        folder: str | os.PathLike[str],
        interactions: Any,
        *,
        reg_param: float,
        alpha: float,
        user_ids: ArrayLike | None = None,
        item_ids: ArrayLike | None = None,
        unlearner: str | Unlearner | None = None,
        n_jobs: int | None = None,
        **params: Any,
    ) -> Self:
        r"""Take over a saved implicit-feedback model of Spark MLlib, so that it can forget.

        Nothing is trained, and Spark is not needed: pyarrow reads the files. With `implicitPrefs`,
        an observed pair of rating r > 0 has the confidence ``1 + alpha * r`` and the penalty of a
        row is `regParam` times its number of such ratings: the objective of `ALS` with
        ``frequency_scaling=1``.

        Parameters
        ----------
        folder : path-like
            What ``model.save`` was given, on a local disk: `metadata`, `userFactors` and
            `itemFactors`. A fitted pipeline keeps it in its folder `stages`.

        interactions : sparse container or array-like, shape (n_users, n_items)
            What the model was fitted on, as a matrix. Spark does not add up several ratings of one
            pair, so its data must have had each pair once. Ratings of 0 have no weight in Spark
            and are no interactions.

        reg_param, alpha : float
            `regParam` and `alpha` of the estimator (by Spark's defaults 0.1 and 1.0). The files of
            a model do not tell them; those of a saved estimator do.

        user_ids, item_ids : array-like of int or None, default=None
            Spark's id of every row and of every column of `interactions`. None: ids are positions.

        unlearner : None, "influence", "sweep", "refit" or a strategy, default=None
            How to forget.

        n_jobs : int or None, default=None
            Threads.

        **params : dict
            Other parameters of the estimator. `n_sweeps` is 10 by default, as Spark's `maxIter`,
            and `max_iter` is 0, so that a refit trains as long.

        Returns
        -------
        model : ALS
            Fitted, in single precision. Rows are those of `interactions`. Its `alpha` is ``1 + a``
            for the alpha a of Spark, and a value is ``(1 + a * r) / (1 + a)``.

        Raises
        ------
        TypeError
            If ids are no integers, or `params` sets what the model decides.
        ValueError
            If the folder is not that of an ALS model, ids occur twice, factors have no row or
            column in `interactions` or interactions no factors, values are negative (Spark takes
            them for dislikes with a confidence), or `alpha` is negative.
        ImportError
            If pyarrow is not installed.

        Warns
        -----
        DataWarning
            If the factors of the users, which training solves last, are no solution for these
            interactions, `reg_param` and `alpha`. So it is with explicit feedback
            (``implicitPrefs=False``) and with ``nonnegative=True``, which `ALS` cannot express.

        See Also
        --------
        to_spark : The way back.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn_unlearn import ALS
        >>> from sklearn_unlearn.datasets import make_interactions
        >>> X = (make_interactions(60, 50, random_state=0) != 0).astype(float)
        >>> fitted = ALS(8, alpha=5.0, regularization=0.2, frequency_scaling=1.0, random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saved = Path(folder) / "model"
        ...     fitted.fit(X).to_spark(saved)
        ...     model = ALS.from_spark(saved, X, reg_param=0.2, alpha=4.0, unlearner="sweep")
        >>> bool(model.forget(users=[42]).user_factors_[42].any())
        False
        """
        fixed = "n_factors", "regularization", "frequency_scaling", "frequency_offset"
        refuse(params, fixed, "from_spark takes it from the model and reg_param")
        weight, source = _weight(alpha), Path(folder)
        read_metadata(source)
        shape: tuple[int, ...] = np.shape(interactions)
        if len(shape) != 2:
            raise ValueError(
                f"interactions has the shape {shape}; expected (n_users, n_items). Pass a matrix, "
                "which InteractionEncoder makes of events."
            )
        users = _Side.of(source, "user", user_ids, shape[0])
        items = _Side.of(source, "item", item_ids, shape[1])

        def check(data: Interactions) -> None:
            users.refuse_unknown(data.user_degrees)
            items.refuse_unknown(data.item_degrees)

        settings = {
            "regularization": float(reg_param),
            "alpha": 1 + weight,
            "frequency_scaling": 1.0,
            "n_sweeps": 10,
            "max_iter": 0,
            "unlearner": unlearner,
            "n_jobs": n_jobs,
        }
        return taken_over(
            cls,
            (users.table, items.table),
            interactions,
            "interactions",
            {**settings, **params},
            values=as_confidences(weight),
            solved="users",
            check=check,
        )

    def to_spark(
        self,
        folder: str | os.PathLike[str],
        *,
        user_ids: ArrayLike | None = None,
        item_ids: ArrayLike | None = None,
        like: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write the model as a folder that Spark MLlib loads with ``ALSModel.load``.

        Users and items without interactions are left out, forgotten ones among them: to Spark they
        are unknown.

        Parameters
        ----------
        folder : path-like
            A new folder.

        user_ids, item_ids : array-like of int or None, default=None
            Spark's id of every user and of every item, of at most 31 bits. None: ids are positions.

        like : path-like or None, default=None
            Folder of a saved model, for the names of columns and the strategy for unknown ids that
            the new one shall have. None: Spark's defaults.

        Raises
        ------
        FileExistsError
            If the folder exists.
        TypeError
            If ids are no integers.
        ValueError
            If there are more or fewer ids than rows, ids occur twice or do not fit in 31 bits.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        ImportError
            If pyarrow is not installed.

        Examples
        --------
        See `from_spark`.
        """
        check_is_fitted(self)
        metadata = None if like is None else read_metadata(Path(like))
        data, sides = self._interactions, {}
        for side, factors, degrees, ids in (
            ("user", self.user_factors_, data.user_degrees, user_ids),
            ("item", self.item_factors_, data.item_degrees, item_ids),
        ):
            known, met = _ids_of(side, ids, len(factors)), degrees > 0
            if known.size and (known.min() < -_LARGEST_ID - 1 or known.max() > _LARGEST_ID):
                raise ValueError(
                    f"{side}_ids reach from {known.min()} to {known.max()}; expected integers of "
                    "32 bits, as Spark's ALS has them. Number them anew."
                )
            sides[side] = known[met], factors[met]
        write_model(Path(folder), sides, metadata)


class _Side:
    """Factors of one side, a row for each row or column of the interactions."""

    def __init__(self, side: str, table: Floats, known: NDArray[np.bool_]) -> None:
        self.side, self.table, self.known = side, table, known

    @classmethod
    def of(cls, folder: Path, side: str, ids: ArrayLike | None, n: int) -> _Side:
        """Read the factors, and put them in the order of the ids."""
        wanted = _ids_of(side, ids, n)
        found, factors = read_side(folder, side)
        order = np.argsort(wanted, kind="stable")
        places = np.searchsorted(wanted, found, sorter=order)
        there = places < n
        there[there] = wanted[order[places[there]]] == found[there]
        if not there.all():
            raise ValueError(
                f"the number of {side}s with factors and without a "
                f"{'row' if side == 'user' else 'column'} of interactions is "
                f"{np.count_nonzero(~there)}; expected 0. Pass what the model was fitted on, and "
                f"its ids as {side}_ids unless they are positions."
            )
        table, known = np.zeros((n, factors.shape[1]), np.float32), np.zeros(n, bool)
        table[order[places]], known[order[places]] = factors, True
        return cls(side, table, known)

    def refuse_unknown(self, degrees: NDArray[np.int64]) -> None:
        """Refuse interactions of rows without factors: the model has not been fitted on them."""
        n = np.count_nonzero((degrees > 0) & ~self.known)
        if n:
            raise ValueError(
                f"the number of {self.side}s with interactions and without factors is {n}; "
                f"expected 0. Pass what the model was fitted on, and its ids as {self.side}_ids "
                "unless they are positions."
            )


def _weight(alpha: Any) -> float:
    """Weight of a rating in its confidence."""
    if isinstance(alpha, Real) and 0 <= float(alpha) < np.inf:
        return float(alpha)
    raise ValueError(
        f"alpha={alpha!r} was given; expected a number of at least 0. Pass the alpha of Spark's "
        "estimator."
    )


def _ids_of(side: str, ids: ArrayLike | None, n: int) -> Ids:
    """Ids of the rows of one side, each once."""
    if ids is None:
        return np.arange(n)
    known = np.asarray(ids)
    if known.dtype.kind not in "iu":
        raise TypeError(
            f"{side}_ids has the data type {known.dtype}; expected integers, as the ids of Spark's "
            "ALS are. Pass the numbers that the model was fitted with."
        )
    if known.shape != (n,) or len(np.unique(known)) != n:
        raise ValueError(
            f"{side}_ids has the shape {known.shape} and {len(np.unique(known))} ids that differ; "
            f"expected {n} of them, one for each {'row' if side == 'user' else 'column'}. Pass the "
            "ids in the order of the matrix."
        )
    return known.astype(np.int64)
