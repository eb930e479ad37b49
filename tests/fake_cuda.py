"""A CUDA device that is not there: torch computes on the CPU and keeps apart what is where.

Inside `FakeCuda`, tensors that are made for or moved to "cuda" say so, and so does what is computed
from them. Mixing them with tensors of the host, or handing them to NumPy, fails as it does with a
GPU. So a machine without one finds the lines that would.
"""

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

_CUDA = torch.device("cuda", 0)
_MOVES = (torch.Tensor.to, torch.asarray, torch.as_tensor, torch.tensor)
_ITEMS = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)


class FakeCuda(TorchFunctionMode):
    """Within it, "cuda" is a device.

    Attributes
    ----------
    n_placed : int
        Calls that returned a tensor of the device.
    """

    def __init__(self):
        super().__init__()
        self.n_placed = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__self__", None) is torch.Tensor.device:
            return _CUDA if _is_placed(args[0]) else torch.device("cpu")
        if func is torch.device:
            return func(*args, **(kwargs or {}))
        if func in (torch.Tensor.numpy, torch.Tensor.__array__) and _is_placed(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy.")
        named = [a for a in (*args, *(kwargs or {}).values()) if _is_device(a)]
        args = tuple("cpu" if _is_device(a) else a for a in args)
        kwargs = {k: "cpu" if _is_device(v) else v for k, v in (kwargs or {}).items()}
        tensors = list(_tensors_of((args, tuple(kwargs.values()))))
        if func not in _MOVES:
            _refuse_mixtures(func, args, tensors)
        out = func(*args, **kwargs)
        if named or func is torch.Tensor.cpu:
            placed = bool(named) and torch.device(named[-1]).type == "cuda"
        else:
            placed = any(_is_placed(t) for t in tensors)
        return self._place(out, placed, tensors)

    def _place(self, out, placed, tensors):
        """Mark the tensors of a result, or copies of those that are on the other side."""
        if isinstance(out, (tuple, list)):
            return type(out)(self._place(part, placed, tensors) for part in out)
        if not isinstance(out, torch.Tensor):
            return out
        if placed != _is_placed(out) and any(out is t for t in tensors):
            with torch._C.DisableTorchFunction():
                out = out.clone()
        if placed:
            self.n_placed += 1
            vars(out)["_placed"] = True
        return out


def _is_placed(tensor):
    return "_placed" in vars(tensor)


def _is_device(value):
    return isinstance(value, torch.device) or (
        isinstance(value, str) and value.split(":")[0] in ("cpu", "cuda")
    )


def _tensors_of(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors_of(part)


def _refuse_mixtures(func, args, tensors):
    """Numbers of the host may meet the device, and its indices; its tables may not."""
    if not any(_is_placed(t) for t in tensors):
        return
    on_host = any(not _is_placed(t) and t.ndim for t in tensors)
    indexed = func in _ITEMS and _is_placed(args[0])
    assigned = func is torch.Tensor.__setitem__ and isinstance(args[2], np.ndarray)
    if (on_host and not indexed) or assigned:
        raise RuntimeError(f"expected all tensors to be on the same device, in {func}")
