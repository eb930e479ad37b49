"""Ensembles of fitted models, reduced to the scores of chosen pairs while they are made."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from tqdm import tqdm

from sklearn_unlearn._version import __version__
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics._scores import BLOCK_SIZE, ModelScores
from sklearn_unlearn.metrics._seed_statistics import rank_logit
from sklearn_unlearn.utils._random import hashed_bits

#: What each task trains; "trained" gives two ensembles: as fitted, and after the request.
TASKS = ("refit", "again", "trained")
# Of the parameters, what changes no score: the seed, which is replaced, how much is done at once,
# and what is printed.
_WITHOUT_EFFECT = ("random_state", "n_jobs", "verbose")


class Task(NamedTuple):
    """One model to train."""

    kind: str
    seed: int
    path: Path | None


@dataclass(frozen=True, eq=False)
class Experiment:
    """What all tasks of a comparison share.

    Parameters
    ----------
    estimator : recommender
        Never fitted itself.

    data, retained : Interactions
        With and without the request.

    request : dict
        Keywords of ``forget``.

    forget : callable or None
        ``forget(model, request)``, which returns the model; None is the model's own.

    pairs : ndarray of int64, shape (n, 2)
        Whose scores are kept.

    rank_items : ndarray of int64
        Items that a score is ranked among.
    """

    estimator: Any
    data: Interactions
    retained: Interactions
    request: dict[str, Any]
    forget: Callable[[Any, dict[str, Any]], Any] | None
    pairs: NDArray[np.int64]
    rank_items: NDArray[np.int64]

    def digest(self, kind: str) -> str:
        """Hash what the scores of a kind of task depend on, but for the seed."""
        trained = kind == "trained"
        parameters = {}
        for name, value in self.estimator.get_params(deep=True).items():
            parts = name.split("__")
            if parts[-1] in _WITHOUT_EFFECT or (not trained and "unlearner" in parts):
                continue
            # The parameters of a part are in the list, too, so that its name is enough.
            is_part = hasattr(value, "get_params")
            parameters[name] = type(value).__qualname__ if is_part else value
        data = self.data if trained else self.retained
        table = (data.indptr, data.indices, data.values, data.row_weights)
        request = self.retained.indptr, self.retained.indices
        what = (type(self.estimator).__qualname__, parameters, table, request if trained else None)
        return joblib.hash((__version__, kind, what, self.pairs, self.rank_items))

    # -- the work of a task ------------------------------------------------------------------------
    def run(self, task: Task) -> NDArray[np.float64]:
        """Train, and return scores and log odds of ranks: (1 or 2 models, 2, n_pairs)."""
        model = self._fit(self.data if task.kind == "trained" else self.retained, task.seed)
        if task.kind != "trained":
            rows = self._scores(model)[None]
        else:
            before = self._scores(model)
            rows = np.stack([before, self._scores(self._forget(model))])
        if task.path is not None:
            _save(task.path, rows)
        return rows

    def _fit(self, data: Interactions, seed: int) -> Any:
        model = clone(self.estimator).set_params(**dict.fromkeys(seeds_of(self.estimator), seed))
        # Fresh arrays: those of the table are read-only, which not all compiled code takes.
        X = data.to_csr().copy()
        if data.row_weights is None:
            return model.fit(X)
        return model.fit(X, sample_weight=data.row_weights.copy())

    def _forget(self, model: Any) -> Any:
        request = copy.deepcopy(self.request)
        after = model.forget(**request) if self.forget is None else self.forget(model, request)
        if not hasattr(after, "predict_pairs"):
            raise TypeError(
                f"forget returned a {type(after).__name__}; expected a model with predict_pairs. "
                "Return the model that is to be tested."
            )
        return after

    def _scores(self, model: Any) -> NDArray[np.float64]:
        source = ModelScores(model, type(model).__name__)
        users, items = self.pairs.T
        scores = source.at(users, items)
        ranks = np.empty_like(scores)
        distinct, row_of = np.unique(users, return_inverse=True)
        order = np.argsort(row_of, kind="stable")
        height = max(1, BLOCK_SIZE // len(self.rank_items))
        for start in range(0, len(distinct), height):
            rows = distinct[start : start + height]
            grid = np.repeat(rows, len(self.rank_items)), np.tile(self.rank_items, len(rows))
            table = source.at(*grid).reshape(len(rows), -1)
            first, last = np.searchsorted(row_of[order], [start, start + len(rows)])
            here = order[first:last]
            ranks[here] = rank_logit(scores[here], table[row_of[here] - start])
        return np.stack([scores, ranks])


def seeds_of(estimator: Any) -> list[str]:
    """Return the names of the parameters that seed an estimator, those of its parts included."""
    names = sorted(estimator.get_params(deep=True))
    return [name for name in names if name.split("__")[-1] == "random_state"]


def train_ensembles(
    experiment: Experiment,
    n_seeds: int,
    seed: int,
    checkpoint: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Train what is not yet in the folder `checkpoint`.

    Returns
    -------
    ensembles : dict of str to ndarray of shape (n_seeds, 2, n_pairs)
        "refit", "again", "nothing" and "forgotten": scores, and the log odds of their ranks.
    """
    tasks = _tasks(experiment, n_seeds, seed, checkpoint)
    done = {task: _load(experiment, task) for task in tasks if task.path and task.path.exists()}
    missing = [task for task in tasks if task not in done]
    calls = (joblib.delayed(experiment.run)(task) for task in missing)
    results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(calls)
    bar = tqdm(
        results,
        total=len(tasks),
        initial=len(done),
        disable=verbose <= 0,
        desc="seed_test",
        unit="fit",
    )
    done.update(zip(missing, bar, strict=True))
    by_kind = {kind: np.stack([done[t] for t in tasks if t.kind == kind]) for kind in TASKS}
    return {
        "refit": by_kind["refit"][:, 0],
        "again": by_kind["again"][:, 0],
        "nothing": by_kind["trained"][:, 0],
        "forgotten": by_kind["trained"][:, 1],
    }


def _tasks(experiment: Experiment, n_seeds: int, seed: int, checkpoint: Any) -> list[Task]:
    """List the models to train. The seed of one does not depend on how many there are."""
    folder = None if checkpoint is None else Path(checkpoint)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    tasks = []
    for row, kind in enumerate(TASKS):
        seeds = hashed_bits(seed, row, np.arange(n_seeds)) >> np.uint64(33)
        # Nothing tells one function from another of its name, so what it made is not kept.
        keeps = folder is not None and not (kind == "trained" and experiment.forget is not None)
        prefix = f"{kind}-{experiment.digest(kind)}" if keeps else ""
        for one in seeds.tolist():
            path = folder / f"{prefix}-{one}.npz" if folder is not None and keeps else None
            tasks.append(Task(kind, one, path))
    return tasks


def _save(path: Path, rows: NDArray[np.float64]) -> None:
    """Write a file in one step: an interrupted run leaves it whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=".seed_test-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, rows=rows, of=np.array(path.stem))
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _load(experiment: Experiment, task: Task) -> NDArray[np.float64]:
    assert task.path is not None
    shape = (2 if task.kind == "trained" else 1, 2, len(experiment.pairs))
    try:
        # Opened here, as NumPy leaves open what it cannot read.
        with task.path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            rows, of = file["rows"], str(file["of"])
    except Exception as error:  # zipfile, NumPy and zlib each have their own for a damaged file
        raise ValueError(_damaged(task.path, "it cannot be read")) from error
    if of != task.path.stem:
        raise ValueError(_damaged(task.path, "it was made for another estimator, data or seed"))
    if rows.shape != shape or rows.dtype != np.float64 or not np.isfinite(rows).all():
        raise ValueError(_damaged(task.path, f"it does not hold finite scores of shape {shape}"))
    return rows


def _damaged(path: Path, problem: str) -> str:
    return (
        f"{path.name} in the checkpoint folder is not what this test left there: {problem}; "
        "expected the scores of a model of this run. Delete the file, or pass another folder."
    )
