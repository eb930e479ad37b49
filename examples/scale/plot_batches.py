"""
====================
Requests in batches
====================

The law gives a month, not a second: requests may be masked at once and forgotten together. A batch
of fifty users shares the items that they have in common, so it costs far less than fifty
requests, and it ends at the same model. Every claim below is asserted.
"""

# %%
# A month of requests
# -------------------

import copy
import time

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import remaining_gap

X = make_interactions(1_200, 300, n_interactions=36_000, n_factors=4, noise=0.5, random_state=0)
fitted = MatrixFactorization(32, regularization=12.0, random_state=0).fit(X)
assert fitted.certify().certified
leavers = np.random.default_rng(0).permutation(X.shape[0])[:48]
retained = X.tolil()
retained[leavers] = 0
refit = clone(fitted).set_params(random_state=1).fit(retained.tocsr())
copy.deepcopy(fitted).forget(users=[0])  # compiles what is compiled

# %%
# In batches of one, of four, of all
# ----------------------------------
# What each batch leaves is a share of its own, so many small ones add up to about the same.

batches = [1, 4, 12, 48]
seconds, gaps = [], []
for size in batches:
    model = copy.deepcopy(fitted)
    start = time.perf_counter()
    for first in range(0, len(leavers), size):
        model.forget(users=leavers[first : first + size])
    seconds.append(time.perf_counter() - start)
    gaps.append(remaining_gap(fitted, model, refit))
    print(f"{len(leavers) // size:2d} of {size:2d}: {seconds[-1]:.2f} s, {gaps[-1]:.1e} left")

assert seconds[-1] < 0.3 * seconds[0]
assert max(gaps) < 0.02
assert model.forget_report_.n_users == len(leavers)

# %%
# Which recommendations change meanwhile? None for those who wait: `DeletionService` masks them
# until the batch is flushed.
#
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    bars = axes.bar([str(size) for size in batches], seconds, color="C0")
    axes.bar_label(bars, [f"{one:.2f} s" for one in seconds], padding=2)
    axes.set_ylim(0, 1.15 * max(seconds))
    axes.set_xlabel(f"users in a batch, of {len(leavers)} who leave")
    axes.set_ylabel("seconds until all are forgotten")
    plt.show()
