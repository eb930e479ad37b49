"""Fit, fold-in and the scikit-learn surface, each against the dense twin that SciPy minimises."""

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_unlearn import MatrixFactorization, ShardedRecommender
from sklearn_unlearn.backends import _scipy
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import DataWarning, NotConvergedWarning
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.pipeline import make_recommender_pipeline
from tests.recommenders.oracles import DenseModel, distance, scores_of

DATA = {
    loss: make_interactions(60, 40, n_interactions=700, feedback=feedback, random_state=0)
    for loss, feedback in (("logistic", "label"), ("squared", "rating"))
}
LOSSES = list(DATA)
# Regularised so that 28 factors are more than the optimum uses.
SETTINGS = [
    {"regularization": 2.0},
    {"regularization": 2.0, "fit_bias": False},
    {"regularization": 2.0, "bias_regularization": 0.5, "global_mean": False},
    {"regularization": 0.5, "frequency_scaling": 0.5, "global_mean": True},
    {"regularization": 0.15, "frequency_scaling": 1.0},
]
both_losses = pytest.mark.parametrize("loss", LOSSES)


def model_of(loss="logistic", **params):
    defaults = {"n_factors": 28, "regularization": 2.0, "random_state": 0}
    return MatrixFactorization(**{"loss": loss, **defaults, **params})


def fitted(loss="logistic", **params):
    return model_of(loss, **params).fit(DATA[loss])


# -- the optimum ---------------------------------------------------------------------------------
@both_losses
@pytest.mark.parametrize("setting", SETTINGS)
def test_fit_reaches_the_optimum_that_a_general_minimizer_finds(loss, setting):
    model, X = fitted(loss, **setting), DATA[loss].toarray()
    twin = DenseModel.of(model)
    expected = twin.fit(X)[0]
    flat = DenseModel.of(model.set_params(n_factors=0)).fit(X)[0]
    assert distance(scores_of(model), expected) < 1e-4
    # Not the optimum of biases alone, and not limited by the number of factors.
    assert distance(flat, expected) > 0.1
    assert 0 < model.item_factors_.any(axis=0).sum() < 28
    assert model.converged_
    assert twin.gradient_norm(model, X) == pytest.approx(model.gradient_norm_, rel=0.2)


@both_losses
def test_bias_only_model_is_that_of_the_twin(loss):
    model, X = fitted(loss, n_factors=0), DATA[loss].toarray()
    assert distance(scores_of(model), DenseModel.of(model).fit(X)[0]) < 1e-5
    assert model.user_factors_.shape == (60, 0)
    assert model.transform(X).shape == (60, 0)
    assert_allclose(model.decision_function(X), scores_of(model), atol=1e-5)


@both_losses
def test_certified_models_of_two_seeds_have_the_same_scores(loss):
    one, other = fitted(loss), fitted(loss, random_state=1)
    assert one.certify(1e-6).certified and other.certify(1e-6).certified
    assert distance(scores_of(one), scores_of(other)) < 1e-4
    # An under-regularised model differs, and says so.
    loose = [fitted(loss, n_factors=3, regularization=0.05, random_state=s) for s in (0, 1)]
    assert not any(model.certify().certified for model in loose)


def test_more_factors_than_data_change_nothing():
    wide = fitted(n_factors=90)
    assert wide.user_factors_.shape == (60, 90)
    assert distance(scores_of(wide), scores_of(fitted())) < 1e-4


def test_stopped_fit_warns_and_says_so():
    with pytest.warns(
        NotConvergedWarning, match=r"stopped after 1 steps .* Raise max_iter"
    ) as caught:
        model = model_of(max_iter=1).fit(DATA["logistic"])
    assert caught[0].filename == __file__
    assert not model.converged_ and model.n_iter_ == 1
    norm = DenseModel.of(model).gradient_norm(model, DATA["logistic"].toarray())
    assert norm == pytest.approx(model.gradient_norm_, rel=1e-6)


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-9])
def test_tolerance_is_a_share_of_the_slopes_at_score_zero(tol):
    model, X = fitted(tol=tol), DATA["logistic"].toarray()
    norm = DenseModel.of(model).gradient_norm(model, X)
    assert model.converged_
    assert norm <= 1.01 * tol * np.sqrt(0.25 * 700)
    assert norm <= 1.01 * model.gradient_norm_


# -- weights -------------------------------------------------------------------------------------
@both_losses
@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[3], SETTINGS[4]])
def test_integer_weight_is_that_many_users(loss, setting):
    X = DATA[loss].toarray()
    weights = np.random.default_rng(0).integers(1, 4, 60)
    weighted = model_of(loss, tol=1e-8, **setting).fit(X, sample_weight=weights)
    repeated = model_of(loss, tol=1e-8, **setting).fit(np.repeat(X, weights, axis=0))
    first = np.cumsum(weights) - weights
    assert distance(scores_of(weighted), scores_of(repeated)[first]) < 1e-4
    assert distance(scores_of(weighted), scores_of(fitted(loss, **setting))) > 0.1
    twin = DenseModel.of(weighted)
    assert distance(scores_of(weighted), twin.fit(X, weights)[0]) < 1e-4


@both_losses
def test_weight_zero_is_never_trained_on(loss):
    X = DATA[loss].toarray()
    weights = np.where(np.arange(60) % 7 == 2, 0.0, 1.0)
    model = model_of(loss).fit(X, sample_weight=weights)
    without = model_of(loss).fit(X * weights[:, None])
    assert_array_equal(scores_of(model), scores_of(without))
    assert not model.user_factors_[2].any()
    assert (model.recommend(users=[2], n_items=40)[0] >= 0).all()


# -- fold-in -------------------------------------------------------------------------------------
@both_losses
@pytest.mark.parametrize("setting", SETTINGS)
def test_training_rows_fold_in_to_their_own_factors(loss, setting):
    model, X = fitted(loss, tol=1e-9, **setting), DATA[loss]
    assert_allclose(model.transform(X), model.user_factors_, atol=1e-6)
    assert_allclose(model.decision_function(X), scores_of(model), atol=1e-6)
    pairs = np.argwhere(X.toarray())
    assert_allclose(model.predict_pairs(pairs), scores_of(model)[tuple(pairs.T)], atol=1e-12)


@both_losses
@pytest.mark.parametrize("setting", SETTINGS)
def test_unseen_row_folds_in_to_the_minimum_beside_held_items(loss, setting):
    model = fitted(loss, **setting)
    rows = make_interactions(
        7, 40, n_interactions=60, feedback="label" if loss == "logistic" else "rating",
        random_state=9,
    ).toarray()  # fmt: skip
    rows[3] = 0
    Q, c, mean = model.item_factors_, model.item_biases_, model.global_mean_
    solved = [DenseModel.of(model).fold_in(row, Q, c, mean) for row in rows]
    assert_allclose(model.transform(rows), [p for p, _ in solved], atol=1e-6)
    expected = [Q @ p + b + c + mean for p, b in solved]
    assert_allclose(model.decision_function(rows), expected, atol=1e-6)
    assert not model.transform(rows)[3].any()


@both_losses
def test_batch_folds_in_bit_identically_to_its_rows(loss, monkeypatch):
    model, X = fitted(loss), DATA[loss]
    batch, scores = model.transform(X), model.decision_function(X)
    one_by_one = [X[[u]] for u in range(60)]
    assert_array_equal(batch, np.concatenate([model.transform(row) for row in one_by_one]))
    assert_allclose(
        scores, np.concatenate([model.decision_function(row) for row in one_by_one]), rtol=1e-12
    )
    monkeypatch.setattr("sklearn_unlearn.recommenders._factor_scores._ROWS_AT_ONCE", 7)
    assert_array_equal(batch, model.transform(X))


def test_fold_in_leaves_the_model_and_the_rows_alone():
    model, X = fitted(), DATA["logistic"].toarray()
    before, rows = {name: np.copy(value) for name, value in vars(model).items()}, X.copy()
    model.transform(X), model.decision_function(X), model.score(X), model.recommend(X)
    assert_array_equal(rows, X)
    for name in ("user_factors_", "item_factors_", "user_biases_", "item_biases_"):
        assert_array_equal(before[name], getattr(model, name))


@both_losses
def test_inverse_transform_orders_items_like_the_scores(loss):
    model, X = fitted(loss), DATA[loss]
    scores = model.inverse_transform(model.transform(X))
    difference = model.decision_function(X) - scores
    # All that is missing is the bias of the user.
    assert_allclose(np.ptp(difference, axis=1), 0, atol=1e-9)
    assert np.abs(difference).max() > 0.01


@both_losses
def test_score_is_minus_the_mean_loss_of_observed_entries(loss):
    model, X = fitted(loss), DATA[loss].toarray()
    losses = DenseModel.of(model).terms(X, model.decision_function(X))[0]
    assert model.score(X) == pytest.approx(-losses.sum() / 700, rel=1e-9)
    assert model.score(np.zeros((2, 40))) == 0.0


# -- one result, however it is computed ------------------------------------------------------------
@both_losses
def test_threads_change_no_bit(loss, monkeypatch):
    X, one = DATA[loss], fitted(loss, n_jobs=1).forget(users=[3, 7])
    used, run = [], _scipy.ScipyBackend._run

    def spy(self, *args, **kwargs):
        used.append(self.n_threads)
        return run(self, *args, **kwargs)

    monkeypatch.setattr(_scipy, "_MIN_WORK", 0)
    monkeypatch.setattr(_scipy.ScipyBackend, "_run", spy)
    two = fitted(loss, n_jobs=2).forget(users=[3, 7])
    with parallel_config(n_jobs=2):
        three = fitted(loss).forget(users=[3, 7])
    assert set(used) == {2}
    for other in (two, three):
        for name in ("user_factors_", "item_factors_", "user_biases_", "item_biases_"):
            assert_array_equal(getattr(one, name), getattr(other, name))
        assert_array_equal(one.transform(X), other.transform(X))


def test_every_form_of_random_state():
    for make in (lambda: 3, lambda: np.int64(3), lambda: np.random.default_rng(3)):
        assert_array_equal(
            fitted(random_state=make()).item_factors_, fitted(random_state=make()).item_factors_
        )
    for state in (None, np.random.RandomState(3), np.random.default_rng(3)):
        model = fitted(random_state=state)
        assert distance(scores_of(model), scores_of(fitted())) < 1e-4
        assert model.random_state is state
    assert_array_equal(
        fitted(random_state=np.random.RandomState(3)).item_factors_,
        fitted(random_state=np.random.RandomState(3)).item_factors_,
    )


@both_losses
def test_dense_sparse_and_single_precision_inputs_give_one_model(loss):
    X = DATA[loss]
    expected = scores_of(fitted(loss))
    for same in (X.toarray(), sparse.coo_array(X), sparse.csc_matrix(X), X.astype(np.float32)):
        assert_array_equal(scores_of(model_of(loss).fit(same)), expected)


def test_factors_of_a_fit_are_canonical():
    model = fitted()
    P, Q = model.canonical_factors()
    gram = Q.T @ Q
    assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)
    assert (np.diff(np.diag(gram)) <= 1e-9).all()
    assert_allclose(np.abs(P), np.abs(model.user_factors_), atol=1e-7)
    assert_allclose(P @ Q.T, model.user_factors_ @ model.item_factors_.T, atol=1e-9)


# -- scikit-learn's surface ------------------------------------------------------------------------
def test_verbose_prints_a_line_a_step(capsys):
    model = fitted(verbose=1)
    penalty, *lines = capsys.readouterr().out.splitlines()
    assert penalty.startswith("[MatrixFactorization] penalty ")
    assert len(lines) >= model.n_iter_
    assert lines[-1].startswith(f"[MatrixFactorization] step {model.n_iter_}: objective ")
    values = [float(line.split("objective ")[1].split(",")[0]) for line in lines]
    assert values == sorted(values, reverse=True)
    X = DATA["logistic"].toarray()
    assert values[-1] == pytest.approx(DenseModel.of(model).fit(X)[1], rel=1e-5)
    fitted()
    assert capsys.readouterr().out == ""


def test_names_of_factors_and_frames_out():
    model = fitted(n_factors=9).set_output(transform="pandas")
    names = [f"matrixfactorization{f}" for f in range(9)]
    assert list(model.get_feature_names_out()) == names
    assert list(model.transform(DATA["logistic"].toarray()).columns) == names


def test_clone_and_nested_parameters():
    model = fitted(unlearner=InfluenceUnlearner(n_steps=3))
    twin = clone(model.set_params(unlearner__tol=1e-2))
    assert not hasattr(twin, "user_factors_")
    params, others = model.get_params(deep=False), twin.get_params(deep=False)
    assert {**params, "unlearner": None} == {**others, "unlearner": None}
    assert twin.unlearner is not model.unlearner
    assert twin.unlearner.get_params() == model.unlearner.get_params()
    assert twin.get_params()["unlearner__tol"] == 1e-2
    assert model_of().unlearner is None is fitted().unlearner


def test_grid_search_reaches_the_parameters_of_the_strategy():
    grid = {"regularization": [2.0, 8.0], "unlearner__tol": [1e-2, 1e-4]}
    search = GridSearchCV(model_of(unlearner=InfluenceUnlearner()), grid, cv=2)
    search.fit(DATA["logistic"])
    best = search.best_estimator_
    assert best.regularization == 2.0
    assert search.cv_results_["mean_test_score"].shape == (4,)
    best.forget(users=[0])
    assert best.forget_report_.residual <= best.unlearner.tol


# -- data that it is not for ---------------------------------------------------------------------
LIKES = make_interactions(60, 40, feedback="implicit", random_state=0)
STARS = make_interactions(60, 40, feedback="rating", random_state=0)
COUNTS = LIKES.copy()
COUNTS.data = np.ceil(COUNTS.data)
ONES = (LIKES > 0).astype(float)
ONE_SORT = {
    "likes": (ONES, "logistic", "values of X are 1; expected likes .* with ALS, BPR"),
    "dislikes": (-ONES, "logistic", "values of X are -1; expected likes"),
    "likes, squared": (ONES, "squared", "are 1; expected ratings that differ"),
    "fours": (4 * ONES, "squared", "are 4; expected ratings that differ"),
    "stars": (STARS, "logistic", r"from 1 to 5, all of one sign; .* with RatingBinarizer"),
    "counts": (COUNTS, "logistic", "all of one sign; .* from counts with ALS"),
    "minus stars": (-STARS, "logistic", "all of one sign"),
}
BOTH_SORTS = {
    "labels": (DATA["logistic"], "logistic"),
    "stars": (STARS, "squared"),
    "labels as ratings": (DATA["logistic"], "squared"),
    "signed stars": (STARS - 2.75 * (STARS > 0).astype(float), "logistic"),
    "a few likes": (np.eye(19), "logistic"),
    "everybody likes everything": (np.ones((8, 9)), "logistic"),
    "measurements": (LIKES * 0.123456, "logistic"),
}


@pytest.mark.parametrize("name", ONE_SORT)
def test_values_of_one_sort_are_warned_of_once(name):
    X, loss, message = ONE_SORT[name]
    for unlearner in ("influence", "sweep", "refit"):
        model = model_of(loss, n_factors=4, unlearner=unlearner)
        with pytest.warns(DataWarning, match=message) as caught:
            model.fit(X)
        assert len(caught) == 1 and caught[0].filename == __file__
        model.forget(users=[3]).forget(items=[5])  # a refit inside says nothing


@pytest.mark.parametrize("name", BOTH_SORTS)
def test_other_values_are_not_warned_of(name):
    X, loss = BOTH_SORTS[name]
    model_of(loss, n_factors=2, tol=1e-2).fit(X)


def test_warning_points_at_the_line_outside_whoever_fits():
    with pytest.warns(DataWarning) as caught:
        cross_val_score(model_of(n_factors=2), STARS, cv=2)
    with pytest.warns(DataWarning) as more:
        make_recommender_pipeline(model_of(n_factors=2)).fit(STARS)
    assert {one.filename for one in [*caught, *more]} == {__file__}
    assert (len(caught), len(more)) == (2, 1)


def test_shards_of_one_sort_are_not_warned_of():
    X = np.zeros((40, 30))
    X[np.arange(40) % 4 == 0] = -1.0  # whole users dislike everything: so will their shards
    X[np.arange(40) % 4 == 1, ::2] = 1.0
    with pytest.warns(DataWarning):
        model_of(n_factors=2).fit(X[1::4])
    sharded = ShardedRecommender(model_of(n_factors=2), 12, random_state=0).fit(X)
    assert any(
        one is not None and len(set(one._interactions.values)) == 1 for one in sharded.estimators_
    )
    sharded.forget(users=[1])
