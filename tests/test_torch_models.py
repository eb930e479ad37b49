"""Whole models on tensors: the same fits and answers to requests as on NumPy arrays."""

import gc
import pickle
import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch.overrides import TorchFunctionMode

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.backends import DeviceMemoryError, ScipyBackend, to_numpy
from sklearn_unlearn.backends._torch import TorchBackend
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import DeviceMemoryWarning
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.pruning import HopPruner
from sklearn_unlearn.recommenders import _factor
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

LABELS = make_interactions(60, 40, n_interactions=700, random_state=0)
RATINGS = make_interactions(60, 40, n_interactions=700, feedback="rating", random_state=0)
COUNTS = abs(LABELS)

# Well-posed, and fitted as far as double precision goes: then there is one answer.
FACTORS = {"n_factors": 8, "regularization": 4.0, "tol": 1e-11, "random_state": 0}
MODELS = {
    "logistic": (MatrixFactorization(**FACTORS), LABELS),
    "squared": (MatrixFactorization(loss="squared", **FACTORS), RATINGS),
    "scaled": (
        MatrixFactorization(frequency_scaling=0.5, **{**FACTORS, "regularization": 1.0}),
        LABELS,
    ),
    "als": (ALS(alpha=5.0, **FACTORS), COUNTS),
    "bpr": (BPR(**{**FACTORS, "regularization": 1.0}), COUNTS),
    "lightgcn, bpr": (LightGCN(n_layers=2, **{**FACTORS, "regularization": 0.5}), COUNTS),
    "lightgcn, weighted": (
        LightGCN(n_layers=2, loss="weighted", **{**FACTORS, "regularization": 8.0}),
        COUNTS,
    ),
    "als, swept": (ALS(alpha=5.0, **{**FACTORS, "max_iter": 0}), COUNTS),
}
STRATEGIES = {
    "accurate": InfluenceUnlearner(tol=1e-9),
    "one step": InfluenceUnlearner(n_steps=1, tol=None),
    "pruned": InfluenceUnlearner(HopPruner(1), tol=1e-6),
    "sweep": "sweep",
    "touched": SweepUnlearner("touched", n_sweeps=2),
    "refit": "refit",
}
REQUESTS = {
    "a user": {"users": [7]},
    "an item": {"items": [3]},
    "pairs": {"interactions": np.stack(LABELS.nonzero(), axis=1)[50:400:23]},
}
CASES = [(name, "default", kind) for name in MODELS for kind in REQUESTS]
CASES += [(name, "accurate", "pairs") for name in MODELS]
CASES += [
    (name, how, "pairs")
    for name in ("logistic", "als, swept")
    for how in STRATEGIES
    if how != "accurate"
]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def backend(request):
    return TorchBackend(request.param)


@pytest.fixture
def compute_on(monkeypatch):
    """Choose the backend of all models: ``device="cuda"`` asks for a GPU, this does not."""

    def switch(chosen):
        monkeypatch.setattr(_factor, "get_backend", lambda device, n_jobs: chosen)

    return switch


def products(model):
    return model.user_factors_ @ model.item_factors_.T


def assert_close(got, expected, rtol):
    """Entries differ by no more than a share of the largest one, which is not zero."""
    size = np.abs(expected).max()
    assert size > 0.01
    assert_allclose(got, expected, rtol=0, atol=rtol * size)


def fitted(model, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are not run to convergence, on purpose
        return clone(model).fit(X)


def forgotten(model, request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return deepcopy(model).forget(**request)


# -- the same objectives -------------------------------------------------------------------------
def dense(operator):
    return operator @ np.eye(operator.shape[1])


@pytest.mark.parametrize("name", MODELS)
def test_objectives_of_models_agree(name, backend, compute_on):
    model, X = MODELS[name]
    model, data, rng = clone(model), Interactions.from_matrix(X), np.random.default_rng(0)
    model._seed = 0  # of the items that some draw
    one = model._make_objective(data)
    compute_on(backend)
    other = model._make_objective(data)
    Z, V = rng.standard_normal((2, one.layout.shape[0], one.layout.n_factors))
    theta = one.layout.pack(Z, rng.standard_normal(len(Z)))
    V = one.layout.mask_fixed(one.layout.pack(V))
    assert other.value(theta) == pytest.approx(one.value(theta), rel=1e-12)
    assert other.certificate().dual_value(theta, 0.5) == pytest.approx(
        one.certificate().dual_value(theta, 0.5), rel=1e-12
    )
    for ask in (
        lambda objective, point, like: objective.gradient(theta),
        lambda objective, point, like: point.hessian_product(like(V)),
        lambda objective, point, like: point.hessian_diagonal(),
        lambda objective, point, like: point.blocks(),
        lambda objective, point, like: dense(objective.certificate().residual_operator(theta)),
    ):
        expected = ask(one, one.at(theta), np.asarray)
        got = ask(other, other.at(theta), backend.asarray)
        assert_close(to_numpy(got), expected, 1e-12)


# -- the same answers ----------------------------------------------------------------------------
@pytest.mark.parametrize("name", MODELS)
def test_fits_agree_and_so_does_what_follows_from_them(name, backend, compute_on):
    model, X = MODELS[name]
    one = fitted(model, X)
    compute_on(backend)
    other = fitted(model, X)
    assert_close(products(other), products(one), 1e-9)
    rows = X[:9]
    for ask in (
        lambda model: model.decision_function(rows),
        lambda model: model.predict_pairs(np.stack(X.nonzero(), axis=1)[:50]),
        lambda model: model.score(rows),
        lambda model: model.certify().spectral_ratio,
        lambda model: model.canonical_factors()[1] ** 2,
    ):
        assert_close(ask(other), ask(one), 1e-8)
    # The table is the same, to the bit: only fold-in is computed elsewhere.
    assert_close(deepcopy(one).transform(rows), one.transform(rows), 1e-10)


@pytest.mark.parametrize(("name", "strategy", "kind"), CASES)
def test_requests_agree(name, strategy, kind, backend, compute_on):
    (model, X), request_ = MODELS[name], REQUESTS[kind]
    before = fitted(model, X).set_params(unlearner=STRATEGIES.get(strategy))
    one = forgotten(before, request_)
    compute_on(backend)
    other = forgotten(before, request_)
    # A refit starts from singular vectors, whose signs are anybody's guess: it ends as exactly as
    # its tolerance says.
    rtol = 1e-8 if other.forget_report_.method == "refit" else 1e-10
    assert_close(products(other), products(one), rtol)
    expected, got = one.forget_report_.to_dict(), other.forget_report_.to_dict()
    for field in ("method", "guarantee", "status", "n_rows_updated", "n_interactions"):
        assert got[field] == expected[field]
    assert (other.user_factors_[7] == 0).all() == ("users" in request_)


def test_single_precision_stays_single(backend, compute_on):
    model = ALS(8, regularization=4.0, alpha=5.0, random_state=0, max_iter=0)
    X = COUNTS.astype(np.float32)
    one = fitted(model, X)
    compute_on(backend)
    other = fitted(model, X)
    assert other.user_factors_.dtype == other.item_factors_.dtype == np.float32
    assert_close(products(other), products(one), 1e-4)
    request_ = REQUESTS["a user"]
    got, expected = products(forgotten(other, request_)), products(forgotten(one, request_))
    assert got.dtype == np.float32
    assert_close(got, expected, 1e-4)


def test_a_model_that_was_taken_over_forgets_alike(backend, compute_on):
    origin = fitted(ALS(8, regularization=4.0, alpha=5.0, random_state=0, max_iter=0), COUNTS)
    tables = origin.canonical_factors()
    ends = []
    for chosen in (ScipyBackend(), backend):
        compute_on(chosen)
        model = ALS.from_factors(*tables, COUNTS, regularization=4.0, alpha=5.0)
        ends.append((model.gradient_norm_, products(forgotten(model, {"users": [7]}))))
    assert ends[1][0] == pytest.approx(ends[0][0], rel=1e-10)
    assert_close(ends[1][1], ends[0][1], 1e-10)


# -- host and device are kept apart --------------------------------------------------------------
class KeptApart(TorchFunctionMode):
    """Refuse what a GPU would refuse: NumPy's arrays in an operation on tensors, or the reverse."""

    CROSSINGS = ("asarray", "tensor", "from_numpy")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", str(func))
        operands = [args[0], *args[2:]] if name in ("__getitem__", "__setitem__") else args
        if name not in self.CROSSINGS:
            assert not any(isinstance(one, np.ndarray) for one in operands), name
        assert name != "__array__", "a tensor was taken for an array of NumPy"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mixed", [lambda a, t: a * t, lambda a, t: t * a, lambda a, t: np.abs(t)])
def test_the_guard_sees_what_is_mixed(mixed):
    with pytest.raises((AssertionError, TypeError)), KeptApart():
        mixed(np.ones(3), torch.ones(3))


@pytest.mark.parametrize(
    ("name", "strategy"),
    [(name, None) for name in MODELS]
    + [(name, "sweep") for name in ("logistic", "als")]
    + [("logistic", InfluenceUnlearner(solver="minres"))],
)
def test_no_operation_mixes_arrays_of_the_host_with_tensors(name, strategy, compute_on):
    model, X = MODELS[name]
    compute_on(TorchBackend("cpu"))
    with KeptApart():
        model = fitted(clone(model).set_params(unlearner=strategy, tol=1e-6), X)
        for request_ in REQUESTS.values():
            model = forgotten(model, request_)
        model.transform(X[:3])
        model.score(X[:3])
        model.certify()


# -- nothing stays on the device -----------------------------------------------------------------
def tensors():
    gc.collect()
    # By type: asking an object for its class wakes some that warn.
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("name", ["logistic", "als"])
def test_what_a_model_keeps_is_numpy_and_no_tensor_outlives_a_call(name, backend, compute_on):
    model, X = MODELS[name]
    before = tensors()
    compute_on(backend)
    model = fitted(model, X).forget(users=[7])
    model.recommend(X[:3])
    model.certify()
    assert tensors() == before
    for table in (model.user_factors_, model.item_factors_):
        assert type(table) is np.ndarray
        assert table.flags.writeable
    assert b"torch" not in pickle.dumps(model)


# -- too little memory ---------------------------------------------------------------------------
class SmallDevice(ScipyBackend):
    """A device whose memory ends after some operations."""

    def __init__(self, room):
        super().__init__()
        self.room = room

    def spmm(self, *arguments, **options):
        self.room -= 1
        if self.room < 0:
            raise DeviceMemoryError("tried to allocate 32 GiB")
        return super().spmm(*arguments, **options)


@pytest.fixture
def small_device(monkeypatch):
    def install(room):
        small = SmallDevice(room)
        choose = {"cuda": small, "cpu": ScipyBackend()}
        monkeypatch.setattr(_factor, "get_backend", lambda device, n_jobs: choose[device])

    return install


@pytest.mark.parametrize("room", [0, 40])
@pytest.mark.parametrize("name", ["logistic", "als"])
def test_what_does_not_fit_the_device_is_computed_on_the_cpu(name, room, small_device):
    model, X = MODELS[name]
    expected = fitted(model, X)
    small_device(room)
    model = clone(model).set_params(device="cuda")
    with pytest.warns(DeviceMemoryWarning, match=r"device='cuda' ran out.*set device='cpu'") as w:
        model.fit(X)
    assert [one.filename for one in w] == [__file__]
    assert model.device == "cuda"
    assert_array_equal(model.user_factors_, expected.user_factors_)
    assert model.n_iter_ == expected.n_iter_
    small_device(room // 40)
    expected.forget(users=[7])
    with pytest.warns(DeviceMemoryWarning) as w:
        model.forget(users=[7])
    assert [one.filename for one in w] == [__file__]
    assert_array_equal(model.user_factors_, expected.user_factors_)
    assert model.forget_report_.guarantee == expected.forget_report_.guarantee


def test_a_device_with_room_warns_of_nothing(small_device):
    model, X = MODELS["logistic"]
    small_device(10**9)
    model = clone(model).set_params(device="cuda").fit(X).forget(users=[7])
    assert model.converged_


def test_an_error_that_is_not_about_memory_leaves_the_model_as_it_was(small_device, monkeypatch):
    model, X = MODELS["logistic"]
    model = fitted(model, X)
    before = dict(vars(model))

    def fail(*arguments, **options):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(ScipyBackend, "spmm", fail)
    with pytest.raises(RuntimeError, match="the device is gone"):
        model.forget(users=[7])
    assert vars(model) == before


def test_a_device_that_is_not_there_is_refused_and_the_old_fit_kept(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model, X = MODELS["logistic"]
    model = fitted(model, X).set_params(device="cuda")
    before = dict(vars(model))
    for change in (lambda: model.fit(X), lambda: model.forget(users=[7])):
        with pytest.raises(RuntimeError, match=r"device='cuda' was given.*set device='cpu'"):
            change()
        assert vars(model) == before


# -- the checks of scikit-learn and of this library, on tensors ----------------------------------
# The losses, the least squares and the graph have their own code on tensors; a small model of each
# kind is checked always, the others by `make test-slow`.
CHECKED = [MatrixFactorization(), ALS(4, max_iter=0)]
ALSO_CHECKED = [MatrixFactorization(loss="squared"), ALS(), BPR(), LightGCN()]
SMALL = {"n_factors": 28, "regularization": 2.0}
FORGETTING = [MatrixFactorization(**SMALL)]
ALSO_FORGETTING = [
    MatrixFactorization(loss="squared", **SMALL),
    MatrixFactorization(unlearner="sweep", **SMALL),
    ALS(28, regularization=4.0, alpha=5.0),
    ALS(28, regularization=4.0, alpha=5.0, unlearner="sweep"),
    BPR(**SMALL),
    LightGCN(16, regularization=0.6),
    LightGCN(16, loss="weighted", alpha=5.0, regularization=3.0, n_layers=2),
]


@parametrize_with_checks(CHECKED)
def test_scikit_learn_checks(estimator, check, compute_on):
    compute_on(TorchBackend("cpu"))
    check(estimator)


@parametrize_with_forget_checks(FORGETTING)
def test_forget_checks(check, compute_on):
    compute_on(TorchBackend("cpu"))
    check()


@pytest.mark.slow
@parametrize_with_checks(ALSO_CHECKED)
def test_scikit_learn_checks_of_other_models(estimator, check, compute_on):
    compute_on(TorchBackend("cpu"))
    check(estimator)


@pytest.mark.slow
@parametrize_with_forget_checks(ALSO_FORGETTING)
def test_forget_checks_of_other_models(check, compute_on):
    compute_on(TorchBackend("cpu"))
    check()


def on_cuda(models):
    return [clone(model).set_params(device="cuda") for model in models]


@pytest.mark.gpu
@parametrize_with_checks(on_cuda(CHECKED + ALSO_CHECKED))
def test_scikit_learn_checks_on_a_gpu(estimator, check):
    check(estimator)


@pytest.mark.gpu
@parametrize_with_forget_checks(on_cuda(FORGETTING + ALSO_FORGETTING))
def test_forget_checks_on_a_gpu(check):
    check()
