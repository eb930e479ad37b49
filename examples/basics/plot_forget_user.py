"""
==========================================
Forgetting a user, and what a refit shows
==========================================

A user asks to be deleted. The model should become what it would be had the user never been there:
the model that a refit without the user gives. Here the refit is made as well, from another seed, to
see how much of the difference is left. Every claim below is asserted.
"""

# %%
# A model of likes and dislikes
# -----------------------------
# The synthetic data has a low-rank truth. ``certify`` says whether the fit is the global optimum:
# only then is "what a refit gives" one well-defined model.

import copy

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import noise_floor, remaining_gap, top_k_overlap

X = make_interactions(400, 120, n_interactions=12_000, n_factors=4, noise=0.5, random_state=0)
model = MatrixFactorization(random_state=0).fit(X)

certificate = model.certify()
assert certificate.certified
assert certificate.rank < certificate.n_factors
print(f"relative duality gap {certificate.relative_gap:.0e}, rank {certificate.rank}")

# %%
# The reference: refits without the user
# --------------------------------------
# Two of them, from different seeds. Their difference is the noise floor, below which nothing can be
# told apart.

user = int(np.argsort(np.diff(X.indptr))[X.shape[0] // 2])
retained = X.tolil()
retained[user] = 0
retained = retained.tocsr()
refit, other = (clone(model).set_params(random_state=seed).fit(retained) for seed in (1, 2))

floor = noise_floor(model, refit, other)
assert floor < 1e-3
print(f"noise floor {floor:.0e}")

# %%
# Forget, ever more accurately
# ----------------------------
# ``tol`` is the share of the gradient of the remaining objective that may be left. It needs no
# refit to compute, and the gap to the refit, which does, follows it.

tolerances = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]
gaps = []
for tol in tolerances:
    forgetful = copy.deepcopy(model).set_params(unlearner=InfluenceUnlearner(tol=tol))
    forgetful.forget(users=[user])
    report = forgetful.forget_report_
    assert report.residual <= tol
    gaps.append(remaining_gap(model, forgetful, refit))
    print(f"tol {tol:.0e}: residual {report.residual:.0e}, remaining gap {gaps[-1]:.0e}")

assert max(gaps) < 0.5  # even the loosest is far from doing nothing, which is 1
assert gaps[-1] < 1e-3

# %%
# What the user gets now
# ----------------------
# The row is empty, so the list is that of anybody unknown, and it is the refit's list. The most
# accurate model is certified again: any other refit would end at the same scores.

before, _ = model.recommend(users=[user], n_items=10)
after, _ = forgetful.recommend(users=[user], n_items=10)
expected, _ = refit.recommend(users=[user], n_items=10)
assert np.array_equal(after, expected)
assert not np.array_equal(after, before)
assert not forgetful.user_factors_[user].any()
assert forgetful.certify().certified
assert top_k_overlap(forgetful, refit, k=10) > 0.99
print("before", before[0])
print("after ", after[0])

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    axes.loglog(tolerances, gaps, "o-", color="C0", label="after forget")
    axes.axhline(1, color="C2", label="doing nothing")
    axes.axhline(floor, color="0.35", linestyle="--", label="refit from another seed")
    axes.set_ylim(floor / 4, 60)
    axes.set_xlabel("tolerance of the residual")
    axes.set_ylabel("remaining gap to the refit\n(share of the effect)")
    axes.legend(loc="upper left", ncols=2, frameon=False)
    plt.show()
