"""
============================================
Which penalty makes forgetting well defined
============================================

"The model that a refit would give" is one model only if refits from different seeds agree. Whether
they do depends on the penalty: a larger one gives a solution of lower rank, and once the rank is
below ``n_factors``, a certificate can prove the global optimum. Here a model is fitted with nine
penalties, and asked to forget four users, each of whom is forgotten by two refits as well. Every
claim below is asserted.
"""

# %%
# Nine penalties, four users
# --------------------------
# ``certify`` looks at the fitted model and its data alone. Differences are shares of the effect of
# the user: 1 means that two models differ by as much as the user changed.

import copy

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import noise_floor, remaining_gap

X = make_interactions(150, 80, random_state=0)
leavers = [7, 30, 77, 120]
retained = {}
for user in leavers:
    rest = X.tolil()
    rest[user] = 0
    retained[user] = rest.tocsr()

n_factors = 8
penalties = np.array([0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
ranks, certified, floors, gaps = [], [], [], []
for penalty in penalties:
    fitted = MatrixFactorization(
        n_factors, regularization=penalty, unlearner=InfluenceUnlearner(), random_state=0
    ).fit(X)
    certificate = fitted.certify()
    ranks.append(certificate.rank)
    certified.append(certificate.certified)
    for user in leavers:
        refits = [clone(fitted).set_params(random_state=s).fit(retained[user]) for s in (1, 2)]
        model = copy.deepcopy(fitted).forget(users=[user])
        floors.append(noise_floor(fitted, *refits))
        gaps.append(remaining_gap(fitted, model, refits[0]))
    print(f"penalty {penalty}: {certificate}")
floors, gaps = (np.reshape(one, (len(penalties), len(leavers))) for one in (floors, gaps))
certified, ranks = np.array(certified), np.array(ranks)

# %%
# Where the certificate holds, refits agree for every user, and forgetting ends where they do. Where
# the rank is at its cap, refits differ for some, and no method could be close to both.

for penalty, floor, gap in zip(penalties, floors, gaps, strict=True):
    print(f"penalty {penalty}: refits differ by up to {floor.max():.0e}, forget from a refit by up "
          f"to {gap.max():.0e}")  # fmt: skip
assert certified.any() and not certified.all()
assert (ranks[certified] < n_factors).all() and (ranks[certified] > 0).all()
assert floors[certified].max() < 1e-3 and gaps[certified].max() < 0.02
assert floors[0].max() > 0.1 and gaps[0].max() > 0.1

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(6, 5), sharex=True, layout="constrained", height_ratios=[2, 3]
    )
    start = penalties[certified][0] - 0.5
    for axes in (top, bottom):
        axes.axvspan(start, penalties[-1] + 0.4, color="0.93")
    top.plot(penalties, ranks, "o-", color="C0")
    top.axhline(n_factors, color="0.35", linestyle="--")
    top.annotate("n_factors", (penalties[-1], n_factors), (0, 4), ha="right", color="0.35",
                 textcoords="offset points")  # fmt: skip
    top.annotate("certified", (start, 0), (6, 0), textcoords="offset points", color="0.35")
    top.set_ylim(-1, n_factors + 2)
    top.set_ylabel("rank")
    for values, style, label, shift in (
        (floors, "C1s", "refit against refit, by user", -0.06),
        (gaps, "C0o", "forget against refit, by user", 0.06),
    ):
        places = np.repeat(penalties, len(leavers)) + shift
        bottom.semilogy(places, values.ravel(), style, markersize=5, alpha=0.7, label=label)
    bottom.set_xlabel("regularization")
    bottom.set_ylabel("difference\n(share of the user's effect)")
    bottom.set_ylim(top=60)
    bottom.legend(loc="upper right", ncols=2, frameon=False)
    plt.show()
