"""What passes for snapshots share: how much memory they may take, their progress, their variants."""

from collections.abc import Mapping, Sequence

import numpy as np

from sprachbund.queue import Claim
from sprachbund.work.payloads.embed import SnapshotPayload
from sprachbund_runners.interventions.edit_files import ANY
from sprachbund_runners.interventions.edits import intervention_digest
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.jobs.fit.intervention import find_edits
from sprachbund_runners.jobs.serving import named
from sprachbund_runners.models.embed import Variant

# Embeddings of one pass are held until its snapshots are written.
PASS_BYTES = 1 << 30
# A kill loses the pass at hand; settings beyond this many tokens share too little to wait for each other.
PASS_TOKENS = 1 << 19


class SnapshotProgress:
    """One bar for all sentences of all claims."""

    def __init__(self, context: Context, claims: Sequence[Claim[SnapshotPayload]]) -> None:
        settings = dict.fromkeys(claim.payload.setting for claim in claims)
        what = named(claims) if len(settings) == 1 else f"{len(settings)} settings"
        total = sum(len(context.text(claim.payload.text.key).sentences) for claim in claims)
        self._context, self._step = context, context.progress.start(f"embedding {what}", total)

    def __call__(self, count: int) -> None:
        self._context.check_stop()
        self._step(count)


def variants_of(
    claims: Sequence[Claim[SnapshotPayload]], n_texts: Mapping[str, int], starts: Mapping[str, int], context: Context
) -> tuple[list[Variant], dict[int, tuple[int, int]]]:
    """What to run, and of each job: which of the variants it is and where its embeddings start.

    n_texts, starts: of each text that the claims ask for, how many sentences and where in the pass they begin.
    """
    maps: dict[str | None, dict[str, list[Edit]]] = {}
    digests: dict[tuple[str | None, str], str] = {}
    edits: dict[str, list[Edit]] = {}
    rows: dict[str, dict[str, int]] = {}
    chosen: dict[int, tuple[str, int]] = {}
    for claim in claims:
        key, language, text = claim.payload.intervention, claim.payload.language, claim.payload.text.key
        if key not in maps:
            maps[key] = find_edits(context, key)
        entry = language if language in maps[key] else ANY
        if (key, entry) not in digests:
            digests[key, entry] = intervention_digest(maps[key].get(entry, []))
        # The same edits run once, whatever they are called: another language's experts may be a row of their own.
        same = digests[key, entry]
        edits[same] = maps[key].get(entry, [])
        texts = rows.setdefault(same, {})
        start = texts.setdefault(text, sum(n_texts[before] for before in texts))
        chosen[claim.job_id] = same, start
    order = {same: number for number, same in enumerate(edits)}
    variants = [
        Variant(
            edits[same],
            np.concatenate([starts[text] + np.arange(n_texts[text]) for text in rows[same]]),
        )
        for same in order
    ]
    return variants, {job: (order[same], start) for job, (same, start) in chosen.items()}
