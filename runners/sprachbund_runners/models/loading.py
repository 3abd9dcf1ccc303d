"""Loading a model and its tokenizer for reading: safetensors only, no head, no gradients."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from sprachbund.errors import ModelError, nearest
from sprachbund.models.architectures import Architecture, describe, read_config
from sprachbund.models.fingerprints import cached_snapshot, find_folder, fingerprint, looks_like_hub_id, model_files
from sprachbund_runners.models.hooks import resolve

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# What transformers lets through for a folder whose config, weights or code do not fit together.
LOAD_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    SafetensorError,
)
_PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors")
UNUSED_WEIGHTS = re.compile(r"(^|\.)pooler\.")


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model in memory, ready to be read.

    `attention` is the implementation in use; `pad_id` fills padded places, which the attention mask hides (its origin
    is in `pad_source`); `max_length` is the longest sequence in tokens, None if only memory limits it.
    """

    model: PreTrainedModel = field(repr=False)
    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    architecture: Architecture
    fingerprint: str
    device: torch.device
    dtype: torch.dtype
    attention: str
    pad_id: int
    pad_source: str
    max_length: int | None

    @property
    def has_head(self) -> bool:
        """Whether it was loaded with what predicts the next token."""
        return self.model.base_model is not self.model


def load(
    path_or_hub_id: str | Path,
    revision: str | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    attention: str | None = None,
    trust_remote_code: bool = False,
    declared: Mapping[str, Any] | None = None,
    head: bool = False,
) -> LoadedModel:
    """Load a model for inference, without its head unless `head` asks for what predicts the next token.

    A folder is read as it is; a Hub id from the Hub cache, fetched first if it is not there (unless the Hub client is
    set offline). `attention` None takes what the architecture prefers: sdpa, or eager where nothing else is written
    (Bloom). `declared` is the experiment file's `architecture`, for model types that are not known.

    Raises ModelError for missing or damaged files, an unknown architecture (with its modules and how to declare
    sites), weights that do not fill the model, sites that are not where the architecture says, and unknown options.
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype '{dtype}' is not known; expected {', '.join(DTYPES)}{nearest(dtype, DTYPES)}")
    folder = _folder(path_or_hub_id, revision)
    model_files(folder)
    config = read_config(folder)
    try:
        architecture = describe(config, declared)
    except ModelError as error:
        if declared is not None or "is not known" not in str(error):
            raise
        names = "; ".join(_module_names(folder, trust_remote_code))
        raise ModelError(f"{error}. Its modules: {names}") from error
    if head and not architecture.causal:
        raise ModelError(f"model type '{architecture.model_type}' is an encoder: it predicts no next token")
    chosen = _attention(architecture, attention)
    with quiet():
        tokenizer = load_tokenizer(folder, trust_remote_code)
        model = _model(folder, DTYPES[dtype], chosen, trust_remote_code, head)
    model.config.use_cache = False
    model.requires_grad_(False).eval()
    verify(model, architecture)
    pad_id, pad_source = _padding(model, tokenizer, architecture)
    try:
        model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"model '{path_or_hub_id}' cannot be put on device '{device}': {first_line(error)}") from error
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        architecture=architecture,
        fingerprint=fingerprint(folder),
        device=torch.device(device),
        dtype=DTYPES[dtype],
        attention=chosen,
        pad_id=pad_id,
        pad_source=pad_source,
        max_length=_max_length(architecture, tokenizer),
    )


def verify(model: PreTrainedModel, architecture: Architecture) -> None:
    """Check that every site's module exists in every block and has the width the architecture states.

    Raises ModelError naming the site and block, and for a missing module the nearest name.
    """
    for block in range(1, architecture.n_blocks + 1):
        for site in architecture.sites:
            module = resolve(model, site.module(block))
            width = _width(module, site.of_input)
            if width is not None and width != site.width:
                raise ModelError(
                    f"site {site.name} in block {block} is {site.width} wide by its description, "
                    f"but module '{site.module(block)}' has {width}"
                )
    try:
        extra = resolve(model, architecture.blocks.replace("{i}", str(architecture.n_blocks)))
    except ModelError:
        return
    raise ModelError(
        f"the model has more than the {architecture.n_blocks} blocks of its description: "
        f"found a {type(extra).__name__} in block {architecture.n_blocks + 1}"
    )


def _width(module: nn.Module, of_input: bool) -> int | None:
    """Output (or input) width of a linear module; None for a module that does not tell."""
    if isinstance(module, nn.Linear):
        return module.in_features if of_input else module.out_features
    weight = getattr(module, "weight", None)
    if type(module).__name__ == "Conv1D" and isinstance(weight, torch.Tensor):
        return int(weight.shape[0 if of_input else 1])
    return None


def _folder(path_or_hub_id: str | Path, revision: str | None) -> Path:
    name = str(path_or_hub_id)
    if Path(name).expanduser().is_dir() or not looks_like_hub_id(name) or cached_snapshot(name, revision):
        return find_folder(path_or_hub_id, revision)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_PATTERNS)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as error:
        try:
            return find_folder(path_or_hub_id, revision)
        except ModelError as missing:
            raise ModelError(f"{missing} (fetching it now failed: {first_line(error)})") from error


def _attention(architecture: Architecture, wanted: str | None) -> str:
    if wanted is None:
        return architecture.attention[0]
    if wanted not in architecture.attention:
        raise ModelError(
            f"attention '{wanted}' is not available for model type '{architecture.model_type}'; "
            f"available: {', '.join(architecture.attention)}"
        )
    return wanted


def load_tokenizer(folder: Path, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    # AutoTokenizer may rebuild a tokenizer by model type and drop what tokenizer.json says (transformers 5 does so
    # for qwen2), so that texts become other tokens than the model was trained on: the file itself is taken.
    kind = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() and not trust_remote_code else AutoTokenizer
    try:
        tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(
            folder, trust_remote_code=trust_remote_code, local_files_only=True
        )
    except LOAD_ERRORS as error:
        raise ModelError(f"the tokenizer in '{folder}' cannot be read: {first_line(error)}") from error
    return tokenizer


def _model(
    folder: Path, dtype: torch.dtype, attention: str, trust_remote_code: bool, head: bool = False
) -> PreTrainedModel:
    try:
        model, report = (AutoModelForCausalLM if head else AutoModel).from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
            output_loading_info=True,
        )
    except LOAD_ERRORS as error:
        raise ModelError(f"the model in '{folder}' cannot be loaded: {first_line(error)}") from error
    missing = sorted(name for name in report["missing_keys"] if not UNUSED_WEIGHTS.search(name))
    if missing:
        raise ModelError(
            f"the weights in '{folder}' lack {len(missing)} tensors of the model, first '{missing[0]}'; "
            "they would be random"
        )
    if report.get("mismatched_keys"):
        raise ModelError(
            f"the weights in '{folder}' have other shapes than config.json says: {report['mismatched_keys']}"
        )
    loaded: PreTrainedModel = model
    return loaded


def _padding(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, architecture: Architecture) -> tuple[int, str]:
    """The id to pad with and where it comes from. Masked places may hold any id, unless positions count from it."""
    rows = model.get_input_embeddings().weight.shape[0]
    candidates = [(model.config.pad_token_id, "config")]
    if not architecture.pads_by_id:
        candidates += [(tokenizer.pad_token_id, "tokenizer"), (tokenizer.eos_token_id, "end of sequence")]
    for candidate, source in candidates:
        if isinstance(candidate, int) and 0 <= candidate < rows:
            return candidate, source
    raise ModelError(
        f"model type '{architecture.model_type}' has no usable padding id: neither tokenizer nor config.json give a "
        f"padding or end-of-sequence token below {rows}"
    )


def _max_length(architecture: Architecture, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The smaller of the model's and the tokenizer's limit; tokenizers without one state an astronomic number."""
    limits = [architecture.max_positions, tokenizer.model_max_length]
    known = [int(limit) for limit in limits if limit is not None and limit < 10**9]
    return min(known) if known else None


def _module_names(folder: Path, trust_remote_code: bool) -> list[str]:
    """Paths of the linear modules, with `{i}` for the index in a list, without loading weights."""
    with quiet():
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code, local_files_only=True)
            with torch.device("meta"):
                model = AutoModel.from_config(config, trust_remote_code=trust_remote_code)
        except LOAD_ERRORS as error:
            return [f"transformers cannot build it: {first_line(error)}"]
    names = (
        re.sub(r"(?<=\.)\d+(?=\.)", "{i}", name)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
    )
    return list(dict.fromkeys(names))


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' load report and progress bar: what matters in them is checked here."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
