"""The experiment file: `load` reads and checks one."""

from sprachbund.spec.experiment import Spec, load, parse

__all__ = ["Spec", "load", "parse"]
