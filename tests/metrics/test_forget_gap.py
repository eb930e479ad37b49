"""One call on a model and a request, against refits and norms of dense score matrices."""

import copy

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_unlearn import ALS, BPR, EASE, TIFUKNN, MatrixFactorization, ShardedRecommender
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.influence import RefitUnlearner
from sklearn_unlearn.metrics import forget_gap, noise_floor
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

X = make_interactions(50, 30, n_interactions=300, random_state=0)
IMPLICIT = make_interactions(50, 30, n_interactions=300, feedback="implicit", random_state=0)
PAIRS = np.argwhere(X.toarray())[[3, 40, 41]]
MODEL = MatrixFactorization(8, regularization=3.0, random_state=0).fit(X)
TAKEN_OVER = ALS.from_factors(
    np.ones((50, 2)), np.ones((30, 2)), IMPLICIT, regularization=1.0, alpha=1.0
)


def scores_of(model, shape=(50, 30)):
    return model.predict_pairs(np.argwhere(np.ones(shape))).reshape(shape)


def without(matrix, pairs):
    rest = matrix.tolil(copy=True)
    rest[tuple(np.asarray(pairs).T)] = 0
    return rest.tocsr()


def masks(matrix, pairs):
    """Dense masks of the groups of a request, one pair at a time."""
    dense = matrix.toarray() != 0
    users, items = set(pairs[:, 0]), set(pairs[:, 1])
    found = {name: np.zeros(dense.shape, bool) for name in ("pairs", "affected", "neighbours")}
    for u, i in np.argwhere(np.ones(dense.shape)):
        found["pairs"][u, i] = [u, i] in pairs.tolist()
        found["affected"][u, i] = u in users or i in items
        found["neighbours"][u, i] = u not in users and any(dense[u, j] for j in items)
    return {**found, "all": np.ones(dense.shape, bool)}


def naive_gaps(before, after, refit, groups):
    S, T, R = (scores_of(model) for model in (before, after, refit))
    return {
        name: np.linalg.norm((T - R)[mask]) / np.linalg.norm((S - R)[mask])
        for name, mask in groups.items()
    }


def test_groups_are_those_of_the_request():
    rough = copy.deepcopy(MODEL).set_params(unlearner="sweep").forget(PAIRS)
    refit = clone(MODEL).fit(without(X, PAIRS))
    found = forget_gap(MODEL, PAIRS, after=rough, refit=refit)
    expected = naive_gaps(MODEL, rough, refit, masks(X, PAIRS))
    assert {name: group.gap for name, group in found.groups.items()} == pytest.approx(expected)
    assert (found.seconds, found.refit_seconds, found.n_interactions) == (None, None, 3)
    # The neighbours of a small request are told from all.
    assert found.groups["neighbours"].gap != pytest.approx(found.groups["all"].gap, rel=1e-3)


def test_model_is_copied_and_both_answers_are_made():
    state = {name: copy.deepcopy(value) for name, value in vars(MODEL).items()}
    found = forget_gap(MODEL, users=[7])
    assert list(found.groups) == ["affected", "neighbours", "all"]
    assert max(group.gap for group in found.groups.values()) < 0.01
    assert found.seconds > 0 and found.refit_seconds > 0
    assert not hasattr(MODEL, "forget_report_")
    np.testing.assert_array_equal(MODEL.user_factors_, state["user_factors_"])
    nothing = forget_gap(MODEL, users=[7], after=MODEL)
    assert [group.gap for group in nothing.groups.values()] == [1.0] * 3


def test_closed_forms_are_fitted_on_what_remains():
    model = EASE(regularization=5.0).fit(IMPLICIT)
    pairs = np.argwhere(IMPLICIT.toarray())[:4]
    found = forget_gap(model, pairs)
    assert max(group.gap for group in found.groups.values()) < 1e-8
    refit = clone(model).fit(without(IMPLICIT, pairs))
    again = forget_gap(model, pairs, refit=refit)
    assert again.groups["all"].gap == pytest.approx(found.groups["all"].gap, abs=1e-10)


def test_scores_from_elsewhere_need_the_interactions():
    refit = clone(MODEL).fit(without(X, PAIRS))
    S, R = scores_of(MODEL), scores_of(refit)
    found = forget_gap(S, PAIRS, after=0.25 * S + 0.75 * R, refit=R, X=X)
    assert [group.gap for group in found.groups.values()] == pytest.approx([0.25] * 4)


@pytest.mark.parametrize(
    "model",
    [BPR(4, regularization=2.0, n_negatives=2, random_state=0), ALS(4, n_sweeps=3, max_iter=0)],
    ids=lambda model: type(model).__name__,
)
def test_another_start_keeps_the_objective(model):
    model = clone(model).set_params(random_state=0).fit(IMPLICIT)
    pairs = np.argwhere(IMPLICIT.toarray())[::30]
    rest = without(IMPLICIT, pairs)
    refits = [
        copy.deepcopy(model).set_params(unlearner=RefitUnlearner(start_seed=seed)).forget(pairs)
        for seed in (0, 1)
    ]
    same = clone(model).fit(rest)
    np.testing.assert_array_equal(refits[0].item_factors_, same.item_factors_)
    assert np.any(refits[1].item_factors_ != same.item_factors_)
    other = clone(model).set_params(random_state=1).fit(rest)
    found = forget_gap(model, pairs, after=model, refit=refits[0], other_refit=refits[1])
    floor = found.groups["all"].floor
    assert floor == noise_floor(model, refits[0], refits[1])
    if isinstance(model, BPR):
        # At an optimum, starts make no difference; other negatives are another objective.
        assert floor < 1e-2 < 0.3 < noise_floor(model, refits[0], other)
    else:
        assert floor > 1e-2


def test_start_seed_and_a_training_elsewhere_exclude_each_other():
    strategy = RefitUnlearner(refit=lambda X: None, start_seed=1)
    with pytest.raises(ValueError, match="both refit and start_seed"):
        copy.deepcopy(MODEL).set_params(unlearner=strategy).forget(PAIRS)
    with pytest.raises(ValueError, match="expected an integer >= 0"):
        copy.deepcopy(MODEL).set_params(unlearner=RefitUnlearner(start_seed=-1)).forget(PAIRS)


def test_result_is_shown_as_a_table():
    found = forget_gap(MODEL, PAIRS, after=MODEL)
    assert str(found).count("1.00e+00") == 4
    assert "forgotten pairs" in str(found) and "<table>" in found._repr_html_()
    assert repr(found).startswith("ForgetGap(pairs=1, affected=1,")
    assert found.to_dict()["groups"]["affected"] == {"gap": 1.0, "floor": None}


def test_of_a_pipeline_the_request_is_in_ids():
    events = {
        "user": [f"u{u}" for u in X.tocoo().row],
        "item": X.tocoo().col + 100,
        "value": X.data,
    }
    pipeline = make_recommender_pipeline(InteractionEncoder(value="value"), clone(MODEL)).fit(
        events
    )
    model, encoder = pipeline[-1], pipeline[0]
    user = np.flatnonzero(np.diff(X.indptr))[4]
    pairs = {"user": [f"u{user}"], "item": [int(X.indices[X.indptr[user]]) + 100]}
    for request, positions in (
        ({"users": [f"u{user}"]}, {"users": encoder.encode_users([f"u{user}"])}),
        ({"items": [107]}, {"items": encoder.encode_items([107])}),
        ({"interactions": pairs}, {"interactions": encoder.encode_pairs(pairs)}),
    ):
        found, expected = forget_gap(pipeline, **request), forget_gap(model, **positions)
        assert found.groups == expected.groups and found.groups["all"].gap < 0.01
    after = copy.deepcopy(pipeline).forget(users=[f"u{user}"])
    refit = clone(MODEL).fit(after[-1]._interactions.to_csr())
    given = forget_gap(pipeline, users=[f"u{user}"], after=after, refit=refit)
    assert given.groups["all"].gap == pytest.approx(
        forget_gap(pipeline, users=[f"u{user}"]).groups["all"].gap, rel=0.1
    )
    with pytest.raises(UnknownInteractionError, match="user 'nobody'"):
        forget_gap(pipeline, users=["nobody"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: forget_gap(MODEL), ValueError, "no request was passed"),
        (lambda: forget_gap(TAKEN_OVER, users=[7]), ValueError, "was trained elsewhere.* refit="),
        (lambda: forget_gap(MODEL, [[0, 0]]), UnknownInteractionError, "have no interaction in X"),
        (lambda: forget_gap(scores_of(MODEL), PAIRS), ValueError, "does not keep what it was"),
        (lambda: forget_gap(scores_of(MODEL), PAIRS, X=X), TypeError, "has no forget; expected"),
        (
            lambda: forget_gap(scores_of(MODEL), PAIRS, X=X, after=MODEL),
            ValueError,
            "has no get_params",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_shards_are_fitted_again_from_their_seed():
    model = ShardedRecommender(ALS(4, regularization=20.0), n_shards=2, random_state=3)
    model.fit(IMPLICIT)
    pairs = np.argwhere(IMPLICIT.toarray())[:2]
    again = copy.deepcopy(model).set_params(method="refit").forget(pairs)
    assert max(group.gap for group in forget_gap(model, pairs, after=again).groups.values()) == 0.0
    found = forget_gap(model, pairs)
    assert 0.0 < found.groups["affected"].gap < 0.02


def test_baskets_are_fitted_again_with_their_owners():
    baskets = IMPLICIT.copy()
    baskets.data[:] = np.arange(1, baskets.nnz + 1)
    model = TIFUKNN(n_neighbors=3).fit(baskets, owners=np.arange(50) // 3)
    assert max(one.gap for one in forget_gap(model, users=[1]).groups.values()) < 1e-9
