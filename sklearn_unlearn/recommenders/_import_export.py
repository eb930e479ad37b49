"""Models that were fitted elsewhere: taken over with their factors, and handed back."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from sklearn_unlearn.certificates._rank import slack_of
from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.recommenders._types import Floats, RandomState, State
from sklearn_unlearn.utils._matrices import as_numbers, check_magnitude
from sklearn_unlearn.utils._random import draw_seed
from sklearn_unlearn.utils._validation import refuse_masked

__all__ = ["TakeOverMixin", "refuse", "taken_over"]

_WHAT = "expected a fitted implicit.als.AlternatingLeastSquares"

# Passes over the interactions that a sweep takes, and a guess of those of a training elsewhere.
_SWEEP, _PASSES = 3.0, 100.0


class TakeOverMixin:
    """Mixin of `ALS`: into it and out of it with a model that is fitted already."""

    # Of the estimator.
    regularization: float
    alpha: float
    n_sweeps: int
    n_jobs: int | None
    random_state: RandomState
    user_factors_: Floats
    item_factors_: Floats

    @classmethod
    def from_implicit(
        cls,
        model: Any,
        user_items: Any,
        *,
        unlearner: str | Unlearner | None = None,
        n_jobs: int | None = None,
        **params: Any,
    ) -> Self:
        """Take over a fitted model of the `implicit` library, so that it can forget.

        Nothing is trained: the factors are copied as they are. Hardly any model is run to
        convergence; `forget` then subtracts the gradient that training left, so that it answers
        the request and does not finish the training, and it does not warn of that.

        Parameters
        ----------
        model : implicit.als.AlternatingLeastSquares
            Fitted, on the CPU or on a GPU.

        user_items : sparse container or array-like, shape (n_users, n_items)
            The matrix that it was fitted on. Zeros, stored or not, are not interactions.

        unlearner : None, "influence", "sweep", "refit" or a strategy, default=None
            How to forget.

        n_jobs : int or None, default=None
            Threads.

        **params : dict
            Other parameters of the estimator. `n_sweeps` is the model's `iterations` by default,
            `max_iter` is 0, so that a refit trains as long as implicit did, and `random_state` is
            the model's if that is an int. Factors, penalty and confidence are the model's always.

        Returns
        -------
        model : ALS
            Fitted, in the data type of the factors (single precision for half). It shares no
            memory with its origin. Rows of users and items without interactions are zero.

        Raises
        ------
        TypeError
            If `model` is of another class, or `params` sets what the model decides.
        sklearn.exceptions.NotFittedError
            If `model` is not fitted.
        ValueError
            If shapes do not fit, `user_items` holds negative values, NaN or no interaction, or the
            factors hold NaN or infinity.

        Examples
        --------
        >>> from implicit.als import AlternatingLeastSquares
        >>> from scipy.sparse import csr_matrix
        >>> from sklearn_unlearn import ALS
        >>> from sklearn_unlearn.datasets import make_interactions
        >>> from threadpoolctl import threadpool_limits
        >>> user_items = csr_matrix(abs(make_interactions(60, 50, random_state=0)))
        >>> with threadpool_limits(1, "blas"):
        ...     trained = AlternatingLeastSquares(8, regularization=10.0, random_state=0)
        ...     trained.fit(user_items, show_progress=False)
        >>> model = ALS.from_implicit(trained, user_items)
        >>> model.forget(users=[42]).forget_report_.guarantee
        'residual-bounded'
        """
        model = _on_cpu(model)
        fixed = ("n_factors", "regularization", "alpha", "frequency_scaling")
        refuse(params, fixed, "from_implicit takes it from the model")
        if model.user_factors is None or model.item_factors is None:
            raise NotFittedError(f"model has no factors; {_WHAT}. Call its fit first.")
        seed = model.random_state
        settings = {
            "regularization": float(model.regularization),
            "alpha": float(model.alpha),
            "n_sweeps": int(model.iterations),
            "max_iter": 0,
            "random_state": int(seed) if isinstance(seed, Integral) else None,
            "unlearner": unlearner,
            "n_jobs": n_jobs,
        }
        factors = model.user_factors, model.item_factors
        return taken_over(cls, factors, user_items, "user_items", {**settings, **params})

    @classmethod
    def from_factors(
        cls,
        user_factors: ArrayLike,
        item_factors: ArrayLike,
        interactions: Any,
        *,
        regularization: float,
        alpha: float,
        **params: Any,
    ) -> Self:
        """Take over factors from anywhere, so that they can forget.

        Nothing is trained. The factors should be near a minimum of the objective of `ALS`: what
        separates them from it counts as training that was not finished, as in `from_implicit`.

        Parameters
        ----------
        user_factors : array-like of shape (n_users, n_factors)
            Copied. Single and double precision are kept, and are double if they meet.

        item_factors : array-like of shape (n_items, n_factors)
            Copied.

        interactions : sparse container or array-like, shape (n_users, n_items)
            What they were fitted on. Zeros, stored or not, are not interactions.

        regularization : float
            Weight of the penalty.

        alpha : float
            Confidence of an observed value of 1.

        **params : dict
            Other parameters of the estimator, except `n_factors`.

        Returns
        -------
        model : ALS
            Fitted. Rows of users and items without interactions are zero.

        Raises
        ------
        TypeError
            If the factors are not numbers, or `params` sets `n_factors`.
        ValueError
            If shapes do not fit, `interactions` holds negative values, NaN or no interaction, or
            the factors hold NaN or infinity.

        Examples
        --------
        >>> from sklearn_unlearn import ALS
        >>> from sklearn_unlearn.datasets import make_interactions
        >>> X = abs(make_interactions(60, 50, random_state=0))
        >>> fitted = ALS(8, regularization=10.0, alpha=10.0, random_state=0).fit(X)
        >>> P, Q = fitted.canonical_factors()
        >>> ALS.from_factors(P, Q, X, regularization=10.0, alpha=10.0).converged_
        True
        """
        refuse(params, ("n_factors",), "from_factors counts the columns of the factors")
        settings = {"regularization": regularization, "alpha": alpha, **params}
        factors = user_factors, item_factors
        return taken_over(cls, factors, interactions, "interactions", settings)

    def to_implicit(self) -> Any:
        """Hand the model over to the `implicit` library, to serve or to save it there.

        Returns
        -------
        model : implicit.als.AlternatingLeastSquares
            For the CPU, in single precision, with copies of the factors and the same
            hyper-parameters. Implicit knows no `frequency_scaling`: with it, the factors serve as
            they are, but ``partial_fit_users`` and the like would use another penalty.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the model is not fitted.

        Examples
        --------
        >>> from sklearn_unlearn import ALS
        >>> from sklearn_unlearn.datasets import make_interactions
        >>> X = abs(make_interactions(60, 50, random_state=0))
        >>> model = ALS(8, regularization=10.0, alpha=10.0, random_state=0).fit(X)
        >>> items, scores = model.to_implicit().similar_items(3, N=2)
        >>> int(items[0])
        3
        """
        check_is_fitted(self)
        from implicit.cpu.als import AlternatingLeastSquares

        seed = self.random_state
        # For the sake of its fit, it warns of BLAS threads when made; nothing is fitted here.
        with threadpool_limits(1, "blas"):
            exported = AlternatingLeastSquares(
                factors=self.item_factors_.shape[1],
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.n_sweeps,
                num_threads=effective_n_jobs(self.n_jobs),
                # Nothing but an int: implicit cannot draw a seed, nor save a generator.
                random_state=int(seed) if isinstance(seed, Integral) else None,
            )
        # Its compiled code asks for arrays that can be written to.
        exported.user_factors = np.array(self.user_factors_, np.float32, order="C")
        exported.item_factors = np.array(self.item_factors_, np.float32, order="C")
        return exported


def _on_cpu(model: Any) -> Any:
    """Return implicit's ALS for the CPU; refuse every other class."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.gpu.als import AlternatingLeastSquares as OnGpu

    if isinstance(model, OnGpu):
        model = model.to_cpu()
    if isinstance(model, AlternatingLeastSquares):
        return model
    raise TypeError(
        f"model is of the class {type(model).__name__}; {_WHAT}: other classes minimise other "
        "objectives. Pass one, or from_factors what another program fitted by least squares."
    )


def refuse(params: State, fixed: tuple[str, ...], why: str) -> None:
    """Refuse parameters that are not the caller's to choose."""
    for name in fixed:
        if name in params:
            raise TypeError(f"{name}={params[name]} was given; {why}. Leave it out.")


def _joint_table(user_factors: ArrayLike, item_factors: ArrayLike) -> Floats:
    """One table of both sides, a copy."""
    for side in (user_factors, item_factors):
        refuse_masked(side, "an array of factors")
    users, items = parts = np.asarray(user_factors), np.asarray(item_factors)
    if any(part.dtype.kind not in "fiu" for part in parts):
        raise TypeError(
            f"the factors have the data types {users.dtype} and {items.dtype}; expected real "
            "numbers. Pass arrays of float32 or float64."
        )
    if users.ndim != 2 or items.ndim != 2 or users.shape[1] != items.shape[1]:
        raise ValueError(
            f"the factors have the shapes {users.shape} and {items.shape}; expected (n_users, "
            "n_factors) and (n_items, n_factors). Pass both sides of one model, a row for each."
        )
    single = np.result_type(np.float32, *parts) == np.float32
    table = np.concatenate(parts, dtype=np.float32 if single else np.float64)
    if not np.isfinite(table).all():
        raise ValueError(
            "the factors hold NaN or infinity; expected finite numbers. Train the model again, "
            "with a larger regularization if that happens anew."
        )
    return table


def taken_over(cls: Any, factors: tuple[Any, Any], X: Any, name: str, settings: State) -> Any:
    """Estimator in the state that a fit on X with these factors as its outcome would leave."""
    table, sides = _joint_table(*factors), tuple(len(side) for side in factors)
    model = cls(n_factors=table.shape[1], **settings)
    model._validate_params()
    if "float32" not in get_tags(model).transformer_tags.preserves_dtype:
        table = table.astype(np.float64, copy=False)
    data = _read(model, X, sides, name, table.dtype)
    model._seed = draw_seed(model.random_state)  # objectives may draw from it
    objective = model._make_objective(data)
    # As after a fit. What another program left there would be a trace of data that are gone.
    unmet = (data.item_degrees == 0) & ~objective.is_drawn(np.arange(data.n_items))
    table[np.concatenate([data.user_degrees == 0, unmet])] = 0
    norm = float(np.linalg.norm(objective.gradient(table)))
    stationary = norm <= model.tol * objective.gradient_scale
    slack = slack_of(objective, table) if stationary else 0.0
    state = model._attributes(table, objective, data)
    passes = _SWEEP * model.n_sweeps if hasattr(model, "n_sweeps") else _PASSES
    state.update(
        _interactions=data,
        _slack=slack,
        _taken_over=True,
        _fit_work=passes * data.n_interactions,
        n_iter_=1,
        converged_=stationary and slack >= 0,
        gradient_norm_=norm,
    )
    model.__dict__.update(state)
    return model


def _read(
    model: Any, X: Any, shape: tuple[int, ...], name: str, dtype: np.dtype[Any]
) -> Interactions:
    """Interactions, in a data type, that factors of some shape can have been fitted on."""
    X = as_numbers(X, name)
    values = X.data if sparse.issparse(X) and X.format in ("csr", "csc", "coo") else X
    numbers = isinstance(values, np.ndarray) and values.dtype.kind in "fi"
    if numbers and not ((values >= 0) & (values < np.inf)).all():
        raise ValueError(
            f"{name} holds negative values, NaN or infinity; expected positive numbers. Dislikes "
            f"are nothing that {type(model).__name__} knows: train without them, and pass the rest."
        )
    rows = model._validate_matrix(X, reset=True)
    if rows.shape != shape:
        right = f"{name}, users x items, not its transpose"
        if rows.shape[::-1] != shape:
            right = "the matrix that the factors were fitted on, a row for each user"
        raise ValueError(
            f"{name} has the shape {rows.shape}; expected {shape}, by the factors. Pass {right}."
        )
    data = Interactions.from_matrix(rows.astype(dtype, copy=False))
    if not data.n_interactions:
        raise ValueError(
            f"{name} of shape {shape} holds no interaction; expected at least one. "
            "Pass the matrix that the factors were fitted on."
        )
    check_magnitude(data.values, name)
    return data
