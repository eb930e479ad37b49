"""The shared influence backend: curvature, solvers, certificates and forget strategies.

Names are loaded on first use: objectives (a layer below the strategies) import the arithmetic in
``influence.backends``, and must not pull in the strategies with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn_unlearn.influence._certificate import OptimalityCertificate
    from sklearn_unlearn.influence._refit import RefitUnlearner
    from sklearn_unlearn.influence._report import ForgetReport
    from sklearn_unlearn.influence._sweeps import SweepUnlearner
    from sklearn_unlearn.influence._unlearners import InfluenceUnlearner

__all__ = [
    "ForgetReport",
    "InfluenceUnlearner",
    "OptimalityCertificate",
    "RefitUnlearner",
    "SweepUnlearner",
]

_HOMES = {
    "ForgetReport": "_report",
    "InfluenceUnlearner": "_unlearners",
    "OptimalityCertificate": "_certificate",
    "RefitUnlearner": "_refit",
    "SweepUnlearner": "_sweeps",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
