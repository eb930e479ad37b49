"""Locks in a forked child, where the thread that held them is not; attributes after a failure."""

import multiprocessing
import os
import re
import signal
import threading
import weakref
from pathlib import Path

import pytest

import sklearn_unlearn
from sklearn_unlearn import ItemKNN
from sklearn_unlearn.influence._problem import ForgetProblem
from sklearn_unlearn.metrics import make_forget_scorer
from sklearn_unlearn.utils import _verbs
from sklearn_unlearn.utils._verbs import cached_property, lock_of, restored_on_failure

X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]]

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)


def forks_well(held, work):
    """Run some work in a child that is forked while a thread holds a lock."""
    taken, done = threading.Event(), threading.Event()

    def hold():
        with held:
            taken.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(60)
    try:
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        child.join(20)
        code = child.exitcode
        child.kill()
    finally:
        done.set()
        thread.join()
    return code == 0


def test_a_child_forked_while_a_thread_forgets_can_forget():
    model = ItemKNN(n_neighbors=3).fit(X)
    model.forget(users=[1])
    assert forks_well(lock_of(model), lambda: model.forget(users=[2]))


def test_a_child_forked_while_a_thread_looks_for_a_lock_can_forget():
    model = ItemKNN(n_neighbors=3).fit(X)
    model.forget(users=[1])
    assert forks_well(_verbs._LOCKS_GUARD, lambda: model.forget(users=[2]))


def test_a_child_forked_while_a_thread_refits_can_score():
    model, scorer = ItemKNN(n_neighbors=3).fit(X), make_forget_scorer("rows")
    assert forks_well(lock_of(scorer), lambda: lock_of(scorer).acquire())
    assert scorer(model, [[0, 0]]) <= 0


def test_a_fork_waits_for_the_compiler():
    from numba.core.compiler_lock import global_compiler_lock

    taken = threading.Event()

    def hold():
        with global_compiler_lock:
            taken.set()
            done.wait(0.3)

    done = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(60)
    pid = os.fork()
    if not pid:
        free = global_compiler_lock._lock.acquire(timeout=5)
        os._exit(0 if free else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert global_compiler_lock._lock.acquire(timeout=5)
    global_compiler_lock._lock.release()


def test_a_fork_waits_for_no_property_that_another_thread_computes():
    taken, done = threading.Event(), threading.Event()

    class Table:
        def __init__(self, wait):
            self.wait = wait

        @cached_property
        def total(self):
            if self.wait:
                taken.set()
                done.wait(60)
            return 3

    thread = threading.Thread(target=lambda: Table(True).total)
    thread.start()
    taken.wait(60)
    pid = os.fork()
    if not pid:
        signal.alarm(5)  # kills a child that waits
        os._exit(0 if Table(False).total == 3 else 1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_no_module_takes_the_property_with_a_lock():
    assert isinstance(ForgetProblem._touched, cached_property)
    package = Path(sklearn_unlearn.__file__).parent
    users = [
        path
        for path in package.rglob("*.py")
        if re.search(r"from functools import .*cached_property", path.read_text(encoding="utf-8"))
    ]
    assert users == []


def test_the_parent_keeps_its_locks():
    model = ItemKNN(n_neighbors=3).fit(X)
    before = lock_of(model)
    pid = os.fork()
    if not pid:
        os._exit(0 if lock_of(model) is not before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert lock_of(model) is before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StopIteration, GeneratorExit])
def test_a_failure_gives_every_object_its_attributes_back(error):
    models = [ItemKNN(n_neighbors=n) for n in (3, 4)]
    before = [vars(model).copy() for model in models]
    with pytest.raises(error, match=r"^here$"), restored_on_failure(*models):
        models[0].n_neighbors = 5
        models[1].extra_ = 1
        del models[1].n_neighbors
        raise error("here")
    assert [vars(model) for model in models] == before


def test_without_a_failure_the_changes_stay():
    model = ItemKNN(n_neighbors=3)
    own = vars(model)
    with restored_on_failure(model):
        model.n_neighbors = 5
    assert model.n_neighbors == 5 and vars(model) is own


def test_what_an_update_replaces_lives_until_the_block_ends():
    class Value:
        pass

    model = ItemKNN()
    model.old_ = Value()
    old = weakref.ref(model.old_)
    with restored_on_failure(model):
        model.old_ = None
        assert old() is not None
    assert old() is None
