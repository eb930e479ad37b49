"""Models that learn while they are served, and models that take the place of others."""

import copy
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from sklearn_unlearn import EASE
from sklearn_unlearn.audit import (
    DeletionQueue,
    DeletionService,
    DoNotLearnList,
    StaleModelError,
    generate_key,
    load,
    replay,
    save,
    verify_ledger,
)
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder
from tests.audit.test_service import EVENTS, N_ITEMS

KEY = generate_key()
NAMES = {
    "int": lambda kind, k: k,
    "text": lambda kind, k: f"{kind} nº {k}",
    "uuid": lambda kind, k: UUID(int=k + (10**30 if kind == "user" else 10**20)),
}


@pytest.fixture(params=NAMES)
def name(request):
    return NAMES[request.param]


def events_of(name, users=EVENTS["user"], items=EVENTS["item"]):
    return {
        "user": [name("user", one) for one in users],
        "item": [name("item", one) for one in items],
    }


def fitted(events):
    return make_recommender_pipeline(InteractionEncoder(), EASE(regularization=5.0)).fit(events)


def without(events, users=(), items=(), pairs=()):
    rows = [
        (user, item)
        for user, item in zip(events["user"], events["item"], strict=True)
        if user not in users and item not in items and (user, item) not in pairs
    ]
    return {"user": [one for one, _ in rows], "item": [one for _, one in rows]}


def same_lists(model, events, users):
    """Lists are those of a model that was fitted on these events; items are told by their ids."""
    given, expected = (
        one.recommend(users=users, n_items=5) for one in (model, fitted(events))
    )  # fmt: skip
    assert list(given["user"]) == list(expected["user"])
    np.testing.assert_allclose(
        np.asarray(given["score"], float), np.asarray(expected["score"], float), atol=1e-9
    )


def joined(*tables):
    return {name: [id_ for one in tables for id_ in one[name]] for name in ("user", "item")}


def test_who_asked_before_the_model_learned_of_them_is_masked(url, name):
    new = events_of(name, [5000, 5000, 5001, 5001], [7001, 7999, 7002, 7999])
    with DeletionService(fitted(events_of(name)), url, key=KEY) as service:
        known, coming, other = (name("user", one) for one in (1001, 5000, 5001))
        service.submit(users=[coming], items=[name("item", 7999)])
        assert len(service.recommend(users=[known])["user"]) > 0
        service._model.learn(new)
        table = service.recommend(users=[known, coming, other], n_items=N_ITEMS, exclude_seen=False)
        assert set(table["user"]) == {known, other}
        assert name("item", 7999) not in set(table["item"])
        assert service.allowed([coming, other], [name("item", 7001)] * 2).tolist() == [False, True]
        service.flush()
        assert service._model._interactions.n_interactions == len(EVENTS["user"]) + 1
        assert coming not in set(service._model._encoder._users.ids)


def test_a_model_that_has_learned_is_stored_flushed_and_replayed(url, tmp_path, name):
    path, new = tmp_path / "model.skops", events_of(name, [5000, 5000, 5001], [7001, 7003, 7002])
    model = fitted(events_of(name)).learn(new)
    save(model, tmp_path / "backup.skops")
    gone = {
        "users": [name("user", 5000), name("user", 1003)],
        "interactions": [(name("user", 5001), name("item", 7002))],
    }
    left = without(joined(events_of(name), new), gone["users"], (), gone["interactions"])
    asked = [name("user", 1001), name("user", 1004)]
    with DeletionService(model, url, path, key=KEY) as service:
        service.submit(**gone)
        report = service.flush()
        assert (report.n_requests, report.n_not_found) == (1, 0)
        same_lists(service, left, asked)
    with DeletionService(None, url, path, key=KEY) as again:
        assert again.is_current
        same_lists(again, left, asked)
        assert len(again.recommend(users=gone["users"])["user"]) == 0
    backup = load(tmp_path / "backup.skops")
    assert replay(backup, url, key=KEY).n_records == 1
    same_lists(backup, left, asked)


def test_what_the_model_does_not_hold_is_forgotten_in_backups_and_exports(url, tmp_path, name):
    path, old = (
        tmp_path / "model.skops",
        joined(
            events_of(name), events_of(name, [5000, 5000, 5001, 5001], [7001, 7999, 7002, 7003])
        ),
    )
    save(fitted(old), tmp_path / "backup.skops")
    users = [name("user", one) for one in (1001, 5000, 5001)]
    item, category = name("item", 7999), name("item", 7002)
    forgotten = DoNotLearnList(":memory:", key=KEY)
    options = {"key": KEY, "do_not_learn": forgotten, "categories": {category: "horror"}}
    DeletionService(fitted(old), url, path, **options).close()  # the store knows the backup
    newer = fitted(events_of(name))  # holds neither these users nor the item
    with DeletionService(newer, url, path, **options) as service:
        service.replay(since=datetime.now(UTC))
        service.submit(users=users[1:2], items=[item], request_id="ticket")
        service.submit(categories=[(users[2], "horror")])
        assert service.flush().n_not_found == 2
        assert service.status("ticket").outcome == "not found"
        assert forgotten.blocked(users[1:], [name("item", 7001), category]).all()
        service._model.learn(events_of(name, [1001, 1002], [7999, 7999]))
        table = service.recommend(users=users[:1], n_items=N_ITEMS, exclude_seen=False)
        assert item not in set(table["item"])  # taken down before it came
    backup = load(tmp_path / "backup.skops")
    replay(backup, url, key=KEY)
    same_lists(backup, without(old, users[1:2], [item], [(users[2], category)]), users[::2])


def test_ids_that_the_model_does_not_know_are_masked_too(url, name):
    users = [name("user", one) for one in (1001, 5000, 5001, 5001)]
    items = [name("item", one) for one in (7001, 7001, 7998, 7002)]
    rows = {"user": users, "item": [name("item", 7001)] * 4}
    with DeletionService(fitted(events_of(name)), url, key=KEY) as service:
        assert service.allowed(users, items).all()
        assert len(set(service.recommend(rows)["user"])) == 3
        service.submit(users=users[1:2], request_id="user")
        service.submit(interactions=[(users[2], items[2])], request_id="pair")
        service.submit(items=[name("item", 7998)])
        assert service.allowed(users, items).tolist() == [True, False, False, True]
        assert set(service.recommend(rows)["user"]) == {users[0], users[2]}
        service.flush()  # an item stays masked
        assert service.allowed(users, items).tolist() == [True, True, False, True]
        service.lift([name("item", 7998)])
        assert service.allowed(users, items).all()
        service.submit(interactions=[(users[3], items[3])], request_id="other")
        assert service.allowed(users, items).tolist() == [True, True, True, False]
        service.cancel("other")
        assert service.allowed(users, items).all()


def test_readers_while_the_model_learns(tmp_path):
    with DeletionService(fitted(EVENTS), tmp_path / "deletions.db", key=KEY) as service:
        service.submit(users=[5000 + k for k in range(0, 60, 2)])
        done, failures = threading.Event(), []

        def read():
            try:
                while not done.is_set():
                    table = service.recommend(users=[1001, *range(5000, 5060)], n_items=3)
                    assert all(user % 2 for user in table["user"])
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for k in range(60):
            service._model.learn({"user": [5000 + k] * 2, "item": [7001, 8000 + k]})
        done.set()
        for thread in threads:
            thread.join(60)
        assert failures == []
        assert set(service.recommend(users=list(range(5000, 5060)))["user"]) == set(
            range(5001, 5060, 2)
        )


def test_a_model_that_was_fitted_anew_takes_over(url, tmp_path, name):
    path, user = tmp_path / "model.skops", lambda k: name("user", k)
    first = DeletionService(fitted(events_of(name)), url, path, key=KEY)
    other = DeletionService(None, url, path, key=KEY)
    first.submit(users=[user(1003)])
    first.flush()
    moment = datetime.now(UTC) + timedelta(seconds=1)
    first._now = lambda: moment.timestamp() + 1
    first.submit(users=[user(1004)])  # after the data of the next model were taken
    first.flush()
    assert len(other.recommend(users=[user(1001)])["user"]) > 0
    newer = joined(
        without(events_of(name), [user(1003)]), events_of(name, [6000] * 3, [7001, 7002, 7003])
    )
    with DeletionService(fitted(newer), url, path, key=KEY) as rotation:
        with pytest.raises(StaleModelError):
            rotation.recommend(users=[user(6000)])
        report = rotation.replay(since=moment)
        assert (report.n_records, report.generation) == (1, 3)
    left, asked = without(newer, [user(1004)]), [user(1001), user(6000)]
    for service in (first, other):
        same_lists(service, left, asked)
        assert len(service.recommend(users=[user(1004)])["user"]) == 0
    other.submit(users=[user(1005)])
    assert other.flush().generation == 4  # of the new model: nobody writes the old one again
    same_lists(first, without(left, [user(1005)]), asked)
    assert verify_ledger(first.store)
    # What was current is replayed without a change, and nobody has to load it.
    assert first.replay().generation == 4
    first.close()
    other.close()


def test_a_snapshot_that_another_process_has_fitted_takes_over(url, tmp_path):
    path, newer = tmp_path / "model.skops", joined(EVENTS, {"user": [6000], "item": [7001]})
    with DeletionService(fitted(EVENTS), url, path, key=KEY) as service:
        service.submit(users=[1003])
        service.flush()
        save(fitted(newer), path)
        with pytest.raises(ValueError, match="take_over is True and path is None"):
            replay(load(path), url, key=KEY, take_over=True)
        replay(load(path), url, key=KEY, path=path)  # known as one of the newest from now on
        same_lists(service, without(EVENTS, [1003]), [1001])
        replay(load(path), url, key=KEY, path=path, take_over=True)
        same_lists(service, without(newer, [1003]), [1001, 6000])
        service.submit(users=[1004])
        service.flush()
    same_lists(load(path), without(newer, [1003, 1004]), [1001, 6000])


def test_a_backup_from_before_a_rotation_is_replayed(url, tmp_path):
    path = tmp_path / "model.skops"
    backup = fitted(EVENTS)
    with DeletionService(fitted(EVENTS), url, path, key=KEY, keep_for=timedelta(0)) as service:
        middle = copy.deepcopy(service._model)
    with DeletionService(fitted(without(EVENTS, [1003])), url, path, key=KEY) as rotation:
        rotation.submit(users=[1004])
        assert rotation.flush().n_requests == 1
        rotation.replay(since=datetime.now(UTC))
        rotation.submit(users=[1005])
        rotation.flush()
    for model in (middle, backup):
        replay(model, url, key=KEY)
        same_lists(model, without(EVENTS, [1004, 1005]), [1001, 1003])


def test_a_rotation_takes_up_what_a_crash_has_left(url, tmp_path):
    path = tmp_path / "model.skops"
    service = DeletionService(fitted(EVENTS), url, path, key=KEY)
    service.submit(users=[1002])
    service.flush()
    status = service.submit(users=[1003])
    with service.store.flush_lock() as lock:  # a flush that ends after its intent is written
        steps = service._steps(lock)
        assert steps.claim(service._model, None) is not None
    service.close()
    with DeletionService(fitted(EVENTS), url, path, key=KEY) as rotation:
        assert rotation.replay().n_records == 1
        with DeletionQueue(rotation.store, key=KEY) as queue:
            assert queue.status(status.request_id).status == "pending"
            assert len(rotation.recommend(users=[1003])["user"]) == 0
            assert rotation.flush().n_requests == 1
            assert queue.status(status.request_id).outcome == "forgotten"
        same_lists(rotation, without(EVENTS, [1002, 1003]), [1001, 1004])
