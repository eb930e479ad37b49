"""
===========================================
Forgetting in a model that implicit trained
===========================================

A team trains ``implicit.als.AlternatingLeastSquares`` every night, fifteen sweeps, and serves it.
Now a user asks to be deleted. The model is taken over as it is, forgets, and is handed back. The
same training without the user is run as well, to see how much of the difference is left. Every
claim below is asserted.
"""

# %%
# The model in production
# -----------------------
# The seed decides where training starts, and with few sweeps also where it ends.

import copy

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner, SweepUnlearner
from sklearn_unlearn.metrics import noise_floor, remaining_gap, top_k_overlap

user_items = csr_matrix(
    make_interactions(
        300,
        120,
        n_interactions=6_000,
        n_factors=4,
        noise=0.5,
        popularity=0.5,
        feedback="implicit",
        random_state=0,
    )
)


def train(matrix, seed=0):
    with threadpool_limits(1, "blas"):  # implicit has threads of its own
        trained = AlternatingLeastSquares(
            factors=64, regularization=20.0, alpha=5.0, random_state=seed, num_threads=1
        )
        trained.fit(matrix, show_progress=False)
    return trained


trained = train(user_items)

# %%
# Take it over
# ------------
# Nothing is trained: the factors are the same numbers, and so are the lists. The model was never
# run to convergence, and says so.

model = ALS.from_implicit(trained, user_items)
assert np.array_equal(model.item_factors_, trained.item_factors)

items, _ = model.recommend(users=[7], n_items=10)
theirs, _ = trained.recommend(7, user_items[7], N=10)
assert np.array_equal(items[0], theirs)
assert not model.converged_
print(f"gradient that training left {model.gradient_norm_:.2f}")

# %%
# The reference: the same training without the user
# -------------------------------------------------
# From the same seed, and from another. The difference of the two is the noise floor: what a
# training that starts elsewhere changes anyway.

user = int(np.argsort(np.diff(user_items.indptr))[user_items.shape[0] // 2])
retained = user_items.tolil()
retained[user] = 0
retained = retained.tocsr()
refit, other = (ALS.from_implicit(train(retained, seed), retained) for seed in (0, 1))

floor = noise_floor(model, refit, other)
print(f"noise floor {floor:.2f}")

# %%
# Forget
# ------
# The cheapest way solves the items of the user again and nothing else. A tolerance lets the change
# spread as far as it is felt. The gradient that training left is subtracted in either case: the
# request is answered, the training not finished.

strategies = {
    "touched rows": SweepUnlearner(scope="touched", n_sweeps=1),
    "tol=0.1": InfluenceUnlearner(tol=0.1),
    "tol=0.03": InfluenceUnlearner(tol=0.03),
}
gaps = {}
for name, unlearner in strategies.items():
    forgetful = copy.deepcopy(model).set_params(unlearner=unlearner).forget(users=[user])
    gaps[name] = remaining_gap(model, forgetful, refit)
    report = forgetful.forget_report_
    print(f"{name}: {report.guarantee}, residual {report.residual:.0e}, gap {gaps[name]:.2f}")
    assert gaps[name] < floor < 1  # 1 is doing nothing
    # The lists are no farther from those of the refit than a training from another seed.
    assert top_k_overlap(forgetful, refit, k=10) >= top_k_overlap(other, refit, k=10)

assert gaps["tol=0.03"] < gaps["tol=0.1"] < gaps["touched rows"]

# %%
# Hand it back
# ------------
# The exported model is implicit's own class: serve it, save it. The user is a row of zeros.

served = forgetful.to_implicit()
assert isinstance(served, type(trained))
assert not served.user_factors[user].any()
assert np.array_equal(served.item_factors, forgetful.item_factors_)
print("items like item 3:", served.similar_items(3, N=5)[0])

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    bars = axes.bar(list(gaps), list(gaps.values()), color="C0", width=0.6)
    axes.bar_label(bars, [f"{gap:.2f}" for gap in gaps.values()], padding=2)
    axes.axhline(1, color="C2", label="doing nothing")
    axes.axhline(floor, color="0.35", linestyle="--", label="training from another seed")
    axes.set_ylim(0, 1.35)
    axes.set_xlabel("way to forget")
    axes.set_ylabel("remaining gap to the same training\n(share of the effect)")
    axes.legend(loc="upper right", ncols=2, frameon=False)
    plt.show()
