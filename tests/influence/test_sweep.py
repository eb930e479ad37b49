"""Block sweeps against refits, dense residuals, and what they do when they miss."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import ForgetError, ForgetFallbackWarning, NotConvergedWarning
from sklearn_unlearn.influence import SweepUnlearner, _stages
from sklearn_unlearn.influence._progress import Progress
from sklearn_unlearn.influence._stages import Rules
from sklearn_unlearn.objectives import TiltedObjective, _block_steps
from sklearn_unlearn.solvers import NewtonResult, Status
from tests.objectives.pairwise_twin import PROBLEMS as PAIRWISE
from tests.problems import PROBLEMS

X = make_interactions(60, 40, n_interactions=900, random_state=0)
USER = [7]
ESTIMATORS = {
    "als": ALS(12, regularization=20.0, alpha=10.0, tol=1e-9, random_state=0),
    "als-frequencies": ALS(
        12, regularization=6.0, alpha=10.0, frequency_scaling=0.5, tol=1e-9, random_state=0
    ),
    "logistic": MatrixFactorization(24, regularization=2.5, random_state=0, tol=1e-9),
    "logistic-mean": MatrixFactorization(
        24, regularization=2.5, global_mean=True, random_state=0, tol=1e-9
    ),
    "ratings": MatrixFactorization(
        20, loss="squared", regularization=6.0, random_state=0, tol=1e-9
    ),
}


def data_of(name):
    if name != "ratings":
        return X if name.startswith("logistic") else abs(X)
    stars = X.copy()
    noise = np.random.default_rng(0).integers(0, 3, X.nnz)
    stars.data = np.where(X.data > 0, 3.0, 1.0) + noise
    return stars


@pytest.fixture(scope="module", params=ESTIMATORS)
def fitted(request):
    model = copy.deepcopy(ESTIMATORS[request.param]).fit(data_of(request.param))
    assert model.certify().certified
    return model


@pytest.fixture(scope="module", params=["als", "logistic"])
def either(request):
    return copy.deepcopy(ESTIMATORS[request.param]).fit(data_of(request.param))


def scores(model):
    return model._score_users(np.arange(len(model.user_factors_)))


def refit(model):
    fresh = type(model)(**{**model.get_params(deep=False), "random_state": 9, "unlearner": None})
    return fresh.fit(model._interactions.to_csr())


def gap(before, after):
    target = scores(refit(after))
    return np.linalg.norm(scores(after) - target) / np.linalg.norm(scores(before) - target)


def word_of(model):
    """Guarantee where the touched rows alone moved: least squares are solved exactly."""
    return "rows-solved" if isinstance(model, ALS) else "one-step"


def forgotten(model, unlearner, **request):
    request = request or {"users": USER}
    return copy.deepcopy(model).set_params(unlearner=unlearner).forget(**request)


def table_gradient(model):
    objective = model._make_objective(model._interactions)
    return objective.gradient(model._theta(objective.layout))


def newton_sweep(objective, theta, *sides):
    theta = theta.copy()
    objective.row_solver().sweep(theta, (), *sides)
    return theta


def true_norm(model):
    return np.linalg.norm(table_gradient(model))


REQUESTS = {
    "user": {"users": USER},
    "item": {"items": [3]},
    "pairs": {"interactions": np.argwhere(X.toarray())[[5, 100, 400]]},
}


# -- sweeps over everything --------------------------------------------------------------------
@pytest.mark.parametrize("request_", REQUESTS)
def test_sweeps_over_everything_end_at_the_refit(fitted, request_):
    unlearner = SweepUnlearner(n_sweeps=2000, tol=1e-6, on_failure="raise")
    after = forgotten(fitted, unlearner, **REQUESTS[request_])
    report = after.forget_report_
    assert (report.method, report.guarantee) == ("sweep", "residual-bounded")
    assert report.residual <= 1e-6
    assert_allclose(report.gradient_norm[1], true_norm(after), rtol=0.3, atol=1e-6)
    assert after.converged_
    assert gap(fitted, after) <= 1e-4


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-3])
def test_the_residual_is_the_one_asked_for(fitted, tol):
    after = forgotten(fitted, SweepUnlearner(n_sweeps=2000, tol=tol, on_failure="raise"))
    report = after.forget_report_
    assert 0 < report.residual <= tol
    assert true_norm(after) <= 1.01 * (report.gradient_norm[1] + fitted.gradient_norm_)
    assert report.n_rows_updated <= 100


def test_without_tolerance_every_sweep_is_made_and_nothing_promised(fitted):
    gaps = []
    for n_sweeps in (1, 4, 30):
        after = forgotten(fitted, SweepUnlearner(n_sweeps=n_sweeps, tol=None))
        report = after.forget_report_
        assert (report.guarantee, report.n_steps) == ("one-step", n_sweeps + 1)
        assert_allclose(report.gradient_norm[1], true_norm(after), rtol=1e-6, atol=1e-8)
        assert not after.converged_
        gaps.append(gap(fitted, after))
    assert 1 > gaps[0] > gaps[1] > gaps[2]


def test_touched_rows_come_first_then_all_of_them():
    model = copy.deepcopy(ESTIMATORS["logistic"]).fit(X)
    after = forgotten(model, SweepUnlearner(n_sweeps=1, tol=None))
    objective = after._make_objective(after._interactions)
    theta, items = model._theta(objective.layout), 60 + X[USER].indices
    theta[USER] = objective.layout.empty_rows(np.array(USER))
    theta = newton_sweep(objective, theta, np.sort(items))
    theta = newton_sweep(objective, theta, np.arange(60), np.arange(60, 100))
    assert_allclose(after._theta(objective.layout), theta, rtol=1e-9, atol=1e-12)


def test_by_name_it_is_the_default_strategy(fitted):
    after, same = forgotten(fitted, "sweep"), forgotten(fitted, SweepUnlearner())
    assert_array_equal(after.user_factors_, same.user_factors_)
    assert after.forget_report_.method in ("sweep", "refit")


# -- touched rows alone ------------------------------------------------------------------------
@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("n_sweeps", [1, 3])
def test_touched_rows_alone_move_and_the_residual_is_told(fitted, request_, n_sweeps):
    unlearner = SweepUnlearner("touched", n_sweeps=n_sweeps, on_failure="raise")
    after = forgotten(fitted, unlearner, **REQUESTS[request_])
    report = after.forget_report_
    assert report.guarantee == word_of(fitted)
    assert f"{report.residual:.1e} of the gradient is left" in report.status
    assert report.n_steps == n_sweeps
    assert_allclose(report.gradient_norm[1], true_norm(after), rtol=1e-4)
    assert not after.converged_
    mask = np.zeros(X.shape, bool)
    for part, where in REQUESTS[request_].items():
        index = {"users": (where,), "items": (slice(None), where)}
        mask[index[part] if part in index else tuple(np.transpose(where))] = True
    mask &= X.toarray() != 0
    for table, touched in ((after.user_factors_, mask.any(1)), (after.item_factors_, mask.any(0))):
        name = "user_factors_" if table is after.user_factors_ else "item_factors_"
        assert_array_equal(table[~touched], getattr(fitted, name)[~touched])
        assert (table[touched] != getattr(fitted, name)[touched]).any(axis=1).all()
    assert gap(fitted, after) < 0.9


def test_touched_rows_promise_a_residual_where_they_meet_it(fitted):
    after = forgotten(fitted, SweepUnlearner("touched", tol=0.9))
    assert after.forget_report_.guarantee == "residual-bounded"
    assert after.converged_
    without = forgotten(fitted, SweepUnlearner("touched", tol=None))
    assert without.forget_report_.guarantee == word_of(fitted)
    assert_array_equal(without.item_factors_, after.item_factors_)


def test_more_sweeps_over_the_touched_rows_settle_them():
    model = copy.deepcopy(ESTIMATORS["ratings"]).fit(data_of("ratings"))
    pairs = np.argwhere(X.toarray())[[5, 100, 400]]
    rows = [*pairs[:, 0], *(60 + pairs[:, 1])]
    norms = []
    for n_sweeps in (1, 2, 50):
        after = forgotten(model, SweepUnlearner("touched", n_sweeps=n_sweeps), interactions=pairs)
        objective = after._make_objective(after._interactions, offset=after.global_mean_)
        norms.append(np.linalg.norm(objective.gradient(after._theta(objective.layout))[rows]))
    assert norms[0] > norms[1] > 100 * norms[2]


# -- models that were stopped early --------------------------------------------------------------
def early(name, n_steps):
    settings = {"max_iter": 0, "n_sweeps": n_steps} if name == "als" else {"max_iter": n_steps}
    model = copy.deepcopy(ESTIMATORS[name]).set_params(**settings).fit(data_of(name))
    assert not model.converged_
    return model


def gap_to_equally_trained(before, after):
    equal = clone(after).set_params(unlearner=None).fit(after._interactions.to_csr())
    target = scores(equal)
    return np.linalg.norm(scores(after) - target) / np.linalg.norm(scores(before) - target)


@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")
@pytest.mark.parametrize("scope", ["all", "touched"])
@pytest.mark.parametrize(("name", "n_steps", "most"), [("als", 8, 0.02), ("logistic", 3, 0.05)])
def test_an_unfinished_training_is_not_finished(name, n_steps, most, scope):
    model = early(name, n_steps)

    def answered(**how):
        unlearner = SweepUnlearner(scope, n_sweeps=500, tol=1e-2, on_failure="raise", **how)
        return forgotten(model, unlearner)

    corrected, finished = answered(), answered(correct_residual=False)
    assert not corrected.converged_
    same = answered(correct_residual=True)
    assert_array_equal(same.item_factors_, corrected.item_factors_)
    left = gap_to_equally_trained(model, corrected)
    if scope == "all":
        assert left < most
        assert left < 0.3 * gap_to_equally_trained(model, finished)
    else:
        assert left < 0.15
    # The items of the request end where their gradient was before it.
    tilt, items = table_gradient(model), 60 + X[USER].indices
    assert np.linalg.norm((table_gradient(corrected) - tilt)[items]) < 1e-3
    assert np.linalg.norm((table_gradient(finished) - tilt)[items]) > 1e-2


@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.NotConvergedWarning")
@pytest.mark.parametrize(("name", "n_steps"), [("als", 1), ("als", 3), ("logistic", 1)])
def test_a_model_too_far_from_an_optimum_is_not_swept_elsewhere(name, n_steps):
    """No minimum of the tilted objective is near: sweeps would end in some other model."""
    model = early(name, n_steps)
    with pytest.raises(ForgetError, match="led away from a model that was stopped so early"):
        forgotten(model, SweepUnlearner(n_sweeps=500, tol=1e-2, on_failure="raise"))
    with pytest.warns(NotConvergedWarning, match="led away"):
        kept = forgotten(model, SweepUnlearner(n_sweeps=500, tol=1e-2, on_failure="warn"))
    assert gap_to_equally_trained(model, kept) < 0.4


# -- what happens on failure -------------------------------------------------------------------
def impossible(on_failure):
    return SweepUnlearner(n_sweeps=1, tol=1e-9, on_failure=on_failure)


def test_missing_the_tolerance_ends_in_a_refit_that_the_report_names(either):
    with pytest.warns(ForgetFallbackWarning, match="100 sweeps|1 sweeps were not enough"):
        after = forgotten(either, impossible("refit"))
    report = after.forget_report_
    assert (report.method, report.guarantee) == ("refit", "refit")
    assert report.status.startswith("refit, because sweep ended so: ")
    assert "sweeps were not enough" in report.status
    assert gap(either, after) <= 1e-4


def test_missing_the_tolerance_can_raise_and_leave_the_model_alone(either):
    before = copy.deepcopy(either).set_params(unlearner=impossible("raise"))
    with pytest.raises(ForgetError, match=r"tol=1e-09 was asked.*model is unchanged"):
        before.forget(users=USER)
    assert_array_equal(before.user_factors_, either.user_factors_)
    assert before._interactions.n_interactions == either._interactions.n_interactions


def test_missing_the_tolerance_can_warn_and_then_promises_nothing(either):
    with pytest.warns(NotConvergedWarning, match="tol=1e-09"):
        after = forgotten(either, impossible("warn"))
    kept = forgotten(either, SweepUnlearner(n_sweeps=1, tol=None))
    assert after.forget_report_.guarantee == "one-step"
    assert not after.converged_
    assert_allclose(scores(after), scores(kept), rtol=1e-3, atol=1e-3)


def test_touched_rows_cannot_fail(either):
    for on_failure in ("refit", "warn", "raise"):
        after = forgotten(
            either, SweepUnlearner("touched", n_sweeps=1, tol=1e-9, on_failure=on_failure)
        )
        assert after.forget_report_.guarantee == word_of(either)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("scope", "some"), ("n_sweeps", 0), ("tol", 2.0), ("correct_residual", "no"),
     ("on_failure", "cry")],
)  # fmt: skip
def test_wrong_parameters_are_named_before_anything_changes(either, parameter, value):
    before = copy.deepcopy(either).set_params(unlearner=SweepUnlearner(**{parameter: value}))
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of SweepUnlearner"):
        before.forget(users=USER)
    assert_array_equal(before.user_factors_, either.user_factors_)


def test_a_problem_without_rows_of_its_own_is_refused():
    with pytest.raises(TypeError, match=r"given a PairwiseObjective; expected .* Use Influence"):
        SweepUnlearner().unlearn(SimpleNamespace(objective=PAIRWISE[0].objective(), converged=True))


# -- data types and columns ----------------------------------------------------------------------
def test_single_precision_stays_and_reaches_tolerances_beyond_its_digits():
    model = ALS(12, regularization=20.0, alpha=10.0, random_state=0)
    model.fit(abs(X).astype(np.float32))
    after = forgotten(model, SweepUnlearner(n_sweeps=500, tol=1e-8, on_failure="raise"))
    assert after.user_factors_.dtype == after.item_factors_.dtype == np.float32
    assert after.forget_report_.residual <= 1e-8
    assert gap(model, after) <= 0.02


@pytest.mark.filterwarnings("ignore::sklearn_unlearn.exceptions.DataWarning")  # likes are left
def test_a_column_that_the_rest_asks_for_is_taken_in():
    """Two tastes that contradict each other cancel out, until one of them is forgotten."""
    labels = np.zeros((26, 26))
    labels[:12, :12] = np.kron([[1.0, 1.0], [1.0, -1.0]], np.ones((6, 6)))
    labels[12:, 12:] = 1.0
    gone = labels < 0
    gone[13, 14] = True
    settings = {"regularization": 4.5, "fit_bias": False, "random_state": 0, "tol": 1e-9}
    model = MatrixFactorization(3, **settings).fit(labels)
    unlearner = SweepUnlearner(n_sweeps=500, tol=1e-6, on_failure="raise")
    after = forgotten(model, unlearner, interactions=gone)
    assert np.abs(scores(model)[:12]).max() < 1e-6 < 0.1 < scores(after)[:12].max()
    assert after.forget_report_.guarantee == "residual-bounded"
    assert gap(model, after) <= 0.01


def test_sums_of_fewer_columns_are_not_kept(monkeypatch):
    wider = np.ones((4, 2))
    result = NewtonResult(wider, 0.0, (1.0, 0.1), 3, 8, Status.CONVERGED, True)
    monkeypatch.setattr(_stages, "fill_rank", lambda *arguments: replace(result, slack=0.2))
    objective = PROBLEMS[0].objective()
    problem = SimpleNamespace(
        objective=objective, n_free=1, goal=lambda tol, first: tol * first, converged=True
    )
    reached = Progress(
        objective, wider[:, :1], sums=(np.ones((1, 1)), np.ones((1, 1))), first=2.0, left=0.1,
        n_steps=2, n_products=4.0, n_rows_updated=4, met=True,
    )  # fmt: skip
    got = _stages.complete_rank(problem, reached, Rules("sweep", 1e-3, "auto", "raise"))
    assert got.theta is wider
    assert got.sums == ()
    assert (got.n_steps, got.n_products, got.slack) == (5, 12.0, 0.2)


# -- the step itself -----------------------------------------------------------------------------
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("tilted", [False, True])
def test_a_step_is_the_damped_newton_step_of_every_row(problem, tilted, monkeypatch):
    monkeypatch.setattr(_block_steps, "_ROWS_AT_ONCE", 2)
    objective, theta, twin = problem.objective(), problem.theta(), problem.twin()
    tilt = 0.1 * problem.direction(4) if tilted else None
    m, (n, k) = len(problem.matrix), theta.shape
    for rows in (
        np.arange(m),
        np.arange(m, n),
        np.array([0, m - 1])[: min(m, 2)],
        np.array([n - 1]),
    ):
        minimized = objective if tilt is None else TiltedObjective(objective, tilt)
        got = newton_sweep(minimized, theta, rows)
        H = twin.hessian(theta).reshape(n, k, n, k)
        slopes = twin.gradient(theta) - (0 if tilt is None else tilt)
        expected = theta.copy()
        for row in np.unique(rows):
            free = twin.free[row]
            step = np.zeros(k)
            block = H[row][:, row][np.ix_(free, free)]
            step[free] = -np.linalg.solve(block, slopes[row, free])
            beside = [a if b == row else b for a, b, *_ in twin.cells if row in (a, b)]
            change = np.abs(theta[beside] @ step).max(initial=0.0)
            damped = problem.loss == "logistic" and change > 0
            expected[row] += step * (np.log1p(change) / change if damped else 1.0)
        assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_sweeps_of_steps_fall_and_converge(scale):
    for problem in PROBLEMS[::2]:
        objective, theta = problem.objective(), problem.theta(0, scale)
        m = len(problem.matrix)
        values = [objective.value(theta)]
        for _ in range(200):
            theta = newton_sweep(objective, theta, np.arange(m), np.arange(m, len(theta)))
            values.append(objective.value(theta))
        assert (np.diff(values) <= 1e-10 * (1 + values[0])).all()
        assert np.linalg.norm(objective.gradient(theta)) <= 1e-3 * (1 + objective.gradient_scale)


def test_no_rows_is_no_step():
    problem = PROBLEMS[1]
    theta = problem.theta()
    assert_array_equal(newton_sweep(problem.objective(), theta, np.array([], int)), theta)


def test_norm_with_a_tilt_leaves_out_what_rotates():
    problem = PROBLEMS[0]
    theta, objective = problem.theta(), problem.objective()
    gradient = problem.twin().gradient(theta)
    assert_allclose(objective.gradient_norm(theta), np.linalg.norm(gradient))
    rotation = theta @ np.array([[0, 1.0], [-1.0, 0]])
    assert_allclose(
        TiltedObjective(objective, rotation).gradient_norm(theta), np.linalg.norm(gradient)
    )
    assert_allclose(
        TiltedObjective(objective, gradient + rotation).gradient_norm(theta), 0, atol=1e-10
    )
