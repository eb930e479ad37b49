"""The test whether forgetting can be told from fitting again with another seed."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_random_state

from sklearn_unlearn.interactions import Interactions
from sklearn_unlearn.metrics._checks import check_count
from sklearn_unlearn.metrics._seed_cells import choose_pairs, positions_of
from sklearn_unlearn.metrics._seed_ensembles import Experiment, seeds_of, train_ensembles
from sklearn_unlearn.metrics._seed_measures import compare_groups
from sklearn_unlearn.metrics._seed_result import SeedTestResult
from sklearn_unlearn.utils._matrices import as_numbers
from sklearn_unlearn.utils._random import draw_seed

__all__ = ["seed_test"]

# Items that a score is ranked among.
_N_RANK_ITEMS = 200


def seed_test(
    estimator: Any,
    X: Any,
    interactions: Any = None,
    *,
    users: Any = None,
    items: Any = None,
    sample_weight: Any = None,
    n_seeds: int = 40,
    n_pairs: int = 2000,
    margin: float = 0.02,
    forget: Callable[[Any, dict[str, Any]], Any] | None = None,
    random_state: Any = 0,
    checkpoint: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> SeedTestResult:
    r"""Test whether models that forgot can be told from models fitted anew with another seed.

    Where the outcome of a training depends on its seed, there is no one refit to be close to. What
    can be asked is that forgotten models are *distributed* as refits are. Four ensembles are
    compared, score by score: refits without the data; refits again, with other seeds, which give
    the floor; models fitted with the data, "do nothing"; and the same after `forget`.

    Parameters
    ----------
    estimator : recommender
        With `fit`, `forget`, `predict_pairs` and a parameter ``random_state``, its own or of a
        part. It is cloned and never fitted itself.

    X : sparse container or array-like, shape (n_users, n_items)
        Interactions.

    interactions, users, items : default=None
        The request, in every form that `forget` takes.

    sample_weight : array-like of shape (n_users,), default=None
        Weights of the users, for estimators whose `fit` takes them.

    n_seeds : int, default=40
        Models in each ensemble, 2 at least. ``3 * n_seeds`` models are trained.

    n_pairs : int, default=2000
        Pairs that are scored in each group, at most.

    margin : float, default=0.02
        How far above the floor an AUC may be.

    forget : callable, default=None
        ``forget(model, request)``, which returns the model after the request: another way to
        forget than the estimator's own. `request` is a dict of the keywords that were passed, so
        that ``model.forget(**request)`` is the default. With several processes, it must be one that
        joblib can send there.

    random_state : int, RandomState, Generator or None, default=0
        Decides all seeds, and which pairs are scored. The result does not depend on `n_jobs`.

    checkpoint : str or path, default=None
        Folder for the scores of each trained model, so that a test that was interrupted goes on
        where it was, also with more seeds. Other tests may use the same folder; those with the same
        refits share them. What a `forget` function made is not kept. The files hold scores of the
        request's users: delete them afterwards.

    n_jobs : int or None, default=None
        Models that are trained at once, as in joblib.

    verbose : int, default=0
        Show a progress bar if positive.

    Returns
    -------
    result : SeedTestResult
        Print it for a table; ``result.verdict`` is its last word.

    Raises
    ------
    TypeError, ValueError
        For an estimator without a seed or without the verbs, a request that holds nothing or
        everything, other wrong arguments, and files in `checkpoint` that do not belong there.
    UnknownInteractionError
        If the request names what X does not hold.

    See Also
    --------
    remaining_gap : For models that do not depend on their seed.

    Notes
    -----
    For each pair, the AUC is the probability that the score by a model of one ensemble exceeds that
    by one of another, turned round where it is below .5. The mean over a group's pairs is reported.
    For equal ensembles of n models it is not .5, but near
    :math:`.5 + \sqrt{(2n + 1) / (6 \pi)} / n`, .552 for 40. The floor is the mean over 200 random
    halvings of all ``2 * n_seeds`` refits, and forgotten models are compared with the same halves.
    An AUC is *inside* if it is at most `margin` above the floor, or at most what 99 % of the
    halvings stay below, which is more for groups of a few pairs. Scores that are right on average
    and too far apart, or too close, would pass: therefore the same is asked of the scores'
    distances to their median, the "spread". Of the effect of the request, a share is left in each
    model, which is the projection of its scores on the mean difference between doing nothing and
    refits: 0 is a refit. If one model keeps .5 more of it than the median one, and 1.5 times what
    refits, and models before the request, differ by, single models have not forgotten, which a mean
    AUC does not show.

    - "indistinguishable": forgotten models are inside everywhere, and doing nothing is not.
    - "this request cannot be seen": doing nothing is inside, too. More seeds see more.
    - "distinguishable by ...": forgotten models are outside in these groups.

    The interval is a bootstrap over models, 95 %, moved to the estimate. KLoM [1]_ and the
    empirical epsilon [2]_ are those of the first ``n_seeds`` refits, and are reported only.

    References
    ----------
    .. [1] Georgiev et al., "Attribute-to-Delete: Machine Unlearning via Datamodel Matching",
       arXiv:2410.23232, 2024.
    .. [2] Triantafillou et al., "Are we making progress in unlearning? Findings from the first
       NeurIPS unlearning competition", arXiv:2406.09073, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_unlearn import ALS
    >>> from sklearn_unlearn.datasets import make_interactions
    >>> from sklearn_unlearn.metrics import seed_test
    >>> X = abs(make_interactions(40, 30, n_interactions=300, random_state=0))
    >>> model = ALS(4, alpha=10.0, regularization=2.0, n_sweeps=3, max_iter=0)
    >>> pairs = np.argwhere(X.toarray())[::20]
    >>> result = seed_test(model, X, pairs, n_seeds=10, forget=lambda model, request: model)
    >>> result.groups["pairs"]
    SeedGroup('pairs', n_pairs=15, verdict='distinguishable by the scores of pairs')
    """
    _check_estimator(estimator, forget)
    n_seeds, n_pairs = check_count(n_seeds, "n_seeds"), check_count(n_pairs, "n_pairs")
    _check_numbers(n_seeds, margin)
    data = _interactions(X, sample_weight)
    given = {"interactions": interactions, "users": users, "items": items}
    request = {name: value for name, value in given.items() if value is not None}
    positions = positions_of(data, request)
    retained = data.remove(positions)
    seed = draw_seed(random_state)
    generator = check_random_state(seed % 2**32)
    groups = choose_pairs(data, retained, positions, n_pairs, generator)
    known = np.flatnonzero(retained.item_degrees > 0)
    experiment = Experiment(
        estimator=estimator,
        data=data,
        retained=retained,
        request=request,
        forget=forget,
        pairs=np.concatenate(list(groups.values())),
        rank_items=np.sort(generator.permutation(known)[:_N_RANK_ITEMS]),
    )
    ensembles = train_ensembles(experiment, n_seeds, seed, checkpoint, n_jobs, verbose)
    _check_spread(ensembles, estimator)
    return SeedTestResult(
        groups=compare_groups(groups, ensembles, margin, generator),
        n_seeds=n_seeds,
        margin=float(margin),
        n_interactions=len(positions),
    )


# -- checks ----------------------------------------------------------------------------------------
def _check_estimator(estimator: Any, forget: Any) -> None:
    name = type(estimator).__name__
    if hasattr(estimator, "steps"):
        raise TypeError(
            f"the estimator is a {name}; expected a recommender, as refits are compared by "
            "position and a pipeline speaks ids. Pass its last step, X and a request of positions."
        )
    verbs = ["fit", "get_params", "set_params", *(["forget"] if forget is None else [])]
    lacking = [verb for verb in verbs if not hasattr(estimator, verb)]
    if isinstance(estimator, type) or lacking:
        what = "is a class" if isinstance(estimator, type) else f"has no {', no '.join(lacking)}"
        raise TypeError(
            f"the estimator {name} {what}; expected an estimator that fits and forgets. Pass one, "
            "or forget= for another way to forget."
        )
    if forget is not None and not callable(forget):
        raise TypeError(
            f"forget is a {type(forget).__name__}; expected a function of a model and a request. "
            "Pass a strategy as the estimator's unlearner."
        )
    if not seeds_of(estimator):
        raise ValueError(
            f"{name} has no parameter random_state, so its refits do not depend on a seed; "
            "expected an estimator with one. Compare with the one refit, by metrics.remaining_gap."
        )


def _check_numbers(n_seeds: int, margin: Any) -> None:
    if n_seeds < 2:
        raise ValueError(f"n_seeds={n_seeds}; expected at least 2. Pass 40 for a verdict.")
    if isinstance(margin, bool) or not isinstance(margin, Real):
        raise TypeError(
            f"margin is a {type(margin).__name__}; expected a number from 0 to .5. Pass a share."
        )
    if not 0 <= float(margin) <= 0.5:
        raise ValueError(
            f"margin={margin}; expected 0 <= margin <= .5, a difference of AUC. Pass .02."
        )


def _interactions(X: Any, sample_weight: Any) -> Interactions:
    X = check_array(
        as_numbers(X, "X"),
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        input_name="X",
    )
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight, dtype=np.float64)
        if sample_weight.shape != X.shape[:1]:
            raise ValueError(
                f"sample_weight has shape {sample_weight.shape}; expected {X.shape[:1]}, one "
                "number a user. Pass the weights of all rows of X."
            )
    return Interactions.from_matrix(X, sample_weight)


def _check_spread(ensembles: dict[str, NDArray[np.float64]], estimator: Any) -> None:
    refits = np.vstack([ensembles["refit"], ensembles["again"]])[:, 0]
    if np.ptp(refits, axis=0).max() == 0:
        raise ValueError(
            f"all refits of {type(estimator).__name__} have the same scores, whatever their seed; "
            "expected a model that depends on it. Compare with the one refit, by "
            "metrics.remaining_gap."
        )
