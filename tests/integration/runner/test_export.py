"""`sprachbund export`: from a finished experiment to a checkpoint folder that any program loads."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sqlalchemy import select, update
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, BertConfig, BertModel

from sprachbund import workspace
from sprachbund.cli.main import main
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import find_setting
from sprachbund.errors import ArtifactError, ModelError, QueryError, WorkspaceError
from sprachbund.files.tensors import load_tensors
from sprachbund.models.fingerprints import fingerprint
from sprachbund.progress import Silent
from sprachbund.workspace import Workspace
from sprachbund_runners.export import checkpoint as exporting
from sprachbund_runners.export.card import Exported
from sprachbund_runners.export.checkpoint import export
from sprachbund_runners.export.merge import Merged
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.fit.intervention import find_edits
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.loading import load
from sprachbund_runners.models.steering import steering

Make = Callable[..., dict[str, Any]]
INTERVENTIONS = [
    "none",
    "centring",
    {"method": "experts", "k": 12, "controls": ["profile x1"]},
    {"method": "experts", "k": 5, "tokens": "last"},
]
OTHERS = [
    "none",
    {"method": "direction", "direction": "leace", "sites": ["mlp.down", "attn.out"]},
    {"method": "direction", "direction": "diff_mean", "strength": -2},
    {"method": "direction", "direction": "pca", "edit": "project_out"},
    {"method": "own", "k": 5, "value": "zero"},
    {"method": "experts", "k": 5, "edit": "linear_act"},
]
STEERED = "experts eng_Latn k=12"


@pytest.fixture
def engine_name() -> str:
    """What is exported does not depend on the database."""
    return "sqlite"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, experiment: Make) -> Path:
    """The folder of a workspace whose small experiment is finished."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SPRACHBUND_DATABASE_URL", raising=False)
        with workspace.init(folder) as space:
            space.submit(experiment(interventions=INTERVENTIONS, embeddings={"layers": [1, "final"]}, choose=None))
            tally = space.run()
            assert tally.failed == 0, tally.errors
    return folder


@pytest.fixture
def done(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A copy of it of one's own; the current folder."""
    monkeypatch.delenv("SPRACHBUND_DATABASE_URL", raising=False)
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    with workspace.open(tmp_path) as space:
        yield space


def key_of(space: Workspace, setting: str) -> str:
    with reading(space.engine) as connection:
        return find_setting(connection, setting, "tiny").key


def write(space: Workspace, setting: str, out: Path, **options: Any) -> Exported:
    return export(space.engine, space.store, "tiny", key_of(space, setting), out, **options)


def snapshot(space: Workspace, label: str, language: str) -> tuple[list[str], dict[str, np.ndarray[Any, Any]]]:
    """The test texts of a language, and its stored embeddings by layer."""
    context = Context(space.engine, space.store, Silent())
    with reading(space.engine) as connection:
        rows = connection.execute(
            select(t.SnapshotPart.layer, t.SnapshotPart.tensor, t.Artifact.uri, t.Artifact.digest, t.CorpusText.key)
            .join(t.Artifact, t.Artifact.id == t.SnapshotPart.artifact_id)
            .join(t.Snapshot, t.Snapshot.id == t.SnapshotPart.snapshot_id)
            .join(t.CorpusText, t.CorpusText.id == t.Snapshot.corpus_text_id)
            .join(t.Corpus, t.Corpus.id == t.CorpusText.corpus_id)
            .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Snapshot.setting_id)
            .where(t.ExperimentSetting.label == label, t.CorpusText.language == language, t.Corpus.split == "test")
        ).all()
    texts = list(context.text(rows[0].key).sentences.texts)
    found = {row.layer: load_tensors(space.store.fetch(row.uri, row.digest))[row.tensor] for row in rows}
    return texts, found


def test_the_folder_alone_gives_the_stored_embeddings_and_the_hooked_logits(
    done: Workspace, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "steered"
    exported = write(done, STEERED, out)
    assert exported.n_edited == 12
    assert len({path.stat().st_mode for path in out.iterdir()}) == 1, "not everybody can read all files"
    assert exported.fingerprint == fingerprint(out) != fingerprint(tiny_model)
    texts, stored = snapshot(done, STEERED, "deu_Latn")
    plainly = embed(load(out), texts, ["1", "final"])
    _, unsteered = snapshot(done, "none", "deu_Latn")
    assert stored.keys() == {"1", "final"}
    for layer, wanted in stored.items():
        np.testing.assert_allclose(plainly[layer], wanted, atol=1e-5)
        assert np.abs(wanted - unsteered[layer]).max() > 1e-3

    tokenizer = AutoTokenizer.from_pretrained(out)
    batch = tokenizer(texts[0], return_tensors="pt")
    edits = find_edits(Context(done.engine, done.store, Silent()), _intervention(done, STEERED))["*"]
    full = AutoModelForCausalLM.from_pretrained(tiny_model)
    hooked = load(tiny_model)
    hooked.model.load_state_dict(full.transformer.state_dict())
    full.transformer = hooked.model
    with steering(hooked, edits), torch.inference_mode():
        wanted = full(**batch).logits
    with torch.inference_mode():
        got = AutoModelForCausalLM.from_pretrained(out)(**batch).logits
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def _intervention(space: Workspace, label: str) -> str:
    with reading(space.engine) as connection:
        return str(
            connection.execute(
                select(t.Intervention.key)
                .join(t.Setting, t.Setting.intervention_id == t.Intervention.id)
                .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
                .where(t.ExperimentSetting.label == label)
            ).scalar_one()
        )


def test_the_card_records_the_setting_and_no_machine(done: Workspace, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "steered"
    exported = write(done, STEERED, out)
    card = (out / "README.md").read_text(encoding="utf-8")
    key = key_of(done, STEERED)
    for said in ("tiny, revision 1", STEERED, key, fingerprint(tiny_model), exported.fingerprint, "BloomForCausalLM",
                 "| target | eng_Latn |", "| method | experts |", "| k | 12 |", "| units edited | 12 |",
                 "sprachbund 0.1.0", "AutoModel.from_pretrained", "generations"):  # fmt: skip
        assert said in card, said
    table = card.split("| block | site | units |")[1].split("##")[0]
    rows = [line.split("|")[1:4] for line in table.splitlines() if line.startswith("| ") and "-" not in line]
    edits = find_edits(Context(done.engine, done.store, Silent()), _intervention(done, STEERED))["*"]
    assert [(int(a), b.strip(), int(c)) for a, b, c in rows] == [(e.block, e.site, len(e)) for e in edits]
    for path in out.iterdir():
        assert str(tiny_model).encode() not in path.read_bytes(), path.name
        assert str(tmp_path).encode() not in path.read_bytes(), path.name


def label_of(space: Workspace, **columns: str) -> str:
    """The label of the one setting whose intervention has these columns."""
    with reading(space.engine) as connection:
        return str(
            connection.execute(
                select(t.ExperimentSetting.label)
                .join(t.Setting, t.Setting.id == t.ExperimentSetting.setting_id)
                .join(t.Intervention, t.Intervention.id == t.Setting.intervention_id)
                .where(*(getattr(t.Intervention, name) == value for name, value in columns.items()))
            ).scalar_one()
        )


def test_directions_are_merged_and_recorded_and_the_rest_refused(
    space: Workspace, experiment: Make, tmp_path: Path
) -> None:
    fields = {"embeddings": {"layers": [1, "final"]}, "choose": None}
    space.submit(experiment(interventions=OTHERS, **fields))
    tally = space.run()
    assert tally.failed == 0, tally.errors
    _, unsteered = snapshot(space, "none", "deu_Latn")
    for direction, n_edited, said in (
        ("leace", 64, ("| edit | project_out |", "| edited sites | mlp.down+attn.out |", "projection of rank 3 |")),
        (
            "diff_mean",
            16,
            ("| edit | add |", "| strength | -2.0 |", "| edited sites | block |", "| block | shift |"),
        ),
    ):
        label, out = label_of(space, direction=direction), tmp_path / direction
        assert write(space, label, out).n_edited == n_edited
        card = (out / "README.md").read_text(encoding="utf-8")
        for words in (*said, label, f"| direction | {direction} |", "| pooling | mean |", "## Directions edited"):
            assert words in card, words
        texts, stored = snapshot(space, label, "deu_Latn")
        plainly = embed(load(out), texts, ["1", "final"])
        for layer, wanted in stored.items():
            np.testing.assert_allclose(plainly[layer], wanted, atol=1e-5)
            assert np.abs(wanted - unsteered[layer]).max() > 1e-3
    for label, message in (
        (label_of(space, method="own"), r"its edits differ by input language .* weights are the same"),
        (label_of(space, edit="linear_act"), "cannot be merged into weights: it acts inside bounds only"),
        (
            label_of(space, direction="pca"),
            "edit of block in block 1 cannot .*: the residual stream is a sum",
        ),
    ):
        with pytest.raises(ModelError, match=message) as error:
            write(space, label, tmp_path / "refused")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "refused").exists()


def test_none_is_an_unchanged_copy(done: Workspace, tiny_model: Path, tmp_path: Path) -> None:
    exported = write(done, "none", tmp_path / "copy")
    before, after = load_file(tiny_model / "model.safetensors"), load_file(tmp_path / "copy" / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (exported.n_edited, exported.difference) == (0, 0.0)
    assert "unchanged copy" in (tmp_path / "copy" / "README.md").read_text(encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (tiny_model / name).read_bytes()


def test_the_type_of_the_weights(done: Workspace, tmp_path: Path) -> None:
    def types(folder: Path) -> set[str]:
        with safe_open(folder / "model.safetensors", framework="pt") as tensors:
            return {tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118

    half, full = tmp_path / "half", tmp_path / "full"
    exported = write(done, STEERED, half, dtype="float16")
    assert types(half) == {"F16"}
    assert json.loads((half / "config.json").read_text())["dtype"] == "float16"
    assert 0 < exported.merged.rounding < 1e-2
    card = (half / "README.md").read_text(encoding="utf-8")
    assert "rounded to float16" in card
    assert "converted from float32 to float16" in card
    write(done, STEERED, full)
    assert types(full) == {"F32"}
    assert "rounded" not in (full / "README.md").read_text(encoding="utf-8")
    assert exporting.stored_type(half) == "float16"
    with pytest.raises(ModelError, match=r"dtype 'float61' is not known.*float16"):
        write(done, STEERED, tmp_path / "none", dtype="float61")


def test_what_cannot_be_exported_is_said_and_nothing_is_written(done: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "refused"
    with pytest.raises(ModelError, match="transform 'centring' changes pooled embeddings"):
        write(done, "centring", out)
    with pytest.raises(ModelError, match=r"'experts eng_Latn k=5 on last': .* last tokens only"):
        write(done, "experts eng_Latn k=5 on last", out)
    with pytest.raises(
        QueryError,
        match=r"unknown setting 'expert eng_Latn k=12' .*; did you mean 'experts eng_Latn k=12'",
    ):
        write(done, "expert eng_Latn k=12", out)
    with pytest.raises(QueryError, match=r"unknown setting 'zzz' of experiment 'tiny'; see `sprachbund show tiny`"):
        write(done, "zzz", out)
    assert not out.exists()
    assert not list(tmp_path.glob(".refused*"))
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(WorkspaceError, match=r"refused' is not empty"):
        write(done, STEERED, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    with pytest.raises(WorkspaceError, match="is not a folder"):
        write(done, STEERED, out / "mine.txt")


def test_the_start_of_a_key_names_a_setting(done: Workspace) -> None:
    key = key_of(done, STEERED)
    assert key_of(done, key[:10]) == key
    with done.engine.begin() as connection:
        for row in connection.execute(select(t.Setting.id, t.Setting.key)).all():
            connection.execute(update(t.Setting).where(t.Setting.id == row.id).values(key="abab" + row.key[4:]))
    with pytest.raises(QueryError, match=r"could be abab\w{6} \('none' of tiny\), .*: give more of the key"):
        key_of(done, "abab")
    with pytest.raises(QueryError, match="unknown setting '' of experiment 'tiny'; see"):
        key_of(done, "")


def test_a_merge_that_does_not_equal_the_hooks_is_not_written(
    done: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "merge", lambda *_: Merged())
    with pytest.raises(ModelError, match="the merged model differs from the hooked one by"):
        write(done, STEERED, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


def test_a_failure_half_way_leaves_nothing(done: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "card", full)
    before = set(tmp_path.iterdir())
    with pytest.raises(WorkspaceError, match="No space left on device"):
        write(done, STEERED, tmp_path / "steered")
    assert set(tmp_path.iterdir()) == before


def test_before_the_run_after_an_eviction_and_with_another_model(
    space: Workspace, experiment: Make, tiny_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    fields = {"interventions": ["none", {"method": "experts", "k": 4}], "choose": None}
    space.submit(experiment(models={"path": str(model)}, **fields))
    label = "experts eng_Latn k=4"
    with pytest.raises(WorkspaceError, match="edits are not made yet"):
        write(space, label, tmp_path / "out")
    space.run()
    with reading(space.engine) as connection:
        made = connection.execute(select(t.Intervention.artifact_id).where(t.Intervention.method == "experts")).scalar()
    space.store.evict(space.engine, [made])
    with pytest.raises(ArtifactError, match=r"queued again: `sprachbund run`"):
        write(space, label, tmp_path / "out")
    assert space.run().done == 1
    assert write(space, label, tmp_path / "out").n_edited == 4
    weights = load_file(model / "model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="has changed since submission"):
        write(space, label, tmp_path / "other")
    shutil.rmtree(model)
    with pytest.raises(ModelError, match="is not at"):
        write(space, label, tmp_path / "other")


def test_a_checkpoint_without_its_pooler_stays_without(
    space: Workspace, experiment: Make, tiny_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "bert"
    shutil.copytree(tiny_model, model)
    torch.manual_seed(1)
    config = BertConfig(vocab_size=124, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                        num_attention_heads=2, max_position_embeddings=32, pad_token_id=0)  # fmt: skip
    BertModel(config).save_pretrained(model)
    tensors = {k: v for k, v in load_file(model / "model.safetensors").items() if "pooler" not in k}
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    fields = {"interventions": ["none", {"method": "experts", "k": 4}], "choose": None}
    space.submit(experiment(models={"path": str(model)}, **fields))
    assert space.run().failed == 0
    write(space, "experts eng_Latn k=4", tmp_path / "out")
    assert load_file(tmp_path / "out" / "model.safetensors").keys() == tensors.keys()


CODE = """
import torch
from transformers import BloomConfig, BloomForCausalLM


class LouderConfig(BloomConfig):
    model_type = "louder"


class LouderModel(BloomForCausalLM):
    config_class = LouderConfig

    def forward(self, *arguments, **options):
        found = super().forward(*arguments, **options)
        found.logits = 2 * found.logits
        return found
"""


def test_code_of_its_own_travels_where_it_was_trusted(
    space: Workspace, experiment: Make, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "louder"
    shutil.copytree(tiny_model, model)
    (model / "modeling_louder.py").write_text(CODE)
    config = json.loads((model / "config.json").read_text())
    classes = {"AutoConfig": "LouderConfig", "AutoModelForCausalLM": "LouderModel", "AutoModel": "LouderModel"}
    config |= {"auto_map": {auto: f"modeling_louder.{name}" for auto, name in classes.items()}}
    config |= {"architectures": ["LouderModel"], "model_type": "louder"}
    (model / "config.json").write_text(json.dumps(config))
    sites = {"mlp.up": "h.{i}.mlp.dense_h_to_4h", "mlp.down": "h.{i}.mlp.dense_4h_to_h"}
    widths = {name: {"path": path, "width": 64 if name == "mlp.up" else 16} for name, path in sites.items()}
    declared = {"blocks": "h.{i}", "n_blocks": 2, "hidden_size": 16, "sites": widths}
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    fields = {"interventions": ["none", {"method": "experts", "k": 4}], "choose": None, "embeddings": {"layers": [1]}}
    trusted = {"path": str(model), "architecture": declared, "trust_remote_code": True, "attention": "eager"}
    space.submit(experiment(models=trusted, experts={"sites": ["mlp.up"]}, **fields))
    assert space.run().failed == 0
    exported = write(space, "experts eng_Latn k=4", tmp_path / "out")
    assert exported.model_class == "LouderModel"
    shutil.rmtree(model)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out", trust_remote_code=True)
    assert type(again).__name__ == "LouderModel"


def test_the_command(
    done: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sprachbund", "export", "tiny", *arguments])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), *capsys.readouterr()
        return 0, *capsys.readouterr()

    code, out, err = run(STEERED, "--out", "steered")
    assert (code, err) == (0, "")
    assert "BloomForCausalLM in float32, 12 units edited" in out
    assert AutoModel.from_pretrained(tmp_path / "steered").config.model_type == "bloom"
    code, out, err = run(STEERED, "--out", "steered")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not empty" in err
    code, out, err = run("experts eng_Latn k=5 on last", "--out", "other")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "last tokens only" in err
    code, out, err = run("none", "--out", "plain", "--json")
    assert json.loads(out)["n_edited"] == 0
