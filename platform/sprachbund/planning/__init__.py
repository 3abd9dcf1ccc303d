"""From a spec to jobs in the queue."""
