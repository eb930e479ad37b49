"""Models of the implicit library: taken over as they are, able to forget, handed back."""

import copy
import pickle
import re
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from implicit.bpr import BayesianPersonalizedRanking
from implicit.cpu.als import AlternatingLeastSquares
from implicit.gpu.als import AlternatingLeastSquares as AlternatingLeastSquaresOnGpu
from implicit.lmf import LogisticMatrixFactorization
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.influence import AsTrainedUnlearner, InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.metrics import remaining_gap
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks
from tests.pages import ROOT

EMPTY_USERS, EMPTY_ITEMS = [5, 31], [3]
PENALTY = {"regularization": 4.0, "alpha": 5.0}


def counts():
    """Counts of 60 users and 40 items, some of them without any."""
    X = make_interactions(
        60, 40, n_interactions=500, feedback="implicit", popularity=0.3, random_state=0
    ).toarray()
    X[EMPTY_USERS] = 0
    X[:, EMPTY_ITEMS] = 0
    return X


X = counts()
USER_ITEMS = sparse.csr_matrix(X)


def implicit_model(kind=AlternatingLeastSquares, **params):
    # It warns, when made, of a BLAS that would run threads inside its own.
    with threadpool_limits(1, "blas"):
        return kind(num_threads=1, **{"random_state": 0, **params})


def train(matrix=USER_ITEMS, *, factors=6, **params):
    model = implicit_model(factors=factors, **{**PENALTY, **params})
    with threadpool_limits(1, "blas"):
        model.fit(sparse.csr_matrix(matrix), show_progress=False)
    return model


def imported(matrix=USER_ITEMS, trained=None, **params):
    return ALS.from_implicit(trained or train(matrix), matrix, **params)


def gradient_norm(P, Q, X, *, regularization, alpha):
    """Norm of the gradient of the objective, from all cells one by one."""
    P, Q = P.astype(float), Q.astype(float)
    slopes = np.where(X > 0, alpha * X, 1.0) * (P @ Q.T - (X > 0))
    return np.hypot(
        np.linalg.norm(slopes @ Q + regularization * P),
        np.linalg.norm(slopes.T @ P + regularization * Q),
    )


def bits(model):
    return pickle.dumps([model.user_factors_, model.item_factors_])


# -- what is taken over --------------------------------------------------------------------------
def test_factors_and_parameters_are_those_of_the_model():
    trained = train(factors=7, regularization=3.0, alpha=2.5, iterations=4, random_state=11)
    model = ALS.from_implicit(trained, USER_ITEMS, unlearner="sweep", n_jobs=2, tol=1e-3)
    assert model.get_params() == {
        **ALS(7, regularization=3.0, alpha=2.5).get_params(),
        "n_sweeps": 4,
        "max_iter": 0,
        "random_state": 11,
        "unlearner": "sweep",
        "n_jobs": 2,
        "tol": 1e-3,
    }
    assert model.user_factors_.dtype == model.item_factors_.dtype == np.float32
    assert_array_equal(model.user_factors_, trained.user_factors)
    assert_array_equal(model.item_factors_, trained.item_factors)
    assert model.n_features_in_ == 40
    assert_array_equal(model._interactions.to_csr().toarray(), X.astype(np.float32))


def test_attributes_are_those_of_a_fit():
    def attributes(model):
        return {name for name in vars(model) if name.endswith("_")}

    assert attributes(imported()) == attributes(ALS(6, random_state=0).fit(X))
    named = pd.DataFrame(X, columns=[f"i{n}" for n in range(40)])
    taken, fitted = imported(named, train()), ALS(6, random_state=0).fit(named)
    assert attributes(taken) == attributes(fitted)
    assert_array_equal(taken.feature_names_in_, fitted.feature_names_in_)


def test_nothing_is_shared_with_where_it_came_from():
    trained, matrix = train(), USER_ITEMS.astype(np.float32)
    model = ALS.from_implicit(trained, matrix)
    before, data = bits(model), model._interactions.values.copy()
    for array in (trained.user_factors, trained.item_factors, matrix.data):
        array *= 3
    assert bits(model) == before
    assert_array_equal(model._interactions.values, data)


@pytest.mark.parametrize("kind", [
    lambda M: M.astype(np.float32),
    lambda M: M.astype(np.int64),
    lambda M: sparse.csr_array((M.data, M.indices.astype(np.int64), M.indptr.astype(np.int64))),
    lambda M: M.tocsc(),
    lambda M: M.tolil(),
    lambda M: M.toarray(),
    lambda M: M.toarray().tolist(),
    # A stored zero is no interaction, cells stored twice add up.
    lambda M: sparse.coo_matrix((
        np.concatenate([M.data / 2, M.data / 2, [0.0]]),
        np.concatenate([[M.tocoo().row, M.tocoo().col]] * 2 + [[[5], [3]]], axis=1),
    ), shape=M.shape),
])  # fmt: skip
def test_every_form_of_the_matrix_gives_the_same_model(kind):
    reference, trained = imported(), train()
    matrix = kind(USER_ITEMS)
    if sparse.issparse(matrix):
        matrix.resize(USER_ITEMS.shape)
    model = ALS.from_implicit(trained, matrix)
    assert joblib.hash(vars(model)) == joblib.hash(vars(reference))


@pytest.mark.parametrize("state", [None, np.random.default_rng(0)])
def test_random_state_other_than_an_int_stays_with_implicit(state):
    model = imported(trained=train(random_state=state))
    assert model.random_state is None
    assert isinstance(model._seed, int)
    assert imported(random_state=np.int64(3))._seed == 3


def test_gpu_model_comes_over_its_cpu_copy(monkeypatch):
    trained = train()
    on_gpu = object.__new__(AlternatingLeastSquaresOnGpu)  # its constructor asks for a GPU
    monkeypatch.setattr(AlternatingLeastSquaresOnGpu, "to_cpu", lambda self: trained)
    assert bits(ALS.from_implicit(on_gpu, USER_ITEMS)) == bits(imported(trained=trained))


def test_loaded_model_is_taken_over(tmp_path):
    trained = train(iterations=3)
    trained.save(str(tmp_path / "model.npz"))
    with threadpool_limits(1, "blas"):
        loaded = AlternatingLeastSquares.load(str(tmp_path / "model.npz"))
    one, other = imported(trained=loaded), imported(trained=trained)
    assert joblib.hash(vars(one)) == joblib.hash(vars(other))


# -- serving -------------------------------------------------------------------------------------
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_recommendations_are_those_of_implicit(exclude_seen):
    trained = train()
    model, users = imported(trained=trained), np.arange(60)
    items, scores = model.recommend(users=users, n_items=8, exclude_seen=exclude_seen)
    for user in users:
        expected = trained.recommend(
            user, USER_ITEMS[user], N=8, filter_already_liked_items=exclude_seen
        )
        assert_allclose(scores[user], expected[1], rtol=1e-5, atol=1e-7)
        if user not in EMPTY_USERS:  # there all scores are zero, and any order is right
            assert_array_equal(items[user], expected[0])
    assert not scores[EMPTY_USERS].any()
    seen = [np.isin(items[user], np.flatnonzero(X[user])).any() for user in users]
    assert any(seen) != exclude_seen


def test_fold_in_is_that_of_implicit():
    trained = train()
    rows = sparse.random_array((4, 40), density=0.2, rng=0)
    expected = trained.recalculate_user(np.arange(4), sparse.csr_matrix(rows))
    assert_allclose(imported(trained=trained).transform(rows), expected, rtol=1e-4, atol=1e-5)


# -- how far the training had come ---------------------------------------------------------------
@pytest.mark.parametrize("penalty", [
    PENALTY,
    {"regularization": 10.0, "alpha": 20.0},
    {"regularization": 1.0, "alpha": 0.5},
])  # fmt: skip
def test_model_that_implicit_trained_to_the_end_is_at_an_optimum_of_ours(penalty):
    trained = train(**penalty, iterations=200, use_cg=False)
    model = imported(trained=trained, tol=1e-5)  # in single precision, 1e-7 is beyond reach
    assert model.converged_
    assert np.linalg.norm(model.user_factors_) > 0.1
    factors = trained.user_factors, trained.item_factors
    for name in penalty:  # it would not be for any other confidence or penalty
        other = {**penalty, name: 1.05 * penalty[name]}
        assert not ALS.from_factors(*factors, USER_ITEMS, **other, tol=1e-5).converged_


@pytest.mark.parametrize("iterations", [0, 1, 15])
def test_gradient_that_training_left_is_told(iterations):
    trained = train(iterations=iterations)
    model = imported(trained=trained)
    P, Q = model.user_factors_, model.item_factors_
    assert model.gradient_norm_ == pytest.approx(gradient_norm(P, Q, X, **PENALTY), rel=1e-3)
    assert not model.converged_


# -- forgetting ----------------------------------------------------------------------------------
@pytest.mark.parametrize("unlearner, guarantee", [
    (None, "rows-solved"),
    (SweepUnlearner(scope="touched"), "rows-solved"),
    ("refit", "refit"),
])  # fmt: skip
def test_two_lines(unlearner, guarantee):
    trained = train(factors=32)
    model = ALS.from_implicit(trained, USER_ITEMS, unlearner=unlearner)
    model.forget(users=[42])
    assert not model.user_factors_[42].any()
    assert model._interactions.n_interactions == USER_ITEMS.nnz - np.count_nonzero(X[42])
    assert model.forget_report_.guarantee == guarantee
    assert model.user_factors_.dtype == np.float32
    assert model.recommend(users=42, n_items=40)[0].min() == 0  # nothing is seen


@pytest.mark.parametrize("request_", [
    {"users": [42]},
    {"items": [7]},
    {"interactions": np.argwhere(X)[::25]},
])  # fmt: skip
def test_forgetting_in_a_model_cut_short_ends_near_the_same_training_without_the_data(request_):
    start = imported(trained=train(factors=32))
    tight = InfluenceUnlearner(on_failure="raise")
    model = copy.deepcopy(start).set_params(unlearner=tight).forget(**request_)
    retained = model._interactions.to_csr()
    refit = imported(retained, train(retained, factors=32))
    assert remaining_gap(start, model, refit) < 0.1
    # The request was answered, and the training not finished: what it had left is still there.
    norm = gradient_norm(model.user_factors_, model.item_factors_, retained.toarray(), **PENALTY)
    assert norm == pytest.approx(start.gradient_norm_, rel=0.05)
    assert norm <= model.gradient_norm_
    assert not model.converged_


@pytest.mark.parametrize("request_", [
    {"users": [42]},
    {"items": [7]},
    {"interactions": np.argwhere(X)[::25]},
])  # fmt: skip
def test_by_default_a_request_takes_few_passes_and_ends_near_the_same_training(request_):
    start = imported(trained=train(factors=32))
    model = copy.deepcopy(start).forget(**request_)
    retained = model._interactions.to_csr()
    refit = imported(retained, train(retained, factors=32))
    assert remaining_gap(start, model, refit) < 0.3
    assert model.forget_report_.method != "refit"
    assert model.forget_report_.n_solver_iter <= 0.5 * 2 * 15  # users and items once a sweep


@pytest.mark.parametrize("request_", [
    {"users": [42]},
    {"items": [7]},
    {"interactions": np.argwhere(X)[::25]},
])  # fmt: skip
def test_a_few_passes_end_nearer_the_same_training_than_the_touched_rows_alone(request_):
    start = imported(trained=train(factors=32))
    ways = AsTrainedUnlearner(scope="all"), SweepUnlearner(scope="touched", n_sweeps=1)
    few, touched = (
        copy.deepcopy(start).set_params(unlearner=one).forget(**request_) for one in ways
    )
    retained = few._interactions.to_csr()
    refit = imported(retained, train(retained, factors=32))
    assert remaining_gap(start, few, refit) < 0.1 < remaining_gap(start, touched, refit)
    assert few.forget_report_.guarantee == "residual-bounded"
    assert few.forget_report_.n_solver_iter < 0.5 * 2 * 15


def test_only_models_taken_over_are_silent_when_cut_short():
    with pytest.warns(NotConvergedWarning):
        fitted = ALS(6, **PENALTY, n_sweeps=1, max_iter=1, tol=1e-9, random_state=0).fit(X)
    with pytest.warns(NotConvergedWarning):
        fitted.forget(users=[1])
    model = imported(tol=1e-9, unlearner=SweepUnlearner("touched"))
    for user in (1, 2):  # warnings are errors
        model.forget(users=[user])
    with pytest.warns(NotConvergedWarning):
        model.set_params(max_iter=1).fit(X)
    with pytest.warns(NotConvergedWarning):
        model.forget(users=[1])


def test_failed_second_fit_leaves_it_as_it_was():
    model = imported()
    before = joblib.hash(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((3, 3), np.nan))
    assert joblib.hash(vars(model)) == before


def test_forgetting_goes_on_after_a_round_trip(tmp_path):
    model = imported()
    joblib.dump(model, tmp_path / "model.joblib")
    copies = [
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        joblib.load(tmp_path / "model.joblib"),
        joblib.load(tmp_path / "model.joblib", mmap_mode="r"),
    ]
    expected = bits(model.forget(users=[42]))
    for one in copies:
        assert bits(one.forget(users=[42])) == expected


def test_clone_is_a_plain_estimator():
    model = imported(unlearner=InfluenceUnlearner(tol=1e-2))
    twin = clone(model)
    with pytest.raises(NotFittedError):
        check_is_fitted(twin)
    assert repr(twin.get_params()) == repr(model.get_params())
    assert set(vars(twin)) == set(twin.get_params(deep=False))


def test_rows_without_interactions_are_zero_whatever_was_there():
    trained = train()
    trained.user_factors[EMPTY_USERS] = 1
    trained.item_factors[EMPTY_ITEMS] = 1
    assert bits(imported(trained=trained)) == bits(imported())


class TrainedByImplicit(ALS):
    """Its fit trains another library's model to the end, and takes that over."""

    def fit(self, X, y=None, sample_weight=None):
        matrix = sparse.csr_matrix(X)
        matrix.sum_duplicates()
        state = self.random_state
        trained = train(
            matrix,
            factors=self.n_factors,
            regularization=self.regularization,
            alpha=self.alpha,
            random_state=state if isinstance(state, int) else 0,
            iterations=200,
            use_cg=False,
        )
        own = self.get_params(deep=False)
        self.__dict__ = {**vars(ALS.from_implicit(trained, matrix)), **own}
        return self


@parametrize_with_forget_checks([
    TrainedByImplicit(12, regularization=20.0, alpha=5.0),
    TrainedByImplicit(12, regularization=20.0, alpha=5.0, unlearner="sweep"),
])  # fmt: skip
def test_forget_checks(check):
    check()


# -- back to implicit ----------------------------------------------------------------------------
def test_round_trip_gives_the_same_model():
    trained = train(iterations=4, random_state=5)
    back = imported(trained=trained).to_implicit()
    assert type(back) is AlternatingLeastSquares
    for name in ("factors", "regularization", "alpha", "iterations", "random_state", "dtype"):
        assert getattr(back, name) == getattr(trained, name), name
    assert_array_equal(back.user_factors, trained.user_factors)
    assert_array_equal(back.item_factors, trained.item_factors)
    again = imported(trained=back)
    assert joblib.hash(vars(again)) == joblib.hash(vars(imported(trained=trained)))


def test_exported_model_serves_learns_and_is_saved(tmp_path):
    model = ALS(6, **PENALTY, random_state=np.random.RandomState(0), n_jobs=2).fit(X)
    exported = model.to_implicit()
    assert exported.num_threads == 2
    assert exported.random_state is None
    items, scores = exported.recommend(7, USER_ITEMS[7], N=5)
    ours = model.recommend(users=7, n_items=5)
    assert_array_equal(items, ours[0][0])
    assert_allclose(scores, ours[1][0], rtol=1e-5)
    assert exported.similar_items(8, N=1)[0] == [8]
    exported.save(str(tmp_path / "model.npz"))
    assert_array_equal(
        AlternatingLeastSquares.load(str(tmp_path / "model.npz")).item_factors,
        exported.item_factors,
    )
    before = bits(model)
    exported.partial_fit_users([7], USER_ITEMS[7])
    assert_allclose(exported.user_factors[7], model.user_factors_[7], rtol=1e-3, atol=1e-4)
    exported.partial_fit_users([7], USER_ITEMS[8])
    exported.item_factors *= 2
    assert bits(model) == before


def test_forgotten_user_is_gone_from_the_exported_model():
    model = imported(trained=train()).forget(users=[42])
    exported = model.to_implicit()
    assert not exported.user_factors[42].any()
    assert_array_equal(exported.item_factors, model.item_factors_)
    none = sparse.csr_matrix((1, 40))
    assert not exported.recommend(42, none)[1].any()


def test_unfitted_model_is_not_exported():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        ALS().to_implicit()


# -- factors from anywhere -----------------------------------------------------------------------
@pytest.mark.parametrize("users, items, expected", [
    (np.float32, np.float32, np.float32),
    (np.float64, np.float64, np.float64),
    (np.float32, np.float64, np.float64),
    (np.float16, np.float16, np.float32),
    (">f4", "<f4", np.float32),
    (np.int64, np.float32, np.float64),
    (np.longdouble, np.float32, np.float64),
])  # fmt: skip
def test_data_type_of_factors(users, items, expected):
    rng = np.random.default_rng(0)
    P, Q = (rng.integers(-2, 3, (n, 4)).astype(d) for n, d in ((60, users), (40, items)))
    for matrix in (X.astype(np.float32), X):
        model = ALS.from_factors(P, Q, matrix, **PENALTY)
        assert model.user_factors_.dtype == model.item_factors_.dtype == expected
        assert model.forget(users=[42]).item_factors_.dtype == expected
        assert model.user_factors_.dtype.isnative


def test_factors_from_anywhere_end_as_those_of_implicit():
    trained = train()
    model = ALS.from_factors(
        np.asfortranarray(trained.user_factors),
        trained.item_factors.tolist(),
        X,
        **PENALTY,
        max_iter=0,
        random_state=0,
    )
    expected = imported(trained=trained)
    assert_allclose(model.user_factors_, expected.user_factors_)
    for one in (model, expected):
        one.forget(users=[42])
    assert_allclose(model.item_factors_, expected.item_factors_, rtol=1e-3, atol=1e-5)


def test_own_factors_are_as_good_as_the_fit_they_came_from():
    # More factors than the optimum uses, so the room beside them is measured.
    settings = {"regularization": 12.0, "alpha": 5.0, "frequency_scaling": 0.2}
    fitted = ALS(12, **settings, random_state=0).fit(X)
    assert 0 < fitted.item_factors_.any(axis=0).sum() < 12
    factors = fitted.user_factors_, fitted.item_factors_
    model = ALS.from_factors(*factors, X, **settings, random_state=0)
    assert model.converged_
    assert model.gradient_norm_ == pytest.approx(fitted.gradient_norm_, rel=0.1)
    assert model._slack == pytest.approx(fitted._slack, rel=1e-3) and model._slack > 0
    for one in (model, fitted):
        one.set_params(unlearner=InfluenceUnlearner()).forget(users=[42])
    assert bits(model) == bits(fitted)
    assert model.max_iter == ALS().max_iter  # a refit would be a fit of ours


# -- what is refused -----------------------------------------------------------------------------
def changed(matrix, value):
    out = matrix.copy()
    out.data[3] = value
    return out


P, Q = np.ones((60, 2)), np.ones((40, 2))
WITH_NAN = P.copy()
WITH_NAN[1, 1] = np.nan

NOT_POSITIVE = "holds negative values, NaN or infinity; expected positive.* train without them"

WRONG_MATRICES = {
    "transposed": (USER_ITEMS.T, r"shape \(40, 60\); expected \(60, 40\).*users x items, not its"),
    "short": (USER_ITEMS[:-1], r"shape \(59, 40\); expected \(60, 40\).* Pass the matrix that"),
    "negative": (changed(USER_ITEMS, -1.0), NOT_POSITIVE),
    "dense negative": (-X, NOT_POSITIVE),
    "nan": (changed(USER_ITEMS, np.nan), NOT_POSITIVE),
    "infinity": (changed(USER_ITEMS, np.inf), NOT_POSITIVE),
    "list with nan": ((X * np.nan).tolist(), "contains NaN"),
    "negative list": ((-X).tolist(), "Negative values"),
    "empty": (0 * X, r"shape \(60, 40\) holds no interaction; expected.* Pass the matrix"),
    "stored zeros": (0 * USER_ITEMS, r"shape \(60, 40\) holds no interaction"),
    "row": (X[0], "has 1 dimension; expected a matrix"),
}


@pytest.mark.parametrize("name", WRONG_MATRICES)
def test_wrong_matrices_are_refused(name):
    matrix, message = WRONG_MATRICES[name]
    pattern = re.compile(message, re.DOTALL)
    with pytest.raises(ValueError, match=pattern):
        imported(matrix, train())
    with pytest.raises(ValueError, match=pattern):
        ALS.from_factors(P, Q, matrix, **PENALTY)


@pytest.mark.parametrize("model, error, message", [
    (implicit_model(BayesianPersonalizedRanking), TypeError, "class BayesianPersonalizedRanking; "
     "expected a fitted implicit.als.AlternatingLeastSquares: .*by popularity.* or fit BPR"),
    (implicit_model(LogisticMatrixFactorization), TypeError, "class LogisticMatrixFactorization; "
     "expected .* two functions, so it minimises none. Pass one, or fit ALS"),
    (ALS(), TypeError, "class ALS; expected a fitted implicit"),
    (None, TypeError, "class NoneType; expected a fitted implicit"),
    (implicit_model(), NotFittedError, "no factors; expected a fitted implicit.* Call its fit"),
])  # fmt: skip
def test_wrong_models_are_refused(model, error, message):
    with pytest.raises(error, match=message):
        ALS.from_implicit(model, USER_ITEMS)


@pytest.mark.parametrize("factors, error, message", [
    ((WITH_NAN, Q), ValueError, "hold NaN or infinity; expected finite.* Train the model again"),
    ((P, Q * np.inf), ValueError, "hold NaN or infinity"),
    ((P, Q[:, :1]), ValueError, r"\(60, 2\) and \(40, 1\); expected .* Pass both sides"),
    ((P[0], Q), ValueError, r"\(2,\) and \(40, 2\); expected .* Pass both sides"),
    ((P + 1j, Q), TypeError, "complex128 and float64; expected real numbers. Pass arrays"),
    ((P, Q.astype(str)), TypeError, "expected real numbers"),
])  # fmt: skip
def test_wrong_factors_are_refused(factors, error, message):
    with pytest.raises(error, match=message):
        ALS.from_factors(*factors, USER_ITEMS, **PENALTY)
    trained = train()
    trained.user_factors, trained.item_factors = factors
    with pytest.raises(error, match=message):
        imported(trained=trained)


@pytest.mark.parametrize("params", [{"regularization": -1.0}, {"alpha": 0.0}, {"tol": 0}])
def test_wrong_parameters_are_refused(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of ALS must be"):
        ALS.from_factors(P, Q, USER_ITEMS, **{**PENALTY, **params})


def test_what_the_model_decides_cannot_be_set():
    for name in ("n_factors", "regularization", "alpha", "frequency_scaling"):
        with pytest.raises(TypeError, match=f"{name}=1 was given; from_implicit.* Leave it out"):
            imported(**{name: 1})
    with pytest.raises(TypeError, match=r"n_factors=3 was given; from_factors.* Leave it out"):
        ALS.from_factors(P, Q, USER_ITEMS, **PENALTY, n_factors=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'factors'"):
        imported(factors=3)


# -- in one piece --------------------------------------------------------------------------------
def test_taking_over_and_handing_back_say_nothing(capfd, monkeypatch):
    trained = train()
    monkeypatch.setattr("implicit.utils._checked_blas_config", False)
    with threadpool_limits(2, "blas"):  # warnings are errors
        imported(trained=trained).forget(users=[42]).to_implicit()
    assert capfd.readouterr() == ("", "")


def test_implicit_is_imported_only_where_it_is_needed():
    code = "import sys; from sklearn_unlearn import ALS; print('implicit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False", done.stderr
