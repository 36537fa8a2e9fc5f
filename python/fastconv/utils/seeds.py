"""One call that seeds every random source a training script may touch."""

from __future__ import annotations

import random as python_random

import numpy as np

from .. import random
from ._checks import as_int

__all__ = ["set_random_seed"]


def set_random_seed(seed: int) -> None:
    """Seed fastconv's stream, and Python's ``random`` and NumPy's global generator, as Keras does.

    :func:`fastconv.random.seed` alone is enough for weights, shuffles and dropout masks; this call also
    covers data preparation written with the other two.

    Args:
        seed: any int >= 0; NumPy's generator takes its low 32 bits.
    """
    seed = as_int("set_random_seed", "seed", seed, low=0)
    random.seed(seed)
    python_random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002  # seeding the legacy generator is the point
