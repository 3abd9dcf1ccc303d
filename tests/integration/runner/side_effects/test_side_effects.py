"""Side effects from spec to view: what is stored, computed once, and stopped early."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sqlalchemy import select

from sprachbund import workspace
from sprachbund.cli import samples as command
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.errors import QueryError
from sprachbund.files.tensors import load_tensors
from sprachbund.results.side_effects import COLUMNS, PARTS, samples, side_effects
from sprachbund.workspace import Workspace
from sprachbund_runners.jobs.write import generation
from sprachbund_runners.statistics.intervals import wilson
from support.written import KINDS, count, text_of, values, work


def test_every_side_effect_stands_in_the_view_beside_its_baseline(space: Workspace, spec: dict[str, Any]) -> None:
    submitted = space.submit(spec)
    # Two settings: neither the transform, which changes embeddings only, nor the control, which nobody asked for.
    assert {kind: submitted.new[kind] for kind in KINDS} == {
        "generation": 6, "generation_evaluation": 2, "perplexity": 4, "translation": 4, "difference": 5,
    }  # fmt: skip
    work(space)
    frame = space.query("select * from side_effects")
    steered = "experts eng_Latn k=12"
    assert set(frame["setting"]) == {"none", steered}
    per_setting = frame.group_by("setting", "metric").len().sort("setting", "metric")
    expected = {
        "language_share": 2, "degenerate_share": 1, "repetition": 1, "distinct_1": 1, "distinct_2": 1,
        "sample_tokens": 1, "perplexity": 2, "bits_per_byte": 2, "scored_share": 2, "looks": 2,
        "stopped_early": 2, "chrf": 2, "bleu": 2,
    }  # fmt: skip
    for setting, metric, n in per_setting.iter_rows():
        assert n == expected.get(metric, n), (setting, metric)
    assert set(expected) <= set(frame["metric"])
    none = {key[1:]: value for key, value in values(space).items() if key[0] == "none"}
    for row in frame.iter_rows(named=True):
        if row["setting"] == "none":
            assert row["baseline"] is None and row["target"] is None and row["of_target"] is None
            continue
        plain = none.get((row["metric"], row["language"], row["into_language"]))
        assert row["baseline"] == pytest.approx(plain)
        assert row["delta"] == (None if plain is None else pytest.approx(row["value"] - plain))
        into = row["into_language"] or row["language"]
        assert row["of_target"] == (None if row["language"] is None else int(into == "eng_Latn"))
    # The views on embeddings know nothing of what a model writes.
    assert not set(space.results("tiny", "alignment")["metric"]) & set(expected)
    assert set(space.results("tiny")["metric"]).isdisjoint(expected)


def test_shares_and_lengths_are_those_of_the_stored_samples(measured: Workspace) -> None:
    space = measured
    written = space.query("select * from generated_samples where into_language is null")
    assert written.height == 2 * 3 * 12
    assert written.group_by("setting", "seed").len()["len"].to_list() == [12] * 6
    assert set(written["label"].drop_nulls()) <= {"en", "de", "fr"}
    assert written["n_tokens"].max() <= 8
    assert (
        written.filter(pl.col("ended") == 0)["n_tokens"].to_list() == [8] * written.filter(pl.col("ended") == 0).height
    )
    found = values(space)
    for setting in ("none", "experts eng_Latn k=12"):
        own = written.filter(pl.col("setting") == setting)
        share = (own["label"] == "de").fill_null(False).mean()
        assert found[setting, "language_share", "deu_Latn", None] == pytest.approx(share)
        assert found[setting, "sample_tokens", None, None] == pytest.approx(own["n_tokens"].mean())
        assert found[setting, "degenerate_share", None, None] == pytest.approx(own["degenerate"].mean())
        assert found[setting, "repetition", None, None] == pytest.approx(own["repetition"].mean())
        fine = own.filter(pl.col("degenerate") == 0)
        kept = (fine["label"] == "de").fill_null(False).mean()
        assert found[setting, "language_share_nondegenerate", "deu_Latn", None] == pytest.approx(kept)
    row = space.query(
        "select * from side_effects where setting = 'none' and metric = 'language_share' and language = 'deu_Latn'"
    ).row(0, named=True)
    assert row["n_items"] == 36
    low, high = wilson(row["value"] * 36, 36)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((float(low), float(high)))


def test_twice_is_once_and_more_seeds_languages_or_pairs_cost_only_themselves(
    space: Workspace, spec: dict[str, Any], asked: dict[str, Any]
) -> None:
    space.submit(spec)
    work(space)
    before = values(space)
    assert space.submit(spec).n_new == 0
    more = {
        "generation": {**asked["generation"], "seeds": 4},
        "perplexity": {**asked["perplexity"], "languages": ["eng_Latn", "deu_Latn", "fra_Latn"]},
        "translation": {**asked["translation"], "pairs": [*asked["translation"]["pairs"], ["fra_Latn", "eng_Latn"]]},
    }
    again = space.submit({**spec, "side_effects": more}, replace=True)
    assert again.new == {
        "generation": 2, "generation_evaluation": 2, "perplexity": 2, "translation": 2, "difference": 3,
    }  # fmt: skip
    work(space)
    after = values(space)
    for key, value in before.items():
        if key[1] in ("perplexity", "bits_per_byte", "chrf", "bleu"):
            assert after[key] == value
    assert len(after) > len(before)
    assert space.query("select distinct seed from generated_samples where seed is not null").height == 4


def test_a_kill_costs_what_was_at_hand(
    space: Workspace, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    space.submit(plain)
    written: list[int] = []
    whole = generation.generate

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(1)
        return whole(*arguments, **options)

    monkeypatch.setattr(generation, "generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        space.run()
    assert count(space, t.Generation) >= 2
    kept = space.query("select seed, sample, text from generated_samples order by seed, sample").rows()
    monkeypatch.setattr(generation, "generate", whole)
    work(space)
    after = space.query("select seed, sample, text from generated_samples where seed is not null").rows()
    assert set(kept) <= set(after)
    assert len(after) == 36


def test_batches_change_no_sample(
    space: Workspace, plain: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = "select seed, language, into_language, sample, text from generated_samples"
    space.submit(plain)
    work(space, max_tokens=8)
    monkeypatch.setenv("SPRACHBUND_DATABASE_URL", "sqlite:///other.db")
    with workspace.init(tmp_path / "other") as other:
        other.submit(plain)
        work(other, max_tokens=4096)
        assert plans(space) != plans(other), "both runs had the same batches: nothing was compared"
        assert set(space.query(columns).rows()) == set(other.query(columns).rows())
        for metric in ("perplexity", "chrf", "repetition"):
            chosen = "select value from side_effects where metric = :metric order by language, into_language"
            one, two = (each.query(chosen, params={"metric": metric})["value"].to_list() for each in (space, other))
            assert one and one == pytest.approx(two)


def plans(space: Workspace) -> set[str]:
    found = space.query("select j.kind, a.batch_plan from job_attempts a join jobs j on j.id = a.job_id")
    return set(found.filter(pl.col("kind").is_in(KINDS))["batch_plan"].drop_nulls())


def test_perplexity_is_what_the_stored_documents_say(measured: Workspace) -> None:
    space = measured
    with reading(space.engine) as connection:
        rows = connection.execute(
            select(
                t.Evaluation.outcomes_tensor,
                t.Artifact.uri,
                t.Artifact.digest,
                t.Metric.name,
                t.Metric.value,
                t.Metric.n_groups,
            )
            .join(t.Artifact, t.Artifact.id == t.Evaluation.outcomes_id)
            .join(t.Metric, t.Metric.evaluation_id == t.Evaluation.id)
            .where(t.Evaluation.measure == "perplexity")
        ).all()
    assert rows
    for tensor, uri, digest, name, value, n_groups in rows:
        kept = load_tensors(space.store.fetch(uri, digest))
        nats, tokens, n_bytes = (kept[f"{tensor}/{each}"] for each in ("nats", "tokens", "bytes"))
        expected = {
            "perplexity": np.exp(nats.sum() / tokens.sum()),
            "bits_per_byte": nats.sum() / n_bytes.sum() / np.log(2),
            "scored_share": 1.0,
            "looks": 1.0,
            "stopped_early": 0.0,
        }
        assert value == pytest.approx(float(expected[name]))
        # The corpus has ten groups of three sentences: those are what the interval resamples.
        assert n_groups == 10


def test_reading_stops_once_the_interval_is_narrow_and_says_what_it_saved(
    space: Workspace, plain: dict[str, Any], tmp_path: Path
) -> None:
    drawn = np.random.default_rng(0)
    lines = [" ".join(f"eng{number}" for number in drawn.integers(0, 30, size=12)) for _ in range(300)]
    (tmp_path / "eng.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    corpus = {"name": "long", "files": {"eng_Latn": str(tmp_path / "eng.txt")}}
    part = {"corpus": corpus, "languages": "eng_Latn", "window": 40, "stride": 20}
    space.submit({**plain, "side_effects": {"perplexity": {**part, "stop": {"half_width": 0.3}}}})
    work(space)
    early = {row["metric"]: row for row in space.query("select * from side_effects").iter_rows(named=True)}
    assert 0 < early["scored_share"]["value"] < 1
    assert early["looks"]["value"] >= 2 and early["stopped_early"]["value"] == 1
    assert early["bits_per_byte"]["n_items"] == round(early["scored_share"]["value"] * 300)
    assert (early["bits_per_byte"]["ci_high"] - early["bits_per_byte"]["ci_low"]) / 2 < 0.35
    space.submit({**plain, "side_effects": {"perplexity": part}}, replace=True)
    work(space)
    whole = {row["metric"]: row for row in space.query("select * from side_effects").iter_rows(named=True)}
    assert whole["scored_share"]["value"] == 1
    assert (whole["looks"]["value"], whole["stopped_early"]["value"]) == (1, 0)
    assert abs(whole["bits_per_byte"]["value"] - early["bits_per_byte"]["value"]) < 0.6


def test_documents_may_be_groups_and_long_enough_ones_only(
    space: Workspace, plain: dict[str, Any], word_corpus: Path
) -> None:
    text = text_of(word_corpus)
    part = {"corpus": text, "languages": ["eng_Latn"], "window": 40, "stride": 20, "documents": "group"}
    space.submit({**plain, "side_effects": {"perplexity": part}})
    work(space)
    assert space.query("select distinct n_items from side_effects").rows() == [(10,)]
    longer = {**part, "documents": "item", "min_characters": 40}
    space.submit({**plain, "side_effects": {"perplexity": longer}}, replace=True)
    work(space)
    (kept,) = space.query("select distinct n_items from side_effects").rows()
    assert 0 < kept[0] < 30
    shorter = {**part, "documents": "item", "max_tokens": 20}
    space.submit({**plain, "side_effects": {"perplexity": shorter}}, replace=True)
    work(space)
    (first,) = space.query("select distinct n_items from side_effects").rows()
    assert 1 <= first[0] <= 6


def test_one_row_per_setting_for_comparisons(measured: Workspace) -> None:
    space = measured
    frame = side_effects(space.engine, "tiny")
    assert frame["setting"].to_list() == ["none", "experts eng_Latn k=12"]
    found = values(space)
    for row in frame.iter_rows(named=True):
        setting = row["setting"]
        # The experiment has one target, so the unsteered setting has its figures too.
        assert row["target_share"] == pytest.approx(found[setting, "language_share", "eng_Latn", None])
        assert row["bits_per_byte"] == pytest.approx(found[setting, "bits_per_byte", "eng_Latn", None])
        both = [found[setting, "bits_per_byte", code, None] for code in ("eng_Latn", "deu_Latn")]
        assert row["mean_bits_per_byte"] == pytest.approx(np.mean(both))
        assert row["mean_bits_per_byte_low"] is None and row["bits_per_byte_low"] <= row["bits_per_byte"]
        pairs = (("deu_Latn", "eng_Latn"), ("eng_Latn", "fra_Latn"))
        assert row["chrf"] == pytest.approx(np.mean([found[setting, "chrf", *pair] for pair in pairs]))
    steered = frame.row(1, named=True)
    assert steered["target_share_delta"] == pytest.approx(steered["target_share"] - frame["target_share"][0])
    assert {f"{column}{part}" for column in COLUMNS for part in PARTS} <= set(frame.columns)
    with pytest.raises(QueryError, match="unknown experiment 'tinny'; did you mean 'tiny'"):
        side_effects(space.engine, "tinny")


def test_samples_are_shown(
    measured: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(measured.root)
    frame = samples(measured.engine, "tiny", "none", 2)
    # Two free ones and two of each pair.
    assert frame.height == 6
    assert frame["into_language"].to_list() == [None, None, "eng_Latn", "eng_Latn", "fra_Latn", "fra_Latn"]
    command.samples("tiny", "none", n=2, as_json=True)
    assert len(json.loads(capsys.readouterr().out)) == 6
    command.samples("tiny", "none", n=1, as_json=False)
    printed = capsys.readouterr().out
    assert "tiny: none" in printed and "deu_Latn to eng_Latn" in printed and "seed 0" in printed
    with pytest.raises(QueryError, match="unknown setting 'noen' of experiment 'tiny'; did you mean 'none'"):
        samples(measured.engine, "tiny", "noen", 2)


def test_nothing_measured_is_no_rows_and_said_so(space: Workspace, plain: dict[str, Any]) -> None:
    space.submit(plain)
    assert side_effects(space.engine, "tiny").height == 0
    with pytest.raises(QueryError, match="no texts"):
        samples(space.engine, "tiny", "none", 2)


def test_controls_and_steered_only_are_choices(space: Workspace, spec: dict[str, Any], asked: dict[str, Any]) -> None:
    part = {"perplexity": asked["perplexity"]}
    with_controls = space.submit({**spec, "side_effects": {**part, "controls": True}}, dry_run=True)
    assert with_controls.new["perplexity"] == 3 * 2
    steered = space.submit({**spec, "side_effects": {**part, "settings": "steered"}}, dry_run=True)
    assert steered.new["perplexity"] == 2


def test_translations_keep_their_items_and_signatures(measured: Workspace) -> None:
    space = measured
    written = space.query(
        "select * from generated_samples where setting = 'none' and into_language = 'eng_Latn' order by sample"
    )
    # The first two items are examples; five are translated.
    assert written["item"].to_list() == [str(number) for number in range(63, 68)]
    with reading(space.engine) as connection:
        kept = (
            connection.execute(select(t.Generation.parameters).where(t.Generation.target_language == "eng_Latn"))
            .scalars()
            .all()
        )
    for parameters in kept:
        assert parameters["shots"] == 2
        assert "version:" in parameters["signatures"]["chrf"] and "tok:13a" in parameters["signatures"]["bleu"]


def test_intervals_of_side_effects_have_the_confidence_asked_for(
    measured: Workspace, spec: dict[str, Any], tmp_path: Path
) -> None:
    statement = "select * from side_effects where setting = 'none'"
    place = ("metric", "language", "into_language")
    usual = {tuple(row[name] for name in place): row for row in measured.query(statement).iter_rows(named=True)}
    with workspace.init(tmp_path / "less") as less:
        less.submit({**spec, "interventions": ["none"], "statistics": {"resamples": 100, "confidence": 0.6}})
        work(less)
        narrower = set()
        for row in less.query(statement).iter_rows(named=True):
            wide = usual[tuple(row[name] for name in place)]
            assert row["value"] == pytest.approx(wide["value"])
            if row["ci_low"] is not None and wide["ci_high"] > wide["ci_low"]:
                assert row["ci_high"] - row["ci_low"] < wide["ci_high"] - wide["ci_low"], row["metric"]
                narrower.add(row["metric"])
    assert {"language_share", "degenerate_share", "perplexity", "bits_per_byte"} <= narrower, narrower
