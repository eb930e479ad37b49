"""Ids that `fit` saw appear nowhere but in what the caller asks to decode."""

import html
import pickle
import re
import uuid
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.preprocessing import InteractionEncoder

# Nothing else holds these: no size, count, row or address.
SENTINELS = {
    "text": ["sentinelA-7f3", "sentinelB-9c1", "sentinelC-2d8"],
    "int": [770011223344, 770011223355, 770011223366],
    "uuid": [uuid.UUID(f"5e171e5e-171e-4000-8000-00000000000{k}") for k in range(3)],
}
OTHER = {"text": ["zoe", "zip"], "int": [1, 2], "uuid": [uuid.UUID(int=1), uuid.UUID(int=2)]}
TRACE = re.compile(r"sentinel|7700112233|5e171e", re.IGNORECASE)

CONTAINERS = {
    "dict": dict,
    "pandas": pd.DataFrame,
    "pandas, objects": lambda c: pd.DataFrame(c, dtype=object).assign(v=c["v"]),
    "pandas, categories": lambda c: pd.DataFrame(
        {n: (pd.Categorical(x) if n != "v" else x) for n, x in c.items()}
    ),
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "array": lambda c: np.array(list(zip(*c.values(), strict=True)), object),
}
CASES = [(container, kind) for container in CONTAINERS for kind in SENTINELS]


def table(container, ids, values=None):
    columns = {"user": ids, "item": ids[::-1], "v": values or [1.0] * len(ids)}
    return CONTAINERS[container](columns)


def texts_of(encoder):
    """Every text that an encoder gives of itself, alone and inside of others."""
    parents = [
        make_pipeline(encoder, FunctionTransformer()),
        Pipeline([("inner", make_pipeline(encoder)), ("last", "passthrough")]),
        FeatureUnion([("one", encoder)]),
        ColumnTransformer([("one", encoder, ["user", "item"])]),
        Parent(encoder),
    ]
    for shown in (encoder, *parents):
        yield from (repr(shown), str(shown), f"{shown}", shown._repr_html_())
        yield from map(str, shown._repr_mimebundle_().values())
    for name, value in vars(encoder).items():
        yield f"{name}: {value}" if not name.startswith("_") else f"{name}: {value!r}"
    yield str(encoder.get_params())
    yield str(encoder.__sklearn_tags__())


class Parent(TransformerMixin, BaseEstimator):
    """A meta-estimator that passes names on, as those of scikit-learn do."""

    def __init__(self, inner):
        self.inner = inner

    def __sklearn_is_fitted__(self):
        return self.inner.__sklearn_is_fitted__()

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return self.inner.transform(X)

    def get_feature_names_out(self, input_features=None):
        return self.inner.get_feature_names_out()


def assert_no_trace(text):
    assert not TRACE.search(html.unescape(text)), text


@pytest.mark.parametrize(("container", "kind"), CASES)
def test_no_text_of_an_encoder_shows_an_id(container, kind):
    ids = SENTINELS[kind]
    encoder = InteractionEncoder(value="v")
    assert all(TRACE.search(str(one)) for one in ids)
    for state in ("unfitted", "fitted", "forgotten", "all forgotten", "cloned"):
        if state == "fitted":
            encoder.fit(table(container, ids))
        elif state == "forgotten":
            encoder.forget_users(ids[:1])
        elif state == "all forgotten":
            encoder.forget_users(ids[1:])
        elif state == "cloned":
            encoder = clone(encoder)
        for text in texts_of(encoder):
            assert_no_trace(text)


@pytest.mark.parametrize("container", ["pandas", "polars", "dict"])
def test_no_diagram_of_a_fitted_parent_shows_an_id(container):
    events = table(container, SENTINELS["text"])
    parents = [
        make_pipeline(InteractionEncoder(), FunctionTransformer(accept_sparse=True)),
        FeatureUnion([("one", InteractionEncoder())]),
    ]
    if container == "pandas":
        parents.append(ColumnTransformer([("one", InteractionEncoder(), ["user", "item"])]))
    for parent in parents:
        parent.fit(events)
        names = parent.get_feature_names_out() if not isinstance(parent, Pipeline) else None
        assert names is None or all(TRACE.search(name) for name in names)  # to who asks, they go
        for text in (repr(parent), parent._repr_html_(), *parent._repr_mimebundle_().values()):
            assert_no_trace(text)


def chain(error):
    while error is not None:
        yield f"{error} {error.args}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(("container", "kind"), CASES)
def test_no_error_or_warning_shows_an_id_that_was_not_passed_to_it(container, kind):
    ids, other = SENTINELS[kind], OTHER[kind]
    encoder = InteractionEncoder(value="v").fit(table(container, ids))
    encoder.forget_users(ids[:1])
    wrong = ["word"] if kind != "text" else [3]
    X = np.ones((3, 3))
    strict = clone(encoder).set_params(duplicates="error").fit(table(container, ids))
    calls = {
        "unknown": lambda: encoder.transform(table(container, other)),
        "unknown pairs": lambda: encoder.encode_pairs(table(container, other)),
        "unknown item": lambda: encoder.transform_new_users(table(container, other)),
        "unknown user": lambda: encoder.encode_users(other),
        "to forget": lambda: encoder.forget_users(other),
        "another type": lambda: encoder.encode_users(wrong),
        "another type, forgotten": lambda: encoder.forget_users(wrong),
        "single": lambda: encoder.encode_items(wrong[0]),
        "of the forgotten": lambda: encoder.inverse_transform(X),
        "shape": lambda: encoder.inverse_transform(X[:2]),
        "position": lambda: encoder.decode_users([0]),
        "range": lambda: encoder.decode_items([1, 7]),
        "float": lambda: encoder.decode_items([1.5]),
        "column": lambda: encoder.transform({"user": other}),
        "no table": lambda: encoder.transform(7),
        "parameter": lambda: encoder.set_params(nothing=1),
        "fit": lambda: encoder.fit({"user": [None], "item": [1], "v": [1]}),
        "repeated": lambda: strict.transform(table(container, [ids[1], ids[1]])),
        "NaN": lambda: strict.transform(table(container, ids, [1.0, float("nan"), 1.0])),
    }
    state = pickle.dumps(encoder)
    for name, call in calls.items():
        with pytest.raises((ValueError, TypeError)) as error:
            call()
        for text in chain(error.value):
            assert not TRACE.search(text), name
    assert pickle.dumps(encoder) == state
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder.transform(table(container, ids[1:], [0.0, 1.0]))
    assert len(caught) == 1 and not TRACE.search(str(caught[0].message))


def test_errors_of_fit_show_no_id_either():
    ids = SENTINELS["text"]
    bad = [
        {"user": [*ids, 3], "item": list(range(4))},
        {"user": [*ids, None], "item": list(range(4))},
        {"user": [*ids, True], "item": list(range(4))},
        {"user": [{one} for one in ids], "item": list(range(3))},
        {"user": [frozenset({one}) for one in ids], "item": list(range(3))},
        {"user": ids, "item": list(range(2))},
        {"user": ids, "item": SENTINELS["int"], "v": [1.0, 2.0, np.nan]},
        {"user": ids, "item": [0.5, 770011223344.5, 1.0]},
        {"user": ids, "item": [2**64, 770011223344, -1]},
        {"user": ids[:0], "item": []},
    ]
    for events in bad:
        encoder = InteractionEncoder(value="v" if "v" in events else None)
        with pytest.raises((ValueError, TypeError)) as error:
            encoder.fit(events)
        for text in chain(error.value):
            assert not TRACE.search(text), text
        for text in texts_of(encoder):
            assert_no_trace(text)


def test_ids_that_are_passed_may_be_named_at_most_three_of_them():
    encoder = InteractionEncoder().fit({"user": ["a"], "item": ["x"]})
    with pytest.raises(UnknownInteractionError) as error:
        encoder.encode_users(["p", "a", "q", "r", "s"])
    assert "4 of 5 user ids are unknown ('p', 'q', 'r', ...)" in str(error.value)
