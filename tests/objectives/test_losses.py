import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn.objectives import LOSSES, LogisticLoss, SquaredLoss
from tests.oracles import derivative, loss_terms
from tests.problems import LOSS_NAMES

scores = st.floats(-30, 30)
targets = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
names = st.sampled_from(LOSS_NAMES)
cells = st.tuples(names, scores, targets)


def column(*numbers):
    return (np.array([number]) for number in numbers)


def test_every_loss_is_listed_under_its_name():
    assert {name: type(loss) for name, loss in LOSSES.items()} == {
        "logistic": LogisticLoss,
        "squared": SquaredLoss,
    }
    assert all(loss.name == name for name, loss in LOSSES.items())


@given(cells)
def test_value_slope_and_curvature_are_those_of_the_formula(cell):
    name, score, target = cell
    s, y = column(score, target)
    slope, curvature = LOSSES[name].derivatives(s, y)
    got = [LOSSES[name].value(s, y)[0], slope[0], curvature[0]]
    assert_allclose(got, loss_terms(name, score, target), rtol=1e-9, atol=1e-13)


@given(cells)
def test_slope_is_the_derivative_of_the_value(cell):
    name, score, target = cell
    s, y = column(score, target)
    numeric = derivative(lambda t: LOSSES[name].value(t, y), s, 1.0)
    assert_allclose(LOSSES[name].derivatives(s, y)[0], numeric, rtol=1e-6, atol=1e-8)


@given(cells)
def test_curvature_is_the_derivative_of_the_slope(cell):
    name, score, target = cell
    s, y = column(score, target)
    numeric = derivative(lambda t: LOSSES[name].derivatives(t, y)[0], s, 1.0)
    assert_allclose(LOSSES[name].derivatives(s, y)[1], numeric, rtol=1e-6, atol=1e-9)


@given(cells, st.floats(-2, 2))
def test_fenchel_young_inequality_holds(cell, slope):
    name, score, target = cell
    s, y, v = column(score, target, slope)
    loss = LOSSES[name]
    assert loss.value(s, y)[0] + loss.conjugate(v, y)[0] >= score * slope - 1e-12 * (1 + abs(score))


@given(cells)
def test_fenchel_young_is_an_equality_at_the_slope(cell):
    name, score, target = cell
    s, y = column(score, target)
    loss = LOSSES[name]
    slope = loss.derivatives(s, y)[0]
    assert_allclose(loss.value(s, y) + loss.conjugate(slope, y), s * slope, rtol=1e-10, atol=1e-12)


@given(st.floats(1e-6, 5), targets, st.booleans())
def test_conjugate_is_infinite_beyond_the_slopes_that_exist(excess, target, above):
    slope = 1 - target + excess if above else -target - excess
    assert LogisticLoss().conjugate(*column(slope, target))[0] == np.inf
    assert np.isfinite(SquaredLoss().conjugate(*column(slope, target))[0])


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_conjugate_is_zero_at_both_ends_of_the_slopes(label):
    assert_array_equal(LogisticLoss().conjugate(*column(-label, label)), [0.0])
    assert_array_equal(LogisticLoss().conjugate(*column(1 - label, label)), [0.0])


@given(cells)
def test_curvature_follows_from_the_slope(cell):
    name, score, target = cell
    s, y = column(score, target)
    slope, curvature = LOSSES[name].derivatives(s, y)
    assert_allclose(LOSSES[name].curvature_at_slope(slope, y), curvature, rtol=1e-9, atol=1e-15)


@given(names, st.floats(-20, 0), st.floats(1e-3, 15), st.sampled_from([-1.0, 1.0]))
def test_no_shift_is_longer_than_its_bound(name, score, length, sign):
    # The gap depends on neither the target nor the sign of the score (with that of the shift);
    # these leave small numbers, without cancellation.
    s, d, y = column(score, sign * length, 0.0)
    loss = LOSSES[name]
    slope, curvature = loss.derivatives(s, y)
    gap = loss.value(s + d, y) - loss.value(s, y) - slope * d
    assert length <= loss.max_shift(float(gap[0] / curvature[0])) * (1 + 1e-6)


@given(names, st.floats(1e-12, 1e-4))
def test_bound_of_a_small_shift_is_sharp(name, ratio):
    assert_allclose(LOSSES[name].max_shift(ratio), np.sqrt(2 * ratio), rtol=1e-2)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_no_gap_allows_no_shift(name):
    assert LOSSES[name].max_shift(0.0) == 0.0


@given(names, st.floats(-20, 20), st.floats(-15, 15))
def test_curvature_shrinks_no_faster_than_promised(name, score, shift):
    s, y, loss = np.array([score, score + shift]), np.zeros(2), LOSSES[name]
    before, after = loss.derivatives(s, y)[1]
    assert after >= before * loss.curvature_kept(abs(shift)) * (1 - 1e-12)
    assert 0 < loss.curvature_kept(abs(shift)) <= 1


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_extreme_scores_neither_overflow_nor_lose_the_small_side(target):
    s, loss = np.array([-800.0, -40.0, 40.0, 800.0]), LogisticLoss()
    y = np.full(4, target)
    value, (slope, curvature) = loss.value(s, y), loss.derivatives(s, y)
    assert_allclose(value, np.maximum(np.where(y > 0, -s, s), 0), rtol=1e-15, atol=1e-15)
    right = np.sign(s) == np.where(y > 0, 1, -1)
    assert_allclose(slope, np.where(right, 0.0, np.sign(s)), atol=1e-16)
    assert_allclose(curvature, [0, np.exp(-40), np.exp(-40), 0], rtol=1e-12)
    assert np.isfinite(loss.conjugate(slope, y)).all()
    assert np.isfinite(loss.curvature_at_slope(slope, y)).all()


@given(
    names,
    st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.floats(0.1, 9)), min_size=2, max_size=12),
    st.booleans(),
)
def test_offset_is_the_best_constant(name, cells, weighted):
    y = np.array([0.0, 1.0, *(target for target, _ in cells)])
    weights = np.array([1.0, 1.0, *(weight for _, weight in cells)])
    best = LOSSES[name].offset(y, weights if weighted else None)
    slope = LOSSES[name].derivatives(np.full(len(y), best), y)[0]
    # The clip at half an observation may only act where fewer than that were seen.
    share = np.average(y, weights=weights if weighted else None)
    if 0.5 / len(y) <= share <= 1 - 0.5 / len(y):
        assert abs(np.average(slope, weights=weights if weighted else None)) < 1e-12


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_offset_of_equal_labels_is_finite_and_grows_with_them(label):
    few, many = (LogisticLoss().offset(np.full(n, label), None) for n in (3, 3000))
    assert np.isfinite([few, many]).all()
    assert abs(few) < abs(many)
    assert np.sign(few) == np.sign(many) == (1 if label else -1)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_offset_of_nothing_is_zero(name):
    assert LOSSES[name].offset(np.empty(0), None) == 0.0
    assert LOSSES[name].offset(np.empty(0), np.empty(0)) == 0.0


def test_targets_are_the_signs_or_the_ratings():
    values = np.array([-2.0, 3.5, 0.5], np.float32)
    assert_array_equal(LogisticLoss().targets(values), [0, 1, 1])
    assert_array_equal(SquaredLoss().targets(values), values)
    assert all(loss.targets(values).dtype == np.float64 for loss in LOSSES.values())


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_is_curved_tells_whether_the_curvature_changes(name):
    s = np.array([0.0, 2.0])
    curvature = LOSSES[name].derivatives(s, np.zeros(2))[1]
    assert LOSSES[name].is_curved == (curvature[0] != curvature[1])
