"""What learned images begin from."""

from typing import Annotated

import numpy as np

from tf_gtn import arguments

STARTS = ("noise", "real", "k_means")
Start = Annotated[str, arguments.OneOf(STARTS, "start")]


def factors(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients `[n, count]` of mean square 1, and bases `[count, d]`, whose product is nearest to `vectors` `[n, d]`.

    Columns and rows beyond the rank of `vectors` are zeros.
    """
    left, values, right = np.linalg.svd(vectors, full_matrices=False)
    scale, kept = np.sqrt(len(vectors)), min(count, len(values))
    coefficients = np.zeros((len(vectors), count), np.float32)
    bases = np.zeros((count, vectors.shape[1]), np.float32)
    coefficients[:, :kept] = left[:, :kept] * scale
    bases[:kept] = values[:kept, None] * right[:kept] / scale
    return coefficients, bases
