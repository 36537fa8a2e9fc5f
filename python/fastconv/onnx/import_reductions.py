"""ONNX's reductions as layers: pooling of windows as long as an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from fastconv import layers
from fastconv.layers.symbolic import SymbolicTensor
from fastconv.onnx.import_images import layer_for
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode

__all__ = ["HANDLERS"]

_GLOBAL = {
    layers.AveragePooling2D: layers.GlobalAveragePooling2D,
    layers.MaxPooling2D: layers.GlobalMaxPooling2D,
}


def _reduce(kind: Any) -> Callable[[Importer, OnnxNode], Tensor]:
    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        tensor, axes = importer.tensor(node), importer.integers(node, "axes") or []
        keepdims = bool(node.attrs.get("keepdims", 1))
        own = sorted({tensor.order[axis % tensor.rank] for axis in axes})
        if not own or own[0] == 0 or tensor.cells is not None or (not keepdims and tensor.rank - len(own) < 2):
            raise Refused(f"samples must stay apart, and vectors: got axes={axes} of {tensor.shape}")
        order = tensor.order if keepdims else tuple(o - sum(a < o for a in own) for o in tensor.order if o not in own)
        if own == list(range(1, tensor.rank - 1)) and kind in _GLOBAL and tensor.rank <= 5:
            layer = layer_for(_GLOBAL[kind], tensor.rank)
            return Tensor(importer.add(node, partial(layer, keepdims=keepdims), tensor.symbol), order)
        y = tensor.symbol
        for axis in own:
            y = _along(importer, node, kind, y, axis)
        shape = tuple(extent or 1 for i, extent in enumerate(y.shape) if i and (keepdims or i not in own))
        return Tensor(importer.reshaped(y, shape), order)

    return convert


def _along(importer: Importer, node: OnnxNode, kind: Any, x: SymbolicTensor, axis: int) -> SymbolicTensor:
    """Pools one axis: as the columns of images whose rows are the axes before it, whose channels are those behind it."""
    shape = [extent or 1 for extent in x.shape[1:]]
    before, extent, after = shape[: axis - 1], shape[axis - 1], shape[axis:]
    images = importer.reshaped(x, (math.prod(before), extent, math.prod(after)))
    y = importer.add(node, partial(kind, (1, extent)), images)
    return importer.reshaped(y, (*before, 1, *after))


HANDLERS: dict[str, Callable[[Importer, OnnxNode], Tensor]] = {
    "ReduceMax": _reduce(layers.MaxPooling2D),
    "ReduceMean": _reduce(layers.AveragePooling2D),
    "ReduceMin": _reduce(layers.MinPooling2D),
    "ReduceSum": _reduce(layers.SumPooling2D),
}
