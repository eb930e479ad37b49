"""Entry-wise transformers: a value at a time, whatever stands around it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_unlearn.preprocessing import EntrywiseTransformer, RatingBinarizer


class Scaled(EntrywiseTransformer):
    """Multiplies, and makes nothing of small values."""

    def _transform_values(self, values):
        return np.where(abs(values) < 1, 0.0, 10 * values)


CONTAINERS = [np.asarray, sparse.csr_array, sparse.csc_matrix, sparse.coo_array]
tables = st.lists(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.5, 4.0, -2.0]), min_size=3, max_size=3),
    min_size=2,
    max_size=6,
).map(np.array)


def dense(X):
    return X.toarray() if sparse.issparse(X) else X


@pytest.mark.parametrize("container", CONTAINERS)
@given(table=tables)
def test_labels_follow_the_threshold(container, table):
    X = container(table)
    result = dense(RatingBinarizer(threshold=3.5).fit_transform(X))
    expected = [[0 if v == 0 else 1 if v >= 3.5 else -1 for v in row] for row in table]
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(dense(X), table)  # not written to


@pytest.mark.parametrize("transformer", [RatingBinarizer(3.5), Scaled()])
@pytest.mark.parametrize("container", CONTAINERS)
@given(table=tables, data=st.data())
def test_forgetting_before_equals_forgetting_after(transformer, container, table, data):
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=table.size, max_size=table.size)))
    gone = gone.reshape(table.shape)
    before = transformer.fit_transform(container(np.where(gone, 0, table)))
    after = np.where(gone, 0, dense(transformer.fit_transform(container(table))))
    np.testing.assert_array_equal(dense(before), after)


def test_a_value_that_becomes_zero_is_not_stored():
    X = sparse.csr_array(np.array([[0.5, 2.0], [0.0, 0.25]]))
    result = Scaled().fit_transform(X)
    assert result.nnz == 1 and result[0, 1] == 20


def test_stored_zeros_and_duplicates_are_not_values():
    X = sparse.csr_array(([2.0, 3.0, 0.0], [0, 0, 1], [0, 3]), shape=(1, 2))
    result = RatingBinarizer(threshold=5).fit_transform(X)
    assert result.toarray().tolist() == [[1.0, 0.0]] and result.nnz == 1


@pytest.mark.parametrize(
    "kind, interface", [(sparse.csr_array, "sparray"), (sparse.csr_matrix, "spmatrix")]
)
def test_sparse_interface_is_respected(kind, interface):
    X = sparse.csr_array(np.eye(3))
    with config_context(sparse_interface=interface):
        assert type(RatingBinarizer().fit_transform(X)) is kind


def test_a_subclass_must_say_what_it_does():
    with pytest.raises(NotImplementedError, match="_transform_values"):
        EntrywiseTransformer().fit_transform(np.eye(2))


@pytest.mark.parametrize("threshold", [None, "4", np.nan, np.inf])
def test_threshold_is_checked(threshold):
    with pytest.raises(ValueError, match="'threshold' parameter of RatingBinarizer"):
        RatingBinarizer(threshold=threshold).fit(np.eye(2))


@parametrize_with_checks([RatingBinarizer(), Scaled()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
