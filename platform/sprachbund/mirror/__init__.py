"""The mirror of the results in MLflow. SQL is the truth: everything here can be made anew from it."""

from sprachbund.mirror.update import Synced, sync

__all__ = ["Synced", "sync"]
