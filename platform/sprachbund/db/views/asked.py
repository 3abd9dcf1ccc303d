"""Which evaluations are an experiment's: those of its jobs, less the pairs of a shared job that it did not ask for."""

from string import Template

_ASKED = Template(
    """NOT EXISTS (
        SELECT 1 FROM foreign_pairs fp WHERE fp.experiment_id = x.id AND fp.job_id = $of.job_id
            AND fp.query_language = $of.query_language AND fp.candidate_language = $of.candidate_language)"""
)
_PLANNED = Template(
    "EXISTS (SELECT 1 FROM experiment_jobs pj WHERE pj.experiment_id = x.id AND pj.job_id = $of.job_id)\n    AND $asked"
)


def asked(of: str) -> str:
    """SQL: the experiment `x`, whose job made the evaluation `of`, asked for its pair."""
    return _ASKED.substitute(of=of)


def planned(of: str) -> str:
    """SQL: the evaluation `of` is one of the experiment `x`."""
    return _PLANNED.substitute(of=of, asked=asked(of))


def current(of: str) -> str:
    """SQL: the job that made the row `of` is done: of one that is made anew, or failed then, the row is of before."""
    return f"(SELECT jc.state FROM jobs jc WHERE jc.id = {of}.job_id) = 'done'"  # noqa: S608 - our own names
