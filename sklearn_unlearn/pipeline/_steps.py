"""Which steps a pipeline that forgets may have, and why the others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import Binarizer, FunctionTransformer

from sklearn_unlearn.preprocessing import EntrywiseTransformer, InteractionEncoder

__all__ = ["check_memory", "check_steps", "is_recommender", "is_skipped"]

# Functions that SciPy's sparse containers apply to their values. Others would not do what they say:
# np.square of a sparse matrix is a matrix product.
_FUNCTIONS = (
    np.absolute,
    np.arcsinh,
    np.arctan,
    np.ceil,
    np.expm1,
    np.floor,
    np.log1p,
    np.rint,
    np.sign,
    np.sqrt,
    np.tanh,
    np.trunc,
)


def is_skipped(step: Any) -> bool:
    """Tell whether a step does nothing."""
    return step is None or (isinstance(step, str) and step == "passthrough")


def is_recommender(step: Any) -> bool:
    """Tell whether a step is a recommender that forgets."""
    return hasattr(step, "forget") and hasattr(step, "recommend")


def check_memory(memory: Any) -> None:
    """Refuse a cache of fitted steps."""
    if memory is not None:
        raise ValueError(
            f"memory is {memory!r}; expected None, because forget cannot reach what a cache on "
            "disk keeps. Leave memory out."
        )


def check_steps(steps: list[tuple[str, Any]]) -> None:
    """Refuse steps after which forgetting and refitting would differ.

    Raises
    ------
    TypeError
        If a step between encoder and recommender is not entry-wise, the encoder is not first, or
        the last step is neither a recommender nor a step that could stand before one.
    """
    for number, (name, step) in enumerate(steps):
        last = number == len(steps) - 1
        if is_skipped(step) or (number == 0 and isinstance(step, InteractionEncoder)):
            continue
        if isinstance(step, type):
            raise TypeError(
                f"the step {name!r} is the class {step.__name__}; expected an object. Call it: "
                f"{step.__name__}()."
            )
        if isinstance(step, FrozenEstimator) and last:
            raise TypeError(
                f"the step {name!r} is a FrozenEstimator; expected a recommender of its own, "
                "because forget would change the frozen model for everybody who holds it. Use "
                "UnlearningRecommender(FrozenEstimator(...)), which works on a copy."
            )
        if not (_is_entrywise(step) or (last and is_recommender(step))):
            expected = "a recommender with forget" if last else _ALLOWED
            raise TypeError(
                f"the step {name!r} is {_describe(step)}; expected {expected}. {_advice(step)}"
            )


_ALLOWED = (
    "an InteractionEncoder as first step, and then steps that treat each value by itself: a "
    "subclass of EntrywiseTransformer, Binarizer, FunctionTransformer with one of "
    f"{', '.join('np.' + function.__name__ for function in _FUNCTIONS)}, or 'passthrough'"
)


def _is_entrywise(step: Any) -> bool:
    # Exact types of scikit-learn's: a subclass may do anything.
    if type(step) is FunctionTransformer:
        known = any(step.func is function for function in _FUNCTIONS)
        return (step.func is None or known) and not step.kw_args
    return isinstance(step, EntrywiseTransformer) or type(step) is Binarizer


def _describe(step: Any) -> str:
    name = type(step).__name__
    if type(step) is not FunctionTransformer:
        return name
    function = getattr(step.func, "__name__", type(step.func).__name__)
    return f"FunctionTransformer of {function}{' with kw_args' if step.kw_args else ''}"


def _advice(step: Any) -> str:
    if isinstance(step, InteractionEncoder):
        return "Put the encoder first."
    return (
        "A step in which one value acts on others keeps a trace of what is forgotten: apply it "
        "before the pipeline, leave it out, or derive from EntrywiseTransformer."
    )
