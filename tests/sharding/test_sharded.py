"""ShardedRecommender: the same as shards by hand, and a request changes only its own shards."""

import copy
import math
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.influence import ForgetReport
from sklearn_unlearn.recommenders._knn import ItemKNN
from sklearn_unlearn.sharding import ShardedRecommender
from sklearn_unlearn.sharding._partitions import KINDS, hashed_labels
from sklearn_unlearn.utils._tags import get_forget_tags
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

SMALL = [
    ShardedRecommender(MatrixFactorization(28, regularization=2.0), n_shards=3),
    ShardedRecommender(ALS(28, regularization=4.0, alpha=5.0), n_shards=2, partition="random"),
    ShardedRecommender(ItemKNN(10), n_shards=3),
    ShardedRecommender(ItemKNN(10), n_shards=3, method="refit"),
    ShardedRecommender(ItemKNN(10), n_shards=4, aggregation="attention"),
]
DEFAULTS = [
    ShardedRecommender(MatrixFactorization(), n_shards=3),
    ShardedRecommender(ALS(8, max_iter=0), n_shards=2, partition="interaction"),
    ShardedRecommender(ItemKNN(), n_shards=4, partition="user", aggregation="attention"),
    ShardedRecommender(ItemKNN()),
]
X = abs(make_interactions(60, 30, random_state=0))
EVERYTHING = np.argwhere(np.ones(X.shape, bool))
FAST = ALS(6, regularization=4.0, alpha=5.0, tol=1e-9, random_state=0)
USERS = [3, 10, 11]


def sharded(estimator=FAST, n_shards=4, **options):
    return ShardedRecommender(estimator, n_shards, random_state=0, **options)


def part_of(shard, labels, X=X):
    return sparse.diags_array((labels == shard).astype(float)) @ X


def without_users(users, X=X):
    keep = np.ones(X.shape[0])
    keep[users] = 0
    return sparse.csr_array(sparse.diags_array(keep) @ X)


def table(model):
    return model.predict_pairs(EVERYTHING).reshape(X.shape)


# -- conformance -----------------------------------------------------------------------------------
@parametrize_with_forget_checks(SMALL)
def test_forget_checks(check):
    check()


@pytest.mark.parametrize("estimator", DEFAULTS)
def test_scikit_learn_checks_pass_and_none_is_skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 40
    assert [one["check_name"] for one in results if one["status"] != "passed"] == []


@pytest.mark.parametrize(
    ("estimator", "options", "exact"),
    [
        (ItemKNN(), {}, True),
        (ItemKNN(), {"partition": "random"}, True),
        (ItemKNN(), {"partition": "user"}, False),
        (ItemKNN(), {"aggregation": "attention"}, False),
        (ALS(), {}, False),
        (ALS(), {"method": "refit"}, True),
        (ALS(), {"method": "refit", "partition": "item"}, False),
        (ALS(), {"method": "refit", "aggregation": "attention"}, False),
    ],
)
def test_tags(estimator, options, exact):
    model = ShardedRecommender(estimator, **options)
    assert get_forget_tags(model).exact is exact
    assert get_tags(model).input_tags.positive_only
    assert not get_tags(ShardedRecommender(MatrixFactorization())).input_tags.positive_only
    assert get_forget_tags(estimator).exact is isinstance(estimator, ItemKNN)


# -- the naive twin --------------------------------------------------------------------------------
def test_scores_are_the_mean_of_shards_fitted_by_hand():
    model = sharded().fit(X)
    labels = hashed_labels(0, 60, 4)
    twins = [clone(FAST).fit(part_of(shard, labels)) for shard in range(4)]
    expected = sum(twin.decision_function(X) for twin in twins) / 4
    assert np.array_equal(model.decision_function(X), expected)
    np.testing.assert_allclose(table(model), expected, atol=1e-12)
    items, scores = model.recommend(users=[7, 3], n_items=4, exclude_seen=False)
    np.testing.assert_allclose(scores, -np.sort(-expected[[7, 3]], axis=1)[:, :4], atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(expected[[7, 3]], items, axis=1), scores)
    sizes = [part_of(shard, labels).count_nonzero() for shard in range(4)]
    assert model.shard_sizes_.tolist() == sizes
    own = np.mean([twin.score(X) for twin in twins])
    assert model.score(X) == pytest.approx(own, rel=1e-12)


@pytest.mark.parametrize("request_", [{"users": USERS}, {"items": [2]}, {"interactions": [[0, 0]]}])
def test_forget_is_that_of_shards_by_hand(request_):
    if "interactions" in request_:
        request_ = {"interactions": np.argwhere(X.toarray())[::31]}
    model = sharded().fit(X)
    twins = copy.deepcopy(model.estimators_)
    labels = hashed_labels(0, 60, 4)
    model.forget(**request_)
    reports = []
    for shard, twin in enumerate(twins):
        if "users" in request_:
            cells = [(u, i) for u in USERS for i in X[[u]].indices if labels[u] == shard]
        elif "items" in request_:
            cells = [(u, 2) for u in X[:, [2]].tocoo().coords[0] if labels[u] == shard]
        else:
            cells = [(u, i) for u, i in request_["interactions"] if labels[u] == shard]
        if cells:
            reports.append(twin.forget(cells).forget_report_)
    expected = sum(twin.decision_function(X) for twin in twins) / 4
    assert np.array_equal(model.decision_function(X), expected)
    report = model.forget_report_
    assert report.n_rows_updated == sum(one.n_rows_updated for one in reports)
    assert report.n_steps == max(one.n_steps for one in reports)
    assert report.n_solver_iter == pytest.approx(sum(one.n_solver_iter for one in reports))
    assert report.residual == max(one.residual for one in reports)
    norms = [math.hypot(*(one.gradient_norm[side] for one in reports)) for side in (0, 1)]
    assert report.gradient_norm == pytest.approx(norms)
    assert report.status.startswith(f"{len(reports)} of 4 shards changed; ")


def test_an_item_partition_scores_items_by_their_own_shard():
    model = sharded(partition="item").fit(X)
    labels = model._partition.labels
    for shard in range(4):
        own = X.toarray() * (labels == shard)
        twin = clone(FAST).fit(own)
        expected = twin.decision_function(own)[:, labels == shard]
        np.testing.assert_allclose(
            model.decision_function(X)[:, labels == shard], expected, atol=1e-12
        )
    assert not hasattr(
        sharded(ItemKNN(), partition="item", aggregation="attention").fit(X), "attention_"
    )


@pytest.mark.parametrize("partition", ["interaction", "user"])
def test_learned_shards_hold_all_interactions_once(partition):
    model = sharded(ItemKNN(), partition=partition).fit(X)
    total = sum(one._interactions.to_csr() for one in model.estimators_)
    assert abs(total - X).max() == 0
    request = np.argwhere(X.toarray())[::5]
    model.forget(request)
    total = sum(one._interactions.to_csr() for one in model.estimators_)
    assert abs(total - model._interactions.to_csr()).max() == 0


# -- locality --------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["forget", "refit"])
def test_only_touched_shards_change(method, monkeypatch):
    model = sharded(ItemKNN(), method=method).fit(X)
    before, labels = list(model.estimators_), hashed_labels(0, 60, 4)
    monkeypatch.setattr("sklearn_unlearn.sharding._tasks.Parallel", None)  # one task stays here
    model.forget(users=7)
    for shard, (old, new) in enumerate(zip(before, model.estimators_, strict=True)):
        assert (old is new) == (shard != labels[7])
    assert model.forget_report_.status.startswith("1 of 4 shards changed")


def test_models_of_readers_are_never_changed():
    model = sharded(ItemKNN()).fit(X)
    before, old = list(model.estimators_), model.estimators_
    hashes = [joblib.hash(one) for one in before]
    model.forget(items=[1, 2])
    assert model.estimators_ is not old and old == before
    assert [joblib.hash(one) for one in before] == hashes


# -- shards that are or become empty ---------------------------------------------------------------
def test_empty_shards_have_no_model_and_no_say():
    few = np.zeros((5, 30))
    few[:3] = X[:3].toarray()
    model = sharded(ItemKNN(), n_shards=50).fit(few)
    labels = hashed_labels(0, 5, 50)
    full = sorted(set(labels[:3].tolist()))
    assert [s for s, one in enumerate(model.estimators_) if one is not None] == full
    expected = sum(ItemKNN().fit(part_of(s, labels, few)).decision_function(few) for s in full)
    np.testing.assert_allclose(model.decision_function(few), expected / len(full), atol=1e-12)


@pytest.mark.parametrize("method", ["forget", "refit"])
def test_a_shard_that_is_emptied_is_dropped_as_in_a_refit(method):
    model = sharded(ItemKNN(), method=method).fit(X)
    gone = np.flatnonzero(hashed_labels(0, 60, 4) == 2)
    model.forget(users=gone)
    assert model.estimators_[2] is None and model.shard_sizes_[2] == 0
    refit = clone(model).fit(without_users(gone))
    np.testing.assert_allclose(table(model), table(refit), atol=1e-12)
    assert model.forget_report_.guarantee == "exact"


# -- exactness -------------------------------------------------------------------------------------
@pytest.mark.parametrize("estimator", [FAST, MatrixFactorization(6, random_state=None)])
@pytest.mark.parametrize("partition", ["hash", "random"])
def test_fitting_touched_shards_again_is_a_refit_bit_for_bit(estimator, partition):
    model = sharded(estimator, method="refit", partition=partition).fit(X).forget(users=USERS)
    refit = clone(model).fit(without_users(USERS))
    assert np.array_equal(model.decision_function(X), refit.decision_function(X))
    report = model.forget_report_
    assert report.guarantee == "exact" and report.method == "shards+refit"
    touched = set(model._partition.labels[USERS].tolist())
    rows = 0
    for shard in touched:
        data = model.estimators_[shard]._interactions
        rows += np.count_nonzero(data.user_degrees) + np.count_nonzero(data.item_degrees)
    assert report.n_rows_updated == rows


def test_a_long_sequence_ends_at_the_refit():
    model = sharded(ItemKNN(10), n_shards=3).fit(X)
    rng = np.random.RandomState(0)
    for _ in range(60):
        cells = np.argwhere(model._interactions.to_csr().toarray())
        user, item = cells[rng.randint(len(cells))].tolist()
        kind = rng.randint(12)
        request = {0: {"users": user}, 1: {"items": item}}.get(
            kind, {"interactions": [[user, item]]}
        )
        model.forget(**request)
    refit = clone(model).fit(model._interactions.to_csr())
    assert np.abs(table(model) - table(refit)).max() <= 1e-10
    assert model.shard_sizes_.tolist() == refit.shard_sizes_.tolist()


def report_of(word):
    return ForgetReport("m", word, "s", 1, 1, 1, 1, 1, 1, (1.0, 0.5), 0.5, 0.1)


class Saying(ItemKNN):
    """Says what guarantee it is told to."""

    def __init__(self, word="exact"):
        super().__init__()
        self.word = word

    def _forget(self, retained, request):
        state = super()._forget(retained, request)
        # By the first user that goes, so that shards differ.
        return {**state, "forget_report_": report_of(self.word)}


@pytest.mark.parametrize(
    ("word", "options", "expected"),
    [
        ("exact", {}, "exact"),
        ("exact", {"aggregation": "attention"}, "refit"),
        ("exact", {"partition": "user"}, "refit"),
        ("exact", {"partition": "user", "method": "refit"}, "refit"),
        ("certified", {}, "certified"),
        ("certified", {"partition": "item"}, "residual-bounded"),
        ("residual-bounded", {}, "residual-bounded"),
        ("residual-bounded", {"aggregation": "attention"}, "residual-bounded"),
        ("one-step", {"partition": "interaction"}, "one-step"),
        ("one-step", {"method": "refit"}, "exact"),
        ("refit", {}, "refit"),
    ],
)
def test_guarantee(word, options, expected):
    model = sharded(Saying(word), **options).fit(X).forget(items=[4])
    report = model.forget_report_
    assert report.guarantee == expected
    learned = options.get("partition", "hash") != "hash"
    assert ("partition='hash' avoids that" in report.status) is learned
    attends = options.get("aggregation") == "attention"
    assert ("attention was trained again" in report.status) is attends


def test_the_weakest_shard_decides():
    model = sharded(Saying("exact")).fit(X)
    model.estimators_[1].word = "one-step"
    assert model.forget(items=[4]).forget_report_.guarantee == "one-step"


@pytest.mark.parametrize("partition", KINDS)
@pytest.mark.parametrize("aggregation", ["mean", "attention"])
def test_every_setting_forgets_and_answers(partition, aggregation):
    model = sharded(ItemKNN(10), partition=partition, aggregation=aggregation).fit(X)
    before = table(model)
    model.forget(users=USERS, items=[5])
    after = table(model)
    assert np.isfinite(after).all() and not np.array_equal(before, after)
    assert (after[USERS] == after[USERS][0]).all()
    model.forget(users=np.arange(60), missing="ignore")
    assert not table(model).any() and model.estimators_ == [None] * 4


# -- attention -------------------------------------------------------------------------------------
def communities(seed, n_users=300, n_items=120, n_blocks=6):
    """Users of mixed tastes, items of a long tail, and a part held out."""
    rng = np.random.RandomState(seed)
    taste, kind = (rng.dirichlet(np.full(n_blocks, 0.15), n) for n in (n_users, n_items))
    chance = np.minimum(taste @ kind.T * (rng.pareto(1.5, n_items) + 0.3) * 0.6, 0.8)
    train = rng.rand(*chance.shape) < chance
    return sparse.csr_array(train.astype(float)), (rng.rand(*chance.shape) < chance) & ~train


def recall(model, test, k=10):
    items, _ = model.recommend(users=np.arange(len(test)), n_items=k)
    found = np.take_along_axis(test, items, axis=1).sum(axis=1)
    return np.mean(found / np.maximum(test.sum(axis=1), 1))


def test_attention_recommends_no_worse_than_the_mean_and_mostly_better():
    gains = []
    for seed in range(4):
        train, test = communities(seed)
        mean, attention = (
            recall(sharded(ItemKNN(20), partition="user", aggregation=one).fit(train), test)
            for one in ("mean", "attention")
        )
        gains.append(attention / mean - 1)
    assert min(gains) > -0.005 and np.mean(gains) > 0.02


def test_attention_is_learned_from_what_remains():
    train, _ = communities(1)
    gone = np.arange(0, 300, 5)
    model = sharded(ItemKNN(20), aggregation="attention").fit(train)
    before = model.attention_
    model.forget(users=gone)
    refit = clone(model).fit(without_users(gone, train))
    assert before.any() and not np.allclose(model.attention_, before)
    np.testing.assert_allclose(model.attention_, refit.attention_, atol=1e-8)
    np.testing.assert_allclose(model._familiarity, refit._familiarity, atol=1e-12)
    np.testing.assert_allclose(
        model.decision_function(train), refit.decision_function(train), atol=1e-8
    )


def test_attention_of_labels_compares_labels():
    labels = make_interactions(120, 40, random_state=0)
    estimator = MatrixFactorization(4, regularization=1.0, random_state=0, max_iter=20)
    model = sharded(estimator, aggregation="attention", partition="user").fit(labels)
    assert np.isfinite(model.attention_).all()
    assert np.isfinite(model.decision_function(labels)).all()


# -- parameters ------------------------------------------------------------------------------------
def test_shards_draw_their_own_random_numbers_from_one_seed():
    free = MatrixFactorization(4, random_state=None, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        one, two = (sharded(free).fit(X) for _ in range(2))
        other = ShardedRecommender(free, 4, random_state=1).fit(X)
        drawn = ShardedRecommender(free, 4, random_state=np.random.RandomState(0)).fit(X)
    seeds = [model.random_state for model in one.estimators_]
    assert len(set(seeds)) == 4
    assert seeds == [model.random_state for model in two.estimators_]
    assert not set(seeds) & {model.random_state for model in other.estimators_}
    assert all(isinstance(model.random_state, int) for model in drawn.estimators_)
    assert {model.random_state for model in sharded(FAST).fit(X).estimators_} == {0}
    assert free.random_state is None


def test_a_user_of_weight_zero_was_never_there():
    weights = np.random.RandomState(0).randint(1, 4, 60).astype(float)
    weights[USERS] = 0
    model = sharded(ItemKNN()).fit(X, sample_weight=weights)
    weights[USERS] = 5
    twin = sharded(ItemKNN()).fit(without_users(USERS), sample_weight=weights)
    assert np.array_equal(table(model), table(twin))
    labels = hashed_labels(0, 60, 4)
    shards = [ItemKNN().fit(part_of(s, labels), sample_weight=weights) for s in range(4)]
    for one in shards:
        one.forget(users=USERS, missing="ignore")
    expected = sum(one.decision_function(without_users(USERS)) for one in shards) / 4
    np.testing.assert_allclose(table(model), expected, atol=1e-12)
    assert not np.allclose(table(model), table(sharded(ItemKNN()).fit(without_users(USERS))))


def test_unknown_fit_parameters_are_refused():
    with pytest.raises(TypeError, match="got the parameters weight; expected sample_weight"):
        sharded().fit(X, weight=1)


def test_data_without_interactions_are_refused():
    with pytest.raises(ValueError, match="holds no interaction"):
        sharded().fit(sparse.csr_array((4, 3)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_shards", 0),
        ("partition", "users"),
        ("aggregation", "median"),
        ("method", "exact"),
        ("estimator", object()),
        ("n_jobs", 1.5),
    ],
)
def test_bad_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        sharded().set_params(**{name: value}).fit(X)


def test_shards_that_did_not_converge_are_counted():
    with pytest.warns(NotConvergedWarning) as caught:
        sharded(ALS(4, max_iter=1, n_sweeps=0, random_state=0)).fit(X)
    (summary,) = [one for one in caught if "4 of 4 shards did not converge" in str(one.message)]
    assert Path(summary.filename) == Path(__file__)


def test_parameters_set_after_fit_do_not_mix_up_shards():
    model, twin = sharded(ItemKNN()).fit(X), sharded(ItemKNN()).fit(X)
    model.set_params(n_shards=9, partition="item", aggregation="attention", random_state=5)
    model.forget(users=USERS)
    assert np.array_equal(table(model), table(twin.forget(users=USERS)))
    assert len(model.estimators_) == 4 and not hasattr(model, "attention_")


def test_a_new_fit_leaves_nothing_of_the_old_one():
    model = sharded(ItemKNN(), aggregation="attention").fit(X).forget(users=3)
    model.set_params(aggregation="mean").fit(X)
    assert vars(model).keys() == vars(sharded(ItemKNN()).fit(X)).keys()


def test_not_fitted():
    with pytest.raises(NotFittedError):
        sharded().decision_function(X)


# -- failures --------------------------------------------------------------------------------------
class Failing(ItemKNN):
    """Fails where it meets user 0."""

    def __init__(self, when="forget"):
        super().__init__()
        self.when = when

    def fit(self, X, y=None):
        if self.when == "fit" and X[[0]].nnz:
            raise RuntimeError("no room left")
        return super().fit(X, y)

    def _forget(self, retained, request):
        had, has = (data.user_degrees[0] for data in (self._interactions, retained))
        if self.when == "forget" and had and not has:
            raise RuntimeError("no room left")
        return super()._forget(retained, request)


def test_a_shard_that_fails_leaves_the_model_as_it_was():
    labels = hashed_labels(0, 60, 4)
    others = [np.flatnonzero(labels == shard)[0] for shard in range(4) if shard != labels[0]]
    model = sharded(Failing()).fit(X)
    before = joblib.hash(vars(model))
    with joblib.parallel_config(backend="threading", n_jobs=2):
        model.forget(users=others[:2])  # only the shard of user 0 fails
        after = joblib.hash(vars(model))
        assert after != before
        with pytest.raises(RuntimeError, match="no room left"):
            model.forget(users=[0, others[2]])
        assert joblib.hash(vars(model)) == after
        failing = copy.copy(model).set_params(estimator__when="fit")
        failed = joblib.hash(vars(failing))
        with pytest.raises(RuntimeError, match="no room left"):
            failing.fit(sparse.hstack([X, X], format="csr"))
        assert joblib.hash(vars(failing)) == failed


# -- joblib ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("aggregation", ["mean", "attention"])
def test_backends_give_one_result(backend, aggregation):
    serial = sharded(ItemKNN(10), aggregation=aggregation).fit(X)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        model = sharded(ItemKNN(10), aggregation=aggregation).fit(X)
    assert np.array_equal(table(model), table(serial))
    by_parameter = sharded(ItemKNN(10), aggregation=aggregation, n_jobs=2).fit(X)
    assert np.array_equal(table(by_parameter), table(serial))
    with joblib.parallel_config(backend=backend, n_jobs=2):
        model.forget(items=[2, 3], users=USERS)
    serial.forget(items=[2, 3], users=USERS)
    np.testing.assert_allclose(table(model), table(serial), atol=1e-12)
