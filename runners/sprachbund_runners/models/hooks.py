"""Reading activations at sites and layers while a model runs. Hooks are always removed.

Hooks run in the order in which they were registered: enter `steering` before these to read edited activations.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from sprachbund.errors import ModelError, nearest
from sprachbund.models.architectures import Architecture
from sprachbund.vocabulary import FINAL


class PassComplete(Exception):
    """Raised inside the model once the last requested activation was read; `run_forward` catches it."""


@dataclass(frozen=True, slots=True)
class _Tap:
    """A module and the callback that receives its output, or its first input."""

    module: nn.Module
    of_input: bool
    deliver: Callable[[torch.Tensor], None]


def resolve(model: PreTrainedModel, path: str) -> nn.Module:
    """The module at `path` below the base model; raises ModelError with the nearest name."""
    base = model.base_model
    try:
        return base.get_submodule(path)
    except AttributeError:
        names = [name for name, _ in base.named_modules() if name]
        raise ModelError(
            f"model type '{model.config.model_type}' has no module '{path}'{nearest(path, names)}"
        ) from None


def tensor_of(value: Any) -> torch.Tensor:
    """The activations in a module's output: the tensor itself, or the first of a tuple."""
    first = value[0] if isinstance(value, tuple | list) else value
    if not isinstance(first, torch.Tensor):
        raise ModelError(f"a module returned {type(first).__name__} where activations were expected")
    return first


@contextmanager
def observing(
    model: PreTrainedModel,
    architecture: Architecture,
    sites: Sequence[str],
    callback: Callable[[int, str, torch.Tensor], None],
    blocks: Sequence[int] | None = None,
    stop: bool = False,
) -> Iterator[None]:
    """Call `callback(block, site, activations)` at each site of each block whenever the model runs.

    activations: [batch, tokens, width] in the model's dtype, the live tensor: read it or copy it, don't keep or
    change it. With `stop` the pass ends at the last of them (run it by `run_forward`). Raises ModelError for unknown
    sites or blocks.
    """

    def deliver_to(block: int, site: str) -> Callable[[torch.Tensor], None]:
        return lambda activations: callback(block, site, activations)

    points = []
    for part in architecture.units(sites, blocks):
        site = architecture.site(part.site)
        module = resolve(model, site.module(part.block))
        points.append(_Tap(module, site.of_input, deliver_to(part.block, part.site)))
    with _watching(model, points, stop):
        yield


@contextmanager
def observing_layers(
    model: PreTrainedModel,
    architecture: Architecture,
    layers: Sequence[str],
    callback: Callable[[str, torch.Tensor], None],
) -> Iterator[None]:
    """Call `callback(layer, embeddings)` for each layer except `final`, which is the model's own output.

    embeddings: [batch, tokens, hidden_size]. Layer 0 is what enters block 1, layer i what leaves block i. Without
    `final` among the layers the pass ends at the deepest one (run it by `run_forward`).
    """

    def deliver_to(layer: str) -> Callable[[torch.Tensor], None]:
        return lambda activations: callback(layer, activations)

    points = []
    for layer in architecture.check_layers(layers):
        if layer != FINAL:
            path = architecture.blocks.replace("{i}", str(max(int(layer), 1) - 1))
            points.append(_Tap(resolve(model, path), layer == "0", deliver_to(layer)))
    with _watching(model, points, stop=FINAL not in layers):
        yield


def run_forward(model: PreTrainedModel, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor | None:
    """One pass of the base model; its last hidden state, or None if an observer ended the pass."""
    try:
        output = model.base_model(input_ids=input_ids, attention_mask=attention_mask)
    except PassComplete:
        return None
    final: torch.Tensor = output.last_hidden_state
    return final


class Course:
    """Which blocks of a model a pass runs: all of them, those below one block, or those from one block on.

    Made by `coursing`. Between `below` or `from_block` and the next of them every pass takes that course.
    """

    def __init__(self) -> None:
        self._keep: frozenset[int] = frozenset()
        self._end: int | None = None
        self._start = 1
        self._hidden: torch.Tensor | None = None
        self._output_sizes: dict[int, int] = {}
        self.kept: dict[int, torch.Tensor] = {}

    def whole(self) -> None:
        """All blocks."""
        self._take(frozenset(), None, 1, None)

    def below(self, keep: Collection[int], end: int | None) -> None:
        """End the pass where block `end` begins (None: run on), keeping in `kept` what enters the blocks `keep`.

        kept: block → [batch, tokens, hidden_size], the live tensors: copy what is to be changed.
        """
        self._take(frozenset(keep), end, 1, None)

    def from_block(self, block: int, hidden: torch.Tensor) -> None:
        """Begin at `block` with what entered it in an earlier pass over the same texts, one row per text.

        What comes before the blocks (masks, positions) is computed as ever; the blocks below let everything through,
        so that what is observed there means nothing.
        """
        self._take(frozenset(), None, block, hidden)

    def _take(self, keep: frozenset[int], end: int | None, start: int, hidden: torch.Tensor | None) -> None:
        self._keep, self._end, self._start, self._hidden = keep, end, start, hidden
        self.kept = {}

    def run(self, block: int, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What stands in for `forward` of a block."""
        if block < self._start:
            size = self._output_sizes[block]
            through = first_input(args, kwargs)
            return (through, *[None] * (size - 1)) if size else through
        if block == self._start and self._hidden is not None:
            if args:
                args = (self._hidden, *args[1:])
            else:
                kwargs = {**kwargs, "hidden_states": self._hidden}
        if block in self._keep:
            self.kept[block] = first_input(args, kwargs)
        if block == self._end:
            raise PassComplete
        output = forward(*args, **kwargs)
        self._output_sizes[block] = len(output) if isinstance(output, tuple | list) else 0
        return output


@contextmanager
def coursing(model: PreTrainedModel, architecture: Architecture) -> Iterator[Course]:
    """Let passes (by `run_forward`) begin and end at chosen blocks; the model is put back as it was.

    For architectures whose blocks hand on nothing but hidden states, which is true of all that are known by name.
    """
    course = Course()

    def replaced(block: int, forward: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: course.run(block, forward, args, kwargs)

    def restore(module: nn.Module, own: Any) -> None:
        if own is None:
            del module.forward
        else:
            module.forward = own

    with ExitStack() as stack:
        for block in range(1, architecture.n_blocks + 1):
            module = resolve(model, architecture.blocks.replace("{i}", str(block - 1)))
            stack.callback(restore, module, vars(module).get("forward"))
            module.forward = replaced(block, module.forward)
        yield course


@contextmanager
def _watching(model: PreTrainedModel, points: Sequence[_Tap], stop: bool) -> Iterator[None]:
    seen = 0

    def restart(*_: Any) -> None:
        nonlocal seen
        seen = 0

    def deliver(point: _Tap, activations: torch.Tensor) -> None:
        nonlocal seen
        point.deliver(activations)
        seen += 1
        if stop and seen == len(points):
            raise PassComplete

    with ExitStack() as stack:
        stack.callback(model.base_model.register_forward_pre_hook(restart).remove)
        for point in points:
            stack.callback(_register(point, deliver).remove)
        yield


def _register(point: _Tap, deliver: Callable[[_Tap, torch.Tensor], None]) -> Any:
    if point.of_input:
        return point.module.register_forward_pre_hook(
            lambda _module, args, kwargs: deliver(point, first_input(args, kwargs)), with_kwargs=True
        )
    return point.module.register_forward_hook(lambda _module, _args, output: deliver(point, tensor_of(output)))


def first_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """The activations a module is called with: its first argument, or `hidden_states` by name."""
    return tensor_of(args[0] if args else kwargs.get("hidden_states"))
