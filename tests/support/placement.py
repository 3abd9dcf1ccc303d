"""Placement shown without a GPU: torch's `meta` device, and a mode that refuses what a GPU would refuse or wait for."""

import copy
import sys
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sprachbund_runners.models import host
from sprachbund_runners.models.loading import LoadedModel

META = torch.device("meta")
# In inference mode operations arrive whole, elsewhere in their parts.
_VALUES = ("aten::item", "aten::_local_scalar_dense", "aten::is_nonzero")
_CASTS = ("aten::to", "aten::_to_copy")
_MOVES = (*_CASTS, "aten::copy_")
_PLACES = "aten::nonzero"


class Misplaced(AssertionError):
    """A tensor was left on another device, or a value was asked for inside a pass."""


def on_meta(loaded: LoadedModel) -> LoadedModel:
    """The model on torch's `meta` device, which knows shapes and no values."""
    return replace(loaded, model=copy.deepcopy(loaded.model).to(META), device=META)


class Placement(TorchDispatchMode):
    """Refuses operations on tensors of two devices, and values that leave `meta` but by `to_host`.

    What leaves is -1 in integers (no text ends, nothing is wrong), 0 elsewhere; `departures` counts how often.
    `looks` counts values that transformers itself asks for, which are allowed where `of_library` says (it is then told
    that masks hide something); values asked for by the functions `by` are true, everywhere.
    """

    def __init__(self, of_library: bool = False, by: Collection[str] = ()) -> None:
        super().__init__()
        self.of_library, self.by = of_library, frozenset(by)
        self.departures = self.looks = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name, leaves = func._schema.name, tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if name in _VALUES and args[0].device == META:
            return self._look()
        if name == _PLACES and args[0].device == META and self._look():
            return torch.arange(args[0].numel(), device=META).unsqueeze(1)
        if name in _CASTS and args[0].device == META and torch.device("cpu") in _devices(leaves):
            return self._depart(args[0])
        if name == "aten::copy_" and args[0].device != META and args[1].device == META:
            raise Misplaced("copy_: values were copied to the host")
        devices = {tensor.device.type for tensor in tensors if tensor.dim()}
        if len(devices) > 1 and name not in _MOVES:
            raise Misplaced(f"{func}: tensors on {' and '.join(sorted(devices))}")
        return func(*args, **kwargs)

    def _look(self) -> bool:
        callers = _callers()
        if any(name in self.by for _, name in callers):
            return True
        if self.of_library and any("/transformers/" in file for file, _ in callers[:12]):
            self.looks += 1
            return False
        raise Misplaced("a value was asked for inside a pass")

    def _depart(self, tensor: torch.Tensor) -> torch.Tensor:
        if (host.__file__, "to_host") not in _callers():
            raise Misplaced("values were copied to the host, but not by `to_host`")
        if any("/transformers/" in file for file, _ in _callers()):
            raise Misplaced("values left inside a pass: a hook called `to_host`")
        self.departures += 1
        return torch.full(tensor.shape, 0 if tensor.is_floating_point() or tensor.dtype == torch.bool else -1,
                          dtype=tensor.dtype, device="cpu")  # fmt: skip


def _devices(leaves: list[Any]) -> list[torch.device]:
    return [leaf for leaf in leaves if isinstance(leaf, torch.device)]


def _callers() -> list[tuple[str, str]]:
    """(file, function) of all that called this, the nearest first."""
    found, frame = [], sys._getframe(2)
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back  # type: ignore[assignment]
    return found
