"""
=================================
Exact forgetting and influence
=================================

Two ways to the model that a refit would give. A model in closed form is *corrected*: the result is
the refit, up to rounding. A factor model takes Newton steps on the objective of what remains until
a tolerance is met: the result is close to the refit, and a residual says how close. Fifty users ask
to be deleted, one after the other. Every claim below is asserted.
"""

# %%
# Three models of the same data
# -----------------------------

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import ALS, EASE, ItemKNN
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap

X = make_interactions(400, 150, n_interactions=9_000, feedback="implicit", random_state=0)
models = {
    "EASE": EASE(regularization=50.0),
    "ItemKNN": ItemKNN(n_neighbors=20),
    "ALS": ALS(32, regularization=45.0, alpha=1.0, random_state=0),
    "ALS, tol=1e-5": ALS(
        32, regularization=45.0, alpha=1.0, random_state=0, unlearner=InfluenceUnlearner(tol=1e-5)
    ),
}
leavers = np.random.default_rng(0).permutation(X.shape[0])[:50]
pairs = np.argwhere(np.ones(X.shape))

# %%
# One request after the other
# ---------------------------
# The gap is the share of the effect of the forgotten users that is still in the scores: 1 would be
# doing nothing, 0 is the refit.

checkpoints = [1, 10, 50]
gaps = {}
for name, estimator in models.items():
    before = clone(estimator).fit(X)
    model = clone(estimator).fit(X)
    gaps[name] = []
    for number, user in enumerate(leavers, start=1):
        model.forget(users=[user])
        if number in checkpoints:
            retained = X.tolil()
            retained[leavers[:number]] = 0
            refit = clone(estimator).fit(retained.tocsr())
            gaps[name].append(remaining_gap(before, model, refit, pairs=pairs))
    report = model.forget_report_
    print(f"{name:14} {report.guarantee:17} gap after 1: {gaps[name][0]:.0e}, after 50: "
          f"{gaps[name][-1]:.0e}")  # fmt: skip

assert max(gaps["ItemKNN"]) == 0  # bit for bit
assert max(gaps["EASE"]) < 1e-9  # rounding
assert max(gaps["ALS, tol=1e-5"]) < 1e-3
assert max(gaps["ALS"]) < 0.02  # the default tolerance

# %%
# What decides between them is not the guarantee alone: a table of items by items bounds the
# catalogue of ``EASE``, and factors may recommend better or worse on your data.
#
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for (name, values), marker in zip(gaps.items(), "osD^", strict=True):
        axes.loglog(checkpoints, np.maximum(values, 1e-17), marker + "-", label=name)
    axes.axhline(1, color="0.35", linestyle="--", label="doing nothing")
    axes.set_xticks(checkpoints, labels=map(str, checkpoints))
    axes.minorticks_off()
    axes.set_xlabel("users forgotten, one by one")
    axes.set_ylabel("remaining gap to the refit\n(share of the effect; bit for bit: 1e-17)")
    figure.legend(loc="outside right upper", frameon=False)
    plt.show()
