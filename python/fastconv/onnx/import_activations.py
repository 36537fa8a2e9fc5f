"""ONNX's activations as layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastconv import layers
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode

__all__ = ["HANDLERS"]

Handler = Callable[[Importer, OnnxNode], Tensor]


def _activation(make: Callable[[Importer, OnnxNode], Any]) -> Handler:
    """A layer that works cell by cell, whatever the order of the axes."""

    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        tensor = importer.tensor(node)
        return tensor.like(importer.add(node, make(importer, node), tensor.symbol))

    return convert


def _named(name: str) -> Handler:
    return _activation(lambda importer, node: partial(layers.Activation, name))


def _in_a_row(make: Callable[[Importer, OnnxNode], list[Any]]) -> Handler:
    """Several such layers, one behind the other."""

    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        tensor = importer.tensor(node)
        for layer in make(importer, node):
            tensor = tensor.like(importer.add(node, layer, tensor.symbol))
        return tensor

    return convert


def _moved(offset: float, layer: Any) -> list[Any]:
    """``layer`` of what lies at ``offset`` instead of 0."""
    return [partial(layers.Rescaling, 1.0, -offset), layer, partial(layers.Rescaling, 1.0, offset)]


def _stretched(factor: float, layer: Any) -> list[Any]:
    """``factor * layer(x / factor)``."""
    if not factor > 0:
        raise Refused(f"the activation's number must be positive: got {factor}")
    return [layer] if factor == 1 else [partial(layers.Rescaling, 1 / factor), layer, partial(layers.Rescaling, factor)]


_NO_LIMIT = 3.4e38  # as float32 has it


def _clip(importer: Importer, node: OnnxNode) -> list[Any]:
    bounds = []
    for place, (name, none) in enumerate((("min", -math.inf), ("max", math.inf)), 1):
        given = importer.optional(node, place, name)
        number = node.attrs.get(name, none) if given is None else given.item()
        bounds.append(number if abs(number) < _NO_LIMIT else none)
    low, high = bounds
    if (low, high) == (-1, 1):
        return [partial(layers.Activation, "hard_tanh")]
    if low > high:
        raise Refused(f"limits must be in order: got {bounds}")
    if low == -math.inf:  # the smaller one of two: the larger one of their opposites
        negative = partial(layers.Rescaling, -1.0)
        return [] if high == math.inf else [negative, *_moved(-high, layers.ReLU), negative]
    cut = layers.ReLU if high == math.inf else partial(layers.ReLU, high - low)
    return [cut] if low == 0 else _moved(low, cut)


def _shrink(importer: Importer, node: OnnxNode) -> list[Any]:
    width, bias = node.attrs.get("lambd", 0.5), node.attrs.get("bias", 0.0)
    if bias not in (0.0, width):
        raise Refused(f"the activation has two forms here: expected bias 0 or lambd={width}, got {bias}")
    return _stretched(2 * width, partial(layers.Activation, "soft_shrink" if bias else "hard_shrink"))


def _celu(importer: Importer, node: OnnxNode) -> list[Any]:
    return _stretched(node.attrs.get("alpha", 1.0), partial(layers.Activation, "celu"))


def _hard_sigmoid(importer: Importer, node: OnnxNode) -> list[Any]:
    alpha, beta = node.attrs.get("alpha", 0.2), node.attrs.get("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-5) and beta == 0.5:
        return [partial(layers.Activation, "hard_sigmoid")]
    return [partial(layers.Rescaling, alpha, beta), partial(layers.ReLU, 1.0)]


def _abs(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = importer.tensor(node)
    negative = importer.add(node, partial(layers.Rescaling, -1.0), tensor.symbol)
    return tensor.like(importer.add(node, layers.Maximum, [tensor.symbol, negative]))


_MOST_FACTORS = 8


def _pow(importer: Importer, node: OnnxNode) -> Tensor:
    tensor, exponent = importer.tensor(node), importer.constant(node, 1, "exponent")
    if exponent.size != 1 or exponent.item() not in range(1, _MOST_FACTORS + 1):
        raise Refused(f"the exponent must be a whole number from 1 to {_MOST_FACTORS}: got {exponent.tolist()}")
    if exponent.item() == 1:
        return tensor
    return tensor.like(importer.add(node, layers.Multiply, [tensor.symbol] * int(exponent.item())))


def _selu(importer: Importer, node: OnnxNode) -> Any:
    alpha, gamma = node.attrs.get("alpha", 1.6732632), node.attrs.get("gamma", 1.050701)
    if abs(alpha - 1.6732632) > 1e-5 or abs(gamma - 1.050701) > 1e-5:
        raise Refused(f"the activation has one form here: got alpha={alpha}, gamma={gamma}")
    return partial(layers.Activation, "selu")


def _threshold(importer: Importer, node: OnnxNode) -> Any:
    if importer.constant(node, 1, "threshold").item() != 0:
        raise Refused("the step must be at 0")
    return partial(layers.Activation, "threshold")


def _gelu(importer: Importer, node: OnnxNode) -> Any:
    return partial(layers.GELU, approximate=node.attrs.get("approximate", "none") == "tanh")


def _dropout(importer: Importer, node: OnnxNode) -> Any:
    ratio = importer.optional(node, 1, "ratio")
    return partial(layers.Dropout, node.attrs.get("ratio", 0.5) if ratio is None else ratio.item())


def _prelu(importer: Importer, node: OnnxNode) -> Tensor:
    tensor, slope = importer.tensor(node), importer.constant(node, 1, "slope")
    if node.opset < 7 and slope.ndim == 1 and tensor.rank > 2:
        slope = slope.reshape(-1, *(1,) * (tensor.rank - 2))
    if slope.ndim > tensor.rank or tensor.cells is not None:
        raise Refused(f"slopes must fit the tensor: got {list(slope.shape)}")
    whole = slope.reshape((1,) * (tensor.rank - slope.ndim) + slope.shape)
    ours = whole.transpose(np.argsort(tensor.order))
    extents = [extent or 1 for extent in tensor.symbol.shape]
    shared = 0
    while shared < tensor.rank - 2 and ours.shape[1 + shared] == 1:
        shared += 1
    if ours.shape[0] != 1:
        raise Refused(f"slopes must not depend on the sample: got {list(slope.shape)}")
    alpha = np.broadcast_to(ours[0], [*ours.shape[1 : 1 + shared], *extents[1 + shared :]])
    make = partial(layers.PReLU, shared_axes=list(range(1, shared + 1)))
    return tensor.like(importer.add(node, make, tensor.symbol, [alpha]))


def _swish(importer: Importer, node: OnnxNode) -> Any:
    if node.attrs.get("alpha", 1.0) != 1:
        raise Refused(f"the activation has one form here: got alpha={node.attrs['alpha']}")
    return partial(layers.Activation, "silu")


def _over_channels(make: Any) -> Handler:
    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        tensor = importer.tensor(node)
        axis = node.attrs.get("axis", 1 if node.opset < 13 else -1) % tensor.rank
        row = range(axis, tensor.rank) if node.opset < 13 else [axis]
        wide = [i for i in row if tensor.shape[i] != 1] or [tensor.order.index(tensor.rank - 1)]
        if make is layers.Softmax and len(wide) == 1 and tensor.cells is None and tensor.order[wide[0]] > 0:
            own = tensor.order[wide[0]] - tensor.rank  # -1 where it is over the channels
            return tensor.like(importer.add(node, partial(make, own), tensor.symbol))
        if [tensor.order[i] for i in wide] != [tensor.rank - 1]:
            raise Refused(f"it must be over the channels: got axis={axis} of {tensor.shape}")
        return tensor.like(importer.add(node, make, tensor.symbol))

    return convert


HANDLERS: dict[str, Handler] = {
    "Abs": _abs,
    "Celu": _in_a_row(_celu),
    "Clip": _in_a_row(_clip),
    "Dropout": _activation(_dropout),
    "Elu": _activation(lambda importer, node: partial(layers.ELU, node.attrs.get("alpha", 1.0))),
    "Exp": _named("exponential"),
    "Gelu": _activation(_gelu),
    "GeluTanh": _activation(lambda importer, node: partial(layers.GELU, approximate=True)),
    "HardSigmoid": _in_a_row(_hard_sigmoid),
    "HardSwish": _named("hard_swish"),
    "LeakyRelu": _activation(lambda importer, node: partial(layers.LeakyReLU, node.attrs.get("alpha", 0.01))),
    "LogSigmoid": _named("log_sigmoid"),
    "LogSoftmax": _over_channels(partial(layers.Activation, "log_softmax")),
    "Mish": _named("mish"),
    "Neg": _activation(lambda importer, node: partial(layers.Rescaling, -1.0)),
    "PRelu": _prelu,
    "Pow": _pow,
    "Relu": _activation(lambda importer, node: layers.ReLU),
    "Selu": _activation(_selu),
    "Shrink": _in_a_row(_shrink),
    "Sigmoid": _named("sigmoid"),
    "Silu": _named("silu"),
    "Softmax": _over_channels(layers.Softmax),
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "Sparsemax": _over_channels(partial(layers.Activation, "sparsemax")),
    "Squareplus": _named("squareplus"),
    "Swish": _activation(_swish),
    "Tanh": _named("tanh"),
    "Threshold": _activation(_threshold),
    "ThresholdedRelu": _activation(lambda importer, node: partial(layers.ReLU, threshold=node.attrs.get("alpha", 1.0))),
}
