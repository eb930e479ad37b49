"""
==============================================
From a CSV file of events to a forgotten user
==============================================

A shop keeps a table of ratings: who, what, how many stars, when. A pipeline turns it into a
recommender that speaks ids. Then a customer asks to be deleted. Every claim below is asserted,
against a pipeline that is fitted on a table without the customer.
"""

# %%
# The table
# ---------
# Synthetic, with ids such as a shop would have, written to a file and read again.

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

from sklearn_unlearn import MatrixFactorization
from sklearn_unlearn.datasets import make_interactions
from sklearn_unlearn.exceptions import UnknownInteractionError
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder, RatingBinarizer

ratings = make_interactions(
    300, 100, n_interactions=8_000, n_factors=4, noise=0.5, feedback="rating", random_state=0
).tocoo()
table = pd.DataFrame(
    {
        "customer": [f"customer-{number:04d}" for number in ratings.row],
        "product": [f"product-{number:03d}" for number in ratings.col],
        "stars": ratings.data,
        "day": np.random.default_rng(0).integers(0, 365, ratings.nnz),
    }
).sample(frac=1, random_state=0)

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "ratings.csv"
table.to_csv(path, index=False)
events = pd.read_csv(path)
print(events.head(3).to_string(index=False))

# %%
# The pipeline
# ------------
# The encoder learns the ids; of several ratings of one product the last in time counts. Four stars
# and more are a like, fewer a dislike. Steps like the second are allowed because they treat every
# value by itself.

pipeline = make_recommender_pipeline(
    InteractionEncoder("customer", "product", "stars", timestamp="day", duplicates="last"),
    RatingBinarizer(threshold=4),
    MatrixFactorization(random_state=0),
)
pipeline.fit(events)
assert pipeline.certify().certified  # the global optimum: what any converged refit gives

someone = "customer-0123"
before = pipeline.recommend(users=[someone, "customer-0007"], n_items=3)
print(before.to_string(index=False))

# %%
# Forget
# ------

pipeline.forget(users=someone)
report = pipeline.forget_report_
print(f"{report.n_interactions} interactions forgotten in {report.seconds:.3f} s")
print(f"guarantee: {report.guarantee}, residual {report.residual:.0e}")

# %%
# The id is gone as well: from the vocabulary, and from every byte of the pipeline.

assert someone.encode() not in pickle.dumps(pipeline)
try:
    pipeline.recommend(users=someone)
except UnknownInteractionError as error:
    print(error)
else:
    raise AssertionError("the id should be unknown")

# %%
# What a refit says
# -----------------
# The same pipeline, fitted on a table that never had the customer. All scores of everybody else are
# compared.

refit = clone(pipeline).fit(events[events["customer"] != someone])
others = np.unique(events["customer"][events["customer"] != someone])
products = np.unique(events["product"])
pairs = {"customer": np.repeat(others, len(products)), "product": np.tile(products, len(others))}
fitted = clone(pipeline).fit(events)
target = refit.predict_pairs(pairs)
gap = np.linalg.norm(pipeline.predict_pairs(pairs) - target)
gap /= np.linalg.norm(fitted.predict_pairs(pairs) - target)
assert gap < 0.01
print(f"{gap:.2%} of the effect of the customer is left; doing nothing would leave 100 %")

lists = [model.recommend(users=list(others), n_items=5)["product"] for model in (pipeline, refit)]
same = np.mean(lists[0].to_numpy() == lists[1].to_numpy())
assert same > 0.99
print(f"{same:.1%} of the recommendations to others are those of the refit, rank by rank")

folder.cleanup()

# %%
# The picture
# -----------
# Each point is a score of somebody else. It moves because the customer's ratings no longer speak
# for the products: by as much after ``forget`` as in the refit.

try:
    import matplotlib.pyplot as plt
except ImportError:  # the script is as good without its picture
    plt = None

if plt is not None:
    plt.style.use("seaborn-v0_8-colorblind")
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    start = fitted.predict_pairs(pairs)
    shifts = target - start, pipeline.predict_pairs(pairs) - start
    reach = np.abs(shifts[0]).max()
    axes.axline((0, 0), slope=1, color="0.35", linestyle="--")
    axes.annotate("as in the refit", (-0.5 * reach, -0.5 * reach), (12, -4),
                  textcoords="offset points", color="0.35")  # fmt: skip
    axes.plot(*shifts, ".", markersize=3, alpha=0.4, color="C0", rasterized=True)
    axes.set_xlabel("change of the score by a refit (log odds)")
    axes.set_ylabel("change of the score by forget (log odds)")
    plt.show()
