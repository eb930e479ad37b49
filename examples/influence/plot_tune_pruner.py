"""
=========================================
Tuning how to forget, with GridSearchCV
=========================================

How a model forgets is a hyper-parameter: how many rows to update, how many steps to take. Searching
over it must not train the model again for every candidate, since avoiding that is what forgetting
is for. Here a fitted model is frozen, the interactions that a split sets aside are the request, and
the search asks what the cheapest way to forget is that leaves less than 1 % of their effect. Every
claim below is asserted.
"""

# %%
# A fitted model
# --------------

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from sklearn_unlearn import MatrixFactorization, UnlearningRecommender
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import make_forget_scorer
from sklearn_unlearn.pruning import ImportancePruner

X = make_interactions(400, 150, n_interactions=9_000, n_factors=4, noise=0.5, random_state=0)
model = MatrixFactorization(random_state=0).fit(X)
assert model.certify().certified
untouched = joblib.hash(model)

# %%
# The search
# ----------
# The data of the search are the pairs that the model was trained on. Each split sets 20 of them
# aside: the request. ``fit`` does nothing, because the model is frozen; the scorer forgets the
# request on a copy, and compares the copy with a refit, which is made once for all six candidates.
#
# One influence step over the rows that matter most is the method of the paper that this library
# starts from (IFRU).

pairs = np.column_stack(X.nonzero())
one_step = InfluenceUnlearner(ImportancePruner(n_hops=2), n_steps=1, tol=None)
ratios = [0.05, 0.1, 0.2, 0.4, 0.7, 1.0]


def cheapest_within(limit):
    """Choose the candidate of the fewest rows that leaves at most `limit` of the effect."""

    def choose(results):
        good = results["mean_test_neg_gap"] >= -limit
        rows = np.where(good, -results["mean_test_neg_rows"], np.inf)
        return int(np.argmin(rows)) if good.any() else int(results["mean_test_neg_gap"].argmax())

    return choose


search = GridSearchCV(
    UnlearningRecommender(FrozenEstimator(model), one_step),
    {"unlearner__pruner__keep_ratio": ratios},
    scoring=make_forget_scorer(("gap", "rows")),
    cv=ShuffleSplit(n_splits=1, test_size=20, random_state=0),
    refit=cheapest_within(0.01),
)
search.fit(pairs)
gaps = -search.cv_results_["mean_test_neg_gap"]
rows = -search.cv_results_["mean_test_neg_rows"]
for ratio, gap, n_rows in zip(ratios, gaps, rows, strict=True):
    print(f"keep_ratio {ratio:4.2f}: {n_rows:4.0f} rows updated, {gap:.2%} of the effect left")
print("chosen:", search.best_params_)

assert joblib.hash(model) == untouched  # the frozen model has forgotten nothing
assert (np.diff(rows) > 0).all() and gaps[-1] < gaps[0]

# %%
# Steps instead of rows
# ---------------------
# The default takes steps until a residual is met, over as many rows as that needs. What tolerance
# is worth its time? The gap follows the residual, which needs no refit: a search that asks for
# "residual" and "seconds" only would train nothing at all.

tolerances = [1e-1, 1e-2, 1e-3, 1e-4]
search = GridSearchCV(
    UnlearningRecommender(FrozenEstimator(model), InfluenceUnlearner()),
    {"unlearner__tol": tolerances},
    scoring=make_forget_scorer(("residual", "seconds", "gap")),
    cv=ShuffleSplit(n_splits=1, test_size=20, random_state=0),
    refit=False,
)
search.fit(pairs)
residuals = -search.cv_results_["mean_test_neg_residual"]
gaps_of_tol = -search.cv_results_["mean_test_neg_gap"]
seconds = -search.cv_results_["mean_test_neg_seconds"]
for tol, residual, gap, time in zip(tolerances, residuals, gaps_of_tol, seconds, strict=True):
    print(f"tol {tol:.0e}: residual {residual:.0e}, {gap:.3%} of the effect left, {time:.3f} s")

assert (residuals <= tolerances).all()
assert gaps_of_tol[-1] < 1e-3

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    axes.semilogy(rows, gaps, "o-", color="C0", label="one step, the most important rows")
    axes.axhline(gaps_of_tol[2], color="C1", label="the default: steps to a residual")
    axes.axhline(0.01, color="0.35", linestyle="--", label="what was asked for: 1 %")
    axes.set_xlabel("rows updated")
    axes.set_ylabel("remaining gap to the refit\n(share of the effect)")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    plt.show()
