"""Forget requests, alone and in a row, against the optimum of what remains."""

import copy
import gc
import pickle
import tracemalloc

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import hadamard

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.pruning import HopPruner, ImportancePruner
from tests.recommenders.oracles import DenseModel, scores_of

DATA = {
    loss: make_interactions(60, 40, n_interactions=700, feedback=feedback, random_state=0).toarray()
    for loss, feedback in (("logistic", "label"), ("squared", "rating"))
}
LOSSES = list(DATA)
CELLS = np.argwhere(DATA["logistic"])
SHUFFLED = np.random.default_rng(0).permutation(CELLS)
FACTORS = ("user_factors_", "item_factors_", "user_biases_", "item_biases_")
both_losses = pytest.mark.parametrize("loss", LOSSES)

SETTINGS = {
    "plain": {},
    "no bias": {"fit_bias": False},
    "no mean": {"global_mean": False},
    "mean": {"global_mean": True},
    "scaled": {"regularization": 0.5, "frequency_scaling": 0.5},
    "scaled with mean": {"regularization": 0.6, "frequency_scaling": 0.5, "global_mean": True},
    "one hop": {"unlearner": InfluenceUnlearner(HopPruner(1))},
    "importance": {"unlearner": InfluenceUnlearner(ImportancePruner(keep_ratio=0.3))},
    "minres": {"unlearner": InfluenceUnlearner(solver="minres")},
    "refit": {"unlearner": "refit"},
}
REQUESTS = {
    "a pair": {"interactions": SHUFFLED[:1]},
    "a user": {"users": [7]},
    "an item": {"items": [4]},
    "one in a hundred": {"interactions": SHUFFLED[:7]},
    "all kinds": {"interactions": SHUFFLED[:5], "users": [3, 8], "items": [11]},
}
_CACHE = {}


def model_of(loss="logistic", **params):
    defaults = {"n_factors": 28, "regularization": 2.0, "random_state": 0}
    return MatrixFactorization(**{"loss": loss, **defaults, **params})


def fitted(loss="logistic", **params):
    """A fresh copy of a model that is fitted once."""
    key = loss, str(sorted(params.items()))
    if key not in _CACHE:
        _CACHE[key] = pickle.dumps(model_of(loss, **params).fit(DATA[loss]))
    return pickle.loads(_CACHE[key])


def without(X, interactions=(), users=(), items=()):
    X = X.copy()
    for u, i in interactions:
        X[u, i] = 0
    X[list(users)] = 0
    X[:, list(items)] = 0
    return X


def optimum(model, rest):
    """Scores of a refit by the twin; settings that share an objective share it."""
    twin = DenseModel.of(model)
    key = twin, rest.tobytes()
    if key not in _CACHE:
        _CACHE[key] = twin.fit(rest)[0]
    return _CACHE[key]


def remaining_gap(model, start, expected):
    """How far from the refit, of how far the old model was."""
    return np.linalg.norm(scores_of(model) - expected) / np.linalg.norm(scores_of(start) - expected)


# -- one request ---------------------------------------------------------------------------------
@both_losses
@pytest.mark.parametrize(
    "setting, request_",
    [("plain", request) for request in REQUESTS]
    + [(setting, request) for setting in [*SETTINGS][1:] for request in ("a pair", "all kinds")],
)
def test_forget_ends_at_the_optimum_of_what_remains(loss, setting, request_):
    start = fitted(loss, **SETTINGS[setting])
    model = copy.deepcopy(start).forget(**REQUESTS[request_])
    rest = without(DATA[loss], **REQUESTS[request_])
    twin, report = DenseModel.of(model), model.forget_report_
    norm = twin.gradient_norm(model, rest)
    assert norm <= 1.001 * model.gradient_norm_
    assert norm <= 1.001 * report.gradient_norm[1]
    if setting != "refit":
        assert report.residual <= 1e-3
        assert report.guarantee == "residual-bounded"
    assert model.converged_
    assert remaining_gap(model, start, optimum(model, rest)) <= 0.01


@both_losses
@pytest.mark.parametrize("global_mean", [False, True])
def test_only_what_hangs_together_moves_unless_the_mean_does(loss, global_mean):
    feedback = "label" if loss == "logistic" else "rating"
    blocks = [
        make_interactions(12, 8, n_interactions=50, feedback=feedback, random_state=b)
        for b in range(9)
    ]
    X = sparse.block_diag(blocks).toarray()
    start = model_of(loss, n_factors=40, regularization=2.5, global_mean=global_mean, tol=1e-8).fit(
        X
    )
    twin, pairs = DenseModel.of(start), np.random.default_rng(0).permutation(np.argwhere(X))[:8]
    for pair in pairs:
        model = copy.deepcopy(start).forget([pair])
        norm = twin.gradient_norm(model, without(X, [pair]))
        report = model.forget_report_
        assert norm <= 1.001 * model.gradient_norm_
        assert report.residual <= 1e-3
        assert (report.n_rows_updated <= 20) != global_mean


@both_losses
def test_forget_with_weights_ends_at_the_weighted_optimum(loss):
    weights = np.random.default_rng(1).choice([0.0, 0.5, 1.0, 3.0], 60)
    weights[7] = 3.0
    known = [cell for cell in SHUFFLED if weights[cell[0]]][:7]
    X = DATA[loss] * (weights > 0)[:, None]
    start = model_of(loss).fit(DATA[loss], sample_weight=weights)
    for request in ({"interactions": known}, {"users": [7]}, {"items": [4]}):
        model = copy.deepcopy(start).forget(**request)
        rest = without(X, **request)
        ones = np.where((rest != 0).any(axis=1), weights, 1.0)
        expected = DenseModel.of(model).fit(rest, ones)[0]
        assert remaining_gap(model, start, expected) <= 0.01


@both_losses
def test_forms_of_a_request_give_one_state_bit_for_bit(loss):
    pairs = SHUFFLED[:9]
    mask = np.zeros((60, 40), bool)
    mask[tuple(pairs.T)] = True
    forms = [pairs, (pairs[:, 0], pairs[:, 1]), mask, sparse.csr_array(mask), pairs[::-1]]
    ends = [fitted(loss).forget(form) for form in forms]
    for end in ends[1:]:
        for name in FACTORS:
            assert_array_equal(getattr(end, name), getattr(ends[0], name))


@both_losses
def test_whole_rows_that_go_are_exactly_zero(loss):
    model = fitted(loss).forget(users=[7, 9], items=[4])
    # Losing the last of its interactions empties a row as well.
    for item in np.flatnonzero(model._interactions.to_csr().toarray()[12]):
        model.forget([(12, item)])
    for users, items in ((model.user_factors_, model.item_factors_), (
        model.user_biases_, model.item_biases_
    )):  # fmt: skip
        assert not users[[7, 9, 12]].any() and not items[4].any()
        assert users[[8, 10]].any() and items[5].any()
    assert_array_equal(scores_of(model)[7], model.item_biases_ + model.global_mean_)


@both_losses
@pytest.mark.parametrize("global_mean", [True, False])
def test_forgetting_everything_leaves_nothing(loss, global_mean):
    model = fitted(loss, global_mean=global_mean).forget(users=np.arange(60))
    for name in FACTORS:
        assert not getattr(model, name).any()
    assert_array_equal(scores_of(model), model.global_mean_)
    assert model.global_mean_ == 0.0
    assert_array_equal(model.decision_function(np.zeros((2, 40))), 0.0)
    assert (model.recommend(users=[0], n_items=3)[0] >= 0).all()


@both_losses
def test_refit_strategy_is_a_fit_of_what_remains(loss):
    model = fitted(loss, unlearner="refit").forget(SHUFFLED[:20])
    again = model_of(loss).fit(without(DATA[loss], SHUFFLED[:20]))
    for name in FACTORS:
        assert_allclose(getattr(model, name), getattr(again, name), atol=1e-9)
    assert model.forget_report_.method == model.forget_report_.guarantee == "refit"


@both_losses
def test_canonical_factors_carry_no_history(loss):
    unlearner = InfluenceUnlearner(tol=1e-6)
    start = fitted(loss, unlearner=unlearner)
    model = copy.deepcopy(start).forget(SHUFFLED[:20]).forget(users=[7])
    refit = model_of(loss, random_state=5).fit(without(DATA[loss], SHUFFLED[:20], users=[7]))
    for one, other, old in zip(
        model.canonical_factors(), refit.canonical_factors(), start.canonical_factors(), strict=True
    ):
        distinct = slice(0, 4)
        assert_allclose(one[:, distinct], other[:, distinct], atol=2e-3)
        assert np.abs(one[:, distinct] - old[:, distinct]).max() > 0.02


def test_columns_that_were_empty_stay_empty_and_the_rest_is_right():
    start = fitted(regularization=4.0)
    used = start.item_factors_.any(axis=0)
    model = copy.deepcopy(start).forget(SHUFFLED[:30])
    assert 0 < used.sum() < 10
    assert not model.item_factors_[:, ~used].any() and not model.user_factors_[:, ~used].any()
    expected = optimum(model, without(DATA["logistic"], SHUFFLED[:30]))
    assert remaining_gap(model, start, expected) <= 0.01


@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
def test_gain_of_rank_is_followed():
    # Likes and dislikes that cancel: all factors are zero. Without the dislikes, they are not.
    X = hadamard(16).astype(float)
    start = model_of(regularization=2.5, fit_bias=False).fit(X)
    model = copy.deepcopy(start).forget(np.argwhere(X < 0))
    expected = DenseModel.of(model).fit(np.maximum(X, 0))[0]
    assert not start.item_factors_.any() and start.certify().certified
    assert np.abs(expected).max() > 1
    assert remaining_gap(model, start, expected) <= 0.02


# -- a model that was stopped early ----------------------------------------------------------------
def test_stopped_model_forgets_without_finishing_its_training():
    with pytest.warns(NotConvergedWarning):
        start = model_of(max_iter=2).fit(DATA["logistic"])
    model = copy.deepcopy(start).set_params(unlearner=InfluenceUnlearner())
    with pytest.warns(NotConvergedWarning, match="not fitted to its tolerance") as caught:
        model.forget(users=[7])
    assert caught[0].filename == __file__
    assert not model.converged_
    twin, rest = DenseModel.of(model), without(DATA["logistic"], users=[7])
    norm = twin.gradient_norm(model, rest)
    # What was left over from training still is, and the bound says so.
    assert norm > 0.1 * twin.gradient_norm(start, DATA["logistic"])
    assert norm <= model.gradient_norm_
    assert not model.user_factors_[7].any()


# -- copies ----------------------------------------------------------------------------------------
@both_losses
def test_copies_forget_the_same_and_leave_the_original_alone(loss, tmp_path):
    model = fitted(loss)
    before = pickle.dumps(vars(model))
    joblib.dump(model, tmp_path / "model")
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model", mmap_mode="r"),
    ]
    for one in copies:
        one.forget(SHUFFLED[:9]).forget(items=[4])
    assert pickle.dumps(vars(model)) == before
    model.forget(SHUFFLED[:9]).forget(items=[4])
    for one in copies:
        for name in FACTORS:
            assert_array_equal(getattr(one, name), getattr(model, name))
            assert getattr(one, name).flags.writeable
    assert scores_of(joblib.load(tmp_path / "model"))[:, 4].any()


# -- many requests ---------------------------------------------------------------------------------
@both_losses
@pytest.mark.parametrize("setting", ["plain", "no mean", "scaled with mean", "one hop"])
def test_twenty_requests_end_where_one_ends(loss, setting):
    pairs = np.random.default_rng(1).permutation(SHUFFLED[:20])
    start = fitted(loss, **SETTINGS[setting])
    batch = copy.deepcopy(start).forget(SHUFFLED[:20])
    model = copy.deepcopy(start)
    for pair in pairs:
        model.forget([pair])
    expected = optimum(model, without(DATA[loss], SHUFFLED[:20]))
    assert remaining_gap(batch, start, expected) <= 0.01
    assert remaining_gap(model, start, expected) <= 0.02
    assert model._interactions.n_interactions == 680
    assert_array_equal(model._interactions.values, batch._interactions.values)


REQUEST = st.one_of(
    st.tuples(st.just("users"), st.lists(st.integers(0, 59), min_size=1, max_size=2)),
    st.tuples(st.just("items"), st.lists(st.integers(0, 39), min_size=1, max_size=1)),
    st.tuples(st.just("interactions"), st.lists(st.sampled_from(SHUFFLED.tolist()), min_size=1)),
)


@settings(max_examples=10)
@given(st.sampled_from(LOSSES), st.booleans(), st.lists(REQUEST, min_size=1, max_size=5))
def test_any_sequence_of_requests_ends_at_the_optimum(loss, global_mean, requests):
    start = fitted(loss, global_mean=global_mean)
    model, rest = copy.deepcopy(start), DATA[loss]
    for kind, what in requests:
        model.forget(**{kind: what}, missing="ignore")
        rest = without(rest, **{kind: what})
        assert DenseModel.of(model).gradient_norm(model, rest) <= 1.001 * model.gradient_norm_
    assert_array_equal(model._interactions.to_csr().toarray(), rest)
    assert remaining_gap(model, start, optimum(model, rest)) <= 0.02


@pytest.mark.parametrize("loss, n", [("logistic", 300), ("squared", 60)])
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
def test_hundreds_of_requests_neither_drift_nor_grow(loss, n):
    start = fitted(loss, global_mean=False)
    model, rest = copy.deepcopy(start), DATA[loss].copy()
    twin, sizes = DenseModel.of(model), []
    model.forget([SHUFFLED[-1]])
    rest[tuple(SHUFFLED[-1])] = 0
    tracemalloc.start()
    for step, pair in enumerate(SHUFFLED[:n]):
        model.forget([pair])
        rest[tuple(pair)] = 0
        assert twin.gradient_norm(model, rest) <= 1.001 * model.gradient_norm_
        assert model.converged_
        if step % 30 == 29:
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # The interpreter's own caches fill up in the first requests; from then on nothing grows, where
    # one table of factors a request would be a hundred times as much.
    half = len(sizes) // 2
    assert max(sizes[half:]) <= sizes[half - 1] + 2**14
    assert remaining_gap(model, start, optimum(model, rest)) <= 0.02
    again = pickle.dumps(model)
    assert len(again) <= len(pickle.dumps(start)) + 2048


@pytest.mark.parametrize("keep_ratio", [0.0, 0.3])
def test_rows_that_a_pruner_leaves_out_stay_bit_for_bit(keep_ratio):
    model = model_of()
    model.fit(DATA["logistic"])
    pruner = ImportancePruner(keep_ratio=keep_ratio)
    after = copy.deepcopy(model).set_params(
        unlearner=InfluenceUnlearner(pruner, n_steps=1, tol=None)
    )
    after.forget(SHUFFLED[:1])
    moved = [
        np.flatnonzero((getattr(after, name) != getattr(model, name)).reshape(n, -1).any(axis=1))
        for name, n in zip(FACTORS[:2], DATA["logistic"].shape, strict=True)
    ]
    pruner = pruner.fit(DATA["logistic"], forget=SHUFFLED[:1])
    for rows, support in zip(moved, (pruner.user_support_, pruner.item_support_), strict=True):
        assert support[rows].all()
    assert after.forget_report_.n_rows_updated == sum(map(len, moved))
