"""Jobs that will not come: what failed or was cancelled, and queued jobs that wait for such a one, near or far."""
# ruff: noqa: S608 - the text is put together of fixed parts


def dead_jobs(among: str = "jobs AS job", where: str = "", *, causes: bool = False) -> str:
    """The recursive expression `dead (id)`; with `causes` it is `dead (id, cause)`, a row for each job that failed.

    among, where: what `job` is, and which of it, of the jobs that failed. A soft need passes nothing on.
    """
    columns, first, passed = ("id, cause", ", job.id", ", dead.cause") if causes else ("id", "", "")
    return f"""dead ({columns}) AS (
        SELECT job.id{first} FROM {among} WHERE job.state IN ('failed', 'cancelled'){f" AND {where}" if where else ""}
        UNION
        SELECT job.id{passed} FROM dead JOIN job_edges AS edge ON edge.needs_id = dead.id
            JOIN jobs AS job ON job.id = edge.job_id
        WHERE NOT edge.soft AND job.state = 'queued'
    )"""
