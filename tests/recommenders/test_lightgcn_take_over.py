"""Embeddings from elsewhere: PyTorch Geometric's model, and tables from anywhere."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_unlearn import LightGCN
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own modules use what torch has deprecated
    from torch_geometric.nn.models import LightGCN as GeometricLightGCN

X = make_interactions(60, 40, n_interactions=700, feedback="implicit", random_state=0)
X.data[:] = 1
USERS, ITEMS = X.shape
PENALTY = 0.03
# The penalty of a batch, as PyTorch Geometric has it, counts a row once an interaction.
OPTIONS = {
    "n_layers": 2,
    "n_negatives": 16,
    "regularization": 3 * PENALTY,
    "frequency_scaling": 1.0,
    "random_state": 0,
}


def edges(matrix):
    matrix = matrix.tocoo()
    users = torch.tensor(matrix.coords[0].astype(np.int64))
    items = torch.tensor(matrix.coords[1].astype(np.int64)) + USERS
    return users, items, torch.stack([torch.cat([users, items]), torch.cat([items, users])])


def train(matrix=X, n_layers=2, steps=150, penalty=PENALTY):
    """Train PyTorch Geometric's model as its users do: new negatives at every step of Adam."""
    generator = torch.Generator().manual_seed(0)
    users, items, both = edges(matrix)
    model = GeometricLightGCN(USERS + ITEMS, 8, n_layers)
    with torch.no_grad():
        model.embedding.weight.normal_(0, 0.1, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        drawn = torch.randint(USERS, USERS + ITEMS, users.shape, generator=generator)
        optimizer.zero_grad()
        loss = model.recommendation_loss(
            model(both, torch.stack([users, items])),
            model(both, torch.stack([users, drawn])),
            node_id=torch.cat([users, items, drawn]),
            lambda_reg=penalty,
        )
        loss.backward()
        optimizer.step()
    return model


def sides(model):
    return np.split(model.embedding.weight.detach().numpy(), [USERS])


def imported(model, matrix=X, **options):
    return LightGCN.from_embeddings(*sides(model), matrix, **(OPTIONS | options))


def norm_of(model):
    objective = model._make_objective(model._interactions)
    theta = np.concatenate([model.user_embeddings_, model.item_embeddings_])
    return np.linalg.norm(objective.gradient(theta))


@pytest.fixture(scope="module")
def trained():
    return train()


# -- serving ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
def test_scores_are_those_of_pytorch_geometric(n_layers):
    theirs = train(n_layers=n_layers, steps=20)
    Z = theirs.get_embedding(edges(X)[2]).detach().numpy()
    ours = imported(theirs, n_layers=n_layers)
    assert_allclose(np.concatenate([ours.user_factors_, ours.item_factors_]), Z, atol=1e-5)
    expected = Z[:USERS] @ Z[USERS:].T
    assert_allclose(ours._score_users(np.arange(USERS)), expected, atol=1e-5)
    items, scores = ours.recommend(users=np.arange(USERS), n_items=5, exclude_seen=False)
    assert_array_equal(scores, -np.sort(-scores, axis=1))
    nodes = {"src_index": torch.arange(USERS), "dst_index": torch.arange(USERS, USERS + ITEMS)}
    best = theirs.recommend(edges(X)[2], **nodes, k=5)
    assert (best.numpy() - USERS == items).mean() > 0.99


def test_new_rows_gather_what_the_items_pass_on(trained):
    ours = imported(trained)
    assert not ours.converged_
    expected = ours.user_factors_ - ours.user_embeddings_ / 3
    assert_allclose(ours.transform(X), expected, atol=1e-10)


# -- forgetting ------------------------------------------------------------------------------------
@pytest.mark.parametrize("request_", [
    {"users": [7]}, {"users": [3, 20, 33]}, {"interactions": np.argwhere(X.toarray())[::20]},
])  # fmt: skip
def test_forgetting_moves_towards_the_same_training_without_the_data(trained, request_):
    start = imported(trained)
    model = copy.deepcopy(start).forget(**request_)
    retained = model._interactions.to_csr()
    refit = imported(train(retained), retained)
    report = model.forget_report_
    assert (report.method, report.guarantee) == ("influence", "residual-bounded")
    assert remaining_gap(start, model, refit) < 0.75
    # The request was answered, and the training not finished: what it had left is still there.
    assert norm_of(model) == pytest.approx(norm_of(start), rel=0.1)
    # Finishing the training is what moves away from the model that was asked for.
    finish = InfluenceUnlearner(correct_residual=False)
    finished = copy.deepcopy(start).set_params(unlearner=finish).forget(**request_)
    assert remaining_gap(start, finished, refit) > remaining_gap(start, model, refit) + 0.2


def test_a_weakly_regularised_table_moves_under_damping():
    weak = {"regularization": 3e-3}
    start = imported(train(penalty=1e-3), **weak)
    damped = InfluenceUnlearner(damping=1.0, tol=None, n_steps=5)
    model = copy.deepcopy(start).set_params(unlearner=damped).forget(users=[7])
    retained = model._interactions.to_csr()
    refit = imported(train(retained, penalty=1e-3), retained, **weak)
    assert model.forget_report_.guarantee == "one-step"
    assert remaining_gap(start, model, refit) < 0.95
    assert not model.user_embeddings_[7].any()


def test_models_taken_over_are_silent_and_fits_are_not(trained):
    model = imported(trained)
    for user in (1, 2):  # warnings are errors
        model.forget(users=[user])
    with pytest.warns(NotConvergedWarning):
        model.set_params(max_iter=1).fit(X)
    with pytest.warns(NotConvergedWarning):
        model.forget(users=[1])


def test_forgetting_goes_on_after_a_round_trip(trained):
    model = imported(trained)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.forget(users=[3]).item_factors_, model.forget(users=[3]).item_factors_)


# -- tables from anywhere --------------------------------------------------------------------------
def test_own_embeddings_are_as_good_as_the_fit_they_came_from():
    options = {"n_layers": 2, "regularization": 0.4, "random_state": 0}
    fitted = LightGCN(24, **options).fit(X)
    model = LightGCN.from_embeddings(fitted.user_embeddings_, fitted.item_embeddings_, X, **options)
    assert model.converged_
    assert model._slack == pytest.approx(fitted._slack)
    assert_array_equal(model.user_factors_, fitted.user_factors_)
    assert_array_equal(
        model.forget(users=[4]).item_factors_, fitted.forget(users=[4]).item_factors_
    )


@pytest.mark.parametrize("loss", ["weighted", "bpr", "logistic"])
def test_rows_that_no_loss_feels_are_zero(loss):
    matrix = X.toarray()
    matrix[[3, 9]] = 0
    matrix[:, 11] = 0
    ones = np.ones((USERS, 2)), np.ones((ITEMS, 2))
    model = LightGCN.from_embeddings(*ones, matrix, loss=loss, random_state=0)
    assert not model.user_embeddings_[[3, 9]].any()
    assert model.item_embeddings_[11].any() == (loss != "weighted")
    assert model.user_embeddings_[0].all()


@pytest.mark.filterwarnings("ignore:the request left")
def test_nothing_is_shared_with_the_origin(trained):
    before = trained.embedding.weight.detach().clone()
    model = imported(trained)
    model.user_embeddings_[:] = 0
    model.forget(users=[3])
    assert torch.equal(trained.embedding.weight, before)


P, Q = np.ones((USERS, 3)), np.ones((ITEMS, 3))
WRONG = {
    "columns": ((P, Q[:, :2], X), {}, ValueError, r"shapes \(60, 3\) and \(40, 2\); expected"),
    "nan": ((P * np.nan, Q, X), {}, ValueError, "NaN or infinity; expected finite"),
    "text": ((P.astype(str), Q, X), {}, TypeError, "data types .*; expected real numbers"),
    "transposed": ((P, Q, X.T), {}, ValueError, r"shape \(40, 60\); expected \(60, 40\)"),
    "dislikes": ((P, Q, -X), {}, ValueError, "Dislikes are nothing that LightGCN knows"),
    "nothing": ((P, Q, 0 * X), {}, ValueError, "holds no interaction; expected at least one"),
    "n_factors": ((P, Q, X), {"n_factors": 3}, TypeError, "n_factors=3 was given; .*Leave it out"),
    "loss": ((P, Q, X), {"loss": "squared"}, ValueError, "'loss' parameter of LightGCN"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name):
    arguments, options, error, message = WRONG[name]
    with pytest.raises(error, match=re.compile(message, re.DOTALL)):
        LightGCN.from_embeddings(*arguments, **options)
