"""
==========================================
Sessions, whose they are, and what is left
==========================================

What comes next in a session is told by its last items, and by other sessions that went the same
way. The order is in the values of the matrix: they are times. A person has many sessions, and all
of them are forgotten in one request, in a small part of the time of a fit. Every claim below is
asserted.
"""

# %%
# Sessions in the order of time
# -----------------------------
# Items lie on a ring. A session begins anywhere, walks on in short steps, and in its middle jumps
# to another place: what was looked at before says little about what comes next. The last item of
# each of the latest sessions is held out.

import copy
import time

import numpy as np
from sklearn.base import clone

from sklearn_unlearn import ItemKNN, SessionKNN

rng = np.random.default_rng(0)
n_sessions, n_items, length = 3_000, 400, 8
steps = rng.integers(1, 10, (n_sessions, length))
steps[:, 0] = rng.integers(0, n_items, n_sessions)
steps[:, length // 2] += rng.integers(0, n_items, n_sessions)
walks = np.cumsum(steps, axis=1) % n_items

X = np.zeros((n_sessions, n_items))
for place in range(length - 1):
    X[np.arange(n_sessions), walks[:, place]] = 100 * np.arange(n_sessions) + place + 1
owners = rng.integers(0, 500, n_sessions)  # 500 people
late = np.arange(2_000, n_sessions)
following = walks[late, -1]
unseen = X[late, following] == 0
late, following = late[unseen], following[unseen]

# %%
# The next item
# -------------
# Neighbours of sessions know the order, neighbours of items do not, and what is popular depends on
# nothing.


def hit_rates(lists):
    """Share of the sessions whose next item is among the first 1, 2, ... of a list."""
    return np.cumsum(lists == following[:, None], axis=1).mean(axis=0)


sessions = SessionKNN(n_neighbors=50, decay="harmonic", match_decay="harmonic")
sessions.fit(X, owners=owners)
items = ItemKNN(n_neighbors=50).fit(X > 0)
popular = np.argsort(-(X > 0).sum(axis=0), kind="stable")[:10]
rates = {
    "SessionKNN": hit_rates(sessions.recommend(users=late, n_items=10)[0]),
    "ItemKNN": hit_rates(items.recommend(users=late, n_items=10)[0]),
    "popularity": hit_rates(np.tile(popular, (len(late), 1))),
}
for name, rate in rates.items():
    print(f"{name}: {rate[-1]:.1%} of the next items are among the first ten")
assert rates["SessionKNN"][-1] > rates["ItemKNN"][-1] > rates["popularity"][-1]

# %%
# A person asks to be forgotten
# -----------------------------
# All sessions of the person go. What is left is the model that was never told of them: same lists
# of sessions, same scores, to the last bit.

person = int(owners[late[0]])
mine = np.flatnonzero(owners == person)
model = copy.deepcopy(sessions)
model.forget(owners=[person])
report = model.forget_report_
print(report)

rest = X.copy()
rest[mine] = 0
began = time.perf_counter()
refit = clone(sessions).fit(rest, owners=owners)
print(f"{report.seconds * 1e3:.1f} ms; a fit takes {(time.perf_counter() - began) * 1e3:.1f} ms")
assert report.guarantee == "exact" and report.n_users == len(mine)
assert (model.decision_function(X) == refit.decision_function(X)).all()

# %%
# And comes back
# --------------
# New sessions are learned with their times. Learned again with theirs, the sessions of the person
# make the model that there was before.

rows, columns = np.nonzero(np.isin(np.arange(n_sessions), mine)[:, None] & (X > 0))
model.learn((rows, columns), X[rows, columns])
assert (model.decision_function(X) == sessions.decision_function(X)).all()

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
    for (name, rate), marker in zip(rates.items(), "os^", strict=True):
        axes.plot(np.arange(1, 11), rate, f"{marker}-", label=name)
    axes.legend(loc="upper left", frameon=False)
    axes.set_ylim(0, 1)
    axes.set_xticks(np.arange(1, 11))
    axes.set_xlabel("length of the list")
    axes.set_ylabel("share of next items in the list")
    axes.set_title("The order tells what comes next")
    plt.show()
