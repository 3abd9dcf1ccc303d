"""Applying edits while a model runs, by hooks that are always removed.

A *variant* is one list of edits; the rows of a batch may follow different variants, so that one pass serves many
settings. At one site unit edits act first, then low-rank edits in the order in which they are given.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund.models.architectures import Architecture
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.models.hooks import first_input, resolve, tensor_of
from sprachbund_runners.models.loading import LoadedModel

TokenMasks = Callable[[str], torch.Tensor]
"""The current batch's mask (bool [batch, tokens]) for an edit's `tokens`; asked for at every edited site."""

_COLUMNS = ("unit", "a", "b", "lo", "hi")


@dataclass(slots=True, eq=False)
class RowVariants:
    """Which variant each row of the batch at hand follows.

    `parts`: (variant, first row, row after the last) of neighbouring rows, in order. None: every row follows
    variant 0; empty: no row is edited.
    """

    device: torch.device
    parts: tuple[tuple[int, int, int], ...] | None = None
    _of_row: torch.Tensor | None = None

    def enter(self, counts: Sequence[tuple[int, int]]) -> None:
        """The next batch: for each (variant, n) that many rows more."""
        parts, start = [], 0
        for variant, n in counts:
            parts.append((variant, start, start + n))
            start += n
        self.parts, self._of_row = tuple(parts), None

    @property
    def variants(self) -> tuple[int, ...]:
        return (0,) if self.parts is None else tuple(variant for variant, _, _ in self.parts)

    @property
    def of_row(self) -> torch.Tensor:
        """Variant of every row, int64 [rows], on the model's device."""
        if self._of_row is None:
            assert self.parts is not None
            counts = [stop - start for _, start, stop in self.parts]
            self._of_row = torch.from_numpy(np.repeat(np.array(self.variants, dtype=np.int64), counts)).to(self.device)
        return self._of_row

    def slices(self) -> Iterator[tuple[int, slice]]:
        """Every variant with its rows."""
        if self.parts is None:
            yield 0, slice(None)
            return
        for variant, start, stop in self.parts:
            yield variant, slice(start, stop)


@dataclass(frozen=True, slots=True, eq=False)
class _UnitEdits:
    """Unit edits of one (block, site) at the same tokens, for all variants.

    unit int64 and a, b, lo, hi float32 [variants, k], on the model's device: each variant's own `size` units first,
    then its first one again (written twice with the same value); for a variant without any, unit 0, left as it is.
    """

    tokens: str
    width: int
    size: tuple[int, ...]
    present: torch.Tensor
    unit: torch.Tensor
    a: torch.Tensor
    b: torch.Tensor
    lo: torch.Tensor
    hi: torch.Tensor
    # Of each variant: does it have bounds; does it set any unit, all units (a = 0, no bounds).
    bounded: tuple[bool, ...]
    sets_any: tuple[bool, ...]
    sets_all: tuple[bool, ...]

    @classmethod
    def of(
        cls, device: torch.device, tokens: str, width: int, variants: Sequence[Sequence[UnitAffine]]
    ) -> "_UnitEdits":
        columns = [{name: _joined(edits, name) for name in _COLUMNS} for edits in variants]
        size = tuple(len(column["unit"]) for column in columns)
        table = {name: np.zeros((len(variants), max(size)), columns[0][name].dtype) for name in _COLUMNS}
        for variant, column in enumerate(columns):
            if size[variant]:
                for name in _COLUMNS:
                    table[name][variant] = column[name][0]
                    table[name][variant, : size[variant]] = column[name]
        free = [~np.isfinite(column["lo"]) & ~np.isfinite(column["hi"]) for column in columns]
        return cls(
            tokens=tokens,
            width=width,
            size=size,
            present=torch.tensor([n > 0 for n in size], device=device),
            **{name: torch.from_numpy(values).to(device) for name, values in table.items()},
            bounded=tuple(not all_free.all() for all_free in free),
            sets_any=tuple(bool((column["a"] == 0).any()) for column in columns),
            sets_all=tuple(
                bool((column["a"] == 0).all() and all_free.all())
                for column, all_free in zip(columns, free, strict=True)
            ),
        )

    def apply(self, activations: torch.Tensor, rows: RowVariants, masks: TokenMasks | None) -> None:
        """Change activations [batch, tokens, width] in place; arithmetic in float32 whatever their dtype."""
        variants = rows.variants
        k = max((self.size[variant] for variant in variants), default=0)
        if not k:
            return

        def of_rows(table: torch.Tensor) -> torch.Tensor:
            """[k] where all rows follow one variant, else [batch, 1, k]."""
            if len(variants) == 1:
                return table[variants[0], :k]
            return table[:, :k].index_select(0, rows.of_row).unsqueeze(1)

        everywhere = self.tokens == "all" and all(self.size[variant] for variant in variants)
        whole = len(variants) == 1 and k == self.width  # then `unit` counts from 0 to the width
        index = None if whole else of_rows(self.unit).expand(*activations.shape[:-1], k)
        if everywhere and all(self.sets_all[variant] for variant in variants):
            values = of_rows(self.b).to(activations.dtype)
            _write(activations, index, values.expand(*activations.shape[:-1], k))
            return
        a, b = of_rows(self.a), of_rows(self.b)
        bounded = any(self.bounded[variant] for variant in variants)
        sets_any = any(self.sets_any[variant] for variant in variants)
        if whole and everywhere and not bounded and not sets_any and activations.dtype == torch.float32:
            # The same two roundings as below, without a copy of the whole site.
            activations.mul_(a).add_(b)
            return
        if whole and everywhere and bounded and _at_hand(activations):
            bounds = of_rows(self.lo), of_rows(self.hi)
            _inside_bounds(activations.numpy().reshape(-1, k), *(column.numpy() for column in (a, b, *bounds)))
            return
        before = activations if index is None else activations.gather(-1, index)
        wide = before.float()
        after = (wide * a).add_(b)
        if sets_any:
            after = torch.where(a == 0, b, after)  # also where h is not finite
        changed = after.to(activations.dtype)
        if bounded:
            inside = (wide >= of_rows(self.lo)).logical_and_(wide <= of_rows(self.hi))
            changed = torch.where(inside, changed, before)
        if not all(self.size[variant] for variant in variants):
            edited = self.present[rows.of_row]
            changed = torch.where(edited[:, None, None], changed, before)
        if self.tokens != "all":
            changed = torch.where(_mask(masks, self.tokens).unsqueeze(-1), changed, before)
        _write(activations, index, changed)


@dataclass(frozen=True, slots=True, eq=False)
class _LowRankEdit:
    """A low-rank edit on the model's device; float32 u and v [width, rank], c [width]."""

    tokens: str
    u: torch.Tensor
    v: torch.Tensor
    c: torch.Tensor

    def apply(self, activations: torch.Tensor, mask: torch.Tensor | None) -> None:
        """Change activations [batch, tokens, width] in place where the mask [batch, tokens] says."""
        wide = activations.float()
        if self.u.shape[1]:
            moved = torch.addmm(self.c, wide.flatten(0, -2) @ self.v, self.u.T).view_as(wide)
        else:
            moved = self.c.expand_as(wide)
        if mask is None and activations.dtype == torch.float32:
            activations.add_(moved)
            return
        changed = (wide + moved).to(activations.dtype)
        if mask is not None:
            changed = torch.where(mask.unsqueeze(-1), changed, activations)
        activations.copy_(changed)


@dataclass(slots=True, eq=False)
class _SiteEdits:
    """Everything that happens at one (block, site)."""

    units: list[_UnitEdits]
    low_rank: dict[int, list[_LowRankEdit]] = field(default_factory=dict)

    def apply(self, activations: torch.Tensor, rows: RowVariants, masks: TokenMasks | None) -> None:
        for edits in self.units:
            edits.apply(activations, rows, masks)
        if not self.low_rank:
            return
        for variant, where in rows.slices():
            for edit in self.low_rank.get(variant, ()):
                mask = None if edit.tokens == "all" else _mask(masks, edit.tokens)[where]
                edit.apply(activations[where], mask)


@contextmanager
def steering(loaded: LoadedModel, edits: Sequence[Edit], token_masks: TokenMasks | None = None) -> Iterator[None]:
    """Edit activations whenever the model runs.

    All unit edits of one (block, site) become one indexed operation per choice of tokens. Units with a = 1 and b = 0
    and low-rank edits that are the identity are left out, so that an edit that changes nothing touches nothing.
    `token_masks` is needed for edits that are not at all tokens; those at all tokens also change padding, which
    nothing reads.

    Raises ModelError for sites, blocks or units that the model lacks, for a unit that two edits change, and for
    low-rank edits of another width than the site's.
    """
    with steering_variants(loaded, [edits], RowVariants(loaded.device), token_masks):
        yield


@contextmanager
def steering_variants(
    loaded: LoadedModel,
    variants: Sequence[Sequence[Edit]],
    rows: RowVariants,
    token_masks: TokenMasks | None = None,
) -> Iterator[None]:
    """As `steering`, with several lists of edits: each row of a batch gets those of the variant that `rows` tells.

    Rows get what they would get in a batch of their own variant; `rows` is read at every edited site.
    """
    for edits in variants:
        check_edits(loaded.architecture, edits)
    with ExitStack() as stack:
        for (block, name), edits_here in _by_site(loaded, variants).items():
            site = loaded.architecture.site(name)
            module = resolve(loaded.model, site.module(block))
            stack.callback(_register(module, site.of_input, edits_here, rows, token_masks).remove)
        yield


def check_edits(architecture: Architecture, edits: Sequence[Edit]) -> None:
    """Raises ModelError for sites, blocks, units or widths that do not exist, and for a unit that two edits change."""
    seen: dict[tuple[int, str], list[NDArray[np.int64]]] = {}
    for edit in edits:
        site = architecture.site(edit.site)
        architecture.check_blocks([edit.block])
        if isinstance(edit, LowRank):
            if edit.width != site.width:
                raise ModelError(
                    f"edit of {edit.site} in block {edit.block}: directions have {edit.width} coordinates, "
                    f"the site has {site.width}"
                )
            continue
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


def effective(edits: Sequence[Edit]) -> list[Edit]:
    """The edits without what changes nothing."""
    found: list[Edit] = []
    for edit in edits:
        if isinstance(edit, LowRank):
            if not edit.identity:
                found.append(edit)
        elif len(kept := edit.without_identity()):
            found.append(kept)
    return found


def _by_site(loaded: LoadedModel, variants: Sequence[Sequence[Edit]]) -> dict[tuple[int, str], _SiteEdits]:
    units: dict[tuple[int, str], dict[str, list[list[UnitAffine]]]] = {}
    found: dict[tuple[int, str], _SiteEdits] = {}
    for variant, edits in enumerate(variants):
        for edit in effective(edits):
            place = edit.block, edit.site
            here = found.setdefault(place, _SiteEdits([]))
            if isinstance(edit, LowRank):
                # Copied: the arrays of an edit are read-only, which torch cannot promise to keep.
                tensors = [torch.tensor(getattr(edit, name), device=loaded.device) for name in ("u", "v", "c")]
                here.low_rank.setdefault(variant, []).append(_LowRankEdit(edit.tokens, *tensors))
                continue
            by_tokens = units.setdefault(place, {})
            by_tokens.setdefault(edit.tokens, [[] for _ in variants])[variant].append(edit)
    for (block, name), by_tokens in units.items():
        width = loaded.architecture.site(name).width
        for tokens, parts in by_tokens.items():
            found[block, name].units.append(_UnitEdits.of(loaded.device, tokens, width, parts))
    return found


def _joined(edits: Sequence[UnitAffine], name: str) -> NDArray[Any]:
    """One column of several edits, by unit."""
    if not edits:
        return np.zeros(0, np.int64 if name == "unit" else np.float32)
    order = np.argsort(np.concatenate([edit.unit for edit in edits]))
    values: NDArray[Any] = np.concatenate([getattr(edit, name) for edit in edits])[order]
    return values


def _write(activations: torch.Tensor, index: torch.Tensor | None, values: torch.Tensor) -> None:
    if index is None:
        activations.copy_(values)
    else:
        activations.scatter_(-1, index, values)


def _at_hand(activations: torch.Tensor) -> bool:
    """Whether compiled code may change these numbers where they lie: nobody differentiates through them."""
    plain = activations.device.type == "cpu" and activations.dtype == torch.float32
    return plain and activations.is_contiguous() and not activations.requires_grad


@numba.njit(cache=True, nogil=True)
def _inside_bounds(h, a, b, lo, hi):  # type: ignore[no-untyped-def]
    """Change h [tokens, k] in place, read and written once: a·h + b with the two roundings of torch, b where a is 0."""
    for token in range(len(h)):
        row = h[token]
        for unit in range(len(a)):
            value = row[unit]
            moved = b[unit] if a[unit] == 0 else value * a[unit] + b[unit]
            row[unit] = moved if (value >= lo[unit]) & (value <= hi[unit]) else value


def _mask(masks: TokenMasks | None, tokens: str) -> torch.Tensor:
    if masks is None:
        raise ModelError(f"edits at '{tokens}' tokens need the batch's token masks")
    return masks(tokens)


def _register(
    module: torch.nn.Module, of_input: bool, edits: _SiteEdits, rows: RowVariants, masks: TokenMasks | None
) -> Any:
    if of_input:
        return module.register_forward_pre_hook(
            lambda _module, args, kwargs: edits.apply(first_input(args, kwargs), rows, masks), with_kwargs=True
        )
    return module.register_forward_hook(lambda _module, _args, output: edits.apply(tensor_of(output), rows, masks))
