"""Models of LensKit: taken over with their factors, and handed back."""

from __future__ import annotations

import copy
import math
from typing import Any, Self

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearn_unlearn.influence import Unlearner
from sklearn_unlearn.recommenders._types import Floats
from sklearn_unlearn.recommenders.takeover._state import (
    OBJECTIVE,
    as_confidences,
    is_instance,
    refuse,
    scaled,
    taken_over,
)

__all__ = ["LensKitMixin"]

_WHAT = "expected a trained lenskit.als.ImplicitMFScorer of LensKit 2025.3 or later"


class LensKitMixin:
    """Mixin of `ALS`: from and to `lenskit.als.ImplicitMFScorer`."""

    # Of the estimator.
    user_factors_: Floats
    item_factors_: Floats

    @classmethod
    def from_lenskit(
        cls,
        model: Any,
        interactions: Any,
        *,
        unlearner: str | Unlearner | None = None,
        n_jobs: int | None = None,
        **params: Any,
    ) -> Self:
        r"""Take over a trained implicit-feedback scorer of LensKit, so that it can forget.

        Nothing is trained. With w its `weight` and r the rating, or 1, an observed pair has the
        confidence ``1 + w * r``, and users and items have penalties
        :math:`\lambda_u, \lambda_i` of their own. With users multiplied by
        :math:`(\lambda_u / \lambda_i)^{1/4}` and items divided by it, scores stay as they are and
        both penalties become :math:`\sqrt{\lambda_u \lambda_i}`: the objective of `ALS`.

        Parameters
        ----------
        model : lenskit.als.ImplicitMFScorer
            Trained, with the users' embeddings kept: ``user_embeddings=True`` or "prefer".

        interactions : lenskit.data.Dataset or matrix of shape (n_users, n_items)
            What it was trained on. In a matrix, rows and columns are in the order of the scorer's
            vocabularies, ``model.users`` and ``model.items``. Without `use_ratings`, values do not
            count.

        unlearner : None, "influence", "sweep", "refit" or a strategy, default=None
            How to forget.

        n_jobs : int or None, default=None
            Threads.

        **params : dict
            Other parameters of the estimator. `n_sweeps` is the number of epochs by default, and
            `max_iter` is 0, so that a refit trains as long. Factors, penalty and confidence are
            those of the scorer always.

        Returns
        -------
        model : ALS
            Fitted, in the data type of the factors. It shares no memory with its origin. Its
            `alpha` is ``1 + w``, and with `use_ratings` a value is ``(1 + w * r) / (1 + w)``.

        Raises
        ------
        TypeError
            If `model` is of another class, or `params` sets what the model decides.
        sklearn.exceptions.NotFittedError
            If `model` is not trained.
        ValueError
            If the users' embeddings were not kept, the vocabularies of the data are others, a
            rating that counts is zero or negative, or shapes do not fit.

        Warns
        -----
        DataWarning
            If the embeddings of the items, which training solves last, are no solution for these
            interactions.

        See Also
        --------
        to_lenskit : The way back.

        Notes
        -----
        A scorer is a component of a pipeline of LensKit: ``pipeline.node("scorer").component``.
        """
        if not is_instance(model, "lenskit", "ImplicitMFScorer"):
            raise TypeError(
                f"model is of the class {type(model).__name__}; {_WHAT}: {OBJECTIVE} Pass the "
                'scorer itself, which a pipeline has at node("scorer").component.'
            )
        fixed = "n_factors", "regularization", "alpha", "frequency_scaling", "frequency_offset"
        refuse(params, fixed, "from_lenskit takes it from the model")
        if getattr(model, "item_embeddings", None) is None:
            raise NotFittedError(f"model has no embeddings; {_WHAT}. Call its train first.")
        if model.user_embeddings is None:
            raise ValueError(
                "the scorer has dropped the embeddings of its users; expected both sides, as "
                "forgetting starts from them. Train it with user_embeddings=True."
            )
        config, weight = model.config, float(model.config.weight)
        settings = {
            "regularization": math.sqrt(config.user_reg * config.item_reg),
            "alpha": 1 + weight,
            "n_sweeps": int(config.epochs),
            "max_iter": 0,
            "unlearner": unlearner,
            "n_jobs": n_jobs,
        }
        balance = _balance(model)
        factors = scaled((model.user_embeddings, model.item_embeddings), (balance, 1 / balance))
        return taken_over(
            cls,
            factors,
            _matrix_of(model, interactions),
            "interactions",
            {**settings, **params},
            values=as_confidences(weight) if config.use_ratings else np.ones_like,
            solved="items",
        )

    def to_lenskit(self, like: Any) -> Any:
        """Hand the model over to LensKit, in place of the scorer that it was taken from.

        Parameters
        ----------
        like : lenskit.als.ImplicitMFScorer
            What `from_lenskit` was given. It stays as it is.

        Returns
        -------
        model : lenskit.als.ImplicitMFScorer
            A scorer of the same settings and vocabularies with the factors of this model. A
            forgotten user has zeros for an embedding; its id stays in the vocabulary.

        Raises
        ------
        TypeError
            If `like` is of another class.
        ValueError
            If `like` has embeddings of other shapes.
        sklearn.exceptions.NotFittedError
            If the model is not fitted.
        """
        check_is_fitted(self)
        if not is_instance(like, "lenskit", "ImplicitMFScorer"):
            raise TypeError(
                f"like is of the class {type(like).__name__}; {_WHAT}. Pass the scorer that this "
                "model was taken over from."
            )
        own = self.user_factors_, self.item_factors_
        theirs = [np.shape(side) for side in (like.user_embeddings, like.item_embeddings)]
        if theirs != [side.shape for side in own]:
            raise ValueError(
                f"like has embeddings of the shapes {theirs[0]} and {theirs[1]}; expected "
                f"{own[0].shape} and {own[1].shape}, as this model. Pass the scorer that this "
                "model was taken over from."
            )
        balance, exported = _balance(like), copy.copy(like)
        users, items = (
            np.array(side, np.float32, order="C") for side in scaled(own, (1 / balance, balance))
        )
        exported.user_embeddings, exported.item_embeddings = users, items
        # What it solves new users with: the Gram matrix of the items and the penalty.
        penalty = np.eye(items.shape[1], dtype=items.dtype) * like.config.user_reg
        exported._OtOr = (items.T @ items + penalty).astype(items.dtype)
        return exported


def _balance(model: Any) -> float:
    """Multiple of the users at which both sides have the same penalty."""
    return float(model.config.user_reg / model.config.item_reg) ** 0.25


def _matrix_of(model: Any, interactions: Any) -> Any:
    """Interactions of a data set as the scorer's training reads them; a matrix as it is."""
    if not (hasattr(interactions, "interactions") and hasattr(interactions, "users")):
        return interactions
    for side in ("users", "items"):
        known, given = (np.asarray(getattr(x, side).ids()) for x in (model, interactions))
        if not np.array_equal(known, given):
            raise ValueError(
                f"interactions has {len(given)} {side} and the model {len(known)}, or others, or "
                "in another order; expected the same. Pass the data set that it was trained on."
            )
    attribute = "rating" if model.config.use_ratings else None
    matrix = interactions.interactions().matrix().scipy(attribute=attribute, layout="csr")
    if not matrix.data.all():
        raise ValueError(
            "interactions holds ratings of 0, which LensKit takes for weak likes; expected "
            "positive ones, as a zero is no interaction here. Leave such events out, or train "
            "without use_ratings."
        )
    return matrix
