"""Arithmetic on sparsity patterns, on the CPU or on a GPU."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from sklearn_unlearn.backends._base import (
    Array,
    Backend,
    DeviceMemoryError,
    Pattern,
    RowCells,
    cast,
    copy_of,
    double,
    expit,
    inner,
    like,
    namespace_of,
    norm,
    to_numpy,
    twin,
)
from sklearn_unlearn.backends._grams import gram, gram_change, product_norm
from sklearn_unlearn.backends._scipy import ScipyBackend

__all__ = [
    "Array",
    "Backend",
    "DeviceMemoryError",
    "Pattern",
    "RowCells",
    "ScipyBackend",
    "cast",
    "copy_of",
    "device_memory",
    "double",
    "expit",
    "get_backend",
    "gram",
    "gram_change",
    "inner",
    "like",
    "namespace_of",
    "norm",
    "product_norm",
    "to_numpy",
    "torch_backend",
    "twin",
]

# What the torch backend imports; both come with the extra of that name.
_NEEDED = ("torch", "array_api_compat")


def get_backend(device: str = "cpu", n_jobs: int | None = None) -> Backend:
    """Choose the backend for one call.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where to compute. ``"auto"`` is ``"cuda"`` if torch is installed and finds such a device,
        else ``"cpu"``.

    n_jobs : int or None, default=None
        Threads on the CPU, counted as joblib does: None is 1 unless in a ``joblib.parallel_config``
        block, -1 is every processor.

    Returns
    -------
    backend : Backend

    Raises
    ------
    ImportError
        For "cuda", if torch is not installed.
    RuntimeError
        For "cuda", if torch finds no such device.
    ValueError
        For any other name.
    """
    from joblib import effective_n_jobs

    if device not in ("cpu", "cuda", "auto"):
        raise ValueError(
            f"device={device!r} was given; expected 'cpu', 'cuda' or 'auto'. "
            "To compute without a GPU: set device='cpu'."
        )
    if device == "cuda" or (device == "auto" and _cuda_is_there()):
        return torch_backend("cuda")
    return ScipyBackend(effective_n_jobs(n_jobs))


@contextmanager
def device_memory() -> Iterator[None]:
    """Turn every backend's way to say that memory ran out into `DeviceMemoryError`."""
    try:
        yield
    except RuntimeError as error:
        if not _is_about_memory(error):
            raise
        raise DeviceMemoryError(str(error)) from error


def _is_about_memory(error: RuntimeError) -> bool:
    """Whether torch, or a library that it calls, asked for more memory than there is."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    # What the sparse and the dense solvers of the device say when they find no room to work in.
    return any(words in str(error) for words in ("CUDA out of memory", "_STATUS_ALLOC_FAILED"))


def _is_installed() -> bool:
    return all(find_spec(name) is not None for name in _NEEDED)


def _cuda_is_there() -> bool:
    if not _is_installed():
        return False
    from sklearn_unlearn.backends._torch import has_cuda

    return has_cuda()


def torch_backend(device: str) -> Backend:
    """Make the backend of tensors, on the CPU too: to compare devices, where `get_backend` chooses.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        Where the tensors are.

    Returns
    -------
    backend : Backend
        Has ``describe()``, which returns the name of the device, its memory and versions.

    Raises
    ------
    ImportError
        If torch is not installed.
    RuntimeError
        For "cuda", if torch finds no such device.
    """
    if not _is_installed():
        raise ImportError(
            f"device={device!r} was given and torch is not installed; expected the torch extra. "
            "Install it (pip install 'sklearn-unlearn[torch]'), or set device='cpu'."
        )
    from sklearn_unlearn.backends._torch import TorchBackend, has_cuda

    if device == "cuda" and not has_cuda():
        raise RuntimeError(
            "device='cuda' was given and torch finds no CUDA device; expected a GPU, its driver, "
            "and a build of torch for it. Install these, or set device='cpu' or device='auto'."
        )
    return TorchBackend(device)
