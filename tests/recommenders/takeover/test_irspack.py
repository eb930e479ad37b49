"""Models of the irspack library: the same objective, able to forget, handed back."""

import copy
import re

import joblib
import numpy as np
import pytest
from irspack import IALSRecommender, P3alphaRecommender
from irspack.recommenders._ials_core import LossType
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap

EMPTY_USERS, EMPTY_ITEMS = [5, 31], [3]


def counts():
    """Counts of 60 users and 40 items, some of them without any."""
    X = make_interactions(
        60, 40, n_interactions=500, feedback="implicit", popularity=0.3, random_state=0
    ).toarray()
    X[EMPTY_USERS] = 0
    X[:, EMPTY_ITEMS] = 0
    return X


X = sparse.csr_matrix(counts())
ONES = (X != 0).astype(float)
# Each with the matrix that it is trained on.
CASES = {
    "ones": (ONES, {}),
    "equal values": (3 * ONES, {"alpha0": 0.7}),
    "equal values, log": (3 * ONES, {"confidence_scaling": "log", "epsilon": 0.5}),
    "no frequency": (ONES, {"nu": 0.0, "reg": 0.8}),
    "half frequency": (ONES, {"nu": 0.5, "reg": 0.2}),
    "reference frequency": (ONES, {"nu": 0.5, "nu_star": 1.0, "reg": 0.05}),
    "original": (X, {"loss_type": "ORIGINAL"}),
    "original, log": (X, {"loss_type": "ORIGINAL", "confidence_scaling": "log", "nu": 0.3}),
    "original, ones": (ONES, {"loss_type": "ORIGINAL", "alpha0": 2.0, "nu": 0.0, "reg": 0.5}),
}
cases = pytest.mark.parametrize(("matrix", "params"), CASES.values(), ids=CASES)


def train(matrix=ONES, epochs=15, **params):
    """Train as `learn` does, which would print a progress bar."""
    settings = {"alpha0": 0.3, "reg": 0.05, "n_components": 6, "solver_type": "CHOLESKY"}
    trained = IALSRecommender(
        matrix, n_threads=1, train_epochs=epochs, random_seed=0, **{**settings, **params}
    )
    trained.start_learning()
    for _ in range(epochs):
        trained.run_epoch()
    return trained


def dense_gradients(model):
    """Gradients of the objective of users and items, and of its penalty, from all cells."""
    P, Q = model.user_factors_.astype(float), model.item_factors_.astype(float)
    values = model._interactions.to_csr().toarray().astype(float)
    seen = values > 0
    R = np.where(seen, model.alpha * values, 1.0) * (P @ Q.T - seen)
    of_users, of_items = model.frequency_offset
    on_users = (seen.sum(axis=1) + of_users) ** model.frequency_scaling
    on_items = (seen.sum(axis=0) + of_items) ** model.frequency_scaling
    penalties = (model.regularization * w[:, None] * T for w, T in ((on_users, P), (on_items, Q)))
    return [(g + p, p) for g, p in zip((R @ Q, R.T @ P), penalties, strict=True)]


# -- the same objective --------------------------------------------------------------------------
@cases
def test_rows_that_irspack_solved_last_are_stationary_here(matrix, params):
    model = ALS.from_irspack(train(matrix, 5, **params))
    (users, of_users), (items, of_items) = dense_gradients(model)
    assert np.linalg.norm(items) < 1e-4 * np.linalg.norm(of_items)
    assert np.linalg.norm(users) > 1e-2 * np.linalg.norm(of_users)  # five sweeps are not the end
    both = np.hypot(np.linalg.norm(users), np.linalg.norm(items))
    assert model.gradient_norm_ == pytest.approx(both, rel=1e-3)


@cases
def test_one_more_half_sweep_of_irspack_is_the_row_solve_here(matrix, params):
    trained = train(matrix, 4, **params)
    model = ALS.from_irspack(trained)
    values = model._interactions.to_csr()
    ratio = np.linalg.norm(trained.get_item_embedding()) / np.linalg.norm(model.item_factors_)
    assert (ratio == pytest.approx(1)) == (params.get("loss_type") == "ORIGINAL")
    expected = trained.compute_user_embedding(matrix) / ratio
    assert_allclose(model.transform(values), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected).max() > 0.1


@cases
def test_model_trained_to_the_end_is_at_an_optimum_of_ours(matrix, params):
    model = ALS.from_irspack(train(matrix, 3000, **params), tol=1e-5)
    assert model.converged_
    assert np.linalg.norm(model.user_factors_) > 0.1


@cases
def test_lists_are_those_of_irspack(matrix, params):
    trained = train(matrix, **params)
    items, _ = ALS.from_irspack(trained).recommend(users=np.arange(60), n_items=8)
    scores = trained.get_score_remove_seen(np.arange(60))
    for user in np.setdiff1d(np.arange(60), EMPTY_USERS):
        assert_array_equal(items[user], np.argsort(-scores[user], kind="stable")[:8])


def test_parameters_are_those_of_the_model():
    model = ALS.from_irspack(train(7.0 * ONES, alpha0=2.0, reg=0.3, nu=0.5), n_jobs=2, tol=1e-3)
    assert model.get_params() == {
        **ALS(6).get_params(),
        "alpha": 1 + 7 / 2,
        "regularization": pytest.approx(0.3 / (2 * 7 / 9)),
        "frequency_scaling": 0.5,
        "frequency_offset": (2.0 * 40, 2.0 * 60),
        "n_sweeps": 15,
        "max_iter": 0,
        "random_state": 0,
        "n_jobs": 2,
        "tol": 1e-3,
    }
    assert model.user_factors_.dtype == np.float32
    assert set(model._interactions.values) == {1.0}


def test_sweeps_of_a_training_that_stopped_early_are_those_of_the_best_state():
    trained = train(epochs=7)
    trained.learnt_config["train_epochs"] = 5  # as an evaluator would have it
    assert ALS.from_irspack(trained).n_sweeps == 5
    assert ALS.from_irspack(trained, n_sweeps=9).n_sweeps == 9


def test_nothing_is_shared_with_where_it_came_from():
    trained = train()
    model = ALS.from_irspack(trained)
    before = joblib.hash((model.user_factors_, model._interactions.to_csr()))
    trained.run_epoch()
    trained.X_train_all.data *= 3
    assert joblib.hash((model.user_factors_, model._interactions.to_csr())) == before
    matrix = X.copy()
    ALS.from_irspack(train(matrix, loss_type="ORIGINAL", confidence_scaling="log"))
    assert_array_equal(matrix.toarray(), X.toarray())


# -- forgetting ----------------------------------------------------------------------------------
@pytest.mark.parametrize("request_", [
    {"users": [42]},
    {"items": [7]},
    {"interactions": np.argwhere(X.toarray())[::25]},
])  # fmt: skip
@pytest.mark.parametrize("name", ["ones", "half frequency", "original, log"])
def test_forgetting_ends_near_irspack_trained_without_the_data(name, request_):
    matrix, params = CASES[name]
    params = {**params, "n_components": 24, "epochs": 2000}
    start = ALS.from_irspack(train(matrix, **params))
    model = copy.deepcopy(start).set_params(unlearner=InfluenceUnlearner(tol=1e-3))
    model.forget(**request_)
    retained = matrix.multiply(model._interactions.to_csr() != 0).tocsr()
    refit = ALS.from_irspack(train(retained, **params))
    assert remaining_gap(start, model, refit) < 0.01
    assert model.forget_report_.guarantee == "residual-bounded"


# -- back to irspack -----------------------------------------------------------------------------
@cases
def test_round_trip_gives_the_same_model(matrix, params):
    trained = train(matrix, **params)
    back = ALS.from_irspack(trained).to_irspack(trained)
    users = np.setdiff1d(np.arange(60), EMPTY_USERS)
    assert type(back) is IALSRecommender
    ours, theirs = back.get_user_embedding()[users], trained.get_user_embedding()[users]
    assert_allclose(ours, theirs, rtol=1e-6)
    assert_allclose(back.get_score(users), trained.get_score(users), rtol=1e-4, atol=1e-6)
    assert_array_equal(back.X_train_all.toarray(), trained.X_train_all.toarray())


def test_exported_model_holds_nothing_of_what_was_forgotten():
    trained = train(X, loss_type="ORIGINAL")
    trained.save_state()
    before = joblib.hash((trained.X_train_all, trained.get_user_embedding()))
    model = ALS.from_irspack(trained).forget(users=[42])
    exported = model.to_irspack(trained)
    assert not exported.X_train_all[42].nnz and not exported.get_user_embedding()[42].any()
    assert exported.X_train_all.nnz == X.nnz - X[42].nnz
    assert exported.best_state is None
    assert_array_equal(exported.X_train_all[41].toarray(), X[41].toarray())
    assert_allclose(exported.get_item_embedding(), model.item_factors_)
    exported.run_epoch()  # it goes on without the user
    assert not exported.get_user_embedding()[42].any()
    assert joblib.hash((trained.X_train_all, trained.get_user_embedding())) == before


# -- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize("matrix, params, message", [
    (X, {}, r"from 1 to 10 gives every value a target.*; expected equal.*Train with"),
    (ONES, {"alpha0": 0.0}, "alpha0=0 was given .*; expected a positive weight.* Train it with"),
    (ONES, {"nu": 1.5}, "nu=1.5 was given .*; expected 0 to 1.* Train it with"),
    (ONES, {"item_features": sparse.eye(40).tocsr()}, "features of users or items; expected"),
    (0 * ONES, {}, "zeros or cells that are stored twice"),
    (sparse.csr_matrix((60, 40)), {}, r"shape \(60, 40\) holds no interaction; expected"),
    (-ONES, {"loss_type": "ORIGINAL"}, "holds negative values.*; expected positive"),
])  # fmt: skip
def test_objectives_that_als_has_not_are_refused(matrix, params, message):
    trained = train(ONES, 1)
    trained.X_train_all = matrix
    for name, value in params.items():
        value = LossType.ORIGINAL if name == "loss_type" else value
        setattr(trained, name, value)
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        ALS.from_irspack(trained)


def test_cells_that_are_stored_twice_or_zero_are_refused():
    for change in ("zero", "twice"):
        trained, matrix = train(ONES, 1), ONES.copy()
        if change == "zero":
            matrix.data[0] = 0
        else:
            matrix.indices[matrix.indptr[0] + 1] = matrix.indices[matrix.indptr[0]]
        trained.X_train_all = matrix
        with pytest.raises(ValueError, match=r"zeros or cells that are stored twice.*; expected"):
            ALS.from_irspack(trained)


@pytest.mark.parametrize("model, error, message", [
    (P3alphaRecommender(ONES), TypeError, "class P3alphaRecommender; expected a fitted irspack"),
    (ALS(), TypeError, "class ALS; expected a fitted irspack"),
    (IALSRecommender(ONES, alpha0=1.0), NotFittedError, "no factors; .* Call its learn first"),
])  # fmt: skip
def test_wrong_models_are_refused(model, error, message):
    with pytest.raises(error, match=message):
        ALS.from_irspack(model)
    if error is TypeError:
        with pytest.raises(TypeError, match=r"like is of the class .*; expected"):
            ALS.from_irspack(train()).to_irspack(model)


def test_what_the_model_decides_cannot_be_set():
    names = "n_factors", "regularization", "alpha", "frequency_scaling", "frequency_offset"
    for name in names:
        with pytest.raises(TypeError, match=f"{name}=1 was given; from_irspack.* Leave it out"):
            ALS.from_irspack(train(epochs=1), **{name: 1})


def test_export_to_another_recommender_is_refused():
    model = ALS.from_irspack(train())
    with pytest.raises(ValueError, match=r"shape \(59, 40\); expected \(60, 40\).* Pass the"):
        model.to_irspack(train(ONES[:59], 1))
    with pytest.raises(ValueError, match=r"interactions and like \d+ of them; expected all"):
        model.to_irspack(train(ONES.multiply(X > 1).tocsr(), 1))
    with pytest.raises(NotFittedError):
        ALS().to_irspack(train())
