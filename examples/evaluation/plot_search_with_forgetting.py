"""
============================================
Choosing a model with its forgetting in mind
============================================

A search over hyper-parameters looks at rankings. A model that will have to forget should be chosen
by two more columns: whether its optimum can be certified, and what a request leaves at the chosen
setting. Every claim below is asserted.
"""

# %%
# One search, three columns
# -------------------------
# A fifth of the interactions is set aside to judge lists. Ten users leave after the fit.

import copy

import numpy as np
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import ndcg_at_k, remaining_gap
from sklearn_unlearn.model_selection import split_interactions

X = make_interactions(
    300, 120, n_interactions=7_000, n_factors=4, feedback="implicit", random_state=0
)
train, held_out = split_interactions(X, test_size=0.2, random_state=0)
leavers = np.random.default_rng(0).permutation(X.shape[0])[:10]
retained = train.tolil()
retained[leavers] = 0
retained = sparse.csr_array(retained)


def judge(estimator):
    """Ranking, certificate, and what is left of a request of ten users."""
    fitted = clone(estimator).fit(train)
    model = copy.deepcopy(fitted).forget(users=leavers)
    refit = clone(estimator).set_params(random_state=1).fit(retained)
    certificate = fitted.certify()
    return {
        "ndcg": ndcg_at_k(fitted, held_out, k=10, X_train=train),
        "rank": certificate.rank,
        "certified": certificate.certified,
        "gap": remaining_gap(fitted, model, refit),
    }


penalties = [10.0, 14.0, 20.0, 28.0, 40.0, 56.0]
rows = []
for penalty in penalties:
    rows.append(judge(ALS(24, regularization=penalty, alpha=1.0, random_state=0)))
    print(f"penalty {penalty:4.0f}: nDCG@10 {rows[-1]['ndcg']:.3f}, rank {rows[-1]['rank']:2d}, "
          f"certified {rows[-1]['certified']!s:5}, gap {rows[-1]['gap']:.0e}")  # fmt: skip

# %%
# The choice
# ----------
# The best ranking has a certificate here, so nothing is given up: what a refit gives is one model,
# and ``forget`` ends there. Smaller penalties rank worse *and* cannot be certified.

best = max(rows, key=lambda row: row["ndcg"])
assert best["certified"] and 0 < best["rank"] < 24
assert best["gap"] < 0.01
assert not rows[0]["certified"] and rows[0]["ndcg"] < best["ndcg"]
chosen = penalties[rows.index(best)]
print(f"chosen: a penalty of {chosen:.0f}")

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6, 5), sharex=True, layout="constrained")
    first = next(p for p, row in zip(penalties, rows, strict=True) if row["certified"])
    for axes in (top, bottom):
        axes.axvspan(first * 0.85, penalties[-1] * 1.1, color="0.93")
        axes.axvline(chosen, color="0.35", linestyle="--")
    top.semilogx(penalties, [row["ndcg"] for row in rows], "o-", color="C0")
    top.annotate("certified", (penalties[-1], top.get_ylim()[1]), (0, -14), ha="right",
                 textcoords="offset points", color="0.35")  # fmt: skip
    top.annotate("chosen", (chosen, top.get_ylim()[0]), (5, 4), textcoords="offset points",
                 color="0.35")  # fmt: skip
    top.set_ylabel("nDCG@10\non held-out items")
    bottom.loglog(penalties, [row["gap"] for row in rows], "s-", color="C1")
    bottom.set_ylabel("remaining gap\n(share of the effect)")
    bottom.set_xticks(penalties, labels=[f"{one:.0f}" for one in penalties])
    bottom.minorticks_off()
    bottom.set_xlabel("regularization")
    plt.show()
