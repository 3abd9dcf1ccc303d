"""What is known of a text enters the keys of what depends on it: sentences of passes, groups of intervals, labels of
what asks for them."""

import polars as pl
import pytest

from sprachbund.planning.blueprint import draw_up
from sprachbund.planning.resolve import resolve
from sprachbund.spec.experiment import parse
from sprachbund.work.kinds import KINDS

PASSES = {kind.name for kind in KINDS.values() if kind.needs_model}


@pytest.fixture
def table(tmp_path):
    """Test text with a topic and an article of every sentence, and fit text; unrelated in their words."""
    for role in ("fit", "test"):
        rows = [
            {"item": f"{role}{item}", "language": language, "text": f"{role} {language} words {item}",
             "topic": "law" if item % 2 else "art", "article": f"{item // 2}"}
            for item in range(6)
            for language in ("eng_Latn", "deu_Latn", "fra_Latn")
        ]  # fmt: skip
        pl.DataFrame(rows).write_parquet(tmp_path / f"{role}.parquet")
    return tmp_path


def subjects(folder, columns, **more):
    """(kind, subject) of every want of a small steering experiment whose test text has these columns.

    What is done pair by pair is told by the pairs' keys.
    """
    content = {
        "name": "x",
        "models": ["phrasebook-bloom"],
        "corpora": {"fit": "fit.parquet", "test": {"path": "test.parquet", "columns": columns}},
        "targets": ["en"],
        "interventions": [
            "none",
            "centring",
            {"method": "experts", "k": 5, "edit": "linear_act", "fit": "incremental"},
        ],
        "side_effects": {
            "perplexity": {"corpus": {"path": "test.parquet", "columns": columns}},
            "translation": {
                "corpus": {"path": "test.parquet", "columns": columns},
                "pairs": [["en", "de"]],
                "shots": 1,
            },
        },
        **more,
    }
    resolved = resolve(parse(content), folder)
    drawn = draw_up(resolved.spec, [model.plan for model in resolved.models], resolved.plan_corpora())
    return {
        (want.kind.name, key)
        for want in drawn.wants
        for key in ([pair.key for pair in want.payload.pairs] if want.kind.starred else [want.subject])
    }


def test_a_label_named_later_makes_nothing_anew(table):
    assert subjects(table, {"labels": ["topic"]}) == subjects(table, {})


def test_geometry_reads_no_labels(table):
    asked = {"evaluations": {"geometry": True}}
    assert subjects(table, {"labels": ["topic"]}, **asked) == subjects(table, {}, **asked)


def test_what_asks_for_a_label_is_all_that_is_new(table):
    probed = subjects(table, {"labels": ["topic"]}, evaluations={"probes": [{"label": "topic"}]})
    new = probed - subjects(table, {})
    assert {kind for kind, _ in new} == {"probe", "difference"}


def test_a_group_named_later_runs_no_model_for_embeddings(table):
    grouped, plain = subjects(table, {"group": "article"}), subjects(table, {})
    changed = {kind for kind, _ in grouped ^ plain}
    # Perplexity's interval draws documents while it reads.
    assert changed & PASSES == {"perplexity"}
    assert {"pair_evaluation", "comparison"} <= changed


def test_another_sentence_makes_its_passes_anew(table):
    before = subjects(table, {})
    frame = pl.read_parquet(table / "test.parquet")
    changed = (
        pl.when((pl.col("item") == "test3") & (pl.col("language") == "deu_Latn")).then(pl.lit("new")).otherwise("text")
    )
    frame.with_columns(text=changed).write_parquet(table / "test.parquet")
    new = subjects(table, {}) - before
    # German once for each setting that has snapshots of its own, and what needs them.
    assert sum(kind == "snapshot" for kind, _ in new) == 2
    assert sum(kind == "unit_statistics" for kind, _ in new) == 0
    # Of three pairs two have German in them: of no edits, centred, and steered.
    assert sum(kind == "pair_evaluation" for kind, _ in new) == 3 * 2
