"""Pipelines in ids and in positions: the public checks, with no expected failure."""

import numpy as np
from sklearn.preprocessing import Binarizer, FunctionTransformer

from sklearn_unlearn import ALS, MatrixFactorization
from sklearn_unlearn.pipeline import make_recommender_pipeline
from sklearn_unlearn.preprocessing import InteractionEncoder, RatingBinarizer
from sklearn_unlearn.utils.estimator_checks import parametrize_with_forget_checks

# Well-posed on the checks' small data: more factors than the optimum's rank.
LOGISTIC = MatrixFactorization(28, regularization=2.0)
SQUARED = MatrixFactorization(28, loss="squared", regularization=2.0)
IMPLICIT = ALS(28, regularization=4.0, alpha=5.0)

OF_IDS = [
    [InteractionEncoder(value="stars"), RatingBinarizer(threshold=0.0), LOGISTIC],
    [InteractionEncoder("who", "what", "stars", unknown="ignore"), "passthrough", SQUARED],
    [
        InteractionEncoder(value="n", duplicates="last", timestamp="when"),
        FunctionTransformer(np.log1p),
        IMPLICIT,
    ],
    [InteractionEncoder(value="n", duplicates="error"), Binarizer(threshold=0.5), IMPLICIT],
    [InteractionEncoder(), IMPLICIT],  # events without values
]
OF_POSITIONS = [
    [RatingBinarizer(threshold=0.0), LOGISTIC],
    [SQUARED],
    [Binarizer(threshold=0.5), "passthrough", IMPLICIT],
]


@parametrize_with_forget_checks([make_recommender_pipeline(*steps) for steps in OF_IDS])
def test_forget_checks_in_ids(check):
    check()


@parametrize_with_forget_checks([make_recommender_pipeline(*steps) for steps in OF_POSITIONS])
def test_forget_checks_in_positions(check):
    check()
