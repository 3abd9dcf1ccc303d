"""Job kinds as runners implement them: the only place where numerics meet SQL and files."""

from sprachbund_runners.jobs.context import Context, Evicted, NotReady, Outcome, Progress, Run

__all__ = ["Context", "Evicted", "NotReady", "Outcome", "Progress", "Run"]
