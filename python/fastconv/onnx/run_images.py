"""ONNX's pooling and normalisation, computed by fastconv's kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.onnx.reading import OnnxNode
from fastconv.onnx.run_windows import Window, as_2d, channels_first, channels_last, check_image, window_of
from fastconv.ops import pool
from fastconv.ops.registry import apply

__all__ = ["KERNELS"]

Arrays = list[Any]
Pair = tuple[int, int]


def _pool(x: np.ndarray, window: Window, run: Callable[..., Any], **settings: Any) -> np.ndarray:
    """Pools 1-D to 3-D arrays; a volume's depth in a second pass, since the kinds of pooling can be done axis by axis."""
    check_image(x, len(window.size))
    if len(window.size) < 3:
        flat, window = as_2d(x, window)
        y = run(
            channels_last(flat),
            window.size,
            stride=window.stride,
            padding=tuple(window.padded(flat.shape[2:])),
            dilation=window.dilation,
            **settings,
        )
        return channels_first(y[:, 0] if flat.ndim > x.ndim else y)
    n, c, d, h, w = x.shape
    whole = window.padded(x.shape[2:])
    front = Window(window.size[:1], window.stride[:1], whole[:1], window.dilation[:1], None)
    plane = Window(window.size[1:], window.stride[1:], whole[1:], window.dilation[1:], None)
    images = _pool(x.swapaxes(1, 2).reshape(n * d, c, h, w), plane, run, **settings)
    p, q = images.shape[2:]
    lines = images.reshape(n, d, c, p, q).transpose(0, 2, 3, 4, 1).reshape(n, c * p * q, d)
    return np.ascontiguousarray(np.moveaxis(_pool(lines, front, run, **settings).reshape(n, c, p, q, -1), -1, 2))


def _pool_window(node: OnnxNode) -> Window:
    size = node.attrs.get("kernel_shape")
    if not isinstance(size, list) or not size:
        raise ValueError(f"kernel_shape must be given: expected a list of ints, got {size}")
    return window_of(node, size)


def _max_pool(node: OnnxNode, inputs: Arrays) -> Any:
    (x,) = inputs
    window, ceil_mode = _pool_window(node), bool(node.attrs.get("ceil_mode", 0))
    if len([name for name in node.outputs if name]) < 2:
        return _pool(x, window, ops.max_pool2d, ceil_mode=ceil_mode)
    flat, window = as_2d(x, window)
    (top, _), (left, _) = pads = window.padded(flat.shape[2:])
    attrs = pool.settings(
        "max", tuple(window.size), tuple(window.stride), tuple(pads), tuple(window.dilation), ceil_mode
    )
    if not pool.can_be_indexed(attrs):
        raise ValueError(f"indices are kept in a byte: expected windows of up to 256 cells, got {window.size}")
    y, cell = (channels_first(a) for a in apply(pool.INDEXED, channels_last(flat), **attrs))
    n, c, h, w = flat.shape
    row = np.arange(y.shape[2])[:, None] * window.stride[0] - top + cell // window.size[1] * window.dilation[0]
    column = np.arange(y.shape[3]) * window.stride[1] - left + cell % window.size[1] * window.dilation[1]
    place = row * w + column if not node.attrs.get("storage_order", 0) else row + column * h
    place = place + (np.arange(n * c) * h * w).reshape(n, c, 1, 1)
    shape = y.shape if flat.ndim == x.ndim else (*y.shape[:2], y.shape[3])
    return y.reshape(shape), place.astype(np.int64).reshape(shape)


def _average_pool(node: OnnxNode, inputs: Arrays) -> np.ndarray:
    settings = {
        "ceil_mode": bool(node.attrs.get("ceil_mode", 0)),
        "count_include_pad": bool(node.attrs.get("count_include_pad", 0)),
    }
    return _pool(inputs[0], _pool_window(node), ops.avg_pool2d, **settings)


def _lp_pool(node: OnnxNode, inputs: Arrays) -> np.ndarray:
    p = node.attrs.get("p", 2)
    ceil_mode = bool(node.attrs.get("ceil_mode", 0))
    total = _pool(np.abs(inputs[0]) ** p, _pool_window(node), ops.sum_pool2d, ceil_mode=ceil_mode)
    return total ** np.asarray(1 / p, total.dtype)


def _global_pool(run: Callable[..., Any]) -> Callable[[OnnxNode, Arrays], np.ndarray]:
    def pooled(node: OnnxNode, inputs: Arrays) -> np.ndarray:
        (x,) = inputs
        n, c = x.shape[:2]
        cells = math.prod(x.shape[2:])
        y = run(channels_last(x).reshape(n, 1, cells, c))
        return y.reshape(n, c, *(1,) * (x.ndim - 2))

    return pooled


def _max_unpool(node: OnnxNode, inputs: Arrays) -> np.ndarray:
    """Scatters by the indices; no arithmetic."""
    x, places, *rest = inputs
    window = _pool_window(node)
    shape = [
        (extent - 1) * stride + size - before - after
        for extent, stride, size, (before, after) in zip(
            x.shape[2:], window.stride, window.size, window.pads, strict=True
        )
    ]
    whole = tuple(rest[0]) if rest else (*x.shape[:2], *shape)
    inner = (*x.shape[:2], *shape)
    if math.prod(whole) != math.prod(inner):  # the indices count in the inferred shape; a larger one is filled up
        places = np.ravel_multi_index(np.unravel_index(places, inner), whole)
    y = np.zeros(math.prod(whole), x.dtype)
    y[places.ravel()] = x.ravel()
    return y.reshape(whole)


def _batch_norm(node: OnnxNode, inputs: Arrays) -> Any:
    x, gamma, beta, mean, variance = inputs
    images = channels_last(x) if x.ndim > 2 else x
    keywords = {"epsilon": node.attrs.get("epsilon", 1e-5)}
    statistics = [np.asarray(a, x.dtype) for a in (gamma, beta, mean, variance)]
    if not node.attrs.get("training_mode", 0):
        y = ops.batch_norm(images, *statistics, **keywords)
        return channels_first(y) if x.ndim > 2 else y
    keywords["momentum"] = node.attrs.get("momentum", 0.9)
    y, *moved = ops.batch_norm(images, *statistics, training=True, **keywords)
    return (channels_first(y) if x.ndim > 2 else y, *moved)


def _layer_norm(node: OnnxNode, inputs: Arrays) -> Any:
    from fastconv.ops import norm

    x, scale, *rest = inputs
    axis = node.attrs.get("axis", -1) % x.ndim
    rows = x.reshape(-1, math.prod(x.shape[axis:]))
    bias = rest[0].reshape(-1) if rest and rest[0] is not None else None
    y, mean, rstd = apply(
        norm.LAYER_NORM,
        rows,
        np.broadcast_to(scale, x.shape[axis:]).reshape(-1),
        bias,
        epsilon=node.attrs.get("epsilon", 1e-5),
    )
    kept = (*x.shape[:axis], *(1,) * (x.ndim - axis))
    return (y.reshape(x.shape), mean.reshape(kept), rstd.reshape(kept))[: len(node.outputs)]


def _group_norm_of(x: np.ndarray, scale: Any, bias: Any, groups: int, epsilon: float) -> np.ndarray:
    """Normalises each group of channels of a sample as one row; then a scale and a shift per channel."""
    rows = ops.layer_norm(x.reshape(x.shape[0] * groups, -1), None, None, epsilon=epsilon)
    per_channel = (-1, *(1,) * (x.ndim - 2))
    y = ops.multiply(rows.reshape(x.shape), scale.reshape(per_channel))
    return ops.add(y, bias.reshape(per_channel))


def _instance_norm(node: OnnxNode, inputs: Arrays) -> np.ndarray:
    x, scale, bias = inputs
    return _group_norm_of(x, scale, bias, x.shape[1], node.attrs.get("epsilon", 1e-5))


def _group_norm(node: OnnxNode, inputs: Arrays) -> np.ndarray:
    x, scale, bias = inputs
    groups = node.attrs["num_groups"]
    if node.opset < 21:  # scales were per group then
        scale, bias = (np.repeat(a, x.shape[1] // groups) for a in (scale, bias))
    return _group_norm_of(x, scale, bias, groups, node.attrs.get("epsilon", 1e-5))


def _lrn(node: OnnxNode, inputs: Arrays) -> np.ndarray:
    """x / (bias + alpha / size * sum of squares over neighbouring channels) ** beta (Krizhevsky 2012, section 3.3)."""
    (x,) = inputs
    size = node.attrs["size"]
    n, c = x.shape[:2]
    columns = ops.multiply(x, x).reshape(n, c, -1, 1)
    pads = ((size - 1) // 2, size - 1 - (size - 1) // 2)
    sums = ops.sum_pool2d(columns, (size, 1), stride=1, padding=(pads, (0, 0))).reshape(x.shape)
    scale = ops.scale(sums, node.attrs.get("alpha", 1e-4) / size, node.attrs.get("bias", 1.0))
    return x / scale ** np.asarray(node.attrs.get("beta", 0.75), x.dtype)


KERNELS: dict[str, Callable[[OnnxNode, Arrays], Any]] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "GlobalAveragePool": _global_pool(ops.global_avg_pool2d),
    "GlobalMaxPool": _global_pool(ops.global_max_pool2d),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _lrn,
    "LayerNormalization": _layer_norm,
    "LpPool": _lp_pool,
    "MaxPool": _max_pool,
    "MaxUnpool": _max_unpool,
}
