"""Models on a device whose tensors must not meet those of the host: found without a GPU."""

import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from tests.fake_cuda import FakeCuda

LABELS = make_interactions(40, 30, n_interactions=300, random_state=0)
CLICKS = make_interactions(40, 30, n_interactions=300, feedback="implicit", random_state=0)
CERTIFY = InfluenceUnlearner(certify=True)
MODELS = {
    "labels": (MatrixFactorization(12, regularization=2.0), LABELS),
    "squared": (MatrixFactorization(12, loss="squared", regularization=2.0), LABELS),
    "certified": (MatrixFactorization(12, regularization=2.0, unlearner=CERTIFY), LABELS),
    "als": (ALS(12, regularization=4.0, alpha=5.0), CLICKS),
    "als, early": (ALS(12, regularization=0.5, alpha=5.0, max_iter=0), CLICKS),
    "als, swept": (ALS(12, regularization=4.0, unlearner=SweepUnlearner(scope="touched")), CLICKS),
    "bpr": (BPR(12), CLICKS),
    "graph, bpr": (LightGCN(12, n_layers=2), CLICKS),
    "graph, logistic": (LightGCN(12, n_layers=2, loss="logistic", regularization=1.0), CLICKS),
    "graph, weighted": (LightGCN(12, loss="weighted", regularization=4.0), CLICKS),
    "graph, loose": (LightGCN(12, loss="weighted", regularization=1.0, tol=1e-3), CLICKS),
}


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with FakeCuda() as mode:
        yield mode


def outcome(model, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of them stops early, on purpose
        first = clone(model).set_params(random_state=0).fit(X)
        after = deepcopy(first).forget(users=[3], interactions=np.argwhere(X.toarray())[200:210])
    certificate = after.certify()
    top = after.recommend(users=[1, 3])[1]
    return [first.user_factors_ @ first.item_factors_.T, certificate.spectral_ratio, top]


@pytest.mark.parametrize("name", MODELS)
def test_nothing_of_the_device_meets_the_host(name, device):
    model, X = MODELS[name]
    found = outcome(clone(model).set_params(device="cuda"), X)
    assert device.n_placed > 100
    for got, expected in zip(found, outcome(model, X), strict=True):
        assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_single_precision_stays_on_its_device(device):
    model = ALS(12, regularization=4.0, random_state=0, device="cuda").fit(CLICKS.astype("float32"))
    model.forget(users=[3])
    assert model.user_factors_.dtype == np.float32
    assert device.n_placed > 100


# -- the device that is not there ------------------------------------------------------------------
@pytest.mark.parametrize(
    "mix",
    [
        lambda a: a + torch.ones(3),
        lambda a: torch.ones(3, 3) @ a,
        lambda a: torch.ones(3)[a.long()],
        lambda a: a.index_select(0, torch.tensor([0])),
        lambda a: a.numpy(),
        lambda a: np.asarray(a),
        lambda a: np.ones(3) * a,
        lambda a: a * np.ones(3),
        lambda a: np.linalg.norm(a),
        lambda a: a.__setitem__(0, np.ones(1)),
    ],
)
def test_mixtures_fail(mix, device):
    with pytest.raises((TypeError, RuntimeError)):
        mix(torch.ones(3, device="cuda"))


def test_what_is_made_on_the_device_stays_there_until_it_is_moved(device):
    a = torch.ones(3, 3, device="cuda")
    parts = (a + 1, a[:2], a.mT, a.reshape(-1), a.sum(), torch.sort(a)[0], a.new_zeros(2), +a)
    assert {part.device.type for part in parts} == {"cuda"}
    assert a.cpu().device.type == torch.ones(3).device.type == "cpu"
    assert torch.ones(3).to("cuda").device == torch.arange(3, device=a.device).device == a.device
    assert a[torch.tensor([0])].device == a.device  # as on a GPU: indices may come from the host
    assert float(a.sum()) == 9.0
