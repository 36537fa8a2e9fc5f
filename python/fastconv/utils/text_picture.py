"""Small images as text: their numbers, or shades."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import as_array

__all__ = ["image_text"]

_SHADES = " .:-=+*#%@"


def image_text(image: Any, numbers: bool = False) -> str:
    """A grey image as lines of text: the larger a value, the darker its cell on paper.

    Args:
        image: (H, W) or (H, W, 1), of any number dtype.
        numbers: True writes the values themselves, in columns, as what a computer sees; False draws ten shades between the
            least and the largest value.

    Returns:
        H lines. A shade is two characters wide, so that squares look square.

    Example:
        >>> from fastconv.utils import image_text
        >>> print(image_text([[0, 9], [255, 18]], numbers=True))
          0   9
        255  18
        >>> image_text([[0, 5], [9, 0]])
        '  ++\\n@@  '
    """
    op = "image_text"
    values = as_array(op, "image", image)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"[{op}] image must be one grey picture: expected shape (H, W) or (H, W, 1), got {values.shape}. "
            "Pass x[0], or one channel of split_channels."
        )
    if numbers:
        cells = [[f"{value:.4g}" if values.dtype.kind == "f" else str(value) for value in row] for row in values]
        width = max(len(cell) for row in cells for cell in row)
        return "\n".join(" ".join(cell.rjust(width) for cell in row) for row in cells)
    wide = values.astype(np.float64)
    low, high = wide.min(), wide.max()
    if not np.isfinite(high - low):
        raise ValueError(f"[{op}] image must hold finite numbers: got {low}..{high}. Clean it with np.nan_to_num.")
    scaled = (wide - low) / (high - low) if high > low else np.zeros(wide.shape)
    shades = np.minimum((scaled * len(_SHADES)).astype(int), len(_SHADES) - 1)
    return "\n".join("".join(2 * _SHADES[shade] for shade in row) for row in shades)
