"""Filters that people have thought of, and one function that applies them: blur, sharpen, edges.

A convolutional network finds its own; these show what a filter does. The same numbers in a layer:
``Conv2D(1, 3, use_bias=False, trainable=False)`` and ``layer.set_weights([kernel[:, :, None, None]])``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import ops
from fastconv._arguments import boolean, choice
from fastconv.utils._checks import as_array

__all__ = [
    "EMBOSS",
    "GAUSSIAN",
    "INTENSIFY",
    "KERNELS",
    "LAPLACE",
    "PREWITT_X",
    "PREWITT_Y",
    "SHARPEN",
    "SMOOTH",
    "SOBEL_X",
    "SOBEL_Y",
    "apply",
]


def _kernel(*rows: tuple[float, ...]) -> np.ndarray:
    kernel = np.array(rows, np.float32)
    kernel.setflags(write=False)
    return kernel


# As textbooks print them: the sums of the first two are 9 and 8, so that SMOOTH / 9 and GAUSSIAN / 8 keep the brightness.
SMOOTH = _kernel((1, 1, 1), (1, 1, 1), (1, 1, 1))
GAUSSIAN = _kernel((0, 1, 0), (1, 4, 1), (0, 1, 0))
SHARPEN = _kernel((0, -1, 0), (-1, 5, -1), (0, -1, 0))
INTENSIFY = _kernel((-1, -1, -1), (-1, 9, -1), (-1, -1, -1))
LAPLACE = _kernel((0, 1, 0), (1, -4, 1), (0, 1, 0))
EMBOSS = _kernel((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
SOBEL_X = _kernel((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))  # answers to edges that run up and down
SOBEL_Y = _kernel((-1, -2, -1), (0, 0, 0), (1, 2, 1))
PREWITT_X = _kernel((-1, 0, 1), (-1, 0, 1), (-1, 0, 1))
PREWITT_Y = _kernel((-1, -1, -1), (0, 0, 0), (1, 1, 1))

KERNELS = {
    "smooth": SMOOTH / np.float32(9),
    "gaussian": GAUSSIAN / np.float32(8),
    "sharpen": SHARPEN,
    "intensify": INTENSIFY,
    "laplace": LAPLACE,
    "emboss": EMBOSS,
    "sobel_x": SOBEL_X,
    "sobel_y": SOBEL_Y,
    "prewitt_x": PREWITT_X,
    "prewitt_y": PREWITT_Y,
}

# SciPy's names for what is beyond the border, and NumPy's; "valid" asks for nothing beyond it.
_BORDERS: dict[str, Any] = {
    "reflect": "symmetric",
    "constant": "constant",
    "nearest": "edge",
    "mirror": "reflect",
    "wrap": "wrap",
}


def apply(image: Any, kernel: Any, border: str = "reflect", flip: bool = False) -> np.ndarray:
    """Filters every channel of an image: ``y[p, q] = Σ image[p + r - R//2, q + s - S//2] · kernel[r, s]``.

    Args:
        image: (H, W), (H, W, C) or (N, H, W, C), of any number dtype.
        kernel: (R, S) numbers, or a name in ``KERNELS``, where blurs are normalised to keep the brightness.
        border: what stands beyond the border, in SciPy's words: "reflect" (d c b a | a b c d | d c b a), "constant" (zeros),
            "nearest", "mirror" (d c b | a b c d | c b a) or "wrap"; "valid" keeps only cells whose window lies inside.
        flip: False correlates, as convolutional layers do; True turns the kernel by 180 degrees first, which is the
            convolution of mathematics.

    Returns:
        Filtered image of the same shape ((H - R + 1, W - S + 1) with "valid"): float64 for float64, else float32. Nothing
        is clipped to 0..255.

    Raises:
        ValueError: for other shapes, an unknown name, or a window larger than the image with "valid".
        TypeError: for what holds no numbers.

    Numerics:
        Equal to ``scipy.ndimage.correlate`` (``convolve`` with ``flip``) of a float image, and with "valid" to
        ``scipy.signal.correlate2d`` (``convolve2d``); exact for whole numbers up to 2**24.

    Example:
        >>> from fastconv import filters
        >>> filters.apply([[0, 0, 0], [0, 8, 0], [0, 0, 0]], "gaussian").tolist()
        [[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 0.0]]
    """
    op = "filters.apply"
    given = as_array(op, "image", image)
    if given.ndim not in (2, 3, 4) or not given.size:
        raise ValueError(
            f"[{op}] image must be a picture: expected shape (H, W), (H, W, C) or (N, H, W, C) with cells, got "
            f"image.shape={given.shape}. Reshape it."
        )
    flip = boolean(op, "flip", flip)
    x = given.astype(np.float64 if given.dtype == np.float64 else np.float32)
    x = x[None, :, :, None] if x.ndim == 2 else x[None] if x.ndim == 3 else x
    window = _as_window(op, kernel).astype(x.dtype)
    rows, columns = window.shape
    if choice(op, "border", border, ("valid", *_BORDERS)) != "valid":
        before = [
            (extent - flip) // 2 for extent in window.shape
        ]  # of an even one, a flipped window has its centre further up
        after = [extent - 1 - first for extent, first in zip(window.shape, before, strict=True)]
        x = np.pad(x, ((0, 0), *zip(before, after, strict=True), (0, 0)), _BORDERS[border])
    if flip:
        window = window[::-1, ::-1]
    channels = x.shape[-1]
    w = np.ascontiguousarray(np.broadcast_to(window[:, :, None, None], (rows, columns, 1, channels)))
    y = ops.conv2d(x, w, groups=channels)
    return y[0, :, :, 0] if given.ndim == 2 else y[0] if given.ndim == 3 else y


def _as_window(op: str, kernel: Any) -> np.ndarray:
    if isinstance(kernel, str):
        return KERNELS[choice(op, "kernel", kernel, tuple(KERNELS))]
    window = as_array(op, "kernel", kernel)
    if window.ndim != 2 or not window.size:
        raise ValueError(
            f"[{op}] kernel must be a matrix: expected shape (R, S), got kernel.shape={window.shape}. Filter by filter."
        )
    return window
