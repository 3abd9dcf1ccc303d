"""Writing edits into a model's weights, so that the plain model does what the hooked one did.

For a linear module y = W·x + c with an edit (a_i, b_i) of its input and one (a_o, b_o) of its output,

    y' = a_o · (W·(a_i · x + b_i) + c) + b_o = (a_o W a_i)·x + a_o · (c + W·b_i) + b_o,

with a = 1 and b = 0 for units that no edit changes. Low-rank edits e(h) = (I + U·Vᵀ)·h + c act after unit edits, in the
order in which they are given: at the output I + U·Vᵀ multiplies weight and bias from the left and c joins the bias, at
the input it multiplies the weight from the right and W·c joins the bias. A shift of the residual stream is one of the
MLP's output where the block adds that output as it is. Where a module has no bias to hold a shift,
the smallest change that keeps the model type is sought: an option of the model's configuration that adds biases (all
others stay zero), or, in parallel blocks, the bias of the other module whose output joins the same sum.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from sprachbund.errors import ModelError
from sprachbund.models.architectures import Architecture
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.models.hooks import resolve
from sprachbund_runners.models.steering import check_edits, effective

BIAS_OPTIONS = ("mlp_bias", "attention_bias")
"""Options of configurations that give linear modules a bias, in the order in which they are tried."""

# A block of these adds attention and MLP, both computed from the block's input, in one sum.
_PARALLEL_FAMILIES = frozenset({"cohere"})
# The last step of a block of these is to add the MLP's output to the residual stream, without norm or factor.
_PLAIN_SUMS = frozenset({"bloom", "gpt2", "llama", "mistral", "qwen2", "qwen3", "gemma", "olmo", "cohere", "cohere2"})


class NoBiasError(ModelError):
    """A shift has no bias to stand in; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge had to change beside the edited weights, and what it rounded.

    `options` are those of `BIAS_OPTIONS` that were turned on; `moved` the blocks whose shift of the MLP's output is
    in the attention's output bias. `rounding` is the largest |stored − exact| over changed weights and biases.
    """

    options: tuple[str, ...] = ()
    moved: tuple[int, ...] = ()
    rounding: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Map:
    """A low-rank edit e(h) = h + U·(Vᵀ·h) + c, float64 on the weights' device."""

    u: torch.Tensor
    v: torch.Tensor
    c: torch.Tensor

    @classmethod
    def of(cls, edit: LowRank, device: torch.device) -> "_Map":
        return cls(*(torch.tensor(each, dtype=torch.float64, device=device) for each in (edit.u, edit.v, edit.c)))

    def of_constant(self, h: torch.Tensor) -> torch.Tensor:
        return h + self.u @ (self.v.T @ h) + self.c

    def after(self, weight: torch.Tensor) -> torch.Tensor:
        """(I + U·Vᵀ)·W."""
        return weight + self.u @ (self.v.T @ weight)

    def before(self, weight: torch.Tensor) -> torch.Tensor:
        """W·(I + U·Vᵀ)."""
        return weight + (weight @ self.u) @ self.v.T


@dataclass(slots=True, eq=False)
class _Change:
    """Edits of one linear module; all arrays float64 over its input or output width."""

    path: str
    block: int
    site: str
    module: nn.Module
    weight: torch.Tensor
    a_in: torch.Tensor
    b_in: torch.Tensor
    a_out: torch.Tensor
    b_out: torch.Tensor
    # Low-rank edits, which act after those of units.
    of_input: list[_Map] = field(default_factory=list)
    of_output: list[_Map] = field(default_factory=list)
    # Added to the bias by an edit of another module, after this one's own.
    guest: torch.Tensor | None = field(default=None)

    @classmethod
    def of(cls, model: PreTrainedModel, path: str, block: int, site: str) -> "_Change":
        module = resolve(model, path)
        weight = _oriented(module, path)
        n_out, n_in = weight.shape
        ones = {"a_in": n_in, "a_out": n_out}
        zeros = {"b_in": n_in, "b_out": n_out}
        return cls(
            path,
            block,
            site,
            module,
            weight,
            **{name: torch.ones(n, dtype=torch.float64, device=weight.device) for name, n in ones.items()},
            **{name: torch.zeros(n, dtype=torch.float64, device=weight.device) for name, n in zeros.items()},
        )

    def add(self, edit: Edit, of_input: bool) -> None:
        if isinstance(edit, LowRank):
            (self.of_input if of_input else self.of_output).append(_Map.of(edit, self.weight.device))
            return
        a, b = (self.a_in, self.b_in) if of_input else (self.a_out, self.b_out)
        unit = torch.tensor(edit.unit, device=a.device)
        a[unit] = torch.tensor(edit.a, dtype=torch.float64, device=a.device)
        b[unit] = torch.tensor(edit.b, dtype=torch.float64, device=b.device)

    def bias(self) -> torch.Tensor:
        """The module's bias after the edits, float64 [out]; zero where it neither has nor needs one."""
        own = self.module.bias
        constant = torch.zeros_like(self.b_out) if own is None else own.double()
        entering = self.b_in
        for edit in self.of_input:
            entering = edit.of_constant(entering)
        shifted = entering.nonzero().squeeze(1)
        if len(shifted):
            constant = constant + self.weight[:, shifted].double() @ entering[shifted]
        constant = _times(constant, self.a_out) + self.b_out
        for edit in self.of_output:
            constant = edit.of_constant(constant)
        return constant if self.guest is None else constant + self.guest

    def write(self) -> float:
        """Change weight and bias in place; returns the largest rounding error."""
        bias = self.bias()
        exact = self.weight.double()
        for edit in reversed(self.of_input):
            exact = edit.before(exact)
        exact = _times(_times(exact, self.a_in), self.a_out.unsqueeze(1))
        for edit in self.of_output:
            exact = edit.after(exact)
        rounding = _store(self.weight, exact, self.path)
        return rounding if self.module.bias is None else max(rounding, _store(self.module.bias, bias, self.path))


def check_mergeable(edits: Sequence[Edit]) -> None:
    """Raises ModelError for edits that no linear module can hold, whatever the architecture."""
    for edit in effective(edits):
        yes, reason = edit.mergeable
        if not yes:
            raise ModelError(f"edit of {edit.site} in block {edit.block} cannot be merged into weights: {reason}")


def merge(model: PreTrainedModel, architecture: Architecture, edits: Sequence[Edit]) -> Merged:
    """Change the weights of `model` in place to the same effect as hooks with these edits.

    `architecture` describes the base model; a head on top of it stays as it is. Arithmetic is in float64, results are
    rounded to the weights' own type. Edits that are the identity change nothing and demand nothing.

    Raises ModelError, before anything is changed, for edits that no linear module can hold (at some tokens only,
    inside bounds, of the residual stream), that need a bias this architecture cannot have, or of modules that are not
    linear or share their weights; and, while changing, for values beyond the weights' type.
    """
    check_edits(architecture, edits)
    check_mergeable(edits)
    changes: dict[str, _Change] = {}
    # Those of the residual stream come last in a block.
    for edit in sorted(effective(edits), key=lambda edit: edit.site == "block"):
        of_module = _as_output(architecture, edit) if edit.site == "block" else edit
        site = architecture.site(of_module.site)
        path = site.module(edit.block)
        if path not in changes:
            changes[path] = _Change.of(model, path, edit.block, edit.site)
        changes[path].add(of_module, site.of_input)
    _check_unshared(model, changes.values())
    options, moved = _make_room(model, architecture, changes)
    with torch.no_grad():
        rounding = max((change.write() for change in changes.values()), default=0.0)
    return Merged(options, moved, rounding)


def _as_output(architecture: Architecture, edit: Edit) -> LowRank:
    """A shift of the residual stream as one of the MLP's output."""
    if architecture.model_type not in _PLAIN_SUMS:
        raise ModelError(
            f"edit of block in block {edit.block} cannot be merged into weights: model type "
            f"'{architecture.model_type}' does not add the MLP's output to the residual stream as it is"
        )
    if isinstance(edit, LowRank):
        shift = edit.c
    else:
        shift = np.zeros(architecture.hidden_size, dtype=np.float32)
        shift[edit.unit] = edit.b
    none = np.zeros((len(shift), 0), dtype=np.float32)
    return LowRank("mlp.down", edit.block, none, none, shift)


def _make_room(
    model: PreTrainedModel, architecture: Architecture, changes: dict[str, _Change]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Give every change that needs a bias one; the options turned on, and the blocks where another module's serves."""
    wanting = [change for change in changes.values() if change.module.bias is None and bool(change.bias().any())]
    if not wanting:
        return (), ()
    gains = _gains(model)
    options: dict[str, None] = {}
    # Module that receives a shift, and the change whose shift that is.
    guests: list[tuple[str, _Change]] = []
    for change in wanting:
        option = _option_for(change.path, gains)
        if option is not None:
            options[option] = None
            continue
        other = _sharing_the_sum(architecture, change)
        option = None if other is None else _option_for(other, gains)
        if other is None or (option is None and resolve(model, other).bias is None):
            raise NoBiasError(_no_room(architecture, change))
        guests.append((other, change))
        if option is not None:
            options[option] = None
    for path, change in guests:
        if path not in changes:
            changes[path] = _Change.of(model, path, change.block, "attn.out")
        changes[path].guest = change.bias()
    for option in options:
        _turn_on(model, option, gains[option])
    return tuple(options), tuple(sorted(change.block for _, change in guests))


def _gains(model: PreTrainedModel) -> dict[str, frozenset[str]]:
    """Of each bias option that is off: the modules (below the base model) that get a bias when it is turned on.

    Found by building the model without memory for its weights, so that it holds for whatever transformers does now.
    """
    found = {}
    before = _shapes(model)
    for option in BIAS_OPTIONS:
        if getattr(model.config, option, None) is not False:
            continue
        config = copy.deepcopy(model.config)
        setattr(config, option, True)
        with torch.device("meta"):
            twin = _shapes(type(model)(config))
        added = twin.keys() - before.keys()
        same = all(twin.get(name) == shape for name, shape in before.items())
        if added and same and all(name.endswith(".bias") for name in added):
            found[option] = frozenset(name.removesuffix(".bias") for name in added)
    return found


def _shapes(model: PreTrainedModel) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in model.base_model.named_parameters(remove_duplicate=False)}


def _option_for(path: str, gains: Mapping[str, frozenset[str]]) -> str | None:
    return next((option for option, paths in gains.items() if path in paths), None)


def _turn_on(model: PreTrainedModel, option: str, paths: Iterable[str]) -> None:
    for path in paths:
        module = resolve(model, path)
        weight = _oriented(module, path)
        module.bias = nn.Parameter(weight.new_zeros(weight.shape[0]), requires_grad=weight.requires_grad)
    setattr(model.config, option, True)


def _sharing_the_sum(architecture: Architecture, change: _Change) -> str | None:
    """The attention's output module where block output = input + attention + MLP and `change` is of the MLP's last."""
    names = architecture.site_names
    if architecture.family not in _PARALLEL_FAMILIES or not {"mlp.down", "attn.out"} <= set(names):
        return None
    if change.path != architecture.site("mlp.down").module(change.block):
        return None
    return architecture.site("attn.out").module(change.block)


def _no_room(architecture: Architecture, change: _Change) -> str:
    return (
        f"edit of {change.site} in block {change.block} cannot be merged into weights: model type "
        f"'{architecture.model_type}' has no bias there to hold the shift b, and no option that adds one; edits with "
        "b = 0 (set to zero, scale) can be merged, others (values, shifts, directions) need hooks"
    )


def _check_unshared(model: PreTrainedModel, changes: Iterable[_Change]) -> None:
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    for change in changes:
        names = owners.get(id(change.module.weight), [])
        if len(names) > 1:
            raise ModelError(
                f"edit of {change.site} in block {change.block} cannot be merged into weights: its module shares "
                f"them with another ({', '.join(names)})"
            )


def _oriented(module: nn.Module, path: str) -> torch.Tensor:
    """The module's weight as [out, in], a view: GPT-2's Conv1D stores it transposed."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, torch.Tensor) and weight.is_floating_point() and weight.ndim == 2:
        if isinstance(module, nn.Linear):
            return weight.detach()
        if type(module).__name__ == "Conv1D":
            return weight.detach().t()
    raise ModelError(f"edits of module '{path}' cannot be merged into weights: a {type(module).__name__} is not linear")


def _times(values: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """values · factor, but 0 where the factor is 0 (never −0)."""
    return torch.where(factor == 0, 0.0, values * factor)


def _store(target: torch.Tensor, exact: torch.Tensor, path: str) -> float:
    """Write `exact` into `target` in the target's type; returns the largest |stored − exact|."""
    rounded = exact.to(target.dtype)
    if not bool(rounded.isfinite().all()):
        raise ModelError(
            f"merging edits into module '{path}' gives values that {str(target.dtype).removeprefix('torch.')} cannot "
            "hold; use a wider type (--dtype float32)"
        )
    target.detach().copy_(rounded)
    return float((rounded.double() - exact).abs().max()) if exact.numel() else 0.0
