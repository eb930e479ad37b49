"""
===================
Shards or influence
===================

A simple way to forget is to split the users among shards, train a model on each, and refit the
shards that hold those who leave (SISA). It is exact and needs no theory. Here ensembles of 4 and 16
shards stand beside one model that forgets by influence: by what they recommend, and by what
requests of one user to thirty-two cost. Every claim below is asserted.
"""

# %%
# Held-out items
# --------------
# Each ensemble has the penalty that ranked best among some: a shard sees less, and wants less. All
# three then recommend about equally well.

import copy
import time

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import ALS, ShardedRecommender
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.metrics import ndcg_at_k
from sklearn_unlearn.model_selection import split_interactions

X = make_interactions(
    800, 200, n_interactions=16_000, n_factors=6, feedback="implicit", random_state=0
)
train, test = split_interactions(X, test_size=0.2, random_state=0)


def sharded(n_shards, regularization):
    """An ensemble whose touched shards are fitted again."""
    base = ALS(32, regularization=regularization, alpha=1.0, random_state=0)
    return ShardedRecommender(base, n_shards, method="refit", random_state=0)


models = {
    "one model, influence": ALS(32, regularization=30.0, alpha=1.0, random_state=0),
    "4 shards, refitted": sharded(4, 15.0),
    "16 shards, refitted": sharded(16, 8.0),
}
quality = {}
for name, model in models.items():
    quality[name] = ndcg_at_k(model.fit(train), test, k=10)
    print(f"{name:21} nDCG@10 {quality[name]:.3f}")
assert max(quality.values()) < 1.1 * min(quality.values())

# %%
# One user to thirty-two
# ----------------------
# Shards by a hash of the position depend on nothing but the position, so a refitted shard is what
# it would have been: exactly that of an ensemble that never held the user. But users who leave
# together are in different shards, and soon all of them are touched.

order = np.random.default_rng(0).permutation(X.shape[0])
sizes = [1, 2, 4, 8, 16, 32]
times = {}
for name, fitted in models.items():
    copy.deepcopy(fitted).forget(users=order[-1:])  # compiles what is compiled
    times[name] = []
    for size in sizes:
        model = copy.deepcopy(fitted)
        start = time.perf_counter()
        model.forget(users=order[:size])
        times[name].append(time.perf_counter() - start)
    retained = train.tolil()
    retained[order[:size]] = 0
    refit = clone(fitted).fit(retained.tocsr())
    differ = np.abs(model.decision_function(train[:50]) - refit.decision_function(train[:50])).max()
    listed = " ".join(f"{one:.2f}" for one in times[name])
    print(f"{name:21} {listed} s; {model.forget_report_.guarantee}, {differ:.0e} from a refit")
    assert differ < (1e-3 if name.startswith("one") else 1e-9)

single, few, many = times.values()
assert few[-1] > 2 * few[0] and many[-1] > 4 * many[0]  # all shards, where one was enough
assert single[-1] < few[-1]

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(6.6, 3.8), layout="constrained")
    for (name, values), marker in zip(times.items(), "osD", strict=True):
        axes.loglog(sizes, values, marker + "-", label=name)
    axes.set_xticks(sizes, labels=map(str, sizes))
    axes.minorticks_off()
    axes.set_xlabel("users who leave together")
    axes.set_ylabel("seconds to forget them")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    plt.show()
