"""Models of the implicit library: taken over with their factors, and handed back."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.recommenders._factor_state import penalty_of
from sklearn_unlearn.recommenders._types import Floats, RandomState
from sklearn_unlearn.recommenders.takeover._state import OBJECTIVE, refuse, taken_over

__all__ = ["ImplicitMixin"]

_WHAT = "expected a fitted implicit.als.AlternatingLeastSquares"
# Why the others of that library are not taken over, and what to use instead.
_OTHERS = {
    "BayesianPersonalizedRanking": (
        "this one draws negatives by popularity and penalises a row whenever it is drawn, which no "
        "model here does. Pass one, or fit BPR on the same matrix."
    ),
    "LogisticMatrixFactorization": (
        "the steps of this one for users and for items are those of two functions, so it minimises "
        "none. Pass one, or fit ALS or BPR on the same matrix."
    ),
}
_ELSE = f"{OBJECTIVE} Pass one, or from_factors what another program fitted by least squares."


class ImplicitMixin:
    """Mixin of `ALS`: from and to `implicit.als.AlternatingLeastSquares`."""

    # Of the estimator.
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
        fixed = "n_factors", "regularization", "alpha", "frequency_scaling", "frequency_offset"
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
                regularization=penalty_of(self),
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
    kind = type(model).__name__
    why = _OTHERS.get(kind, _ELSE) if type(model).__module__.startswith("implicit.") else _ELSE
    raise TypeError(f"model is of the class {kind}; {_WHAT}: {why}")
