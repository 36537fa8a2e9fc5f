"""Batch, layer, group and root-mean-square normalisation, forward and backward.

All but the last compute ``y = gamma · x̂ + beta`` with ``x̂ = (x − mean) / sqrt(var + epsilon)`` and the biased variance;
they differ in the axes over which mean and variance are taken, and the shared gradient below takes those
axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "rms_norm",
    "rms_norm_backward",
]


_TOO_LARGE = 1e30  # of epsilon: float32 ends soon behind


@_check.quiet
def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    mean: np.ndarray,
    var: np.ndarray,
    *,
    epsilon: float = 1e-3,
    training: bool = False,
    momentum: float = 0.99,
) -> Any:
    """Normalise every channel (Ioffe and Szegedy 2015).

    Args:
        x: (N, …, C), float32 or float64.
        gamma, beta: scale and offset, (C,), or None for 1 and 0.
        mean, var: moving statistics, (C,). Used when ``training`` is False, renewed when it is True.
        epsilon: added to the variance, > 0.
        training: use the batch's own mean and biased variance, taken over all axes but the last.
        momentum: in [0, 1]; ``new = old · momentum + batch · (1 − momentum)``, as Keras.

    Returns:
        y, of x's shape; with ``training`` the triple (y, new_mean, new_var). An empty batch keeps the
        statistics.
    """
    op = "batch_norm"
    dtype, epsilon, momentum = _batch_norm(op, x, gamma, beta, mean, var, epsilon, training, momentum)
    x64, mean64, var64 = (v.astype(np.float64) for v in (x, mean, var))
    if not training:
        return _check.cast(_scaled((x64 - mean64) / np.sqrt(var64 + epsilon), gamma, beta), dtype)
    axes = tuple(range(x.ndim - 1))
    x_hat, batch_mean, batch_var, _ = _normalised(x64, axes, epsilon)
    if x.size == 0:
        batch_mean, batch_var = mean64, var64
    new_mean = mean64 * momentum + batch_mean.reshape(-1) * (1 - momentum)
    new_var = var64 * momentum + batch_var.reshape(-1) * (1 - momentum)
    return tuple(_check.cast(v, dtype) for v in (_scaled(x_hat, gamma, beta), new_mean, new_var))


@_check.quiet
def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    mean: np.ndarray,
    var: np.ndarray,
    *,
    epsilon: float = 1e-3,
    training: bool = False,
    momentum: float = 0.99,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """``(dx, dgamma, dbeta, None, None)`` for the gradient ``dy`` of y; moving statistics are not learned."""
    op = "batch_norm_backward"
    dtype, epsilon, _ = _batch_norm(op, x, gamma, beta, mean, var, epsilon, training, momentum, dy=(dy, None))
    _check.shape(op, "dy", dy, x.shape, "x")
    want = _check.needs(op, needs, (True, gamma is not None, beta is not None, False, False))
    x64, dy64 = x.astype(np.float64), dy.astype(np.float64)
    axes = tuple(range(x.ndim - 1))
    if training:
        x_hat, _, _, scale = _normalised(x64, axes, epsilon)
        dx = _through_statistics(_scaled(dy64, gamma), x_hat, scale, axes)
    else:
        scale = 1 / np.sqrt(var.astype(np.float64) + epsilon)
        x_hat = (x64 - mean) * scale
        dx = _scaled(dy64, gamma) * scale
    gradients = (dx, (dy64 * x_hat).sum(axis=axes), dy64.sum(axis=axes), None, None)
    return tuple(_check.cast(g, dtype) if wanted else None for g, wanted in zip(gradients, want, strict=True))


@_check.quiet
def layer_norm(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, *, epsilon: float = 1e-3
) -> np.ndarray:
    """Normalise every row over the last axis (Ba et al. 2016).

    Args:
        x: (…, C), float32 or float64.
        gamma, beta: scale and offset, (C,), or None for 1 and 0.
        epsilon: added to the variance, > 0.

    Returns:
        y, of x's shape.
    """
    dtype, epsilon = _layer_norm("layer_norm", x, gamma, beta, epsilon)
    x_hat, *_ = _normalised(x.astype(np.float64), -1, epsilon)
    return _check.cast(_scaled(x_hat, gamma, beta), dtype)


@_check.quiet
def layer_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    *,
    epsilon: float = 1e-3,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """``(dx, dgamma, dbeta)``."""
    op = "layer_norm_backward"
    dtype, epsilon = _layer_norm(op, x, gamma, beta, epsilon, dy=(dy, None))
    _check.shape(op, "dy", dy, x.shape, "x")
    want = _check.needs(op, needs, (True, gamma is not None, beta is not None))
    dy64, rows = dy.astype(np.float64), tuple(range(x.ndim - 1))
    x_hat, _, _, scale = _normalised(x.astype(np.float64), -1, epsilon)
    dx = _through_statistics(_scaled(dy64, gamma), x_hat, scale, -1)
    gradients = (dx, (dy64 * x_hat).sum(axis=rows), dy64.sum(axis=rows))
    return tuple(_check.cast(g, dtype) if wanted else None for g, wanted in zip(gradients, want, strict=True))


@_check.quiet
def rms_norm(x: np.ndarray, gamma: np.ndarray | None = None, *, epsilon: float = 1e-6) -> np.ndarray:
    """``gamma · x / sqrt(mean(x²) + epsilon)`` over the last axis (Zhang and Sennrich 2019).

    Args:
        x: (…, C), float32 or float64.
        gamma: scale, (C,), or None for 1.
        epsilon: added to the mean square, > 0.

    Returns:
        y, of x's shape.
    """
    dtype, epsilon = _row_norm("rms_norm", x, {"gamma": gamma}, epsilon)
    x64 = x.astype(np.float64)
    return _check.cast(_scaled(x64 * _over_root_mean_square(x64, epsilon), gamma), dtype)


@_check.quiet
def rms_norm_backward(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray | None = None, *, epsilon: float = 1e-6, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``(dx, dgamma)``: what dx̂ has in common with x̂ is taken out of it."""
    op = "rms_norm_backward"
    dtype, epsilon = _row_norm(op, x, {"gamma": gamma}, epsilon, dy=(dy, None))
    _check.shape(op, "dy", dy, x.shape, "x")
    want = _check.needs(op, needs, (True, gamma is not None))
    dy64, x64 = dy.astype(np.float64), x.astype(np.float64)
    scale = _over_root_mean_square(x64, epsilon)
    x_hat, dx_hat = x64 * scale, _scaled(dy64, gamma)
    along_x_hat = (dx_hat * x_hat).sum(axis=-1, keepdims=True) / x.shape[-1]
    gradients = (scale * (dx_hat - x_hat * along_x_hat), (dy64 * x_hat).sum(axis=tuple(range(x.ndim - 1))))
    return tuple(_check.cast(g, dtype) if wanted else None for g, wanted in zip(gradients, want, strict=True))


def _over_root_mean_square(x: np.ndarray, epsilon: float) -> np.ndarray:
    return 1 / np.sqrt(np.square(x).sum(axis=-1, keepdims=True) / x.shape[-1] + epsilon)


@_check.quiet
def group_norm(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, groups: int, *, epsilon: float = 1e-3
) -> np.ndarray:
    """Normalise every group of channels of every sample (Wu and He 2018).

    Args:
        x: (N, …, C), float32 or float64.
        gamma, beta: scale and offset, (C,), or None for 1 and 0.
        groups: divides C; C groups are instance normalisation.
        epsilon: added to the variance, > 0.

    Returns:
        y, of x's shape.
    """
    dtype, epsilon, grouped = _group_norm("group_norm", x, gamma, beta, groups, epsilon)
    x_hat, *_ = _normalised(x.astype(np.float64).reshape(grouped), (1, 3), epsilon)
    return _check.cast(_scaled(x_hat.reshape(x.shape), gamma, beta), dtype)


@_check.quiet
def group_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    groups: int,
    *,
    epsilon: float = 1e-3,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """``(dx, dgamma, dbeta)``."""
    op = "group_norm_backward"
    dtype, epsilon, grouped = _group_norm(op, x, gamma, beta, groups, epsilon, dy=(dy, None))
    _check.shape(op, "dy", dy, x.shape, "x")
    want = _check.needs(op, needs, (True, gamma is not None, beta is not None))
    dy64, rows = dy.astype(np.float64), tuple(range(x.ndim - 1))
    x_hat, _, _, scale = _normalised(x.astype(np.float64).reshape(grouped), (1, 3), epsilon)
    dx = _through_statistics(_scaled(dy64, gamma).reshape(grouped), x_hat, scale, (1, 3)).reshape(x.shape)
    gradients = (dx, (dy64 * x_hat.reshape(x.shape)).sum(axis=rows), dy64.sum(axis=rows))
    return tuple(_check.cast(g, dtype) if wanted else None for g, wanted in zip(gradients, want, strict=True))


def _group_norm(
    op: str, x: Any, gamma: Any, beta: Any, groups: Any, epsilon: Any, **more: Any
) -> tuple[np.dtype, float, tuple[int, ...]]:
    """dtype, epsilon and the shape (N, pixels, groups, channels of a group)."""
    dtype, epsilon = _layer_norm(op, x, gamma, beta, epsilon, **more)
    groups, channels = _check.integer(op, "groups", groups, 1), x.shape[-1]
    if channels % groups:
        got = f"groups={groups}, x.shape={x.shape}"
        _check.fail(ValueError, op, "groups must divide the channels", "C % groups == 0", got, f"Divide {channels}.")
    return dtype, epsilon, (x.shape[0], math.prod(x.shape[1:-1]), groups, channels // groups)


def _scaled(x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None = None) -> np.ndarray:
    scaled = x if gamma is None else gamma * x
    return scaled if beta is None else scaled + beta


def _given(vectors: dict[str, Any]) -> dict[str, Any]:
    """Those that are not left out: gamma and beta may be None."""
    return {name: v for name, v in vectors.items() if v is not None or name not in ("gamma", "beta")}


def _epsilon(op: str, value: Any) -> float:
    epsilon = _check.positive(op, "epsilon", value)
    if epsilon >= _TOO_LARGE:
        got = f"epsilon={value}"
        _check.fail(ValueError, op, "epsilon must be small", f"epsilon < {_TOO_LARGE}", got, "The default is 1e-3.")
    return epsilon


def _normalised(x: np.ndarray, axes: Any, epsilon: float) -> tuple[np.ndarray, ...]:
    """x̂, mean, biased variance and 1/sqrt(var + epsilon) over ``axes``; NaN statistics of an empty batch."""
    mean = x.sum(axis=axes, keepdims=True) / _count(x, axes)
    var = np.square(x - mean).sum(axis=axes, keepdims=True) / _count(x, axes)
    scale = 1 / np.sqrt(var + epsilon)
    return (x - mean) * scale, mean, var, scale


def _count(x: np.ndarray, axes: Any) -> int:
    """How many numbers one mean is taken over (ndarray.mean would warn when there are none)."""
    return math.prod(x.shape[i] for i in np.atleast_1d(axes))


def _through_statistics(dx_hat: np.ndarray, x_hat: np.ndarray, scale: np.ndarray, axes: Any) -> np.ndarray:
    """dx when mean and variance depend on x: what dx̂ has in common with 1 and with x̂ is taken out of it."""
    if dx_hat.size == 0:
        return dx_hat
    along_one = dx_hat.mean(axis=axes, keepdims=True)
    along_x_hat = (dx_hat * x_hat).mean(axis=axes, keepdims=True)
    return scale * (dx_hat - along_one - x_hat * along_x_hat)


def _batch_norm(
    op: str,
    x: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    var: Any,
    epsilon: Any,
    training: Any,
    momentum: Any,
    **more: Any,
) -> tuple[np.dtype, float, float]:
    vectors = _given({"gamma": gamma, "beta": beta, "mean": mean, "var": var})
    dtype = _norm(op, x, vectors, **more)
    numbers = _epsilon(op, epsilon), _check.real(op, "momentum", momentum, 0.0, 1.0)
    _check.flag(op, "training", training)
    _check.channels(op, x, **vectors)
    refuse_too_large(op, x.shape, x.shape, x.shape)
    return dtype, *numbers


def _layer_norm(op: str, x: Any, gamma: Any, beta: Any, epsilon: Any, **more: Any) -> tuple[np.dtype, float]:
    return _row_norm(op, x, {"gamma": gamma, "beta": beta}, epsilon, **more)


def _row_norm(op: str, x: Any, vectors: dict[str, Any], epsilon: Any, **more: Any) -> tuple[np.dtype, float]:
    vectors = _given(vectors)
    dtype = _norm(op, x, vectors, **more)
    epsilon = _epsilon(op, epsilon)
    _check.channels(op, x, **vectors)
    refuse_too_large(op, x.shape, x.shape, x.shape)
    return dtype, epsilon


def _norm(op: str, x: Any, vectors: dict[str, Any], **more: Any) -> np.dtype:
    dtype = _check.arrays(op, x=(x, None), **{n: (v, ("channels",)) for n, v in vectors.items()}, **more)
    if x.ndim < 2:
        rule = "x must have a batch axis and a channel axis"
        _check.fail(ValueError, op, rule, "2 or more dims", f"{x.ndim} dims, x.shape={x.shape}", "Reshape x.")
    return dtype
