"""
========================
What does a request cost
========================

A refit costs the same whatever is forgotten. ``forget`` starts from the rows that lost something
and spreads as far as it is felt, so what it costs grows with the request: one user is cheap, and a
quarter of them all may cost what a refit does. Here such requests are timed beside the refit. Every
claim below is asserted.
"""

# %%
# A model, and requests that grow
# -------------------------------

import copy
import time

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import EASE, MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import remaining_gap

X = make_interactions(3_000, 500, n_interactions=90_000, n_factors=4, noise=0.5, random_state=0)
likes = X.copy()
likes.data = (likes.data > 0).astype(float)
likes.eliminate_zeros()
models = {
    "MatrixFactorization": MatrixFactorization(32, regularization=20.0, random_state=0).fit(X),
    "EASE": EASE(regularization=100.0).fit(likes),
}
assert models["MatrixFactorization"].certify().certified
order = np.random.default_rng(0).permutation(X.shape[0])
sizes = [1, 3, 10, 30, 100, 300, 750]

# %%
# Time them
# ---------
# The first call of a process compiles what is compiled, so that one is made beforehand and not
# counted. The best of three trials counts.

pairs = np.argwhere(np.ones((200, 100)))
times, refit_times, gaps = {}, {}, {}
for name, fitted in models.items():
    data = likes if name == "EASE" else X
    copy.deepcopy(fitted).forget(users=order[-2:])
    times[name], refit_times[name], gaps[name] = [], [], []
    for size in sizes:
        trials = []
        for _ in range(3):
            model = copy.deepcopy(fitted)
            start = time.perf_counter()
            model.forget(users=order[:size])
            trials.append(time.perf_counter() - start)
        times[name].append(min(trials))
        retained = data.tolil()
        retained[order[:size]] = 0
        retained = retained.tocsr()
        start = time.perf_counter()
        refit = clone(fitted).fit(retained)
        refit_times[name].append(time.perf_counter() - start)
        gaps[name].append(remaining_gap(fitted, model, refit, pairs=pairs))
        print(f"{name:20} {size:4d} users: {times[name][-1]:.3f} s, refit "
              f"{refit_times[name][-1]:.2f} s, {gaps[name][-1]:.0e} left")  # fmt: skip

# %%
# One user costs a fraction of a refit, and what is left of a request does not grow with its size.

for name in models:
    assert times[name][0] < 0.5 * refit_times[name][0]
    assert max(gaps[name]) < 0.02

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.6), sharey=True, layout="constrained")
    for axes, name in zip(panels, models, strict=True):
        axes.loglog(sizes, refit_times[name], "s--", color="0.35", label="refit")
        axes.loglog(sizes, times[name], "o-", color="C0", label="forget")
        axes.set_title(name)
        axes.set_xlabel(f"users forgotten, of {X.shape[0]:,}")
    panels[0].set_ylabel("seconds")
    panels[0].set_ylim(min(map(min, times.values())) / 2, 4 * max(map(max, refit_times.values())))
    panels[0].legend(loc="upper left", ncols=2, frameon=False)
    plt.show()
