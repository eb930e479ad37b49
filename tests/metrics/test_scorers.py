"""Ranking scorers against naive scores: dictionaries, dense algebra, one user at a time."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Binarizer

from sklearn_unlearn import ALS, MatrixFactorization, UnlearningRecommender
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.metrics import (
    get_ranking_scorer,
    get_ranking_scorer_names,
    make_ranking_scorer,
    ndcg_at_k,
)
from sklearn_unlearn.metrics._held_out import choose_held_out
from sklearn_unlearn.pipeline import RecommenderPipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from tests.recommenders.oracles import DenseModel

X = make_interactions(60, 30, feedback="implicit", random_state=0)
LABELS = make_interactions(40, 25, random_state=1)
# Well-posed, so that a dense optimum has the same scores.
IMPLICIT = ALS(28, regularization=4.0, alpha=5.0, random_state=0)
SIGNED = MatrixFactorization(20, regularization=2.0, random_state=0)
WORD = 2**64 - 1
METRICS = ["ndcg", "recall", "precision", "map", "mrr", "hit_rate"]


def events_of(matrix, seed=0):
    """Events in random order; ids sort as positions do."""
    users, items = np.nonzero(matrix.toarray())
    order = np.random.default_rng(seed).permutation(len(users))
    users, items = users[order], items[order]
    return pd.DataFrame(
        {"user": 100 + users, "item": 500 + items, "value": matrix.toarray()[users, items]}
    )


def pipeline_of(recommender, *between, **options):
    steps = [(type(step).__name__, step) for step in between]
    encoder = InteractionEncoder(value="value", **options)
    return RecommenderPipeline([("ids", encoder), *steps, ("model", recommender)])


# -- naive twins -----------------------------------------------------------------------------------
def naive_list(scores, excluded, k):
    order = sorted(range(len(scores)), key=lambda item: (-scores[item], item))
    return [item for item in order if item not in excluded][:k]


def naive_value(metric, lists, wanted, k):
    """Mean of a metric over users; `lists` and `wanted` by user."""
    values = []
    for user, relevant in wanted.items():
        hits = [item in relevant for item in lists[user][:k]]
        if metric == "recall":
            values.append(sum(hits) / len(relevant))
        elif metric == "precision":
            values.append(sum(hits) / k)
        elif metric == "map":
            precisions = [sum(hits[: r + 1]) / (r + 1) for r, hit in enumerate(hits) if hit]
            values.append(sum(precisions) / len(relevant))
        elif metric == "mrr":
            values.append(next((1 / (r + 1) for r, hit in enumerate(hits) if hit), 0.0))
        elif metric == "hit_rate":
            values.append(float(any(hits)))
        else:
            gains = [1 / np.log2(rank + 2) for rank in range(k)]
            ideal = sum(gains[: len(relevant)])
            values.append(sum(g for g, hit in zip(gains, hits, strict=False) if hit) / ideal)
    return np.mean(values)


def naive_mix(word):
    """The finaliser of SplitMix64, in Python's integers."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def naive_hash(seed, *coordinates):
    golden = 0x9E3779B97F4A7C15
    state = naive_mix((seed + golden) & WORD)
    for depth, value in enumerate(coordinates, start=2):
        state = naive_mix(state ^ naive_mix((value * golden + depth * golden) & WORD))
    return state


def naive_held_out(row, share, seed):
    """Items of one row to hold out."""
    liked = [item for item, value in enumerate(row) if value > 0]
    content = sum(naive_hash(seed, item, 0, 0) for item in liked) & WORD
    order = sorted(liked, key=lambda item: naive_hash(seed, content, item, 1))
    return set(order[: min(max(round(share * len(liked)), 1), len(liked) - 1)])


def naive_strong(fold_in, rows, metric, k, share=0.2, seed=0):
    """Score of rows of new users; `fold_in` turns one dense row into scores."""
    lists, wanted = {}, {}
    for user, row in enumerate(np.asarray(rows)):
        if (row > 0).sum() < 2:
            continue
        held = naive_held_out(row, share, seed)
        given = np.array([0 if item in held else value for item, value in enumerate(row)])
        lists[user] = naive_list(fold_in(given), set(np.flatnonzero(given)), k)
        wanted[user] = held
    return naive_value(metric, lists, wanted, k)


def als_fold_in(model):
    """The ridge regression that one new row is, from the items of a fitted ALS."""
    Q = model.item_factors_

    def fold_in(row):
        weights = np.where(row > 0, model.alpha * row, 1.0)
        A = Q.T @ (weights[:, None] * Q) + model.regularization * np.eye(Q.shape[1])
        return Q @ np.linalg.solve(A, Q.T @ (weights * (row > 0)))

    return fold_in


def mf_fold_in(model):
    twin = DenseModel.of(model)

    def fold_in(row):
        p, b = twin.fold_in(row, model.item_factors_, model.item_biases_, model.global_mean_)
        return model.item_factors_ @ p + model.item_biases_ + b

    return fold_in


# -- weak generalisation ---------------------------------------------------------------------------
def naive_weak(train, test, metric, k):
    """Fit the labels of the training events densely, and rank for every user of the test events."""
    users = {one: row for row, one in enumerate(sorted(set(train["user"])))}
    items = {one: column for column, one in enumerate(sorted(set(train["item"])))}
    dense = np.zeros((len(users), len(items)))
    for user, item, value in train.itertuples(index=False):
        dense[users[user], items[item]] += value
    scores, _ = DenseModel.of(SIGNED).fit(dense)
    wanted = {}
    for user, item, value in test.itertuples(index=False):
        if value > 0 and user in users and item in items:
            wanted.setdefault(users[user], set()).add(items[item])
    lists = {user: naive_list(scores[user], set(np.flatnonzero(dense[user])), k) for user in wanted}
    return naive_value(metric, lists, wanted, k)


EVENTS = events_of(LABELS)
FOLDS = KFold(3, shuffle=True, random_state=0)


@pytest.mark.parametrize("metric", METRICS)
def test_events_of_known_users_are_scored_as_by_hand(metric):
    found = cross_val_score(
        pipeline_of(clone(SIGNED)), EVENTS, cv=FOLDS, scoring=get_ranking_scorer(f"{metric}@6")
    )
    train, test = next(FOLDS.split(EVENTS))
    expected = naive_weak(EVENTS.iloc[train], EVENTS.iloc[test], metric, 6)
    assert found[0] == pytest.approx(expected, rel=1e-9)
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    "convert",
    [pl.from_pandas, pa.Table.from_pandas, pd.DataFrame.to_numpy],
    ids=["polars", "pyarrow", "array"],
)
def test_kinds_of_tables_score_alike(convert):
    of_events = FOLDS.split(EVENTS)
    of_users = GroupKFold(3).split(EVENTS, groups=EVENTS["user"])
    for splits in (of_events, of_users):
        options = {"cv": list(splits), "scoring": get_ranking_scorer("ndcg@6")}
        expected = cross_val_score(pipeline_of(clone(SIGNED)), EVENTS, **options)
        found = cross_val_score(pipeline_of(clone(SIGNED)), convert(EVENTS), **options)
        np.testing.assert_array_equal(found, expected)


def test_unknown_ids_are_left_out_and_the_encoder_stays_as_it_is():
    train, test = EVENTS.iloc[::2], EVENTS.iloc[1::2]
    train = train[(train["item"] < 520) & (train["user"] < 130)]
    pipeline = pipeline_of(clone(SIGNED)).fit(train)
    before = joblib.hash(pipeline)
    for generalization in ("weak", "strong"):
        scorer = make_ranking_scorer("recall", 6, generalization=generalization)
        known = test[test["item"].isin(train["item"])]
        if generalization == "weak":
            known = known[known["user"].isin(train["user"])]
        assert scorer(pipeline, test) == scorer(pipeline, known) > 0
    assert joblib.hash(pipeline) == before
    assert pipeline[0].unknown == "error"


def test_an_event_that_repeats_a_trained_one_is_not_to_be_found():
    train, test = EVENTS.iloc[::2], EVENTS.iloc[1::2]
    pipeline = pipeline_of(clone(SIGNED)).fit(train)
    scorer = make_ranking_scorer("recall", 30)
    assert scorer(pipeline, test) == 1.0  # as long as the catalogue
    assert scorer(pipeline, pd.concat([test, train])) == 1.0
    with pytest.raises(ValueError, match="has not seen together; expected at least one"):
        scorer(pipeline, train)


# -- strong generalisation -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("estimator", "matrix", "fold_in"),
    [(IMPLICIT, X, als_fold_in), (SIGNED, LABELS, mf_fold_in)],
    ids=["ALS", "MatrixFactorization"],
)
@pytest.mark.parametrize("metric", METRICS)
def test_rows_of_new_users_are_scored_as_by_hand(estimator, matrix, fold_in, metric):
    scorer = make_ranking_scorer(metric, 7, holdout=0.3, random_state=5)
    found = cross_val_score(clone(estimator), matrix, cv=KFold(3), scoring=scorer)
    for value, (train, test) in zip(found, KFold(3).split(matrix), strict=True):
        model = clone(estimator).fit(matrix[train])
        rows = matrix[test].toarray()
        expected = naive_strong(fold_in(model), rows, metric, 7, 0.3, 5)
        assert value == pytest.approx(expected, rel=1e-9)


def test_layout_of_the_matrix_does_not_matter():
    options = {"cv": KFold(3), "scoring": get_ranking_scorer("ndcg@10")}
    expected = cross_val_score(clone(IMPLICIT), X, **options)
    for matrix in (X.toarray(), sparse.csr_matrix(X), X.astype(np.float32)):
        found = cross_val_score(clone(IMPLICIT), matrix, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_new_users_of_events_are_scored_like_their_rows():
    events = events_of(X)
    splits = list(GroupKFold(3).split(events, groups=events["user"]))
    found = cross_val_score(
        pipeline_of(clone(IMPLICIT)), events, cv=splits, scoring=get_ranking_scorer("ndcg@10")
    )
    for value, (train, test) in zip(found, splits, strict=True):
        train_users, test_users = (
            np.unique(events["user"].iloc[part]) - 100 for part in (train, test)
        )
        assert not set(train_users) & set(test_users)
        items = np.flatnonzero(X[train_users].sum(axis=0))
        model = clone(IMPLICIT).fit(X[train_users][:, items])
        rows = X[test_users][:, items].toarray()
        assert value == pytest.approx(naive_strong(als_fold_in(model), rows, "ndcg", 10), rel=1e-9)


def test_automatic_choice_follows_most_of_the_test_users():
    events = events_of(X)
    pipeline = pipeline_of(clone(IMPLICIT)).fit(events[events["user"] < 140])
    weak, strong, auto = (
        make_ranking_scorer("ndcg", 10, generalization=one) for one in ("weak", "strong", "auto")
    )
    new = events[events["user"] >= 140]
    assert auto(pipeline, new) == strong(pipeline, new)
    with pytest.raises(ValueError, match="positive value of a user and an item that the model"):
        weak(pipeline, new)
    # Events that the model was not trained on, of users that it knows: one each.
    first_unseen = (X[:40].toarray() == 0).argmax(axis=1)
    known = pd.DataFrame({"user": 100 + np.arange(40), "item": 500 + first_unseen, "value": 1.0})
    for n_known in (1, 19):
        mixed = pd.concat([new, known[:n_known]])
        assert auto(pipeline, mixed) == strong(pipeline, mixed)
    mixed = pd.concat([new, known[:20]])
    assert auto(pipeline, mixed) == weak(pipeline, mixed) == weak(pipeline, known[:20])
    # New users with one event each can be scored by neither, and have no say.
    single = new.drop_duplicates("user")
    assert auto(pipeline, pd.concat([single, known[:20]])) == weak(pipeline, known[:20])
    with pytest.raises(ValueError, match="no test user has two positive values"):
        auto(pipeline, single)
    # Known users may be folded in as if they were new.
    known = events[events["user"] < 140]
    expected = naive_strong(als_fold_in(pipeline[-1]), X[:40].toarray(), "ndcg", 10)
    assert strong(pipeline, known) == pytest.approx(expected, rel=1e-9)


def test_blocks_of_a_table_sorted_by_user_are_scored_as_new_users():
    events = events_of(X).sort_values(["user", "item"])
    scorers = [
        make_ranking_scorer("ndcg", 10, generalization=one) for one in ("auto", "strong", "weak")
    ]
    pipeline = pipeline_of(clone(IMPLICIT))
    auto, strong = (cross_val_score(pipeline, events, cv=3, scoring=one) for one in scorers[:2])
    np.testing.assert_array_equal(auto, strong)
    with pytest.warns(DataWarning) as caught:
        cross_val_score(pipeline, events, cv=3, scoring=scorers[2])
    blocks = [set(events["user"].iloc[test]) for _, test in KFold(3).split(events)]
    edges = [blocks[0] & blocks[1], blocks[1] & (blocks[0] | blocks[2]), blocks[1] & blocks[2]]
    assert all(edges)
    for one, edge, block in zip(caught, edges, blocks, strict=True):
        said = f"mean over {len(edge)} of {len(block)} test users"
        assert said in str(one.message) and "Shuffle the events" in str(one.message)


def test_score_of_few_rows_says_of_how_many():
    rows = np.zeros((9, 30))
    rows[:7, 3] = 1.0
    rows[:3, 5] = 1.0
    model = clone(IMPLICIT).fit(X)
    scorer = get_ranking_scorer("ndcg@10")
    with pytest.warns(DataWarning, match="mean over 3 of 7 test users .*GroupKFold") as caught:
        value = scorer(model, rows)
    assert caught[0].filename == __file__
    assert value == scorer(model, rows[:6])  # half of them are enough


def test_entry_wise_steps_decide_what_is_relevant():
    bar = Binarizer(threshold=1.5)
    liked = sparse.csr_array(X > 1.5).astype(float)
    by_hand = cross_val_score(
        clone(IMPLICIT), liked, cv=KFold(3), scoring=get_ranking_scorer("ndcg@10")
    )
    for steps in ([("bar", bar)], [("bar", bar), ("idle", "passthrough"), ("none", None)]):
        pipeline = Pipeline([*steps, ("model", clone(IMPLICIT))])
        found = cross_val_score(pipeline, X, cv=KFold(3), scoring=get_ranking_scorer("ndcg@10"))
        np.testing.assert_allclose(found, by_hand, rtol=1e-12)
    events = events_of(X)
    train, test = events.iloc[::2], events.iloc[1::2]
    scorer = get_ranking_scorer("recall@5")
    pipeline = pipeline_of(clone(IMPLICIT), bar).fit(train)
    high = test[test["value"] > 1.5]
    assert 0 < len(high) < len(test)
    assert scorer(pipeline, test) == scorer(pipeline, high)
    # A pipeline of scikit-learn's own will do.
    assert scorer(Pipeline(pipeline.steps), test) == scorer(pipeline, high)


def test_dislikes_are_folded_in_and_never_to_be_found():
    class Recorder:
        n_features_in_ = 25

        def recommend(self, X, *, n_items):
            self.given = X.toarray()
            return np.tile(np.arange(n_items), (X.shape[0], 1)), None

    model = Recorder()
    make_ranking_scorer("ndcg", 3, holdout=0.5)(model, LABELS)
    rows = LABELS.toarray()
    rows = rows[(rows > 0).sum(axis=1) >= 2]
    np.testing.assert_array_equal(model.given * (rows < 0), np.minimum(rows, 0))
    assert set(np.unique(rows - model.given)) == {0.0, 1.0}


def test_a_model_that_only_scores_rows_will_do():
    class Scores:
        def __init__(self, model):
            self.model = model

        def decision_function(self, X):
            return self.model.decision_function(X)

    model = clone(IMPLICIT).fit(X[:40])
    for k in (5, 100):
        scorer = make_ranking_scorer("ndcg", k)
        assert scorer(Scores(model), X[40:]) == pytest.approx(scorer(model, X[40:]), rel=1e-12)


def test_wide_frames_need_the_items_of_the_training_data():
    names = [f"item{one}" for one in range(30)]
    frame = pd.DataFrame(X.toarray(), columns=names)
    scorer = get_ranking_scorer("ndcg@10")
    found = cross_val_score(clone(IMPLICIT), frame, cv=KFold(3), scoring=scorer)
    expected = cross_val_score(clone(IMPLICIT), X, cv=KFold(3), scoring=scorer)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    model = clone(IMPLICIT).fit(frame)
    with pytest.raises(ValueError, match="other columns than the model was fitted on"):
        scorer(model, frame[names[::-1]])


# -- the draw --------------------------------------------------------------------------------------
@st.composite
def tables(draw):
    """Rows of -1, 0, 1, 2 with two likes or more each."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    rows = rng.choice([-1.0, 0.0, 1.0, 2.0], (draw(st.integers(1, 8)), draw(st.integers(3, 12))))
    rows[:, :2] = 1.0
    return rows


def held_of(rows, share, seed):
    table = sparse.csr_array(rows)
    held = choose_held_out(table, share, seed)
    users = np.repeat(np.arange(len(rows)), np.diff(table.indptr))
    return [set(table.indices[held & (users == user)].tolist()) for user in range(len(rows))]


@given(tables(), st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_draw_is_that_of_python_integers(rows, share, seed):
    expected = [naive_held_out(row, share, seed) for row in rows]
    assert held_of(rows, share, seed) == expected
    for held, row in zip(expected, rows, strict=True):
        assert 1 <= len(held) < (row > 0).sum() and all(row[item] > 0 for item in held)


@given(tables(), st.integers(0, 100))
def test_draw_for_a_row_does_not_depend_on_the_others(rows, seed):
    expected = held_of(rows, 0.4, seed)
    assert held_of(rows[::-1], 0.4, seed) == expected[::-1]
    assert held_of(rows[:1], 0.4, seed) == expected[:1]
    assert held_of(rows * 3.0, 0.4, seed) == expected


def test_draw_differs_between_rows_and_seeds():
    rows = (np.random.default_rng(0).random((40, 60)) < 0.7) * 1.0
    counts = np.zeros(60)
    for held in held_of(rows, 0.2, 0):
        counts[list(held)] += 1
    assert counts.max() < 20  # no item is held out of most rows
    assert held_of(rows, 0.2, 0) != held_of(rows, 0.2, 1)


# -- inside scikit-learn ---------------------------------------------------------------------------
def test_searches_take_the_scorer():
    scorer = get_ranking_scorer("ndcg@10")
    search = RandomizedSearchCV(
        pipeline_of(clone(SIGNED)),
        {"model__regularization": [1.0, 3.0, 200.0], "ids__duplicates": ["sum", "last"]},
        n_iter=4,
        cv=FOLDS,
        scoring=scorer,
        random_state=0,
        error_score="raise",
    ).fit(EVENTS)
    for params, mean in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        pipeline = pipeline_of(clone(SIGNED)).set_params(**params)
        expected = cross_val_score(pipeline, EVENTS, cv=FOLDS, scoring=scorer).mean()
        assert mean == pytest.approx(expected, rel=1e-12)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert scorer(search, EVENTS[::-1].assign(item=lambda f: f["item"].to_numpy()[::-1])) >= 0


def test_several_metrics_at_once():
    scoring = {name: get_ranking_scorer(name) for name in ("ndcg@5", "recall@5")}
    found = cross_validate(clone(IMPLICIT), X, cv=KFold(3), scoring=scoring)
    for name, scorer in scoring.items():
        expected = cross_val_score(clone(IMPLICIT), X, cv=KFold(3), scoring=scorer)
        np.testing.assert_array_equal(found[f"test_{name}"], expected)
    search = GridSearchCV(
        clone(IMPLICIT), {"alpha": [1.0, 5.0]}, scoring=scoring, refit="ndcg@5", cv=KFold(3)
    )
    assert clone(search).fit(X).best_params_["alpha"] in (1.0, 5.0)


def test_what_wraps_a_model_scores_like_it():
    scorer = get_ranking_scorer("ndcg@10")
    model = clone(IMPLICIT).fit(X[:40])
    expected = scorer(model, X[40:])
    wrapped = UnlearningRecommender(FrozenEstimator(model)).fit(X)
    search = GridSearchCV(clone(IMPLICIT), {"alpha": [5.0]}, scoring=scorer, cv=KFold(3))
    for one in (wrapped, FrozenEstimator(model), search.fit(X[:40])):
        assert scorer(one, X[40:]) == expected
    events = events_of(X)
    pipeline = pipeline_of(clone(IMPLICIT)).fit(events[::2])
    inside = UnlearningRecommender(FrozenEstimator(pipeline)).fit(None)
    outside = pipeline_of(UnlearningRecommender(clone(IMPLICIT))).fit(events[::2])
    assert scorer(inside, events[1::2]) == scorer(pipeline, events[1::2])
    assert scorer(outside, events[1::2]) == scorer(pipeline, events[1::2])


def test_weak_scores_are_those_of_the_metric():
    train, test = EVENTS.iloc[::2], EVENTS.iloc[1::2]
    pipeline = pipeline_of(clone(SIGNED), unknown="ignore").fit(train)
    liked = pipeline[0].transform(test).maximum(0)
    for k in (3, 1000):
        found = make_ranking_scorer("ndcg", k)(pipeline, test)
        assert found == ndcg_at_k(pipeline[-1], liked, k)


def test_scorers_are_values():
    scorer = make_ranking_scorer("recall", 3, holdout=0.5)
    assert repr(scorer) == "make_ranking_scorer('recall', k=3, holdout=0.5)"
    assert repr(make_ranking_scorer()) == "make_ranking_scorer('ndcg', k=20)"
    for twin in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)):
        assert twin == scorer and hash(twin) == hash(scorer)
    assert eval(repr(scorer)) == scorer != make_ranking_scorer("recall", 3)
    with pytest.raises(AttributeError):
        scorer.k = 4


def test_names():
    for name in get_ranking_scorer_names():
        metric, _, k = name.partition("@")
        assert get_ranking_scorer(name) == make_ranking_scorer(metric, int(k))
    assert {"ndcg@20", "recall@10", "hit_rate@5"} <= set(get_ranking_scorer_names())
    assert get_ranking_scorer("recall@7").k == 7
    for name in ("auc@10", "ndcg", "ndcg@0", "ndcg@-1", "NDCG@5", "ndcg@5 ", 5, None):
        with pytest.raises(ValueError, match=r"'ndcg@k', 'recall@k'.*get_ranking_scorer_names"):
            get_ranking_scorer(name)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"metric": "auc"}, ValueError, "metric='auc'; expected one of 'ndcg', 'recall'"),
        ({"k": 0}, ValueError, "k=0"),
        ({"k": 2.0}, TypeError, "k=2.0"),
        ({"generalization": "some"}, ValueError, "expected one of 'auto', 'weak', 'strong'"),
        ({"holdout": 0.0}, ValueError, "holdout=0.0; expected a share"),
        ({"holdout": 1}, ValueError, "holdout=1; expected a share"),
        ({"holdout": "half"}, TypeError, "holdout='half'; expected a number"),
        ({"random_state": None}, TypeError, "random_state=None; expected an integer"),
        ({"random_state": True}, TypeError, "random_state=True; expected an integer"),
    ],
)
def test_bad_parameters_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        make_ranking_scorer(**options)


def test_what_cannot_be_scored_is_said():
    model = clone(IMPLICIT).fit(X)
    with pytest.raises(ValueError, match=r"Put an InteractionEncoder first .* split_interactions"):
        make_ranking_scorer(generalization="weak")(model, X)
    single = sparse.csr_array(np.eye(5, 30))
    with pytest.raises(ValueError, match=r"no test user has two positive values .* Use larger"):
        get_ranking_scorer("ndcg@5")(model, single)
    with pytest.raises(ValueError, match="no test user has two positive values"):
        get_ranking_scorer("ndcg@5")(pipeline_of(clone(SIGNED)).fit(EVENTS), EVENTS[:0])
    disliked = EVENTS.assign(value=-1.0)
    pipeline = pipeline_of(clone(SIGNED)).fit(EVENTS)
    with pytest.raises(ValueError, match="the test events hold no positive value"):
        get_ranking_scorer("ndcg@5")(pipeline, disliked)
