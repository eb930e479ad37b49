"""What every factor model shares: fit, forget and certify, given `_make_objective`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn._forget_request import ForgetRequest
from sklearn_unlearn.backends import Backend, DeviceMemoryError, device_memory, get_backend
from sklearn_unlearn.base import ForgetMixin, LearnMixin
from sklearn_unlearn.certificates import OptimalityCertificate, certify
from sklearn_unlearn.exceptions import DeviceMemoryWarning, NotConvergedWarning
from sklearn_unlearn.influence import (
    AsTrainedUnlearner,
    RefitUnlearner,
    Unlearner,
)
from sklearn_unlearn.influence._problem import ForgetProblem, check_outcome
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.objectives import Layout
from sklearn_unlearn.recommenders._factor_scores import FactorScores
from sklearn_unlearn.recommenders._factor_state import (
    SPARE,
    Occupied,
    canonical,
    cleared,
    columns_of,
    empty_rows,
    grown_tables,
    is_saturated,
    penalty_of,
    report_of,
    settled,
    to_attributes,
    to_table,
    used_columns,
)
from sklearn_unlearn.recommenders._factor_training import FactorTraining
from sklearn_unlearn.recommenders._loaded import check_factors
from sklearn_unlearn.recommenders._strategies import STRATEGIES, check_unlearner, names_of
from sklearn_unlearn.recommenders._types import Columns, Floats, ModelObjective, State
from sklearn_unlearn.solvers._gauge import canonical_rotation
from sklearn_unlearn.utils._compat import _fit_context
from sklearn_unlearn.utils._random import draw_seed
from sklearn_unlearn.utils._state import refuse_changed
from sklearn_unlearn.utils._verbs import refuse_not_finite, refusing_overflow, restored_on_failure

__all__ = [
    "FactorModel",
    "compute",
]

# A request is answered a hundred times more loosely than the model was fitted: a share of its own
# gradient within these limits, and never more than that of the unit of gradients. Finer, it would
# be lost in what the fit left open.
_LOOSER, _FINEST, _LOOSEST = 100, 1e-3, 1e-1


class FactorModel(FactorTraining, FactorScores, LearnMixin, ForgetMixin, BaseEstimator):
    """Base of the factor models: a subclass is hyper-parameters and `_make_objective`.

    ``_make_objective(data, offset=None)`` states the objective of some interactions; `offset` fixes
    the global mean instead of taking it from the data.

    Examples
    --------
    >>> from sklearn_unlearn.recommenders import ALS, BPR, FactorModel, LightGCN
    >>> all(issubclass(one, FactorModel) for one in (ALS, BPR, LightGCN))
    True
    """

    # Whether another program trained it: then it is hardly ever at an optimum, which is expected,
    # and `forget` does not warn of it at each request.
    _taken_over = False

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model to a gradient tolerance.

        Parameters
        ----------
        X : sparse container or array-like, shape (n_users, n_items)
            Interactions. Zero, stored or not, means not observed.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_users,), default=None
            How many users each row stands for. Weight 0 means never trained on.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, or no interaction at all.

        Warns
        -----
        NotConvergedWarning
            If `max_iter` steps did not reach `tol`, or ended at a saddle point.
        SlowFitWarning
            If X is large, and the penalty below a hundredth of the largest that leaves a factor.
        """
        with restored_on_failure(self):
            with self._threads():
                state = self._fit(X, sample_weight)
            for name in ("forget_report_", "learn_report_", "_taken_over"):
                self.__dict__.pop(name, None)
            self.__dict__.update(state)
        return self

    def _fit(self, X: Any, sample_weight: ArrayLike | None) -> dict[str, Any]:
        """Attributes of a fit; what validation sets on the way, `fit` takes back if it fails."""
        check_unlearner(self.unlearner, names_of(type(self)))
        data = self._check_training_data(X, sample_weight)
        seed = self._seed = draw_seed(self.random_state)  # objectives may draw from it as well
        with refusing_overflow(self):
            self.regularization_ = self._chosen_penalty(data, fitting=True)
            state, fault = compute(self, lambda model: model._train(data, seed), stacklevel=5)
        refuse_not_finite(self, self._computed(state))
        if fault and self.max_iter:
            # Past `fit` and scikit-learn's wrapper of it.
            warnings.warn(fault, NotConvergedWarning, stacklevel=4)
        return state

    def certify(self, tol: float = 1e-6) -> OptimalityCertificate:
        """Check for global optimality, and bound the distance to any refit.

        Parameters
        ----------
        tol : float, default=1e-6
            Relative duality gap that counts as certified.

        Returns
        -------
        certificate : OptimalityCertificate
            Spectral ratio, relative gap, rank and prediction bound.
        """
        check_is_fitted(self)
        self._check_parameters()
        with self._threads():
            data = self._interactions
            theta = self._theta(self._make_objective(data, offset=self._offset).layout)
            occupied = self._occupied(data)
            if occupied is not None:
                data, theta = occupied.take(data), theta[occupied.rows]
            objective = self._make_objective(data, offset=self._offset)
            return certify(objective, theta.astype(np.float64), tol)

    def canonical_factors(self) -> tuple[Floats, Floats]:
        """Return factors that carry no history: rotated so that the items' Gram matrix is diagonal.

        Returns
        -------
        user_factors : ndarray of shape (n_users, n_factors)
        item_factors : ndarray of shape (n_items, n_factors)
            The same scores as ``user_factors_`` and ``item_factors_``. `fit` leaves factors in this
            basis; `forget` keeps the old one, so that rows that did not change stay as they were.
        """
        check_is_fitted(self)
        with self._threads():
            rotation = canonical_rotation(self.item_factors_)
            return self.user_factors_ @ rotation, self.item_factors_ @ rotation

    @property
    def n_factors_(self) -> int:
        """Latent columns of the tables, those included that the penalty has emptied."""
        if "item_factors_" not in vars(self):
            raise AttributeError(
                f"n_factors_ was read of a {type(self).__name__} without factors; expected a "
                "fitted model. Call fit first."
            )
        return int(vars(self)["item_factors_"].shape[1])

    # -- hooks of the mixins -----------------------------------------------------------------------
    def _check_parameters(self) -> None:
        if columns_of(self) != self.n_factors_:
            refuse_changed(self, "n_factors", self.n_factors_)

    def _forget(self, retained: Interactions, request: ForgetRequest) -> dict[str, Any]:
        state = compute(self, lambda model: model._answer(retained, request), stacklevel=4)
        # Said once: a later request finds what the first has left as well.
        reports = "forget_report_", "learn_report_"
        known = self.converged_ or self._taken_over or any(hasattr(self, one) for one in reports)
        if not known and state["forget_report_"].guarantee != "refit":
            warnings.warn(
                "the model was not fitted to its tolerance, so the gradient it had before the "
                "request is subtracted: the request is answered, the training is not finished. "
                "Fit with a larger max_iter for a residual that means more.",
                NotConvergedWarning,
                stacklevel=5 if len(request.added) else 3,  # past the public verb
            )
        return state

    def _grown(self, data: Interactions) -> dict[str, Any]:
        state = grown_tables(vars(self), data.shape)
        objective = self._make_objective(data)
        if data.n_items == self._interactions.n_items or not objective.draws_items:
            return state
        # Every draw is another one: the model is no optimum, and the next request makes it one.
        theta = to_table(SimpleNamespace(**self._parameters(state)), objective.layout)
        state.update(self._attributes(theta, objective, data))
        return {**state, "gradient_norm_": objective.gradient_norm(theta), "_slack": 0.0}

    def _answer(self, retained: Interactions, request: ForgetRequest) -> dict[str, Any]:
        """Attributes after a request."""
        # Columns that the penalty has emptied stay out of the arithmetic.
        used = used_columns(self._parameters(vars(self))["item_factors_"])
        whole = self._make_objective(retained)
        if self.n_factors == "auto":
            n_used = self.item_factors_[:0, used].shape[1]
            width = max(whole.layout.n_factors, min(n_used + SPARE, self.max_factors))
            whole = whole.with_factors(width)
        _ = retained.item_degrees  # counted once in a row of requests: `remove` carries it over
        occupied = self._occupied(self._interactions, retained)
        problem = self._problem(retained, request, whole, used, occupied)
        # Where nothing was known there is nothing to start from.
        known = self._interactions.n_interactions > 0
        strategy = self._strategy() if known else RefitUnlearner()
        outcome = check_outcome(strategy.unlearn(problem), strategy, problem.theta.shape)
        if outcome.method == "refit":
            whole = whole.with_factors(outcome.theta.shape[1] - 2 * whole.layout.fit_bias)
            theta = self._canonical(outcome.theta, whole)
            state = self._attributes(theta, whole, retained)
        else:
            theta = outcome.theta
            if occupied is not None:
                theta = occupied.put(theta, whole.layout)
            empty, was_empty = empty_rows(retained, whole), empty_rows(self._interactions, whole)
            theta = settled(theta, whole.layout, empty & was_empty)
            # Strategies set those that the request emptied; of one that did not, no trace stays.
            keeps = getattr(strategy, "keeps_emptied_rows", False)  # to compare with what is wrong
            clean = theta if keeps else cleared(theta, whole.layout, empty & ~was_empty)
            sums = outcome.sums if clean is theta else ()
            state = self._attributes(clean, whole, retained, used, sums)
        state.update(
            regularization_=float(penalty_of(self)),
            _slack=outcome.slack,
            _fit_work=problem.refit_cost * max(retained.n_interactions, 1),
            converged_=outcome.converged,
            gradient_norm_=outcome.bound,
            forget_report_=report_of(
                outcome, request, saturated=is_saturated(self._parameters(state))
            ),
        )
        return state

    def _problem(
        self,
        retained: Interactions,
        request: ForgetRequest,
        whole: ModelObjective,
        used: Columns,
        occupied: Occupied | None,
    ) -> ForgetProblem:
        n_used = self.item_factors_[:0, used].shape[1]
        objective, before, rest = whole.with_factors(n_used), self._interactions, retained
        theta = self._theta(objective.layout, used)
        if occupied is not None:
            before, rest, theta = occupied.take(before), occupied.take(rest), theta[occupied.rows]
            objective = self._make_objective(rest).with_factors(n_used)
        return ForgetProblem(
            before=before,
            retained=rest,
            positions=request.positions,
            objective=objective,
            objective_before=lambda: self._make_objective(before).with_factors(n_used),
            theta=theta,
            converged=self.converged_,
            gradient_norm=self.gradient_norm_,
            slack=self._slack,
            n_free=whole.layout.n_factors - n_used,
            local=objective.is_local and objective.offset == self._offset,
            refit=lambda train=None, seed=None: self._refit(retained, train, seed),
            sums=tuple(S[used][:, used] for S in self.__dict__.get("_sums", ())),
            gtol=self._request_gtol(objective),
            trained_norm=self.tol * objective.gradient_scale,
            refit_cost=self._fit_work / max(self._interactions.n_interactions, 1),
            on_step=self._show,
            added=request.added,
        )

    def _occupied(self, *tables: Interactions) -> Occupied | None:
        """Rows that hold something in any table; None where they are most of it."""

        def is_drawn(items: NDArray[np.int64]) -> NDArray[np.bool_]:
            drawn = [self._make_objective(data).is_drawn(items) for data in tables]
            return np.logical_or.reduce(drawn)

        return Occupied.of(tables[0], is_drawn, *tables[1:])

    def _request_gtol(self, objective: ModelObjective) -> float:
        """Gradient norm that a request may leave at most, unless the user chose the strategy.

        Beside what an unfinished training left, a share of the request's own is the measure.
        """
        chosen = self.unlearner is not None and self.unlearner != "influence"
        if chosen or (self.unlearner is None and not self.converged_):
            return np.inf
        return _LOOSER * self.tol * objective.gradient_scale

    # -- what a model is made of -------------------------------------------------------------------
    # Whether tables have the data type of the interactions; else they are in double precision.
    _keeps_dtype = False
    # Whether requests find what a fit has derived from the interactions, or derive it anew.
    _keeps_derived = True
    _tables: tuple[str, ...] = ("factors",)

    def _computed(self, state: State) -> State:
        # Where every column is in use, none can be missing: the slack is infinite.
        state = {name: value for name, value in state.items() if name != "_slack"}
        if not state.get("_sums"):
            return state
        # The sums of all rows are the place to look: they are there, and the tables may be large.
        return {name: value for name, value in state.items() if not name.endswith("_factors_")}

    def _check_loaded(self, state: State) -> None:
        check_factors(self, state, self._tables, self._with_biases)

    # -- from tables to attributes and back --------------------------------------------------------
    def _canonical(self, theta: Floats, objective: ModelObjective) -> Floats:
        """Table in the basis that `canonical_factors` gives."""
        return canonical(theta, objective.layout, self.tol)

    @classmethod
    def _kept(cls, data: Interactions) -> Interactions:
        """Interactions as the model keeps them, with or without what was derived from them."""
        return data if cls._keeps_derived else data.bare()

    def _attributes(
        self,
        theta: Floats,
        objective: ModelObjective,
        data: Interactions,
        columns: Columns | None = None,
        sums: tuple[Floats, ...] = (),
    ) -> dict[str, Any]:
        """Attributes of a table; sums over its rows are kept, those of stored numbers."""
        dtype = data.dtype if self._keeps_dtype else np.float64
        exact = bool(sums) and theta.dtype == dtype and theta.shape == objective.layout.shape
        state = to_attributes(theta, objective, columns, dtype=dtype, biases=self._with_biases)
        if objective.has_exact_rows:
            table = to_table(SimpleNamespace(**state), objective.layout)
            state["_sums"] = sums if exact else objective.sums(table)
        return state

    @property
    def _offset(self) -> float:
        return self.global_mean_ if self._with_biases else 0.0

    def _backend(self) -> Backend:
        return get_backend(self.device, self.n_jobs)

    def _strategy(self) -> Unlearner:
        if self.unlearner is not None:  # it may be set after `fit`
            check_unlearner(self.unlearner, names_of(type(self)))
        if not (self.unlearner is None or isinstance(self.unlearner, str)):
            return self.unlearner
        if self.unlearner is None and not getattr(self, "converged_", True):
            return AsTrainedUnlearner()
        strategy: Any = STRATEGIES[self.unlearner or "influence"]()
        if self.unlearner in (None, "influence"):
            tol = min(max(_LOOSER * self.tol, _FINEST), _LOOSEST)
            strategy.set_params(tol=tol, max_cost=1.0)
        if self._taken_over and self.unlearner is None:
            strategy.set_params(on_failure="warn")  # a refit here would be another training
        return strategy

    def _show(self, step: int, value: float, gradient_norm: float, n_products: float) -> None:
        """Print a step of a fit or of a request, with ``verbose``; not all know what they leave."""
        if not self.verbose:
            return
        valued = "" if np.isnan(value) else f"objective {value:.6g}, "
        left = "" if np.isnan(gradient_norm) else f"gradient norm {gradient_norm:.2e}, "
        print(f"[{type(self).__name__}] step {step}: {valued}{left}{n_products:.4g} products")

    def _theta(self, layout: Layout, columns: Columns = slice(None)) -> Floats:
        return to_table(SimpleNamespace(**self._parameters(vars(self))), layout, columns)

    @staticmethod
    def _parameters(state: State) -> State:
        """Factors and biases that are parameters, by the names of the attributes of `state`."""
        return state


def compute(model: Any, work: Callable[[Any], Any], stacklevel: int) -> Any:
    """Do some work of a model; where the memory of its device does not suffice, do it on the CPU.

    `work` is called with the model, or with a stand-in that differs in its device alone. It must
    return what is new and change nothing, or the second attempt would not start where the first
    did. `stacklevel` is that of a warning, counted from here.
    """
    try:
        with device_memory():
            return work(model)
    except DeviceMemoryError:
        pass  # the second attempt is made outside: the error refers to what fills the memory
    warnings.warn(
        f"device={model.device!r} ran out of memory; expected room for the tables and for the "
        "interactions. All is computed again on the CPU: set device='cpu' to do so at once, or "
        "reduce n_factors.",
        DeviceMemoryWarning,
        stacklevel=stacklevel,
    )
    stand_in = object.__new__(type(model))
    stand_in.__dict__.update(vars(model), device="cpu")
    return work(stand_in)
