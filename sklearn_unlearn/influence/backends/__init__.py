"""Arithmetic on sparsity patterns, on the CPU or on a GPU."""

from sklearn_unlearn.influence.backends._base import Array, Backend, Pattern, RowCells
from sklearn_unlearn.influence.backends._scipy import ScipyBackend

__all__ = ["Array", "Backend", "Pattern", "RowCells", "ScipyBackend", "get_backend"]


def get_backend(device: str = "cpu", n_jobs: int | None = None) -> Backend:
    """Choose the backend for one call.

    Parameters
    ----------
    device : {"cpu", "auto"}, default="cpu"
        Where to compute. ``"auto"`` takes the fastest device there is a backend for.

    n_jobs : int or None, default=None
        Threads, counted as joblib does: None is 1 unless in a ``joblib.parallel_config`` block, -1
        is every processor.

    Returns
    -------
    backend : Backend

    Raises
    ------
    ValueError
        For a device that no backend serves.
    """
    from joblib import effective_n_jobs

    if device in ("cpu", "auto"):
        return ScipyBackend(effective_n_jobs(n_jobs))
    raise ValueError(
        f"device={device!r} was given; expected 'cpu' or 'auto'. "
        "This release computes on the CPU: set device='cpu'."
    )
