"""A process that submits and flushes, and is killed at a random moment."""

import os
import random
import signal
import sys
import threading
import time

import numpy as np
import skops.io  # noqa: F401  # so that the children need not import it

from sklearn_unlearn import EASE
from sklearn_unlearn.audit import DeletionService
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder

DENSE = (np.random.default_rng(5).random((4000, 60)) < 0.3).astype(float)
PER_RUN = 50


def user_id(position):
    return f"person-{position:04d}"


def item_id(position):
    return f"thing-{position:02d}"


def fitted(matrix=DENSE):
    """Fit a pipeline on a matrix; positions of its encoder are those of the matrix."""
    users, items = np.nonzero(matrix)
    events = {"user": list(map(user_id, users)), "item": list(map(item_id, items))}
    return make_recommender_pipeline(InteractionEncoder(), EASE(regularization=5.0)).fit(events)


def requests(seed):
    """Make the requests that the run of a seed submits, in positions."""
    draw = random.Random(seed)
    for place in range(PER_RUN):
        user, item = draw.randrange(DENSE.shape[0]), draw.randrange(DENSE.shape[1])
        named = {"users": [user]} if draw.random() < 0.1 else {"interactions": [(user, item)]}
        yield named | {"request_id": f"{seed}-{place}"}


def in_ids(request):
    """Name what a request names by the ids of the model."""
    pairs = [(user_id(user), item_id(item)) for user, item in request.get("interactions", ())]
    return request | {"users": list(map(user_id, request.get("users", ()))), "interactions": pairs}


def _kill_at_a_line(draw, n_lines=4000):
    """Kill this process after some lines of the package's own code."""
    left = draw.randrange(n_lines)

    def count(frame, event, _):
        nonlocal left
        if "sklearn_unlearn/audit/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return count

    sys.settrace(count)


def _kill_in_a_while(draw):
    def wait():
        time.sleep(draw.uniform(0.0, 0.25))
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def run(url, path, key, seed, kill=True):
    """Take up what is there, submit, and flush, until the end or the kill."""
    draw = random.Random(seed)
    model = None if os.path.exists(path) else fitted()
    if kill and seed % 4 == 0:  # while the service starts, too
        _kill_at_a_line(draw, 6000)
    with DeletionService(model, url, path, key=key) as service:
        if kill and seed % 4:
            (_kill_at_a_line if seed % 2 else _kill_in_a_while)(draw)
        made = list(map(in_ids, requests(seed)))
        for start in range(0, PER_RUN, 8):
            service.submit_many(made[start : start + 8])
            if draw.random() < 0.5:
                service.flush(max_requests=draw.choice([1, 10, None]))
        service.flush()
