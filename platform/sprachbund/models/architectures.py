"""What a model's config.json says about its blocks, sites, widths and module paths, without loading it.

Blocks count from 1. In a path template `{i}` stands for the block's index in its module list, which counts
from 0: block 1 is `{i}` = 0. Paths are relative to the base model (the one without a language-modelling head).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprachbund.errors import ModelError, nearest
from sprachbund.vocabulary import FINAL, SITES, layer_order

ENCODERS = ("bert", "camembert", "roberta", "xlm-roberta")
"""Model types that read a whole text at once and so can neither write nor predict it."""

IMPORTED = "imported_vectors"
"""Model type of an encoder that ran elsewhere: no blocks, only the vectors in the file `VECTORS`."""

VECTORS = "vectors.safetensors"


@dataclass(frozen=True, slots=True)
class Site:
    """A place in every block that yields one vector per token.

    `path` is the template of a module path; the vector is that module's output, or its first input where
    `of_input` is true (`mlp.hidden` is what the down projection reads).
    """

    name: str
    path: str
    width: int
    of_input: bool = False

    def module(self, block: int) -> str:
        """Path of the module in `block` (counted from 1)."""
        return self.path.replace("{i}", str(block - 1))


@dataclass(frozen=True, slots=True)
class UnitBlock:
    """The units of one site in one block: flat positions offset … offset + width − 1."""

    block: int
    site: str
    width: int
    offset: int


@dataclass(frozen=True, slots=True)
class Architecture:
    """Blocks, sites and module paths of one model.

    `attention` lists the attention implementations the model can be loaded with, the preferred one first.
    `pads_by_id` is true where positions are derived from the padding id, so that padding must use that very id.
    """

    model_type: str
    family: str
    n_blocks: int
    hidden_size: int
    blocks: str
    sites: tuple[Site, ...]
    attention: tuple[str, ...] = ("sdpa", "eager")
    pads_by_id: bool = False
    max_positions: int | None = None
    # The layers there are vectors of, where they were imported.
    imported_layers: tuple[str, ...] = ()

    @property
    def site_names(self) -> tuple[str, ...]:
        return tuple(site.name for site in self.sites)

    @property
    def causal(self) -> bool:
        """Whether it predicts the next token; encoders see the whole text."""
        return self.model_type not in ENCODERS

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer of embeddings: "0", "1" … str(n_blocks), "final"."""
        return self.imported_layers or (*map(str, range(self.n_blocks + 1)), FINAL)

    def site(self, name: str) -> Site:
        """The site called `name`; raises ModelError where this architecture has none."""
        for site in self.sites:
            if site.name == name:
                return site
        why = ""
        if name == "mlp.gate" and name in SITES:
            why = " (its MLP has no gate)"
        raise ModelError(
            f"site '{name}' does not exist in model type '{self.model_type}'{why}; "
            f"available: {', '.join(self.site_names)}{nearest(name, self.site_names) if not why else ''}"
        )

    def check_layers(self, layers: Sequence[str]) -> tuple[str, ...]:
        """`layers` without repetitions, in order (numbers, then final); raises ModelError for an unknown one."""
        known = self.layers
        for layer in layers:
            if layer not in known:
                raise ModelError(
                    f"layer '{layer}' does not exist in model type '{self.model_type}' with {self.n_blocks} blocks; "
                    f"layers are 0 … {self.n_blocks} and final{nearest(str(layer), known)}"
                )
        if not layers:
            raise ModelError(f"no layer requested; layers are 0 … {self.n_blocks} and final")
        return tuple(sorted(set(layers), key=layer_order))

    def check_blocks(self, blocks: Sequence[int] | None) -> tuple[int, ...]:
        """`blocks` sorted without repetitions, all of them for None; raises ModelError for an unknown one."""
        if blocks is None:
            return tuple(range(1, self.n_blocks + 1))
        for block in blocks:
            if not 1 <= block <= self.n_blocks:
                raise ModelError(
                    f"block {block} does not exist in model type '{self.model_type}': blocks are 1 … {self.n_blocks}"
                )
        return tuple(sorted(set(blocks)))

    def units(self, sites: Sequence[str], blocks: Sequence[int] | None = None) -> list[UnitBlock]:
        """The flat unit axis of `sites`: blocks ascending, inside a block the sites in the order of `SITES`."""
        if not sites:
            raise ModelError(f"no site requested; available: {', '.join(self.site_names)}")
        chosen = sorted({name: self.site(name) for name in sites}.values(), key=lambda site: SITES.index(site.name))
        laid: list[UnitBlock] = []
        offset = 0
        for block in self.check_blocks(blocks):
            for site in chosen:
                laid.append(UnitBlock(block, site.name, site.width, offset))
                offset += site.width
        return laid

    def n_units(self, sites: Sequence[str], blocks: Sequence[int] | None = None) -> int:
        """Length of the flat unit axis of `sites`."""
        return sum(part.width for part in self.units(sites, blocks))


def split_flat(
    units: Sequence[UnitBlock], flat: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Flat unit positions [k] → (index into `units` [k], unit inside that site and block [k]).

    Raises ModelError for a position outside the axis.
    """
    positions = np.asarray(flat, dtype=np.int64)
    offsets = np.array([part.offset for part in units], dtype=np.int64)
    total = units[-1].offset + units[-1].width
    if positions.size and (positions.min() < 0 or positions.max() >= total):
        wrong = positions[(positions < 0) | (positions >= total)][0]
        raise ModelError(f"unit {wrong} lies outside the flat unit axis 0 … {total - 1}")
    part = np.searchsorted(offsets, positions, side="right") - 1
    return part, positions - offsets[part]


@dataclass(frozen=True, slots=True)
class _Family:
    """Module paths of a family inside a block, relative to `blocks`; a down projection also gives `mlp.hidden`."""

    name: str
    blocks: str
    up: str
    down: str
    attention_out: str
    gate: str | None = None
    attention: tuple[str, ...] = ("sdpa", "eager")
    pads_by_id: bool = False
    learned_positions: bool = False


_BLOOM = _Family(
    "bloom", "h.{i}", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h", "self_attention.dense", attention=("eager",)
)
_GPT2 = _Family("gpt2", "h.{i}", "mlp.c_fc", "mlp.c_proj", "attn.c_proj", learned_positions=True)
_LLAMA = _Family("llama", "layers.{i}", "mlp.up_proj", "mlp.down_proj", "self_attn.o_proj", gate="mlp.gate_proj")
# Gemma 2 caps its attention logits, which sdpa cannot do.
_GEMMA2 = replace(_LLAMA, attention=("eager",))
_COHERE = _Family("cohere", "layers.{i}", "mlp.up_proj", "mlp.down_proj", "self_attn.o_proj", gate="mlp.gate_proj")
_ENCODER_PATHS = ("encoder.layer.{i}", "intermediate.dense", "output.dense", "attention.output.dense")
_BERT = _Family("bert", *_ENCODER_PATHS, learned_positions=True)
_ROBERTA = _Family("roberta", *_ENCODER_PATHS, learned_positions=True, pads_by_id=True)

_FAMILIES: dict[str, _Family] = {
    "bloom": _BLOOM,
    "gpt2": _GPT2,
    "cohere": _COHERE,
    "cohere2": _COHERE,
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma3_text", "olmo", "olmo2", "granite"), _LLAMA),
    "gemma2": _GEMMA2,
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
}

KNOWN = tuple(sorted(_FAMILIES))
"""The `model_type`s of config.json that need no declaration."""

_N_BLOCKS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_HIDDEN = ("hidden_size", "n_embd", "n_embed", "d_model")
_INTERMEDIATE = ("intermediate_size", "n_inner", "ffn_dim", "d_ff")


def describe(config: Mapping[str, Any], declared: Mapping[str, Any] | None = None) -> Architecture:
    """The architecture of a parsed config.json.

    `declared` is the `architecture` mapping of an experiment file: for a model type that is not known here, or to
    override one that is. Its fields: `blocks` (path template with `{i}`), `sites` (site name → path template, or a
    mapping with `path` and `width`), and, where config.json does not tell them, `n_blocks` and `hidden_size`. The
    path declared for `mlp.hidden` is that of the module whose input is meant.

    Raises ModelError naming the field that is missing or wrong, or the unknown model type.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise ModelError("config.json has no 'model_type': is this the folder of a transformers model?")
    if model_type == IMPORTED:
        width = _integer(config, ("hidden_size",), "dimension")
        layers = tuple(sorted(config["layers"], key=layer_order))
        return Architecture(model_type, "imported", 0, width, "", (), ("none",), imported_layers=layers)
    if declared is not None:
        return _describe_declared(model_type, config, declared)
    family = _FAMILIES.get(model_type)
    if family is None:
        raise ModelError(
            f"model type '{model_type}' is not known{nearest(model_type, KNOWN)}; known: "
            f"{', '.join(KNOWN)}. Declare its sites in the experiment file: {declaration_help()}"
        )
    hidden = _integer(config, ("n_embed", "hidden_size") if family is _BLOOM else _HIDDEN, "hidden size")
    wide = 4 * hidden
    if family is not _BLOOM and not (family is _GPT2 and config.get("n_inner") is None):
        wide = _integer(config, _INTERMEDIATE, "MLP width")
    places = {"mlp.up": family.up, "mlp.hidden": family.down, "mlp.down": family.down, "attn.out": family.attention_out}
    if family.gate is not None:
        places["mlp.gate"] = family.gate
    paths = {name: f"{family.blocks}.{place}" for name, place in places.items()} | {"block": family.blocks}
    widths = {name: wide if name in ("mlp.up", "mlp.gate", "mlp.hidden") else hidden for name in paths}
    return Architecture(
        model_type=model_type,
        family=family.name,
        n_blocks=_integer(config, _N_BLOCKS, "number of blocks"),
        hidden_size=hidden,
        blocks=family.blocks,
        sites=tuple(Site(name, paths[name], widths[name], name == "mlp.hidden") for name in SITES if name in paths),
        attention=family.attention,
        pads_by_id=family.pads_by_id,
        max_positions=_max_positions(config, family),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed config.json of a model folder; raises ModelError naming what is missing, with the nearest name."""
    if not folder.is_dir():
        siblings = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise ModelError(f"model folder '{folder}' does not exist{nearest(folder.name, siblings)}")
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(f"model folder '{folder}' has no config.json{nearest('config.json', _names(folder))}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"'{path}' is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"'{path}' holds a {type(config).__name__}, expected an object")
    return config


def declaration_help() -> str:
    """How sites are declared, as the shortest complete example."""
    return (
        'architecture: {blocks: "layers.{i}", sites: {mlp.up: "layers.{i}.mlp.fc1", mlp.down: "layers.{i}.mlp.fc2"}}'
        " ({i} counts from 0)"
    )


def _describe_declared(model_type: str, config: Mapping[str, Any], declared: Mapping[str, Any]) -> Architecture:
    fields = ("blocks", "n_blocks", "hidden_size", "sites")
    for name in declared:
        if name not in fields:
            raise ModelError(
                f"architecture: unknown field '{name}'; expected {', '.join(fields)}{nearest(name, fields)}"
            )
    blocks = declared.get("blocks")
    if not isinstance(blocks, str) or blocks.count("{i}") != 1:
        raise ModelError(f"architecture.blocks: found {blocks!r}, expected a module path with one {{i}}")
    merged = dict(config) | {name: declared[name] for name in ("hidden_size",) if name in declared}
    if "n_blocks" in declared:
        merged["num_hidden_layers"] = declared["n_blocks"]
    hidden = _integer(merged, _HIDDEN, "hidden size")
    sites = declared.get("sites", {})
    if not isinstance(sites, Mapping):
        raise ModelError(f"architecture.sites: found a {type(sites).__name__}, expected site names with module paths")
    entries: dict[str, Site] = {"block": Site("block", blocks, hidden)}
    for name, entry in sites.items():
        if name not in SITES:
            raise ModelError(
                f"architecture.sites: unknown site '{name}'; sites are {', '.join(SITES)}{nearest(str(name), SITES)}"
            )
        path, width = (entry.get("path"), entry.get("width")) if isinstance(entry, Mapping) else (entry, None)
        if not isinstance(path, str) or path.count("{i}") != 1:
            raise ModelError(f"architecture.sites.{name}: found {path!r}, expected a module path with one {{i}}")
        if width is None:
            inner = name in ("mlp.up", "mlp.gate", "mlp.hidden")
            width = _integer(config, _INTERMEDIATE, f"width of {name}") if inner else hidden
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise ModelError(f"architecture.sites.{name}.width: found {width!r}, expected a positive whole number")
        entries[name] = Site(name, path, width, name == "mlp.hidden")
    if "mlp.down" in entries and "mlp.hidden" not in entries and "mlp.up" in entries:
        entries["mlp.hidden"] = Site("mlp.hidden", entries["mlp.down"].path, entries["mlp.up"].width, True)
    return Architecture(
        model_type=model_type,
        family="declared",
        n_blocks=_integer(merged, _N_BLOCKS, "number of blocks"),
        hidden_size=hidden,
        blocks=blocks,
        sites=tuple(entries[name] for name in SITES if name in entries),
        max_positions=_optional_integer(config, "max_position_embeddings"),
    )


def _integer(config: Mapping[str, Any], names: Sequence[str], meaning: str) -> int:
    """The first of `names` that config.json holds, a positive whole number."""
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"config.json: '{name}' is {value!r}, expected a positive whole number")
        return value
    raise ModelError(f"config.json does not tell the {meaning}: expected one of {', '.join(names)}")


def _optional_integer(config: Mapping[str, Any], name: str) -> int | None:
    return _integer(config, (name,), name) if config.get(name) is not None else None


def _max_positions(config: Mapping[str, Any], family: _Family) -> int | None:
    """The longest sequence in tokens; None where nothing but memory limits it (Bloom's ALiBi)."""
    if family is _BLOOM:
        return None
    found = _optional_integer(config, "max_position_embeddings")
    if found is None and family is _GPT2:
        found = _optional_integer(config, "n_positions")
    if found is None and family.learned_positions:
        raise ModelError("config.json does not tell the number of positions: expected max_position_embeddings")
    if found is not None and family.pads_by_id:
        # Positions start after the padding id (RoBERTa: 514 rows serve 512 tokens).
        padding = config.get("pad_token_id")
        found -= (1 if padding is None else int(padding)) + 1
    return found


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
