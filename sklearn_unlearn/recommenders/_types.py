"""Names of the types that the annotations of the recommenders share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_unlearn.objectives import LossObjective, PropagatedObjective, WeightedObjective

__all__ = ["Columns", "Floats", "Ints", "ModelObjective", "RandomState", "State"]

Floats = NDArray[Any]
Ints = NDArray[np.int64]

# Latent columns of a table: all of a range, or those listed.
Columns = slice | Ints

# Attributes of a model, by name.
State = Mapping[str, Any]

# What `random_state` may be.
RandomState = int | np.random.RandomState | np.random.Generator | None

# What a factor model may minimise.
ModelObjective = WeightedObjective | LossObjective | PropagatedObjective
