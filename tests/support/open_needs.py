"""Open needs counted anew from states and edges, the slow way."""

from sqlalchemy import Engine, select

from sprachbund.db.engine import reading
from sprachbund.db.tables import Job, JobEdge


def open_needs(engine: Engine) -> tuple[dict[int, int], dict[int, int]]:
    """By job: the number that stands in its row, and the one that follows from the definition."""
    with reading(engine) as connection:
        rows = connection.execute(select(Job.id, Job.state, Job.open_needs)).all()
        edges = connection.execute(select(JobEdge.job_id, JobEdge.needs_id, JobEdge.soft)).all()
    states = {row.id: row.state for row in rows}
    hard: dict[int, set[int]] = {}
    for job, needed, soft in edges:
        if not soft:
            hard.setdefault(job, set()).add(needed)

    def lost(job: int) -> bool:
        if states[job] == "queued":
            return any(lost(needed) for needed in hard.get(job, ()))
        return states[job] in ("failed", "cancelled")

    expected = dict.fromkeys(states, 0)
    for job, needed, soft in edges:
        expected[job] += states[needed] != "done" and not (soft and lost(needed))
    return {row.id: row.open_needs for row in rows}, expected
