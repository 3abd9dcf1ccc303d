"""Outcomes item by item, read from files as they are stored, without the code that comparisons read them by."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from sprachbund.db import tables as t
from sprachbund.db.engine import reading
from sprachbund.files.tensors import load_tensors
from sprachbund_runners.jobs.evaluation_rows import whole


def ranks(space: Any, setting: str, layer: str, role: str = "test", n: int = 30) -> dict[Any, Any]:
    """How many candidates are (more, as) similar as the translation, [n] each, of every ordered pair of a setting."""
    statement = (
        select(t.Job.payload, t.Artifact.uri, t.Artifact.digest)
        .join(t.PairEvaluation, t.PairEvaluation.job_id == t.Job.id)
        .join(t.Artifact, t.Artifact.id == t.PairEvaluation.outcomes_id)
        .join(t.Setting, t.Setting.key == t.Job.payload["setting"].as_string())
        .join(t.ExperimentSetting, t.ExperimentSetting.setting_id == t.Setting.id)
        .where(t.ExperimentSetting.label == setting, t.Job.payload["split"].as_string() == role)
    )
    found: dict[Any, Any] = {}
    with reading(space.engine) as connection:
        rows = connection.execute(statement).all()
    for payload, uri, digest in rows:
        tensors = load_tensors(space.store.fetch(uri, digest))
        for number, pair in enumerate(payload["pairs"]):
            for way, sides in (("forward", ("first", "second")), ("backward", ("second", "first"))):
                prefix = f"{number}/{layer}/retrieval/{way}"
                counts = tuple(whole(tensors[f"{prefix}/{name}"], n) for name in ("greater", "ties"))
                found[pair[sides[0]], pair[sides[1]]] = counts
    return found


def hits(space: Any, setting: str, layer: str, role: str = "test") -> dict[Any, NDArray[np.float64]]:
    """top1 item by item of every ordered pair of a setting, by its label: a tie among m credits 1 / m."""
    counts = ranks(space, setting, layer, role)
    return {pair: np.where(greater == 0, 1 / (1 + ties), 0.0) for pair, (greater, ties) in counts.items()}
