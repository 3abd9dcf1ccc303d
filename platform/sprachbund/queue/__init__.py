"""The queue of jobs: it lives with the results, so that storing them and finishing a job are one transaction."""

from sprachbund.queue.enqueue import (
    cancel_unwanted,
    insert_jobs,
    reopen_wanted,
    unfinished_needs,
)
from sprachbund.queue.jobs import Claim, Queue
from sprachbund.queue.needs import lock_turns

__all__ = ["Claim", "Queue", "cancel_unwanted", "insert_jobs", "lock_turns", "reopen_wanted", "unfinished_needs"]
