"""Comparisons and what they are rendered as, against the numbers that were put in."""

import csv
import io
import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from statistics import fmean

import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console
from sqlalchemy import insert, select, text

from sprachbund.db import tables as t
from sprachbund.db.engine import writing
from sprachbund.errors import QueryError
from sprachbund.report import rendering
from sprachbund.report.tables import layout
from sprachbund.results import comparison as results
from sprachbund.results import query
from sprachbund.results.frames import frames
from sprachbund.results.verdict import verdicts

OTHER, STEERED = "experts fra_Latn k=10", "experts fra_Latn k=20"
SEEDS = [f"random:profile seed={seed} of {STEERED}" for seed in range(3)]
VARIANT = f"random:profile of {STEERED}"


def one(frame: pl.DataFrame, **cell) -> dict:
    found = frame.filter(*(pl.col(name) == value for name, value in cell.items()))
    assert found.height == 1, found
    return found.row(0, named=True)


@pytest.fixture
def comparison(database):
    return results.compare(database.engine, "made")


def test_levels_differences_and_tests(database, comparison):
    made = database.made
    assert comparison.missing == []
    assert comparison.layers == ("0", "1", "10", "final")
    assert comparison.metrics[0] == "top1"
    assert {"mrr", "paired_distance", "unpaired_distance", "distance_gap", "spread"} <= set(comparison.metrics)
    for label in ("none", "experts fra_Latn k=10", STEERED, "centring"):
        for layer in comparison.layers:
            row = one(comparison.rows, setting=label, layer=layer, metric="top1")
            value = made.macro("test", label, "top1", layer)
            assert row["value"] == pytest.approx(value)
            assert row["n_pairs"] == 12
            assert row["chosen"] == made.chosen(label, layer)
            if label == "none":
                assert row["delta"] is None
                assert row["q"] is None
                continue
            delta = value - made.macro("test", "none", "top1", layer)
            assert row["delta"] == pytest.approx(delta)
            stored = database.stored("test", label, "top1", layer)
            for name in ("ci_low", "ci_high", "delta_ci_low", "delta_ci_high", "p"):
                assert row[name] == getattr(stored, name) is not None
            # The steered settings edit from block 1 on: at layer 0 they cannot differ.
            kind = "transforms" if label == "centring" else None if layer == "0" else "steered"
            assert row["family_kind"] == stored.family_kind == kind
            assert (row["q"], row["threshold"]) == (stored.q, stored.threshold)
            assert (row["q"] is None) == (row["detectable"] is None) == (kind is None)
            assert (row["unit"], row["n_groups"], row["item_degrees"]) == ("group", stored.n_groups, 5)
            assert row["ci_low"] < value < row["ci_high"]
            assert row["delta_ci_low"] < delta < row["delta_ci_high"]
            centring = made.macro("test", "centring", "top1", layer)
            expected = None if label == "centring" else pytest.approx(value - centring)
            assert row["delta_centring"] == expected
    untested = one(comparison.rows, setting=STEERED, layer="0", metric="paired_distance")
    assert untested["value"] == pytest.approx(made.macro("test", STEERED, "paired_distance", "0"))
    assert untested["q"] is None
    spread = one(comparison.rows, setting=STEERED, layer="0", metric="spread")
    languages = [value for key, value in made.truth.items() if key[:4] == ("test", STEERED, "spread", "0")]
    assert spread["value"] == pytest.approx(fmean(languages))


def test_controls_are_one_row_per_variant_after_their_setting(database, comparison):
    made = database.made
    assert comparison.rows["setting"].unique(maintain_order=True).to_list() == [
        "none", "experts fra_Latn k=10", STEERED, VARIANT, "centring",
    ]  # fmt: skip
    for layer in comparison.layers:
        seeds = [made.macro("test", seed, "top1", layer) for seed in SEEDS]
        value = made.macro("test", STEERED, "top1", layer)
        row = one(comparison.rows, setting=VARIANT, layer=layer, metric="top1")
        assert row["kind"] == "control"
        assert row["n_seeds"] == 3
        assert (row["value"], row["value_low"], row["value_high"]) == pytest.approx(
            (fmean(seeds), min(seeds), max(seeds))
        )
        assert row["delta"] == pytest.approx(fmean(seeds) - made.macro("test", "none", "top1", layer))
        beside = one(comparison.controls, setting=STEERED, layer=layer, metric="top1")
        assert beside["delta"] == pytest.approx(value - fmean(seeds))
        assert beside["p"] == pytest.approx((1 + sum(seed >= value for seed in seeds)) / 4)


def test_differences_from_another_setting_have_no_borrowed_interval(database):
    made = database.made
    found = results.compare(database.engine, "made", vs="experts fra_Latn k=10", layer=1)
    row = one(found.rows, setting=STEERED, layer="1", metric="top1")
    value, other = (made.macro("test", label, "top1", "1") for label in (STEERED, "experts fra_Latn k=10"))
    assert row["baseline_setting"] == "experts fra_Latn k=10"
    assert row["delta"] == pytest.approx(value - other)
    assert row["delta_ci_low"] is None
    assert row["q"] is None
    stored = database.stored("test", STEERED, "top1", "1")
    assert row["ci_low"] == stored.ci_low is not None
    assert found.detail_layers == ("1",)
    same = results.compare(database.engine, "made", vs="none", layer=1)
    assert one(same.rows, setting=STEERED, layer="1", metric="top1")["q"] == stored.q is not None


@pytest.mark.parametrize("scope", ["target_query", "target_candidate", "without_target"])
def test_scopes(database, scope):
    found = results.compare(database.engine, "made", scope=scope)
    assert found.missing == []
    assert set(found.rows["target"]) == {"fra_Latn"}
    row = one(found.rows, setting=STEERED, layer="10", metric="top1")
    assert row["value"] == pytest.approx(database.made.macro("test", STEERED, "top1", "10", scope))
    assert row["q"] == database.stored("test", STEERED, "top1", "10", scope).q is not None


def test_by_pair_query_and_target(database):
    made = database.made
    pairs = results.compare(database.engine, "made", by=("setting", "pair"))
    cell = {"layer": "0", "metric": "top1", "query_language": "deu_Latn", "candidate_language": "fra_Latn"}
    row = one(pairs.rows, setting=STEERED, **cell)
    truth = [made.truth["test", label, "top1", "0", "deu_Latn", "fra_Latn"] for label in (STEERED, "none", *SEEDS)]
    assert (row["value"], row["delta"], row["n_pairs"]) == pytest.approx((truth[0], truth[0] - truth[1], 1))
    control = one(pairs.rows, setting=VARIANT, **cell)
    assert (control["value"], control["value_low"]) == pytest.approx((fmean(truth[2:]), min(truth[2:])))
    queries = results.compare(database.engine, "made", by=("query",))
    row = one(queries.rows, setting="none", layer="0", metric="top1", query_language="deu_Latn")
    own = [value for key, value in made.truth.items() if key[:5] == ("test", "none", "top1", "0", "deu_Latn")]
    assert row["value"] == pytest.approx(fmean(own))
    targets = results.compare(database.engine, "made", by=("target",))
    assert targets.rows["target"].unique(maintain_order=True).to_list() == [None, "fra_Latn"]


def test_by_pair_has_the_intervals_and_tests_of_the_views(copy):
    """Made-up ranks have ties, and so no test of a pair: one is put in."""
    cell = {"layer": "0", "metric": "top1", "query_language": "deu_Latn", "candidate_language": "fra_Latn"}
    where = (
        "experiment = 'made' AND role = 'test' AND setting = :setting AND layer = :layer AND metric = :metric "
        "AND query_language = :query_language AND candidate_language = :candidate_language"
    )
    result = select(t.PairResult.id).join(t.Evaluand).join(t.Corpus).where(
        t.Evaluand.setting_id == copy.made.ids[STEERED], t.PairResult.layer == "0", t.Corpus.split == "test split",
        t.PairResult.query_language == "deu_Latn", t.PairResult.candidate_language == "fra_Latn",
    )  # fmt: skip
    with writing(copy.engine) as connection:
        job = copy.made.ids[f"comparison test {STEERED}"]
        number = connection.execute(result).scalar_one()
        connection.execute(
            insert(t.PairTest).values(result_id=number, job_id=job, only_setting=5, only_baseline=0, p=0.0625)
        )
    sql = f"SELECT ci_low, ci_high, p, q FROM retrieval_results WHERE {where}"  # noqa: S608 - fixed
    low, high, p, q = query.run(copy.engine, sql, {"setting": STEERED, **cell}).row(0)
    found = results.compare(copy.engine, "made", layer=0, by=("pair",))
    row = one(found.rows, setting=STEERED, **cell)
    assert (row["ci_low"], row["ci_high"], row["p"], row["q"]) == (low, high, p, q)
    assert p == 0.0625 and low < row["value"] < high
    table = layout(found)[1]
    assert {"top1", "interval", "Δ baseline", "p"} <= set(table.columns)
    # What says nothing of any pair is not shown.
    assert not {"q", "detectable", "languages and items", "median Δ"} & set(table.columns)
    # Tests are of the setting's own baseline.
    other = one(
        results.compare(copy.engine, "made", vs="centring", layer=0, by=("pair",)).rows, setting=STEERED, **cell
    )
    assert (other["ci_low"], other["p"]) == (low, None)


def test_chance_is_that_of_the_pairs_of_the_scope(make_sqlite):
    """Levels of a random ranking follow from the candidates' texts, here each other than the next."""
    made = make_sqlite()
    plain = results.compare(made.engine, "made", layer=0)
    assert one(plain.rows, setting=STEERED, metric="top1")["chance"] == pytest.approx(1 / 6)
    assert one(plain.rows, setting=STEERED, metric="mrr")["chance"] == pytest.approx(fmean(1 / r for r in range(1, 7)))
    assert one(plain.rows, setting=STEERED, metric="paired_distance")["chance"] is None
    levels = {"deu_Latn": 0.1, "eng_Latn": 0.2, "fra_Latn": 0.4, "jpn_Jpan": 0.8}
    with made.engine.begin() as connection:
        for language, level in levels.items():
            connection.execute(
                text("UPDATE corpus_texts SET chance = :chance WHERE language = :language"),
                {"chance": json.dumps({"top1": level}), "language": language},
            )
    rest = ["deu_Latn", "eng_Latn", "jpn_Jpan"]
    expected = {
        "all": fmean(levels.values()), "target_candidate": levels["fra_Latn"],
        "target_query": fmean(levels[each] for each in rest), "without_target": fmean(levels[each] for each in rest),
    }  # fmt: skip
    for scope, level in expected.items():
        found = results.compare(made.engine, "made", layer=0, scope=scope)
        shown = found.rows.filter(pl.col("metric") == "top1", pl.col("target").is_not_null())["chance"]
        assert shown.to_list() == [pytest.approx(level)] * shown.len()
    pairs = results.compare(made.engine, "made", layer=0, by=("pair",)).rows
    assert {(row["candidate_language"], row["chance"]) for row in pairs.iter_rows(named=True)} == set(levels.items())
    queries = results.compare(made.engine, "made", layer=0, by=("query",)).rows
    assert one(queries, setting=STEERED, query_language="jpn_Jpan")["chance"] == pytest.approx(0.7 / 3)
    assert "chance (a random ranking): .1 to .8" in rendering.to_markdown(
        results.compare(made.engine, "made", by=("pair",))
    )


def test_chosen_layers_are_looked_at(comparison):
    assert (comparison.detail_layers, comparison.layer_reason) == (("final",), "chosen on the select role")


def test_without_a_choice_the_best_layer_is_said_to_be_picked(make_sqlite):
    unchosen = make_sqlite()
    found = results.compare(unchosen.engine, "made")
    means = {
        layer: fmean(unchosen.made.macro("test", label, "top1", layer) for label in ("experts fra_Latn k=10", STEERED))
        for layer in found.layers
    }
    assert found.detail_layers == (max(means, key=means.__getitem__),)
    assert "not chosen beforehand" in found.layer_reason


def test_what_failed_is_left_out_and_said(make_sqlite):
    """A mean over fewer pairs than the others' would look comparable: the row goes, with a line that says why."""
    failed = [("test", "centring", ("deu_Latn", "eng_Latn")), ("test", SEEDS[1], ("eng_Latn", "fra_Latn"))]
    database = make_sqlite(failed=failed)
    found = results.compare(database.engine, "made")
    jobs = {label: database.made.ids[f"pair test {label} {' '.join(pair)}"] for _, label, pair in failed}
    assert found.missing == [
        f"row '{SEEDS[1]}' left out: job {jobs[SEEDS[1]]} ({SEEDS[1]} on book eng_Latn and 2 others) failed: it broke",
        f"row 'centring' left out: job {jobs['centring']} (centring on book deu_Latn and 3 others) failed: it broke",
        "q-values are adjusted over the rows that are there",
        "pair_evaluation: 2 jobs are not done (2 failed)",
    ]
    assert found.rows["setting"].unique(maintain_order=True).to_list() == ["none", OTHER, STEERED, VARIANT]
    assert set(found.rows.filter(pl.col("setting") == VARIANT, pl.col("metric") == "top1")["n_seeds"]) == {2}
    stored = database.stored("test", STEERED, "top1", "1")
    # Settings × layers but 0; without centring, which has a family of its own anyway.
    assert (stored.family_kind, stored.family_size) == ("steered", 2 * 3)
    row = one(found.rows, setting=STEERED, layer="1", metric="top1")
    assert row["value"] == pytest.approx(database.made.macro("test", STEERED, "top1", "1"))
    assert row["q"] == stored.q is not None
    assert one(results.compare(database.engine, "made", role="select").rows, setting="centring", layer="1",
               metric="top1")["q"] is not None  # fmt: skip


def test_cells_that_are_not_there_yet_are_named(make_sqlite):
    made = make_sqlite()
    with made.engine.begin() as connection:
        jobs = [number for name, number in made.made.ids.items() if name == "pair test centring deu_Latn eng_Latn"]
        connection.execute(text("UPDATE jobs SET state = 'queued' WHERE id = :id"), {"id": jobs[0]})
        connection.execute(text("DELETE FROM pair_results WHERE job_id = :id"), {"id": jobs[0]})
    found = results.compare(made.engine, "made")
    assert found.missing == [
        *(f"centring, layer {layer}, top1 on book: 6 of 12 pairs" for layer in ("0", "1", "10", "final")),
        "pair_evaluation: 1 jobs are not done (1 ready)",
    ]


def test_nothing_done_yet_is_all_missing(make_sqlite):
    languages = ("deu_Latn", "eng_Latn", "fra_Latn")
    made = make_sqlite(languages=languages, roles=("test",))
    with made.engine.begin() as connection:
        connection.execute(text("DELETE FROM experiment_jobs"))
    found = results.compare(made.engine, "made")
    assert len(found.missing) == 7 * 4
    assert found.rows.height == 0
    assert rendering.to_markdown(found).count("missing:") == 21
    assert frames(made.engine, "made").scan().collect().height == 0
    assert frames(made.engine, "made").scan().collect().schema["value"] == pl.Float64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "top_1"}, "unknown metric 'top_1'; did you mean 'top1'"),
        ({"layer": 7}, "unknown layer '7'; expected one of 0, 1, 10, final"),
        (
            {"vs": "expert fra_Latn k=20"},
            "unknown setting 'expert fra_Latn k=20' of experiment 'made'; did you mean 'experts fra_Latn k=20'",
        ),
        ({"role": "tset"}, "unknown role 'tset'; did you mean 'test'"),
        ({"scope": "al"}, "unknown scope 'al'; did you mean 'all'"),
        ({"by": ("pairs",)}, "unknown by 'pairs'; did you mean 'pair'"),
        ({"experiment": "mode"}, "unknown experiment 'mode'; did you mean 'made'"),
    ],
)
def test_unknown_words_get_the_nearest(database, changes, message):
    with pytest.raises(QueryError) as caught:
        results.compare(database.engine, **{"experiment": "made", **changes})
    assert str(caught.value).startswith(message)


def test_console_markdown_and_latex_show_the_numbers(database, comparison):
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(rendering.console(comparison))
    shown = {
        "console": console.export_text(),
        "markdown": rendering.render(comparison, "markdown"),
        "latex": rendering.render(comparison, "latex"),
    }
    value = f"{database.made.macro('test', STEERED, 'top1', 'final'):.3f}".lstrip("0")
    for form, page in shown.items():
        assert f" {value}*" in page, form
        assert "random:profile" in page
        assert "chosen on the select role" in page
        for layer in comparison.layers:
            each = database.made.macro("test", "none", "top1", layer)
            mark = "*" if database.made.chosen("none", layer) else " "
            assert f" {each:.3f}{mark}".replace(" 0.", " .") in page
    assert shown["latex"].count(r"\toprule") == shown["latex"].count(r"\bottomrule") == 4
    assert r"paired\_distance" in shown["latex"]
    assert "Δ" not in shown["latex"]
    tables = [part.splitlines() for part in shown["markdown"].split("\n\n") if part.startswith("|")]
    assert len(tables) == 4
    assert all(len({line.count("|") for line in table}) == 1 for table in tables)


def test_the_range_of_controls_is_no_interval(comparison):
    table = next(each for each in layout(comparison) if "range of controls" in each.columns)
    for row, control in zip(table.rows, table.controls, strict=True):
        interval, reach = row[table.columns.index("interval")], row[table.columns.index("range of controls")]
        assert (interval, reach).count("–") == 1 and (reach != "–") == control
    for form in ("markdown", "latex"):
        assert "range of controls" in rendering.render(comparison, form)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_comparison_fits_the_terminal(comparison, width):
    """Blocks repeat the settings, no word is broken, and every number is there."""
    long = "experts 日本語 eng_Latn top_and_bottom k=100 average_precision median"
    names = pl.col("setting").replace({STEERED: long})
    wide = replace(
        comparison, rows=comparison.rows.with_columns(names), layers=(*comparison.layers, *map(str, range(20, 52)))
    )
    console = Console(width=width, file=io.StringIO())
    console.print(rendering.console(wide), soft_wrap=True)
    lines = console.file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    shown = Counter(" ".join(lines).split())
    for table in layout(wide):
        for cell in (cell for row in table.rows for cell in row[table.labels :]):
            assert set(cell.split()) <= shown.keys()
    for word in ("top_and_bottom", "average_precision", "k=100", "random:profile"):
        # Once in every block: two tables at least are cut into several.
        assert shown[word] >= 5
    heads = [line for line, rule in pairwise(lines) if rule.startswith("───")]
    assert all(line.startswith(("setting", " ")) for line in heads)


def test_the_verdict_comes_first_in_every_form(comparison):
    said = [line for each in verdicts(comparison) for line in each.lines]
    assert len(said) == 3 and said[0].endswith(".") and STEERED in said[0] and "chosen on the select role" in said[0]
    assert rendering.to_markdown(comparison).startswith("".join(f"- {line}\n" for line in said))
    assert json.loads(rendering.to_json(comparison))["verdict"][0]["lines"] == said
    assert rendering.to_latex(comparison).startswith("% ")
    console = Console(width=300, file=io.StringIO())
    console.print(rendering.console(comparison))
    assert console.file.getvalue().splitlines()[:3] == said


def test_csv_and_json_hold_every_row(comparison):
    found = list(csv.DictReader(io.StringIO(rendering.render(comparison, "csv"))))
    assert len(found) == comparison.rows.height
    content = json.loads(rendering.render(comparison, "json"))
    assert len(content["rows"]) == comparison.rows.height
    assert content["metric"] == "top1"
    assert content["missing"] == []
    assert len(content["controls"]) == comparison.controls.height > 0
    with pytest.raises(QueryError, match="unknown form 'xml'"):
        rendering.render(comparison, "xml")


def test_a_baseline_is_averaged_over_the_pairs_of_the_setting(make_sqlite):
    """Where a metric is undefined of some pairs, differences are of the others, as in the views."""
    made = make_sqlite()
    with made.engine.begin() as connection:
        undefined = text(
            "UPDATE pair_results SET mrr = NULL WHERE query_language = 'deu_Latn' AND evaluand_id IN "
            "(SELECT id FROM evaluands WHERE setting_id = :id)"
        )
        connection.execute(undefined, {"id": made.made.ids[STEERED]})
        connection.execute(text("DELETE FROM comparisons"))
    found = results.compare(made.engine, "made", metric="mrr", layer="final")
    row = found.rows.filter(pl.col("setting") == STEERED, pl.col("metric") == "mrr").row(0, named=True)
    after, before = (made.made.pairs("test", label, "mrr", "final") for label in (STEERED, "none"))
    there = [pair for pair in after if pair[0] != "deu_Latn"]
    assert row["n_pairs"] == len(there) == 9
    assert row["value"] == pytest.approx(fmean(after[pair] for pair in there))
    assert row["baseline"] == pytest.approx(fmean(before[pair] for pair in there))
