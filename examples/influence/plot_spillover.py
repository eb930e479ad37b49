"""
=======================================
Who is affected, and how many hops away
=======================================

People visit places near their home. One of them asks to be deleted. In a graph model this reaches
farther than the places of that user: their degrees change, with them what they pass on to other
visitors, and the best embeddings of those as well. Every claim below is asserted.
"""

# %%
# Neighbourhoods
# --------------
# Homes and places lie on a ring, and a visit is the likelier the nearer the place. So the graph of
# visits is long: it takes many hops from one side to the other.

import copy

import numpy as np
from scipy import sparse

from sklearn_unlearn import LightGCN
from sklearn_unlearn.backends import ScipyBackend
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics import remaining_gap
from sklearn_unlearn.objectives import PropagatedObjective, WeightedObjective
from sklearn_unlearn.optimizers import minimize_newton_cg
from sklearn_unlearn.pruning import HopPruner

n_users, n_items = 160, 120
rng = np.random.default_rng(0)
users = np.repeat(np.arange(n_users), 6)
distances = 0.02 * rng.standard_normal(len(users))
places = np.round((users / n_users + distances) * n_items).astype(int) % n_items
X = sparse.csr_array((np.ones(len(users)), (users, places)), (n_users, n_items))
X.sum_duplicates()
X.data[:] = 1  # visited or not

leaver = 100
retained = X.tolil()
retained[leaver] = 0
retained = retained.tocsr()

# %%
# Hops from the request
# ---------------------
# A pruner knows them: the importance of a row is one over one plus its distance.

visited = X[[leaver]].indices
pairs = np.column_stack([np.full(len(visited), leaver), visited])
pruner = HopPruner(n_hops=30).fit(X, forget=pairs)
hops = np.round(1 / np.concatenate([pruner.user_importances_, pruner.item_importances_])) - 1
n_hops = int(hops.max())
assert n_hops > 10
print(f"{len(visited)} visits to forget; the farthest row is {n_hops} hops away")


def change_by_hop(before, after):
    """Mean length by which the propagated rows of each distance have moved."""
    moved = np.concatenate(
        [after.user_factors_ - before.user_factors_, after.item_factors_ - before.item_factors_]
    )
    lengths = np.linalg.norm(moved, axis=1)
    return np.array([lengths[hops == hop].mean() for hop in range(n_hops + 1)])


# %%
# The graph alone, and all of it
# ------------------------------
# Old embeddings on the new graph move what is within as many hops as there are layers, and nothing
# beyond. Forgetting moves everybody, less and less with the distance.

settings = {"loss": "weighted", "alpha": 4.0, "regularization": 3.0}
accurate = InfluenceUnlearner(tol=1e-5)
depths = [1, 3]
fitted, forgotten, of_graph, of_request = {}, {}, {}, {}
for n_layers in depths:
    model = LightGCN(48, n_layers=n_layers, unlearner=accurate, random_state=0, **settings).fit(X)
    assert model.certify().certified
    rebuilt = LightGCN.from_embeddings(
        model.user_embeddings_, model.item_embeddings_, retained, n_layers=n_layers, **settings
    )
    fitted[n_layers], forgotten[n_layers] = model, copy.deepcopy(model).forget(users=[leaver])
    of_graph[n_layers] = change_by_hop(model, rebuilt)
    of_request[n_layers] = change_by_hop(model, forgotten[n_layers])
    assert (of_graph[n_layers][: n_layers + 1] > 1e-4).all()
    assert (of_graph[n_layers][n_layers + 1 :] < 1e-12).all()
    assert (of_request[n_layers] > 1e-5).all()
    assert of_request[n_layers][n_layers + 1] > 10 * of_graph[n_layers][n_layers + 1]
    assert of_request[n_layers][10] < 0.15 * of_request[n_layers][1]
    print(f"L={n_layers}, by hop: " + " ".join(f"{x:.0e}" for x in of_request[n_layers][:8]))

# %%
# Is it what a refit does?
# ------------------------
# Answer the request for the losses alone, on the old graph: that is direct influence. Then compare
# with a refit: 1 is doing nothing, 0 is the refit.


def direct(n_layers):
    """Scores of the best embeddings for the retained losses, propagated through the old graph."""
    losses = WeightedObjective.from_interactions(
        Interactions.from_matrix(retained), n_factors=48, alpha=4.0, regularization=3.0,
        backend=ScipyBackend(),
    )  # fmt: skip
    stated = PropagatedObjective.of(losses, Interactions.from_matrix(X), n_layers)
    found = minimize_newton_cg(stated, seed=0, tol=1e-7, max_iter=100)
    rows = stated.propagate(found.theta)
    return rows[:n_users] @ rows[n_users:].T


def scores(model):
    """All scores of a model."""
    return model.user_factors_ @ model.item_factors_.T


left = {}
for n_layers in depths:
    old = fitted[n_layers]
    refit = copy.deepcopy(old).set_params(random_state=1).fit(retained)
    whole = np.linalg.norm(scores(old) - scores(refit))
    left[n_layers] = np.linalg.norm(direct(n_layers) - scores(refit)) / whole
    gap = remaining_gap(old, forgotten[n_layers], refit)
    assert gap < 1e-3
    assert left[n_layers] > 100 * gap
    print(f"L={n_layers}: direct influence alone leaves {left[n_layers]:.2f}, both {gap:.0e}")
assert left[3] > left[1]  # the more layers, the more spills over

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for n_layers in depths:
        reach = np.arange(n_layers + 1)
        axes.semilogy(of_request[n_layers], "o-", label=f"forgetting, L={n_layers}")
        axes.semilogy(reach, of_graph[n_layers][reach], "s--",
                      label=f"new graph alone, L={n_layers}")  # fmt: skip
    axes.set_xlabel("hops from what is forgotten, of a model with L layers")
    axes.set_xticks(range(0, n_hops + 1, 2))
    axes.set_ylabel("mean change of a row (length)")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    plt.show()
