"""ONNX's changes of shape as layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from fastconv import layers
from fastconv.onnx.importer import BATCH, Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode
from fastconv.onnx.writer import channels_first

__all__ = ["HANDLERS"]

Handler = Callable[[Importer, OnnxNode], Tensor]


def _identity(importer: Importer, node: OnnxNode) -> Tensor:
    return importer.tensor(node)


def _cast(importer: Importer, node: OnnxNode) -> Tensor:
    readers = importer.consumers.get(node.outputs[0], [])
    if readers and all(reader.op == "Gather" and reader.inputs[0] in importer.constants for reader in readers):
        return importer.tensor(node)  # ids are floats here
    if node.attrs.get("to") != {"float32": 1, "float64": 11}[importer.dtype]:
        raise Refused(
            f"tensors must keep their dtype: expected {importer.dtype}, got a cast to type {node.attrs.get('to')}"
        )
    return importer.tensor(node)


def _transpose(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = importer.tensor(node)
    permutation = node.attrs.get("perm", list(range(tensor.rank))[::-1])
    if sorted(permutation) != list(range(tensor.rank)):
        raise Refused(f"every axis must be there once: got perm={permutation} for {tensor.rank} axes")
    if tensor.cells is not None:
        return Tensor(importer.plain(tensor), tuple(permutation))
    return Tensor(tensor.symbol, tuple(tensor.order[axis] for axis in permutation))


def _to_shape(importer: Importer, node: OnnxNode, tensor: Tensor, target: tuple[int, ...]) -> Tensor:
    """The tensor with other extents after the batch; cells stay in the file's order."""
    rank, order = 1 + len(target), tensor.order
    if target == tensor.shape[1:]:
        return tensor
    if tensor.cells is not None and target == tensor.cells:
        y = importer.add(node, partial(layers.Reshape, (*target[1:], target[0])), tensor.symbol)
        return Tensor(y, channels_first(rank))
    is_first = order == channels_first(tensor.rank) and tensor.rank > 2 and tensor.cells is None
    if is_first and rank > 2 and target[0] == tensor.shape[1]:  # the channels stay, whatever happens to the others
        y = importer.add(node, partial(layers.Reshape, (*target[1:], target[0])), tensor.symbol)
        return Tensor(y, channels_first(rank))
    if rank == 2:
        if is_first:
            return _flat_image(importer, node, tensor)
        return Tensor(importer.add(node, layers.Flatten, importer.plain(tensor)), (0, 1))
    if rank > 2 and (target[0] == 1 or math.prod(target[1:]) == 1):  # as an image, for one it may become
        y = importer.add(node, partial(layers.Reshape, (*target[1:], target[0])), importer.plain(tensor))
        return Tensor(y, channels_first(rank))
    y = importer.add(node, partial(layers.Reshape, target), importer.plain(tensor))
    return Tensor(y, tuple(range(rank)))


def _flat_image(importer: Importer, node: OnnxNode, tensor: Tensor) -> Tensor:
    """A flattened image: our cells are channels last, and what reads them must know."""
    cells = tuple(extent or 1 for extent in tensor.shape[1:])
    y = importer.add(node, layers.Flatten, tensor.symbol)
    same = cells[0] == 1 or math.prod(cells[1:]) == 1
    return Tensor(y, (0, 1), None if same else cells)


def _flatten(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = importer.tensor(node)
    axis = node.attrs.get("axis", 1)
    if axis not in (1, 1 - tensor.rank):
        raise Refused(f"samples must stay apart: expected axis=1, got axis={axis}")
    return _to_shape(importer, node, tensor, (math.prod(e or 1 for e in tensor.shape[1:]),))


def _reshape(importer: Importer, node: OnnxNode) -> Tensor:
    tensor, target = importer.tensor(node), importer.integers(node, "shape") or []
    cells = math.prod(e or 1 for e in tensor.shape[1:])
    extents = [
        ((tensor.shape[i] or BATCH) if i < tensor.rank else 1)
        if extent == 0 and not node.attrs.get("allowzero", 0)
        else extent
        for i, extent in enumerate(target)
    ]
    if tensor.order[0] != 0:
        return _behind_the_first(importer, tensor, extents)
    first, rest = extents[0] if extents else 0, extents[1:]
    known = math.prod(extent for extent in rest if extent != -1)
    if -1 in rest and known and cells % known == 0 and first != -1:
        rest = [cells // known if extent == -1 else extent for extent in rest]
    if first not in importer.batches or rest.count(-1) or not rest or math.prod(rest) != cells:
        raise Refused(f"samples must stay apart: got shape {target} for {cells} cells per sample")
    return _to_shape(importer, node, tensor, tuple(rest))


def _behind_the_first(importer: Importer, tensor: Tensor, target: list[int]) -> Tensor:
    """Another shape of a tensor whose batch is not first, as around recurrent operators: what is before the batch stays."""
    place = tensor.order.index(0)
    others = [axis for axis in tensor.order if axis]
    kept, batch, rest = target[:place], target[place : place + 1], target[place + 1 :]
    cells = math.prod(e or 1 for e in tensor.shape[place + 1 :])
    known = math.prod(extent for extent in rest if extent != -1)
    rest = [cells // known if extent == -1 and known else extent for extent in rest]
    stays = kept == list(tensor.shape[:place]) and batch and batch[0] in importer.batches
    if others != sorted(others) or not stays or not rest or math.prod(rest) != cells:
        raise Refused(f"samples must stay apart, and what is before them as it is: got {target} for {tensor.shape}")
    return Tensor(
        importer.reshaped(tensor.symbol, (*kept, *rest)), (*others[:place], 0, *range(place + 1, place + 1 + len(rest)))
    )


def _squeeze(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = importer.tensor(node)
    axes = importer.integers(node, "axes")
    given = [i for i, e in enumerate(tensor.shape) if e == 1] if axes is None else [axis % tensor.rank for axis in axes]
    if any(tensor.shape[axis] != 1 for axis in given) or len(given) > tensor.rank - 2:
        raise Refused(f"axes must be of extent 1, and samples stay vectors: got axes={axes} of {tensor.shape}")
    if tensor.order[0] != 0 and all(tensor.order[axis] for axis in given):
        gone = {tensor.order[axis] for axis in given}
        shape = tuple(e or 1 for i, e in enumerate(tensor.symbol.shape) if i and i not in gone)
        order = tuple(o - sum(a < o for a in gone) for o in tensor.order if o not in gone)
        return Tensor(importer.reshaped(tensor.symbol, shape), order)
    return _to_shape(importer, node, tensor, tuple(e or 1 for i, e in enumerate(tensor.shape) if i and i not in given))


def _unsqueeze(importer: Importer, node: OnnxNode) -> Tensor:
    tensor, axes = importer.tensor(node), importer.integers(node, "axes") or []
    rank = tensor.rank + len(axes)
    places = {axis % rank for axis in axes}
    if places == {0} and tensor.rank == 2 and tensor.cells is None:  # a state that a recurrent operator begins with
        return Tensor(importer.reshaped(tensor.symbol, (1, tensor.shape[1])), (1, 0, 2))
    if 0 in places or tensor.order[0] != 0:
        raise Refused(f"the batch must stay first: got axes={axes}")
    rest = iter(tensor.shape)
    shape = [1 if i in places else next(rest) for i in range(rank)]
    return _to_shape(importer, node, tensor, tuple(e or 1 for e in shape[1:]))


HANDLERS: dict[str, Handler] = {
    "Cast": _cast,
    "Flatten": _flatten,
    "Identity": _identity,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
