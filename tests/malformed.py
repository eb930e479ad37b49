"""Malformed matrices and crafted files, by seed; run as a script, models meet them one by one.

``python -m tests.malformed matrices 0 50`` and ``python -m tests.malformed files 0 50`` print each
case before it is tried, so that whoever started them knows which one ended the interpreter.
"""

import copy
import dataclasses
import pickle
import sys
import tempfile
import warnings
from pathlib import Path

import joblib
import numpy as np
from scipy import sparse

from sklearn_unlearn import (
    ALS,
    BPR,
    EASE,
    TIFUKNN,
    GraphFilter,
    ItemKNN,
    LightGCN,
    MatrixFactorization,
    PolynomialFilter,
    SessionKNN,
    ShardedRecommender,
    SparseEASE,
)
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics import ndcg_at_k
from sklearn_unlearn.model_selection import split_interactions
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder, RatingBinarizer
from sklearn_unlearn.pruning import HopPruner

SHAPE = (12, 8)
DENSE = (np.random.default_rng(0).random(SHAPE) < 0.4) * 1.0
DENSE[0, 0] = DENSE[-1, -1] = 1
FORMATS = ("csr", "csc", "coo", "bsr", "dia", "lil", "dok")
FAR = (-(10**6), -1, 10**6, 2**31 - 1)


# -- matrices ------------------------------------------------------------------------------------
def malformed(seed):
    """A matrix whose arrays do not fit, and in words what is wrong."""
    rng = np.random.default_rng(seed)
    kind = FORMATS[seed % len(FORMATS)]
    X = sparse.csr_array(DENSE).asformat(kind)
    if rng.random() < 0.5:
        X = getattr(sparse, f"{kind}_matrix")(X)
    breaks = _BREAKS[kind]
    broken = breaks[seed // len(FORMATS) % len(breaks)](X, rng)
    return X, f"{kind}: {broken}"


def _far(X, name, rng):
    array = np.array(getattr(X, name), rng.choice([np.int32, np.int64]))
    array[rng.integers(len(array))] = rng.choice(FAR)
    setattr(X, name, array)
    return f"{name} out of range"


def _indptr(X, rng):
    array = np.array(X.indptr)
    change = rng.integers(5)
    if change == 0:
        array[-1] += rng.choice([1, 10**6])
    elif change == 1:
        array[rng.integers(1, len(array) - 1)] = rng.choice(FAR)
    elif change == 2:
        array[0] = rng.choice([-1, 3])
    else:
        array = array[:-1] if change == 3 else np.append(array, array[-1])
    X.indptr = array
    return "indptr"


def _wrong_type(X, rng):
    name = rng.choice(["indices", "indptr"])
    setattr(X, name, getattr(X, name).astype(rng.choice(["f8", "u4", ">i4", "O"])))
    return f"type of {name}"


def _short(X, rng):
    name = rng.choice(["indices", "data"])
    setattr(X, name, getattr(X, name)[:-1].copy())
    return f"{name} too short"


def _coo(name):
    def change(X, rng):
        return _far(X, name, rng)

    return change


def _coo_short(X, rng):
    X.data = X.data[:-1].copy()
    return "data too short"


def _dia_offsets(X, rng):
    X.offsets = X.offsets[:-1].copy() if rng.random() < 0.5 else np.zeros_like(X.offsets)
    return "offsets"


def _dia_data(X, rng):
    X.data = X.data[0].copy() if rng.random() < 0.5 else X.data[:-1].copy()
    return "diagonals"


def _lil_index(X, rng):
    X.rows[0][-1] = int(rng.choice(FAR))
    return "index out of range"


def _lil_length(X, rng):
    (X.rows if rng.random() < 0.5 else X.data)[0].append(0)
    return "lists of two lengths"


def _dok(X, rng):
    X._dict[(int(rng.choice(FAR)), 0) if rng.random() < 0.5 else (0, int(rng.choice(FAR)))] = 1.0
    return "key out of range"


def _indices(X, rng):
    return _far(X, "indices", rng)


_BREAKS = {
    "csr": (_indices, _indptr, _wrong_type, _short),
    "csc": (_indices, _indptr, _wrong_type, _short),
    "bsr": (_indices, _indptr, _wrong_type, _short),
    "coo": (_coo("row"), _coo("col"), _coo_short),
    "dia": (_dia_offsets, _dia_data),
    "lil": (_lil_index, _lil_length),
    "dok": (_dok,),
}


def ways_in():
    """Calls that take a matrix, by name; what they need is fitted here."""
    rows = sparse.csr_array(DENSE)
    models = [
        MatrixFactorization(2, random_state=0),
        ALS(2, random_state=0),
        BPR(2, random_state=0),
        LightGCN(2, random_state=0),
        EASE(5.0),
        ItemKNN(3),
        GraphFilter(2, random_state=0),
        PolynomialFilter(3),
        SparseEASE(3, 5.0),
        SessionKNN(3),
        TIFUKNN(3),
        ShardedRecommender(ItemKNN(3), 2, random_state=0),
    ]
    calls = {}
    for model in models:
        name = type(model).__name__
        fitted = copy.deepcopy(model).fit(rows)
        calls[f"{name}.fit"] = model.fit
        calls[f"{name}.forget"] = lambda X, m=fitted: m.forget(X, missing="ignore")
        calls[f"{name}.recommend"] = lambda X, m=fitted: m.recommend(X, n_items=2)
        calls[f"{name}.decision_function"] = fitted.decision_function
        calls[f"{name}.score"] = fitted.score
    factors = np.ones((SHAPE[0], 2)), np.ones((SHAPE[1], 2))
    encoder = InteractionEncoder().fit({"user": np.arange(SHAPE[0]), "item": np.arange(12) % 8})
    settings = {"regularization": 1.0, "alpha": 1.0}
    binarizer = RatingBinarizer().fit(rows)
    return calls | {
        "from_factors": lambda X: ALS.from_factors(*factors, X, **settings),
        "from_embeddings": lambda X: LightGCN.from_embeddings(*factors, X),
        "split_interactions": split_interactions,
        "ndcg_at_k": lambda X: ndcg_at_k(np.zeros((SHAPE[0], 1), int), X, k=1),
        "HopPruner.fit": HopPruner(1).fit,
        "HopPruner.fit, forget": lambda X: HopPruner(1).fit(rows, forget=X),
        "RatingBinarizer.transform": binarizer.transform,
        "InteractionEncoder.inverse_transform": encoder.inverse_transform,
        "Interactions.from_matrix": Interactions.from_matrix,
    }


# -- files ---------------------------------------------------------------------------------------
def fitted_models():
    """Fitted models by name; each holds something else that compiled code indexes."""
    rows = sparse.csr_array(DENSE)
    labels = sparse.csr_array(DENSE * np.resize([1, -1], SHAPE))
    events = {"user": np.nonzero(DENSE)[0], "item": np.nonzero(DENSE)[1]}
    return {
        "MatrixFactorization": MatrixFactorization(2, random_state=0).fit(labels),
        "ALS": ALS(2, random_state=0).fit(rows),
        "BPR": BPR(2, random_state=0).fit(rows),
        "LightGCN": LightGCN(2, random_state=0).fit(rows),
        "EASE": EASE(5.0).fit(rows),
        "EASE, top_k": EASE(5.0, top_k=3, keep_inverse=False).fit(rows),
        "ItemKNN": ItemKNN(3).fit(rows),
        "GraphFilter": GraphFilter(2, random_state=0).fit(rows),
        "PolynomialFilter": PolynomialFilter(3).fit(rows),
        "SparseEASE": SparseEASE(3, 5.0).fit(rows),
        "SessionKNN": SessionKNN(3).fit(rows),
        "TIFUKNN": TIFUKNN(3).fit(rows),
        "ShardedRecommender": ShardedRecommender(ItemKNN(3), 2, random_state=0).fit(rows),
        "pipeline": make_recommender_pipeline(InteractionEncoder(), ItemKNN(3)).fit(events),
    }


_TABLES = {
    "MatrixFactorization": ("user_factors_", "item_factors_", "user_biases_", "item_biases_"),
    "ALS": ("user_factors_", "item_factors_"),
    "BPR": ("user_factors_", "item_factors_", "item_biases_"),
    "LightGCN": ("user_factors_", "item_factors_", "user_embeddings_", "_gathered", "_pulled"),
    "EASE": ("_inverse",),
    "EASE, top_k": (),
    "ItemKNN": ("_floors", "_item_scales"),
    "GraphFilter": ("_user_scales", "_item_scales"),
    "PolynomialFilter": ("_user_sums", "_item_sums"),
    "SparseEASE": ("_floors", "_item_scales"),
    "SessionKNN": ("_list_starts", "_list_sessions", "_session_times", "_owners"),
    "TIFUKNN": ("_basket_weights", "_squares", "_owners"),
    "ShardedRecommender": ("shard_sizes_",),
    "pipeline": (),
}
_SPARSE = {
    "EASE, top_k": "_weights",
    "ItemKNN": "item_similarity_",
    "SparseEASE": "item_similarity_",
}


def crafted(models, seed):
    """A model with one damaged part, and in words which."""
    rng = np.random.default_rng(seed)
    name = list(models)[seed % len(models)]
    model = copy.copy(models[name])
    owner = model.steps[-1][1] if name == "pipeline" else model
    choices = [_damage_interactions, *(_damage_table(one) for one in _TABLES[name])]
    choices += [_damage_sparse(_SPARSE[name])] if name in _SPARSE else []
    choices += {
        "GraphFilter": [_damage_subspace],
        "ShardedRecommender": [_damage_partition, _damage_shards],
        "pipeline": [_damage_vocabulary(model), _damage_vocabulary(model)],
    }.get(name, [])
    what = choices[seed // len(models) % len(choices)](owner, rng)
    return model, f"{name}: {what}"


def _damage_interactions(model, rng):
    state = model._interactions.__getstate__()
    n = rng.integers(len(state["indices"]))
    name, value = [
        ("indices", np.full_like(state["indices"], rng.choice(FAR))),
        ("indices", _with(state["indices"], n, rng.choice(FAR))),
        ("indices", state["indices"][:-1].copy()),
        ("indices", state["indices"][::-1].copy()),
        ("indices", state["indices"].astype(float)),
        ("indptr", state["indptr"] * 3),
        ("indptr", state["indptr"][:-1].copy()),
        ("indptr", _with(state["indptr"], 1, 10**6)),
        ("indptr", state["indptr"].astype(np.uint8)),
        ("values", state["values"][:-2].copy()),
        ("values", np.full_like(state["values"], np.nan)),
        ("values", state["values"].astype(np.int8)),
        ("shape", (SHAPE[0], 3)),
        ("shape", (SHAPE[0], 2**40)),
        ("shape", (10**6, SHAPE[1])),
        ("row_weights", np.ones(SHAPE[0] + 1)),
    ][rng.integers(16)]
    state[name] = value
    if name == "row_weights":  # else the constructor itself could not make it
        damaged = Interactions(**{**state, "row_weights": None})
        object.__setattr__(damaged, "row_weights", value)
    else:
        damaged = Interactions(**state)
    model.__dict__["_interactions"] = damaged
    return f"{name} of the interactions"


def _with(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


def _damaged(array, rng):
    return [
        array[:-1].copy(),
        np.concatenate([array, array]),
        array[..., None].copy(),
        array.astype(np.int16),
        array.astype(object),
        None,
    ][rng.integers(6)]


def _damage_table(name):
    def change(model, rng):
        model.__dict__[name] = _damaged(np.asarray(model.__dict__[name]), rng)
        return name

    return change


def _damage_sparse(name):
    def change(model, rng):
        matrix = model.__dict__[name].copy()
        matrix.indices = np.full_like(matrix.indices, rng.choice(FAR))
        model.__dict__[name] = matrix
        return name

    return change


def _damage_subspace(model, rng):
    name = rng.choice(["basis", "values", "projected", "remainder", "coupling"])
    damaged = {str(name): _damaged(getattr(model._subspace, name), rng)}
    model.__dict__["_subspace"] = dataclasses.replace(model._subspace, **damaged)
    return f"{name} of the subspace"


def _damage_partition(model, rng):
    labels = model._partition.labels
    damaged = rng.choice(3)
    labels = [labels[:-1].copy(), _with(labels, 0, 10**6), _with(labels, 0, -1)][damaged]
    model.__dict__["_partition"] = dataclasses.replace(model._partition, labels=labels)
    return "labels of the partition"


def _damage_shards(model, rng):
    model.__dict__["estimators_"] = model.estimators_[:1] if rng.random() < 0.5 else None
    return "models of the shards"


def _damage_vocabulary(pipeline):
    def change(_, rng):
        encoder, role = pipeline.steps[0][1], rng.choice(["_users", "_items"])
        found = encoder.__dict__[role]
        places, ids = found.positions, found.ids
        damaged = [
            {"positions": _with(places, -1, 10**6)},
            {"positions": _with(places, 0, -1)},
            {"positions": places[::-1].copy()},
            {"positions": places.astype(float)},
            {"ids": ids[:-1].copy()},
            {"ids": ids[::-1].copy()},
            {"size": 3},
        ][rng.integers(7)]
        encoder.__dict__[role] = dataclasses.replace(found, **damaged)
        return f"{', '.join(damaged)} of a vocabulary"

    return change


def through_file(model, how, folder):
    """Write a model to a file and read it back."""
    if how == "pickle":
        return pickle.loads(pickle.dumps(model))
    path = Path(folder) / "model"
    if how == "skops":
        import skops.io

        skops.io.dump(model, path)
        trusted = skops.io.get_untrusted_types(file=path)
        return skops.io.load(path, trusted=trusted)
    joblib.dump(model, path)
    return joblib.load(path, mmap_mode="r" if how == "memory map" else None)


FILES = ("skops", "pickle", "joblib", "memory map")


# -- as a script ---------------------------------------------------------------------------------
def _matrices(seeds):
    calls = ways_in()
    for seed in seeds:
        for name, call in calls.items():
            X, what = malformed(seed)
            yield f"{seed} {what} | {name}", lambda call=call, X=X: call(X)


def _files(seeds):
    models = fitted_models()
    for seed in seeds:
        model, what = crafted(models, seed)
        for how in FILES:

            def use(model=model, how=how):
                with tempfile.TemporaryDirectory() as folder:
                    loaded = through_file(model, how, folder)
                    loaded.recommend(users=[1], n_items=2)
                    loaded.forget(users=[1])

            yield f"{seed} {what} | {how}", use


def main(kind, first, last):
    """Print each case, and what came of it."""
    warnings.simplefilter("ignore")
    cases = {"matrices": _matrices, "files": _files}[kind]
    for name, call in cases(range(int(first), int(last))):
        print(name, end=" -> ", flush=True)
        try:
            call()
        except ValueError as error:
            print("refused" if "malformed" in str(error) or "damaged" in str(error) else error)
        except Exception as error:
            print(type(error).__name__, error)
        else:
            print("accepted")


if __name__ == "__main__":
    main(*sys.argv[1:])
