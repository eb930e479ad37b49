"""
======================================
Learning new events, correcting others
======================================

Forgetting is half of keeping a model up to date. The other half has the same forms: ``learn`` takes
in what is new, ``rectify`` corrects what was wrong. Ten days of events arrive one after the other,
then one user's counts turn out to be wrong, and are put right. After each step the model is
compared with one that is fitted anew. Every claim below is asserted.
"""

# %%
# The first days, and those to come
# ---------------------------------
# Half of the events are there when the model is fitted. The others come on ten days, new users and
# items among them: positions behind the matrix are such, and the table grows.

import copy

import numpy as np
from scipy import sparse
from sklearn.base import clone

from sklearn_unlearn import ALS
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.influence import InfluenceUnlearner
from sklearn_unlearn.metrics import remaining_gap

made = make_interactions(
    300, 120, n_interactions=8_000, n_factors=4, feedback="implicit", random_state=0
).tocoo()
order = np.random.default_rng(0).permutation(made.nnz)
users, items, counts = made.row[order], made.col[order], made.data[order]
first, *days = np.array_split(np.arange(made.nnz), [made.nnz // 2 + 400 * day for day in range(11)])
days = [day for day in days if len(day)]


def matrix(events, shape=None):
    """Interactions of some events."""
    return sparse.csr_array((counts[events], (users[events], items[events])), shape=shape)


model = ALS(32, regularization=20.0, alpha=1.0, unlearner=InfluenceUnlearner(), random_state=0).fit(
    matrix(first)
)
assert model.certify().rank > 0
print(f"fitted to {len(first)} events of {model._interactions.n_users} users")

# %%
# Day after day
# -------------
# Each day is learned on top of the last, and never is the model fitted again. Beside it stands a
# model that stays as it was: the distance of both to a fit on all that is known is measured.

known, shares, seconds = first, [], []
stale = copy.deepcopy(model)
for day in days:
    known = np.concatenate([known, day])
    model.learn((users[day], items[day]), counts[day])
    shape = model._interactions.shape
    stale.learn(sparse.csr_array(shape))  # room for new rows, nothing more
    refit = clone(model).set_params(random_state=1).fit(matrix(known, shape))
    assert model.learn_report_.n_learned == len(day)
    shares.append(remaining_gap(stale, model, refit))
    seconds.append(model.learn_report_.seconds)
print("share of the news that is missing, day by day:", " ".join(f"{one:.1%}" for one in shares))
assert max(shares) < 0.02
certificate = model.certify(tol=1e-3)
print(certificate)
assert certificate.certified  # nearly where a fit ends, too

# %%
# Put it right
# ------------
# One user's counts were tripled by a bug in the log. ``rectify`` forgets the wrong ones and learns
# the right ones in one request.

user = int(np.argsort(np.bincount(users[known]))[-5])
mine = known[users[known] == user]
pairs = np.column_stack([users[mine], items[mine]])
wrong = copy.deepcopy(model).rectify(pairs, pairs, 3 * counts[mine])
right = copy.deepcopy(wrong).rectify(pairs, pairs, counts[mine])
report = right.learn_report_
print(report)
corrected = remaining_gap(wrong, right, refit)
print(f"{corrected:.1%} of the error is left")
assert corrected < 0.02
assert report.n_interactions == report.n_learned == len(mine)

# %%
# The picture
# -----------

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    numbers = np.arange(1, len(days) + 1)
    axes.semilogy(numbers, np.ones(len(days)), "--", color="0.35", label="not learning")
    axes.semilogy(numbers, shares, "o-", color="C0", label="learning each day")
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.75), frameon=False)
    axes.set_xticks(numbers)
    axes.set_xlabel("day")
    axes.set_ylabel("share of the news that is missing")
    axes.set_title("A model that learns each day stays where a fit would be")
    plt.show()
