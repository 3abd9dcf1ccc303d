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
