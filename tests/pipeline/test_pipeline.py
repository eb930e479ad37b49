"""Pipelines in ids against the same pipelines fitted without what was forgotten."""

import copy
import pickle
import threading

import joblib
import narwhals as nw
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.exceptions import DataWarning, UnknownInteractionError
from sklearn_unlearn.pipeline import RecommenderPipeline, make_recommender_pipeline
from sklearn_unlearn.utils._tags import get_forget_tags
from tests.pipeline.events import (
    KINDS,
    MODELS,
    STEPS,
    columns_of,
    encoder,
    item_id,
    make_events,
    pipeline_of,
    select,
    user_id,
)

EVENTS = make_events()
N = len(EVENTS["stars"])
MAX_GAP = 0.02
# What may be forgotten: which events it takes away, and the request.
REQUESTS = {
    "events": (np.arange(N) < 9, lambda gone: {"interactions": select(EVENTS, gone)}),
    "a user": (EVENTS["who"] == user_id(5), lambda gone: {"users": [user_id(5)]}),
    "an item": (EVENTS["what"] == item_id(4), lambda gone: {"items": [item_id(4)]}),
    "all parts": (
        (np.arange(N) < 5) | (EVENTS["who"] == user_id(2)) | (EVENTS["what"] == item_id(7)),
        lambda gone: {
            "interactions": select(EVENTS, np.arange(N) < 5),
            "users": np.array([user_id(2)]),
            "items": np.array([item_id(7)]),
        },
    ),
}
# A step decides what a model learns: labels for the logistic loss, no labels for ALS, and more than
# one value for the squared loss.
COMBINATIONS = [
    ("logistic", "labels"),
    *(("squared", steps) for steps in STEPS if steps != "binary"),
    *(("als", steps) for steps in STEPS if steps != "labels"),
]


def all_scores(pipeline, users, items):
    """Score every pair of some ids."""
    return pipeline.predict_pairs(
        {"who": np.repeat(users, len(items)), "what": np.tile(items, len(users))}
    )


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("model, steps", COMBINATIONS)
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
def test_forgetting_equals_refitting_without_the_events(model, steps, request_):
    gone, make_request = REQUESTS[request_]
    pipeline = pipeline_of(model, steps)
    refit = clone(pipeline).fit(select(EVENTS, ~gone))
    users, items = np.unique(EVENTS["who"][~gone]), np.unique(EVENTS["what"][~gone])
    # A user may have ratings left and nothing to learn from: an empty row in the refit.
    users = users[refit._interactions.user_degrees > 0]
    target = all_scores(refit, users, items)
    start = all_scores(pipeline.fit(EVENTS), users, items)
    learned = pipeline._interactions.n_interactions
    missing = "ignore" if steps == "binary" else "raise"  # it makes nothing of low ratings
    assert pipeline.forget(**make_request(gone), missing=missing) is pipeline
    left = np.linalg.norm(all_scores(pipeline, users, items) - target)
    assert left <= MAX_GAP * np.linalg.norm(start - target)
    assert pipeline.forget_report_.n_interactions == learned - refit._interactions.n_interactions
    assert set(pipeline[0]._users.ids) == set(users)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_and_is_given_back(kind):
    events = KINDS[kind](EVENTS)
    pipeline = pipeline_of().fit(events)
    twin = pipeline_of().fit(EVENTS)
    users = [user_id(3), user_id(0), user_id(3)]
    new = select(EVENTS, EVENTS["who"] == user_id(1))
    new["who"] = np.full(len(new["who"]), "nobody-yet")

    def compare():
        for table, expected in (
            (pipeline.recommend(users=users, n_items=4), twin.recommend(users=users, n_items=4)),
            (pipeline.recommend(X=KINDS[kind](new)), twin.recommend(X=new)),
        ):
            assert type(table) is type(events)
            names = list(expected)
            assert names == ["who", "what", "score", "rank"]
            found = columns_of(table)
            if kind == "array":
                found = dict(zip(names, found.values(), strict=True))
            assert found == {name: column.tolist() for name, column in expected.items()}

    compare()
    gone = np.arange(N) < 6
    pipeline.forget(KINDS[kind](select(EVENTS, gone)), users=users[1])
    twin.forget(select(EVENTS, gone), users=users[1])
    users.remove(user_id(0))
    compare()


def test_recommend_is_the_recommender_in_ids():
    pipeline = pipeline_of().fit(EVENTS)
    encode, model = pipeline[0], pipeline[-1]
    wanted = [user_id(9), user_id(4)]
    table = pipeline.recommend(users=wanted, n_items=30)
    items, scores = model.recommend(users=encode.encode_users(wanted), n_items=30)
    assert (items < 0).any()  # lists of those who have seen things are shorter
    names = encode.get_feature_names_out()
    expected = [
        (user, names[item], score, rank)
        for user, row, values in zip(wanted, items, scores, strict=True)
        for rank, (item, score) in enumerate(zip(row, values, strict=True), 1)
        if item >= 0
    ]
    assert list(zip(*(column.tolist() for column in table.values()), strict=True)) == expected


def test_recommend_folds_new_users_in():
    rest = EVENTS["who"] != user_id(8)
    pipeline = pipeline_of().fit(select(EVENTS, rest))
    before = joblib.hash(pipeline)
    row = select(EVENTS, ~rest)
    table = pipeline.recommend(X=row, n_items=3)
    X = pipeline[1].transform(pipeline[0].transform_new_users(row)[1])
    items, scores = pipeline[-1].recommend(X, n_items=3)
    assert table["who"].tolist() == [user_id(8)] * 3
    assert pipeline[0].encode_items(table["what"]).tolist() == items[0].tolist()
    np.testing.assert_array_equal(table["score"], scores[0])
    assert not np.isin(table["what"], row["what"]).any()
    assert joblib.hash(pipeline) == before
    seen = pipeline.recommend(X=row, n_items=30, exclude_seen=False)["what"]
    assert len(seen) == len(np.unique(EVENTS["what"][rest]))


def test_candidates_are_ids():
    pipeline = pipeline_of().fit(EVENTS)
    chosen = [item_id(i) for i in (3, 8, 20)]
    table = pipeline.recommend(users=user_id(0), candidates=chosen, exclude_seen=False)
    assert set(table["what"]) == set(chosen)
    only = pipeline.recommend(users=user_id(0), candidates=item_id(3), exclude_seen=False)
    assert only["what"].tolist() == [item_id(3)]


def test_unknown_ids_are_named_or_left_out():
    strict, lenient = pipeline_of().fit(EVENTS), pipeline_of(unknown="ignore").fit(EVENTS)
    with pytest.raises(UnknownInteractionError, match=r"user ids are unknown \('stranger'"):
        strict.recommend(users=["stranger", user_id(0)])
    table = lenient.recommend(users=["stranger", user_id(0)], n_items=2)
    assert table["who"].tolist() == [user_id(0)] * 2
    assert len(lenient.recommend(users=["stranger"])["what"]) == 0
    pairs = {"who": ["stranger", user_id(0)], "what": [item_id(0), item_id(1)]}
    with pytest.raises(UnknownInteractionError, match="'stranger'"):
        strict.predict_pairs(pairs)
    scores = lenient.predict_pairs(pairs)
    assert np.isnan(scores[0]) and np.isfinite(scores[1])
    known = {"who": pairs["who"][1:], "what": pairs["what"][1:]}
    np.testing.assert_array_equal(scores[1:], strict.predict_pairs(known))


@pytest.mark.parametrize("by", ["users", "events", "items"])
def test_ids_of_users_of_whom_nothing_is_left_are_erased(by):
    events = {
        "who": np.append(EVENTS["who"], "lonely-soul"),
        "what": np.append(EVENTS["what"], item_id(2)),
        "stars": np.append(EVENTS["stars"], 4.0),
    }
    pipeline = pipeline_of().fit(events)
    request = {
        "users": {"users": "lonely-soul"},
        "events": {"interactions": {"who": ["lonely-soul"], "what": [item_id(2)]}},
        "items": {"items": item_id(2)},
    }[by]
    assert b"lonely-soul" in pickle.dumps(pipeline)
    pipeline.forget(**request)
    assert b"lonely-soul" not in pickle.dumps(pipeline)
    with pytest.raises(UnknownInteractionError, match="lonely-soul"):
        pipeline.recommend(users="lonely-soul")
    pipeline.recommend(users=user_id(1))  # others lost at most something
    assert item_id(2) in pipeline[0].get_feature_names_out()


def test_a_user_whose_values_were_all_zero_can_be_erased():
    events = {name: np.append(column, column[:1]) for name, column in EVENTS.items()}
    events["who"][-1], events["stars"][-1] = "silent-one", 0.0
    with pytest.warns(UserWarning, match="not observed"):
        pipeline = pipeline_of().fit(events)
    scores = joblib.hash(pipeline[-1])
    pipeline.forget(users=["silent-one"])
    assert b"silent-one" not in pickle.dumps(pipeline)
    assert joblib.hash(pipeline[-1]) == scores


def test_a_user_whose_events_a_step_dropped_is_erased_by_these_events():
    events = {name: np.append(column, column[:1]) for name, column in EVENTS.items()}
    events["who"][-1], events["stars"][-1] = "grumpy-one", 1.0
    pipeline = pipeline_of("als", "binary").fit(events)  # it makes nothing of one star
    request = {name: column[-1:] for name, column in events.items()}
    with pytest.raises(UnknownInteractionError, match="row 0 of the events"):
        pipeline.forget(request)
    pipeline.forget(request, missing="ignore")
    assert b"grumpy-one" not in pickle.dumps(pipeline)


def test_answers_about_new_events_are_of_their_kind():
    pipeline = pipeline_of().fit(KINDS["pandas"](EVENTS))
    new = select(EVENTS, EVENTS["who"] == user_id(1))
    for kind in KINDS:
        events = KINDS[kind](new)
        assert type(pipeline.recommend(X=events, n_items=2)) is type(events)
    assert type(pipeline.recommend(users=user_id(1))) is type(KINDS["pandas"](EVENTS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("model", "steps"), [("als", "several"), ("als", "binary"), ("bpr", None)])
def test_without_anybody_the_answer_is_an_empty_table(kind, model, steps):
    pipeline = pipeline_of(model, steps).fit(KINDS[kind](EVENTS))
    full = pipeline.recommend(users=user_id(1), n_items=2)
    for nobody in (
        {"users": []},
        {"X": KINDS[kind](select(EVENTS, slice(0)))},
        {"X": np.empty((0, 3)) if kind == "array" else KINDS[kind]({key: [] for key in EVENTS})},
    ):
        table = pipeline.recommend(**nobody, n_items=2)
        assert type(table) is type(full)
        empty, names = columns_of(table), columns_of(full)
        assert list(empty) == list(names) and not any(empty.values())
        if kind in ("pandas", "polars", "pyarrow"):
            types = [[str(column.dtype) for column in typed(one)] for one in (table, full)]
            assert types[0] == types[1]
    assert len(pipeline.predict_pairs(KINDS[kind](select(EVENTS, slice(0))))) == 0


def typed(table):
    return nw.from_native(table).iter_columns()


def test_users_of_whom_nothing_is_known_are_counted():
    pipeline = pipeline_of("als", "binary", unknown="ignore").fit(EVENTS)
    known = {"who": ["al", "bo"], "what": [item_id(1), item_id(2)], "stars": [5.0, 5.0]}
    strange = {"who": ["cy", "di", "cy"], "what": [1, 2, 3], "stars": [5.0, 4.0, 3.0]}
    both = {name: [*known[name], *strange[name]] for name in known}
    expected = pipeline.recommend(known, n_items=3)
    with pytest.warns(DataWarning, match="2 of 4 users have no event of an item") as caught:
        table = pipeline.recommend(both, n_items=3)
    assert caught[0].filename == __file__
    assert table["who"].tolist() == [one for one in ("al", "bo", "cy", "di") for _ in range(3)]
    for name in ("what", "score"):
        np.testing.assert_array_equal(table[name][:6], expected[name])
    with pytest.raises(UnknownInteractionError, match="item ids are unknown"):
        pipeline_of("als").fit(EVENTS).recommend(both)


def test_a_forgotten_item_can_be_recommended_again():
    pipeline = pipeline_of().fit(EVENTS)
    fan = EVENTS["who"][EVENTS["what"] == item_id(6)][0]
    assert item_id(6) not in pipeline.recommend(users=fan, n_items=30)["what"]
    pipeline.forget(items=item_id(6))
    assert item_id(6) in pipeline.recommend(users=fan, n_items=30)["what"]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, clone])
def test_copies_do_not_forget_with_the_original(make):
    pipeline = pipeline_of().fit(EVENTS)
    twin = make(pipeline)
    before = joblib.hash(twin)
    pipeline.forget(users=user_id(0))
    assert joblib.hash(twin) == before
    assert isinstance(twin, RecommenderPipeline)


def test_whoever_holds_a_step_holds_one_that_has_forgotten():
    pipeline = pipeline_of().fit(EVENTS)
    encode, model = pipeline[0], pipeline[-1]
    pipeline.forget(users=user_id(0))
    assert pipeline[-1] is model and model.forget_report_ is pipeline.forget_report_
    with pytest.raises(UnknownInteractionError):
        encode.encode_users([user_id(0)])


def test_readers_see_one_moment():
    pipeline = pipeline_of().fit(EVENTS)
    gone = [user_id(p) for p in range(6)]
    tables, errors = {}, []
    for user in gone:
        tables[user] = [columns_of(pipeline.recommend(users=user, n_items=30))]
    stop = threading.Event()

    def read():
        while not stop.is_set():
            for user in gone:
                try:
                    tables[user].append(columns_of(pipeline.recommend(users=user, n_items=30)))
                except UnknownInteractionError:
                    pass
                except Exception as error:
                    errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for user in gone:
        pipeline.forget(users=user)
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
    # A user either has a list with its own row left out, or no id: never all items.
    assert all(
        len(table["what"]) < len(np.unique(EVENTS["what"]))
        for lists in tables.values()
        for table in lists
    )


def test_a_failed_fit_changes_nothing():
    pipeline = pipeline_of().fit(EVENTS)
    before = joblib.hash(pipeline)
    bad = dict(select(EVENTS, np.arange(N) < 9), stars=np.full(9, np.nan))
    for events, error in (
        (bad, "NaN"),  # the encoder refuses
        (dict(bad, stars=np.full(9, -1.0)), "Negative values"),  # the model refuses
    ):
        victim = pipeline if error == "NaN" else pipeline_of("als").fit(EVENTS)
        before = joblib.hash(victim)
        with pytest.raises(ValueError, match=error):
            victim.fit(events)
        assert joblib.hash(victim) == before
    with pytest.raises(NotFittedError):
        clone(pipeline).forget(users=user_id(0))


def test_output_containers_concern_the_last_step_only():
    plain = pipeline_of().fit(EVENTS).transform(EVENTS)
    with config_context(transform_output="pandas"):
        frame = pipeline_of().fit_transform(EVENTS)
        assert frame.columns[0] == "matrixfactorization0"
        np.testing.assert_array_equal(frame.to_numpy(), plain)
    frame = pipeline_of().set_output(transform="polars").fit(EVENTS).transform(EVENTS)
    np.testing.assert_array_equal(frame.to_numpy(), plain)
    for interface in ("sparray", "spmatrix"):
        with config_context(sparse_interface=interface):
            np.testing.assert_array_equal(pipeline_of().fit(EVENTS).transform(EVENTS), plain)


def test_metadata_is_routed_to_the_step_that_asks():
    weights = np.where(np.arange(len(np.unique(EVENTS["who"]))) % 2, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        pipeline = pipeline_of()
        pipeline[-1].set_fit_request(sample_weight=True)
        pipeline.fit(EVENTS, sample_weight=weights)
    X = pipeline[1].transform(pipeline[0].transform(EVENTS))
    model = clone(MODELS["logistic"][0]).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(pipeline[-1].item_factors_, model.item_factors_)


def test_verbs_are_those_of_the_last_step():
    pipeline = pipeline_of().fit(EVENTS)
    for verb in ("recommend", "forget", "predict_pairs", "certify", "transform", "score"):
        assert hasattr(pipeline, verb)
        assert not hasattr(RecommenderPipeline([]), verb)
    assert not hasattr(pipeline, "predict") and not hasattr(pipeline, "inverse_transform")
    before = pipeline[:-1]
    assert isinstance(before, RecommenderPipeline)
    assert not any(hasattr(before, verb) for verb in ("recommend", "forget", "predict_pairs"))
    assert before.transform(EVENTS).shape == (40, 30)
    assert pipeline[:1].inverse_transform(pipeline[:1].transform(EVENTS))["who"].shape == (N,)
    assert pipeline.certify().rank == pipeline[-1].certify().rank
    assert not hasattr(pipeline, "forget_report_")
    assert get_forget_tags(pipeline) == get_forget_tags(pipeline[-1])


def test_delegated_verbs_keep_the_law_of_pipelines():
    pipeline = pipeline_of().fit(EVENTS)
    X, model = pipeline[:-1].transform(EVENTS), pipeline[-1]
    np.testing.assert_array_equal(pipeline.decision_function(EVENTS), model.decision_function(X))
    np.testing.assert_array_equal(pipeline.transform(EVENTS), model.transform(X))
    assert pipeline.score(EVENTS) == model.score(X)


def test_without_an_encoder_it_speaks_positions():
    X = pipeline_of()[0].fit_transform(EVENTS)
    pipeline = make_recommender_pipeline(*STEPS["labels"], MODELS["logistic"][0]).fit(X)
    model = clone(MODELS["logistic"][0]).fit(STEPS["labels"][0].fit_transform(X))
    for table, expected in (
        (pipeline.recommend(users=[3], n_items=4), model.recommend(users=[3], n_items=4)),
        (
            pipeline.recommend(X[:2], n_items=4),
            model.recommend(STEPS["labels"][0].transform(X[:2]), n_items=4),
        ),
        (
            pipeline.forget([[0, X[[0]].indices[0]]], users=2).recommend(users=[0, 2]),
            model.forget([[0, X[[0]].indices[0]]], users=2).recommend(users=[0, 2]),
        ),
    ):
        np.testing.assert_array_equal(table, expected)
    assert pipeline.predict_pairs([[0, 1]]) == model.predict_pairs([[0, 1]])


def test_names_of_columns_never_clash():
    events = {"score": EVENTS["who"], "rank": EVENTS["what"]}
    pipeline = make_recommender_pipeline(
        encoder().set_params(user="score", item="rank", value=None), MODELS["als"][0]
    ).fit(events)
    table = pipeline.recommend(users=user_id(0), n_items=2)
    assert list(table) == ["score", "rank", "score_", "rank_"]


def test_make_recommender_pipeline_names_the_steps():
    pipeline = make_recommender_pipeline(encoder(), MatrixFactorization(), verbose=True)
    assert list(pipeline.named_steps) == ["interactionencoder", "matrixfactorization"]
    assert pipeline.verbose is True
