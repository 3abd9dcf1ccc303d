"""The scorers that an experiment file may name, with their versions."""

# Scorers by name and version; runners hold the implementations (a test keeps the two in step).
SCORERS: dict[str, int] = {
    "auroc": 1,
    "average_precision": 1,
    "cohens_d": 1,
    "mutual_information": 1,
    "l1_probe": 1,
    "lape": 1,
}
