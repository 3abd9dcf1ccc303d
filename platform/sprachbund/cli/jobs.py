"""`sprachbund jobs`."""

from typing import Annotated

import typer
from sqlalchemy import select

from sprachbund import workspace
from sprachbund.cli.output import Json, Wide, print_json, print_table
from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.db.names import find_experiment
from sprachbund.db.tables.work import JOB_STATES
from sprachbund.errors import QueryError, nearest
from sprachbund.work.kinds import KINDS


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(jobs)


def jobs(
    experiment: Annotated[str | None, typer.Argument(help="Of which experiment; default: all.")] = None,
    state: Annotated[str | None, typer.Option(help=f"One of {', '.join(JOB_STATES)}.")] = None,
    kind: Annotated[str | None, typer.Option(help="One job kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 50,
    as_json: Json = False,
    wide: Wide = False,
) -> None:
    """List jobs, newest first, with the error of failed ones.

    Example: sprachbund jobs --state failed
    """
    for value, known, option in ((state, JOB_STATES, "--state"), (kind, KINDS, "--kind")):
        if value is not None and value not in known:
            raise QueryError(f"{option}: found '{value}', expected one of {', '.join(known)}{nearest(value, known)}")
    found = workspace.open()
    statement = select(
        t.Job.id, t.Job.state, t.Job.kind, t.Job.label, t.Job.attempt, t.Job.failures, t.Job.losses, t.Job.error
    ).order_by(t.Job.id.desc())
    if state is not None:
        statement = statement.where(t.Job.state == state)
    if kind is not None:
        statement = statement.where(t.Job.kind == kind)
    with reading(found.engine) as connection:
        if experiment is not None:
            statement = statement.join(t.ExperimentJob, t.ExperimentJob.job_id == t.Job.id).where(
                t.ExperimentJob.experiment_id == find_experiment(connection, experiment)
            )
        rows = connection.execute(statement.limit(limit)).all()
    if as_json:
        print_json([dict(row._mapping) for row in rows])
        return
    columns = ["id", "state", "kind", "label", "attempt", "failures", "losses", "error"]
    print_table(columns, rows, wide=wide, labels=2, leaving=["attempt", "losses", "failures"])
