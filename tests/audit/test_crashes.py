"""kill -9 at random moments: each request is done once, as in a refit, and leaves no trace."""

import multiprocessing
import signal
import tempfile
from collections import Counter

import numpy as np
import pytest

from sklearn_unlearn.audit import (
    DeletionService,
    audit_residue,
    generate_key,
    load,
    make_probe,
    save,
    verify_ledger,
)
from tests.audit import crashing
from tests.audit.databases import BACKENDS
from tests.audit.test_service import fitted as fitted_on_positions
from tests.pages import ROOT

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.audit.crashing"])


@pytest.fixture(autouse=True)
def _found_by_the_server(monkeypatch):
    """Let the server of forks import the package and the tests once, for all its children."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def crash(url, path, key, n_crashes):
    """Run processes until so many were killed; return the seeds of all."""
    seeds, n_killed = [], 0
    while n_killed < n_crashes:
        seeds.append(len(seeds))
        assert len(seeds) < 4 * n_crashes + 10
        process = CONTEXT.Process(target=crashing.run, args=(url, str(path), key, seeds[-1]))
        process.start()
        process.join(120)
        assert process.exitcode in (0, -signal.SIGKILL)
        n_killed += process.exitcode != 0
    return seeds


def probe_of(asked):
    """What all requests together must leave no trace of; found in a model that has it all."""
    named = {"users": [], "interactions": []}
    for one in map(crashing.in_ids, asked):
        for name, ids in named.items():
            ids += one[name]
    users, items = zip(*named["interactions"], strict=True)
    named["interactions"] = {"user": list(users), "item": list(items)}
    before = crashing.fitted()
    probe = make_probe(before, named)
    with tempfile.TemporaryDirectory() as folder:
        save(before, f"{folder}/model.skops")
        assert {one.kind for one in audit_residue(None, probe, folder).findings} > {"id"}
    assert audit_residue(before, probe).count > len(asked) / 10
    return probe


def nothing_is_left(service, path, probe):
    """Audit model, snapshot, store and whatever else lies in their folder."""
    report = audit_residue(service._model, probe, [path.parent])
    assert report.findings == () and report.not_searched == ()
    assert audit_residue(load(path), probe).findings == ()


def survives(url, path, n_crashes):
    key = generate_key()
    asked = [one for seed in crash(url, path, key, n_crashes) for one in crashing.requests(seed)]
    probe = probe_of(asked)
    with DeletionService(None, url, path, key=key) as service:
        service.submit_many(map(crashing.in_ids, asked))  # again: some had not been taken in
        service.flush()
        assert service.is_current and service.pending() == []
        names = {one["request_id"] for one in asked}
        for action in ("suppress", "forget"):
            entries = [one for one in service.ledger.entries() if one["action"] == action]
            counts = Counter(one["request_id"] for one in entries)
            assert counts == dict.fromkeys(names, 1)
        assert verify_ledger(service.store, head=service.ledger.head())
        expected = crashing.DENSE.copy()
        for one in asked:
            expected[one.get("users", [])] = 0
            for pair in one.get("interactions", ()):
                expected[pair] = 0
        refit = fitted_on_positions(expected).decision_function(expected)
        for model in (service._model.steps[-1][1], load(path).steps[-1][1]):
            assert np.array_equal(model._interactions.to_csr().toarray(), expected)
            np.testing.assert_allclose(model.decision_function(expected), refit, atol=1e-9)
        nothing_is_left(service, path, probe)
    print(f"{n_crashes} crashes, {len(asked)} requests, {probe}")


def test_twenty_crashes(tmp_path):
    survives(str(tmp_path / "deletions.db"), tmp_path / "model.skops", 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "n_crashes"), [("sqlite", 200)] + [("postgresql", 20)] * ("postgresql" in BACKENDS)
)
def test_many_crashes(tmp_path, request, backend, n_crashes):
    url = str(tmp_path / "deletions.db")
    if backend == "postgresql":
        url = request.getfixturevalue("new_postgresql")()
    survives(url, tmp_path / "model.skops", n_crashes)
