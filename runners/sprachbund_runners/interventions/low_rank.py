"""Edits of directions as data: h' = h + U·(Vᵀ·h) + c for the whole vector of one site in one block."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sprachbund.errors import ModelError
from sprachbund_runners.interventions.edits import SHIFT_OF_BLOCK, Mergeable, UnitAffine, check_place

_FIELDS = ("u", "v", "c")


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """h' = h + (h @ v) @ u.T + c, for the vectors h [width] of `site` in `block`, at `tokens`.

    u, v float32 [width, rank], rank from 0 (a shift by c alone) to width; c float32 [width]. Raises ModelError for
    shapes that do not fit each other and for numbers that are not finite.
    """

    site: str
    block: int
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    c: NDArray[np.float32]
    tokens: str = "all"

    def __post_init__(self) -> None:
        where = check_place(self.site, self.block, self.tokens)
        arrays = {name: np.array(getattr(self, name), dtype=np.float32, order="C") for name in _FIELDS}
        u, v, c = arrays.values()
        if c.ndim != 1 or not c.size:
            raise ModelError(f"{where}: c has shape {c.shape}, expected [width]")
        for name in ("u", "v"):
            found = arrays[name].shape
            if len(found) != 2 or found[0] != c.size:
                raise ModelError(f"{where}: {name} has shape {found}, expected [{c.size}, rank]")
        if u.shape != v.shape:
            raise ModelError(f"{where}: u has shape {u.shape} but v {v.shape}, expected the same rank")
        if u.shape[1] > c.size:
            raise ModelError(f"{where}: rank {u.shape[1]} for width {c.size}, expected at most the width")
        for name, array in arrays.items():
            wrong = ~np.isfinite(array)
            if wrong.any():
                place = tuple(int(index) for index in np.argwhere(wrong)[0])
                raise ModelError(f"{where}: {name}{list(place)} is {array[place]}, expected a finite number")
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def width(self) -> int:
        return len(self.c)

    @property
    def rank(self) -> int:
        """Columns of u and v; 0 where the edit is a shift by c."""
        return self.u.shape[1]

    @property
    def identity(self) -> bool:
        """True where h' = h whatever h: no shift, and every column of u or of v is zero."""
        return not self.c.any() and not (self.u.any(axis=0) & self.v.any(axis=0)).any()

    @property
    def mergeable(self) -> Mergeable:
        """Whether the weights of one linear module can be changed to the same effect, and why."""
        if self.tokens != "all":
            return Mergeable(False, f"it touches {self.tokens} tokens only, weights act at every token")
        if self.site == "block" and not self.rank:
            return SHIFT_OF_BLOCK
        if self.site == "block":
            return Mergeable(False, "the residual stream is a sum of modules, not the output of one")
        if self.site == "mlp.hidden":
            return Mergeable(True, "W·(I + U·Vᵀ) takes the place of the down projection's W, W·c joins its bias")
        return Mergeable(True, "(I + U·Vᵀ) multiplies weight and bias of the linear module, c is added to its bias")

    def apply(self, h: ArrayLike) -> NDArray[np.float64]:
        """h' in float64 for h [..., width]: the definition, for checks and statistics, not for the model's pass."""
        given = np.asarray(h, dtype=np.float64)
        return given + (given @ self.v.astype(np.float64)) @ self.u.astype(np.float64).T + self.c

    def digest(self) -> str:
        """64 hexadecimal digits that name this edit."""
        header = json.dumps(["low_rank", self.site, self.block, self.tokens, self.width, self.rank])
        digest = hashlib.sha256(header.encode())
        for name in _FIELDS:
            digest.update(getattr(self, name).astype("<f4").tobytes())
        return digest.hexdigest()


Edit = UnitAffine | LowRank
