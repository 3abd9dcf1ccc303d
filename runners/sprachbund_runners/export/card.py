"""What an export wrote, and the model card that says so."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Row
from transformers import PreTrainedModel

from sprachbund_runners.export.merge import Merged
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.steering import effective

PROBE_TOKENS = 16
"""Random tokens on which the merged model is compared with the one under hooks."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: `difference` is the largest |merged − hooked| of the last hidden state on random tokens.

    `was`: the class of the original where another had to stand in.
    """

    folder: Path
    fingerprint: str
    model_class: str
    dtype: str
    n_edited: int
    merged: Merged
    difference: float
    was: str | None = None


@dataclass(frozen=True, slots=True)
class FoundSetting:
    """Rows of the setting, its model and its intervention, and what the experiment calls it."""

    setting: Row[Any]
    model: Row[Any]
    intervention: Row[Any]
    label: str
    revision: int


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The checkpoint as it was: `dtype` of its weights (None: several), tensors its class leaves out or lacks.

    `was`: the class it had, where a Llama stands in for it.
    """

    loaded: LoadedModel
    dtype: str | None
    unused: tuple[str, ...]
    missing: frozenset[str]
    was: str | None = None

    @property
    def model(self) -> PreTrainedModel:
        return self.loaded.model

    @property
    def types(self) -> str:
        return self.dtype or "several types"


def card(experiment: str, found: FoundSetting, source: Checkpoint, edits: Sequence[Edit], done: Exported) -> str:
    setting, model, intervention = found.setting, found.model, found.intervention
    facts = {
        "experiment": f"{experiment}, revision {found.revision}",
        "setting": found.label,
        "setting key": setting.key,
        "model": model.name + (f", revision {model.revision}" if model.revision else ""),
        "model fingerprint": model.fingerprint,
        "method": intervention.method,
        "direction": intervention.direction,
        "edit": intervention.edit,
        "target": intervention.target,
        "selection": intervention.selection,
        "k": intervention.k,
        "k as a fraction": intervention.k_fraction,
        "control": intervention.control,
        "seed": intervention.seed,
        "scorer": intervention.scorer,
        "units scored at": intervention.score_site,
        "value": intervention.value,
        "value from": intervention.value_from,
        "strength": intervention.strength,
        "edited sites": intervention.edit_site,
        "edited tokens": intervention.edit_tokens,
        **_parameters(intervention),
        "steered side of pairs": None if setting.side == "both" else setting.side,
        "units edited": done.n_edited,
        "intervention key": intervention.key,
        "measured with weights in": setting.dtype,
        "weights here": done.dtype,
        "class": done.model_class,
        "fingerprint of this folder": done.fingerprint,
        "written by": f"sprachbund {version('sprachbund')}",
    }
    lines = [
        "---", "library_name: transformers", "tags:", "- sprachbund", "---", "",
        f"# {model.name}, {found.label}", "",
        "A checkpoint written by `sprachbund export`: "
        + ("an unchanged copy, as the setting has no edits." if not edits else
           "the edits of one setting are merged into its weights, so that it needs no hooks."), "",
        "| | |", "| --- | --- |",
        *(f"| {name} | {_cell(value)} |" for name, value in facts.items() if value is not None), "",
    ]  # fmt: skip
    if edits:
        lines += _edited(edits)
        lines += ["", "## What else is different", ""]
        lines += [f"- {each}" for each in _remarks(source, done)]
    elif done.dtype != source.dtype:
        lines += [f"Weights were converted from {source.types} to {done.dtype}."]
    lines += [
        "", "## Loading", "", "```python",
        "from transformers import AutoModel, AutoTokenizer", "",
        'model = AutoModel.from_pretrained("path/to/this/folder")',
        'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")',
        "```", "",
        f"With its head: `{done.model_class}.from_pretrained`, or the matching `AutoModelFor…`.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _parameters(intervention: Row[Any]) -> dict[str, Any]:
    """What the edits' fields say beyond the columns; lists as words."""
    given: dict[str, Any] = intervention.parameters
    return {
        name.replace("_", " "): ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in given.items()
        if name != "base_method" or value != intervention.method
    }


def coordinates(edit: Edit) -> int:
    """Units that an edit may change: a direction touches its whole site."""
    return edit.width if isinstance(edit, LowRank) else len(edit)


def _edited(edits: Sequence[Edit]) -> list[str]:
    """Tables of what is edited where."""
    units: Counter[tuple[int, str]] = Counter()
    whole: list[str] = []
    for edit in effective(edits):
        if isinstance(edit, LowRank):
            kind = f"projection of rank {edit.rank}" if edit.rank else "shift"
            whole.append(f"| {edit.block} | {edit.site} | {kind} | {float(np.linalg.norm(edit.c)):.4g} |")
        else:
            units[edit.block, edit.site] += len(edit)
    lines: list[str] = []
    if units:
        lines += ["## Units edited", "", "Blocks count from 1.", "", "| block | site | units |", "| --- | --- | --- |"]
        lines += [f"| {block} | {site} | {n} |" for (block, site), n in units.items()]
    if whole:
        lines += ["", "## Directions edited", "", "h′ = h + U·Vᵀ·h + c, blocks count from 1.", ""]
        lines += ["| block | site | edit | length of c |", "| --- | --- | --- | --- |", *whole]
    return lines


def _remarks(source: Checkpoint, done: Exported) -> list[str]:
    merged = done.merged
    remarks = [
        "What the model computes changes accordingly at every token: embeddings, logits and generations.",
        f"On {PROBE_TOKENS} random tokens the last hidden state differs from that of the model with hooks by at most "
        f"{done.difference:.2g} (in {done.dtype}).",
    ]
    if done.dtype != source.dtype:
        remarks.append(f"All weights were converted from {source.types} to {done.dtype}.")
    if done.dtype != "float32":
        remarks.append(
            f"Merged weights and biases were rounded to {done.dtype}; the largest rounding error is "
            f"{merged.rounding:.2g}. Export with `--dtype float32` to avoid it."
        )
    if source.was is not None:
        remarks.append(
            f"The model was a {source.was}, which has no bias to hold a shift. It is written as {done.model_class}: "
            "the same computation on the same weights, with room for biases."
        )
    if merged.options:
        remarks.append(
            f"`{'` and `'.join(merged.options)}` is on in config.json: the model had no bias to hold a shift. All "
            "other biases that it adds are zero."
        )
    if merged.moved:
        remarks.append(
            "The MLP's output has no bias in this architecture. Attention and MLP are added in one sum, so its shift "
            f"is in the bias of attention's output, in blocks {', '.join(map(str, merged.moved))}: these two outputs "
            "differ from those of the model with hooks, their sum does not."
        )
    if source.unused:
        remarks.append(f"{len(source.unused)} tensors that {done.model_class} does not use were left out, first "
                       f"`{source.unused[0]}`.")  # fmt: skip
    return remarks


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
