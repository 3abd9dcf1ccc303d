"""Every line of the catalogue names a function that runners have, as measures do, and goes with what its flags say."""

from pkgutil import resolve_name
from typing import Any

import pytest

from sprachbund.catalogue.directions import DIRECTIONS, edits_along
from sprachbund.catalogue.edits import EDITS
from sprachbund.catalogue.scorers import SCORERS
from sprachbund.measures import MEASURES

RULES: dict[str, Any] = {f"{name} ({kind})": rule for kind, table in
         (("scorer", SCORERS), ("edit", EDITS), ("direction", DIRECTIONS)) for name, rule in table.items()}  # fmt: skip


RULES |= {f"{name} (measure)": measure for name, measure in MEASURES.items() if measure.function}


@pytest.mark.parametrize("name", RULES)
def test_functions_are_found(name: str) -> None:
    assert callable(resolve_name(RULES[name].function))


def test_directions_without_a_target_have_nothing_to_add() -> None:
    assert {name: edits_along(name) for name in DIRECTIONS} == {
        "diff_mean": ("add", "project_out"),
        "pca": ("add", "project_out"),
        "lda": ("add", "project_out"),
        "probe": ("add", "project_out"),
        "leace": ("project_out",),
        "language_means": ("project_out",),
    }
