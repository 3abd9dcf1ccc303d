"""A view of attempts at jobs: on what hardware, how long, and how they ended."""

from sprachbund.db.views.columns import Column, View

# A runner does one job after the other, of a bundle that it claimed at once: what an attempt took by itself is the time
# since the runner's attempt before ended. What was lost has no end that is known.
_TIMED = """
    SELECT t.*, max(t.finished_ms) OVER (
        PARTITION BY t.runner_id ORDER BY t.finished_ms, t.job_id, t.attempt
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_ms
    FROM job_attempts t WHERE t.finished_ms IS NOT NULL AND t.outcome <> 'lost'
"""


def _recorded(name: str, says: str) -> Column:
    return Column(name, f"t.environment ->> '{name}'", "text", f"{says}; NULL unless done")


ATTEMPTS = View(
    "attempts",
    "One attempt at a job of an experiment: who ran it, on what, for how long and how it ended.",
    (
        f"""
FROM experiments x
JOIN experiment_jobs xj ON xj.experiment_id = x.id
JOIN jobs j ON j.id = xj.job_id
JOIN job_attempts t ON t.job_id = j.id
JOIN runners w ON w.id = t.runner_id
LEFT JOIN ({_TIMED}) b ON b.job_id = t.job_id AND b.attempt = t.attempt
""",
    ),
    (
        Column("experiment", "x.name", "text", "name of the experiment"),
        Column("job", "j.id", "integer", "id of the job"),
        Column("kind", "j.kind", "text", "job kind"),
        Column("label", "j.label", "text", "what the job does, for people"),
        Column("model", "j.model", "text", "fingerprint of the model it needs; NULL if none"),
        Column("attempt", "t.attempt", "integer", "number of the attempt, from 1"),
        Column("outcome", "t.outcome", "text", "running, done, failed, lost, released"),
        Column("runner", "w.name", "text", "name of the runner"),
        Column("host", "w.host", "text", "machine that the runner is on"),
        Column("started_ms", "t.started_ms", "integer", "when the runner claimed it, with others of its bundle"),
        Column("finished_ms", "t.finished_ms", "integer", "when it ended"),
        Column(
            "seconds",
            """CAST(b.finished_ms - CASE WHEN b.before_ms > b.started_ms THEN b.before_ms ELSE b.started_ms END
        AS DOUBLE PRECISION) / 1000""",
            "real",
            "what it took by itself: since the runner's attempt before ended, so that seconds add up to a runner's "
            "busy time; NULL while running and if lost",
        ),
        _recorded("device", "cpu, or the accelerator's name"),
        _recorded("machine", "processor architecture"),
        Column("threads", "CAST(t.environment ->> 'threads' AS INTEGER)", "integer", "threads of torch"),
        _recorded("python", "version of Python"),
        _recorded("sprachbund", "version of this program"),
        _recorded("torch", "version of torch"),
        _recorded("transformers", "version of transformers"),
        Column("environment", "CAST(t.environment AS TEXT)", "json", "all that was recorded of it"),
        Column(
            "truncated_texts", "coalesce(CAST(t.environment ->> 'truncated_texts' AS INTEGER), 0)", "integer",
            "texts that were cut to the model's limit",
        ),
        Column("batch_plan", "t.batch_plan", "text", "digest of the batches, where a model ran"),
        Column("error", "t.error", "text", "why it failed or was given up"),
    ),
)  # fmt: skip
