"""Which family a setting's tests at a layer are in, on both engines."""

import pytest
from sqlalchemy import text

from sprachbund.db.engine import reading
from sprachbund.db.views.adjusted import family_kind

STATEMENT = f"""SELECT {family_kind("l.layer")}
    FROM (SELECT CAST(:method AS VARCHAR(16)) AS method, CAST(:first_block AS INTEGER) AS first_block) i
    CROSS JOIN (SELECT CAST(:transform AS VARCHAR(32)) AS transform) s
    CROSS JOIN (SELECT CAST(:layer AS VARCHAR(8)) AS layer) l"""  # noqa: S608 - our own names


@pytest.mark.parametrize(
    ("method", "first_block", "transform", "layer", "kind"),
    [
        # Layer 0 enters block 1; an edit of block 2 first changes what block 2 puts out.
        ("experts", 2, "none", "0", None),
        ("experts", 2, "none", "1", None),
        ("experts", 2, "none", "2", "steered"),
        ("experts", 2, "none", "10", "steered"),
        ("experts", 12, "none", "final", "steered"),
        ("experts", 12, "none", "2", None),
        # Before its first edit it is what centring alone is.
        ("direction", 2, "centring", "1", "transforms"),
        ("direction", 2, "centring", "2", "steered"),
        ("none", None, "centring", "0", "transforms"),
        ("none", None, "whitening", "final", "transforms"),
        ("none", None, "none", "3", None),
        # Edits that are not made yet.
        ("experts", None, "none", "3", None),
    ],
)
def test_a_test_is_of_what_reaches_its_layer(database, method, first_block, transform, layer, kind):
    values = {"method": method, "first_block": first_block, "transform": transform, "layer": layer}
    with reading(database.engine) as connection:
        assert connection.execute(text(STATEMENT), values).scalar_one() == kind
