"""Wants of registered pair measures: on the same snapshots as the pair evaluations that are wanted anyway."""

from collections.abc import Sequence

from sprachbund import plugins
from sprachbund.errors import SpecError, nearest
from sprachbund.keys import content_key
from sprachbund.kinds import OWN_MEASURES, PAIR_EVALUATION
from sprachbund.metrics import MEASURES
from sprachbund.plan import Want, kind_key, unique_wants


def measure_wants(wants: Sequence[Want], names: Sequence[str]) -> list[Want]:
    """One want for every pair evaluation, with all measures in it. Raises SpecError for one that is not registered."""
    known = plugins.measures()
    for name in names:
        if name not in known:
            raise SpecError(
                f"evaluations.measures: '{name}' is not registered in this process: give --plugin FILE.py, the file"
                f" that registers it, or register it before (ws.register(…, kind='measure')){nearest(name, known)}"
            )
    measures = sorted(set(names))
    found = []
    for want in unique_wants(wants):
        if want.kind is PAIR_EVALUATION:
            subject = kind_key(OWN_MEASURES, pairs=want.subject, measures=measures, version=MEASURES["own"].version)
            found.append(
                Want(
                    kind=OWN_MEASURES,
                    subject=subject,
                    label=f"own measures of {want.label}",
                    bundle=content_key("bundle", 1, kind="own_measures", pairs=want.bundle),
                    payload={**want.payload, "measures": measures},
                    layers=want.layers,
                    needs=want.needs,
                )
            )
    return found
