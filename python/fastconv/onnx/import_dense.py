"""ONNX's products, sums and joins as layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastconv import layers
from fastconv.onnx.import_norms import in_our_order
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode
from fastconv.onnx.writer import channels_first

__all__ = ["HANDLERS"]

Handler = Callable[[Importer, OnnxNode], Tensor]


def _dense(importer: Importer, node: OnnxNode, kernel: np.ndarray, bias: np.ndarray | None) -> Tensor:
    tensor = importer.tensor(node)
    if tensor.rank == 3 and tensor.order[-1] != 2:
        tensor = Tensor(importer.plain(tensor), (0, 1, 2))
    x = tensor.symbol
    if kernel.ndim != 2 or kernel.shape[0] != x.shape[-1] or tensor.rank not in (2, 3):
        raise Refused(f"the matrix must fit the vectors: got {list(kernel.shape)} for {x.shape}")
    if bias is not None and bias.ndim and bias.shape[-1] not in (1, kernel.shape[1]):
        raise Refused(f"the bias must have one number per unit: got {list(bias.shape)} for {kernel.shape[1]}")
    weights = [in_our_order(tensor, kernel)]
    if bias is not None:
        weights.append(np.broadcast_to(bias.reshape(-1), kernel.shape[1:]))
    make = partial(layers.Dense, kernel.shape[1], use_bias=bias is not None)
    return Tensor(importer.add(node, make, x, weights, tensor.cells), tensor.order)


def _gemm(importer: Importer, node: OnnxNode) -> Tensor:
    if node.attrs.get("transA", 0):
        raise Refused("rows must be samples: got transA=1")
    kernel, bias = importer.constant(node, 1, "matrix"), importer.optional(node, 2, "bias")
    alpha, beta = node.attrs.get("alpha", 1.0), node.attrs.get("beta", 1.0)
    kernel = kernel.T if node.attrs.get("transB", 0) else kernel
    kernel = kernel if alpha == 1 else kernel * np.asarray(alpha, kernel.dtype)
    return _dense(importer, node, kernel, None if bias is None else bias * np.asarray(beta, bias.dtype))


def _matmul(importer: Importer, node: OnnxNode) -> Tensor:
    return _dense(importer, node, importer.constant(node, 1, "matrix"), None)


def _dense_node(importer: Importer, node: OnnxNode) -> Tensor:
    return _dense(importer, node, importer.constant(node, 1, "matrix"), importer.constant(node, 2, "bias"))


def _affine(importer: Importer, node: OnnxNode, scale: np.ndarray, shift: np.ndarray) -> Tensor:
    """``x * scale + shift``: Rescaling for numbers, a 1x1 depthwise convolution for one pair per channel."""
    tensor = importer.tensor(node, 0 if node.inputs[0] in importer.tensors else 1)
    if scale.size == shift.size == 1:
        make = partial(layers.Rescaling, scale.item(), shift.item())
        return tensor.like(importer.add(node, make, tensor.symbol))
    if tensor.cells is not None:
        tensor = Tensor(importer.plain(tensor), (0, 1))
    elif (
        tensor.rank > 2 and tensor.order != channels_first(tensor.rank) and scale.shape[-1:] == shift.shape[-1:] == (1,)
    ):
        tensor = Tensor(
            importer.image(tensor), channels_first(tensor.rank)
        )  # one per channel, but of another order here
    channels = tensor.symbol.shape[-1] or 0
    factors, offsets = (_per_channel(tensor, constant, channels) for constant in (scale, shift))
    shape = tuple(extent or 1 for extent in tensor.symbol.shape[1:])
    pixels = importer.reshaped(tensor.symbol, (math.prod(shape[:-2]), *((1, *shape)[-2:])))
    depthwise: Any = partial(layers.DepthwiseConv2D, 1)
    y = importer.add(node, depthwise, pixels, [factors.reshape(1, 1, channels, 1), offsets])
    return tensor.like(importer.reshaped(y, shape))


def _per_channel(tensor: Tensor, constant: np.ndarray, channels: int) -> np.ndarray:
    """A constant that has an extent along the channels alone, or none."""
    rank = tensor.rank
    shape = (1,) * (rank - constant.ndim) + constant.shape
    ours = tuple(shape[axis] for axis in np.argsort(tensor.order)) if len(shape) == rank else ()
    if ours not in ((*(1,) * (rank - 1), channels), (1,) * rank):
        raise Refused(f"constants must be numbers, or one per channel: got {list(constant.shape)} for {tensor.shape}")
    return np.broadcast_to(constant.reshape(-1), (channels,))


def _affine_node(importer: Importer, node: OnnxNode) -> Tensor:
    return _affine(importer, node, importer.constant(node, 1, "scale"), importer.constant(node, 2, "shift"))


def _binary(layer: Any, affine: Callable[[np.ndarray, bool], tuple[Any, Any]]) -> Handler:
    """Joins tensors; ``affine(constant, constant is first)`` is (scale, shift) where one side is a constant."""

    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        for place, name in enumerate(node.inputs[:2]):
            if name in importer.constants:
                scale, shift = affine(importer.constants[name], place == 0)
                return _affine(importer, node, np.asarray(scale), np.asarray(shift))
        if layer is None:
            raise Refused("one side must be a constant: there is no layer that divides")
        tensors = [importer.tensor(node, i) for i in range(len(node.inputs))]
        return _joined(importer, node, layer, tensors)

    return convert


def _joined(importer: Importer, node: OnnxNode, layer: Any, tensors: list[Tensor]) -> Tensor:
    """The layer on tensors whose axes mean the same."""
    first, *others = _aligned(importer, tensors)
    return first.like(importer.add(node, layer, [first.symbol, *(t.symbol for t in others)])) if others else first


def _aligned(importer: Importer, tensors: list[Tensor]) -> list[Tensor]:
    """The tensors with their axes, and the cells of flattened images, in one order."""
    first = tensors[0]
    if all((t.order, t.cells) == (first.order, first.cells) for t in tensors):
        return tensors
    if any(t.rank != first.rank for t in tensors):
        raise Refused(f"tensors must have as many axes: got {[t.rank for t in tensors]}")
    if first.rank > 2:
        return [Tensor(importer.image(t), channels_first(t.rank)) for t in tensors]
    return [Tensor(importer.plain(t), (0, 1)) for t in tensors]


def _divisor(constant: np.ndarray, is_first: bool) -> tuple[Any, Any]:
    if is_first:
        raise Refused("only the divisor may be a constant")
    return 1 / constant, np.zeros_like(constant)


def _all(layer: Any) -> Handler:
    """A layer that joins any number of tensors."""
    return lambda importer, node: _joined(
        importer, node, layer, [importer.tensor(node, i) for i in range(len(node.inputs))]
    )


def _concat(importer: Importer, node: OnnxNode) -> Tensor:
    tensors = [importer.tensor(node, i) for i in range(len(node.inputs))]
    axis = node.attrs.get("axis", 1) % tensors[0].rank
    if tensors[0].order[axis] == 0:
        raise Refused(f"batches cannot be joined: got axis={axis}")
    tensors = _aligned(importer, [t if t.cells is None else Tensor(importer.plain(t), (0, 1)) for t in tensors])
    return _joined(importer, node, partial(layers.Concatenate, tensors[0].order[axis]), tensors)


HANDLERS: dict[str, Handler] = {
    "Add": _binary(layers.Add, lambda c, first: (np.ones_like(c), c)),
    "Affine": _affine_node,
    "Concat": _concat,
    "Dense": _dense_node,
    "Div": _binary(None, _divisor),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Max": _all(layers.Maximum),
    "Mean": _all(layers.Average),
    "Min": _all(layers.Minimum),
    "Mul": _binary(layers.Multiply, lambda c, first: (c, np.zeros_like(c))),
    "Sub": _binary(layers.Subtract, lambda c, first: (-np.ones_like(c), c) if first else (np.ones_like(c), -c)),
    "Sum": _all(layers.Add),
}
