"""Snapshots come back as they were, are replaced at once, and run nothing when they are loaded."""

import copy
import json
import os
import pickle
import stat
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import NMF
from sklearn.preprocessing import Binarizer, FunctionTransformer

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.audit import _files, _stored_types, digest_of, load, save
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder, RatingBinarizer
from sklearn_unlearn.recommenders import _paged
from sklearn_unlearn.utils import _derived_tables
from sklearn_unlearn.utils._pages import Pages
from tests.audit.stored import IDS, archive_of, damaged, members_of, models, with_ids
from tests.malformed import DENSE, crafted, fitted_models
from tests.pipeline.events import Capped, make_events

pytestmark = pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")
REFUSED = r"^the (snapshot|loaded) .*; expected .*\. [LNI]"


@pytest.fixture(scope="module")
def fitted():
    return models()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skops"


def tables_of(model):
    users = model[0]._users.ids if hasattr(model, "steps") else np.arange(len(DENSE))
    answers = model.recommend(users=users, n_items=3, exclude_seen=False)
    columns = answers.values() if isinstance(answers, dict) else answers
    return [np.asarray(one).tolist() for one in columns]


@pytest.mark.parametrize("format", ["skops", "joblib"])
def test_every_model_comes_back_and_forgets(fitted, path, format):
    for name, model in fitted.items():
        digest = save(model, path, format=format)
        loaded = load(path, trusted=format == "joblib" or None, expected_digest=digest)
        assert tables_of(loaded) == tables_of(model), name
        assert digest == digest_of(model) == digest_of(loaded)
        user = model[0]._users.ids[2] if hasattr(model, "steps") else 2
        after = copy.deepcopy(model).forget(users=[user])
        assert digest_of(loaded.forget(users=[user])) == digest_of(after) != digest, name
        again = save(after, path, format=format)
        assert digest_of(load(path, trusted=format == "joblib" or None)) == again


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_every_type_come_back(kind, path):
    pipeline = with_ids(IDS[kind])
    loaded = load(path, expected_digest=save(pipeline, path))
    ids, before = loaded[0]._users.ids, pipeline[0]._users.ids
    assert ids.tolist() == before.tolist() and type(ids[0]) is type(before[0])
    loaded.forget(users=[ids[1]])
    assert tables_of(loaded) == tables_of(pipeline.forget(users=[before[1]]))


def test_models_in_pages_stay_in_pages(path, monkeypatch):
    plain = ALS(3, max_iter=0, random_state=0).fit(DENSE)
    monkeypatch.setattr(_paged, "_WORTH_PAGES", 1)
    monkeypatch.setattr(_paged, "_PAGE_ROWS", 2)
    monkeypatch.setattr(_derived_tables, "_WORTH_PAGES", 1)
    monkeypatch.setattr(_derived_tables, "_PAGE_USERS", 2)
    model = ALS(3, max_iter=0, random_state=0, unlearner="sweep").fit(DENSE)
    loaded = load(path, expected_digest=save(model, path))
    for one in (model, loaded):
        assert len(vars(one)["user_factors_"].pages) == len(DENSE) // 2
        assert isinstance(one._interactions.stored[0], Pages)
    assert digest_of(loaded.forget(users=[3])) == digest_of(model.forget(users=[3]))
    # Pages are a way of storing: the digest is that of the same numbers in one piece.
    assert digest_of(model.set_params(unlearner=None)) == digest_of(
        copy.deepcopy(plain)
        .set_params(unlearner="sweep")
        .forget(users=[3])
        .set_params(unlearner=None)
    )


def test_steps_of_a_pipeline_come_back(path):
    events = {"user": [1, 1, 2, 2, 3], "item": [1, 2, 2, 3, 1], "stars": [5.0, 3, 4, 1, 2]}
    for step in (RatingBinarizer(), FunctionTransformer(np.log1p, accept_sparse=True), Binarizer()):
        pipeline = make_recommender_pipeline(
            InteractionEncoder(value="stars"), step, MatrixFactorization(2, random_state=0)
        ).fit(events)
        assert tables_of(load(path, expected_digest=save(pipeline, path))) == tables_of(pipeline)


# -- the digest ----------------------------------------------------------------------------------
def test_the_digest_is_the_same_in_another_process(fitted):
    code = "import pickle, sys; from sklearn_unlearn.audit import digest_of; m = pickle.load("
    code += "sys.stdin.buffer); print(*map(digest_of, m))"
    chosen = [*fitted.values(), with_ids(IDS["str"])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(chosen), capture_output=True, env=env
    )
    assert done.stdout.decode().split() == [digest_of(model) for model in chosen]


def test_equal_fits_have_one_digest_and_others_do_not(fitted):
    again = models()
    digests = {name: digest_of(model) for name, model in fitted.items()}
    assert digests == {name: digest_of(model) for name, model in again.items()}
    assert len(set(digests.values())) == len(digests)


def test_the_digest_sees_every_part():
    model = fitted_models()["pipeline"]
    digests = {digest_of(model)}
    for owner in (*dict(model.steps).values(), model):
        for name, value in list(vars(owner).items()):
            if name == "guard":
                continue  # of what is learned next: no part of what has been
            twin = copy.deepcopy(model)
            place = next(o for o in (twin, *dict(twin.steps).values()) if type(o) is type(owner))
            if isinstance(value, np.ndarray):
                value = value.copy()
                value.flat[0] = np.nextafter(value.flat[0], np.inf)
            elif sparse.issparse(value):
                value = value.copy()
                value.data[-1] += 1
            else:
                value = ("another", value)
            vars(place)[name] = value
            found = digest_of(twin)
            assert found not in digests, name
            digests.add(found)


def test_layout_is_no_part_of_the_digest():
    class Holder(BaseEstimator):
        def __init__(self, a=None):
            self.a = a

    a = np.arange(12.0).reshape(3, 4)
    same = [a, np.asfortranarray(a), a.astype(">f8"), np.repeat(a, 2, 1)[:, ::2]]
    assert len({digest_of(Holder(one)) for one in same}) == 1
    other = [a, a.T, a.astype("f4"), a.reshape(4, 3), a.tolist(), a.view(np.int64), {1: 2}, {2: 1}]
    assert len({digest_of(Holder(one)) for one in other}) == len(other)
    assert digest_of(Holder({"a": 1, "b": {3, 4}})) == digest_of(Holder({"b": {4, 3}, "a": 1}))
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        digest_of(Holder(loop))


# -- damage --------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", range(0, 200, 50))
def test_a_damaged_file_is_refused(fitted, path, first):
    files = []
    for name in ("ALS", "pipeline", "ShardedRecommender", "GraphFilter"):
        save(fitted[name], path)
        files.append(path.read_bytes())
    for seed in range(first, first + 50):
        data, what = damaged(files[seed % len(files)], seed)
        path.write_bytes(data)
        with pytest.raises(ValueError, match=REFUSED):
            load(path)
            pytest.fail(what)


def test_damaged_contents_are_refused_in_every_model(path):
    chosen = fitted_models()
    for seed in range(0, 200, 11):
        model, what = crafted(chosen, seed)
        skops.io.dump(model, path)
        with pytest.raises(ValueError, match="damaged"):
            load(path)
            pytest.fail(what)


def test_a_changed_number_is_found_by_the_digest(fitted, path):
    digest = save(fitted["ALS"], path)
    other = save(copy.deepcopy(fitted["ALS"]).forget(users=[1]), path)
    with pytest.raises(ValueError, match=rf"has the digest {other[:12]}.*expected {digest[:12]}"):
        load(path, expected_digest=digest)
    members = members_of(path.read_bytes())
    name = next(name for name in members if name.endswith(".npy"))
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])
    path.write_bytes(archive_of(members))
    with pytest.raises(ValueError, match="its digest is not that of what it holds"):
        load(path)
    with pytest.raises(ValueError, match="is no digest"):
        load(path, expected_digest="abc")


class Payload:
    def __reduce__(self):
        return os.mkdir, (os.environ["PAYLOAD"],)


def payloads(data, folder):
    """Files that would make a folder if anything of them ran."""
    pickled = pickle.dumps(Payload())
    yield pickled
    joblib.dump([Payload()], folder / "joblib")
    yield (folder / "joblib").read_bytes()
    members = members_of(data)
    array = next(name for name in members if name.endswith(".npy"))
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    yield archive_of({**members, array: header.ljust(127) + b"\n" + pickled})
    schema = json.loads(members["schema.json"])
    argument = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "__id__": 1}
    argument["content"] = json.dumps(os.environ["PAYLOAD"])
    arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode"}
    arguments |= {"content": [argument], "__id__": 2}
    for module in ("os", "posix", "numpy.os", "sklearn_unlearn.audit._snapshots.os"):
        node = {"__class__": "mkdir", "__module__": module, "content": arguments, "__id__": 3}
        for loader in ("ConstructorFromReduceNode", "ObjectNode", "OperatorFuncNode"):
            schema["content"]["content"]["alpha"] = {**node, "__loader__": loader}
            yield archive_of({**members, "schema.json": json.dumps(schema)})


def test_nothing_that_a_file_names_is_run(fitted, path, tmp_path, monkeypatch):
    made = tmp_path / "made"
    monkeypatch.setenv("PAYLOAD", str(made))
    save(fitted["ALS"], path)
    for data in payloads(path.read_bytes(), tmp_path):
        path.write_bytes(data)
        for trusted in (None, ["sklearn.decomposition._nmf.NMF"]):
            with pytest.raises(ValueError, match=REFUSED):
                load(path, trusted=trusted)
        assert not made.exists()


@pytest.mark.parametrize("name", ["ALS, RandomState", "ALS, Generator"])
def test_a_random_stream_that_would_read_outside_its_memory_is_refused(fitted, path, name):
    save(fitted[name], path)
    members = members_of(path.read_bytes())
    text = members["schema.json"].decode()
    entry = {"ALS, RandomState": '"pos"', "ALS, Generator": '"pool_size"'}[name]
    head, tail = text.split(entry, 1)
    place = tail.index('"content": "') + len('"content": "')
    tail = tail[:place] + "100000000" + tail[tail.index('"', place) :]
    members["schema.json"] = (head + entry + tail).encode()
    path.write_bytes(archive_of(members))
    with pytest.raises(ValueError, match="random stream is out of range"):
        load(path)


def test_classes_of_others_load_if_they_are_named(path):
    pipeline = make_recommender_pipeline(
        InteractionEncoder("who", "what", "stars"), Capped(), ALS(2, random_state=0)
    ).fit(make_events())
    digest, name = save(pipeline, path), f"{Capped.__module__}.Capped"
    with pytest.raises(ValueError, match=rf"holds {name}, which may run code of others"):
        load(path)
    for trusted in ([Capped], {name}, True):
        assert digest_of(load(path, trusted=trusted)) == digest
    with pytest.raises(TypeError, match="trusted is of a wrong type"):
        load(path, trusted=name)


def test_a_pickle_loads_only_if_it_is_trusted(fitted, path):
    save(fitted["EASE"], path, format="joblib")
    with pytest.raises(ValueError, match="may run code when it is loaded"):
        load(path)
    assert tables_of(load(path, trusted=True)) == tables_of(fitted["EASE"])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=REFUSED):
        load(path, trusted=True)
    joblib.dump({"no": "model"}, path)
    with pytest.raises(ValueError, match="object of type dict; expected a model"):
        load(path, trusted=True)


def test_what_is_no_model_is_not_saved(fitted, path):
    for one in ({}, ALS, NMF()):
        with pytest.raises(TypeError, match="expected a model"):
            save(one, path)
    with pytest.raises(ValueError, match="format is 'zip'"):
        save(fitted["ALS"], path, format="zip")
    model = copy.deepcopy(fitted["ALS"]).set_params(verbose=lambda: None)
    model.unlearner = (x for x in ())
    with pytest.raises(TypeError):
        save(model, path)
    assert not list(path.parent.iterdir())


def test_every_estimator_of_the_package_may_be_stored():
    """A new estimator, or one that moves, has to be added to the list."""
    known, found = set(), {BaseEstimator}
    stack = [BaseEstimator]
    while stack:
        for one in stack.pop().__subclasses__():
            found.add(one)
            stack.append(one)
    for one in found:
        if one.__module__.startswith("sklearn_unlearn.") and not one.__subclasses__():
            known.add(f"{one.__module__}.{one.__qualname__}")
    rooms = ("recommenders", "sharding", "pipeline", "preprocessing", "influence", "pruning")
    known = {one for one in known if one.split(".")[1] in rooms and "<locals>" not in one}
    assert known <= _stored_types._OBJECTS


# -- files are replaced at once ------------------------------------------------------------------
def test_an_error_leaves_the_old_file(fitted, path, monkeypatch):
    digest = save(fitted["ALS"], path)
    for name in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(_files.os, name, lambda *_: (_ for _ in ()).throw(OSError("full")))
            with pytest.raises(OSError, match="full"):
                save(fitted["EASE"], path)
        assert digest_of(load(path)) == digest
        assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_files_of_ended_processes_are_deleted_and_others_not(fitted, path):
    abandoned = path.with_name(f".{path.name}.x.part")
    foreign = path.with_name(".other.x.part")
    for one in (abandoned, foreign):
        one.write_bytes(b"a copy of a model")
    with _files.replacing(path) as file:
        file.write(b"of another process")
        save(fitted["ALS"], path)
        assert not abandoned.exists() and foreign.exists()
        assert len(list(path.parent.glob("*.part"))) + len(list(path.parent.glob(".*.part"))) >= 2
    assert path.read_bytes() == b"of another process"


@pytest.mark.parametrize("name", ["pipeline", "ItemKNN"])
def test_a_model_that_forgets_meanwhile_is_saved_as_of_one_moment(fitted, path, name):
    model = copy.deepcopy(fitted[name])
    users = model[0]._users.ids.tolist() if name == "pipeline" else range(len(DENSE))
    allowed, done = {digest_of(model)}, threading.Event()

    def forget():
        for user in users:
            model.forget(users=[user], missing="ignore")
            time.sleep(0.002)
        done.set()

    twin = copy.deepcopy(model)
    for user in users:
        allowed.add(digest_of(twin.forget(users=[user], missing="ignore")))
    thread = threading.Thread(target=forget)
    thread.start()
    while not done.is_set():
        digest = save(model, path)
        assert digest in allowed and digest_of(load(path, expected_digest=digest)) == digest
    thread.join()


def test_permissions_and_links_stay(fitted, path):
    save(fitted["ALS"], path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path)
    save(fitted["EASE"], link)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert digest_of(load(path)) == digest_of(fitted["EASE"])


KILLER = """
import os, random, signal, sys, time
from sklearn_unlearn import ItemKNN
from sklearn_unlearn.audit import digest_of, load, save
path, n = sys.argv[1], int(sys.argv[2])
models = [ItemKNN(2).fit([[1, 1, 0] * k, [0, 1, 1] * k]) for k in (1, 40)]
allowed = {save(model, path) for model in models}
found = []
for seed in range(n):
    before = os.stat(path).st_ino
    child = os.fork()
    if not child:
        while True:
            for model in models:
                save(model, path)
    while os.stat(path).st_ino == before:  # until it saves, however busy the machine is
        time.sleep(0.001)
    time.sleep(random.Random(seed).uniform(0.0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found.append(digest_of(load(path)))
assert set(found) <= allowed, found
save(models[0], path)
print(len(found), os.listdir(os.path.dirname(path)))
"""


@pytest.mark.parametrize("n", [8, pytest.param(500, marks=pytest.mark.slow)])
def test_a_kill_leaves_the_old_or_the_new_file(path, n):
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(path), str(n)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.split() == [str(n), f"['{path.name}']"], done.stderr
