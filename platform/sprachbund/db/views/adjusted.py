"""What a test came to within the family that the experiment asks it in."""


def adjusted(
    column: str, table: str = "adjusted_pair_tests", key: str = "result_id", test: str = "pt.result_id", of: str = "xc"
) -> str:
    """SQL: a column of the adjusted test (`a`) or of its family (`f`); NULL where the experiment (`x`) has none.

    A test may stand in families of several experiments, in one of each for a role (that of `xc`, or of a comparison
    `c`): jobs are shared, families are a plan's own.
    """
    return f"""(SELECT {column} FROM {table} a CROSS JOIN families f CROSS JOIN experiment_jobs fj
        WHERE a.{key} = {test} AND f.id = a.family_id AND f.role = {of}.role
            AND fj.experiment_id = x.id AND fj.job_id = f.job_id)"""  # noqa: S608 - fixed parts


def family_kind(layer: str, intervention: str = "i", setting: str = "s") -> str:
    """SQL: what makes a setting differ from its baseline at a layer, and so which family its tests are in: `steered` by
    its edits, or by its transform alone; NULL where neither reaches.

    An edit of block b first changes layer b, what that block puts out (layer 0 enters block 1); `final` is behind all.
    """
    edited = f"""CASE WHEN {intervention}.method = 'none' THEN 0 WHEN {layer} = 'final' THEN 1
            WHEN CAST({layer} AS INTEGER) >= {intervention}.first_block THEN 1 ELSE 0 END"""
    return f"""CASE WHEN {edited} = 1 THEN 'steered' WHEN {setting}.transform <> 'none' THEN 'transforms' END"""
