"""The service: masks at once, forgets in one batch as a refit would, and serves nothing stale."""

import copy
from datetime import date, timedelta
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sklearn_unlearn import EASE, ItemKNN
from sklearn_unlearn.audit import (
    DeletionQueue,
    DeletionService,
    DoNotLearnList,
    StaleModelError,
    StoreError,
    generate_key,
    replay,
    verify_ledger,
)
from sklearn_unlearn.audit._snapshots import digest_of, load
from sklearn_unlearn.exceptions import ForgetError, UnknownInteractionError
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

KEY = generate_key()
N_USERS, N_ITEMS = 30, 12
DENSE = (np.random.default_rng(0).random((N_USERS, N_ITEMS)) < 0.4).astype(float)
DENSE[np.arange(N_USERS), np.arange(N_USERS) % N_ITEMS] = 1  # nobody is without interactions
EVENTS = {
    "user": (np.nonzero(DENSE)[0] + 1000).tolist(),
    "item": (np.nonzero(DENSE)[1] + 7000).tolist(),
}


def fitted(matrix=DENSE):
    return EASE(regularization=5.0).fit(sparse.csr_array(matrix))


def fitted_pipeline(events=EVENTS):
    return make_recommender_pipeline(InteractionEncoder(), EASE(regularization=5.0)).fit(events)


def without(users=(), items=(), pairs=()):
    """The matrix of what remains."""
    matrix = DENSE.copy()
    matrix[list(users)] = 0
    matrix[:, list(items)] = 0
    for pair in pairs:
        matrix[pair] = 0
    return matrix


def same_as_refit(model, matrix):
    assert np.array_equal(model._interactions.to_csr().toarray(), matrix)
    np.testing.assert_allclose(
        model.decision_function(DENSE), fitted(matrix).decision_function(DENSE), atol=1e-9
    )


@pytest.fixture
def service(url):
    with DeletionService(fitted(), url, key=KEY) as made:
        yield made


def lists(service, **question):
    return service.recommend(n_items=N_ITEMS, **question)[0].tolist()


# -- masks -----------------------------------------------------------------------------------------
def test_nothing_is_changed_by_a_service_without_requests(service):
    for question in ({"users": [3, 1]}, {"X": DENSE[:2]}, {"users": [2], "candidates": [1, 5, 7]}):
        expected = fitted().recommend(n_items=N_ITEMS, exclude_seen=False, **question)
        given = service.recommend(n_items=N_ITEMS, exclude_seen=False, **question)
        for one, two in zip(given, expected, strict=True):
            assert np.array_equal(one, two)


def test_a_preview_counts_what_a_flush_forgets(service):
    pair = next((user, item) for user, item in np.argwhere(DENSE).tolist() if user not in (3, 4))
    assert service.preview().n_requests == 0 and service.preview().share == 0
    own = next((user, item) for user, item in np.argwhere(DENSE).tolist() if user == 3)
    service.submit(users=[3])
    service.submit(interactions=[own, pair])  # counted once, as the user goes with it
    assert service.preview().n_interactions == DENSE[3].sum() + 1
    for fields in ({"users": [3, 4]}, {"items": [2]}):
        service.submit(**fields)
    service.submit(users=[N_USERS - 1], request_id="cancelled")
    service.cancel("cancelled")
    seen = service.preview()
    assert seen == service.preview()
    assert (seen.n_requests, seen.n_not_found) == (4, 0)
    gone = DENSE - without([3, 4], [2], [pair])
    assert seen.n_interactions == gone.sum() == round(seen.share * DENSE.sum())
    assert (seen.n_users, seen.n_items) == (gone.any(1).sum(), gone.any(0).sum())
    told = service.flush().report
    assert (told.n_interactions, told.n_users, told.n_items) == (
        seen.n_interactions, seen.n_users, seen.n_items
    )  # fmt: skip


def test_a_user_is_masked_at_once_and_for_good(service):
    service.submit(users=[3])
    for _ in range(2):
        assert lists(service, users=[3, 4])[0] == [-1] * N_ITEMS
        assert lists(service, users=[3, 4])[1] != [-1] * N_ITEMS
        service.flush()
    same_as_refit(service._model, without(users=[3]))


def test_an_item_is_masked_at_once_until_it_is_lifted(service):
    service.submit(items=[5], request_id="ticket")
    for _ in range(2):
        for question in ({"users": np.arange(N_USERS)}, {"X": DENSE}):
            given = service.recommend(n_items=N_ITEMS, exclude_seen=False, **question)[0]
            assert not (given == 5).any()
            assert (given >= 0).sum() == N_USERS * (N_ITEMS - 1)
        assert service.recommend(users=[1], candidates=[5], n_items=1)[0].tolist() == [[-1]]
        service.flush()
    same_as_refit(service._model, without(items=[5]))
    assert service.lift([5, 6]) == 1
    given = service.recommend(users=np.arange(N_USERS), n_items=N_ITEMS, exclude_seen=False)[0]
    assert (given == 5).any(axis=1).all()
    assert service.ledger.entries()[-1]["action"] == "lift"


def test_a_pair_is_masked_until_the_flush(service):
    user, item = map(int, np.argwhere(DENSE)[7])
    service.submit(interactions=[(user, item)])
    given = service.recommend(users=[user, 9], n_items=N_ITEMS, exclude_seen=False)[0]
    assert item not in given[0] and item in given[1]
    assert (given[0] >= 0).sum() == N_ITEMS - 1
    short = service.recommend(users=[user], n_items=4, exclude_seen=False)[0][0].tolist()
    assert short == given[0][:4].tolist()
    service.flush()
    assert item in service.recommend(users=[user], n_items=N_ITEMS)[0][0]
    same_as_refit(service._model, without(pairs=[(user, item)]))


def test_masked_items_play_no_part_in_a_fold_in(service):
    service.submit(items=[5])
    with_item, without_item = np.zeros((2, N_ITEMS))
    with_item[[1, 5]], without_item[1] = 1, 1
    assert np.array_equal(*(service.recommend(X=[row])[1] for row in (with_item, without_item)))


def test_an_export_is_told_what_is_masked(service):
    user, item = map(int, np.argwhere(DENSE)[7])
    service.submit(users=[20], items=[5], interactions=[(user, item)])
    users, items = [20, 1, user, user, 999], [1, 5, item, (item + 1) % N_ITEMS, 1]
    free = [False, False, False, (item + 1) % N_ITEMS != 5, True]
    for form in (list, np.array, pd.Series):
        assert service.allowed(form(users), form(items)).tolist() == free
    # As floats, to which a missing id turns a column, nobody would be recognised.
    with pytest.raises(TypeError, match="users holds something of type float; expected integers"):
        service.allowed(np.array(users, float), items)
    with pytest.raises(ValueError, match="there are 5 users and 1 items; expected as many"):
        service.allowed(users, [1])


def test_a_request_of_another_process_is_masked_too(url):
    with DeletionService(fitted(), url, key=KEY) as service:
        assert lists(service, users=[3])[0] != [-1] * N_ITEMS
        with DeletionQueue(url, key=KEY) as queue:
            queue.submit(users=[3], request_id="ticket")
            assert lists(service, users=[3])[0] == [-1] * N_ITEMS
            queue.cancel("ticket")
            assert lists(service, users=[3])[0] != [-1] * N_ITEMS


def test_users_can_be_refused(url):
    with DeletionService(fitted(), url, key=KEY, on_suppressed="raise") as service:
        service.submit(users=[3])
        for _ in range(2):
            with pytest.raises(UnknownInteractionError, match="1 of 2 users are not served"):
                service.recommend(users=[3, 4])
            service.flush()


# -- scopes ----------------------------------------------------------------------------------------
CATEGORIES = {item: "horror" if item % 3 == 0 else "other" for item in range(N_ITEMS)}
PAIRS = np.argwhere(DENSE)
DAYS = np.datetime64("2020-01-01") + np.random.default_rng(1).integers(0, 1000, len(PAIRS))


def test_a_category_of_a_user(url):
    with DeletionService(fitted(), url, key=KEY, categories=CATEGORIES) as service:
        service.submit(categories=[(4, "horror"), (5, "nothing is")])
        given = service.recommend(users=[4, 5], n_items=N_ITEMS, exclude_seen=False)[0]
        assert all(item % 3 for item in given[0] if item >= 0)
        assert any(item % 3 == 0 for item in given[1])
        service.flush()
        gone = [(4, item) for item in range(0, N_ITEMS, 3)]
        same_as_refit(service._model, without(pairs=gone))


@pytest.mark.parametrize("as_numbers", [False, True])
def test_what_is_older_than_a_date(url, as_numbers):
    times = DAYS.astype("datetime64[s]").astype(float) if as_numbers else DAYS
    # The first pair has a second event, a young one: the interaction is as old as that.
    users, items = (np.append(column, column[0]) for column in PAIRS.T)
    times = np.append(times, times.max())
    columns = lambda: (users, items, times)  # noqa: E731 - as one passes it
    with DeletionService(fitted(), url, key=KEY, event_times=columns) as service:
        service.submit(before=date(2021, 1, 1), regulation=None, request_id="retention")
        service.flush()
        old = np.datetime64("2021-01-01") > DAYS
        old[0] = False
        same_as_refit(service._model, without(pairs=map(tuple, PAIRS[old])))
        entry = service.ledger.entries()[-1]
        assert entry["n_interactions"] == old.sum() > 10


def test_requests_wait_for_a_service_that_can_resolve_them(url):
    waiting = {"cat": {"categories": [(4, "horror")]}, "age": {"before": date(2021, 1, 1)}}
    with DeletionQueue(url, key=KEY) as queue:
        for name, fields in waiting.items():
            queue.submit(**fields, request_id=name)
        queue.submit(users=[3], request_id="user")
    with (
        pytest.warns(UserWarning, match="1 requests name a date, and this service knows no times"),
        DeletionService(fitted(), url, key=KEY) as service,
    ):
        preview = service.preview()
        assert (preview.n_requests, preview.n_not_found, preview.n_left) == (1, 0, 2)
        with pytest.warns(UserWarning, match="2 requests name categories or a date"):
            flushed = service.flush(max_requests=1)  # those before it stop nobody
        assert (flushed.n_requests, flushed.n_left) == (1, 2)
        same_as_refit(service._model, without(users=[3]))
        assert {one.request_id for one in service.pending()} == set(waiting)
        columns = (*PAIRS.T, DAYS)
        options = {"categories": CATEGORIES, "event_times": columns}
    with DeletionService(service._model, url, key=KEY, **options) as service:
        assert service.flush().n_requests == 2
        assert {service.status(name).outcome for name in waiting} == {"forgotten"}
        old = PAIRS[np.datetime64("2021-01-01") > DAYS]
        gone = [(4, item) for item in range(0, N_ITEMS, 3)]
        same_as_refit(service._model, without(users=[3], pairs=[*gone, *map(tuple, old)]))


def test_who_names_an_unknown_category_is_masked_whole(url):
    with DeletionQueue(url, key=KEY) as queue:
        queue.submit(categories=[(4, "horror")], request_id="cat")
    with DeletionService(fitted(), url, key=KEY) as service:
        assert (service.recommend(users=[4])[0] == -1).all()
        assert (service.recommend(users=[5])[0] >= 0).any()
        assert service.allowed([4, 5], [0, 0]).tolist() == [False, True]
        service.cancel("cat")
        assert (service.recommend(users=[4])[0] >= 0).any()


def test_scopes_that_the_service_knows_nothing_for_are_refused(service):
    for fields in ({"categories": [(1, "horror")]}, {"before": date(2020, 1, 1)}):
        with pytest.raises(ValueError, match="the service knows no"):
            service.submit(**fields)


@pytest.mark.parametrize(
    "fields",
    [{"users": [N_USERS]}, {"users": [-1]}, {"items": [N_ITEMS]}, {"users": ["a"]},
     {"interactions": [(0, N_ITEMS)]}, {"interactions": [("a", 0)]}, {"users": [UUID(int=1)]}],
)  # fmt: skip
def test_positions_that_the_model_does_not_have_are_refused(service, fields):
    with pytest.raises((TypeError, ValueError), match="expected"):
        service.submit(**fields)
    assert service.pending() == []


@pytest.mark.parametrize(
    ("times", "message"),
    [((1, 2), "no three columns"), (([1], [2], [1, 2]), "no three columns"),
     (([1], [2], [np.nan]), "1 missing times"), (([1], [2], ["x"]), "expected a date"),
     (([1], [2], [np.datetime64("nat")]), "1 missing times")],
)  # fmt: skip
def test_times_that_are_none_are_found_before_a_request_is_taken_in(times, message):
    service = DeletionService(fitted(), ":memory:", event_times=times)
    lists = service.recommend(users=[1])[0]
    with pytest.raises((TypeError, ValueError), match=message):
        service.submit(before=date(2020, 1, 1))
    assert service.pending() == []
    np.testing.assert_array_equal(service.recommend(users=[1])[0], lists)


@pytest.mark.parametrize("categories", [{1: {}}, {(1, 2): "horror"}])
def test_categories_that_are_none_are_found_before_a_request_is_taken_in(categories):
    service = DeletionService(fitted(), ":memory:", categories=categories)
    with pytest.raises((TypeError, ValueError), match=r"categories.*expected"):
        service.submit(categories=[(1, "horror")])
    assert service.pending() == []


# -- flush -----------------------------------------------------------------------------------------
def test_one_batch_equals_a_refit_and_is_recorded(service):
    pair = tuple(map(int, PAIRS[40]))
    requests = [{"users": [3]}, {"items": [5]}, {"interactions": [pair]}, {"users": [3, 8]}]
    names = [one.request_id for one in service.submit_many(requests)]
    before = digest_of(service._model)
    report = service.flush()
    assert (report.n_requests, report.n_not_found, report.generation) == (4, 0, 1)
    same_as_refit(service._model, without(users=[3, 8], items=[5], pairs=[pair]))
    assert [service.status(name).outcome for name in names] == ["forgotten"] * 4
    assert service.pending() == []
    entries = service.ledger.entries()[-4:]
    assert [entry["request_id"] for entry in entries] == names
    counts = [entry["n_interactions"] for entry in entries]
    assert counts == [DENSE[3].sum(), DENSE[:, 5].sum(), 1, DENSE[[3, 8]].sum()]
    assert {entry["model_before"] for entry in entries} == {before}
    assert {entry["model_after"] for entry in entries} == {digest_of(service._model)}
    assert {entry["guarantee"] for entry in entries} == {report.report.guarantee}
    assert verify_ledger(service.store, head=service.ledger.head())
    assert service.flush().n_requests == 0


def test_a_request_that_finds_nothing_blocks_nobody(url):
    with DeletionQueue(url, key=KEY) as queue:
        for place, users in enumerate(([3], [999], ["somebody"], [3])):
            queue.submit(users=users, request_id=str(place))
    with DeletionService(fitted(), url, key=KEY) as service:
        report = service.flush()
        assert (report.n_requests, report.n_not_found) == (4, 2)
        outcomes = [service.status(str(place)).outcome for place in range(4)]
        assert outcomes == ["forgotten", "not found", "not found", "forgotten"]
        same_as_refit(service._model, without(users=[3]))
        service.submit(users=[3], request_id="again")
        assert service.flush().generation == 2  # recorded, for backups that hold more
        assert service.status("again").outcome == "not found"
        entry = service.ledger.entries()[-1]
        assert entry["model_before"] == entry["model_after"] == digest_of(service._model)
        assert entry["method"] is None


def test_a_damaged_request_is_told_by_its_reference(service):
    service.submit_many([{"users": [one], "request_id": f"ticket-{one}"} for one in (3, 4)])
    table, sql = service.store.tables.requests, service.store.sql
    with service.store.writing() as transaction:
        update = sql.update(table).where(table.c.request_id == "ticket-3")
        transaction.run(update.values(payload=b"damaged"))
    for ask in (service.flush, service.preview, lambda: service.recommend(users=[5])):
        with pytest.raises(StoreError, match=r"ticket-3 cannot be .*; expected .* cancel this"):
            ask()
    service.cancel("ticket-3")
    assert service.flush().n_requests == 1
    same_as_refit(service._model, without(users=[4]))


def test_a_budget_takes_the_oldest_first(service):
    names = [service.submit(users=[user]).request_id for user in range(5)]
    assert service.flush(max_requests=2).n_requests == 2
    assert [service.status(name).status for name in names] == ["completed"] * 2 + ["pending"] * 3
    same_as_refit(service._model, without(users=[0, 1]))
    for wrong in (0, -1, 1.5, "all", True):
        with pytest.raises(ValueError, match="no positive integer"):
            service.flush(max_requests=wrong)


def test_what_was_cancelled_is_not_forgotten(service):
    service.submit(users=[3], request_id="ticket-1")
    service.submit(users=[4], request_id="ticket-2")
    service.cancel("ticket-1")
    assert lists(service, users=[3])[0] != [-1] * N_ITEMS
    service.flush()
    same_as_refit(service._model, without(users=[4]))
    with pytest.raises(ValueError, match="the request is completed"):
        service.cancel("ticket-2")


def test_an_error_of_the_model_leaves_the_requests_pending(service, monkeypatch):
    service.submit(users=[3], request_id="ticket-1")

    def fails(*args, **kwargs):
        raise ForgetError("the tolerance was not met")

    with monkeypatch.context() as patch:
        patch.setattr(EASE, "forget", fails)
        with pytest.raises(ForgetError):
            service.flush()
    assert service.status("ticket-1").status == "pending"
    assert service.flush().n_requests == 1
    same_as_refit(service._model, without(users=[3]))


def test_one_flush_at_a_time(service):
    service.submit(users=[3])
    with service.store.flush_lock() as lock:
        assert lock is not None
        assert service.flush().busy
        assert len(service.pending()) == 1
    assert service.flush().n_requests == 1


def test_a_flush_of_another_connection_is_busy(url):
    with DeletionService(fitted(), url, key=KEY) as one, DeletionQueue(url, key=KEY) as two:
        one.submit(users=[3])
        with two.store.flush_lock() as lock:
            assert lock is not None
            assert one.flush().busy
        assert one.flush().n_requests == 1


def test_the_lock_is_free_at_once_after_an_error(url):
    with DeletionQueue(url, key=KEY) as queue:
        for _ in range(20):
            with pytest.raises(ZeroDivisionError), queue.store.flush_lock() as lock:
                assert lock is not None
                raise ZeroDivisionError


# -- several processes, and backups ----------------------------------------------------------------
def test_a_worker_loads_what_another_has_flushed(url, tmp_path):
    path = tmp_path / "model.skops"
    with (
        DeletionService(fitted(), url, path, key=KEY) as one,
        DeletionService(None, url, path, key=KEY) as two,
    ):
        two.submit(users=[3])
        assert lists(one, users=[3])[0] == [-1] * N_ITEMS
        one.flush()
        assert two.is_current
        assert lists(two, users=[3, 4]) == lists(one, users=[3, 4])
        same_as_refit(two._model, without(users=[3]))
        two.submit(users=[4])
        assert two.flush().generation == 2
        same_as_refit(one._model, without(users=[3]))
        assert one.is_current
        same_as_refit(one._model, without(users=[3, 4]))
        same_as_refit(load(path), without(users=[3, 4]))


def test_a_model_that_is_behind_is_not_served(url):
    backup = fitted()
    with DeletionService(fitted(), url, key=KEY) as service:
        service.submit(users=[3])
        service.flush()
        service.submit(users=[4])
        service.flush()
    with DeletionService(backup, url, key=KEY) as restored:
        assert not restored.is_current
        for call in (lambda: restored.recommend(users=[1]), restored.flush):
            with pytest.raises(StaleModelError, match=r"Bring it up to date by replay\(\)"):
                call()
        report = restored.replay()
        assert (report.n_records, report.generation) == (2, 2)
        assert report.n_interactions == DENSE[[3, 4]].sum()
        same_as_refit(backup, without(users=[3, 4]))
        assert lists(restored, users=[3])[0] == [-1] * N_ITEMS
        assert restored.ledger.entries()[-1]["action"] == "replay"
        assert verify_ledger(restored.store)
    with DeletionService(backup, url, key=KEY) as again:
        assert again.is_current


def test_a_backup_of_the_middle_forgets_the_rest(url):
    with DeletionService(fitted(), url, key=KEY) as service:
        service.submit(users=[3])
        service.flush()
        middle = copy.deepcopy(service._model)
        service.submit(items=[4])
        service.flush()
        assert replay(middle, url, key=KEY).n_records == 1
        same_as_refit(middle, without(users=[3], items=[4]))
        assert replay(middle, url, key=KEY).n_records == 0


def test_a_backup_older_than_the_records_is_refused(url):
    keep = timedelta(days=30)
    backup, other = fitted(), fitted(without(users=[3, 4]))
    with DeletionService(fitted(), url, key=KEY, keep_for=keep) as service:
        service.submit(users=[3])
        service.flush()
        now = service._now()
        service._now = lambda: now + 31 * 86400
        service.submit(users=[4])
        service.flush()
        with pytest.raises(StaleModelError, match="1 of the 2 records"):
            replay(backup, url, key=KEY)
        same_as_refit(backup, DENSE)
        # A model that was fitted anew on what remains has nothing to forget.
        since = date.fromtimestamp(now + 40 * 86400)
        assert replay(other, url, key=KEY, since=since).n_records == 0
        assert DeletionService(other, service.store, key=KEY).is_current


def test_without_the_replay_key_nobody_reads_the_records(url):
    replay_key = generate_key()
    with DeletionService(fitted(), url, key=KEY, replay_key=replay_key) as service:
        service.submit(users=[3])
        service.flush()
        with pytest.raises(ValueError, match="cannot be decrypted"):
            replay(fitted(), url, key=KEY)
        assert replay(fitted(), url, key=replay_key).n_records == 1


def test_no_record_is_kept_where_none_is_wanted(url):
    with DeletionService(fitted(), url, key=KEY, keep_for=timedelta(0)) as service:
        service.submit(users=[3])
        service.flush()
        with pytest.raises(StaleModelError, match="1 of the 1 records"):
            replay(fitted(), url, key=KEY)


def test_a_model_of_another_shape_is_refused_without_an_id(url):
    with DeletionService(fitted(), url, key=KEY) as service:
        service.submit(users=[29])
        service.flush()
        with pytest.raises(ValueError, match="1 positions of the records are out of range"):
            replay(fitted(DENSE[:20]), url, key=KEY)


# -- ids -------------------------------------------------------------------------------------------
def test_a_pipeline_is_served_in_ids(url, tmp_path):
    path = tmp_path / "model.skops"
    with DeletionService(fitted_pipeline(), url, path, key=KEY) as service:
        plain = fitted_pipeline().recommend(users=[1001], n_items=3)
        given = service.recommend(users=[1001], n_items=3)
        assert all(np.array_equal(given[name], plain[name]) for name in plain)
        service.submit(users=[1003], items=[7005], interactions=[(1001, 7002)])
        for _ in range(2):
            table = service.recommend(users=[1003, 1001, 999], n_items=N_ITEMS, exclude_seen=False)
            assert set(table["user"]) == {1001} and 7005 not in table["item"]
            service.flush()
        expected = without(users=[3], items=[5], pairs=[(1, 2)])
        same_as_refit(service._model.steps[-1][1], expected)
        assert len(service._model._encoder._users.ids) == N_USERS - 1
        same_as_refit(load(path).steps[-1][1], expected)
        with pytest.raises(TypeError, match="user ids are of type str; expected int"):
            service.submit(users=["somebody"])


def test_a_fold_in_of_a_pipeline_leaves_out_who_asked(url):
    with DeletionService(fitted_pipeline(), url, key=KEY) as service:
        service.submit(users=[1003], items=[7005], interactions=[(1001, 7002)])
        events = pd.DataFrame(
            {"user": [1003, 1001, 1001, 1001, 55], "item": [7001, 7002, 7005, 7003, 7005]}
        )
        events = pd.concat([events, pd.DataFrame({"user": [55], "item": [7003]})])
        table = service.recommend(X=events, n_items=N_ITEMS, exclude_seen=False)
        assert set(table["user"]) == {1001, 55} and 7005 not in set(table["item"])
        mine, theirs = (table[table["user"] == user] for user in (1001, 55))
        assert 7002 not in set(mine["item"]) and 7002 in set(theirs["item"])
        # Nothing but 7003 is left of the events of both.
        theirs = theirs[theirs["item"] != 7002]
        assert mine["item"].tolist() == theirs["item"].tolist()
        np.testing.assert_array_equal(mine["score"], theirs["score"])


def test_a_pipeline_is_replayed_in_ids(url):
    backup = fitted_pipeline()
    with DeletionService(fitted_pipeline(), url, key=KEY) as service:
        service.submit(users=[1003], interactions=[(1001, 7002)])
        service.flush()
        replay(backup, url, key=KEY)
        same_as_refit(backup.steps[-1][1], without(users=[3], pairs=[(1, 2)]))
        assert 1003 not in backup._encoder._users.ids


def test_ids_of_text_and_uuids(url):
    names = {"text": lambda k: f"somebody-{k}", "uuid": lambda k: UUID(int=k + 10**9)}
    for make in names.values():
        events = {"user": [make(k) for k in EVENTS["user"]], "item": EVENTS["item"]}
        model = make_recommender_pipeline(InteractionEncoder(), ItemKNN(3)).fit(events)
        service = DeletionService(model, ":memory:")
        service.submit(users=[make(1003)])
        assert len(service.recommend(users=[make(1003)])["user"]) == 0
        assert service.flush().n_not_found == 0
        assert service.flush().n_requests == 0


def test_what_was_forgotten_is_put_on_the_list(url, tmp_path):
    forgotten = DoNotLearnList(tmp_path / "list.db", key=generate_key())
    with DeletionService(fitted_pipeline(), url, key=KEY, do_not_learn=forgotten) as service:
        service.submit(users=[1003], items=[7005], interactions=[(1001, 7002)])
        assert len(forgotten) == 0
        service.flush()
        blocked = forgotten.blocked(EVENTS["user"], EVENTS["item"])
        expected = [
            user == 1003 or item == 7005 or (user, item) == (1001, 7002)
            for user, item in zip(EVENTS["user"], EVENTS["item"], strict=True)
        ]
        assert blocked.tolist() == expected
    forgotten._store.close()


def test_a_mark_finds_a_request_by_its_key(url):
    one, two = generate_key(), generate_key()
    with (
        DeletionService(fitted(), url, key=KEY, mark_key=one) as service,
        DeletionService(fitted(), ":memory:", mark_key=one) as other,
        DeletionService(fitted(), ":memory:", mark_key=two) as strange,
    ):
        marks = []
        for each in (service, other, strange):
            each.submit(users=[3])
            each.flush()
            marks.append(each.ledger.entries()[-1]["mark"])
    assert marks[0] == marks[1] != marks[2]


# -- what is left ----------------------------------------------------------------------------------
def test_no_byte_of_a_request_is_left_after_the_flush(tmp_path):
    path = tmp_path / "deletions.db"
    keep = timedelta(0)
    with DeletionService(fitted_pipeline(), path, key=KEY, keep_for=keep) as service:
        for user in range(1000, 1020):
            service.submit(users=[user])
        table = service.store.tables.requests
        with service.store.reading() as connection:
            query = service.store.sql.select(table.c.payload, table.c.fingerprint)
            rows = connection.execute(query).all()
        sealed = [bytes(row.payload) for row in rows] + [row.fingerprint.encode() for row in rows]
        files = b"".join(one.read_bytes() for one in tmp_path.iterdir())
        assert all(one in files for one in sealed)
        intents = []
        steps = service._steps
        service._steps = lambda lock: _Spy(steps(lock), service, intents)
        report = service.flush()
        assert report.erased
        files = b"".join(one.read_bytes() for one in tmp_path.iterdir())
        assert len(intents) == 1
        assert not any(one in files for one in sealed + intents)


class _Spy:
    """Steps of a flush that note the intent while it is in the store."""

    def __init__(self, steps, service, intents):
        self.steps, self.service, self.intents = steps, service, intents

    def __getattr__(self, name):
        return getattr(self.steps, name)

    def forget(self, batch, model):
        table = self.service.store.tables.replay
        with self.service.store.reading() as connection:
            query = self.service.store.sql.select(table.c.payload)
            self.intents.append(bytes(connection.execute(query).scalar_one()))
        return self.steps.forget(batch, model)


def test_the_ledger_holds_no_id_and_no_plain_hash_of_one(url):
    import hashlib

    with DeletionService(fitted_pipeline(), url, key=KEY, mark_key=generate_key()) as service:
        service.submit(users=[1003], items=[7005])
        service.flush()
        text = str(
            [{k: v for k, v in one.items() if k != "time"} for one in service.ledger.entries()]
        )
        plain = [str(one) for one in (1003, 7005)]
        hashes = [getattr(hashlib, kind)(one.encode()).hexdigest() for one in plain
                  for kind in ("md5", "sha1", "sha256", "blake2b")]  # fmt: skip
        for entry in service.ledger.entries():
            assert not {1003, 7005} & set(entry.values())
        assert not any(one in text for one in hashes)


@pytest.mark.parametrize(
    "options",
    [{"keep_for": 30}, {"keep_for": timedelta(-1)}, {"on_suppressed": "hide"},
     {"do_not_learn": []}, {"categories": [1]}, {"key": "x"}, {"replay_key": "x"}],
)  # fmt: skip
def test_options_that_are_none(options):
    with pytest.raises((TypeError, ValueError), match="expected"):
        DeletionService(fitted(), ":memory:", **options)


def test_a_service_needs_a_model():
    with pytest.raises(TypeError, match="model and path are None"):
        DeletionService(None, ":memory:")
    with pytest.raises(TypeError, match="store is of type int"):
        DeletionService(fitted(), 7, key=KEY)
    events = {"user": [(1, 2), (1, 3), (2, 2)], "item": [1, 2, 1]}
    with pytest.raises(TypeError, match="user ids of the model are of type tuple"):
        DeletionService(fitted_pipeline(events), ":memory:")
