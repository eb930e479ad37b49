"""Dense and naive twins of the pruners, and the problems they are compared on."""

from collections import deque

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


@st.composite
def problems(draw):
    """Draw a signed matrix and a request that names known and unknown pairs."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    cells = st.sampled_from([0.0, 0.0, 0.0, 1.0, -2.0])
    # Without a fill, or most cells would be one value and hardly any walk longer than a step.
    X = draw(hnp.arrays(np.float64, shape, elements=cells, fill=st.nothing()))
    pair = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1))
    pairs = draw(st.lists(pair, max_size=4))
    stored = list(zip(*np.nonzero(X), strict=True))
    if stored:
        pairs += draw(st.lists(st.sampled_from(stored), max_size=3))
    return X, np.array(pairs, dtype=np.int64).reshape(-1, 2)


def known(X, pairs):
    """Return the distinct stored cells of a request."""
    return sorted({(int(u), int(i)) for u, i in pairs if X[u, i] != 0})


def distances(X, pairs):
    """Breadth-first search with a queue over every node; infinity for what is never met."""
    n_users, n_items = X.shape
    found = {}
    for u, i in known(X, pairs):
        found[u], found[n_users + i] = 0, 0
    queue = deque(found)
    while queue:
        node = queue.popleft()
        if node < n_users:
            near = [n_users + i for i in range(n_items) if X[node, i] != 0]
        else:
            near = [u for u in range(n_users) if X[u, node - n_users] != 0]
        for other in near:
            if other not in found:
                found[other] = found[node] + 1
                queue.append(other)
    return np.array([found.get(node, np.inf) for node in range(n_users + n_items)])


def importances(X, pairs, n_hops):
    """Sum powers of the dense normalised adjacency matrix, times the shares that are lost."""
    n_users, n_items = X.shape
    A = np.zeros((n_users + n_items,) * 2)
    A[:n_users, n_users:] = X != 0
    A += A.T
    degrees = A.sum(axis=0)
    lost = np.zeros(len(A))
    for u, i in known(X, pairs):
        lost[[u, n_users + i]] += 1
    alive = degrees > 0
    shares = np.divide(lost, degrees, out=np.zeros(len(A)), where=alive)
    root = np.divide(1, np.sqrt(degrees), out=np.zeros(len(A)), where=alive)
    S = np.diag(root) @ A @ np.diag(root)
    return sum(np.linalg.matrix_power(S, t) for t in range(n_hops + 1)) @ shares


def support_of(pruner):
    return np.concatenate((pruner.get_support(axis=0), pruner.get_support(axis=1)))


def importances_of(pruner):
    return np.concatenate((pruner.user_importances_, pruner.item_importances_))
