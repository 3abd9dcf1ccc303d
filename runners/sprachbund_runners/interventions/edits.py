"""Edits of activations as data: h' = a·h + b inside [lo, hi], for chosen units of one site in one block."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund.errors import ModelError, nearest
from sprachbund.models.architectures import UnitBlock, split_flat
from sprachbund.vocabulary import EDIT_TOKENS, SITES
from sprachbund_runners.interventions.affine import Affine

_FIELDS = ("unit", "a", "b", "lo", "hi")


class Mergeable(NamedTuple):
    """Whether an edit can be written into the weights, and why (not)."""

    yes: bool
    reason: str


SHIFT_OF_BLOCK = Mergeable(True, "the shift joins the bias of the last linear module, where the block adds its output")


@dataclass(frozen=True, slots=True, eq=False)
class UnitAffine:
    """h' = a·h + b where lo ≤ h ≤ hi, else h, for `unit` of `site` in `block`, at `tokens`.

    unit int64 [k], without repetitions; a, b, lo, hi float32 [k] (a scalar is repeated). Units are stored in
    ascending order, so that the same edit has the same digest however it was written down. Raises ModelError for
    repeated or negative units, lengths that differ, NaN anywhere, infinite a or b, or lo > hi.
    """

    site: str
    block: int
    unit: NDArray[np.int64]
    a: NDArray[np.float32]
    b: NDArray[np.float32]
    lo: NDArray[np.float32] = -np.inf  # type: ignore[assignment]
    hi: NDArray[np.float32] = np.inf  # type: ignore[assignment]
    tokens: str = "all"

    def __post_init__(self) -> None:
        where = check_place(self.site, self.block, self.tokens)
        unit = np.asarray(self.unit)
        if unit.ndim != 1 or not (unit.size == 0 or np.issubdtype(unit.dtype, np.integer)):
            raise ModelError(f"{where}: units are {unit.dtype} of shape {unit.shape}, expected whole numbers [k]")
        unit = unit.astype(np.int64)
        order = np.argsort(unit, kind="stable")
        ordered = unit[order]
        if unit.size and ordered[0] < 0:
            raise ModelError(f"{where}: unit {ordered[0]} is negative")
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        if repeated.size:
            raise ModelError(f"{where}: unit {repeated[0]} is edited twice")
        columns: dict[str, NDArray[Any]] = {"unit": ordered}
        for name in _FIELDS[1:]:
            values = np.asarray(getattr(self, name), dtype=np.float32)
            if values.ndim > 1 or (values.ndim == 1 and values.shape != unit.shape):
                raise ModelError(f"{where}: {name} has shape {values.shape}, expected [{unit.size}]")
            columns[name] = np.broadcast_to(values, unit.shape)[order]
        _check_numbers(where, columns)
        for name, values in columns.items():
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def bounded(self) -> bool:
        return bool(np.isfinite(self.lo).any() or np.isfinite(self.hi).any())

    @property
    def sets(self) -> bool:
        """True where h is replaced by a constant, whatever it was."""
        return not self.bounded and not self.a.any()

    @property
    def mergeable(self) -> Mergeable:
        """Whether the weights of one linear module can be changed to the same effect, and why."""
        if self.tokens != "all":
            return Mergeable(False, f"it touches {self.tokens} tokens only, weights act at every token")
        if self.bounded:
            return Mergeable(False, "it acts inside bounds only, a linear module acts everywhere")
        if self.site == "block" and (self.a == 1).all():
            return SHIFT_OF_BLOCK
        if self.site == "block":
            return Mergeable(False, "the residual stream is a sum of modules, not the output of one")
        if self.site == "mlp.hidden":
            return Mergeable(True, "a scales the columns of the down projection, b joins its bias")
        return Mergeable(True, "a scales the rows and the bias of the linear module, b is added to its bias")

    def without_identity(self) -> "UnitAffine":
        """The edit without units where a = 1 and b = 0: 1·h + 0 would turn −0.0 into 0.0."""
        keep = (self.a != 1) | (self.b != 0)
        if keep.all():
            return self
        columns = {name: getattr(self, name)[keep] for name in _FIELDS}
        return UnitAffine(self.site, self.block, tokens=self.tokens, **columns)

    def digest(self) -> str:
        """64 hexadecimal digits that name this edit; the order in which units were given does not matter."""
        header = json.dumps([self.site, self.block, self.tokens, len(self)])
        digest = hashlib.sha256(header.encode())
        for name in _FIELDS:
            digest.update(
                np.ascontiguousarray(getattr(self, name)).astype("<i8" if name == "unit" else "<f4").tobytes()
            )
        return digest.hexdigest()


class _Named(Protocol):
    def digest(self) -> str: ...


def intervention_digest(edits: Sequence[_Named]) -> str:
    """64 hexadecimal digits that name a set of edits, in whatever order they come."""
    return hashlib.sha256("".join(sorted(edit.digest() for edit in edits)).encode()).hexdigest()


def check_place(site: str, block: int, tokens: str) -> str:
    """What an error calls an edit of this place; raises ModelError for an unknown site, block or choice of tokens."""
    where = f"edit of {site} in block {block}"
    if site not in SITES:
        raise ModelError(f"{where}: unknown site{nearest(site, SITES)}; sites are {', '.join(SITES)}")
    if block < 1:
        raise ModelError(f"{where}: blocks count from 1")
    if tokens not in EDIT_TOKENS:
        raise ModelError(
            f"{where}: tokens is '{tokens}', expected {', '.join(EDIT_TOKENS)}{nearest(tokens, EDIT_TOKENS)}"
        )
    return where


def edits_of(units: Sequence[UnitBlock], flat: ArrayLike, affine: Affine, tokens: str = "all") -> list[UnitAffine]:
    """Flat unit positions [k] and the map of each → one edit for each (block, site) that has any.

    `units` is the flat axis that `flat` refers to. Raises ModelError for positions outside the axis or repeated ones.
    """
    positions = np.asarray(flat, dtype=np.int64)
    if positions.ndim != 1 or len(positions) != len(affine):
        raise ModelError(f"edits: {positions.shape} units but {len(affine)} maps")
    if positions.size == 0:
        return []
    part, unit = split_flat(units, positions)
    edits = []
    for index in np.unique(part):
        here = np.flatnonzero(part == index)
        where, maps = units[index], affine.take(here)
        edits.append(UnitAffine(where.site, where.block, unit[here], maps.a, maps.b, maps.lo, maps.hi, tokens))
    return edits


def _check_numbers(where: str, columns: dict[str, NDArray[Any]]) -> None:
    for name in ("a", "b"):
        wrong = ~np.isfinite(columns[name])
        if wrong.any():
            unit = columns["unit"][wrong][0]
            raise ModelError(f"{where}: {name} of unit {unit} is {columns[name][wrong][0]}, expected a finite number")
    wrong = ~(columns["lo"] <= columns["hi"])
    if wrong.any():
        lo, hi = columns["lo"][wrong][0], columns["hi"][wrong][0]
        raise ModelError(f"{where}: unit {columns['unit'][wrong][0]} has bounds [{lo}, {hi}], expected lo ≤ hi")
