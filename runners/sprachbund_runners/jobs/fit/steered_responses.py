"""How texts respond at one place with the edits of earlier places on: what incremental fitting fits to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sprachbund.models.architectures import UnitBlock
from sprachbund.work.payloads.fit import Incremental
from sprachbund_runners.interventions.low_rank import Edit
from sprachbund_runners.jobs.context import Context
from sprachbund_runners.models.batches import tokenise
from sprachbund_runners.models.moments import TokenMoments, merge_all
from sprachbund_runners.models.respond import Request, respond


def steered_responses(
    context: Context, incremental: Incremental, part: UnitBlock, languages: Sequence[str], before: Sequence[Edit]
) -> tuple[NDArray[np.float32], TokenMoments]:
    """Pooled responses float32 [sentences, width] of some languages at a part, and moments over their tokens.

    One pass per part and language: nothing but the part's responses is kept.
    """
    loaded = context.model(incremental.numerics)
    pooled: list[NDArray[np.float32]] = []
    moments: list[TokenMoments] = []
    step = context.progress.start(
        f"fitting {part.site} of block {part.block}",
        sum(len(context.text(incremental.texts[language].key).sentences) for language in languages),
    )

    def advance(count: int) -> None:
        context.check_stop()
        step(count)

    for language in languages:
        sentences = context.text(incremental.texts[language].key).sentences
        found = np.empty((len(sentences), part.width), dtype=np.float32)

        def sink(
            _block: int,
            _site: str,
            rows: NDArray[np.int64],
            values: NDArray[np.float32],
            found: NDArray[np.float32] = found,
        ) -> None:
            found[rows] = values

        request = Request([part.site], incremental.pooling, incremental.tokens, sink, blocks=[part.block])
        (responses,) = respond(
            loaded,
            tokenise(loaded, sentences.texts),
            [request],
            intervention=before,
            max_tokens_per_batch=context.max_tokens,
            progress=advance,
        )
        pooled.append(found)
        moments.append(responses.moments[part.block, part.site])
    return np.concatenate(pooled), merge_all(moments)
