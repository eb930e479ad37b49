"""
=======================
Guarantees side by side
=======================

The report of a request says what is guaranteed, in a word: a share of the gradient at most, a
proof, equality, or nothing. Here each word is obtained for the same user, with what it cost and how
far from a refit it is, which the words do not need to know. Every claim below is asserted.
"""

# %%
# Two models, six ways
# --------------------
# A factor model, to be asked in several ways, and a model in closed form. ``copy.deepcopy`` keeps
# the fitted ones.

import copy

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import EASE, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap

X = make_interactions(500, 200, n_interactions=12_000, n_factors=4, noise=0.5, random_state=0)
factors = MatrixFactorization(32, random_state=0).fit(X)
assert factors.certify().certified

likes = X.copy()
likes.data = (likes.data > 0).astype(float)
likes.eliminate_zeros()
closed = EASE(regularization=50.0).fit(likes)

user = int(np.argsort(np.diff(X.indptr))[X.shape[0] // 2])
ways = {
    "a step": (factors, InfluenceUnlearner(n_steps=1, tol=None)),
    "the default": (factors, None),
    "a smaller tol": (factors, InfluenceUnlearner(tol=1e-6)),
    "certify=True": (factors, InfluenceUnlearner(certify=True)),
    "a refit": (factors, "refit"),
    "EASE": (closed, None),
}

# %%
# What each one says
# ------------------
# The refit that all are compared with starts from another seed, as nobody could know which seed a
# refit would have had.

pairs = np.argwhere(np.ones(X.shape))
found = {}
for name, (fitted, unlearner) in ways.items():
    data = likes if fitted is closed else X
    retained = data.tolil()
    retained[user] = 0
    refit = clone(fitted)
    if fitted is factors:
        refit.set_params(random_state=1)
    refit.fit(retained.tocsr())
    model = copy.deepcopy(fitted)
    if unlearner is not None:
        model.set_params(unlearner=unlearner)
    model.forget(users=[user])
    gap = remaining_gap(fitted, model, refit, pairs=pairs)
    report = model.forget_report_
    found[name] = report, gap
    print(f"{name:14} {report.guarantee:17} residual {report.residual:.0e}, gap {gap:.0e}, "
          f"{report.seconds:.3f} s")  # fmt: skip

words = {name: report.guarantee for name, (report, _) in found.items()}
assert words == {
    "a step": "one-step",
    "the default": "residual-bounded",
    "a smaller tol": "residual-bounded",
    "certify=True": "certified",
    "a refit": "refit",
    "EASE": "exact",
}
assert found["the default"][0].residual <= 1e-3 and found["a smaller tol"][0].residual <= 1e-6
assert found["a smaller tol"][1] < found["the default"][1] < 0.02
assert found["EASE"][1] < 1e-9

# %%
# In a notebook a report is shown as a card.

found["certify=True"][0]

# %%
# The picture
# -----------
# Close is not the same as guaranteed: a step may land well, and says of itself that it promised
# nothing.

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    names = list(found)[::-1]
    gaps = [max(found[name][1], 1e-16) for name in names]
    axes.hlines(range(len(names)), 1e-17, gaps, color="0.8")
    axes.plot(gaps, range(len(names)), "o", markersize=8)
    axes.axvline(1, color="C2")
    axes.annotate("doing nothing", (1, 0), (-6, 0), textcoords="offset points", ha="right",
                  va="center", color="C2")  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(1e-16, 20)
    axes.set_ylim(-0.6, len(names) - 0.4)
    labels = [f"{name}: {found[name][0].guarantee}" for name in names]
    axes.set_yticks(range(len(names)), labels=labels)
    axes.set_xlabel("remaining gap to a refit (share of the effect)")
    plt.show()
