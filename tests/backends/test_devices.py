"""Choosing a device, doing without torch, and running out of its memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from sklearn_unlearn import backends
from sklearn_unlearn.backends import (
    DeviceMemoryError,
    device_memory,
    expit,
    get_backend,
    like,
    namespace_of,
    norm,
    to_numpy,
    twin,
)


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)


def with_cuda(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


# -- which backend -------------------------------------------------------------------------------
def test_cuda_is_taken_where_it_is(monkeypatch):
    with_cuda(monkeypatch, True)
    for device in ("cuda", "auto"):
        assert get_backend(device).device == torch.device("cuda")
    assert get_backend("cpu").name == "scipy"


def test_auto_is_the_cpu_where_there_is_no_cuda_device(monkeypatch):
    with_cuda(monkeypatch, False)
    assert get_backend("auto", n_jobs=2).n_threads == 2


def test_auto_is_the_cpu_without_torch(no_torch):
    assert get_backend("auto").name == "scipy"


def test_cuda_without_a_device_is_an_error_in_three_parts(monkeypatch):
    with_cuda(monkeypatch, False)
    with pytest.raises(RuntimeError, match=r"no CUDA device; expected a GPU.*set device='cpu'"):
        get_backend("cuda")


def test_cuda_without_torch_says_how_to_install_it(no_torch):
    with pytest.raises(ImportError, match=r"expected the torch extra.*sklearn-unlearn\[torch\]"):
        get_backend("cuda")


FIT_WITHOUT_TORCH = """
import sys
from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
X = abs(make_interactions(20, 15, n_interactions=90, random_state=0))
for model in (MatrixFactorization(2), ALS(2)):
    model.set_params(random_state=0).fit(X).forget(users=[1]).recommend(users=[2])
print(sorted({"torch", "array_api_compat"} & set(sys.modules)))
"""


def test_nothing_of_torch_is_loaded_on_the_cpu():
    done = subprocess.run([sys.executable, "-c", FIT_WITHOUT_TORCH], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


# -- memory --------------------------------------------------------------------------------------
def test_every_way_to_say_that_memory_ran_out_is_one_error():
    for error in (
        torch.cuda.OutOfMemoryError("32 GiB"),
        DeviceMemoryError("32 GiB"),
        RuntimeError("CUSPARSE_STATUS_ALLOC_FAILED when asking for 32 GiB"),
    ):
        with pytest.raises(DeviceMemoryError, match="32 GiB"), device_memory():
            raise error


@pytest.mark.parametrize("error", [RuntimeError("other"), ValueError("other")])
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as caught, device_memory():
        raise error
    assert caught.value is error


@pytest.mark.gpu
def test_a_device_that_is_full_says_so():
    with pytest.raises(DeviceMemoryError), device_memory():
        torch.empty(1 << 50, device="cuda")


# -- arrays of any kind --------------------------------------------------------------------------
@pytest.fixture(params=["numpy", "cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def make(request):
    if request.param == "numpy":
        return np.asarray
    return lambda array: torch.tensor(array, device=request.param)


def test_namespace_moves_and_norms(make):
    array = np.array([[3.0, 0.0], [0.0, -4.0]])
    there = make(array)
    assert norm(there) == 5.0
    assert (to_numpy(namespace_of(there).abs(there)) == abs(array)).all()
    back = like(there, array)
    assert type(back) is type(there)
    assert (to_numpy(back) == array).all()
    assert np.isnan(norm(make(np.array([1.0, np.nan]))))
    assert norm(make(np.array([1.0, -np.inf]))) == np.inf


def test_expit_keeps_the_digits_of_small_probabilities(make):
    scores = np.array([-700.0, -40.0, -1.0, 0.0, 1.0, 40.0, 700.0, np.nan])
    got = to_numpy(expit(make(scores)))
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    assert 0 < got[0] < got[1] < 1e-17


class Owner:
    def __init__(self):
        self.numbers, self.nothing = np.arange(3.0), None


def test_twin_is_made_once_for_a_device_and_is_the_array_itself_on_the_host(make):
    owner, there = Owner(), make(np.ones(2))
    first = twin(owner, "numbers", there)
    assert type(first) is type(there)
    assert twin(owner, "numbers", there) is first
    assert (to_numpy(first) == owner.numbers).all()
    assert twin(owner, "nothing", there) is None
    assert twin(owner, "numbers", np.ones(1)) is owner.numbers
