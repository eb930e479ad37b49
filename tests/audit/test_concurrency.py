"""Readers during flushes: whole models, and nothing that was taken down comes back."""

import copy
import threading

import numpy as np
import pytest

from sklearn_unlearn.audit import DeletionService, generate_key
from tests.audit.test_service import DENSE, N_ITEMS, N_USERS, fitted

KEY = generate_key()
READERS = 3


def read_while(service, question, check, work):
    """Ask in several threads while the work is done; return how many answers were checked."""
    done, failures, counts = threading.Event(), [], [0] * READERS

    def read(place):
        try:
            while not done.is_set():
                known = check.known()
                check(known, service.recommend(**question))
                counts[place] += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(place,)) for place in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        work()
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    assert failures == []
    return min(counts)


class Masked:
    """Answers hold nothing whose request had been taken in when they were asked for."""

    def __init__(self):
        self.items, self.users = [], []

    def known(self):
        return list(self.items), list(self.users)

    def __call__(self, known, answer):
        items, users = known
        assert not np.isin(answer[0], items).any()
        assert (answer[0][users] == -1).all()


@pytest.mark.parametrize("with_file", [False, True])
def test_what_is_taken_down_never_comes_back(url, tmp_path, with_file):
    path = tmp_path / "model.skops" if with_file else None
    with DeletionService(fitted(), url, path, key=KEY) as service:
        check = Masked()
        # With a file, the readers are another worker, which loads what this one has flushed.
        reader = DeletionService(None, service.store, path, key=KEY) if with_file else service

        def work():
            for place in range(5):
                service.submit(items=[place], users=[place + 10])
                check.items.append(place)
                check.users.append(place + 10)
                service.flush()

        question = {"users": np.arange(N_USERS), "n_items": N_ITEMS, "exclude_seen": False}
        assert read_while(reader, question, check, work) > 3
        assert set(check.known()[0]) == set(range(5))


class Whole:
    """Answers are those of one of the models that there were."""

    def __init__(self, expected):
        self.expected = expected

    def known(self):
        return None

    def __call__(self, _, answer):
        assert any(np.array_equal(answer[1], one) for one in self.expected)


def test_no_reader_sees_a_torn_model(url):
    question = {"users": [0, 1, 2], "n_items": N_ITEMS, "exclude_seen": False}
    model = fitted()
    stages = [model.recommend(**question)[1]]
    for user in range(20, 26):
        model.forget(users=[user])
        stages.append(model.recommend(**question)[1])
    assert len({one.tobytes() for one in stages}) == 7
    with DeletionService(fitted(), url, key=KEY) as service:

        def work():
            for user in range(20, 26):
                service.submit(users=[user])
                service.flush()

        assert read_while(service, question, Whole(stages), work) > 3
        assert np.array_equal(service.recommend(**question)[1], stages[-1])


def test_flushes_of_several_services_do_each_request_once(url, tmp_path):
    path = tmp_path / "model.skops"
    first = DeletionService(fitted(), url, path, key=KEY)
    services = [first, *(DeletionService(None, url, path, key=KEY) for _ in range(2))]
    names, failures = [], []

    def work(place):
        try:
            for user in range(place, N_USERS, 3):
                names.append(services[place].submit(users=[user]).request_id)
                services[place].flush()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    first.flush()
    done = [one for one in first.ledger.entries() if one["action"] == "forget"]
    assert sorted(one["request_id"] for one in done) == sorted(names)
    assert {one["outcome"] for one in done} == {"forgotten"}
    assert sum(one["n_interactions"] for one in done) == DENSE.sum()
    model = copy.deepcopy(first._model)
    assert model._interactions.n_interactions == 0
    for one in services:
        one.close()
