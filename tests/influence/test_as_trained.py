"""Requests to models that are no optimum: answered, at no more than a refit costs."""

import copy
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_unlearn import ALS, BPR, LightGCN, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import ForgetError, ForgetFallbackWarning, NotConvergedWarning
from sklearn_unlearn.influence import AsTrainedUnlearner, InfluenceUnlearner, RefitUnlearner
from sklearn_unlearn.metrics import remaining_gap

X = make_interactions(120, 80, n_interactions=2000, feedback="implicit", random_state=0)
LABELS = make_interactions(120, 80, n_interactions=2000, random_state=0)
EARLY = {
    "sweeps alone": (ALS(16, alpha=10.0, regularization=20.0, max_iter=0, random_state=0), X),
    "weak penalty": (ALS(16, alpha=5.0, regularization=1.0, max_iter=0, random_state=0), X),
    "logistic": (MatrixFactorization(16, regularization=2.0, max_iter=4, random_state=0), LABELS),
    "BPR": (BPR(16, regularization=1.0, max_iter=5, random_state=0), X),
    "LightGCN": (LightGCN(16, regularization=0.5, max_iter=4, random_state=0), X),
}
REQUESTS = {"user": {"users": [7]}, "item": {"items": [3]}, "users": {"users": [*range(12)]}}


def fitted(name):
    model, data = EARLY[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        return copy.deepcopy(model).fit(data)


def forgotten(model, unlearner, **request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        return copy.deepcopy(model).set_params(unlearner=unlearner).forget(**request)


def passes_of_a_fit(model):
    return model._fit_work / model._interactions.n_interactions


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("name", EARLY)
def test_a_request_never_costs_more_than_a_refit_and_is_none(name, request_):
    model = fitted(name)
    report = forgotten(model, AsTrainedUnlearner(), **REQUESTS[request_]).forget_report_
    assert report.guarantee in ("residual-bounded", "rows-solved", "one-step")
    assert report.method != "refit"
    assert report.n_solver_iter <= passes_of_a_fit(model)


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_answer_is_near_the_same_training_without_the_data(request_):
    model = fitted("sweeps alone")
    after = forgotten(model, AsTrainedUnlearner(), **REQUESTS[request_])
    retained = after._interactions.to_csr()
    refit = copy.deepcopy(EARLY["sweeps alone"][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        refit.fit(retained)
    assert after.forget_report_.residual <= 0.3
    assert remaining_gap(model, after, refit) < 0.5
    assert not after.converged_


@pytest.mark.parametrize("max_cost", [0.05, 0.3])
def test_a_budget_is_kept_and_the_last_point_with_it(max_cost):
    model = fitted("logistic")
    how = InfluenceUnlearner(tol=1e-9, correct_residual=False, on_failure="warn", max_cost=max_cost)
    with (
        pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"),
        pytest.warns(NotConvergedWarning, match="budget of products"),
    ):
        after = copy.deepcopy(model).set_params(unlearner=how).forget(users=[7])
    assert after.forget_report_.guarantee == "one-step"
    assert after.forget_report_.n_solver_iter <= max_cost * passes_of_a_fit(model)


def test_a_budget_that_is_used_up_can_raise_and_leaves_the_model_alone():
    model = fitted("logistic")
    before = model.item_factors_.copy()
    how = InfluenceUnlearner(tol=1e-9, on_failure="raise", max_cost=0.05)
    with warnings.catch_warnings(), pytest.raises(ForgetError, match="budget of products"):
        warnings.simplefilter("ignore", NotConvergedWarning)
        model.set_params(unlearner=how).forget(users=[7])
    np.testing.assert_array_equal(model.item_factors_, before)


def test_a_longer_training_has_more_to_spend():
    short, long = (
        ALS(8, alpha=5.0, regularization=20.0, n_sweeps=n, max_iter=0, tol=1.0, random_state=0)
        for n in (5, 15)
    )
    assert passes_of_a_fit(long.fit(X)) == 3 * passes_of_a_fit(short.fit(X))


def test_a_budget_smaller_than_a_sweep_buys_none():
    """Rows that lost something are solved once, whatever the budget; nothing else is begun."""
    model = fitted("weak penalty")
    how = AsTrainedUnlearner(tol=1e-6, max_cost=1 / passes_of_a_fit(model))
    report = forgotten(model, how, interactions=np.argwhere(X.toarray())[:3]).forget_report_
    assert report.guarantee == "one-step" and report.n_solver_iter < 1


# -- the default, and what it chooses -------------------------------------------------------------
@pytest.mark.parametrize("name", EARLY)
def test_a_model_that_was_not_fitted_to_its_tolerance_is_answered_as_it_was_trained(name):
    model = fitted(name)
    by_default = forgotten(model, None, users=[7])
    named = forgotten(model, AsTrainedUnlearner(), users=[7])
    np.testing.assert_array_equal(by_default.item_factors_, named.item_factors_)
    assert by_default.forget_report_.method != "refit"


def pairs_of(model, n_pairs):
    """Pairs of users and items that have others."""
    data = model._interactions.to_csr().toarray() != 0
    good = data & (data.sum(0) > 3)[None, :] & (data.sum(1) > 3)[:, None]
    return np.argwhere(good)[:: max(good.sum() // n_pairs, 1)][:n_pairs]


def test_whole_users_move_the_touched_rows_and_pairs_move_all():
    model = fitted("sweeps alone")
    user = forgotten(model, None, users=[int(np.argmin(model._interactions.user_degrees))])
    pair = forgotten(model, None, interactions=pairs_of(model, 1))
    assert user.forget_report_.guarantee == "rows-solved"
    assert 0.5 < user.forget_report_.answered == 1 - user.forget_report_.residual
    touched = forgotten(model, AsTrainedUnlearner("touched"), interactions=pairs_of(model, 1))
    assert pair.forget_report_.n_rows_updated > 0.9 * sum(X.shape)
    assert pair.forget_report_.residual < 0.7 * touched.forget_report_.residual


def test_touched_rows_are_solved_exactly_to_the_gradient_that_training_left():
    model = fitted("sweeps alone")
    after = forgotten(model, AsTrainedUnlearner("touched"), interactions=pairs_of(model, 3))
    pairs = pairs_of(model, 3)
    rows = np.concatenate([pairs[:, 0], X.shape[0] + pairs[:, 1]])

    def gradient(one):
        objective = one._make_objective(one._interactions)
        return objective.gradient(one._theta(objective.layout))[rows]

    assert after.forget_report_.guarantee == "rows-solved"
    # Users were solved before items: theirs are off by what the items moved since.
    items = slice(len(pairs), None)
    np.testing.assert_allclose(gradient(after)[items], gradient(model)[items], atol=1e-6)


def test_many_users_are_more_than_their_rows():
    model = fitted("sweeps alone")
    report = forgotten(model, None, users=np.arange(12)).forget_report_
    assert report.guarantee == "residual-bounded" and report.residual <= 0.1


def test_pairs_take_two_fifths_of_the_sweeps_of_a_training():
    data = make_interactions(900, 600, n_interactions=4500, feedback="implicit", random_state=0)
    early = ALS(8, alpha=5.0, regularization=20.0, n_sweeps=10, max_iter=0, random_state=0)
    model = early.fit(data)
    few, many = (
        forgotten(model, None, interactions=pairs_of(model, n)).forget_report_ for n in (1, 200)
    )
    # The touched rows first, and one sweep of the four among neighbours, where these are few.
    assert (few.n_steps, many.n_steps) == (1 + 4, 4)
    assert many.n_solver_iter == 4 * 2
    assert 3 * 2 < few.n_solver_iter < 4 * 2


def test_sweeps_that_lead_away_are_a_failure():
    early = ALS(16, alpha=10.0, regularization=20.0, n_sweeps=1, max_iter=0, random_state=0)
    model = early.fit(X)
    pairs = np.argwhere(X.toarray() != 0)[::20]
    with (
        pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"),
        pytest.warns(NotConvergedWarning, match="stopped so early"),
    ):
        report = copy.deepcopy(model).forget(pairs).forget_report_
    assert report.guarantee == "one-step" and report.residual > 1
    again = forgotten(model, AsTrainedUnlearner(on_failure="refit"), interactions=pairs)
    assert again.forget_report_.guarantee == "refit"


def scores_of(model, pairs):
    return np.einsum("nk,nk->n", model.user_factors_[pairs[:, 0]], model.item_factors_[pairs[:, 1]])


def test_sweeps_bring_forgotten_pairs_to_where_trainings_without_them_are():
    """Mean scores over seeds: the touched rows leave a good part of the effect, the default not."""
    data = make_interactions(300, 150, n_interactions=6000, feedback="implicit", random_state=1)
    pairs = np.argwhere(data.toarray() != 0)[::100]
    retained = data.tolil()
    retained[tuple(pairs.T)] = 0
    means = dict.fromkeys(("before", "refit", "touched", "default"), 0.0)
    for seed in range(8):
        early = ALS(16, alpha=10.0, regularization=10.0, max_iter=0, random_state=seed)
        model = copy.deepcopy(early).fit(data)
        again = early.set_params(random_state=100 + seed).fit(retained.tocsr())
        touched = forgotten(model, AsTrainedUnlearner("touched"), interactions=pairs)
        default = forgotten(model, None, interactions=pairs)
        for name, one in zip(means, (model, again, touched, default), strict=True):
            means[name] = means[name] + scores_of(one, pairs)
    effect = np.sum(np.abs(means["before"] - means["refit"]))
    left = {
        name: np.sum((means[name] - means["refit"]) * np.sign(means["before"] - means["refit"]))
        for name in ("touched", "default")
    }
    assert left["touched"] > 0.1 * effect
    assert abs(left["default"]) < 0.5 * left["touched"]


def test_one_user_may_hold_more_of_the_data_than_many():
    data = make_interactions(400, 300, n_interactions=6000, feedback="implicit", random_state=0)
    data = data.tolil()
    for user in (0, 1):  # each with 2.5 % of all
        data[user] = 0
        data[user, user : 155 + user] = 1.0
    model = ALS(8, alpha=5.0, regularization=20.0, max_iter=0, random_state=0).fit(data.tocsr())
    share = model._interactions.user_degrees[:2] / model._interactions.n_interactions
    assert ((share > 0.02) & (share < 0.03)).all()
    one, two = (forgotten(model, None, users=users).forget_report_ for users in ([0], [0, 1]))
    assert one.n_rows_updated < 200 < two.n_rows_updated


def test_a_model_that_is_nearly_an_optimum_is_answered_to_a_hundredth():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        model = ALS(8, alpha=5.0, regularization=20.0, max_iter=11, tol=1e-14, random_state=0).fit(
            X
        )
    assert not model.converged_
    report = forgotten(model, AsTrainedUnlearner(max_cost=None), users=[7]).forget_report_
    assert report.guarantee == "residual-bounded" and report.residual <= 1e-2


# -- limits ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["weak penalty", "logistic"])
def test_seconds_are_a_limit_as_well(name):
    model = fitted(name)
    how = AsTrainedUnlearner("all", tol=1e-9, max_cost=None, max_seconds=1e-9)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        after = copy.deepcopy(model).set_params(unlearner=how)
        after.forget(interactions=pairs_of(model, 1))
    assert after.forget_report_.n_solver_iter < 1
    assert any("budget of" in str(one.message) for one in caught)


def test_the_best_point_is_kept_when_sweeps_are_over():
    model = fitted("weak penalty")
    pairs = pairs_of(model, 20)
    left = [
        forgotten(
            model, AsTrainedUnlearner("all", tol=1e-6, max_cost=c), interactions=pairs
        ).forget_report_.residual
        for c in (0.2, 0.5, 1.0)
    ]
    assert left == sorted(left, reverse=True)


# -- refits that are asked for --------------------------------------------------------------------
def test_a_refit_can_be_made_by_whoever_trained_the_model():
    model = fitted("sweeps alone")
    calls = []

    def train(retained):
        calls.append(retained)
        return clone(EARLY["sweeps alone"][0]).fit(retained)

    how = AsTrainedUnlearner("all", tol=1e-9, max_cost=1e-3, on_failure="refit", refit=train)
    with pytest.warns(
        ForgetFallbackWarning, match="budget of .* fitted again on the data after the request"
    ):
        after = copy.deepcopy(model).set_params(unlearner=how).forget(users=[7])
    assert after.forget_report_.guarantee == "refit" and not after.converged_
    (retained,) = calls
    assert retained.nnz == after._interactions.n_interactions
    direct = copy.deepcopy(model).set_params(unlearner=RefitUnlearner(refit=train))
    direct.forget(users=[7])
    expected = clone(EARLY["sweeps alone"][0]).fit(retained)
    scores = expected.user_factors_ @ expected.item_factors_.T
    for one in (after, direct):
        np.testing.assert_allclose(one.user_factors_ @ one.item_factors_.T, scores, atol=1e-8)
        assert not one.user_factors_[7].any()


def test_a_refit_of_another_shape_is_refused_and_leaves_the_model_alone():
    model = fitted("sweeps alone")
    before = model.item_factors_.copy()
    wrong = RefitUnlearner(refit=lambda X: (np.ones((3, 16)), np.ones((80, 16))))
    with pytest.raises(ValueError, match=r"refit returned .* expected .* Return the trained"):
        model.set_params(unlearner=wrong).forget(users=[7])
    np.testing.assert_array_equal(model.item_factors_, before)


# -- what is said ---------------------------------------------------------------------------------
def test_a_refit_is_not_said_to_be_a_correction():
    model = fitted("sweeps alone").set_params(unlearner="refit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.forget(users=[7])
    assert model.forget_report_.guarantee == "refit"


@pytest.mark.parametrize("name", ["weak penalty", "logistic"])
def test_steps_are_shown_on_request(name, capsys):
    model = fitted(name).set_params(verbose=1)
    forgotten(model, AsTrainedUnlearner("all"), interactions=pairs_of(model, 5))
    shown = capsys.readouterr().out
    assert f"[{type(model).__name__}] step 1: " in shown and " products" in shown
    # A sweep costs less than to look at what it leaves.
    assert ("gradient norm" in shown) == (name == "logistic")


def test_by_default_a_tenth_is_accepted_where_the_budget_ends_and_no_more_where_tol_is_given():
    early = MatrixFactorization(16, regularization=4.0, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        model = early.fit(LABELS)
    with pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"):
        report = copy.deepcopy(model).forget(users=[7]).forget_report_
    assert report.guarantee == "residual-bounded" and 0.01 < report.residual <= 0.1
    strict = copy.deepcopy(model).set_params(unlearner=AsTrainedUnlearner(tol=0.01))
    with (
        pytest.warns(NotConvergedWarning, match="not fitted to its tolerance"),
        pytest.warns(NotConvergedWarning, match="budget of products was used up"),
    ):
        strict.forget(users=[7])
    assert strict.forget_report_.guarantee == "one-step"


@pytest.mark.parametrize("max_cost", [1e-3, 1.0])
@pytest.mark.parametrize("request_", ["pairs", "item", "user of nobody"])
def test_what_the_model_keeps_is_of_the_rows_it_has(request_, max_cost):
    data = X.toarray()
    data[5] = 0
    model = ALS(8, alpha=10.0, regularization=20.0, max_iter=0, random_state=0).fit(data)
    model.set_params(unlearner=AsTrainedUnlearner(max_cost=max_cost, scope="all"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        if request_ == "pairs":
            model.forget(np.argwhere(data)[::9])
        elif request_ == "item":
            model.forget(items=[int(data.sum(axis=0).argmax())])
        else:
            model.learn([[5, item] for item in range(0, 80, 2)])
    objective = model._make_objective(model._interactions)
    theta = np.vstack([model.user_factors_, model.item_factors_])
    for kept, own in zip(model._sums, objective.sums(theta), strict=True):
        np.testing.assert_allclose(kept, own, rtol=1e-9, atol=1e-9)
    # What training left is still there, and a later request is to know of it.
    assert objective.gradient_norm(theta) <= model.gradient_norm_ * (1 + 1e-9)
