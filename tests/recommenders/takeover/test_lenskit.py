"""Scorers of LensKit: the same objective, able to forget, handed back.

LensKit and what the tests install ask for different releases of pandas, so two stand-ins serve
here: factors that LensKit 2025.8.1 has trained, recorded, and its algorithm written out.
"""

import copy
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap


class Vocabulary:
    def __init__(self, ids):
        self._ids = np.asarray(ids)

    def ids(self):
        return self._ids


class ImplicitMFScorer:
    """Attributes of a trained scorer."""

    __module__ = "lenskit.als._implicit"

    def __init__(self, *, weight=3.0, use_ratings=False, regularization=0.5, epochs=2):
        pair = regularization if isinstance(regularization, tuple) else (regularization,) * 2
        self.config = SimpleNamespace(
            weight=weight,
            use_ratings=use_ratings,
            user_reg=pair[0],
            item_reg=pair[1],
            epochs=epochs,
        )

    def hold(self, users, items):
        self.user_embeddings = np.array(users, np.float32)
        self.item_embeddings = np.array(items, np.float32)
        self.users = Vocabulary(np.arange(len(users)) + 100)
        self.items = Vocabulary(np.arange(len(items)) + 10)
        penalty = self.config.user_reg * np.eye(self.item_embeddings.shape[1])
        self._OtOr = (self.item_embeddings.T @ self.item_embeddings + penalty).astype(np.float32)
        return self

    def confidences(self, matrix):
        values = matrix if self.config.use_ratings else matrix != 0
        return 1 + self.config.weight * values

    def train(self, matrix, n_factors=6, seed=0):
        """Alternate between users and items, each row solved exactly."""
        rng = np.random.default_rng(seed)
        P, Q = (0.01 * rng.standard_normal((n, n_factors)) ** 2 for n in matrix.shape)
        C = self.confidences(matrix)
        for _ in range(self.config.epochs):
            P = solved(C, matrix != 0, Q, self.config.user_reg)
            Q = solved(C.T, (matrix != 0).T, P, self.config.item_reg)
        return self.hold(P, Q)


class BiasedMFScorer:
    __module__ = "lenskit.als._explicit"


class Dataset:
    """Attributes of a data set: what `from_lenskit` reads."""

    def __init__(self, matrix):
        self.matrix_ = matrix
        self.users = Vocabulary(np.arange(len(matrix)) + 100)
        self.items = Vocabulary(np.arange(len(matrix.T)) + 10)

    def interactions(self):
        return SimpleNamespace(matrix=lambda: SimpleNamespace(scipy=self.scipy))

    def scipy(self, attribute=None, *, layout):
        assert layout == "csr"
        cells = sparse.csr_array(np.where(self.matrix_ != 0, 1.0, 0.0))
        if attribute == "rating":
            cells.data = self.matrix_[self.matrix_ != 0]
            cells.data[cells.data < 0] = 0  # how a test states ratings of zero
        return cells


def solved(C, seen, other, penalty):
    """Rows of one side at their optimum, given the other."""
    shared = other.T @ other + penalty * np.eye(other.shape[1])
    own = np.einsum("ri,ik,il->rkl", (C - 1) * seen, other, other, optimize=True)
    return np.linalg.solve(shared + own, ((C * seen) @ other)[:, :, None])[:, :, 0]


SMALL = np.array([
    [3, 0, 1, 0, 0], [0, 2, 0, 5, 0], [1, 1, 0, 0, 4],
    [0, 0, 2, 1, 0], [5, 0, 0, 0, 1], [0, 4, 0, 2, 2.0],
])  # fmt: skip
# Trained on SMALL with embedding_size=2, epochs=2, weight=3 and a generator of seed 1; last, what
# new_user_embedding gives for the third user.
RECORDED = {
    "plain": (
        {"regularization": 0.5},
        [[0.727657318, 0.66503197], [0.936311364, 1.361842275], [1.297977567, 1.626518488],
         [0.763023973, 0.909044325], [0.908549905, 1.016876459], [1.298148394, 1.804018259]],
        [[1.063506246, -0.275728315], [-0.051951904, 0.605211675], [0.952783525, -0.315348864],
         [0.064258181, 0.527629614], [0.442873776, 0.228899807]],
        [1.074102759, 1.217951655],
    ),
    "ratings and two penalties": (
        {"regularization": (0.2, 0.9), "use_ratings": True},
        [[2.012428761, -0.820356905], [-0.11140693, 1.157459259], [0.963051498, 0.733982742],
         [0.859213591, 0.283166021], [1.603551507, -0.150057733], [0.024859292, 1.201035261]],
        [[0.617672384, 0.23610978], [0.235778242, 0.828977644], [0.576383352, 0.175238714],
         [0.307838678, 0.844278991], [0.512970209, 0.684197068]],
        [0.982977808, 0.697256684],
    ),
}  # fmt: skip
recorded = pytest.mark.parametrize("case", RECORDED.values(), ids=RECORDED)

X = make_interactions(
    60, 40, n_interactions=600, feedback="implicit", popularity=0.3, random_state=0
).toarray()
SETTINGS = {
    "plain": {"regularization": 5.0},
    "ratings": {"regularization": 8.0, "use_ratings": True},
    "two penalties": {"regularization": (8.0, 3.0), "use_ratings": True, "weight": 0.7},
}
settings = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


def objective(model, P, Q, matrix):
    """The scorer's own objective, from all cells, and its gradients."""
    C, seen = model.confidences(matrix), matrix != 0
    on_users, on_items = model.config.user_reg, model.config.item_reg
    left = P @ Q.T - seen
    value = 0.5 * np.sum(C * left**2) + 0.5 * (on_users * np.sum(P**2) + on_items * np.sum(Q**2))
    R = C * left
    return value, R @ Q + on_users * P, R.T @ P + on_items * Q


# -- the same objective --------------------------------------------------------------------------
@recorded
def test_rows_that_lenskit_solved_last_are_stationary_here(case):
    params, users, items, fold_in = case
    trained = ImplicitMFScorer(**params).hold(users, items)
    model = ALS.from_lenskit(trained, SMALL)  # it would warn
    theta = np.concatenate([model.user_factors_, model.item_factors_]).astype(float)
    gradient = model._make_objective(model._interactions).gradient(theta)
    assert np.linalg.norm(gradient[6:]) < 1e-5 * np.linalg.norm(gradient[:6])
    assert_allclose(model.user_factors_ @ model.item_factors_.T,
                    np.array(users) @ np.transpose(items), rtol=1e-5, atol=1e-6)  # fmt: skip
    ratio = trained.user_embeddings[0, 0] / model.user_factors_[0, 0]
    row = model._interactions.to_csr()[[2]]
    assert_allclose(model.transform(row)[0] * ratio, fold_in, rtol=1e-5)


@settings
def test_value_and_gradient_are_those_of_the_scorers_objective(setting):
    trained = ImplicitMFScorer(**setting, epochs=3).train(X)
    model = ALS.from_lenskit(trained, X)
    P, Q = trained.user_embeddings.astype(float), trained.item_embeddings.astype(float)
    ours = model._make_objective(model._interactions)
    balance = (trained.config.user_reg / trained.config.item_reg) ** 0.25
    assert_allclose(model.user_factors_, P * balance, rtol=1e-6)
    theta = np.concatenate([P * balance, Q / balance])
    value, of_users, of_items = objective(trained, P, Q, X)
    assert ours.value(theta) == pytest.approx(value, rel=1e-6)
    expected = np.concatenate([of_users / balance, of_items * balance])
    assert_allclose(ours.gradient(theta), expected, rtol=1e-4, atol=1e-4)
    assert model.gradient_norm_ == pytest.approx(np.linalg.norm(expected), rel=1e-4)


@settings
def test_one_more_half_sweep_is_the_row_solve_here(setting):
    trained = ImplicitMFScorer(**setting, epochs=3).train(X)
    model = ALS.from_lenskit(trained, X)
    balance = (trained.config.user_reg / trained.config.item_reg) ** 0.25
    Q = trained.item_embeddings.astype(float)
    expected = solved(trained.confidences(X), X != 0, Q, trained.config.user_reg) * balance
    values = model._interactions.to_csr()
    assert_allclose(model.transform(values), expected, rtol=1e-4, atol=1e-5)


def test_parameters_are_those_of_the_scorer():
    trained = ImplicitMFScorer(regularization=(2.0, 8.0), weight=9.0, epochs=7).train(X)
    model = ALS.from_lenskit(trained, X, unlearner="sweep", n_jobs=2, random_state=3)
    assert model.get_params() == {
        **ALS(6, regularization=4.0, alpha=10.0, n_sweeps=7, max_iter=0).get_params(),
        "unlearner": "sweep",
        "n_jobs": 2,
        "random_state": 3,
    }
    assert set(model._interactions.values) == {1.0}  # ratings do not count
    assert model.user_factors_.dtype == np.float32


@settings
def test_data_set_is_read_as_its_matrix(setting):
    trained = ImplicitMFScorer(**setting).train(X)
    one, other = (ALS.from_lenskit(trained, data, random_state=0) for data in (Dataset(X), X))
    assert joblib.hash(vars(one)) == joblib.hash(vars(other))


@pytest.mark.parametrize("wrong", [
    {"regularization": 5.5}, {"weight": 3.3}, {"use_ratings": True},
])  # fmt: skip
def test_another_training_is_warned_of(wrong):
    trained = ImplicitMFScorer(regularization=5.0).train(X)
    other = ImplicitMFScorer(**{"regularization": 5.0, **wrong})
    other.hold(trained.user_embeddings, trained.item_embeddings)
    with pytest.warns(DataWarning, match=r"the items, which training solves last.*; expected"):
        ALS.from_lenskit(other, X)
    with pytest.warns(DataWarning, match="Pass the interactions, confidence and penalty"):
        ALS.from_lenskit(trained, X * (np.arange(60) != 7)[:, None])


# -- forgetting ----------------------------------------------------------------------------------
@pytest.mark.parametrize("request_", [
    {"users": [42]},
    {"items": [7]},
    {"interactions": np.argwhere(X)[::25]},
])  # fmt: skip
@settings
def test_forgetting_ends_near_the_scorer_trained_without_the_data(setting, request_):
    def train(matrix):
        return ImplicitMFScorer(**setting, epochs=500).train(matrix, n_factors=24)

    start = ALS.from_lenskit(train(X), X)
    model = copy.deepcopy(start).set_params(unlearner=InfluenceUnlearner(tol=1e-3))
    model.forget(**request_)
    retained = X * (model._interactions.to_csr().toarray() != 0)
    refit = ALS.from_lenskit(train(retained), retained)
    assert remaining_gap(start, model, refit) < 0.01
    assert model.forget_report_.guarantee == "residual-bounded"


# -- back to LensKit -----------------------------------------------------------------------------
@settings
def test_round_trip_gives_the_same_scorer(setting):
    trained = ImplicitMFScorer(**setting).train(X)
    back = ALS.from_lenskit(trained, X).to_lenskit(trained)
    assert type(back) is ImplicitMFScorer and back.config is trained.config
    assert_allclose(back.user_embeddings, trained.user_embeddings, rtol=1e-6)
    assert_allclose(back.item_embeddings, trained.item_embeddings, rtol=1e-6)
    assert_allclose(back._OtOr, trained._OtOr, rtol=1e-5)
    assert back._OtOr.dtype == back.user_embeddings.dtype == np.float32


def test_forgotten_user_is_gone_from_the_exported_scorer():
    trained = ImplicitMFScorer(regularization=(8.0, 3.0)).train(X)
    before = joblib.hash(vars(trained))
    model = ALS.from_lenskit(trained, X).forget(users=[42])
    exported = model.to_lenskit(trained)
    assert not exported.user_embeddings[42].any()
    ours = model.user_factors_ @ model.item_factors_.T
    theirs = exported.user_embeddings @ exported.item_embeddings.T
    assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)
    exported.user_embeddings *= 2
    assert joblib.hash(vars(trained)) == before


# -- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize("model", [BiasedMFScorer(), ALS(), None])
def test_other_classes_are_refused(model):
    with pytest.raises(TypeError, match=r"is of the class .*; expected a trained lenskit.als.Imp"):
        ALS.from_lenskit(model, X)
    trained = ImplicitMFScorer().train(X)
    with pytest.raises(TypeError, match=r"like is of the class .*; expected a trained lenskit"):
        ALS.from_lenskit(trained, X).to_lenskit(model)


def test_scorers_without_both_sides_are_refused():
    with pytest.raises(NotFittedError, match=r"no embeddings; expected .* Call its train first"):
        ALS.from_lenskit(ImplicitMFScorer(), X)
    trained = ImplicitMFScorer().train(X)
    trained.user_embeddings = trained.users = None
    with pytest.raises(ValueError, match=r"dropped .*; expected both sides.* Train it with"):
        ALS.from_lenskit(trained, X)


def test_other_data_are_refused():
    trained = ImplicitMFScorer(use_ratings=True).train(X)
    for side in ("users", "items"):
        data = Dataset(X)
        setattr(data, side, Vocabulary(getattr(data, side).ids()[::-1]))
        with pytest.raises(ValueError, match=rf"{side} .* in another order; expected the same"):
            ALS.from_lenskit(trained, data)
    zero = X.copy()
    zero[tuple(np.argwhere(X)[5])] = -1
    with pytest.raises(ValueError, match=r"ratings of 0, .*; expected positive ones.* Leave such"):
        ALS.from_lenskit(trained, Dataset(zero))
    with pytest.raises(ValueError, match=r"negative values.*; expected positive"):
        ALS.from_lenskit(trained, zero)
    with pytest.raises(ValueError, match=r"shape \(59, 40\); expected \(60, 40\)"):
        ALS.from_lenskit(trained, X[:59])


def test_what_the_scorer_decides_cannot_be_set():
    names = "n_factors", "regularization", "alpha", "frequency_scaling", "frequency_offset"
    for name in names:
        with pytest.raises(TypeError, match=f"{name}=1 was given; from_lenskit.* Leave it out"):
            ALS.from_lenskit(ImplicitMFScorer().train(X), X, **{name: 1})


def test_export_to_another_scorer_is_refused():
    trained = ImplicitMFScorer().train(X)
    model = ALS.from_lenskit(trained, X)
    with pytest.raises(ValueError, match=r"shapes \(59, 6\) and \(40, 6\); expected .* Pass the"):
        model.to_lenskit(ImplicitMFScorer().train(X[:59]))
    with pytest.raises(NotFittedError):
        ALS().to_lenskit(trained)
