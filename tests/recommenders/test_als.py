"""ALS: fit, fold-in and forget against dense arithmetic and actual refits."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.metrics import remaining_gap

X = make_interactions(60, 40, n_interactions=700, feedback="implicit", random_state=0)
DENSE = X.toarray()
# Regularised so that 24 factors are more than the optimum uses: every refit is the same model.
SETTINGS = {
    "plain": {},
    "scaled": {"regularization": 2.5, "frequency_scaling": 0.5},
    "offset": {
        "regularization": 0.3,
        "frequency_scaling": 1.0,
        "frequency_offset": (20.0, 10.0),
    },
    "confident": {"alpha": 20.0, "regularization": 25.0},
}
WEIGHTS = np.random.default_rng(0).integers(0, 3, len(DENSE)).astype(float)
settings = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


def model_of(**params):
    return ALS(
        **{"n_factors": 24, "regularization": 8.0, "alpha": 4.0, "random_state": 0, **params}
    )


def scores_of(model):
    return model.user_factors_ @ model.item_factors_.T


def dense_gradient(model, dense, weights=None):
    """Gradient of the objective, written out over every cell."""
    P, Q = model.user_factors_.astype(float), model.item_factors_.astype(float)
    g = np.ones(len(P)) if weights is None else np.asarray(weights, float)
    seen = dense > 0
    c = np.where(seen, model.alpha * dense, 1.0)
    R = g[:, None] * c * (P @ Q.T - seen)
    users, items = seen.sum(axis=1), (g[:, None] * seen).sum(axis=0)
    power, offset = model.frequency_scaling, model.frequency_offset
    users, items = (n + o for n, o in zip((users, items), np.broadcast_to(offset, 2), strict=True))
    on_users = model.regularization * g * np.where(users > 0, users, 1.0) ** power
    on_items = model.regularization * np.where(items > 0, items, 1.0) ** power
    return np.concatenate([R @ Q + on_users[:, None] * P, R.T @ P + on_items[:, None] * Q])


def scale_of(model, dense, weights=None):
    g = 1.0 if weights is None else np.asarray(weights)[:, None]
    return float(np.linalg.norm(g * model.alpha * dense))


# -- fit -----------------------------------------------------------------------------------------
@settings
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_fit_ends_where_the_dense_gradient_vanishes(setting, weights):
    model = model_of(**setting).fit(X, sample_weight=weights)
    kept = DENSE if weights is None else DENSE * (weights > 0)[:, None]
    norm = np.linalg.norm(dense_gradient(model, kept, weights))
    assert norm <= 1e-7 * scale_of(model, kept, weights)
    assert model.gradient_norm_ == pytest.approx(norm, rel=0.3)
    assert 0 < model.item_factors_.any(axis=0).sum() < 24


@settings
def test_seeds_agree_and_the_optimum_is_certified(setting):
    one, other = (model_of(random_state=seed, **setting).fit(X) for seed in (0, 1))
    assert_allclose(scores_of(one), scores_of(other), atol=1e-4)
    certificate = one.certify()
    assert certificate.certified
    apart = np.sqrt(np.mean((scores_of(one) - scores_of(other))[DENSE > 0] ** 2))
    assert apart <= certificate.prediction_bound


def test_sweeps_alone_are_what_other_libraries_do():
    model = model_of(max_iter=0, n_sweeps=40).fit(X)
    assert not model.converged_
    assert (
        remaining_gap(np.zeros(DENSE.shape), scores_of(model), scores_of(model_of().fit(X))) < 0.05
    )
    none = model_of(max_iter=0, n_sweeps=0).fit(X)
    assert not none.user_factors_.any()


def test_float32_stays_float32_and_agrees():
    single, double = model_of().fit(X.astype(np.float32)), model_of().fit(X)
    for name in ("user_factors_", "item_factors_"):
        assert getattr(single, name).dtype == np.float32
    assert single.transform(X.astype(np.float32)).dtype == np.float32
    assert_allclose(scores_of(single), scores_of(double), atol=1e-4)
    single.forget(users=[3])
    assert single.user_factors_.dtype == np.float32


def test_scores_do_not_depend_on_threads():
    one, two = (model_of(n_jobs=n).fit(X) for n in (1, 2))
    assert_array_equal(scores_of(one), scores_of(two))


def test_negative_values_are_refused():
    with pytest.raises(ValueError, match="Negative values in data"):
        model_of().fit(-X)


# -- fold-in -------------------------------------------------------------------------------------
@settings
def test_fold_in_of_a_training_row_is_its_row(setting):
    model = model_of(**setting).fit(X)
    assert_allclose(model.transform(X), model.user_factors_, atol=1e-5)
    assert_allclose(model.decision_function(X[:5]), scores_of(model)[:5], atol=1e-5)


def test_score_is_minus_the_mean_loss_of_all_cells():
    model = model_of().fit(X)
    U = model.transform(X)
    seen = DENSE > 0
    c = np.where(seen, model.alpha * DENSE, 1.0)
    expected = -np.mean(c * (U @ model.item_factors_.T - seen) ** 2) / 2
    assert model.score(X) == pytest.approx(expected, rel=1e-9)


# -- forget --------------------------------------------------------------------------------------
PAIRS = np.random.default_rng(1).permutation(np.argwhere(DENSE))
REQUESTS = {
    "a pair": {"interactions": PAIRS[:1]},
    "a user": {"users": [7]},
    "an item": {"items": [4]},
    "one in fifty": {"interactions": PAIRS[:14]},
    "all kinds": {"interactions": PAIRS[:5], "users": [3, 8], "items": [11]},
}


def without(request):
    dense = DENSE.copy()
    for user, item in request.get("interactions", []):
        dense[user, item] = 0
    dense[request.get("users", [])] = 0
    dense[:, request.get("items", [])] = 0
    return dense


@settings
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize(
    "unlearner", [None, SweepUnlearner(n_sweeps=2000)], ids=["newton", "sweep"]
)
def test_forget_ends_where_a_refit_ends(setting, request_, unlearner):
    model = model_of(unlearner=unlearner, **setting).fit(X)
    before, dense = copy.deepcopy(model), without(request_)
    model.forget(**request_)
    refit = model_of(random_state=1, **setting).fit(dense)
    assert remaining_gap(before, model, refit) <= 0.01
    report = model.forget_report_
    assert report.guarantee == "residual-bounded"
    assert report.residual <= 1e-3
    left = np.linalg.norm(dense_gradient(model, dense))
    assert left <= report.gradient_norm[1] + before.gradient_norm_ + 1e-9


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("tol", [0.5, 0.1])
def test_a_loose_tolerance_is_met_and_reported_truly(request_, tol):
    model = model_of(tol=1e-9, unlearner=InfluenceUnlearner(tol=tol)).fit(X)
    model.forget(**request_)
    before, after = model.forget_report_.gradient_norm
    left = np.linalg.norm(dense_gradient(model, without(request_)))
    assert left <= tol * before
    assert left == pytest.approx(after, rel=1e-3, abs=1e-6 * before)


def test_touched_rows_alone_leave_all_others_as_they_were():
    model = model_of(unlearner=SweepUnlearner("touched", n_sweeps=1, tol=None)).fit(X)
    before = copy.deepcopy(model)
    model.forget(users=[7])
    assert model.forget_report_.guarantee == "rows-solved"
    items = np.flatnonzero(DENSE[7])
    others = np.setdiff1d(np.arange(40), items)
    assert_array_equal(model.item_factors_[others], before.item_factors_[others])
    assert_array_equal(np.delete(model.user_factors_, 7, 0), np.delete(before.user_factors_, 7, 0))
    dense = without({"users": [7]})
    gradient = dense_gradient(model, dense)
    assert_allclose(gradient[60 + items], 0, atol=1e-9)
    assert np.linalg.norm(gradient) == pytest.approx(
        model.forget_report_.gradient_norm[1], rel=1e-3, abs=model.gradient_norm_
    )


@pytest.mark.parametrize("unlearner", [None, SweepUnlearner("touched", n_sweeps=1, tol=None)])
def test_gram_matrices_follow_a_sequence_of_requests(unlearner):
    model = model_of(unlearner=unlearner).fit(X)
    for user in range(0, 30, 3):
        model.forget(users=[user])
    for pair in np.random.default_rng(0).permutation(np.argwhere(model._interactions.to_csr()))[
        :20
    ]:
        model.forget(pair[None])
    for kept, factors in zip(model._sums, (model.user_factors_, model.item_factors_), strict=True):
        assert_allclose(kept, factors.T @ factors, rtol=1e-11, atol=1e-11)


def test_one_by_one_is_one_batch():
    model = model_of().fit(X)
    batch = copy.deepcopy(model).forget(PAIRS[:60])
    one_by_one = copy.deepcopy(model)
    for pair in PAIRS[:60]:
        one_by_one.forget(pair[None])
    assert remaining_gap(model, one_by_one, batch) <= 0.02


def test_a_model_stopped_early_answers_the_request_and_says_so():
    model = model_of(max_iter=0, n_sweeps=6, unlearner=InfluenceUnlearner(tol=0.2)).fit(X)
    before = copy.deepcopy(model)
    with pytest.warns(NotConvergedWarning, match="the training is not finished"):
        model.forget(users=[7])
    change = dense_gradient(model, without({"users": [7]})) - dense_gradient(before, DENSE)
    change[7] = 0
    first, left = model.forget_report_.gradient_norm
    assert np.linalg.norm(change) == pytest.approx(left, rel=1e-3, abs=1e-6 * first)
    assert left <= 0.2 * first
    assert "counts as zero" in model.forget_report_.status


def test_a_request_before_and_after_a_pickle_is_the_same():
    """Loaded arrays are no longer parts of one table."""
    model = model_of(unlearner=InfluenceUnlearner(tol=0.3)).fit(X)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(scores_of(model.forget(users=[7])), scores_of(loaded.forget(users=[7])))
    assert_array_equal(scores_of(model.forget(users=[9])), scores_of(loaded.forget(users=[9])))


def test_factors_replaced_by_hand_are_the_ones_that_count():
    """One array of the two that share a table is swapped for another."""
    model = model_of(max_iter=0).fit(X)
    model.item_factors_ = model.item_factors_[:, ::-1].copy()
    theta = model._theta(model._make_objective(model._interactions).layout)
    assert_array_equal(theta[60:], model.item_factors_)


def test_the_table_without_requests_is_left_alone():
    """Cold pages of the fitted model hold no second copy of its cells."""
    model = model_of().fit(X)
    assert "transpose" not in model._interactions._cache
    assert not sparse.issparse(getattr(model, "X_", None))


@pytest.mark.parametrize("offset", [-1.0, (1.0, -1.0), (1.0,), (1.0, 2.0, 3.0), ("a", 1.0), np.inf])
def test_wrong_offsets_are_refused(offset):
    with pytest.raises(ValueError, match="frequency_offset"):
        model_of(frequency_offset=offset).fit(X)


def test_one_offset_stands_for_both_sides():
    one, other = (
        model_of(frequency_scaling=0.5, frequency_offset=offset, regularization=2.5).fit(X)
        for offset in (3.0, (3, 3.0))
    )
    assert_array_equal(scores_of(one), scores_of(other))
