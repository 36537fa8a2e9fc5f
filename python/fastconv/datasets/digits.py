"""1,797 handwritten digits, 8x8 grey, shipped inside the package: nothing to download.

Source: E. Alpaydin, C. Kaynak (1998), UCI, https://doi.org/10.24432/C50P49, as scikit-learn ships them. CC BY
4.0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..utils._checks import as_rng
from ._split import Pair, as_fraction, train_test

__all__ = ["class_names", "load_data"]

class_names = tuple("0123456789")

_FILE = Path(__file__).with_name("data") / "digits.npz"


def load_data(test_fraction: float = 0.2, seed: int | None = 0) -> tuple[Pair, Pair]:
    """Load the digits: ``(x_train, y_train), (x_test, y_test)``, a random split with one class mix.

    Args:
        test_fraction: share of the 1,797 images that goes into the test part, 0 <= test_fraction < 1.
        seed: the same seed gives the same split; None draws from :func:`fastconv.random.seed`'s stream.

    Returns:
        x uint8 (N,8,8) with pixel values 0 (background) to **16**, y uint8 (N,) with labels 0..9.

    Example:
        >>> from fastconv.datasets import digits
        >>> (x_train, y_train), (x_test, y_test) = digits.load_data()
        >>> x_train.shape, x_test.shape, int(x_train.max())
        ((1438, 8, 8), (359, 8, 8), 16)
    """
    op = "digits.load_data"
    fraction, rng = as_fraction(op, test_fraction), as_rng(op, seed)
    with np.load(_FILE, allow_pickle=False) as file:
        return train_test(file["x"], file["y"], fraction, rng)
