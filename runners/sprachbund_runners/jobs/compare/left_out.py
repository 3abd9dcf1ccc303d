"""What a comparison goes without: settings of which an evaluation failed, or will never be made."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from sprachbund.queue import statements
from sprachbund.work.kinds import read_payload
from sprachbund.work.payloads.compare import ComparisonPayload
from sprachbund_runners.jobs.compare.refits import Refits
from sprachbund_runners.jobs.context import NotReady


def left_out(connection: Connection, comparison: int) -> frozenset[str]:
    """Keys of the settings without all of their evaluations; `comparison` is the job that needs them.

    A row over fewer pairs than the others would look comparable: a setting is there as a whole, or not at all.
    """
    needs = connection.execute(statements.OPEN_NEEDS, {"job": comparison})
    of = (read_payload(need.kind, need.payload, f"job {need.id}").evaluand for need in needs if need.lost)
    return frozenset(each.setting for each in of if each is not None)


def check_ready(connection: Connection, job: int) -> None:
    """Raise NotReady where something it needs will come after all: it was queued again around the time of the claim.

    Left out now it would be for good, since nothing has failed any more that could be tried again.
    """
    for need in connection.execute(statements.OPEN_NEEDS, {"job": job}):
        if not need.lost:
            raise NotReady(f"job {need.id} is made again: what reads its results waits for it")


def present(payload: ComparisonPayload, missing: Collection[str]) -> ComparisonPayload:
    """A comparison's payload as if it had been planned without the missing settings.

    Nor those measured by them: settings whose baseline is missing, and controls of a missing setting.
    """
    gone = set(missing)
    for each in payload.settings:
        if each.setting in missing or each.baseline in missing:
            gone |= {each.setting, *(key for members in each.controls.values() for key in members)}
    kept = (each for each in payload.settings if each.setting not in gone)
    settings = tuple(replace(each, controls=_drawn(each.controls, missing)) for each in kept)
    return replace(payload, settings=settings, refits=present_refits(payload.refits, missing))


def present_refits(refits: Refits, missing: Collection[str]) -> Refits:
    """The refits that are there; a setting of which none is stays, since it is fitted all the same."""
    return {
        setting: {half: refit for half, refit in halves.items() if refit not in missing}
        for setting, halves in refits.items()
    }


def _drawn(controls: Mapping[str, Sequence[str]], missing: Collection[str]) -> dict[str, tuple[str, ...]]:
    found = {variant: tuple(each for each in members if each not in missing) for variant, members in controls.items()}
    return {variant: members for variant, members in found.items() if members}
