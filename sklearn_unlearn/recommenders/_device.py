"""Where a model computes, and what happens if there is too little room."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from sklearn_unlearn.exceptions import DeviceMemoryWarning
from sklearn_unlearn.influence.backends import DeviceMemoryError, device_memory

__all__ = ["compute"]


def compute(model: Any, work: Callable[[Any], Any], stacklevel: int) -> Any:
    """Do some work of a model; where the memory of its device does not suffice, do it on the CPU.

    `work` is called with the model, or with a stand-in that differs in its device alone. It must
    return what is new and change nothing, or the second attempt would not start where the first
    did. `stacklevel` is that of a warning, counted from here.
    """
    try:
        with device_memory():
            return work(model)
    except DeviceMemoryError:
        pass  # on the way out, or the error would keep what fills the memory
    warnings.warn(
        f"device={model.device!r} ran out of memory; expected room for the tables and for the "
        "interactions. All is computed again on the CPU: set device='cpu' to do so at once, or "
        "reduce n_factors.",
        DeviceMemoryWarning,
        stacklevel=stacklevel,
    )
    stand_in = object.__new__(type(model))
    stand_in.__dict__.update(vars(model), device="cpu")
    return work(stand_in)
