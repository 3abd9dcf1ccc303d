"""A setting as an ordinary checkpoint folder: its edits merged into the weights, with a model card."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
import transformers
from safetensors import safe_open
from sqlalchemy import Engine, select
from transformers import PreTrainedModel

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import ArtifactError, ModelError, WorkspaceError, nearest
from sprachbund.files.artifacts import ArtifactStore
from sprachbund.models.architectures import describe, read_config
from sprachbund.models.fingerprints import fingerprint, model_files
from sprachbund.progress import Silent
from sprachbund.queue import Queue
from sprachbund_runners.export.card import PROBE_TOKENS, Exported, FoundSetting, Source, card, coordinates
from sprachbund_runners.export.merge import Merged, NoBiasError, check_mergeable, merge
from sprachbund_runners.export.stand_in import llama_of
from sprachbund_runners.interventions.edit_files import ANY
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.jobs.context import Context, Evicted
from sprachbund_runners.jobs.fit.intervention import find_edits
from sprachbund_runners.models.loading import (
    DTYPES,
    LOAD_ERRORS,
    UNUSED_WEIGHTS,
    LoadedModel,
    first_line,
    load_tokenizer,
    quiet,
    verify,
)
from sprachbund_runners.models.steering import effective, steering

_HEADS = ("AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModel")
# Beside config and weights, which are written anew.
_COPIED = ("LICENSE*", "NOTICE*", "USE_POLICY*", "chat_template.*")
_STORED_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# In float32, relative to the largest value: far above rounding, far below what any wrong edit does.
_TOLERANCE = 1e-4


def export(
    engine: Engine, store: ArtifactStore, experiment: str, setting_key: str, out: Path, dtype: str | None = None
) -> Exported:
    """Write the setting with this key, as `experiment` has it, to the folder `out`, which must be empty or absent.

    `dtype` None keeps the checkpoint's type (float32 where it has several). Files appear under a hidden name beside
    `out` first, which is then renamed: `out` is whole or not there.

    Raises ModelError for settings that weights cannot express and models that are gone or changed; WorkspaceError for
    a setting whose edits are not made yet and where `out` cannot be written; ArtifactError for evicted edits.
    """
    if dtype is not None and dtype not in DTYPES:
        raise ModelError(f"dtype '{dtype}' is not known; expected {', '.join(DTYPES)}{nearest(dtype, DTYPES)}")
    check_out(out)
    found = _find(engine, experiment, setting_key)
    edits = _edits(engine, store, found, experiment)
    folder = _model_folder(found)
    source = _load(folder, found, dtype)
    before = _probe(source, edits)
    source, merged = _merged(source, edits)
    difference = float((_probe(source, ()) - before).abs().max())
    kind = str(source.model.dtype).removeprefix("torch.")
    if kind == "float32" and not difference <= _TOLERANCE * max(1.0, float(before.abs().max())):
        raise ModelError(
            f"setting '{found.label}': the merged model differs from the hooked one by {difference:.2g} on random "
            "tokens: a site of this model is not the linear module it is described as"
        )
    with _appearing(out) as unfinished:
        _save(source, folder, unfinished)
        done = Exported(
            out,
            fingerprint(unfinished),
            type(source.model).__name__,
            kind,
            sum(coordinates(edit) for edit in effective(edits)),
            merged,
            difference,
            source.was,
        )
        (unfinished / "README.md").write_text(card(experiment, found, source, edits, done), encoding="utf-8")
    return done


def _merged(source: Source, edits: Sequence[Edit]) -> tuple[Source, Merged]:
    """The source with its edits in the weights; as a Llama where its own type has no bias for a shift and Llama has."""
    try:
        return source, merge(source.model, source.loaded.architecture, edits)
    except NoBiasError:
        twin = llama_of(source.model)
        if twin is None:
            raise
    loaded = replace(source.loaded, model=twin, architecture=describe(twin.config.to_dict()))
    stood_in = replace(source, loaded=loaded, was=type(source.model).__name__)
    return stood_in, merge(twin, loaded.architecture, edits)


def check_out(out: Path) -> None:
    """Raises WorkspaceError unless `out` is absent or an empty folder."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise WorkspaceError(f"--out: '{out}' is not a folder; give a new or empty one")
    if out.is_dir() and any(out.iterdir()):
        raise WorkspaceError(f"--out: folder '{out}' is not empty; give a new or empty one")


def _find(engine: Engine, experiment: str, key: str) -> FoundSetting:
    with reading(engine) as connection:
        setting = connection.execute(select(t.Setting).where(t.Setting.key == key)).one()
        label, revision = connection.execute(
            select(t.ExperimentSetting.label, t.Experiment.revision)
            .join(t.Experiment, t.Experiment.id == t.ExperimentSetting.experiment_id)
            .where(t.ExperimentSetting.setting_id == setting.id, t.Experiment.name == experiment)
        ).one()
        model = connection.execute(select(t.Model).where(t.Model.id == setting.model_id)).one()
        made_of = select(t.Intervention).where(t.Intervention.id == setting.intervention_id)
        return FoundSetting(setting, model, connection.execute(made_of).one(), label, revision)


def _edits(engine: Engine, store: ArtifactStore, found: FoundSetting, experiment: str) -> list[Edit]:
    setting, intervention, label = found.setting, found.intervention, found.label
    if setting.transform != "none":
        raise ModelError(
            f"setting '{label}': its transform '{setting.transform}' changes pooled embeddings after the model, so no "
            "checkpoint can hold it; export the setting without it"
        )
    if intervention.method != "none" and intervention.artifact_id is None:
        raise WorkspaceError(f"setting '{label}': its edits are not made yet (see `sprachbund status {experiment}`)")
    key = None if intervention.method == "none" else intervention.key
    try:
        by_language = find_edits(Context(engine, store, Silent()), key)
    except Evicted as error:
        Queue(engine).reopen([error.made_by])
        raise ArtifactError(
            f"setting '{label}': the file of its edits was evicted; the job that makes it is queued again: "
            "`sprachbund run`, then export again"
        ) from error
    if by_language.keys() - {ANY}:
        raise ModelError(
            f"setting '{label}': its edits differ by input language ({len(by_language)} of them), and weights are the "
            "same for every input; it needs hooks"
        )
    edits = by_language.get(ANY, [])
    try:
        check_mergeable(edits)
    except ModelError as error:
        raise ModelError(f"setting '{label}': {error}") from None
    return edits


def _model_folder(found: FoundSetting) -> Path:
    folder, name = Path(found.model.path), found.model.name
    if not folder.exists():
        raise ModelError(f"model '{name}' is not at {folder} any more: submit the experiment again from where it is")
    expected, now = found.model.fingerprint.partition("+")[0], fingerprint(folder)
    if now != expected:
        raise ModelError(
            f"model '{name}' at {folder} has changed since submission (fingerprint {now[:20]}…, expected"
            f" {expected[:20]}…): submit the experiment again"
        )
    return folder


def _load(folder: Path, found: FoundSetting, dtype: str | None) -> Source:
    config, trust = read_config(folder), bool(found.model.config["trust_remote_code"])
    if "quantization_config" in config:
        raise ModelError(f"model '{found.model.name}' is quantised: edits are merged into float weights only")
    stored = stored_type(folder)
    with quiet():
        tokenizer = load_tokenizer(folder, trust)
        try:
            model, report = _class(config, trust).from_pretrained(
                folder,
                dtype=DTYPES[dtype or stored or "float32"],
                attn_implementation=found.setting.attention,
                use_safetensors=True,
                trust_remote_code=trust,
                local_files_only=True,
                output_loading_info=True,
            )
        except LOAD_ERRORS as error:
            raise ModelError(f"the model in '{folder}' cannot be loaded: {first_line(error)}") from error
    if missing := sorted(name for name in report["missing_keys"] if not UNUSED_WEIGHTS.search(name)):
        raise ModelError(f"the weights in '{folder}' lack {len(missing)} tensors, first '{missing[0]}'")
    model.requires_grad_(False).eval()
    architecture = describe(config, found.model.config["declared"])
    verify(model, architecture)
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        architecture=architecture,
        fingerprint=found.model.fingerprint,
        device=model.device,
        dtype=model.dtype,
        attention=found.setting.attention,
        pad_id=0,
        pad_source="none: nothing is padded here",
        max_length=architecture.max_positions,
    )
    return Source(loaded, stored, tuple(sorted(report["unexpected_keys"])), frozenset(report["missing_keys"]))


def _class(config: dict[str, Any], trust: bool) -> Any:
    """The class that config.json names, so that its head is kept; the base model where it names none."""
    own = config.get("auto_map", {}) if trust else {}
    for name in _HEADS:
        if name in own:
            return getattr(transformers, name)
    named = getattr(transformers, str((config.get("architectures") or ["AutoModel"])[0]), None)
    return named if isinstance(named, type) and issubclass(named, PreTrainedModel) else transformers.AutoModel


def stored_type(folder: Path) -> str | None:
    """The type of all floating-point weights; None where there are several."""
    types: set[str] = set()
    for path in model_files(folder):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as tensors:
                types.update(tensors.get_slice(name).get_dtype() for name in tensors.keys())  # noqa: SIM118
    floats = {name for name in types if name.startswith(("F", "BF"))}
    unknown = sorted(floats - _STORED_TYPES.keys())
    if unknown:
        raise ModelError(f"the weights in '{folder}' are {unknown[0]}; expected {', '.join(_STORED_TYPES)}")
    return _STORED_TYPES[floats.pop()] if len(floats) == 1 else None


def _probe(source: Source, edits: Sequence[Edit]) -> torch.Tensor:
    """The last hidden state [1, tokens, hidden_size], float32, on fixed random tokens under hooks with these edits."""
    model, longest = source.model, source.loaded.max_length
    length = min(PROBE_TOKENS, longest or PROBE_TOKENS)
    rows = model.get_input_embeddings().weight.shape[0]
    ids = torch.randint(0, rows, (1, length), generator=torch.Generator().manual_seed(1))
    with steering(source.loaded, edits), torch.inference_mode():
        states: torch.Tensor = model.base_model(
            input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False
        ).last_hidden_state
    return states.float()


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A new folder that takes the name `out` if all goes well, and is removed if not."""
    out = Path(os.path.abspath(out))
    unfinished = out.with_name(f".{out.name}.{uuid4().hex[:8]}.part")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.replace(out)
    except OSError as error:
        raise WorkspaceError(f"--out: cannot write '{out}': {error.strerror or first_line(error)}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _save(source: Source, folder: Path, unfinished: Path) -> None:
    model = source.model
    # What the checkpoint lacks (an unused pooler) was made up while loading.
    state = {name: value for name, value in model.state_dict().items() if name not in source.missing}
    with quiet():
        try:
            model.save_pretrained(unfinished, state_dict=state if source.missing else None)
        except OSError:
            raise
        except LOAD_ERRORS as error:
            raise ModelError(f"the merged model cannot be saved: {first_line(error)}") from error
    copied = [path for path in model_files(folder) if path.suffix != ".safetensors"]
    copied += [path for pattern in _COPIED for path in sorted(folder.glob(pattern)) if path.is_file()]
    if type(model).__module__.startswith("transformers_modules"):
        copied += sorted(folder.glob("*.py"))
    for path in copied:
        if path.name not in ("config.json", "model.safetensors.index.json"):
            shutil.copyfile(path, unfinished / path.name)
    for path in unfinished.glob("*.safetensors"):  # save_pretrained lets nobody but the owner read them
        shutil.copymode(unfinished / "config.json", path)
