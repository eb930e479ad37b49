"""Gradient ascent on what is forgotten, and fine-tuning on what remains, with noise or without."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from sklearn_unlearn.benchmarks.rivals._common import (
    N_SCALE_PRODUCTS,
    POSITIVE,
    STEPS,
    ZERO_OR_MORE,
    Floats,
    largest_curvature,
    outcome,
    request_gradient,
    settle,
)
from sklearn_unlearn.influence import ForgetOutcome, ForgetProblem

__all__ = ["FineTuning", "GradientAscent", "NoisyFineTuning"]


class GradientAscent(BaseEstimator):
    r"""Ascend the loss of the forgotten interactions.

    .. math:: \theta \leftarrow \theta + \frac{\eta}{L} \nabla \ell_F(\theta)

    with :math:`\ell_F = J_D - J_R` the terms of the forgotten interactions, and L the largest
    curvature of :math:`J_R` at the fitted parameters. The NegGrad baseline of Golatkar et al. [1]_,
    full-batch. It has no end: the loss of a forgotten interaction has no maximum.

    Parameters
    ----------
    n_steps : int, default=5
        Steps.

    learning_rate : float, default=0.5
        Length of a step, in multiples of 1 / L.

    References
    ----------
    .. [1] Golatkar, Achille and Soatto, "Eternal Sunshine of the Spotless Net: Selective Forgetting
       in Deep Networks", CVPR 2020.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.benchmarks.rivals import GradientAscent
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, unlearner=GradientAscent(), random_state=0).fit(X)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'one-step'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_steps": [STEPS],
        "learning_rate": [POSITIVE],
    }

    def __init__(self, n_steps: int = 5, learning_rate: float = 0.5) -> None:
        self.n_steps = n_steps
        self.learning_rate = learning_rate

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Take the steps."""
        self._validate_params()
        theta = np.array(problem.theta, np.float64)
        rate = self.learning_rate / largest_curvature(problem, theta)
        for _ in range(self.n_steps):
            theta -= rate * request_gradient(problem, theta)
        return outcome(
            problem,
            settle(problem, theta),
            "gradient ascent",
            n_steps=self.n_steps,
            n_products=N_SCALE_PRODUCTS,
        )


class FineTuning(BaseEstimator):
    r"""Continue the training on the retained interactions, by gradient descent.

    .. math:: \theta \leftarrow \theta - \frac{\eta}{L} \nabla J_R(\theta)

    with L the largest curvature at the fitted parameters: the baseline of most papers, full-batch.
    A model whose training had not ended is trained further by it.

    Parameters
    ----------
    n_steps : int, default=10
        Steps.

    learning_rate : float, default=1.0
        Length of a step, in multiples of 1 / L. Above 2 the steps diverge where the curvature is
        largest.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.benchmarks.rivals import FineTuning
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> model = MatrixFactorization(8, unlearner=FineTuning(), random_state=0).fit(X)
    >>> model.forget(users=[7]).forget_report_.residual < 1
    True
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_steps": [STEPS],
        "learning_rate": [POSITIVE],
    }

    def __init__(self, n_steps: int = 10, learning_rate: float = 1.0) -> None:
        self.n_steps = n_steps
        self.learning_rate = learning_rate

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Take the steps."""
        self._validate_params()
        theta = _descend(problem, self.n_steps, self.learning_rate)
        return outcome(
            problem, theta, "fine-tuning", n_steps=self.n_steps, n_products=N_SCALE_PRODUCTS
        )


class NoisyFineTuning(BaseEstimator):
    r"""Fine-tune with Gaussian noise in each step: noisy gradient descent.

    .. math::
        \theta \leftarrow \theta - \eta' \nabla J_R(\theta) + \sqrt{2 \eta'} \, \sigma \xi,
        \qquad \eta' = \eta / L, \quad \xi \sim N(0, I)

    Langevin unlearning [1]_. Its :math:`(\varepsilon, \delta)` needs a fit that was noisy as well,
    parameters that are projected to a ball and, for bounds of use, a strongly convex objective. A
    factor model has none of these, so no :math:`\varepsilon` is reported.

    Parameters
    ----------
    n_steps : int, default=10
        Steps.

    learning_rate : float, default=1.0
        Length of a step, in multiples of 1 / L, L the largest curvature at the fitted parameters.

    noise : float, default=0.1
        The factor of the noise, sigma.

    random_state : int, RandomState instance or None, default=None
        Seed of the noise.

    References
    ----------
    .. [1] Chien, Wang, Chen and Li, "Langevin Unlearning: A New Perspective of Noisy Gradient
       Descent for Machine Unlearning", NeurIPS 2024.

    Examples
    --------
    >>> from sklearn_unlearn import MatrixFactorization
    >>> from sklearn_unlearn.benchmarks.rivals import NoisyFineTuning
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> X = make_interactions(60, 40, random_state=0)
    >>> rival = NoisyFineTuning(random_state=0)
    >>> model = MatrixFactorization(8, unlearner=rival, random_state=0).fit(X)
    >>> model.forget(users=[7]).forget_report_.guarantee
    'one-step'
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_steps": [STEPS],
        "learning_rate": [POSITIVE],
        "noise": [ZERO_OR_MORE],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_steps: int = 10,
        learning_rate: float = 1.0,
        noise: float = 0.1,
        random_state: Any = None,
    ) -> None:
        self.n_steps = n_steps
        self.learning_rate = learning_rate
        self.noise = noise
        self.random_state = random_state

    def unlearn(self, problem: ForgetProblem) -> ForgetOutcome:
        """Take the steps."""
        self._validate_params()
        settings = self.n_steps, self.learning_rate, self.noise, self.random_state
        return outcome(
            problem,
            settle(problem, _descend(problem, *settings)),
            "noisy fine-tuning",
            n_steps=self.n_steps,
            n_products=N_SCALE_PRODUCTS,
        )


def _descend(
    problem: ForgetProblem,
    n_steps: int,
    learning_rate: float,
    noise: float = 0.0,
    seed: Any = None,
) -> Floats:
    """Descend on J_R from the fitted parameters; return where that ends."""
    theta = settle(problem, problem.theta)
    rate = learning_rate / largest_curvature(problem, theta)
    generator = check_random_state(seed)
    for _ in range(n_steps):
        theta -= rate * problem.objective.gradient(theta)
        if noise:
            xi = generator.standard_normal(theta.shape)
            theta += np.sqrt(2 * rate) * noise * problem.objective.layout.mask_fixed(xi)
    return theta
