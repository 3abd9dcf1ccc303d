"""The views against the numbers that were put in, on both engines."""

import json
from dataclasses import replace
from statistics import fmean

import polars as pl
import pytest
from sqlalchemy import insert, text
from sqlalchemy import inspect as inspect_database

from sprachbund.db import tables as t
from sprachbund.db.views import VIEWS, create_views, drop_views
from sprachbund.db.views.columns import Column
from sprachbund.errors import QueryError
from sprachbund.results import query
from sprachbund.results.frames import frames
from sprachbund.results.reader import read_view, typed

STEERED = "experts fra_Latn k=20"
SEED = f"random:profile seed=1 of {STEERED}"
SIDE = {True: {True: "both", False: "query"}, False: {True: "candidate", False: "neither"}}


STORED = {"integer": {int}, "flag": {int}, "real": {float}, "text": {str}, "json": {str}}
# psycopg's codes: int4, int8; float8; text, varchar.
CODES = {"integer": {20, 23}, "flag": {20, 23}, "real": {701}, "text": {25, 1043}, "json": {25, 1043}}
DTYPES = {"integer": pl.Int64, "flag": pl.Int64, "real": pl.Float64, "text": pl.String, "json": pl.String}


@pytest.mark.parametrize("name", VIEWS)
def test_columns_have_the_names_and_types_they_declare(database, name):
    view = VIEWS[name]
    with database.engine.connect() as connection:
        cursor = connection.exec_driver_sql(f"SELECT * FROM {name}").cursor  # noqa: S608 - our own names
        found, rows = cursor.description, cursor.fetchall()
    assert [column[0] for column in found] == view.names
    for place, column in enumerate(view.columns):
        if database.engine.dialect.name == "postgresql":
            # The engine itself says so, of no rows too.
            assert found[place][1] in CODES[column.type], column.name
        values = {row[place] for row in rows} - {None}
        assert {type(value) for value in values} <= STORED[column.type], column.name
        assert column.type != "flag" or values <= {0, 1}, column.name
        if column.type == "json":
            assert all(json.loads(value) is not None for value in values), column.name


@pytest.mark.parametrize("name", VIEWS)
def test_frames_are_typed_whatever_the_rows(database, name):
    schema = {column.name: DTYPES[column.type] for column in VIEWS[name].columns}
    for experiment in ("made", "no such experiment"):
        frame = read_view(database.engine, name, "experiment = :x", {"x": experiment})
        assert dict(frame.schema) == schema
    assert frame.is_empty()


def test_a_column_is_added_in_one_place(engine, monkeypatch):
    view = VIEWS["trained_languages"]
    columns = (*view.columns, Column("n_texts", "count(*)", "integer", "texts in this language"))
    monkeypatch.setitem(VIEWS, view.name, view := replace(view, columns=columns))
    with engine.begin() as connection:
        drop_views(connection)
        create_views(connection)
    frame = read_view(engine, view.name, "experiment = :x", {"x": "made"})
    assert frame.schema["n_texts"] == pl.Int64
    assert "| `n_texts` | integer | texts in this language |" in view.markdown()
    with pytest.raises(QueryError, match=r"unknown column 'n_text'; did you mean 'n_texts'"):
        read_view(engine, view.name, "experiment = :x", {"x": "made"}, ("n_text",))


def test_a_frame_cannot_have_a_column_that_its_view_does_not_list():
    with pytest.raises(KeyError, match="other"):
        typed(pl.DataFrame({"other": [1]}), "retrieval_results")
    assert typed(pl.DataFrame({"other": [1]}), "retrieval_results", {"other": "real"}).schema["other"] == pl.Float64


def test_retrieval_results_show_exactly_the_plan_with_baselines(database):
    truth = database.made.truth
    frame = frames(database.engine, "made").scan().collect()
    expected = {key: value for key, value in truth.items() if key[2] in ("top1", "mrr")}
    assert frame.height == len(expected)
    for row in frame.iter_rows(named=True):
        setting = database.made.setting(row["setting"])
        pair = (row["query_language"], row["candidate_language"])
        key = (row["role"], row["setting"], row["metric"], row["layer"], *pair)
        assert row["value"] == expected[key]
        assert row["split"] == f"{row['role']} split"
        assert row["target"] == setting.target
        assert row["k"] == setting.k
        assert (row["control"], row["seed"], row["control_of"]) == (setting.control, setting.seed, setting.control_of)
        assert row["numerics"] == "float32/eager"
        assert (row["corpus"], row["pooling"], row["tokens"]) == ("book", "mean", "content")
        assert row["p"] is None
        assert row["chosen"] == int(database.made.chosen(row["setting"], row["layer"]))
        if setting.label == "none":
            assert row["baseline"] is None
            assert row["delta"] is None
            assert row["target_side"] is None
        else:
            assert row["baseline_setting"] == "none"
            assert row["baseline"] == truth[(row["role"], "none", *key[2:])]
            assert row["delta"] == pytest.approx(row["value"] - row["baseline"])
        if setting.target:
            assert row["target_side"] == SIDE[pair[0] == setting.target][pair[1] == setting.target]


def test_rows_come_in_the_order_of_settings_and_layers(database):
    frame = frames(database.engine, "made").scan().collect()
    order = list(zip(frame["setting_ordinal"], frame["layer_ordinal"], frame["role"], strict=True))
    assert order == sorted(order)
    assert frame["layer"].unique(maintain_order=True).to_list() == ["0", "1", "10", "final"]


def test_alignment_results_of_pairs_languages_and_the_space(database):
    truth = database.made.truth
    frame = frames(database.engine, "made", "alignment").scan().collect()
    expected = {key: value for key, value in truth.items() if key[2] not in ("top1", "mrr")}
    assert frame.height == len(expected)
    shapes = set()
    for row in frame.iter_rows(named=True):
        sides = (row["query_language"], row["candidate_language"])
        key = (row["role"], row["setting"], row["metric"], row["layer"], *sides)
        assert row["value"] == expected[key]
        if row["setting"] != "none":
            assert row["baseline"] == expected[(row["role"], "none", *key[2:])]
        if sides == (None, None):
            assert row["target_side"] is None
        shapes.add((row["measure"], sides[0] is None, sides[1] is None))
    assert shapes == {("distances", False, False), ("spread", False, True), ("space", True, True)}


def test_setting_and_control_comparison(database):
    made = database.made
    frame = query.run(
        database.engine,
        "SELECT * FROM setting_comparison WHERE experiment = 'made' AND role = 'test' AND metric = 'top1'",
    )
    # Those with a target in four scopes, the baseline itself and centring in one.
    assert frame.height == 4 * (4 * 5 + 2)
    for row in frame.iter_rows(named=True):
        value = made.macro("test", row["setting"], "top1", row["layer"], row["scope"])
        assert row["value"] == pytest.approx(value)
        assert row["delta"] == pytest.approx(value - row["baseline"])
        assert (row["baseline_setting"], row["pooling"], row["tokens"]) == ("none", "mean", "content")
        controlled = row["setting"] == STEERED
        assert (row["control_p"] is not None) == controlled
        assert row["n_control_variants"] == int(controlled)
    controls = query.run(
        database.engine,
        "SELECT * FROM control_comparison WHERE experiment = 'made' AND role = 'test' AND metric = 'top1' "
        "AND scope = 'all' AND layer = '1'",
    ).row(0, named=True)
    seeds = [
        made.macro("test", f"random:profile seed={seed} of experts fra_Latn k=20", "top1", "1") for seed in range(3)
    ]
    assert controls["baseline"] == pytest.approx(fmean(seeds))
    assert controls["control_low"] == pytest.approx(min(seeds))
    assert controls["control_high"] == pytest.approx(max(seeds))
    assert controls["control"] == "random:profile"
    assert controls["delta"] == pytest.approx(controls["value"] - fmean(seeds))


def test_audit_counts_cells_failures_and_what_they_block(make):
    """A snapshot that failed blocks what embeds it, but not the comparison, which goes on without the row."""
    database = make(failed=[("test", "centring", ("deu_Latn", "eng_Latn"))], choose=True)
    made = database.made
    with database.engine.begin() as connection:
        pair = made.ids[f"pair test {SEED} deu_Latn eng_Latn"]
        snapshot = connection.execute(
            text("SELECT min(needs_id) FROM job_edges WHERE job_id = :pair"), {"pair": pair}
        ).scalar_one()
        for state, job in (("failed", snapshot), ("queued", pair)):
            connection.execute(text("UPDATE jobs SET state = :state WHERE id = :job"), {"state": state, "job": job})
        n_jobs = connection.execute(text("SELECT count(*) FROM experiment_jobs")).scalar_one()
    audit = query.run(database.engine, "SELECT * FROM experiment_audit").row(0, named=True)
    # 7 settings on test and, since controls choose too, on select × (6 pairs + the space) × 4 layers; the fifth layer
    # of the jobs is not ours.
    assert audit["expected_cells"] == 2 * 7 * 7 * 4
    # Two jobs of German's three pairs.
    assert audit["missing_cells"] == 2 * 3 * 4
    assert audit["done_cells"] == audit["expected_cells"] - 2 * 3 * 4
    assert (audit["expected_jobs"], audit["failed_jobs"], audit["blocked_jobs"]) == (n_jobs, 2, 1)
    assert audit["done_jobs"] == audit["expected_jobs"] - 3
    assert audit["queued_jobs"] == 0
    assert audit["failures"] == 1
    assert (audit["n_settings"], audit["n_controls"], audit["n_layers"]) == (7, 3, 4)
    assert (audit["overlap_texts"], audit["overlap_groups"]) == (7, 1)
    assert (audit["n_numerics"], audit["numerics"]) == (1, "float32/eager")
    assert (audit["n_choices"], audit["undecided_groups"]) == (3, 0)
    assert (audit["experiment_revision"], audit["cancelled"]) == (2, 0)
    assert audit["n_environments"] == 1
    status = query.run(database.engine, "SELECT * FROM job_status WHERE status <> 'done' ORDER BY kind, job, status")
    assert sorted(status["status"].to_list()) == ["blocked", "failed", "failed"]
    assert set(status["error"].to_list()) == {None, "it broke"}


def test_groups_without_a_choice_are_counted(make):
    database = make()
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE experiment_settings SET choice_key = 'a' WHERE baseline_id IS NULL"))
    audit = query.run(database.engine, "SELECT * FROM experiment_audit").row(0, named=True)
    assert (audit["n_choices"], audit["undecided_groups"], audit["choices"]) == (0, 1, None)


def test_audit_names_the_choices(database):
    audit = query.run(database.engine, "SELECT * FROM experiment_audit").row(0, named=True)
    assert audit["choices"] == "centring at final; experts fra_Latn k=20 at final; none at final"
    assert (audit["n_choices"], audit["tied_choices"], audit["undecided_groups"]) == (3, 0, 0)


def test_settings_are_those_of_the_plan(database):
    made = database.made
    frame = read_view(database.engine, "planned_settings", "experiment = :x ORDER BY setting_ordinal", {"x": "made"})
    assert frame["setting"].to_list() == [each.label for each in made.settings]
    assert frame["control_of"].to_list() == [each.control_of for each in made.settings]
    assert frame["baseline_setting"].to_list() == [None if each.label == "none" else "none" for each in made.settings]
    assert frame["k"].to_list() == [each.k for each in made.settings]
    key = frame.filter(setting="none")["setting_key"].item()
    assert set(frame.filter(pl.col("setting") != "none")["baseline_key"]) == {key}
    key = frame.filter(setting=STEERED)["setting_key"].item()
    assert set(frame.filter(control="random:profile")["control_of_key"]) == {key}


def test_choices_are_the_best_of_their_groups(database):
    made = database.made
    found = read_view(database.engine, "chosen_settings", "experiment = :x ORDER BY setting_ordinal", {"x": "made"})
    columns = ("choice", "setting", "layer", "metric", "n_candidates", "tied")
    # Of the experts two settings compete, at four layers.
    assert found.select(columns).rows() == [
        ("tiny none", "none", "final", "top1", 4, 0),
        ("tiny experts fra_Latn auroc", STEERED, "final", "top1", 8, 0),
        ("tiny none centring", "centring", "final", "top1", 4, 0),
    ]
    for row in found.iter_rows(named=True):
        assert row["value"] == pytest.approx(made.macro("select", row["setting"], "top1", row["layer"]))


def test_two_experiments_do_not_mix(make):
    make(name="made")
    other = make(name="other", seed=1, roles=("test",))
    frame = frames(other.engine, "other").scan().collect()
    assert set(frame["experiment"]) == {"other"}
    assert frame.height == len([key for key in other.made.truth if key[2] in ("top1", "mrr")])
    assert frame["baseline"].null_count() == frame.filter(frame["setting"] == "none").height


def test_expert_overlap(copy):
    database = copy
    with database.engine.begin() as connection:
        model = connection.execute(text("SELECT id FROM models")).scalar_one()
        job = database.made.ids["comparison test none"]
        artifact = connection.execute(
            insert(t.Artifact).values(digest="d", store="main", uri="a", n_bytes=1, state="present", created_ms=1)
        ).inserted_primary_key[0]
        common = {
            "job_id": job, "model_id": model, "scorer": "auroc", "scorer_version": 1, "negatives": [],
            "sites": ["mlp.up", "mlp.down"], "pooling": "max", "tokens": "content", "n_units": 1000,
            "n_positives": 5, "n_negatives": 5, "token_count_auroc": 0.5, "artifact_id": artifact,
        }  # fmt: skip
        sets = [
            connection.execute(
                insert(t.ExpertSet).values(key=str(number) * 40, target=target, **common)
            ).inserted_primary_key[0]
            for number, target in enumerate(("deu_Latn", "fra_Latn"))
        ]
        connection.execute(
            insert(t.ExpertOverlap).values(
                expert_set_id=sets[0], other_set_id=sets[1], k=100, job_id=job, shared=25, jaccard=1 / 7,
                tied_at_cut=3,
            )
        )  # fmt: skip
    row = query.run(database.engine, "SELECT * FROM expert_overlap").row(0, named=True)
    assert (row["target"], row["other_target"], row["k"], row["shared"]) == ("deu_Latn", "fra_Latn", 100, 25)
    assert row["score_site"] == '["mlp.up", "mlp.down"]'
    assert row["k_fraction"] == pytest.approx(0.1)
    assert row["expected_shared"] == pytest.approx(10.0)


def test_views_can_be_dropped_and_created_again(engine):
    with engine.begin() as connection:
        drop_views(connection)
    assert not set(inspect_database(engine).get_view_names()) & set(VIEWS)
    with engine.begin() as connection:
        drop_views(connection)
        create_views(connection)
    assert set(inspect_database(engine).get_view_names()) >= set(VIEWS)


def test_an_experiment_filter_reads_no_table_as_a_whole(sqlite_engine):
    """EXPLAIN guard: the big tables are reached by index from the experiment's jobs."""
    big = ("evaluations", "metrics", "experiment_jobs", "comparisons", "expert_units")
    aliases = {"e", "r", "xj", "c", "b", "br", "j", "u", "a"}
    for name in (
        *("retrieval_results", "alignment_results", "setting_comparison", "gain_summary", "distance_correlations"),
        *("benchmark_scores", "top_units", "job_status"),
    ):
        with sqlite_engine.connect() as connection:
            plan = connection.execute(
                text(f"EXPLAIN QUERY PLAN SELECT * FROM {name} WHERE experiment = 'x'")  # noqa: S608
            ).all()
        scans = [row[3] for row in plan if row[3].startswith("SCAN")]
        assert plan
        for scan in scans:
            assert scan.split()[1] not in aliases | set(big), (name, scan)
