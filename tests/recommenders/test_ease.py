"""EASE: fit, scores and forget against dense arithmetic and actual refits."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.recommenders._ease import EASE
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

DENOISING = {"dropout": 0.4, "user_normalization": 0.5}
DEFAULTS = [
    EASE(),
    EASE(5.0, top_k=3),
    EASE(5.0, top_k=3, keep_inverse=False),
    EASE(5.0, **DENOISING),
]
SMALL = [
    EASE(),
    EASE(5.0),
    EASE(5.0, **DENOISING),
    EASE(5.0, top_k=3),
    EASE(5.0, top_k=50, keep_inverse=False),
]

X = make_interactions(80, 60, n_interactions=1200, feedback="implicit", random_state=0)
DENSE = X.toarray()
WEIGHTS = np.random.default_rng(0).integers(1, 4, len(DENSE)) * 0.5
WEIGHTS[[20, 50]] = 0
SETTINGS = {
    "dense": {},
    "top 7": {"top_k": 7},
    "top 7, inverse not kept": {"top_k": 7, "keep_inverse": False},
}
settings = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
weighted = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])


@parametrize_with_checks(DEFAULTS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@parametrize_with_forget_checks(SMALL)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", DEFAULTS)
def test_no_scikit_learn_check_is_skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 40
    assert {result["status"] for result in results} == {"passed"}


def dense_similarity(dense, regularization, weights=None, top_k=None):
    """B by a dense inverse; with `top_k` a loop over columns."""
    weights = np.ones(len(dense)) if weights is None else weights
    P = np.linalg.inv(dense.T @ (weights[:, None] * dense) + regularization * np.eye(60))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    if top_k is not None:
        for column in B.T:
            order = np.lexsort((np.arange(60), -np.round(np.abs(column), 9)))
            column[order[top_k:]] = 0
    return B


def table_of(model):
    return model.decision_function(model._interactions.to_csr())


def refit_of(model):
    data = model._interactions
    clone = EASE(**model.get_params())
    return clone.fit(data.to_csr(), sample_weight=data.row_weights)


# -- fit -----------------------------------------------------------------------------------------
@settings
@weighted
def test_similarities_and_scores_are_the_dense_ones(setting, weights):
    model = EASE(9.0, **setting).fit(X, sample_weight=weights)
    B = dense_similarity(DENSE, 9.0, weights, setting.get("top_k"))
    found = model.item_similarity_
    assert sparse.issparse(found) == ("top_k" in setting)
    found = found.toarray() if sparse.issparse(found) else found
    assert_allclose(found, B, atol=1e-12)
    assert_allclose(model.decision_function(X), DENSE @ B, atol=1e-11)
    kept = DENSE if weights is None else DENSE * (weights > 0)[:, None]
    pairs = np.argwhere(np.ones((80, 60), bool))
    assert_allclose(model.predict_pairs(pairs).reshape(80, 60), kept @ B, atol=1e-11)


def test_single_precision_input_gives_double_precision_scores():
    model = EASE(9.0).fit(X.astype(np.float32))
    scores = model.decision_function(X.astype(np.float32))
    assert scores.dtype == np.float64
    assert_allclose(scores, EASE(9.0).fit(X).decision_function(X), atol=1e-11)


def test_what_is_kept_is_what_is_needed():
    sizes = [len(pickle.dumps(EASE(9.0, **setting).fit(X))) for setting in SETTINGS.values()]
    assert sizes[2] < sizes[0] - 20_000 < sizes[0] < sizes[1]  # P alone takes 28,800 bytes
    # Without top_k the inverse is what scores.
    assert len(pickle.dumps(EASE(9.0, keep_inverse=False).fit(X))) == sizes[0]


def test_similarities_need_a_fit():
    model = EASE()
    assert not hasattr(model, "item_similarity_")
    with pytest.raises(NotFittedError):
        _ = model.item_similarity_


def test_a_fit_that_fails_leaves_the_model_as_it_was():
    model = EASE(9.0).fit(X)
    before = pickle.dumps(vars(model))
    with pytest.raises(ValueError, match=r"regularization is 9, .* Raise regularization"):
        model.fit(np.full((3, 60), 1e70))
    assert pickle.dumps(vars(model)) == before


@weighted
@pytest.mark.parametrize(("dropout", "power"), [(0.4, 0.0), (0.0, 0.5), (0.4, 0.5)])
def test_dropout_and_user_weights_are_those_of_the_dense_form(dropout, power, weights):
    model = EASE(9.0, dropout=dropout, user_normalization=power).fit(X, sample_weight=weights)
    w = np.maximum(np.count_nonzero(DENSE, axis=1), 1) ** -power
    w = w if weights is None else w * weights
    G = DENSE.T @ (w[:, None] * DENSE)
    P = np.linalg.inv(G + np.diag(9.0 + dropout / (1 - dropout) * np.diag(G)))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    assert_allclose(model.item_similarity_, B, atol=1e-12)


def test_dropout_is_what_training_on_dropped_inputs_averages_to():
    """The mean over many random masks, inputs scaled up by 1 / (1 - p) (Steck 2020)."""
    p, rng, target = 0.4, np.random.default_rng(0), np.repeat(DENSE, 2000, axis=0)
    dropped = target * (rng.random(target.shape) >= p) / (1 - p)
    G = dropped.T @ dropped / 2000
    cross = dropped.T @ target / 2000
    np.fill_diagonal(cross, 0.0)  # what an item says of itself is excluded below
    model = EASE(9.0, dropout=p).fit(X)
    B = np.zeros((60, 60))
    for j in range(60):
        S = np.delete(np.arange(60), j)
        B[S, j] = np.linalg.solve(G[np.ix_(S, S)] + 9.0 * np.eye(59), cross[S, j])
    assert_allclose(model.item_similarity_, B, atol=0.02)
    plain = EASE(9.0).fit(X).item_similarity_
    assert np.abs(plain - B).max() > 0.1


# -- forget --------------------------------------------------------------------------------------
PAIRS = np.random.default_rng(1).permutation(np.argwhere(DENSE))
REQUESTS = {
    "a pair": ({"interactions": PAIRS[:1]}, "downdate of rank 2,"),
    "a user": ({"users": [7]}, "downdate of rank 1,"),
    "an item": ({"items": [4]}, "downdate of rank 1,"),
    "pairs": ({"interactions": PAIRS[:6]}, "downdate of rank "),
    "pairs of one item": (
        {"interactions": [[u, 4] for u in np.flatnonzero(DENSE[:, 4])[:9]]},
        "downdate of rank 2,",
    ),
    "all kinds": (
        {"interactions": PAIRS[:3], "users": [3, 8], "items": [11]},
        "downdate of rank ",
    ),
    "many": ({"users": np.arange(40)}, "inverted again: the request is large"),
}


def without(request):
    dense = DENSE.copy()
    for user, item in request.get("interactions", []):
        dense[user, item] = 0
    dense[request.get("users", [])] = 0
    dense[:, request.get("items", [])] = 0
    return dense


@settings
@weighted
@pytest.mark.parametrize(("request_", "status"), REQUESTS.values(), ids=REQUESTS)
def test_forget_equals_dense_arithmetic_on_what_remains(setting, weights, request_, status):
    model = EASE(9.0, **setting).fit(X, sample_weight=weights)
    model.forget(**request_, missing="ignore")
    dense = without(request_)
    B = dense_similarity(dense, 9.0, weights, setting.get("top_k"))
    assert_allclose(model.decision_function(X), DENSE @ B, atol=1e-10)
    report = model.forget_report_
    assert (report.guarantee, report.method) == ("exact", "downdate")
    if setting.get("keep_inverse", True):
        assert report.status.startswith(status)
    else:
        assert report.status == "inverted again: the inverse was not kept"


@pytest.mark.parametrize(
    ("setting", "weights"),
    [({}, WEIGHTS), ({"top_k": 9}, None), (DENOISING, WEIGHTS)],
    ids=["weighted", "top 9", "dropout"],
)
def test_a_thousand_requests_drift_by_less_than_1e_10(setting, weights):
    rng = np.random.default_rng(3)
    data = make_interactions(400, 60, n_interactions=7000, feedback="implicit", random_state=1)
    weights = None if weights is None else np.resize(weights, 400)
    model = EASE(9.0, **setting).fit(data, sample_weight=weights)
    statuses = set()
    for step in range(1000):
        cells = model._interactions
        if step % 100 == 99:
            model.forget(items=[rng.choice(np.flatnonzero(cells.item_degrees))])
        elif step % 5 == 0:
            model.forget(users=[rng.choice(np.flatnonzero(cells.user_degrees))])
        else:
            chosen = rng.choice(cells.n_interactions, 2, replace=False)
            model.forget((cells.rows[chosen], cells.indices[chosen]))
        statuses.add(model.forget_report_.status.split()[0])
        if step % 100 == 99:
            difference = np.abs(table_of(model) - table_of(refit_of(model))).max()
            assert difference <= 1e-10
    # Nothing but corrections, one on another; with dropout many have too high a rank for 60 items.
    assert statuses == {"downdate"} | ({"inverted"} if "dropout" in setting else set())
    assert 500 < model._interactions.n_interactions < 2500


def test_forgetting_in_pieces_ends_where_one_request_ends():
    once = EASE(9.0).fit(X).forget(PAIRS[:9], users=[2], items=[7])
    pieces = EASE(9.0).fit(X)
    for request in ({"items": [7]}, {"interactions": PAIRS[:9]}, {"users": [2]}):
        pieces.forget(**request, missing="ignore")
    assert_allclose(table_of(pieces), table_of(once), atol=1e-12)


def test_a_drifted_inverse_is_replaced_and_the_report_says_so():
    model = EASE(9.0).fit(X)
    model._inverse[3, 3] += 1e-6
    model.forget(users=[7])
    assert model.forget_report_.status.startswith("inverted again: rounding had left a residual")
    assert_allclose(table_of(model), table_of(refit_of(model)), atol=1e-12)


ILL = (np.random.default_rng(3).random((20, 40)) < 0.3) * 1e3


@pytest.mark.parametrize(
    "setting", [{}, {"top_k": 5}, {"top_k": 5, "keep_inverse": False}], ids=str
)
def test_what_is_ill_conditioned_is_not_called_exact(setting):
    """Fewer users than items: the penalty alone keeps the Gram matrix from being singular."""
    model = EASE(1e-2, **setting).fit(ILL).forget(users=[1])
    report = model.forget_report_
    refit = EASE(1e-2, **setting).fit(np.delete(ILL, 1, axis=0))
    # As good as a refit, bit for bit, and both are far from what they stand for.
    assert (abs(model.item_similarity_ - refit.item_similarity_) > 0).sum() == 0
    rest = np.vstack([ILL[:1], ILL[2:]])
    P = EASE(1e-2).fit(rest)._inverse
    error = rest.T @ (rest @ P) + 1e-2 * P - np.eye(40)
    assert report.guarantee == "residual-bounded" and "ill-conditioned" in report.status
    assert report.residual == pytest.approx(np.sqrt(np.sum(error**2) / 40), rel=1)
    assert report.residual > 1e-8
    better = EASE(1e6, **setting).fit(ILL).forget(users=[1]).forget_report_
    assert (better.guarantee, better.residual) == ("exact", 0.0)


def test_exact_means_a_residual_of_1e_8_at_most():
    """For every penalty: what is called exact equals a refit to what its residual promises."""
    for penalty in 10.0 ** np.arange(-6, 9):
        try:
            model = EASE(penalty).fit(ILL).forget(users=[1])
            refit = EASE(penalty).fit(np.delete(ILL, 1, axis=0))
        except ValueError:
            continue
        P, Q = model._inverse, refit._inverse
        if model.forget_report_.guarantee == "exact":
            assert np.abs(P - Q).max() <= 1e-7 * np.abs(Q).max()
        else:
            assert model.forget_report_.residual > 1e-8


def test_readers_keep_the_old_table(tmp_path):
    model = EASE(9.0).fit(X)
    reader, table = copy.copy(model), model._inverse
    before = table.copy()
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    model.forget(users=[7])
    assert_array_equal(table, before)
    assert reader._inverse is table
    assert not np.shares_memory(model._inverse, table)
    mapped.forget(users=[7])
    assert type(mapped._inverse) is np.ndarray
    assert_array_equal(mapped._inverse, model._inverse)


def test_a_forgotten_user_scores_zero_and_a_forgotten_item_is_unrelated():
    model = EASE(9.0).fit(X).forget(users=[7], items=[4])
    users = model.predict_pairs(([7] * 60, np.arange(60)))
    assert_array_equal(users, np.zeros(60))
    B = model.item_similarity_
    assert_array_equal(B[4], np.zeros(60))
    assert_array_equal(B[:, 4], np.zeros(60))


def test_an_error_in_forget_changes_nothing():
    model = EASE(9.0).fit(X)
    model.regularization = 1e-300  # too small to invert what is left of it
    before = pickle.dumps(vars(model))
    with pytest.raises(ValueError, match="singular to working precision"):
        model.forget(users=np.arange(79))
    assert pickle.dumps(vars(model)) == before
