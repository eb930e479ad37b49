"""Checks that any estimator with ``forget`` can be held to, to run beside scikit-learn's own.

They use the public contract only: ``fit``, ``forget``, ``recommend``, ``decision_function``,
``predict_pairs``, ``forget_report_``, tags, ``clone``, ``copy``, ``pickle``. The data are made
here, small and deterministic. Estimators tagged ``exact`` must equal a refit to 1e-8; others may
leave 2 % of the distance between doing nothing and the refit. Estimators with ``learn`` are held to
the same in the other direction.

An estimator whose tag ``input_tags.two_d_array`` is False takes tables of events with ids, as a
pipeline with an encoder does. The same checks then speak to it in ids, four of them in a version
of their own, and the ``check_ids_*`` are added: an id that is forgotten is gone, and no id is shown
to whoever did not pass it. A refit then gives other positions to the ids that remain, so that what
an estimator draws by position must not decide where it ends. `check_encoder` holds an encoder alone
to its part of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Imported for what they register.
from sklearn_unlearn.utils.estimator_checks import (  # noqa: F401
    _emptying,
    _encoder,
    _id_answers,
    _id_requests,
    _id_traces,
    _learning,
    _outcome,
    _registry,
    _request_checks,
    _serving,
    _traces,
)
from sklearn_unlearn.utils.estimator_checks._run import (
    check_encoder,
    check_forgetting,
    parametrize_with_forget_checks,
    yield_forget_checks,
)

if TYPE_CHECKING:
    # The checks are bound to their names below, at run time only.
    def __getattr__(name: str) -> _registry.Check: ...


__all__ = [
    "check_encoder",
    "check_forgetting",
    "parametrize_with_forget_checks",
    "yield_forget_checks",
]
globals().update(_registry.public_checks())
__all__ += _registry.public_checks()
__all__.sort()
