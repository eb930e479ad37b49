"""What requests cover: all of a batch at once as each by itself, counted as `forget` does."""

import numpy as np
import pytest

from sklearn_unlearn._forget_request import validate_forget_request
from sklearn_unlearn.audit import DeletionRequest
from sklearn_unlearn.audit._names import Names
from sklearn_unlearn.audit._scopes import Scopes
from tests.audit.test_service import CATEGORIES, N_ITEMS, N_USERS, fitted, fitted_pipeline


def drawn(rng, first_user, first_item):
    """A request of some users, items, pairs and categories, some of which nobody knows."""
    users = rng.integers(0, N_USERS + 3, 9) + first_user
    items = rng.integers(0, N_ITEMS + 2, 9) + first_item
    n = rng.integers(0, 4, 3)
    fields = {
        "users": users[: n[0]],
        "items": items[: n[1] * (rng.random() < 0.3)],
        "interactions": list(zip(users[3:], items[3:], strict=True))[: n[2]],
        "categories": [(users[8], rng.choice(["horror", "none"]))] * (rng.random() < 0.3),
    }
    return fields if any(map(len, fields.values())) else fields | {"users": users[:1]}


@pytest.mark.parametrize("in_ids", [False, True])
def test_a_batch_covers_what_its_requests_do(in_ids):
    rng = np.random.default_rng(3)
    first = (1000, 7000) if in_ids else (0, 0)
    names = Names((fitted_pipeline() if in_ids else fitted()).forget(users=[first[0] + 4]))
    categories = {item + first[1]: one for item, one in CATEGORIES.items()}
    scopes = Scopes(categories, None)
    requests = [DeletionRequest(**drawn(rng, *first)) for _ in range(300)]
    for request, covered in zip(requests, scopes.cover_all(requests, names), strict=True):
        [alone] = scopes.cover_all([request], names)
        for name, value in vars(covered).items():
            assert np.array_equal(value, getattr(alone, name))
        members = [item for item, one in categories.items() if one == "horror"]
        pairs = [(user, item) for user, one in request.categories if one == "horror"
                 for item in members] + list(request.interactions)  # fmt: skip
        parts = (
            np.reshape(pairs, (-1, 2)).astype(int) - first,
            *(
                np.array(ids, int) - start
                for ids, start in zip((request.users, request.items), first, strict=True)
            ),
        )
        inside = ((parts[0] >= 0) & (parts[0] < (N_USERS, N_ITEMS))).all(axis=1)
        sides = [one[one < n] for one, n in zip(parts[1:], (N_USERS, N_ITEMS), strict=True)]
        expected = validate_forget_request(names.data, parts[0][inside], *sides, "ignore")
        assert (covered.n_interactions, covered.n_users, covered.n_items) == (
            expected.n_interactions, expected.n_users, expected.n_items,
        )  # fmt: skip
