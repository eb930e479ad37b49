"""Any order of requests, cancellations, flushes, crashes and restarts, against a plain model."""

import copy
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sklearn_unlearn.audit import (
    DeletionService,
    Store,
    _service,
    generate_key,
    replay,
    verify_ledger,
)
from sklearn_unlearn.audit._flush import Flush
from tests.audit.test_service import DENSE, N_ITEMS, N_USERS, fitted, same_as_refit

KEY = generate_key()
STEPS = ["resume", "claim", "_write_intent", "forget", "note", "finish"]
USERS, ITEMS = st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1)


class Crash(BaseException):
    """The end of a process, as far as a test in one process can play it."""


class Deletions(RuleBasedStateMachine):
    """The oracle: a matrix in which what is done is zero, and a dict of what is open."""

    def __init__(self):
        super().__init__()
        self.store = Store(":memory:")
        self.disk = [fitted()]  # the snapshot, and backups of it
        self.matrix, self.open, self.known, self.taken_down = DENSE.copy(), {}, {}, set()
        self.start()

    def start(self):
        model = copy.deepcopy(self.disk[-1])
        self.service = DeletionService(model, self.store, key=KEY, keep_for=timedelta(days=9))
        self.service._path = "in memory"

    # -- what may happen -----------------------------------------------------------------------
    @rule(users=st.lists(USERS, max_size=2), items=st.lists(ITEMS, max_size=1),
          pairs=st.lists(st.tuples(USERS, ITEMS), max_size=3))  # fmt: skip
    def submit(self, users, items, pairs):
        if not (users or items or pairs):
            return
        name = f"ticket-{len(self.known)}"
        fields = {"users": users, "items": items, "interactions": pairs, "request_id": name}
        for _ in range(2):
            self.service.submit(**fields)
        self.open[name] = self.known[name] = fields

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def deliver_again(self, data):
        name = data.draw(st.sampled_from(sorted(self.known)))
        status = self.service.submit(**self.known[name]).status
        assert (status == "pending") == (name in self.open)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def cancel(self, data):
        name = data.draw(st.sampled_from(sorted(self.open)))
        self.service.cancel(name)
        del self.open[name]

    @rule(most=st.none() | st.integers(1, 3))
    def flush(self, most):
        report = self.flushed(most)
        expected = len(self.open) if most is None else min(most, len(self.open))
        self.complete(expected)
        assert report.n_requests == expected

    @precondition(lambda self: self.open)
    @rule(step=st.sampled_from(STEPS), after=st.booleans())
    def crash(self, step, after):
        """End the process in a flush, before or after one of its steps; then start again."""
        original = getattr(Flush, step)

        def dying(steps, *args):
            if not after:
                raise Crash
            original(steps, *args)
            raise Crash

        setattr(Flush, step, dying)
        try:
            with pytest.raises(Crash):
                self.flushed(None)
                raise Crash  # some flushes have nothing to forget, and no such step
        finally:
            setattr(Flush, step, original)
        self.start()
        assert self.service.is_current
        self.flushed(None)
        self.complete(len(self.open))
        self.renew_the_oldest_backup()

    @precondition(lambda self: len(self.disk) > 1)
    @rule(data=st.data())
    def restore_a_backup(self, data):
        backup = copy.deepcopy(data.draw(st.sampled_from(self.disk)))
        replay(backup, self.store, key=KEY)
        same_as_refit(backup, self.matrix)

    @precondition(lambda self: self.taken_down)
    @rule(data=st.data())
    def lift(self, data):
        item = data.draw(st.sampled_from(sorted(self.taken_down)))
        assert self.service.lift([item]) == 1
        self.taken_down.discard(item)

    def renew_the_oldest_backup(self):
        backup = copy.deepcopy(self.disk[0])
        replay(backup, self.store, key=KEY)
        same_as_refit(backup, self.matrix)

    # -- the oracle ----------------------------------------------------------------------------
    def flushed(self, most):
        def save(model, path, format):
            self.disk.append(copy.deepcopy(model))

        original, _service.save = _service.save, save
        try:
            return self.service.flush(max_requests=most)
        finally:
            _service.save = original

    def complete(self, n):
        for name in list(self.open)[:n]:
            fields = self.open.pop(name)
            self.matrix[fields["users"]] = 0
            self.matrix[:, fields["items"]] = 0
            for pair in fields["interactions"]:
                self.matrix[pair] = 0
            self.taken_down.update(fields["items"])

    @invariant()
    def the_model_is_that_of_a_refit(self):
        same_as_refit(self.service._model, self.matrix)

    @invariant()
    def the_queue_is_what_is_open(self):
        assert {one.request_id for one in self.service.pending()} == set(self.open)

    @invariant()
    def the_ledger_is_whole_and_holds_each_request_once(self):
        assert verify_ledger(self.store, head=self.service.ledger.head())
        done = [one for one in self.service.ledger.entries() if one["action"] == "forget"]
        names = [one["request_id"] for one in done]
        assert len(names) == len(set(names))
        assert not set(names) & set(self.open)

    @invariant()
    def lists_hold_nothing_that_is_to_go(self):
        given = self.service.recommend(
            users=np.arange(N_USERS), n_items=N_ITEMS, exclude_seen=False
        )[0]
        users = {user for one in self.open.values() for user in one["users"]}
        users |= set(np.flatnonzero(~self.matrix.any(axis=1)).tolist())
        items = self.taken_down | {item for one in self.open.values() for item in one["items"]}
        pairs = {pair for one in self.open.values() for pair in one["interactions"]}
        for user, row in enumerate(given.tolist()):
            expected = set() if user in users else set(range(N_ITEMS)) - items
            expected -= {item for one, item in pairs if one == user}
            assert set(row) - {-1} == expected


Deletions.TestCase.settings = settings(
    max_examples=15, stateful_step_count=12, suppress_health_check=list(HealthCheck)
)
test_any_order = Deletions.TestCase


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_each_step(step, after):
    machine = Deletions()
    machine.submit(users=[3], items=[], pairs=[(1, 1), (2, 2)])
    machine.crash(step=step, after=after)
    machine.the_model_is_that_of_a_refit()
    machine.the_ledger_is_whole_and_holds_each_request_once()
    machine.lists_hold_nothing_that_is_to_go()
    assert machine.service.status("ticket-0").outcome == "forgotten"
