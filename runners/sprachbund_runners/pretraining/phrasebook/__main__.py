"""`python -m sprachbund_runners.pretraining.phrasebook FILE`: the whole phrasebook as the platform's data has it."""

import sys

from sprachbund_runners.pretraining.phrasebook.splits import table

table().write_parquet(sys.argv[1], compression="zstd", compression_level=19)
