"""Every way to store a pipeline, and to forget from what was stored."""

import io
import os
import pickle
import subprocess
import sys
from uuid import UUID

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io

from sklearn_unlearn.exceptions import UnknownInteractionError
from tests.pipeline.events import MODELS, item_id, make_events, pipeline_of, user_id

EVENTS = make_events()
REQUEST = {"users": [user_id(3)], "items": [item_id(2)]}


def through_skops(pipeline, path):
    data = skops.io.dumps(pipeline)
    types = skops.io.get_untrusted_types(data=data)
    assert all(name.startswith("sklearn_unlearn.") for name in types)
    return skops.io.loads(data, trusted=types)


def through_joblib(mmap_mode):
    def store(pipeline, path):
        joblib.dump(pipeline, path)
        return joblib.load(path, mmap_mode=mmap_mode)

    return store


WAYS = {
    "pickle": lambda pipeline, path: pickle.loads(pickle.dumps(pipeline)),
    "cloudpickle": lambda pipeline, path: cloudpickle.loads(cloudpickle.dumps(pipeline)),
    "joblib": through_joblib(None),
    "joblib mapped": through_joblib("r"),
    "skops": through_skops,
}


def tables_of(pipeline):
    """What a pipeline says: scores of all pairs of ids that it knows."""
    users, items = pipeline[0]._users.ids, pipeline[0]._items.ids
    pairs = {"who": np.repeat(users, len(items)), "what": np.tile(items, len(users))}
    return pairs["who"].tolist(), pipeline.predict_pairs(pairs)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_round_trip_then_forget(way, model, tmp_path):
    pipeline = pipeline_of(model).fit(EVENTS)
    path = tmp_path / "model"
    stored = WAYS[way](pipeline, path)
    on_disk = path.read_bytes() if path.exists() else None
    for again in range(2):  # what has forgotten can be stored, and forgets again
        users, scores = tables_of(stored)
        expected_users, expected = tables_of(pipeline)
        assert users == expected_users
        np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-12)
        request = REQUEST if user_id(3) in users else {"users": user_id(4)}
        pipeline.forget(**request)
        stored.forget(**request)
        with pytest.raises(UnknownInteractionError):
            stored.recommend(users=request["users"])
        assert on_disk is None or path.read_bytes() == on_disk
        stored = WAYS[way](stored, tmp_path / f"again{again}")


def test_ids_of_every_type_survive_skops(tmp_path):
    for make in (lambda n: UUID(int=n), lambda n: n + 2**63, str):
        events = {"who": [make(k % 7) for k in range(40)], "what": [k % 5 for k in range(40)]}
        pipeline = pipeline_of("als").set_params(interactionencoder__value=None).fit(events)
        data = skops.io.dumps(pipeline)
        stored = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
        stored.forget(users=make(3))
        found = stored.recommend(users=make(2), n_items=5, exclude_seen=False)["who"]
        assert found.tolist() == [make(2)] * 5


def test_skops_refuses_what_was_not_reviewed():
    data = skops.io.dumps(pipeline_of().fit(EVENTS))
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        skops.io.loads(data, trusted=None)


def test_a_pipeline_made_here_forgets_in_another_process():
    code = (
        "import pickle, sys; pipeline = pickle.load(sys.stdin.buffer); "
        f"pipeline.forget(users={user_id(3)!r}); "
        "sys.stdout.buffer.write(pickle.dumps(pipeline[-1].item_factors_))"
    )
    pipeline = pipeline_of().fit(EVENTS)
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(pipeline),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    factors = pickle.load(io.BytesIO(done.stdout))
    expected = pipeline.forget(users=user_id(3))[-1].item_factors_
    np.testing.assert_allclose(factors, expected, rtol=1e-10, atol=1e-12)
