"""Views of an experiment's jobs: how each stands, and what of the plan is done."""

from sprachbund.db.dead import dead_jobs
from sprachbund.db.views.columns import Column, View
from sprachbund.db.views.setting import setting_columns

JOB_STATUS = View(
    "job_status",
    "One job of an experiment and how it stands; a job that several experiments use has a row in each.",
    (
        """
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN jobs j ON j.id = xj.job_id
LEFT JOIN job_attempts t ON t.job_id = j.id AND t.attempt = j.attempt
LEFT JOIN runners w ON w.id = coalesce(j.runner_id, t.runner_id)
""",
    ),
    (
        Column("experiment", "x.name", "text", "name of the experiment"),
        Column("job", "j.id", "integer", "id of the job"),
        Column("key", "j.key", "text", "content key of the job"),
        Column("kind", "j.kind", "text", "job kind"),
        Column("version", "j.version", "integer", "version of the kind"),
        Column("label", "j.label", "text", "what the job does, for people"),
        Column("model", "j.model", "text", "fingerprint of the model it needs; NULL if none"),
        Column("state", "j.state", "text", "queued, running, done, failed, cancelled"),
        Column(
            "status",
            """CASE
        WHEN j.state <> 'queued' THEN j.state
        WHEN j.id IN (SELECT id FROM dead) THEN 'blocked'
        WHEN j.open_needs > 0 THEN 'waiting'
        ELSE 'ready'
    END""",
            "text",
            "the state, with queued told apart: ready, waiting (for other jobs), blocked (by a failed or cancelled "
            "one)",
        ),
        Column("priority", "j.priority", "integer", "smaller is claimed earlier"),
        Column("attempt", "j.attempt", "integer", "attempts so far"),
        Column("failures", "j.failures", "integer", "attempts that failed"),
        Column("losses", "j.losses", "integer", "attempts whose runner was lost"),
        Column("runner", "w.name", "text", "name of the runner that has or had it last"),
        Column("created_ms", "j.created_ms", "integer", "when it was planned"),
        Column("started_ms", "t.started_ms", "integer", "when the last attempt started"),
        Column("finished_ms", "j.finished_ms", "integer", "when it finished"),
        Column(
            "seconds", "CAST(t.finished_ms - t.started_ms AS DOUBLE PRECISION) / 1000", "real",
            "duration of the last attempt, once it ended",
        ),
        Column("error", "j.error", "text", "the last error"),
    ),
    before=f"WITH RECURSIVE {dead_jobs()}\n",
)  # fmt: skip

_PLANNED = """
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN jobs n ON n.id = xj.job_id
CROSS JOIN JSON_ROWS(n.payload -> 'layers') AS planned_layer(value)
JOIN experiment_layers xl ON xl.experiment_id = x.id AND xl.layer = planned_layer.value
"""

PLANNED_CELLS = View(
    "planned_cells",
    "One cell of an experiment's plan: one layer of one pair or space evaluation, and whether it is there.",
    (
        f"""{_PLANNED}
CROSS JOIN JSON_PARTS(n.payload -> 'pairs') AS planned_pair(value)
WHERE n.kind = 'pair_evaluation' AND NOT EXISTS (
    SELECT 1 FROM foreign_pairs fp WHERE fp.experiment_id = x.id AND fp.job_id = n.id
        AND fp.query_language = planned_pair.value ->> 'first'
        AND fp.candidate_language = planned_pair.value ->> 'second')
""",  # noqa: S608 - our own names
        f"{_PLANNED} WHERE n.kind = 'space_evaluation'",
    ),
    (
        *setting_columns("experiment"),
        Column("kind", "n.kind", "text", "pair_evaluation or space_evaluation"),
        Column(
            "setting_key",
            "n.payload ->> 'setting'",
            "text",
            "content key of the setting, or of its like fitted on a half of the fit text",
        ),
        Column("corpus_key", "n.payload ->> 'corpus'", "text", "content key of the corpus"),
        Column("layer", "xl.layer", "text", "layer of the embeddings (text: 0, 1 … final)"),
        *setting_columns("layer_ordinal"),
        Column("job", "n.id", "integer", "id of the job that computes it"),
        Column("done", "CASE WHEN n.state = 'done' THEN 1 ELSE 0 END", "flag", "1 if it is computed"),
    ),
)


EXPERIMENT_HISTORY = View(
    "experiment_history",
    "One revision of an experiment: what was submitted under its name, by whom, and with which program.",
    (
        """
FROM experiments x
JOIN experiment_revisions r ON r.experiment_id = x.id
""",
    ),
    (
        Column("experiment", "x.name", "text", "name of the experiment"),
        Column("experiment_revision", "r.revision", "integer", "number of the revision, from 1"),
        Column(
            "current", "CASE WHEN r.revision = x.revision THEN 1 ELSE 0 END", "flag",
            "1 if the experiment's plan is of this one",
        ),
        Column("submitted_ms", "r.submitted_ms", "integer", "when it was submitted first"),
        Column("submitted_by", "r.submitted_by", "text", "who, as the system says; NULL if it does not"),
        Column("host", "r.host", "text", "where; NULL if the system does not say"),
        Column("version", "r.version", "text", "version of sprachbund"),
        Column("source", "r.source", "text", "digest of its source (the package sprachbund)"),
        Column("spec_digest", "r.spec_digest", "text", "content key of the spec"),
        Column(
            "plan_digest", "r.plan_digest", "text",
            "content key of what is wanted: models, texts, layers, settings and work",
        ),
        Column("spec", "CAST(r.spec AS TEXT)", "json", "the spec with every default (JSON)"),
        Column(
            "plan", "CAST(r.plan AS TEXT)", "json",
            "the plan in short: what it is of, with content keys, and a digest of all work of each kind (JSON)",
        ),
    ),
)  # fmt: skip


def _cells(name: str, which: str, says: str) -> Column:
    sql = f"(SELECT count(*) FROM planned_cells c WHERE c.experiment = x.name{which})"  # noqa: S608 - our own names
    return Column(name, sql, "integer", says)


def _jobs(name: str, which: str, says: str) -> Column:
    return Column(f"{name}_jobs", f"count(CASE WHEN j.status {which} THEN 1 END)", "integer", says)


def _settings(name: str, which: str, says: str) -> Column:
    sql = f"(SELECT count(*) FROM experiment_settings xs WHERE xs.experiment_id = x.id{which})"  # noqa: S608
    return Column(name, sql, "integer", says)


def _overlap(name: str, says: str) -> Column:
    sql = f"(SELECT sum(CAST(o.value ->> '{name}' AS INTEGER)) FROM JSON_FIELDS(x.audit -> 'overlap') o)"  # noqa: S608
    return Column(f"overlap_{name}", sql, "integer", says)


def _choices(name: str, which: str, says: str) -> Column:
    sql = f"""(SELECT count(*) FROM experiment_jobs xj JOIN choices ch ON ch.job_id = xj.job_id
        WHERE xj.experiment_id = x.id AND ch.control IS NULL{which})"""  # noqa: S608 - our own names
    return Column(name, sql, "integer", says)


EXPERIMENT_AUDIT = View(
    "experiment_audit",
    "One experiment: what was planned, done, failed and chosen, and what was found when it was planned. A cell is a "
    "row of planned_cells.",
    (
        """
FROM experiments x
LEFT JOIN job_status j ON j.experiment = x.name
GROUP BY x.id, x.name
""",
    ),
    (
        Column("experiment", "x.name", "text", "name of the experiment"),
        Column("experiment_revision", "x.revision", "integer", "its revision now: see experiment_history"),
        Column("submitted_ms", "x.submitted_ms", "integer", "when it was submitted last"),
        Column("cancelled", "CASE WHEN x.cancelled THEN 1 ELSE 0 END", "flag", "1 if it was cancelled"),
        _cells("expected_cells", "", "cells that the plan asks for"),
        _cells("done_cells", " AND c.done = 1", "cells computed"),
        _cells("missing_cells", " AND c.done = 0", "cells not computed yet"),
        Column("expected_jobs", "count(j.job)", "integer", "jobs of the plan"),
        _jobs("done", "= 'done'", "jobs done"),
        _jobs("running", "= 'running'", "jobs running"),
        _jobs("queued", "IN ('ready', 'waiting')", "jobs that wait for a runner or for other jobs"),
        _jobs("failed", "= 'failed'", "jobs that failed"),
        _jobs("blocked", "= 'blocked'", "queued jobs that need a failed or cancelled one"),
        _jobs("cancelled", "= 'cancelled'", "jobs cancelled"),
        Column(
            "failures", "coalesce(sum(j.failures), 0)", "integer", "failed attempts, those mended later included"
        ),
        Column("losses", "coalesce(sum(j.losses), 0)", "integer", "attempts whose runner was lost"),
        _settings("n_settings", "", "settings, controls included"),
        _settings("n_controls", " AND xs.control_of_id IS NOT NULL", "controls among them"),
        Column(
            "n_layers", "(SELECT count(*) FROM experiment_layers xl WHERE xl.experiment_id = x.id)", "integer",
            "layers",
        ),
        _overlap(
            "texts", "texts that two roles share, found when planning; NULL if fewer than two roles"
        ),
        _overlap("groups", "groups (documents) that two roles share; NULL if fewer than two roles"),
        Column("overlap", "x.audit ->> 'overlap'", "json", "both per pair of roles (JSON)"),
        Column(
            "dropped", "x.audit ->> 'dropped'", "json",
            "items left out when the corpora were read, per role and corpus (JSON)",
        ),
        Column(
            "n_numerics",
            """(SELECT count(DISTINCT s.dtype || '/' || s.attention) FROM experiment_settings xs
        JOIN settings s ON s.id = xs.setting_id WHERE xs.experiment_id = x.id)""",
            "integer",
            "different numerics among the settings: more than one makes settings incomparable",
        ),
        Column(
            "numerics",
            """(SELECT JOIN_TEXT(n.numerics, ', ') FROM (
        SELECT DISTINCT s.dtype || '/' || s.attention AS numerics FROM experiment_settings xs
        JOIN settings s ON s.id = xs.setting_id WHERE xs.experiment_id = x.id
        ORDER BY 1) n)""",
            "text",
            "the numerics",
        ),
        Column(
            "n_environments",
            """(SELECT count(DISTINCT CAST(t.environment AS TEXT)) FROM experiment_jobs xj
        JOIN job_attempts t ON t.job_id = xj.job_id
        WHERE xj.experiment_id = x.id AND t.outcome = 'done')""",
            "integer",
            "different environments in which the done jobs ran",
        ),
        _choices("n_choices", "", "choices made on the select role"),
        _choices("tied_choices", " AND ch.tied", "choices among them that were ties"),
        Column(
            "undecided_groups",
            """(SELECT count(DISTINCT xs.choice_key) FROM experiment_settings xs
        WHERE xs.experiment_id = x.id AND NOT EXISTS (
            SELECT 1 FROM experiment_jobs xj JOIN choices ch ON ch.job_id = xj.job_id
            JOIN experiment_settings xc ON xc.experiment_id = x.id AND xc.setting_id = ch.setting_id
            WHERE xj.experiment_id = x.id AND ch.control IS NULL AND xc.choice_key = xs.choice_key))""",
            "integer",
            "groups of competing settings without a choice yet",
        ),
        Column(
            "choices",
            """(SELECT JOIN_TEXT(n.choice, '; ') FROM (
        SELECT xs.label || ' at ' || ch.layer AS choice FROM experiment_jobs xj
        JOIN choices ch ON ch.job_id = xj.job_id
        JOIN experiment_settings xs ON xs.experiment_id = x.id AND xs.setting_id = ch.setting_id
        WHERE xj.experiment_id = x.id AND ch.control IS NULL
        ORDER BY 1) n)""",
            "text",
            "the choices: setting at layer",
        ),
    ),
)  # fmt: skip
