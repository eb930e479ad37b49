"""Shards on a real Dask cluster: the serial result, also where a worker dies on the way."""

import contextlib
import logging
import os
import signal
import threading
import time

import distributed
import joblib
import numpy as np
import pytest

from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.recommenders._knn import ItemKNN
from sklearn_unlearn.sharding import ShardedRecommender
from sklearn_unlearn.sharding import _tasks as tasks

X = abs(make_interactions(120, 40, random_state=0))
N_SHARDS = 5
REQUEST = {"users": [3, 10, 50], "items": [2, 7]}  # touches every shard


class Watched(ItemKNN):
    """Leaves word of each piece of work, takes its time over it, and fails where it is told to."""

    def __init__(self, folder=None, pause=0.0, fails=""):
        super().__init__(10)
        self.folder = folder
        self.pause = pause
        self.fails = fails

    def fit(self, X, y=None):
        self._work("fit")
        return super().fit(X, y)

    def _forget(self, retained, request):
        self._work("forget")
        return super()._forget(retained, request)

    def _work(self, verb):
        jobs = joblib.effective_n_jobs(None)
        path = os.path.join(self.folder, f"{verb} {time.time_ns()} {os.getpid()} {jobs}")
        with open(path, "x"):
            pass
        time.sleep(self.pause)
        if verb == self.fails:
            raise RuntimeError("no room left")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",  # a free port: another cluster may run here
            silence_logs=logging.CRITICAL,  # workers are killed on purpose
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@contextlib.contextmanager
def on_dask(client):
    client.wait_for_workers(2, timeout=30)
    with joblib.parallel_config(backend="dask", client=client):
        yield


def sharded(estimator, **options):
    return ShardedRecommender(estimator, N_SHARDS, random_state=0, **options)


@pytest.fixture
def twin():
    return sharded(ItemKNN(10)).fit(X)


def scores(model):
    return model.decision_function(X)


def at_work(folder, verb):
    """Processes that began some work, in order."""
    return [int(name.split()[2]) for name in sorted(os.listdir(folder)) if name.startswith(verb)]


@contextlib.contextmanager
def killing_a_worker(folder, verb):
    """Kill the process that begins the third piece of some work, while it is at it."""
    killed, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            processes = at_work(folder, verb)
            if len(processes) > 2:
                os.kill(processes[2], signal.SIGKILL)
                killed.append(processes[2])
                return
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        stop.set()
        watcher.join()


@pytest.mark.parametrize("options", [{}, {"method": "refit"}, {"aggregation": "attention"}])
def test_the_result_is_the_serial_one(client, options):
    serial = sharded(ItemKNN(10), **options).fit(X)
    with on_dask(client):
        model = sharded(ItemKNN(10), **options).fit(X)
        assert np.array_equal(scores(model), scores(serial))
        model.forget(**REQUEST)
    np.testing.assert_allclose(scores(model), scores(serial.forget(**REQUEST)), atol=1e-12)
    one, other = (m.forget_report_.to_dict() for m in (model, serial))
    assert one | {"seconds": 0} == other | {"seconds": 0}


def test_both_workers_work(client, tmp_path):
    with on_dask(client):
        model = sharded(Watched(str(tmp_path), 0.2)).fit(X).forget(**REQUEST)
    here = os.getpid()
    for verb in ("fit", "forget"):
        processes = at_work(tmp_path, verb)
        assert len(processes) == N_SHARDS and len(set(processes)) == 2 and here not in processes
    assert {name.split()[3] for name in os.listdir(tmp_path)} == {"1"}  # threads of each
    # One shard's request is answered here: to send the model away would cost more.
    with on_dask(client):
        model.forget(users=[60])
    assert at_work(tmp_path, "forget")[N_SHARDS:] == [here]


def test_a_worker_that_dies_in_the_middle_of_fit_loses_nothing(client, tmp_path, twin):
    with on_dask(client), killing_a_worker(tmp_path, "fit") as killed:
        model = sharded(Watched(str(tmp_path), 0.4)).fit(X)
    assert len(killed) == 1
    assert len(at_work(tmp_path, "fit")) > N_SHARDS  # what died with the worker was done again
    assert np.array_equal(scores(model), scores(twin))
    assert model.shard_sizes_.tolist() == twin.shard_sizes_.tolist()


def test_a_worker_that_dies_in_the_middle_of_forget_loses_nothing(client, tmp_path, twin):
    with on_dask(client):
        model = sharded(Watched(str(tmp_path))).fit(X)
        before = scores(model)
        for one in model.estimators_:
            one.pause = 0.4
        with killing_a_worker(tmp_path, "forget") as killed:
            model.forget(**REQUEST)
    assert len(killed) == 1
    assert len(at_work(tmp_path, "forget")) > N_SHARDS
    assert not np.array_equal(scores(model), before)
    np.testing.assert_allclose(scores(model), scores(twin.forget(**REQUEST)), atol=1e-12)
    assert model.forget_report_.n_interactions == twin.forget_report_.n_interactions


def test_a_shard_that_fails_leaves_the_model_as_it_was(client, tmp_path):
    with on_dask(client):
        model = sharded(Watched(str(tmp_path))).fit(X)
        model.estimators_[2].fails = "forget"
        before = joblib.hash(vars(model))
        with pytest.raises(RuntimeError, match="no room left"):
            model.forget(**REQUEST)
        assert joblib.hash(vars(model)) == before
        model.estimator.fails = "fit"
        before = joblib.hash(vars(model))
        with pytest.raises(RuntimeError, match="no room left"):
            model.fit(X)
        assert joblib.hash(vars(model)) == before


class Announced(tasks.ShardData):
    """Leaves word of where it arrives, and of how many interactions came."""

    __slots__ = ()
    folder = ""

    def __reduce__(self):
        return arrive, (Announced.folder, tuple(self))


def arrive(folder, fields):
    shard = tasks.ShardData(*fields)
    with open(os.path.join(folder, f"{len(shard.indices)} {time.time_ns()} {os.getpid()}"), "x"):
        pass
    return shard


def test_each_shard_arrives_at_one_worker_once_and_no_other_data_do(
    client, monkeypatch, tmp_path, twin
):
    scattered = []
    monkeypatch.setattr(tasks, "ShardData", Announced)
    monkeypatch.setattr(Announced, "folder", str(tmp_path))
    monkeypatch.setattr(distributed.Client, "scatter", lambda *a, **k: scattered.append(a))
    with on_dask(client):
        model = sharded(ItemKNN(10)).fit(X)
    # The scheduler, which runs in this process here, reads what it passes on.
    arrivals = [name.split() for name in os.listdir(tmp_path)]
    sizes = sorted(int(size) for size, _, pid in arrivals if int(pid) != os.getpid())
    assert sizes == sorted(twin.shard_sizes_.tolist())
    assert not scattered and np.array_equal(scores(model), scores(twin))
