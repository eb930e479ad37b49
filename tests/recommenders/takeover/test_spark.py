"""Models of Spark MLlib, by their files: the same objective, able to forget, written back.

Spark needs a Java machine. Its files are written here as it lays them out, with its algorithm
written out, and with factors that Spark 4.1.4 has trained, recorded.
"""

import copy
import json
import sys

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap
from sklearn_unlearn.pipeline import RecommenderPipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

# As Spark 4.1.4 wrote them of a model.
METADATA = {
    "class": "org.apache.spark.ml.recommendation.ALSModel",
    "timestamp": 1795859496799,
    "sparkVersion": "4.1.4",
    "uid": "ALS_0ea0600a58d6",
    "paramMap": {"blockSize": 4096, "itemCol": "i", "userCol": "u"},
    "defaultParamMap": {
        "blockSize": 4096,
        "coldStartStrategy": "nan",
        "itemCol": "item",
        "predictionCol": "prediction",
        "userCol": "user",
    },
    "rank": 4,
}
FIELDS = pa.schema([
    pa.field("id", pa.int32(), nullable=False),
    pa.field("features", pa.list_(pa.field("element", pa.float32(), nullable=False))),
])  # fmt: skip

X = make_interactions(
    60, 40, n_interactions=600, feedback="implicit", popularity=0.3, random_state=0
).toarray()
X[[5, 31]] = 0
X[:, 3] = 0
# Neither contiguous nor in order; some are negative, as Spark allows.
RNG = np.random.default_rng(0)
USER_IDS = RNG.choice(10**6, 60, replace=False) - 1000
ITEM_IDS = RNG.choice(10**5, 40, replace=False)
IDS = {"user_ids": USER_IDS, "item_ids": ITEM_IDS}
SPARK = {"reg_param": 0.3, "alpha": 1.5}


def half_sweep(matrix, other, reg_param, alpha):
    """Rows of one side as Spark solves them: the penalty counts the ratings above zero."""
    C, seen = 1 + alpha * matrix, matrix > 0
    shared = other.T @ other
    own = np.einsum("ri,ik,il->rkl", (C - 1) * seen, other, other, optimize=True)
    own += reg_param * seen.sum(axis=1)[:, None, None] * np.eye(other.shape[1])
    own[~seen.any(axis=1)] = np.eye(other.shape[1])
    return np.linalg.solve(shared + own, ((C * seen) @ other)[:, :, None])[:, :, 0]


def train(matrix=X, n_factors=6, max_iter=3, reg_param=0.3, alpha=1.5):
    """Alternate between items and users, who come last."""
    P = np.random.default_rng(0).standard_normal((len(matrix), n_factors)) / np.sqrt(n_factors)
    for _ in range(max_iter):
        Q = half_sweep(matrix.T, P, reg_param, alpha)
        P = half_sweep(matrix, Q, reg_param, alpha)
    return P, Q


def write_side(folder, ids, factors, n_parts=2):
    """Part files by a hash of the id, one of them empty, with markers and checksums beside."""
    folder.mkdir(parents=True)
    for part in range(n_parts + 1):
        mine = np.flatnonzero((ids * 7919) % n_parts == part)
        table = pa.Table.from_arrays(
            [pa.array(ids[mine], pa.int32()),
             pa.array(factors[mine].tolist(), FIELDS.field("features").type)],
            schema=FIELDS,
        )  # fmt: skip
        name = f"part-{part:05d}-2f9c47c5-06ee-413e-aca0-fa542b962d11-c000.snappy.parquet"
        pq.write_table(table, folder / name)
        (folder / f".{name}.crc").write_bytes(b"crc\0\0")
    (folder / "_SUCCESS").touch()
    (folder / "._SUCCESS.crc").write_bytes(b"crc\0\0")


def save(folder, matrix=X, factors=None, user_ids=USER_IDS, item_ids=ITEM_IDS, metadata=METADATA):
    """Save a model as Spark does: rows without ratings have no factors."""
    P, Q = train(matrix) if factors is None else factors
    users, items = matrix.any(axis=1), matrix.any(axis=0)
    write_side(folder / "userFactors", user_ids[users], P[users])
    write_side(folder / "itemFactors", item_ids[items], Q[items])
    (folder / "metadata").mkdir()
    text = json.dumps({**metadata, "rank": P.shape[1]})
    (folder / "metadata" / "part-00000").write_text(text + "\n", encoding="utf-8")
    (folder / "metadata" / "_SUCCESS").touch()
    return folder


@pytest.fixture
def saved(tmp_path):
    return save(tmp_path / "model")


# -- the same objective --------------------------------------------------------------------------
def test_factors_come_to_the_rows_of_their_ids(saved):
    model = ALS.from_spark(saved, X, **SPARK, **IDS)
    P, Q = train()
    P[[5, 31]], Q[3] = 0, 0
    assert_array_equal(model.user_factors_, P.astype(np.float32))
    assert_array_equal(model.item_factors_, Q.astype(np.float32))


def test_parameters_are_those_of_the_estimator(saved):
    model = ALS.from_spark(saved, X, **SPARK, **IDS, unlearner="sweep", n_jobs=2, n_sweeps=3)
    assert model.get_params() == {
        **ALS(6, alpha=2.5, regularization=0.3, frequency_scaling=1.0).get_params(),
        "n_sweeps": 3,
        "max_iter": 0,
        "unlearner": "sweep",
        "n_jobs": 2,
    }
    values = model._interactions.to_csr().toarray()
    assert_allclose(values * model.alpha, np.where(X > 0, 1 + 1.5 * X, 0), rtol=1e-6)
    assert model.user_factors_.dtype == np.float32


def test_value_and_gradient_are_those_of_sparks_objective(saved):
    model = ALS.from_spark(saved, X, **SPARK, **IDS)
    P, Q = model.user_factors_.astype(float), model.item_factors_.astype(float)
    C, left = 1 + 1.5 * X, P @ Q.T - (X > 0)
    on_users, on_items = (0.3 * (X > 0).sum(axis=axis) for axis in (1, 0))
    expected = 0.5 * np.sum(C * left**2) + 0.5 * (
        on_users @ np.sum(P**2, axis=1) + on_items @ np.sum(Q**2, axis=1)
    )
    gradient = np.concatenate([
        (C * left) @ Q + on_users[:, None] * P, (C * left).T @ P + on_items[:, None] * Q,
    ])  # fmt: skip
    objective, theta = model._make_objective(model._interactions), np.concatenate([P, Q])
    assert objective.value(theta) == pytest.approx(expected, rel=1e-6)
    assert_allclose(objective.gradient(theta), gradient, rtol=1e-4, atol=1e-4)
    assert np.linalg.norm(gradient[:60]) < 1e-4 * np.linalg.norm(gradient[60:])


def test_one_more_half_sweep_is_the_row_solve_here(saved):
    model = ALS.from_spark(saved, X, **SPARK, **IDS)
    expected = half_sweep(X, train()[1], **SPARK)
    expected[[5, 31]] = 0
    assert_allclose(model.transform(model._interactions.to_csr()), expected, rtol=1e-4, atol=1e-5)


def test_users_that_spark_has_trained_are_solved_here(tmp_path):
    """Recorded: rank=2, maxIter=2, regParam=0.05, alpha=1.5, seed=1."""
    ratings = np.array([
        [3, 0, 1, 0, 0], [0, 2, 0, 5, 0], [1, 1, 0, 0, 4],
        [0, 0, 2, 1, 0], [5, 0, 0, 0, 1], [0, 4, 0, 2, 2.0],
    ])  # fmt: skip
    P = np.array([
        [-0.446649134, -0.840859294], [0.424928129, -0.842647731], [-0.307885021, -1.463400364],
        [0.348013967, -0.778799832], [-0.428036034, -1.046308517], [0.264366746, -1.259018421],
    ])  # fmt: skip
    Q = np.array([
        [-1.357143998, -0.416932613], [0.648680389, -0.692970395], [0.073732553, -0.216586933],
        [1.381660342, -0.492937803], [-0.054910373, -0.651294529],
    ])  # fmt: skip
    folder = save(tmp_path / "model", ratings, (P, Q), np.arange(6), np.arange(5))
    model = ALS.from_spark(folder, ratings, reg_param=0.05, alpha=1.5)
    objective = model._make_objective(model._interactions)
    gradient = objective.gradient(np.concatenate([P, Q]))
    assert np.linalg.norm(gradient[:6]) < 1e-5 * np.linalg.norm(gradient[6:])
    with pytest.warns(DataWarning, match=r"the users, which training solves last"):
        ALS.from_spark(folder, ratings, reg_param=0.05, alpha=1.6)


@pytest.mark.parametrize("wrong", [
    {"reg_param": 0.32}, {"alpha": 1.6}, {"user_ids": USER_IDS[np.r_[1, 0, 2:60]]},
])  # fmt: skip
def test_another_training_is_warned_of(saved, wrong):
    with pytest.warns(DataWarning, match=r"leave a gradient of .*; expected nearly none. Pass the"):
        ALS.from_spark(saved, X, **{**SPARK, **IDS, **wrong})


def test_explicit_feedback_is_warned_of(tmp_path):
    P, Q = train()
    for _ in range(3):  # least squares over the ratings alone
        for own, other, ratings in ((Q, P, X.T), (P, Q, X)):
            for row, seen in zip(own, ratings > 0, strict=True):
                Z = other[seen]
                row[:] = np.linalg.solve(
                    Z.T @ Z + (0.3 * seen.sum() or 1) * np.eye(6), Z.sum(axis=0)
                )
    folder = save(tmp_path / "explicit", factors=(P, Q))
    with pytest.warns(DataWarning, match="leave a gradient"):
        ALS.from_spark(folder, X, **SPARK, **IDS)


def test_ratings_of_zero_are_no_interactions(saved):
    stored = np.argwhere(X == 0)[:5].T
    coo = (np.append(X[X > 0], np.zeros(5)), np.concatenate([np.argwhere(X > 0).T, stored], axis=1))
    one = ALS.from_spark(saved, sparse.coo_array(coo, shape=X.shape), **SPARK, **IDS)
    assert one._interactions.n_interactions == np.count_nonzero(X)


# -- ids -----------------------------------------------------------------------------------------
def test_ids_are_positions_if_none_are_given(tmp_path):
    folder = save(tmp_path / "plain", user_ids=np.arange(60), item_ids=np.arange(40))
    one = ALS.from_spark(folder, X, **SPARK, random_state=0)
    other = ALS.from_spark(save(tmp_path / "ids"), X, **SPARK, **IDS, random_state=0)
    assert joblib.hash(vars(one)) == joblib.hash(vars(other))


def test_events_with_ids_go_through_an_encoder_and_a_pipeline(saved):
    users, items = np.nonzero(X)
    events = {"user": USER_IDS[users], "item": ITEM_IDS[items], "rating": X[users, items]}
    encoder = InteractionEncoder(value="rating")
    matrix = encoder.fit_transform(events)
    model = ALS.from_spark(
        saved, matrix, **SPARK,
        user_ids=encoder.decode_users(np.arange(encoder.n_users_)),
        item_ids=encoder.decode_items(np.arange(encoder.n_items_)),
    )  # fmt: skip
    pipeline = RecommenderPipeline([("encoder", encoder), ("als", model)])
    P, Q = train()
    found = pipeline.recommend(users=[USER_IDS[42]], n_items=3, exclude_seen=False)
    best = np.argsort(-(P @ Q.T)[42])[:3]
    assert_array_equal(found["item"], ITEM_IDS[best])
    assert_allclose(found["score"], (P @ Q.T)[42, best], rtol=1e-5)
    pipeline.forget(users=[USER_IDS[42]])
    assert model._interactions.n_interactions == np.count_nonzero(X) - np.count_nonzero(X[42])


# -- forgetting ----------------------------------------------------------------------------------
@pytest.mark.parametrize("request_", [
    {"users": [42]},
    {"items": [7]},
    {"interactions": np.argwhere(X)[::25]},
])  # fmt: skip
def test_forgetting_ends_near_the_training_without_the_data(tmp_path, request_):
    def model_of(matrix, name):
        factors = train(matrix, 12, 600)
        return ALS.from_spark(save(tmp_path / name, matrix, factors), matrix, **SPARK, **IDS)

    start = model_of(X, "all")
    model = copy.deepcopy(start).set_params(unlearner=InfluenceUnlearner(tol=1e-3))
    model.forget(**request_)
    retained = X * (model._interactions.to_csr().toarray() != 0)
    assert remaining_gap(start, model, model_of(retained, "retained")) < 0.01
    assert model.forget_report_.guarantee == "residual-bounded"


# -- back to Spark -------------------------------------------------------------------------------
def test_written_model_is_laid_out_as_spark_does(saved, tmp_path):
    model = ALS.from_spark(saved, X, **SPARK, **IDS)
    model.to_spark(tmp_path / "out", **IDS, like=saved)
    for side, ids, factors, met in (
        ("userFactors", USER_IDS, model.user_factors_, X.any(axis=1)),
        ("itemFactors", ITEM_IDS, model.item_factors_, X.any(axis=0)),
    ):
        files = sorted(path.name for path in (tmp_path / "out" / side).iterdir())
        assert len(files) == 2 and files[0] == "_SUCCESS"
        assert files[1].startswith("part-00000-") and files[1].endswith("-c000.snappy.parquet")
        table = pq.read_table(tmp_path / "out" / side / files[1])
        assert table.schema.equals(FIELDS)
        assert_array_equal(table["id"], ids[met])
        assert_array_equal(np.array(table["features"].to_pylist(), np.float32), factors[met])
    (part,) = (tmp_path / "out" / "metadata").glob("part-*")
    assert json.loads(part.read_text(encoding="utf-8")) == {**METADATA, "rank": 6}
    assert (tmp_path / "out" / "metadata" / "_SUCCESS").exists()


def test_round_trip_gives_the_same_model(saved, tmp_path):
    model = ALS.from_spark(saved, X, **SPARK, **IDS, random_state=0)
    model.to_spark(tmp_path / "out", **IDS)
    again = ALS.from_spark(tmp_path / "out", X, **SPARK, **IDS, random_state=0)
    assert joblib.hash(vars(again)) == joblib.hash(vars(model))
    model.to_spark(tmp_path / "plain")
    again = ALS.from_spark(tmp_path / "plain", X, **SPARK, random_state=0)
    assert joblib.hash(vars(again)) == joblib.hash(vars(model))


def test_forgotten_user_is_unknown_to_the_written_model(saved, tmp_path):
    model = ALS.from_spark(saved, X, **SPARK, **IDS).forget(users=[42])
    model.to_spark(tmp_path / "out", **IDS)
    (part,) = (tmp_path / "out" / "userFactors").glob("part-*")
    ids = pq.read_table(part)["id"].to_numpy()
    assert_array_equal(ids, np.delete(USER_IDS, [5, 31, 42]))


def test_a_folder_is_not_written_over(saved, tmp_path):
    model = ALS.from_spark(saved, X, **SPARK, **IDS)
    with pytest.raises(FileExistsError, match=r"exists; expected a new folder.* Pass another"):
        model.to_spark(saved, **IDS)
    with pytest.raises(ValueError, match=r"user_ids reach from 0 to .*; expected integers of 32"):
        model.to_spark(tmp_path / "out", user_ids=np.arange(60) * 2**30)
    assert not (tmp_path / "out").exists()
    with pytest.raises(NotFittedError):
        ALS().to_spark(tmp_path / "out")


# -- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["recommendation.ALS", "PipelineModel"])
def test_folders_of_something_else_are_refused(tmp_path, kind):
    other = {**METADATA, "class": f"org.apache.spark.ml.{kind}"}
    folder = save(tmp_path / "other", metadata=other)
    with pytest.raises(ValueError, match=rf"holds a .*{kind}; expected the folder .* Pass the"):
        ALS.from_spark(folder, X, **SPARK, **IDS)


def test_damaged_folders_are_refused(saved, tmp_path):
    def refused(message, folder=saved):
        with pytest.raises(ValueError, match=message):
            ALS.from_spark(folder, X, **SPARK, **IDS)

    refused(r"no metadata; expected the folder.* Pass the folder", tmp_path)
    refused("no metadata", tmp_path / "absent")
    parts = sorted((saved / "userFactors").glob("part-*"))
    (saved / "userFactors" / "part-00009-again-c000.snappy.parquet").write_bytes(
        parts[0].read_bytes()
    )
    refused(r"ids that occur twice; expected each once.* save one again")
    table = pq.read_table(parts[0])
    longer = [[1.0] * (5 + (row == 0)) for row in range(len(table))]
    for columns, message in (
        ({"id": table["id"], "features": longer}, r"factors of \d lengths; expected rows of one"),
        ({"id": [None, 3], "features": [[1.0] * 6] * 2}, "with 1 missing cells"),
        ({"id": table["id"]}, r"cannot be read \(\w+\); expected columns id.* Save the model"),
        ({"id": ["a"], "features": [[1.0] * 6]}, "cannot be read"),
    ):
        for part in (saved / "userFactors").glob("part-*"):
            part.unlink()
        pq.write_table(pa.table(columns), parts[0])
        refused(message)
    parts[0].write_bytes(b"no Parquet")
    refused("cannot be read")
    parts[0].unlink()
    refused(r"without Parquet files in userFactors; expected .* Copy the whole folder")
    (saved / "metadata" / "part-00000").write_text("no JSON", encoding="utf-8")
    refused(r"metadata cannot be read \(JSONDecodeError\); expected .* Save the model again")


def test_other_interactions_are_refused(saved):
    def refused(message, matrix=X, error=ValueError, **params):
        with pytest.raises(error, match=message):
            ALS.from_spark(saved, matrix, **{**SPARK, **IDS, **params})

    more = X.copy()
    more[5, 0] = 1
    refused(r"interactions and without factors is 1; expected 0.* its ids as user_ids", more)
    refused(r"users with factors and without a row of interactions is 58; expected 0.* user_ids",
            user_ids=np.arange(60) + 10**7)  # fmt: skip
    refused(r"without a column of interactions is 1; expected 0", X[:, 1:],
            item_ids=ITEM_IDS[1:])  # fmt: skip
    refused(r"interactions has the shape \(60,\); expected \(n_users, n_items\)", X[:, 0])
    refused(r"user_ids has the shape \(59,\) .*; expected 60 of them, one for each row",
            user_ids=USER_IDS[1:])  # fmt: skip
    refused(r"and 1 ids that differ; expected 40 of them, one for each column",
            item_ids=np.zeros(40, int))  # fmt: skip
    refused("user_ids has the data type float64; expected integers", error=TypeError,
            user_ids=USER_IDS * 1.0)  # fmt: skip
    refused("negative values", -X)


@pytest.mark.parametrize("alpha", [-1.0, np.nan, np.inf, "1", None])
def test_wrong_alpha_is_refused(saved, alpha):
    with pytest.raises(ValueError, match=r"alpha=.* was given; expected a number of at least 0"):
        ALS.from_spark(saved, X, reg_param=0.3, alpha=alpha, **IDS)


def test_what_spark_decides_cannot_be_set(saved):
    for name in ("n_factors", "regularization", "frequency_scaling", "frequency_offset"):
        with pytest.raises(TypeError, match=f"{name}=1 was given; from_spark.* Leave it out"):
            ALS.from_spark(saved, X, **SPARK, **IDS, **{name: 1})


def test_pyarrow_is_asked_for_where_it_is_needed(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # importing it fails
    with pytest.raises(ImportError, match=r"pyarrow is not installed; expected .*pip install"):
        ALS.from_spark(saved, X, **SPARK, **IDS)
