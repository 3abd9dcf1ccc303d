"""Views over language pairs and experts, against the numbers that were put in."""

import itertools
from collections.abc import Iterator
from statistics import fmean, median

import pytest
from sqlalchemy import insert, select, text, update

from sprachbund.db import tables as t
from sprachbund.results import query

STEERED = "experts fra_Latn k=20"


def rows(engine, sql, **params):
    return query.run(engine, sql, params).to_dicts()


def test_gain_summaries_are_medians_over_pairs(database):
    made = database.made
    found = rows(
        database.engine,
        "SELECT * FROM gain_summary WHERE experiment = 'made' AND role = 'test' AND setting = :s AND metric = 'top1'",
        s=STEERED,
    )
    assert {(row["layer"], row["scope"]) for row in found} == set(
        itertools.product(made.layers, ("all", "target_query", "target_candidate", "without_target"))
    )
    for row in found:
        if row["scope"] != "all":
            continue
        after, before = (made.pairs("test", label, "top1", row["layer"]) for label in (STEERED, "none"))
        gains = [after[pair] - before[pair] for pair in after]
        assert row["median_gain"] == pytest.approx(median(gains))
        assert (row["least_gain"], row["greatest_gain"]) == pytest.approx((min(gains), max(gains)))
        assert row["n_gaining"] == sum(gain > 0 for gain in gains)
        assert row["n_pairs"] == 12
        assert row["baseline_setting"] == "none"
        assert (row["edit"], row["selection"], row["target"], row["k"]) == ("set", "top", "fra_Latn", 20)
        assert row["chosen"] == (row["layer"] == "final")
    labels = {row["setting"] for row in rows(database.engine, "SELECT DISTINCT setting FROM gain_summary")}
    assert labels == {"experts fra_Latn k=10", STEERED, "centring"}


def ranked(connection):
    """Key of the expert set that the planned settings select units from."""
    return connection.execute(
        select(t.InterventionInput.input_key)
        .join(t.Intervention, t.Intervention.id == t.InterventionInput.intervention_id)
        .where(t.InterventionInput.role == "select", t.Intervention.control.is_(None))
        .distinct()
    ).scalar_one()


@pytest.fixture
def with_space(copy) -> Iterator:
    """The made experiment with distances of a target, and the ranked units that its experts were chosen from."""
    database = copy
    made = database.made
    with database.engine.begin() as connection:
        job = made.ids[f"comparison test {STEERED}"]
        spaces = connection.execute(
            text(
                "SELECT e.id, e.setting_id, e.layer, e.measure, e.query_language FROM evaluations e "
                "JOIN experiment_corpora xc ON xc.corpus_id = e.corpus_id AND xc.role = 'test' "
                "WHERE e.measure IN ('space', 'spread') AND e.layer = '1'"
            )
        ).all()
        values = {"deu_Latn": 0.2, "eng_Latn": 0.3, "fra_Latn": 0.4, "jpn_Jpan": 0.7}
        for row in spaces:
            if row.measure == "spread" and row.setting_id == made.ids["none"]:
                put(connection, row.id, to_medoid_of_others=values[row.query_language])
            if row.measure == "space" and row.setting_id == made.ids[STEERED]:
                put(connection, row.id, target_to_medoid=0.11, others_to_medoid=0.12, others_to_target=0.13)
        artifact = connection.execute(
            insert(t.Artifact)
            .values(digest="d" * 64, store="main", uri="d", n_bytes=1, state="present", created_ms=0)
            .returning(t.Artifact.id)
        ).scalar_one()
        model = connection.execute(text("SELECT id FROM models")).scalar_one()
        expert_set = connection.execute(
            insert(t.ExpertSet)
            .values(
                key=ranked(connection), job_id=job, model_id=model, target="fra_Latn", scorer="auroc", scorer_version=1,
                negatives=["deu_Latn"], sites=["mlp.up"], pooling="max", tokens="content", n_units=64, n_positives=9,
                n_negatives=9, token_count_auroc=0.5, artifact_id=artifact,
            )
            .returning(t.ExpertSet.id)
        ).scalar_one()  # fmt: skip
        connection.execute(
            insert(t.ExpertUnit),
            [
                {"expert_set_id": expert_set, "rank": rank, "block": 1 + rank % 3, "site": "mlp.up", "unit": rank,
                 "score": 1 - rank / 100, "effect": 1.0, "p": 0.01 * rank, "minimum_auroc": 0.5,
                 "pooled_mean": 0.25, "token_mean": 0.125}
                for rank in range(1, 41)
            ],
        )  # fmt: skip
    return database


def put(connection, evaluation_id, **metrics):
    connection.execute(
        insert(t.Metric),
        [{"evaluation_id": evaluation_id, "name": name, "value": value} for name, value in metrics.items()],
    )


def test_correlations_show_what_was_stored(database):
    made = database.made
    found = rows(database.engine, "SELECT * FROM distance_correlations WHERE experiment = 'made' AND role = 'test'")
    with database.engine.connect() as connection:
        stored = connection.execute(
            select(t.Correlation.__table__).where(t.Correlation.role == "test", t.Correlation.layer != "2")
        ).all()
    assert len(found) == len(stored) > 0
    columns = (
        "layer",
        "accuracy",
        "distance",
        "y",
        "x",
        "n_pairs",
        "n_languages",
        "value",
        "ci_low",
        "ci_high",
        "slope",
    )
    ids = {number: label for label, number in made.ids.items()}
    shown = {(row["setting"], *(row[name] for name in columns)) for row in found}
    assert shown == {(ids[row.setting_id], *(getattr(row, name) for name in columns)) for row in stored}
    assert {row["setting"] for row in found} == {"experts fra_Latn k=10", STEERED, "centring"}
    assert {row["baseline_setting"] for row in found} == {"none"}


def test_distance_table_has_before_and_after(with_space):
    made = with_space.made
    (row,) = rows(
        with_space.engine,
        "SELECT * FROM distance_table WHERE experiment = 'made' AND role = 'test' AND layer = '1' AND setting = :s",
        s=STEERED,
    )
    truth = {label: made.truth["test", label, "all_pairs_distance", "1", None, None] for label in ("none", STEERED)}
    assert (row["all_pairs_before"], row["all_pairs_after"]) == pytest.approx((truth["none"], truth[STEERED]))
    assert (row["target_to_medoid_before"], row["target_to_medoid_after"]) == pytest.approx((0.4, 0.11))
    assert (row["others_to_medoid_before"], row["others_to_medoid_after"]) == pytest.approx(
        ((0.2 + 0.3 + 0.7) / 3, 0.12)
    )
    centroids = made.pairs("test", "none", "centroid_distance", "1")
    with_target = fmean(value for pair, value in centroids.items() if "fra_Latn" in pair)
    assert (row["to_target_before"], row["to_target_after"]) == pytest.approx((with_target, 0.13))
    labels = rows(with_space.engine, "SELECT DISTINCT setting FROM distance_table WHERE experiment = 'made'")
    assert "none" not in {each["setting"] for each in labels}


@pytest.mark.parametrize(
    "other",
    [
        {"selection": "per_block"},
        {"method": "intersection"},
        {"edit_site": "mlp.down"},
        {"parameters": {"blocks": [1, 2]}},
        {"control": "random_units"},
    ],
)
def test_experts_that_no_setting_edits_are_not_shown(with_space, other):
    with with_space.engine.begin() as connection:
        connection.execute(update(t.Intervention).where(t.Intervention.k == 10).values(**other))
    found = rows(with_space.engine, "SELECT DISTINCT k FROM expert_layers WHERE experiment = 'made'")
    assert [row["k"] for row in found] == [20]


def test_experts_of_a_set_that_a_setting_was_not_made_of_are_not_shown(with_space):
    with with_space.engine.begin() as connection:
        of = select(t.Intervention.id).where(t.Intervention.k == 10)
        connection.execute(
            update(t.InterventionInput)
            .where(t.InterventionInput.intervention_id.in_(of), t.InterventionInput.role == "select")
            .values(input_key="f" * 40)
        )
    found = rows(with_space.engine, "SELECT DISTINCT k FROM expert_layers WHERE experiment = 'made'")
    assert [row["k"] for row in found] == [20]


def test_experts_are_counted_by_block_for_every_k_in_use(with_space):
    found = rows(with_space.engine, "SELECT * FROM expert_layers WHERE experiment = 'made' ORDER BY k, block")
    assert {row["k"] for row in found} == {10, 20}
    for row in found:
        ranks = [rank for rank in range(1, row["k"] + 1) if 1 + rank % 3 == row["block"]]
        assert row["experts"] == len(ranks)
        assert row["share"] == pytest.approx(len(ranks) / row["k"])
        assert row["mean_score"] == pytest.approx(fmean(1 - rank / 100 for rank in ranks))
        assert row["least_score"] == pytest.approx(1 - max(ranks) / 100)


def test_top_units_say_where_they_are_and_how_they_respond(with_space):
    found = rows(with_space.engine, "SELECT * FROM top_units WHERE experiment = 'made' ORDER BY rank")
    assert [row["rank"] for row in found] == list(range(1, 41))
    row = found[1]
    with with_space.engine.connect() as connection:
        key = ranked(connection)
    assert (row["target"], row["scorer"], row["expert_set_key"]) == ("fra_Latn", "auroc", key)
    assert (row["block"], row["site"], row["unit"], row["score"]) == (3, "mlp.up", 2, 0.98)
    assert (row["effect"], row["p"], row["minimum_auroc"]) == (1.0, 0.02, 0.5)
    assert (row["pooled_mean"], row["token_mean"]) == (0.25, 0.125)
    assert (row["n_positives"], row["n_negatives"], row["negatives"]) == (9, 9, '["deu_Latn"]')
    assert (row["n_units"], row["token_count_auroc"]) == (64, 0.5)
