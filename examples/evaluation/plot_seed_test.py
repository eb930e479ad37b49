"""
===============================================
Can forgetting be told from never having known?
===============================================

Where training depends on its seed, there is no one refit to be close to. What can be asked is that
models that forgot are *distributed* as refits are. ``seed_test`` trains ensembles with many seeds
and asks, score by score, how often one can be told from the other. Here it judges a model that was
stopped early: doing nothing, folding the users in again, and ``forget``. Every claim below is
asserted.
"""

# %%
# A model whose seeds differ
# --------------------------
# Four sweeps from a random start, and a small penalty: another seed ends elsewhere, as models in
# production do.

import warnings

import numpy as np

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import NotConvergedWarning
from sklearn_unlearn.metrics import seed_test

warnings.simplefilter("ignore", NotConvergedWarning)  # that it was stopped early is the point

X = make_interactions(60, 40, n_interactions=600, feedback="implicit", random_state=0)
estimator = ALS(8, regularization=5.0, alpha=10.0, n_sweeps=4, max_iter=0)

users = np.argsort(np.diff(X.indptr))[-10:-3]  # seven of the most active
pairs = np.concatenate([np.column_stack([[user] * X[[user]].nnz, X[[user]].indices])[::2]
                        for user in users])  # fmt: skip
retained = X.tolil()
retained[tuple(pairs.T)] = 0
retained = retained.tocsr()

# %%
# Three ways to forget half of their events
# -----------------------------------------
# ``seed_test`` takes a function in place of the estimator's own ``forget``. One that returns the
# model as it is shows that the test can see the request at all. Folding in solves the rows of the
# users again and leaves the items as they are: a common shortcut.


def nothing(model, request):
    return model


def fold_in(model, request):
    touched = np.unique(request["interactions"][:, 0])
    factors = model.user_factors_.copy()
    factors[touched] = model.transform(retained[touched])
    model.user_factors_ = factors
    return model


ways = {"doing nothing": nothing, "folding in": fold_in, "forget": None}
results = {
    name: seed_test(estimator, X, pairs, forget=way, n_seeds=20, n_pairs=300)
    for name, way in ways.items()
}
told = {
    name: {group: one.measures["auc"].forgotten for group, one in result.groups.items()}
    for name, result in results.items()
}
for name, result in results.items():
    print(f"{name:14} {result.verdict}")
    print("               ", {group: round(value, 2) for group, value in told[name].items()})

for name in ("doing nothing", "folding in"):
    assert results[name].verdict.startswith("distinguishable")
for group in ("pairs", "users"):
    assert told["forget"][group] < told["folding in"][group] < told["doing nothing"][group]
assert told["folding in"]["items"] == told["doing nothing"]["items"]  # nothing of the items changed
assert told["forget"]["items"] < told["doing nothing"]["items"]

# %%
# Of a model that was stopped early, single pairs may still be told, less than with any shortcut.
# (A model that is fitted to its optimum asks for another measure: its seeds agree to many digits,
# so that the AUC would tell the smallest residual. There is one refit to be close to, and
# ``remaining_gap`` says how close.)

results["forget"]

# %%
# The picture
# -----------
# 0.5 is guessing; up to the end of the grey bars, refits cannot be told from each other.

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    labels = {
        "pairs": "forgotten pairs",
        "users": "other items\nof these users",
        "items": "their items,\nother users",
        "others": "all others",
    }
    figure, axes = plt.subplots(figsize=(6.6, 3.8), layout="constrained")
    bounds = [results["forget"].groups[group].measures["auc"].bound for group in labels]
    axes.barh(range(4), np.array(bounds) - 0.5, left=0.5, height=0.85, color="0.9",
              label="refits")  # fmt: skip
    for shift, (name, marker) in enumerate(zip(ways, "xso", strict=True)):
        rows = np.arange(4) + 0.22 * (shift - 1)
        values = [told[name][group] for group in labels]
        axes.plot(values, rows, marker, color=f"C{shift}", markersize=8, label=name)
    axes.set_yticks(range(4), labels=labels.values())
    axes.invert_yaxis()
    axes.set_xlim(0.5, 1.0)
    axes.set_xlabel("AUC of telling from refits, of a model that was stopped early")
    figure.legend(loc="outside upper center", ncols=4, frameon=False, handletextpad=0.4)
    plt.show()
