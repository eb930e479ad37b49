import pickle

import joblib
import numpy as np
import pytest

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import SweepUnlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics import _seed_ensembles, seed_test
from sklearn_unlearn.sharding import ShardedRecommender
from tests.seed_models import NoisyMeans

EARLY = ALS(4, alpha=10.0, regularization=2.0, n_sweeps=3, max_iter=0)


@pytest.fixture(autouse=True)
def fresh_counts():
    NoisyMeans.start_anew()


def nothing(model, request):
    return model


@pytest.fixture(scope="module")
def X():
    return abs(make_interactions(30, 24, n_interactions=260, random_state=0))


@pytest.fixture(scope="module")
def pairs(X):
    return np.argwhere(X.toarray())[::13]


# -- determinism, other estimators -----------------------------------------------------------------
def test_jobs_change_nothing(X, pairs):
    options = {"n_seeds": 3, "n_pairs": 40, "random_state": 5}
    alone = seed_test(EARLY, X, pairs, **options, forget=nothing)
    with joblib.parallel_config(backend="threading"):
        together = seed_test(EARLY, X, pairs, **options, forget=nothing, n_jobs=2)
    assert alone.to_dict() == together.to_dict()
    other = seed_test(EARLY, X, pairs, **{**options, "random_state": 6}, forget=nothing)
    assert alone.to_dict() != other.to_dict()


def test_sharded_models_are_tested_as_others(X, pairs):
    model = ShardedRecommender(EARLY, n_shards=2, method="refit")
    result = seed_test(model, X, pairs, n_seeds=4, n_pairs=50)
    assert result.groups["pairs"].measures["auc"].nothing > 0.8
    assert not hasattr(model, "estimators_")


# -- the work of a task ----------------------------------------------------------------------------
def experiment_of(X, positions, pairs, **changes):
    data = Interactions.from_matrix(X)
    parts = {
        "estimator": NoisyMeans(),
        "data": data,
        "retained": data.remove(positions),
        "request": {"interactions": np.column_stack([data.rows, data.indices])[positions]},
        "forget": None,
        "pairs": pairs,
        "rank_items": np.array([0, 3, 4, 9, 20]),
    }
    return _seed_ensembles.Experiment(**{**parts, **changes})


def test_scores_and_ranks_are_those_of_each_pair(X, pairs, monkeypatch):
    monkeypatch.setattr(_seed_ensembles, "BLOCK_SIZE", 12)  # two users at a time
    shuffled = np.random.default_rng(0).permutation(
        np.concatenate([pairs, pairs + np.array([1, 0])])
    )
    experiment = experiment_of(X, [3, 70], shuffled)
    (refitted,) = experiment.run(_seed_ensembles.Task("refit", 7, None))
    before, after = experiment.run(_seed_ensembles.Task("trained", 8, None))
    rest = experiment.retained.to_csr()
    models = [
        (refitted, NoisyMeans(random_state=7).fit(rest)),
        (before, NoisyMeans(random_state=8).fit(X)),
        (after, NoisyMeans(random_state=8).fit(X).forget(**experiment.request)),
    ]
    for (scores, ranks), model in models:
        for (user, item), score, rank in zip(shuffled, scores, ranks, strict=True):
            assert score == model.scores_[user, item]
            others = model.scores_[user, experiment.rank_items]
            below = (others < score).sum() + 0.5 * (others == score).sum()
            assert rank == pytest.approx(np.log((below + 0.5) / (5.5 - below)))


def test_task_travels_to_another_process(X, pairs):
    run = experiment_of(X, [3, 70], pairs).run
    there = pickle.loads(pickle.dumps(run))
    for kind in _seed_ensembles.TASKS:
        task = _seed_ensembles.Task(kind, 5, None)
        assert np.array_equal(there(task), run(task))


def test_digest_tells_what_scores_depend_on(X, pairs):
    def digests(positions=(3, 70), **changes):
        one = experiment_of(X, list(positions), **{"pairs": pairs, **changes})
        return one.digest("refit"), one.digest("trained")

    refitted, trained = digests()
    assert digests() == (refitted, trained)
    other_request = digests(positions=(3, 71))
    assert other_request[0] != refitted
    assert other_request[1] != trained
    for change in (
        {"rank_items": np.array([0, 3])},
        {"estimator": NoisyMeans(noise=0.2)},
        {"pairs": pairs[::-1].copy()},
    ):
        assert not {refitted, trained} & set(digests(**change))
    strategy = digests(estimator=NoisyMeans(unlearner=SweepUnlearner(n_sweeps=1)))
    other = digests(estimator=NoisyMeans(unlearner=SweepUnlearner(n_sweeps=2)))
    assert refitted == strategy[0] == other[0]
    assert len({trained, strategy[1], other[1]}) == 3


# -- interruption ----------------------------------------------------------------------------------
def test_interrupted_test_goes_on(X, pairs, tmp_path):
    options = {"n_seeds": 5, "n_pairs": 30}
    expected = seed_test(NoisyMeans(), X, pairs, **options).to_dict()
    NoisyMeans.n_fits, NoisyMeans.stop_at = 0, 8
    with pytest.raises(KeyboardInterrupt):
        seed_test(NoisyMeans(), X, pairs, **options, checkpoint=tmp_path)
    NoisyMeans.stop_at = None
    assert seed_test(NoisyMeans(), X, pairs, **options, checkpoint=tmp_path).to_dict() == expected
    assert NoisyMeans.n_fits == 15
    assert seed_test(NoisyMeans(), X, pairs, **options, checkpoint=tmp_path).to_dict() == expected
    assert NoisyMeans.n_fits == 15
    seed_test(NoisyMeans(), X, pairs, n_seeds=6, n_pairs=30, checkpoint=tmp_path)
    assert NoisyMeans.n_fits == 18
    assert not list(tmp_path.glob(".*"))


def test_checkpoints_are_shared_as_far_as_they_agree(X, pairs, tmp_path):
    options = {"n_seeds": 2, "n_pairs": 30, "checkpoint": tmp_path}

    def fits(estimator, X=X, pairs=pairs, **others):
        NoisyMeans.n_fits = 0
        seed_test(estimator, X, pairs, **{**options, **others})
        return NoisyMeans.n_fits

    assert fits(NoisyMeans()) == 6
    assert fits(NoisyMeans(unlearner="other")) == 2  # refits are the same
    assert fits(NoisyMeans(), forget=nothing) == 2
    assert fits(NoisyMeans(), forget=nothing) == 2  # a function has no name to be found by
    assert fits(NoisyMeans(noise=0.2)) == 6
    assert fits(NoisyMeans(), X=2 * X) == 6
    assert fits(NoisyMeans(), pairs=pairs[1:]) == 6
    assert fits(NoisyMeans(), n_pairs=29) == 6
    assert fits(NoisyMeans(), random_state=1) == 6
    assert fits(NoisyMeans(random_state=3, n_jobs=2)) == 0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda one, other: one.write_bytes(other.read_bytes()), "another estimator, data or seed"),
        (lambda one, other: one.write_bytes(one.read_bytes()[:90]), "cannot be read"),
        (
            lambda one, other: np.savez(one, rows=np.zeros((1, 2, 3)), of=np.array(one.stem)),
            "finite scores of shape",
        ),
    ],
)
def test_foreign_leftovers_are_refused(X, pairs, tmp_path, damage, message):
    options = {"n_seeds": 2, "n_pairs": 30, "checkpoint": tmp_path}
    seed_test(NoisyMeans(), X, pairs, **options)
    damage(*sorted(tmp_path.glob("refit-*"))[:2])
    with pytest.raises(ValueError, match=f"{message}.*Delete the file"):
        seed_test(NoisyMeans(), X, pairs, **options)


def test_progress_is_shown_on_request(X, pairs, capsys):
    seed_test(NoisyMeans(), X, pairs, n_seeds=2)
    assert capsys.readouterr().err == ""
    seed_test(NoisyMeans(), X, pairs, n_seeds=2, verbose=1)
    assert "6/6" in capsys.readouterr().err


def test_files_of_a_checkpoint_hold_no_objects(X, pairs, tmp_path):
    seed_test(NoisyMeans(), X, pairs, n_seeds=2, checkpoint=str(tmp_path / "new" / "folder"))
    files = list((tmp_path / "new" / "folder").iterdir())
    assert len(files) == 6
    for file in files:
        with np.load(file, allow_pickle=False) as content:
            assert content["rows"].dtype == np.float64
