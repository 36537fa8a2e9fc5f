"""ONNX's Resize and Upsample: what a node says, computed by fastconv's kernel, and as a layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastconv import layers, ops
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode
from fastconv.onnx.writer import channels_first

__all__ = ["HANDLERS", "KERNELS", "axis_weights"]

_MODES = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear", "cubic": "bicubic"}
_COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric")
_MOST_COMPARED = 2048  # cells of an axis whose weights are compared with a layer's


@dataclass(frozen=True)
class _Resizing:
    """A node on a tensor of known extents: the new extents, their scales, and how, in the words of ``ops.resize2d``."""

    sizes: tuple[int, ...]
    scales: tuple[float, ...]
    settings: dict[str, Any]

    def changes(self, extents: Sequence[int]) -> list[int]:
        """The axes that are resized; one may keep its size and move its cells."""
        return [i for i, n in enumerate(extents) if self.sizes[i] != n or self.scales[i] != 1]


def _resizing(node: OnnxNode, extents: Sequence[int], scales: Any, sizes: Any) -> _Resizing:
    rank = len(extents)
    axes = [axis % rank for axis in node.attrs.get("axes", range(rank))]
    new, factors = list(extents), [1.0] * rank
    if sizes is not None and len(sizes):
        ratios = [int(n) / extents[axis] for axis, n in zip(axes, sizes, strict=True)]
        policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
        for axis, n, ratio in zip(axes, sizes, ratios, strict=True):
            factors[axis] = ratio if policy == "stretch" else (min if policy == "not_larger" else max)(ratios)
            new[axis] = int(n) if policy == "stretch" else math.floor(factors[axis] * extents[axis] + 0.5)
    else:
        given = scales if scales is not None else node.attrs.get("scales", ())
        for axis, factor in zip(axes, given, strict=True):
            factors[axis] = float(factor)
            new[axis] = math.floor(extents[axis] * factors[axis])
    return _Resizing(tuple(new), tuple(factors), _settings(node))


def _settings(node: OnnxNode) -> dict[str, Any]:
    mode = node.attrs.get("mode", "nearest")
    if mode not in _MODES:
        raise ValueError(f"the mode must be one of {', '.join(_MODES)}: got {mode!r}")
    if node.op == "Upsample" or node.opset < 11:
        return {
            "interpolation": _MODES[mode],
            "coordinates": "asymmetric",
            "rounding": "floor",
            "exclude_outside": False,
        }
    coordinates = node.attrs.get("coordinate_transformation_mode", "half_pixel")
    if coordinates not in _COORDINATES:
        raise ValueError(f"coordinates must be one of {', '.join(_COORDINATES)}: got {coordinates!r}")
    return {
        "interpolation": _MODES[mode],
        "antialias": bool(node.attrs.get("antialias", 0)),
        "coordinates": coordinates,
        "rounding": node.attrs.get("nearest_mode", "round_prefer_floor"),
        "cubic_coeff_a": float(node.attrs.get("cubic_coeff_a", -0.75)),
        "exclude_outside": bool(node.attrs.get("exclude_outside", 0)),
    }


def _places(node: OnnxNode) -> tuple[int, int | None]:
    """Which inputs are the scales and the sizes."""
    return (1, None) if node.op == "Upsample" or node.opset < 11 else (2, 3)


def _resize(node: OnnxNode, inputs: list[Any]) -> np.ndarray:
    """Axis by axis, each as the height of images."""
    x = inputs[0]
    scales, sizes = (inputs[place] if place is not None and place < len(inputs) else None for place in _places(node))
    if node.attrs.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return _cropped_and_resized(node, x, inputs[1], scales, sizes)
    problem = _resizing(node, x.shape, scales, sizes)
    for axis in problem.changes(x.shape):
        before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        images = x.reshape(before, x.shape[axis], 1, after)
        y = ops.resize2d(images, (problem.sizes[axis], 1), scales=(problem.scales[axis], 1.0), **problem.settings)
        x = y.reshape(*x.shape[:axis], problem.sizes[axis], *x.shape[axis + 1 :])
    return x


def _cropped_and_resized(node: OnnxNode, x: np.ndarray, region: Any, scales: Any, sizes: Any) -> np.ndarray:
    """A region, in shares of each axis, whose corners become those of the result; a number where it lies beyond ``x``."""
    attrs = {**node.attrs, "coordinate_transformation_mode": "align_corners"}
    problem = _resizing(replace(node, attrs=attrs), x.shape, scales, sizes)
    if problem.settings["interpolation"] != "bilinear" or region is None:
        raise ValueError(f"tf_crop_and_resize must be linear, of a region: got {node.attrs.get('mode')}, roi={region}")
    axes = [axis % x.ndim for axis in node.attrs.get("axes", range(x.ndim))]
    beyond, y = np.zeros((), bool), x
    for axis, start, end in zip(axes, *np.split(np.asarray(region, np.float64), 2), strict=True):
        last, size = x.shape[axis] - 1, problem.sizes[axis]
        places = last * (np.linspace(start, end, size) if size > 1 else np.array([(start + end) / 2]))
        weights = np.maximum(1 - abs(np.clip(places, 0, last) - np.arange(last + 1)[:, None]), 0)
        y = np.moveaxis(ops.dense(np.moveaxis(y, axis, -1), weights.astype(x.dtype)), -1, axis)
        beyond = beyond | ((places < 0) | (places > last)).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return np.where(beyond, np.asarray(node.attrs.get("extrapolation_value", 0), x.dtype), y)


def _as_layer(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = importer.tensor(node)
    symbol = importer.image(tensor)
    scales, sizes = (
        importer.optional(node, place, what) if place is not None else None
        for place, what in zip(_places(node), ("scales", "sizes"), strict=True)
    )
    if symbol.ndim not in (4, 5):
        raise Refused(f"images and volumes alone are resized: got {symbol.ndim} axes")
    extents = [1 if n is None else n for n in tensor.shape]
    if sizes is not None and len(sizes) == symbol.ndim and int(sizes[0]) in importer.batches:
        sizes = np.array([1, *sizes[1:]])  # a shape that the file computes begins with the batch
    problem = _resizing(node, extents, scales, sizes)
    if {0, 1} & set(problem.changes(extents)):
        raise Refused(f"only height and width may change: got {extents} to {list(problem.sizes)}")
    make = _layer_for(problem, extents) if symbol.ndim == 4 else _layer_of_volumes(problem, extents)
    return Tensor(importer.add(node, make, symbol), channels_first(symbol.ndim))


def _layer_of_volumes(problem: _Resizing, extents: Sequence[int]) -> Any:
    """Cells may be repeated, by whole numbers."""
    axes = range(2, 5)
    factors = [problem.sizes[axis] / extents[axis] for axis in axes]
    ours = {"interpolation": "nearest"}
    small = max(problem.sizes) <= _MOST_COMPARED and all(factor.is_integer() for factor in factors)
    if not small or not all(_same_weights(problem, extents[axis], axis, ours) for axis in axes):
        raise Refused(f"cells of volumes may be repeated, by whole numbers: got {extents} to {problem.sizes}")
    return partial(layers.UpSampling3D, tuple(map(int, factors)))


def _layer_for(problem: _Resizing, extents: Sequence[int]) -> Any:
    """The layer whose weights are the node's: one of Keras's, or else Resampling2D."""
    height, width = problem.sizes[2:]
    interpolation, small = problem.settings["interpolation"], max(*extents[2:], height, width) <= _MOST_COMPARED
    for antialias in (False, True) if small else ():
        ours = {"interpolation": interpolation, "antialias": antialias}
        if all(_same_weights(problem, extents[axis], axis, ours) for axis in (2, 3)):
            factors = (height / extents[2], width / extents[3])
            if all(factor.is_integer() for factor in factors):
                return partial(layers.UpSampling2D, tuple(map(int, factors)), interpolation=interpolation)
            return partial(layers.Resizing, height, width, interpolation, antialias=antialias)
    settings = dict(problem.settings)
    if any(abs(problem.scales[axis] * extents[axis] - problem.sizes[axis]) > 1e-6 for axis in (2, 3)):
        settings["scales"] = problem.scales[2:]
    return partial(layers.Resampling2D, height, width, **settings)


def _same_weights(problem: _Resizing, extent: int, axis: int, ours: dict[str, Any]) -> bool:
    size = problem.sizes[axis]
    theirs = axis_weights(extent, size, scales=(problem.scales[axis], 1.0), **problem.settings)
    return bool(np.allclose(theirs, axis_weights(extent, size, **ours), rtol=0, atol=1e-6))


def axis_weights(extent: int, size: int, **settings: Any) -> np.ndarray:
    """The matrix (size, extent) that resizes an axis: what becomes of each cell alone."""
    alone = np.eye(extent, dtype=np.float32)[:, :, None, None]
    return ops.resize2d(alone, (size, 1), **settings)[:, :, 0, 0].T


def _by_matrices(importer: Importer, node: OnnxNode) -> Tensor:
    """A resizing that the file spells out as rows (H', H) times images times columns (W, W')."""
    rows, columns = importer.constant(node, 0, "matrix"), importer.constant(node, 2, "matrix").T
    x = importer.image(importer.tensor(node, 1))
    if x.ndim != 4 or rows.shape[1:] != x.shape[1:2] or columns.shape[1:] != x.shape[2:3]:
        raise Refused(f"matrices must fit images: got {list(rows.shape)}, {list(columns.T.shape)} for {x.shape}")
    (height, above), (width, before) = rows.shape, columns.shape
    for interpolation in ("bilinear", "bicubic", "nearest", "area", "lanczos3", "lanczos5"):
        for antialias in (False, True):
            ours = {"interpolation": interpolation, "antialias": antialias}
            found = (axis_weights(above, height, **ours), axis_weights(before, width, **ours))
            if all(np.allclose(a, b, rtol=0, atol=1e-6) for a, b in zip(found, (rows, columns), strict=True)):
                make = partial(layers.Resizing, height, width, interpolation, antialias=antialias)
                return Tensor(importer.add(node, make, x), channels_first(4))
    raise Refused("products of images with matrices on both sides must be those of a resizing")


KERNELS: dict[str, Callable[[OnnxNode, list[Any]], Any]] = {"Resize": _resize, "Upsample": _resize}
HANDLERS: dict[str, Callable[[Importer, OnnxNode], Tensor]] = {
    "Resize": _as_layer,
    "ResizeByMatrices": _by_matrices,
    "Upsample": _as_layer,
}
