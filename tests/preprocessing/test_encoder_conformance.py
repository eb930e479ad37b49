"""The encoder among scikit-learn's transformers: its checks, its settings, its diagrams."""

import copy
import inspect
import pickle
import warnings
from unittest import SkipTest

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_do_not_raise_errors_in_init_or_set_params,
    check_estimator,
    check_estimator_cloneable,
    check_estimator_repr,
    check_estimator_tags_renamed,
    check_estimators_unfitted,
    check_get_params_invariance,
    check_mixin_order,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
    check_transformers_unfitted,
    check_valid_tag_types,
    estimator_checks_generator,
)

from sklearn_unlearn.preprocessing import InteractionEncoder

TABLE = {
    "user": ["bo", "al", "bo", "cy"],
    "item": [30, 10, 10, 20],
    "v": [4.0, 2.5, 5.0, 1.0],
    "when": [1, 2, 3, 4],
}


def encoder(**params):
    return InteractionEncoder(value="v", **params)


# -- scikit-learn's checks -------------------------------------------------------------------------
def as_if_of_arrays(cls):
    """Subclass an estimator so that scikit-learn yields its checks for it."""

    def tags(self):
        made = super(claimed, self).__sklearn_tags__()
        made.input_tags.two_d_array = True
        return made

    claimed = type(cls.__name__, (cls,), {"__sklearn_tags__": tags, "__module__": cls.__module__})
    return claimed


def outcome(check, estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check(estimator)
        except SkipTest:
            return "skipped"
        except Exception as error:
            return f"failed: {error}"
        return "passed"


def test_every_check_that_dict_vectorizer_passes_is_passed():
    rival, ours = as_if_of_arrays(DictVectorizer), as_if_of_arrays(InteractionEncoder)
    passed = []
    for _, check in estimator_checks_generator(rival()):
        if outcome(check, rival()) == "passed":
            name = getattr(check.func, "__name__", str(check.func))
            assert (name, outcome(check, ours())) == (name, "passed")
            passed.append(name)
    assert {"check_estimators_unfitted", "check_set_params", "check_estimator_repr"} < set(passed)
    assert len(passed) >= 13


def test_the_checks_of_the_encoder_itself_are_those_of_dict_vectorizer():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rival, ours = (
            check_estimator(as_if_of_arrays(cls)(), on_skip=None, on_fail=None)
            for cls in (DictVectorizer, InteractionEncoder)
        )
    assert [r["check_name"] for r in ours] == [r["check_name"] for r in rival]
    assert {r["check_name"] for r in rival if r["status"] == "passed"} <= {
        r["check_name"] for r in ours if r["status"] == "passed"
    }


def test_tables_are_no_arrays_to_scikit_learn():
    tags = get_tags(InteractionEncoder())
    rival = get_tags(DictVectorizer())
    assert not tags.input_tags.two_d_array and not rival.input_tags.two_d_array
    assert tags.input_tags.dict and tags.input_tags.string and not tags.input_tags.sparse
    assert tags.requires_fit and not tags.target_tags.required and not tags.no_validation
    assert tags.transformer_tags is not None and not is_classifier(InteractionEncoder())
    with pytest.warns(SkipTestWarning, match="Can't test estimator InteractionEncoder"):
        assert len(check_estimator(InteractionEncoder())) == 1  # that it can be cloned


@pytest.mark.parametrize(
    "check",
    [
        check_do_not_raise_errors_in_init_or_set_params,
        check_estimator_cloneable,
        check_estimator_repr,
        check_estimator_tags_renamed,
        check_estimators_unfitted,
        check_get_params_invariance,
        check_mixin_order,
        check_no_attributes_set_in_init,
        check_parameters_default_constructible,
        check_set_params,
        check_transformers_unfitted,
        check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_check(check):
    check("InteractionEncoder", InteractionEncoder())


# -- the same, on tables: what those checks would find if they could make events -------------------
def test_fit_returns_self_and_keeps_parameters_and_input():
    one = encoder(duplicates="last", unknown="ignore", timestamp="when")
    params, table = one.get_params(), copy.deepcopy(TABLE)
    assert one.fit(table, y=[0, 1]) is one
    assert one.get_params() == params
    assert table == TABLE
    assert list(inspect.signature(one.fit).parameters) == ["X", "y"]
    assert set(vars(one)) - set(params) == {
        "_users", "_items", "_kind", "_value_name", "n_users_", "n_items_",
    }  # fmt: skip
    before = {name: value for name, value in vars(one).items() if name.endswith("_")}
    one.transform(table), one.transform_new_users(table), one.encode_pairs(table)
    assert {name: value for name, value in vars(one).items() if name.endswith("_")} == before


def test_fitting_twice_or_elsewhere_is_fitting_once():
    one = encoder().fit({"user": [1, 2, 3, 4], "item": list("abcd"), "v": [1] * 4})
    state = pickle.dumps(encoder().fit(TABLE))
    assert pickle.dumps(one.fit(TABLE)) == state
    assert pickle.dumps(one.fit(TABLE)) == state
    assert pickle.dumps(clone(one).fit(TABLE)) == state
    X = one.transform(TABLE)
    assert (encoder().fit_transform(TABLE) != X).nnz == 0
    assert (encoder().fit(TABLE).transform(TABLE) != X).nnz == 0


def test_rows_are_transformed_one_by_one():
    one = encoder().fit(TABLE)
    parts = [one.transform({k: c[r : r + 1] for k, c in TABLE.items()}) for r in range(4)]
    assert (sum(parts) != one.transform(TABLE)).nnz == 0
    order = [2, 0, 3, 1]
    shuffled = {name: [column[r] for r in order] for name, column in TABLE.items()}
    assert (one.transform(shuffled) != one.transform(TABLE)).nnz == 0
    assert one.encode_pairs(shuffled).tolist() == one.encode_pairs(TABLE)[order].tolist()


def test_read_only_and_memory_mapped_columns_are_enough(tmp_path):
    arrays = {"user": np.array([7, 5, 7, 6]), "item": np.arange(4), "v": np.ones(4)}
    for name, column in arrays.items():
        np.save(tmp_path / f"{name}.npy", column)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}
    X = encoder().fit_transform(mapped)
    assert (encoder().fit_transform(arrays) != X).nnz == 0
    assert all(not np.may_share_memory(X.data, column) for column in mapped.values())
    X.data[:] = 3
    assert arrays["v"].tolist() == [1.0] * 4


def test_a_memory_mapped_encoder_works_and_forgets(tmp_path):
    table = {"user": list(range(500, 0, -1)), "item": list(range(500)), "v": [1.0] * 500}
    one = encoder(unknown="ignore").fit(table)
    joblib.dump(one, tmp_path / "encoder.joblib")
    again = joblib.load(tmp_path / "encoder.joblib", mmap_mode="r")
    assert isinstance(again._users.ids, np.memmap) and not again._users.ids.flags.writeable
    assert (again.transform(table) != one.transform(table)).nnz == 0
    again.forget_users([17, 18])
    assert again.encode_users([16, 17, 18, 19]).tolist() == [15, -1, -1, 18]
    assert not isinstance(again._users.ids.base, np.memmap)
    assert one.encode_users([17]).tolist() == [16]


# -- settings --------------------------------------------------------------------------------------
def matrices(one, table):
    yield one.fit_transform(table)
    yield one.transform(table)
    yield one.transform({name: column[:0] for name, column in table.items()})
    yield one.transform_new_users(table)[1]


@pytest.mark.parametrize(
    ("interface", "kind"), [("spmatrix", sparse.csr_matrix), ("sparray", sparse.csr_array)]
)
def test_matrices_are_of_the_kind_that_is_configured(interface, kind):
    with config_context(sparse_interface=interface):
        for X in matrices(encoder(), TABLE):
            assert type(X) is kind
            assert X.has_canonical_format and X.dtype == np.float64
        assert type(DictVectorizer().fit_transform([{"a": 1}])) is kind


def test_the_kind_does_not_change_the_matrix_and_both_come_back():
    one = encoder().fit(TABLE)
    with config_context(sparse_interface="sparray"):
        X = one.transform(TABLE)
    Y = one.transform(TABLE)
    assert type(Y) is sparse.csr_matrix  # scikit-learn's default
    assert X.toarray().tolist() == Y.toarray().tolist()
    for matrix in (X, Y):
        assert sorted(one.inverse_transform(matrix)["v"]) == sorted(TABLE["v"])


def test_older_releases_give_out_matrices(monkeypatch):
    import sklearn_unlearn.utils._compat as compat

    monkeypatch.setattr(compat, "get_config", lambda: {"transform_output": "default"})
    assert all(type(X) is sparse.csr_matrix for X in matrices(encoder(), TABLE))


@pytest.mark.parametrize("output", ["pandas", "polars", "default"])
def test_no_setting_makes_a_frame_of_the_matrix(output):
    with config_context(transform_output=output):
        for X in matrices(encoder(), TABLE):
            assert sparse.issparse(X)
        chain = make_pipeline(encoder(), FunctionTransformer(accept_sparse=True))
        assert sparse.issparse(chain[:1].fit_transform(TABLE))
    assert not hasattr(encoder(), "set_output")


def test_a_pipeline_passes_tables_through():
    for table in (TABLE, pd.DataFrame(TABLE), pl.DataFrame(TABLE)):
        chain = make_pipeline(encoder(), FunctionTransformer(abs, accept_sparse=True))
        X = chain.fit_transform(table)
        assert X.toarray().tolist() == encoder().fit_transform(table).toarray().tolist()
        assert chain.transform(table).toarray().tolist() == X.toarray().tolist()
        assert chain[0].get_feature_names_out().tolist() == [10, 20, 30]
    with pytest.raises(NotFittedError):
        clone(chain).transform(TABLE)


def test_names_are_given_by_the_method_but_not_to_diagrams():
    inner = encoder().fit(TABLE)
    chain = make_pipeline(make_pipeline(encoder()), FunctionTransformer(accept_sparse=True))
    union = FeatureUnion([("one", encoder()), ("two", encoder())])
    for parent in (chain.fit(TABLE), union.fit(TABLE)):
        html = parent._repr_html_()
        assert "InteractionEncoder" in html
    assert inner.get_feature_names_out("ignored").tolist() == [10, 20, 30]
    assert union.get_feature_names_out().tolist()[:2] == ["one__10", "one__20"]


def test_no_argument_is_taken_for_metadata():
    """scikit-learn would route whatever is not called X or y."""
    names = dir(InteractionEncoder)
    assert not any(name.startswith("set_") and "request" in name for name in names)
