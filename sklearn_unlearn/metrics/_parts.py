"""What a fitted estimator is made of: an encoder of ids, entry-wise steps, a recommender.

Parts are told by what they can do, so that searches, meta-estimators and pipelines from anywhere
are taken apart alike.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sklearn import config_context
from sklearn.frozen import FrozenEstimator


@dataclass(frozen=True)
class Parts:
    """A fitted estimator, taken apart; nothing is copied.

    Parameters
    ----------
    encoder : object or None
        First step that knows ids (`encode_pairs`); None where X is a matrix.

    between : tuple of transformers
        The entry-wise steps.

    recommender : object
        What speaks positions.
    """

    encoder: Any
    between: tuple[Any, ...]
    recommender: Any

    def lenient_encoder(self) -> Any:
        """Return the encoder as one that leaves out events of unknown ids; itself is not changed.

        Test events come after training events: items that nobody had met there cannot be found.
        """
        twin = copy.copy(self.encoder)
        if "unknown" in twin.get_params(deep=False):
            twin.set_params(unknown="ignore")
        return twin

    def entries(self, X: Any) -> Any:
        """Take a matrix through the entry-wise steps."""
        with config_context(transform_output="default"):  # no frame can hold a sparse matrix
            for step in self.between:
                X = step.transform(X)
        return X


def layers(estimator: Any) -> Iterator[Any]:
    """Yield an estimator, and what it delegates to: of searches, meta-estimators, frozen models."""
    while estimator is not None:
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
            continue
        yield estimator
        own = getattr(estimator, "__dict__", {})
        estimator = own.get("best_estimator_", own.get("estimator_"))


def parts_of(estimator: Any) -> Parts:
    """Take a fitted estimator apart."""
    found = list(layers(estimator))
    for one in found:
        if hasattr(one, "steps"):
            return _parts_of_pipeline(one)
    ranks = [one for one in found if hasattr(one, "recommend")]
    return Parts(None, (), (ranks or found)[0])


def _parts_of_pipeline(pipeline: Any) -> Parts:
    *steps, last = [step for _, step in pipeline.steps]
    used = [step for step in steps if step is not None and not isinstance(step, str)]
    used = [next(layers(step)) if isinstance(step, FrozenEstimator) else step for step in used]
    recommender = next(layers(last))
    if used and hasattr(used[0], "encode_pairs"):
        return Parts(used[0], tuple(used[1:]), recommender)
    return Parts(None, tuple(used), recommender)


def forgetting_part(estimator: Any) -> Any:
    """Return the pipeline, or the recommender, that answers requests in the end."""
    found = list(layers(estimator))
    pipelines = [one for one in found if hasattr(one, "steps")]
    forgets = [one for one in found if hasattr(one, "forget")]
    return (pipelines or forgets[-1:] or found)[0]


def innermost_recommender(estimator: Any) -> Any:
    """Return the recommender that no other one wraps: of a pipeline, that of its last step."""
    found = list(layers(parts_of(estimator).recommender))
    ranks = [one for one in found if hasattr(one, "recommend")]
    return (ranks or found)[-1]
