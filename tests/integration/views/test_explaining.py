"""Differences of settings, explanations of numbers, ratios, fronts and reports on the made experiment."""

import json
from dataclasses import replace

import polars as pl
import pytest
from scipy import stats
from sqlalchemy import text

from sprachbund.cli.compare import print_pareto
from sprachbund.errors import QueryError
from sprachbund.measures import MEASURES, RATIO_FLOOR
from sprachbund.report import document, sections
from sprachbund.report.pareto import pareto_plot
from sprachbund.results import comparison as results
from sprachbund.results import diff as results_diff
from sprachbund.results import number as results_explain
from sprachbund.results import pareto as results_pareto
from sprachbund.results import side_effects as results_side_effects

STEERED, OTHER = "experts fra_Latn k=20", "experts fra_Latn k=10"


@pytest.fixture(scope="module")
def comparison(database):
    return results.compare(database.engine, "made", layer="final")


def test_the_fields_that_differ_and_no_others(database):
    found = results_diff.diff(database.engine, OTHER, STEERED)
    assert {each.field: (each.a, each.b) for each in found.fields} == {"intervention.k": (10, 20)}
    assert found.n_equal > 5
    same = results_diff.diff(database.engine, STEERED, found.b.key[:12], "made")
    assert same.fields == ()
    transformed = results_diff.diff(database.engine, "none", "centring", "made")
    assert {each.field for each in transformed.fields} == {"setting.transform", "setting.transform.corpus"}
    with pytest.raises(QueryError, match=r"unknown setting .experts fra_Latn k=1.*did you mean"):
        results_diff.diff(database.engine, "experts fra_Latn k=1", "none", "made")
    with pytest.raises(QueryError, match="unknown experiment 'mad'; did you mean 'made'"):
        results_diff.diff(database.engine, "none", "none", "mad")


def test_medians_ratios_and_detectable_differences_stand_beside_gains(database, comparison):
    for row in comparison.rows.filter(pl.col("kind") == "setting").iter_rows(named=True):
        if row["metric"] == "top1" and row["setting"] == STEERED:
            assert row["population_low"] <= row["mean_gain"] <= row["population_high"]
            # Four languages.
            assert (row["median_low"], row["median_high"]) == (None, None)
            assert row["n_gaining"] <= row["n_pairs"]
            stored = database.stored("test", STEERED, "top1", row["layer"])
            # Six groups; all differ, so that nothing is said of three in n.
            assert (stored.item_degrees, stored.n_differing) == (5, 6)
            if row["layer"] == "0":
                assert row["detectable"] is None
            else:
                # The least of the family: two settings at three layers, none of which is found.
                steps = stats.t.ppf(1 - 0.05 / 6 / 2, 5) + stats.t.ppf(0.8, 5)
                assert row["detectable"] == pytest.approx(max(3 / 6, steps * stored.item_error))
        if row["baseline"] is None or row["baseline"] < RATIO_FLOOR or row["metric"] == "distance_gap":
            assert row["ratio"] is None
        else:
            assert row["ratio"] == pytest.approx(row["value"] / row["baseline"])
            tested = row["method"] != "none" or row["transform"] != "none"
            if tested and row["metric"] in ("top1", "mrr"):
                assert row["ratio_ci_low"] < row["ratio"] < row["ratio_ci_high"]
    against = results.compare(database.engine, "made", vs="centring")
    assert against.rows["median_gain"].null_count() == against.rows.height


def test_a_number_is_explained_by_row_and_by_name(database, comparison):
    labels = list(results_explain.lines_of(comparison))
    by_name = results_explain.explain_number(database.engine, comparison, STEERED)
    assert results_explain.explain_number(database.engine, comparison, str(labels.index(STEERED) + 1)) == by_name
    parts = {heading: dict(facts) for heading, facts in by_name.parts.items()}
    made = database.made
    assert parts["number"]["value"] == pytest.approx(made.macro("test", STEERED, "top1", "final"))
    pairs = {number for name, number in made.ids.items() if name.startswith(f"pair test {STEERED} ")}
    assert set(parts["computed from"]["jobs"]) == pairs and parts["computed from"]["evaluations"] == 12
    assert parts["compared"]["job"] == made.ids[f"comparison test {STEERED}"]
    assert "a family of 6" in parts["compared"]["q"]
    assert "where its family finds, p <= 0.00833" in parts["compared"]["detectable"]
    assert "Student's t (5 degrees of freedom" in parts["compared"]["interval"]
    assert parts["compared"]["median Δ"].endswith("languages resampled: no interval")
    row = comparison.rows.filter(
        pl.col("setting") == STEERED, pl.col("metric") == "top1", pl.col("layer") == "final"
    ).row(0, named=True)  # fmt: skip
    assert f"p {row['population_p']:.4g}" in parts["compared"]["languages and items"]
    control = results_explain.explain_number(database.engine, comparison, f"random:profile of {STEERED}")
    assert len(dict(control.parts["number"])["keys"]) == 3 and "compared" not in control.parts
    assert dict(control.parts["computed from"])["evaluations"] == 3 * 12
    for row, message in (("0", "does not exist"), ("99", "does not exist"), ("nome", "did you mean 'none'")):
        with pytest.raises(QueryError, match=message):
            results_explain.explain_number(database.engine, comparison, row)


def with_effects(comparison, **columns):
    schema = comparison.side_effects.schema
    lines = results_explain.lines_of(comparison)
    rows = [
        {"setting": label, "setting_key": lines[label].setting_key, "target": "fra_Latn",
         **{name: values[place] for name, values in columns.items()}}
        for place, label in enumerate((OTHER, STEERED))
    ]  # fmt: skip
    return replace(comparison, side_effects=pl.DataFrame(rows, schema=schema))


def test_the_front_is_of_gain_share_and_cost_with_the_unsteered_model_in_it(database, comparison):
    assert comparison.side_effects.is_empty()
    with pytest.raises(QueryError, match="add side_effects"):
        results_pareto.pareto(comparison)
    measured = with_effects(
        comparison, target_share=[0.5, 0.9], target_share_baseline=[0.1, 0.1], perplexity=[30.0, 40.0],
        perplexity_baseline=[20.0, 20.0],
    )  # fmt: skip
    found = results_pareto.pareto(measured)
    assert found.objectives == {"gain": "higher", "target_share": "higher", "perplexity": "lower"}
    rows = {row["setting"]: row for row in found.rows.iter_rows(named=True)}
    assert set(rows) == {"none", OTHER, STEERED}
    assert (rows["none"]["gain"], rows["none"]["perplexity"], rows["none"]["target_share"]) == (0.0, 20.0, 0.1)
    points = {name: (row["gain"], row["target_share"], -row["perplexity"]) for name, row in rows.items()}
    for name, point in points.items():
        beaten = any(
            all(a >= b for a, b in zip(other, point, strict=True)) and other != point for other in points.values()
        )
        assert rows[name]["front"] == (not beaten)
    figure = pareto_plot(found)
    assert "perplexity" in figure.axes[0].get_xlabel()
    # Nobody takes the layer for one chosen beforehand where it was not.
    assert found.layer_reason == comparison.layer_reason
    assert f"layer {found.layer}: {found.layer_reason}" in figure.axes[0].get_title()


def test_a_front_shows_intervals_and_marks_what_overlaps_with_it(comparison, capsys):
    """Both settings gain the same; the second costs a little more than the first."""
    level = pl.col("setting").is_in([OTHER, STEERED]) & (pl.col("metric") == "top1")

    def found_with(gain_half, cost_half):
        rows = comparison.rows.with_columns(
            pl.when(level).then(value).otherwise(name).alias(name)
            for name, value in (("delta", 0.2), ("delta_ci_low", 0.2 - gain_half), ("delta_ci_high", 0.2 + gain_half))
        )
        effects = {"perplexity": [30.0, 31.0], "perplexity_delta": [10.0, 11.0], "perplexity_baseline": [20.0, 20.0]}
        effects |= {"perplexity_delta_low": [each - cost_half for each in (10.0, 11.0)]}
        effects |= {"perplexity_delta_high": [each + cost_half for each in (10.0, 11.0)]}
        return results_pareto.pareto(with_effects(replace(comparison, rows=rows), **effects))

    for halves, mark in (((0.1, 0.0), True), ((0.0, 0.8), True), ((0.0, 0.4), False), ((0.0, 0.0), False)):
        of = {row["setting"]: row for row in found_with(*halves).rows.iter_rows(named=True)}
        assert (of[OTHER]["front"], of[STEERED]["front"], of["none"]["front"]) == (True, False, True)
        assert (of[STEERED]["maybe"], of[OTHER]["maybe"]) == (mark, False)
        ends = of[STEERED]["perplexity_low"], of[STEERED]["gain_low"]
        assert ends == pytest.approx((31 - halves[1], 0.2 - halves[0]))
        assert of["none"]["gain_low"] == of["none"]["gain_high"] == 0 and of["none"]["perplexity_low"] == 20
    found = found_with(0.1, 0.4)
    assert "pale ones may be" in pareto_plot(found).axes[0].get_title()
    print_pareto(found, as_json=False, out=None)
    printed = capsys.readouterr().out
    assert "0.2000 (0.1000 … 0.3000)" in printed and "? may be on the front" in printed


def test_a_front_says_where_its_layer_was_picked(database, comparison, capsys):
    effects = {"target_share": [0.5, 0.9], "target_share_baseline": [0.1, 0.1]}
    reason = "best on the reported text itself, not chosen beforehand"
    found = results_pareto.pareto(with_effects(replace(comparison, layer_reason=reason), **effects))
    print_pareto(found, as_json=False, out=None)
    assert f"layer {found.layer}: {reason}" in capsys.readouterr().out
    print_pareto(found, as_json=True, out=None)
    assert json.loads(capsys.readouterr().out)["layer_reason"] == reason


def test_side_effects_stand_in_the_tables(comparison):
    from sprachbund.report import tables

    assert not any("side effects" in table.title for table in tables.layout(comparison))
    shown = tables.layout(with_effects(comparison, bits_per_byte=[1.5, 1.75], bits_per_byte_delta=[0.25, 0.5]))[-1]
    assert shown.columns == ("setting", "bits_per_byte")
    assert shown.rows == ((OTHER, "1.500 (+.250)"), (STEERED, "1.750 (+.500)"))
    intervals = {"bits_per_byte_delta_low": [0.2, None], "bits_per_byte_delta_high": [0.3, None]}
    effects = {"bits_per_byte": [1.5, 1.75], "bits_per_byte_delta": [0.25, 0.5], **intervals}
    assert tables.layout(with_effects(comparison, **effects))[-1].rows[0] == (OTHER, "1.500 (+.250: +.200 … +.300)")
    assert set(results_side_effects.COLUMNS) >= {"bits_per_byte"}


def test_a_report_has_its_sections_and_loads_nothing(database):
    page = document.report(database.engine, "made", layer="1")
    for heading in ("What was run", "Settings compared", "Gains over language pairs", "Controls", "Experiment file"):
        assert f">{heading}</h2>" in page
    assert "<svg" in page and "towards fra_Latn" in page
    assert "<script" not in page and "src=" not in page
    # Nothing was measured, so nothing is said.
    assert ">Side effects</h2>" not in page
    with pytest.raises(QueryError, match="unknown layer"):
        document.report(database.engine, "made", layer="17")


def test_a_report_says_how_many_settings_it_does_not_draw(database, monkeypatch):
    """Also of a target of which none is drawn."""
    monkeypatch.setattr(sections, "MOST_DRAWN", 0)
    page = document.report(database.engine, "made", layer="1")
    assert "towards fra_Latn" in page
    assert "2 more settings: view retrieval_results." in page
    monkeypatch.setattr(sections, "MOST_DRAWN", 24)
    assert "more settings: view retrieval_results." not in document.report(database.engine, "made", layer="1")


def test_a_number_is_of_the_version_that_made_it(make_sqlite):
    """Also where this program has a later one."""
    made = make_sqlite()
    with made.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE jobs SET payload = json_set(payload, '$.measures.retrieval', 1) WHERE kind = 'pair_evaluation'"
            )
        )
    comparison = results.compare(made.engine, "made", layer="final")
    found = results_explain.explain_number(made.engine, comparison, STEERED)
    assert MEASURES["retrieval"].version != 1
    assert dict(found.parts["definition"])["measure"].startswith("retrieval, version 1:")
