"""Propagated objectives on tensors: every derivative as on NumPy arrays."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.backends import to_numpy
from sklearn_unlearn.backends._torch import TorchBackend
from tests.objectives.graph_problems import PROBLEMS

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request):
    return TorchBackend(request.param)


def on(backend, objective):
    return replace(
        objective,
        inner=replace(objective.inner, backend=backend),
        propagation=replace(objective.propagation, backend=backend),
    )


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("restricted", [False, True])
def test_derivatives_agree(problem, restricted, backend):
    objective, theta, V = problem.objective(), problem.theta(), problem.theta(1)
    if restricted:
        objective = objective.restrict(np.arange(0, len(theta), 2))[0]
    one, other = objective.at(theta), on(backend, objective).at(theta)
    assert other.value == pytest.approx(one.value, rel=1e-12)
    product = other.hessian_product(backend.asarray(V))
    assert type(product) is type(backend.asarray(V))
    for got, expected in [
        (other.gradient, one.gradient),
        (product, one.hessian_product(V)),
        (other.hessian_diagonal(), one.hessian_diagonal()),
        (other.blocks(), one.blocks()),
    ]:
        assert_allclose(to_numpy(got), expected, **CLOSE)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_what_a_certificate_and_a_fold_in_ask_comes_back_to_the_host(problem, backend):
    objective, theta = problem.objective(), problem.theta()
    twin, eye = on(backend, objective), np.eye(len(theta))
    for ask in (
        lambda one: one.gradient(theta),
        lambda one: one.propagate(theta),
        lambda one: one.certificate().residual_operator(theta).matmat(eye),
        lambda one: one.gathered(theta),
        lambda one: one.gathered(theta, adjoint=True),
        lambda one: np.array(
            [one.certificate().dual_value(theta, 0.1), one.certificate().convex_value(theta, 1.0)]
        ),
    ):
        got = ask(twin)
        assert isinstance(got, np.ndarray)
        assert_allclose(got, ask(objective), **CLOSE)


def test_propagation_of_single_precision_stays_single(backend):
    problem = PROBLEMS[3]
    table = problem.theta().astype(np.float32)
    twin = on(backend, problem.objective()).propagation
    out = to_numpy(twin(backend.asarray(table)))
    assert out.dtype == np.float32
    assert_allclose(out, problem.propagation() @ table, atol=1e-5)
    assert_array_equal(table, problem.theta().astype(np.float32))
