"""Mistakes of a first hour: what is said names the way out, for every family, and shows no id."""

import re
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_unlearn import (
    ALS,
    BPR,
    EASE,
    GraphFilter,
    ItemKNN,
    LightGCN,
    MatrixFactorization,
    ShardedRecommender,
    UnlearningRecommender,
)
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import DataWarning
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap, seed_test
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

X = make_interactions(30, 20, n_interactions=200, feedback="implicit", random_state=0)
_cells = X.tocoo()
EVENTS = pd.DataFrame(
    {
        "user": [f"secret-{row}" for row in _cells.row],
        "item": [f"secret-i{column}" for column in _cells.col],
        "count": _cells.data,
    }
)
FAMILIES = {
    "MatrixFactorization": MatrixFactorization(
        4, loss="squared", regularization=20.0, random_state=0
    ),
    "ALS": ALS(4, regularization=60.0, random_state=0),
    "BPR": BPR(4, regularization=20.0, random_state=0),
    "LightGCN": LightGCN(4, regularization=20.0, random_state=0),
    "EASE": EASE(),
    "ItemKNN": ItemKNN(),
    "GraphFilter": GraphFilter(),
    "ShardedRecommender": ShardedRecommender(EASE(), 2, random_state=0),
    "UnlearningRecommender": UnlearningRecommender(EASE()),
}
ENCODER = r"Turn a table of events into one with InteractionEncoder, first step of a make_recomm"
NO_MATRIX = {
    "events": (EVENTS, ValueError, f"X holds text; .*{ENCODER}"),
    "polars": (pl.from_pandas(EVENTS), ValueError, f"X holds text; .*{ENCODER}"),
    "rows": (EVENTS.to_numpy().tolist(), ValueError, f"X holds text; .*{ENCODER}"),
    "column": (EVENTS["user"], ValueError, f"X has 1 dimension; .*{ENCODER}"),
    "list": (["secret-1"], ValueError, f"X has 1 dimension; .*{ENCODER}"),
    "row": (np.ones(20), ValueError, r"X has 1 dimension; .*Reshape your data to \(1, n_items\)"),
    "number": (3, ValueError, "X has no dimensions; expected a matrix"),
    "dict": ({"user": ["secret-1"]}, TypeError, f"X is a dict; .*{ENCODER}"),
    "none": (None, TypeError, f"X is None; .*{ENCODER}"),
    "path": ("secret.csv", TypeError, "X is a str; .*Read the file first, .*load_interactions"),
    "a path": (Path("secret.csv"), TypeError, "Path; .*Read the file first"),
    "nan": (np.where(X.toarray() > 0, X.toarray(), np.nan), ValueError, "NaN; .*0, stored or not"),
}
POSITIONS = r"expected integer positions\. .*InteractionEncoder\.encode_{}, or ask a Recomm"
REQUESTS = {
    "events": (lambda model: model.forget(EVENTS.head(2)), TypeError, POSITIONS.format("pairs")),
    "user": (lambda model: model.forget(users="secret"), TypeError, POSITIONS.format("users")),
    "users": (lambda model: model.forget(users=["secret"]), TypeError, POSITIONS.format("users")),
    "items": (lambda model: model.forget(items=["secret"]), TypeError, POSITIONS.format("items")),
    "column": (
        lambda model: model.forget(users=EVENTS["user"].head(1)),
        TypeError,
        POSITIONS.format("users") + r".*\.to_numpy\(\)",
    ),
    "id": (lambda model: model.forget("secret"), TypeError, POSITIONS.format("pairs")),
    "dict": (lambda model: model.forget({"users": ["secret"]}), TypeError, "Unpack it: .*users="),
    "one": (lambda model: model.forget([3]), ValueError, "requested with users= and items="),
    "no part": (lambda model: model.forget(), ValueError, "Name what to forget"),
    "missing": (lambda model: model.forget(users=3, missing="skip"), ValueError, "Pass 'ignore'"),
    "range": (lambda model: model.forget(users=99), ValueError, "positions of the X that the mod"),
    "listed ids": (
        lambda model: model.recommend(users=["secret"]),
        TypeError,
        POSITIONS.format("users"),
    ),
    "candidates": (
        lambda model: model.recommend(users=[3], candidates=["secret"]),
        TypeError,
        POSITIONS.format("items"),
    ),
    "listed": (
        lambda model: model.recommend([3]),
        ValueError,
        r"For users that the model was fitted on, call recommend\(users=",
    ),
    "listed events": (lambda model: model.recommend(EVENTS.to_numpy()), ValueError, ENCODER),
    "scored pairs": (
        lambda model: model.predict_pairs([("secret", "secret")]),
        TypeError,
        POSITIONS.format("pairs"),
    ),
    "learned": (lambda model: model.learn(EVENTS.head(2)), TypeError, POSITIONS.format("pairs")),
    "rectified": (
        lambda model: model.rectify(EVENTS.head(1), EVENTS.head(1)),
        TypeError,
        POSITIONS.format("pairs"),
    ),
}


def said(caught):
    """All that a traceback prints: the error, and those that it names as its causes."""
    error = caught.value
    return "".join(traceback.format_exception_only(error)) + str(error.__cause__ or "")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("given", NO_MATRIX)
def test_what_is_no_matrix_is_answered_by_what_to_do(family, given):
    value, kind, words = NO_MATRIX[given]
    model = FAMILIES[family]
    with pytest.raises(kind, match=words) as caught:
        model.fit(value)
    assert "secret" not in said(caught)
    assert caught.value.__context__ is None or "secret" not in str(caught.value.__context__)
    assert not hasattr(model, "n_features_in_")  # nothing was taken in


@pytest.mark.parametrize("family", FAMILIES)
def test_requests_in_another_form_are_answered_by_what_to_do(family):
    model = FAMILIES[family].__sklearn_clone__().fit(X)
    for name, (ask, kind, words) in REQUESTS.items():
        with pytest.raises(kind, match=words) as caught:
            ask(model)
        assert "secret" not in said(caught), name


@pytest.mark.parametrize("family", FAMILIES)
def test_events_as_numbers_are_met_with_a_warning(family):
    model = FAMILIES[family].__sklearn_clone__()
    numbers = pd.DataFrame({"user": _cells.row, "item": _cells.col, "count": _cells.data})
    with pytest.warns(DataWarning, match="looks like a table of events.*InteractionEncoder"):
        model.fit(numbers)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"MatrixFactorization"}))
def test_dislikes_are_sent_to_the_model_that_takes_them(family):
    with pytest.raises(ValueError, match=r"^Negative values in data.*MatrixFactorization.*Binar"):
        FAMILIES[family].fit(-X)


@pytest.mark.parametrize("family", ["MatrixFactorization", "ALS", "BPR", "LightGCN"])
@pytest.mark.parametrize(
    ("unlearner", "kind", "words"),
    [
        ("newton", ValueError, "'newton'; expected one of 'influence', (?:'sweep', )?'refit'. Ch"),
        (InfluenceUnlearner, TypeError, r"Call it: unlearner=InfluenceUnlearner\(\)"),
        (3, TypeError, r"Pass for instance InfluenceUnlearner\(\)"),
    ],
)
def test_a_strategy_that_is_set_later_is_checked_too(family, unlearner, kind, words):
    model = FAMILIES[family].__sklearn_clone__().fit(X).set_params(unlearner=unlearner)
    factors = model.item_factors_.copy()
    with pytest.raises(kind, match=words):
        model.forget(users=[3])
    assert np.array_equal(model.item_factors_, factors)


@pytest.mark.parametrize("family", ["MatrixFactorization", "ALS", "BPR", "LightGCN"])
def test_a_class_is_no_strategy(family):
    model = FAMILIES[family].__sklearn_clone__().set_params(unlearner=InfluenceUnlearner)
    with pytest.raises(TypeError, match=r"is the class InfluenceUnlearner; .*Call it"):
        model.fit(X)


def test_sweeps_are_refused_where_there_are_none():
    model = FAMILIES["BPR"].__sklearn_clone__().fit(X).set_params(unlearner="sweep")
    with pytest.raises(ValueError, match="'sweep'; expected one of 'influence', 'refit'"):
        model.forget(users=[3])


PIPELINES = {
    "matrix": (lambda model: model.fit(X), "A matrix of positions goes to a recommender itself"),
    "path": (lambda model: model.fit("secret.csv"), "a file is read first"),
    "rows": (lambda model: model.fit([("secret", "secret")]), r"Make it np\.array\(events"),
    "user": (lambda model: model.forget("secret-1"), "Ids alone are passed as users= or items="),
    "users": (lambda model: model.forget(["secret-1"]), "Ids alone are passed as users= or"),
    "listed": (lambda model: model.recommend(["secret-1"]), "Ids alone are passed as users= or"),
    "pairs": (lambda model: model.forget([("secret-1", "secret-i1")]), r"Make it np\.array"),
    "numbers": (lambda model: model.forget(users=[3]), "expected str, as in fit. Convert them to"),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_say_in_which_form_ids_are_taken(name):
    ask, words = PIPELINES[name]
    model = make_recommender_pipeline(InteractionEncoder("user", "item", "count"), EASE())
    with pytest.raises(TypeError, match=words) as caught:
        ask(model.fit(EVENTS))
    assert "secret" not in said(caught)


def test_steps_are_objects():
    with pytest.raises(TypeError, match=r"is the class EASE; expected an object. Call it: EASE\("):
        make_recommender_pipeline(InteractionEncoder(), EASE).fit(EVENTS)
    with pytest.raises(TypeError, match=r"Call it: InteractionEncoder\(\)"):
        make_recommender_pipeline(InteractionEncoder, EASE()).fit(EVENTS)


def test_measures_say_in_which_form_requests_are_taken():
    with pytest.raises(TypeError, match=r"Unpack it: .*users="):
        seed_test(FAMILIES["ALS"], X, {"users": [3]})
    model = make_recommender_pipeline(InteractionEncoder("user", "item", "count"), EASE())
    model.fit(EVENTS)
    with pytest.raises(ValueError, match=r"Pass pairs= .*events where the models are pipelines"):
        remaining_gap(model, model, model)


ROOT = Path(__file__).parents[2]
DESCRIBED = re.compile(r"^ *unlearner : (.*), default=", re.M)


def stated_options(kind):
    constraint = kind._parameter_constraints["unlearner"]
    return {name for one in constraint for name in getattr(one, "options", ())}


@pytest.mark.parametrize("kind", [MatrixFactorization, ALS, BPR, LightGCN])
def test_strategies_in_a_docstring_are_those_of_the_errors(kind):
    described = set(re.findall(r'"(\w+)"', DESCRIBED.search(kind.__doc__).group(1)))
    assert described == stated_options(kind)
    with pytest.raises(ValueError) as caught:
        kind(unlearner="newton").fit(X)
    listed = re.search(r"among {(.*?)}", str(caught.value)).group(1)
    assert set(re.findall(r"'(\w+)'", listed)) == described


def test_strategies_of_the_guide_are_those_of_the_models():
    text = (ROOT / "docs/user_guide/forgetting.md").read_text(encoding="utf-8")
    known = set().union(*(stated_options(kind) for kind in (MatrixFactorization, ALS, BPR)))
    table = text.split("| `unlearner` | does |")[1].split("\n\n")[0]
    told = set(re.findall(r'`"(\w+)"`', table))
    assert told == known
