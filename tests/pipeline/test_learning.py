"""Pipelines that learn events in ids, against the same pipelines fitted to all events."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.exceptions import KnownInteractionError, UnknownInteractionError
from sklearn_unlearn.pipeline import make_recommender_pipeline
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
from tests.pipeline.test_pipeline import COMBINATIONS, MAX_GAP, all_scores

EVENTS = make_events()
NUMBER = np.arange(len(EVENTS["stars"]))
# Which events are new: of users and items that have others, of new users, of new items.
NEW = {
    "events": NUMBER % 60 == 0,
    "a user": EVENTS["who"] == user_id(5),
    "an item": EVENTS["what"] == item_id(4),
    "all": (NUMBER % 60 == 0)
    | (EVENTS["who"] == user_id(2))
    | (EVENTS["what"] == item_id(7))
    | (EVENTS["what"] == item_id(29)),
}


def known_ids(model):
    """Ids of users and items of whom the recommender holds something."""
    data = model._interactions
    users = model[0].decode_users(np.flatnonzero(data.user_degrees))
    return users, model[0].decode_items(np.flatnonzero(data.item_degrees))


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("model, steps", COMBINATIONS)
@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.ForgetFallbackWarning")
def test_learning_equals_fitting_all_events(model, steps, name):
    new = NEW[name]
    pipeline = pipeline_of(model, steps).fit(select(EVENTS, ~new))
    refit = clone(pipeline).fit(EVENTS)
    users, items = known_ids(refit)
    known = known_ids(pipeline)
    change = np.linalg.norm(all_scores(pipeline, *known) - all_scores(refit, *known))
    assert pipeline.learn(select(EVENTS, new)) is pipeline
    target = all_scores(refit, users, items)
    left = np.linalg.norm(all_scores(pipeline, users, items) - target)
    # New users and items had no scores: their own are what there is to be wrong about.
    assert left <= MAX_GAP * max(change, np.linalg.norm(target) * (name != "events"))
    assert pipeline._interactions.n_interactions == refit._interactions.n_interactions
    assert pipeline.learn_report_.n_learned <= np.count_nonzero(new)
    assert not hasattr(pipeline, "forget_report_")
    np.testing.assert_array_equal(np.sort(pipeline[0]._users.ids), refit[0]._users.ids)
    np.testing.assert_array_equal(np.sort(pipeline[0]._items.ids), refit[0]._items.ids)


@pytest.mark.parametrize("kind", KINDS)
def test_new_ids_of_every_kind_of_table_are_told_apart(kind):
    new = NEW["all"]
    pipeline = pipeline_of("als").fit(KINDS[kind](select(EVENTS, ~new)))
    old_users = pipeline[0].decode_users(np.arange(pipeline[0].n_users_))
    pipeline.learn(KINDS[kind](select(EVENTS, new)))
    np.testing.assert_array_equal(pipeline[0].decode_users(np.arange(len(old_users))), old_users)
    ids = np.unique(EVENTS["who"])
    places = pipeline[0].encode_users(ids)
    np.testing.assert_array_equal(np.sort(places), np.arange(len(ids)))
    np.testing.assert_array_equal(pipeline[0].decode_users(places), ids)
    names = pipeline[0].get_feature_names_out()
    np.testing.assert_array_equal(pipeline[0].encode_items(list(names)), np.arange(len(names)))
    lists = pipeline.recommend(users=ids, n_items=3)
    named = set(next(iter(columns_of(lists).values())))
    assert named <= set(ids) and len(named) >= len(ids) - 2  # two have every item
    # What came back of a file is the same.
    twin = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(twin[0].encode_users(ids), places)


def test_a_value_is_rectified_in_ids():
    wrong = {name: column.copy() for name, column in EVENTS.items()}
    wrong["stars"][:4] = 5.5 - wrong["stars"][:4]
    some = select(wrong, NUMBER < 4)
    pipeline, refit = pipeline_of("squared").fit(wrong), pipeline_of("squared").fit(EVENTS)
    users, items = np.unique(EVENTS["who"]), np.unique(EVENTS["what"])
    target = all_scores(refit, users, items)
    start = np.linalg.norm(all_scores(pipeline, users, items) - target)
    pipeline.rectify(some, select(EVENTS, NUMBER < 4))
    left = np.linalg.norm(all_scores(pipeline, users, items) - target)
    assert left <= MAX_GAP * start
    assert pipeline.learn_report_.n_interactions == pipeline.learn_report_.n_learned == 4


def test_the_events_of_a_user_are_replaced():
    who = EVENTS["who"] == user_id(9)
    pipeline = pipeline_of("als").fit(EVENTS)
    place = pipeline[0].encode_users([user_id(9)])
    pipeline.rectify(None, select(EVENTS, np.flatnonzero(who)[0] == NUMBER), users=[user_id(9)])
    assert pipeline._interactions.user_degrees[place] == [1]
    pipeline.rectify(None, select(EVENTS, NUMBER == 0), users=[user_id(9)], existing="replace")
    with pytest.raises(UnknownInteractionError):
        pipeline.recommend(users=[user_id(9)])  # nothing is left of him, so nor is his id


def test_a_forgotten_user_who_comes_back_is_another():
    pipeline = pipeline_of("als").fit(EVENTS)
    before = pipeline[0].encode_users([user_id(9)])
    pipeline.forget(users=[user_id(9)])
    pipeline.learn(select(EVENTS, EVENTS["who"] == user_id(9)))
    assert pipeline[0].encode_users([user_id(9)]) == [40] != before


@pytest.mark.parametrize(
    ("request_", "error", "match"),
    [
        (lambda: {"interactions": select(EVENTS, NUMBER < 3)}, KnownInteractionError, "some of"),
        (
            lambda: {"interactions": {"who": [1, 2], "what": [1, 2], "stars": [1.0, 2.0]}},
            TypeError,
            "expected str, as in fit",
        ),
        (
            lambda: {"interactions": select(EVENTS, NUMBER < 3), "existing": "add"},
            ValueError,
            "steps that change values",
        ),
        (
            lambda: {"interactions": select(EVENTS, NUMBER < 3), "values": 3.0},
            TypeError,
            "given beside events",
        ),
        (
            lambda: {"interactions": {"who": ["x"], "what": [-5], "stars": [np.nan]}},
            ValueError,
            "NaN",
        ),
    ],
)
def test_bad_requests_change_nothing_and_show_no_id(request_, error, match):
    pipeline = pipeline_of("squared", "own").fit(EVENTS)
    before = pickle.dumps(pipeline)
    with pytest.raises(error, match=match) as caught:
        pipeline.learn(**request_())
    assert "person" not in str(caught.value)
    assert pickle.dumps(pipeline) == before


def test_copies_do_not_learn_with_the_original():
    new = NEW["all"]
    pipeline = pipeline_of("als", "several").fit(select(EVENTS, ~new))
    twin, before = copy.copy(pipeline), pipeline[-1].item_factors_.shape
    pipeline.learn(select(EVENTS, new))
    assert twin[-1].item_factors_.shape == before != pipeline[-1].item_factors_.shape
    assert twin[0].n_items_ == before[0]
    twin.recommend(select(EVENTS, ~new))
    pipeline.recommend(EVENTS)  # the steps between take the wider matrix


def test_without_an_encoder_it_learns_positions():
    X = encoder().fit_transform(EVENTS)
    kept = X.tolil()
    kept[3, :], kept[:, 7] = 0, 0
    users, items = (X - kept.tocsr()).nonzero()
    values = np.asarray(X[users, items]).ravel()
    pipeline = make_recommender_pipeline(*STEPS["own"], MODELS["squared"][0]).fit(kept.tocsr())
    twin = copy.deepcopy(pipeline)
    model = clone(MODELS["squared"][0]).fit(STEPS["own"][0].fit_transform(X))
    pipeline.learn((users, items), values=values)
    twin.learn(X, existing="replace")
    for one in (pipeline, twin):
        np.testing.assert_allclose(
            one.recommend(users=[3], n_items=5)[1],
            model.recommend(users=[3], n_items=5)[1],
            atol=0.02,
        )


def test_integers_beyond_those_of_fit_are_learned():
    events = {"user": np.array([1, 1, 2, 2]), "item": np.array([5, 6, 5, 7])}
    pipeline = make_recommender_pipeline(
        encoder().set_params(user="user", item="item", value=None), MODELS["als"][0]
    ).fit(events)
    large = 2**63 + 5
    pipeline.learn({"user": np.array([large, 1], np.uint64), "item": np.array([5, 7])})
    assert pipeline[0].decode_users([2])[0] == large
    np.testing.assert_array_equal(pipeline[0].encode_users([1, 2, large]), [0, 1, 2])
    with pytest.raises(ValueError, match="no 64-bit type can hold together"):
        pipeline.learn({"user": np.array([-4]), "item": np.array([5])})


def test_logistic_labels_are_those_of_the_steps():
    new = NEW["events"]
    pipeline = make_recommender_pipeline(
        encoder(), *STEPS["labels"], MatrixFactorization(8, random_state=0)
    ).fit(select(EVENTS, ~new))
    pipeline.learn(select(EVENTS, new))
    pairs = pipeline[0].encode_pairs(select(EVENTS, new))
    data = pipeline._interactions
    learned = data.values_at(data.locate(*pairs.T))
    np.testing.assert_array_equal(learned, np.where(EVENTS["stars"][new] >= 3.5, 1, -1))
