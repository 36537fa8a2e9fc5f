"""ONNX's operators that take cells out of tensors, put some around them, or move them, as layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from fastconv import layers
from fastconv.layers.symbolic import SymbolicTensor
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode
from fastconv.onnx.run_windows import split_pads
from fastconv.onnx.writer import channels_first

__all__ = ["HANDLERS", "SEVERAL", "without_axis"]

Widths = list[tuple[int, int]]
_MOST_PIECES = 64  # cells that a mode of padding repeats, a layer each


def _own(importer: Importer, tensor: Tensor) -> Tensor:
    """The tensor with cells of its own axes: a flattened image in the file's order."""
    return tensor if tensor.cells is None else Tensor(importer.plain(tensor), (0, 1))


def _in_order(tensor: Tensor, widths: Widths) -> Widths:
    """Widths of the file's axes as those of the symbol's, short of the batch's, which must be none."""
    batch, *others = (widths[axis] for axis in np.argsort(tensor.order))
    if any(batch):
        raise Refused("the batch cannot be cut or padded")
    return others


def _slice(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = _own(importer, importer.tensor(node))
    starts, ends = importer.integers(node, "starts", 1) or [], importer.integers(node, "ends", 2) or []
    axes = importer.integers(node, "axes", 3) or range(len(starts))
    steps = importer.integers(node, "steps", 4) or [1] * len(starts)
    widths, strides = [(0, 0)] * tensor.rank, [1] * tensor.rank
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        extent = tensor.shape[axis]
        if extent is None or step < 1:
            raise Refused(f"the batch cannot be cut, nor an axis turned around: got axis {axis}, step {step}")
        first, last, _ = slice(start, end).indices(extent)
        if last <= first:
            raise Refused(f"cells must be left: got {start}:{end} of {extent}")
        widths[axis], strides[axis] = (first, extent - last), step
    y = importer.bordered(tensor.symbol, layers.Cropping2D, _in_order(tensor, widths))
    of_symbol = [strides[axis] for axis in np.argsort(tensor.order)]
    return tensor.like(_every(importer, node, y, of_symbol))


def _every(importer: Importer, node: OnnxNode, x: SymbolicTensor, strides: list[int]) -> SymbolicTensor:
    """Every second, third, ... row and column of images: pooling of windows of one cell."""
    if all(stride == 1 for stride in strides):
        return x
    if x.ndim != 4 or strides[-1] != 1:
        raise Refused(f"rows and columns of images alone are skipped: got steps {strides}")
    return importer.add(node, partial(layers.MaxPooling2D, 1, strides=tuple(strides[1:-1])), x)


def _split(importer: Importer, node: OnnxNode) -> None:
    tensor = _own(importer, importer.tensor(node))
    axis = node.attrs.get("axis", 0) % tensor.rank
    own, extent = tensor.order[axis], tensor.shape[axis]
    if extent is None:
        raise Refused("the batch cannot be split")
    each = -(-extent // len(node.outputs))
    sizes = importer.integers(node, "split") or [min(each, extent - i * each) for i in range(len(node.outputs))]
    if min(sizes) < 1 or sum(sizes) != extent or len(sizes) != len(node.outputs):
        raise Refused(f"parts must make up the whole: got {sizes} of {extent}")
    for name, (start, stop) in zip(node.outputs, pairwise(accumulate(sizes, initial=0)), strict=True):
        if name in importer.consumers or name in importer.outputs:
            importer.tensors[name] = tensor.like(importer.cut(tensor.symbol, own, start, stop))


def without_axis(importer: Importer, tensor: Tensor, axis: int, index: int) -> Tensor:
    """The cells at ``index`` of one of the file's axes, which is gone then."""
    own = tensor.order[axis]
    extent = tensor.symbol.shape[own]
    if own == 0 or extent is None or not -extent <= index < extent or tensor.rank < 3:
        raise Refused(f"samples must stay vectors: got index {index} of axis {axis} of {tensor.shape}")
    place = index % extent
    one = importer.cut(tensor.symbol, own, place, place + 1)
    y = importer.reshaped(one, tuple(e or 1 for i, e in enumerate(one.shape) if i not in (0, own)))
    return Tensor(y, tuple(o - (o > own) for o in tensor.order if o != own))


def _gather(importer: Importer, node: OnnxNode) -> Tensor:
    """Rows of a table of weights; or cells whose places the file holds."""
    if node.inputs[0] in importer.constants:
        return _embedding(importer, node)
    tensor, index = _own(importer, importer.tensor(node)), importer.constant(node, 1, "index")
    axis = node.attrs.get("axis", 0) % tensor.rank
    if index.ndim == 0:
        return without_axis(importer, tensor, axis, int(index))
    first, extent = int(index.ravel()[0]), tensor.shape[axis]
    if index.ndim != 1 or extent is None or not np.array_equal(index, np.arange(first, first + index.size)):
        raise Refused(f"cells must be neighbours, of every sample: got axis {axis} of {tensor.shape}, {index.tolist()}")
    return tensor.like(importer.cut(tensor.symbol, tensor.order[axis], first, first + index.size))


def _embedding(importer: Importer, node: OnnxNode) -> Tensor:
    table = importer.constant(node, 0, "table")
    if table.ndim != 2 or node.attrs.get("axis", 0) != 0:
        raise Refused("only the rows of a matrix can be looked up")
    ids = importer.tensor(node, 1)
    y = importer.add(node, partial(layers.Embedding, *table.shape), importer.plain(ids), [table])
    return Tensor(y, tuple(range(ids.rank + 1)))


def _pad(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = _own(importer, importer.tensor(node))
    pads, mode = importer.integers(node, "pads") or [], node.attrs.get("mode", "constant")
    axes = importer.integers(node, "axes", 3) or list(range(tensor.rank))
    value = importer.optional(node, 2, "value")
    number = node.attrs.get("value", 0) if value is None else value.item()
    if len(pads) != 2 * len(axes):
        raise Refused(f"there must be two pads for each axis: got {pads}")
    whole: Widths = [(0, 0)] * tensor.rank
    for axis, pair in zip(axes, split_pads(pads), strict=True):
        whole[axis] = pair
    widths = _in_order(tensor, whole)
    y = importer.bordered(tensor.symbol, layers.Cropping2D, [(max(-a, 0), max(-b, 0)) for a, b in widths])
    widths = [(max(a, 0), max(b, 0)) for a, b in widths]
    if mode != "constant":
        for axis, pair in enumerate(widths, 1):
            y = _extended(importer, y, axis, pair, mode)
        return tensor.like(y)
    if number:
        y = importer.add(node, partial(layers.Rescaling, 1.0, -number), y)
    y = importer.bordered(y, layers.ZeroPadding2D, widths)
    return tensor.like(importer.add(node, partial(layers.Rescaling, 1.0, number), y) if number else y)


def _extended(importer: Importer, x: SymbolicTensor, axis: int, pair: tuple[int, int], mode: str) -> SymbolicTensor:
    """``x`` with cells of its own before and after it, one by one."""
    extent, (before, after) = x.shape[axis] or 1, pair
    if before == after == 0:
        return x
    modes: dict[str, Any] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    if mode not in modes or before + after > _MOST_PIECES or (mode == "reflect" and max(pair) >= extent):
        raise Refused(f"padding must be constant, reflect, edge or wrap, of few cells: got {mode}, {pair} of {extent}")
    places = np.pad(np.arange(extent), pair, mode=modes[mode]).tolist()
    cells = {place: importer.cut(x, axis, place, place + 1) for place in {*places[:before], *places[before + extent :]}}
    parts = [*(cells[i] for i in places[:before]), x, *(cells[i] for i in places[before + extent :])]
    return layers.Concatenate(axis, name=importer.unique(mode), dtype=importer.dtype)(parts)


def _moved(to_space: bool) -> Callable[[Importer, OnnxNode], Tensor]:
    """DepthToSpace: blocks of an image's cells lie in its channels; SpaceToDepth: the other way round."""

    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        x = importer.image(importer.tensor(node))
        block, in_depth_first = node.attrs["blocksize"], node.attrs.get("mode", "DCR") == "CRD"
        if x.ndim != 4 or block < 1:
            raise Refused(f"blocks must be of images: got {x.ndim} axes, blocksize={block}")
        rows, columns, channels = (extent or 1 for extent in x.shape[1:])
        if to_space:
            parts = (channels // block**2, block, block) if in_depth_first else (block, block, channels // block**2)
            shape, order = (rows, columns, *parts), (1, 4, 2, 5, 3) if in_depth_first else (1, 3, 2, 4, 5)
            whole = (rows * block, columns * block, channels // block**2)
        else:
            shape, order = (rows // block, block, columns // block, block, channels), (1, 3, 2, 4, 5)
            whole = (rows // block, columns // block, channels * block**2)
        y = importer.add(node, partial(layers.Permute, order), importer.reshaped(x, shape))
        return Tensor(importer.reshaped(y, whole), channels_first(4))

    return convert


HANDLERS: dict[str, Callable[[Importer, OnnxNode], Tensor]] = {
    "DepthToSpace": _moved(True),
    "Gather": _gather,
    "Pad": _pad,
    "Slice": _slice,
    "SpaceToDepth": _moved(False),
}
SEVERAL: dict[str, Callable[[Importer, OnnxNode], None]] = {"Split": _split}  # operators of several results
