"""Language ABX in its minimal-pair form: can a language be told from an embedding?

x and a are different items in one language, b is the translation of a. Per item x_i,

    language_abx_i = mean over j, not i's text, of 1[d(x_i, a_j) < d(x_i, b_j)] + ½ · 1[equal]

.5: the two languages are mixed; 1: an item is always closer to its own language. Angular and cosine distance agree,
being monotone in each other. Our reading of the abstract of de Seyssel et al., EMNLP 2025; conventions of fastabx.
"""

import numpy as np
from numpy.typing import NDArray

from sprachbund_runners.evaluation.abx import TIE
from sprachbund_runners.evaluation.distances import LanguageVectors
from sprachbund_runners.evaluation.similarity import BLOCK_SIZE, blocks, check_same_width


def language_abx(x: LanguageVectors, y: LanguageVectors, block_size: int = BLOCK_SIZE) -> NDArray[np.float64]:
    """float64 [n] in [0, 1], for the items of x with y as the other language (ordered: exchange them for the other).

    Row i of x is the translation of row i of y. Left out are the j whose text is i's on either side; NaN for an item
    with none left. Where a_j and b_j are the same vector they tie, as do similarities within 1e-12. O(n²) products
    in blocks, no sort.

    Raises ModelError if widths or types differ, ValueError if lengths differ or block_size < 1.
    """
    from sprachbund_runners.evaluation import kernels

    check_same_width(x.unit, y.unit)
    n = x.unit.n
    if n != y.unit.n:
        raise ValueError(f"language ABX: expected as many items on both sides, found {n} and {y.unit.n}")
    own, other = x.unit.rows, y.unit.rows
    same_vector = (own == other).all(axis=1)
    credit, rivals = np.zeros(n), np.zeros(n)
    for rows in blocks(n, block_size):
        for columns in blocks(n, block_size):
            kernels.language_credit(
                own[rows] @ own[columns].T, own[rows] @ other[columns].T, same_vector[columns],
                x.groups[rows], x.groups[columns], y.groups[rows], y.groups[columns], TIE, credit[rows], rivals[rows],
            )  # fmt: skip
    return np.where(rivals > 0, credit / np.where(rivals > 0, rivals, 1.0), np.nan)
