"""Applying edits while a model runs, by hooks that are always removed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sprachbund.architectures import Architecture
from sprachbund.errors import ModelError
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.models.hooks import first_input, resolve, tensor_of
from sprachbund_runners.models.loading import LoadedModel

TokenMasks = Callable[[str], torch.Tensor]
"""The current batch's mask (bool [batch, tokens]) for an edit's `tokens`; asked for at every edited site."""


@dataclass(frozen=True, slots=True, eq=False)
class _Operation:
    """Edits of one (block, site) at the same tokens as one indexed assignment; tensors [k] on the model's device."""

    tokens: str
    unit: torch.Tensor
    a: torch.Tensor
    b: torch.Tensor
    bounds: tuple[torch.Tensor, torch.Tensor] | None
    constant: bool

    def apply(self, activations: torch.Tensor, masks: TokenMasks | None) -> None:
        """Change activations [batch, tokens, width] in place; arithmetic in float32 whatever their dtype."""
        index = self.unit.expand(*activations.shape[:-1], -1)
        if self.constant and self.tokens == "all":
            activations.scatter_(-1, index, self.b.to(activations.dtype).expand_as(index))
            return
        before = activations.gather(-1, index)
        wide = before.float()
        after = self.b.expand_as(wide) if self.constant else wide * self.a + self.b
        changed = after.to(activations.dtype)
        if self.bounds is not None:
            changed = torch.where((wide >= self.bounds[0]) & (wide <= self.bounds[1]), changed, before)
        if self.tokens != "all":
            if masks is None:
                raise ModelError(f"edits at '{self.tokens}' tokens need the batch's token masks")
            changed = torch.where(masks(self.tokens).unsqueeze(-1), changed, before)
        activations.scatter_(-1, index, changed)


@contextmanager
def steering(loaded: LoadedModel, edits: Sequence[UnitAffine], token_masks: TokenMasks | None = None) -> Iterator[None]:
    """Edit activations whenever the model runs.

    All edits of one (block, site) become one indexed operation per choice of tokens. Units with a = 1 and b = 0 are
    left out, so that an edit that changes nothing touches nothing. `token_masks` is needed for edits that are not at
    all tokens; those at all tokens also change padding, which nothing reads.

    Raises ModelError for sites, blocks or units that the model lacks and for a unit that two edits change.
    """
    check_edits(loaded.architecture, edits)
    with ExitStack() as stack:
        for (block, name), operations in _operations(loaded, edits).items():
            site = loaded.architecture.site(name)
            module = resolve(loaded.model, site.module(block))
            stack.callback(_register(module, site.of_input, operations, token_masks).remove)
        yield


def check_edits(architecture: Architecture, edits: Sequence[UnitAffine]) -> None:
    """Raises ModelError for sites, blocks or units that do not exist, and for a unit that two edits change."""
    seen: dict[tuple[int, str], list[np.ndarray[Any, np.dtype[np.int64]]]] = {}
    for edit in edits:
        site = architecture.site(edit.site)
        architecture.check_blocks([edit.block])
        if len(edit) and edit.unit[-1] >= site.width:
            raise ModelError(
                f"edit of {edit.site} in block {edit.block}: unit {edit.unit[-1]} does not exist, "
                f"units are 0 … {site.width - 1}"
            )
        seen.setdefault((edit.block, edit.site), []).append(edit.unit)
    for (block, name), parts in seen.items():
        units, counts = np.unique(np.concatenate(parts), return_counts=True)
        if (counts > 1).any():
            raise ModelError(f"unit {units[counts > 1][0]} of {name} in block {block} is changed by two edits")


def _operations(loaded: LoadedModel, edits: Sequence[UnitAffine]) -> dict[tuple[int, str], list[_Operation]]:
    groups: dict[tuple[int, str], dict[str, list[UnitAffine]]] = {}
    for edit in edits:
        effective = edit.without_identity()
        if len(effective):
            groups.setdefault((edit.block, edit.site), {}).setdefault(edit.tokens, []).append(effective)
    return {
        place: [_operation(loaded.device, tokens, parts) for tokens, parts in by_tokens.items()]
        for place, by_tokens in groups.items()
    }


def _operation(device: torch.device, tokens: str, edits: Sequence[UnitAffine]) -> _Operation:
    def column(name: str) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([getattr(edit, name) for edit in edits])).to(device)

    bounded = any(edit.bounded for edit in edits)
    return _Operation(
        tokens=tokens,
        unit=column("unit"),
        a=column("a"),
        b=column("b"),
        bounds=(column("lo"), column("hi")) if bounded else None,
        constant=all(edit.sets for edit in edits),
    )


def _register(
    module: torch.nn.Module, of_input: bool, operations: Sequence[_Operation], masks: TokenMasks | None
) -> Any:
    def edit(activations: torch.Tensor) -> None:
        for operation in operations:
            operation.apply(activations, masks)

    if of_input:
        return module.register_forward_pre_hook(
            lambda _module, args, kwargs: edit(first_input(args, kwargs)), with_kwargs=True
        )
    return module.register_forward_hook(lambda _module, _args, output: edit(tensor_of(output)))
