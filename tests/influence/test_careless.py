"""A strategy of the user's that leaves the row of a forgotten user leaves no trace in the model."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import ForgetOutcome

LABELS = make_interactions(50, 40, n_interactions=500, random_state=0)
CLICKS = make_interactions(50, 40, n_interactions=500, feedback="implicit", random_state=0)
RATINGS = make_interactions(50, 40, n_interactions=500, feedback="rating", random_state=0)
USER = 7


class Careless:
    """Adds something to every row, and says that nothing was promised."""

    def unlearn(self, problem):
        theta = problem.theta + 0.01
        return ForgetOutcome(
            theta=theta, method="careless", guarantee="one-step", status="moved", n_steps=1,
            n_products=0.0, n_rows_updated=len(theta), gradient_norm=(1.0, 1.0), bound=1.0,
            converged=False, sums=problem.sums,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "X"),
    [
        (MatrixFactorization(4, regularization=1.0, random_state=0), LABELS),
        (MatrixFactorization(4, loss="squared", fit_bias=False, random_state=0), RATINGS),
        (ALS(4, regularization=5.0, random_state=0), CLICKS),
        (BPR(4, random_state=0), CLICKS),
        (LightGCN(4, random_state=0), CLICKS),
    ],
    ids=lambda one: type(one).__name__ if hasattr(one, "fit") else "",
)
def test_rows_that_lose_everything_end_at_their_optimum(model, X):
    fitted = model.fit(X)
    careless = copy.deepcopy(fitted).set_params(unlearner=Careless()).forget(users=[USER])
    exact = copy.deepcopy(fitted).forget(users=[USER])
    tables = [name for name in vars(exact) if name.startswith("user_") and name.endswith("_")]
    assert tables
    for name in tables:
        left, expected = (np.asarray(getattr(one, name))[USER] for one in (careless, exact))
        assert_array_equal(left, expected)
    if hasattr(careless, "_sums"):  # made of the table that is kept, not of the one that came
        again = careless._make_objective(careless._interactions).sums(
            np.vstack([careless.user_factors_, careless.item_factors_])
        )
        for kept, made in zip(careless._sums, again, strict=True):
            np.testing.assert_allclose(kept, made)
