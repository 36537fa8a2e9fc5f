"""ONNX's Resize and Upsample: what a node says, computed by fastconv's kernel, and as a layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastconv import layers, ops
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode
from fastconv.onnx.writer import channels_first

__all__ = ["HANDLERS", "KERNELS"]

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
    problem = _resizing(node, x.shape, scales, sizes)
    for axis in problem.changes(x.shape):
        before, after = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        images = x.reshape(before, x.shape[axis], 1, after)
        y = ops.resize2d(images, (problem.sizes[axis], 1), scales=(problem.scales[axis], 1.0), **problem.settings)
        x = y.reshape(*x.shape[:axis], problem.sizes[axis], *x.shape[axis + 1 :])
    return x


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
    """The layer whose weights are the node's."""
    height, width = problem.sizes[2:]
    if max(*extents[2:], height, width) > _MOST_COMPARED:
        raise Refused(f"images must be at most {_MOST_COMPARED} cells high and wide: got {extents} to {problem.sizes}")
    interpolation = problem.settings["interpolation"]
    for antialias in (False, True):
        ours = {"interpolation": interpolation, "antialias": antialias}
        if all(_same_weights(problem, extents[axis], axis, ours) for axis in (2, 3)):
            factors = (height / extents[2], width / extents[3])
            if all(factor.is_integer() for factor in factors):
                return partial(layers.UpSampling2D, tuple(map(int, factors)), interpolation=interpolation)
            return partial(layers.Resizing, height, width, interpolation, antialias=antialias)
    raise Refused(
        "the weights must be those of the layer Resizing (half_pixel; of cubic, cubic_coeff_a=-0.5 and exclude_outside=1): got "
        f"{problem.settings}"
    )


def _same_weights(problem: _Resizing, extent: int, axis: int, ours: dict[str, Any]) -> bool:
    size = problem.sizes[axis]
    theirs = _weights(extent, size, scales=(problem.scales[axis], 1.0), **problem.settings)
    return bool(np.allclose(theirs, _weights(extent, size, **ours), rtol=0, atol=1e-6))


def _weights(extent: int, size: int, **settings: Any) -> np.ndarray:
    """The matrix (extent, size) that resizes an axis: what becomes of each cell alone."""
    alone = np.eye(extent, dtype=np.float32)[:, :, None, None]
    return ops.resize2d(alone, (size, 1), **settings)


KERNELS: dict[str, Callable[[OnnxNode, list[Any]], Any]] = {"Resize": _resize, "Upsample": _resize}
HANDLERS: dict[str, Callable[[Importer, OnnxNode], Tensor]] = {"Resize": _as_layer, "Upsample": _as_layer}
