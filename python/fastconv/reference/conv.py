"""2-D convolution and transposed convolution, one matrix product per filter tap."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._conv_args import conv_args, transpose_args
from ._windows import correlate, correlate_weight, scatter
from .by_name import activate, activate_backward

__all__ = ["conv2d", "conv2d_backward", "conv2d_transpose", "conv2d_transpose_backward"]


@_check.quiet
def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
) -> np.ndarray:
    """Cross-correlation: ``y[n,p,q,k] = act(bias[k] + Σ x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · w[r,s,c,k])``.

    Args:
        x: images (N, H, W, C), float32 or float64.
        w: filters (R, S, C/groups, K). Output channel k reads group ``k // (K/groups)`` of the input
            channels.
        bias: (K,) or None.
        stride, dilation: int or (rows, columns).
        padding: int, (rows, columns), ((top, bottom), (left, right)), "valid", "same" or "same_lower".
        groups: divides C and K; ``groups=C`` is a depthwise convolution.
        activation: name of an activation applied to the result, or None.

    Returns:
        (N, P, Q, K) with ``P = (H + pt + pb − dh·(R−1) − 1) // sh + 1``.

    Raises:
        TypeError, ValueError, MemoryError: for arguments of the wrong kind, value or size.

    Example:
        >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> conv2d(x, np.ones((2, 2, 1, 1)))[0, :, :, 0]
        array([[ 8., 12.],
               [20., 24.]])
    """
    dtype, *window, groups = conv_args("conv2d", x, w, bias, stride, padding, dilation, groups, activation)
    z = correlate(_f64(x), _f64(w), window, groups)
    return _check.cast(activate(_biased(z, bias), activation), dtype)


@_check.quiet
def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """Gradients ``(dx, dw, dbias)`` of ``Σ dy · conv2d(x, w, bias, …)``."""
    op = "conv2d_backward"
    dtype, *window, groups = conv_args(op, x, w, bias, stride, padding, dilation, groups, activation, dy=dy)
    want = _check.needs(op, needs, (True, True, bias is not None))
    x64, w64, dz = _f64(x), _f64(w), _f64(dy)
    if activation is not None:
        dz = activate_backward(dz, _biased(correlate(x64, w64, window, groups), bias), activation)
    return (
        _check.cast(scatter(dz, w64, window, groups), dtype) if want[0] else None,
        _check.cast(correlate_weight(x64, dz, w.shape, window, groups), dtype) if want[1] else None,
        _check.cast(dz.sum(axis=(0, 1, 2)), dtype) if want[2] else None,
    )


@_check.quiet
def conv2d_transpose(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> np.ndarray:
    """The adjoint of :func:`conv2d` in its input: what ``conv2d_backward`` computes for dx, as a layer.

    ``y[n, p·sh−pt+r·dh, q·sw−pl+s·dw, k] += x[n,p,q,c] · w[r,s,k,c]``, then ``+ bias[k]``.

    Args:
        x: images (N, H, W, C).
        w: filters (R, S, K/groups, C): the filter of the convolution that maps K channels to C.
        bias: (K,) or None.
        stride, padding, dilation, groups: of that convolution. "same" gives ``H·stride`` rows, "valid" no
            pads.
        output_padding: extra rows and columns at the end, 0 <= output_padding < stride; 0 with "same".

    Returns:
        (N, P, Q, K) with ``P = (H−1)·sh − pt − pb + dh·(R−1) + 1 + output_padding``.

    Example:
        >>> conv2d_transpose(np.ones((1, 1, 2, 1)), np.ones((1, 2, 1, 1)))[0, 0, :, 0]
        array([1., 2., 1.])
    """
    op = "conv2d_transpose"
    dtype, *window, groups = transpose_args(op, x, w, bias, stride, padding, output_padding, dilation, groups)
    return _check.cast(_biased(scatter(_f64(x), _f64(w), window, groups), bias), dtype)


@_check.quiet
def conv2d_transpose_backward(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """Gradients ``(dx, dw, dbias)`` of ``Σ dy · conv2d_transpose(x, w, bias, …)``."""
    op = "conv2d_transpose_backward"
    dtype, *window, groups = transpose_args(op, x, w, bias, stride, padding, output_padding, dilation, groups, dy=dy)
    want = _check.needs(op, needs, (True, True, bias is not None))
    dy64 = _f64(dy)
    return (
        _check.cast(correlate(dy64, _f64(w), window, groups), dtype) if want[0] else None,
        _check.cast(correlate_weight(dy64, _f64(x), w.shape, window, groups), dtype) if want[1] else None,
        _check.cast(dy64.sum(axis=(0, 1, 2)), dtype) if want[2] else None,
    )


def _biased(y: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return y if bias is None else y + _f64(bias)


def _f64(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64)
