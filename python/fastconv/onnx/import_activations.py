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


def _clip(importer: Importer, node: OnnxNode) -> Any:
    bounds = []
    for place, name in ((1, "min"), (2, "max")):
        given = importer.optional(node, place, name)
        bounds.append(node.attrs.get(name) if given is None else given.item())
    low, high = bounds
    if (low, high) == (-1, 1):
        return partial(layers.Activation, "hard_tanh")
    if low != 0 or (high is not None and high < 0):
        raise Refused(f"limits must be -1 and 1, or 0 and a number or none: got {bounds}")
    return layers.ReLU if high is None or high >= 3.4e38 else partial(layers.ReLU, high)


def _shrink(importer: Importer, node: OnnxNode) -> Any:
    width, bias = node.attrs.get("lambd", 0.5), node.attrs.get("bias", 0.0)
    if width != 0.5 or bias not in (0.0, 0.5):
        raise Refused(f"the activation has two forms here: expected lambd=0.5, bias 0 or 0.5, got {width}, {bias}")
    return partial(layers.Activation, "soft_shrink" if bias else "hard_shrink")


def _celu(importer: Importer, node: OnnxNode) -> Any:
    if node.attrs.get("alpha", 1.0) != 1:
        raise Refused(f"the activation has one form here: got alpha={node.attrs['alpha']}")
    return partial(layers.Activation, "celu")


def _hard_sigmoid(importer: Importer, node: OnnxNode) -> Any:
    alpha, beta = node.attrs.get("alpha", 0.2), node.attrs.get("beta", 0.5)
    if not math.isclose(alpha, 1 / 6, rel_tol=1e-5) or beta != 0.5:
        raise Refused(f"the activation has one form here: expected alpha=1/6, beta=0.5, got {alpha}, {beta}")
    return partial(layers.Activation, "hard_sigmoid")


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
    "Celu": _activation(_celu),
    "Clip": _activation(_clip),
    "Dropout": _activation(_dropout),
    "Elu": _activation(lambda importer, node: partial(layers.ELU, node.attrs.get("alpha", 1.0))),
    "Exp": _named("exponential"),
    "Gelu": _activation(_gelu),
    "GeluTanh": _activation(lambda importer, node: partial(layers.GELU, approximate=True)),
    "HardSigmoid": _activation(_hard_sigmoid),
    "HardSwish": _named("hard_swish"),
    "LeakyRelu": _activation(lambda importer, node: partial(layers.LeakyReLU, node.attrs.get("alpha", 0.01))),
    "LogSoftmax": _over_channels(partial(layers.Activation, "log_softmax")),
    "Mish": _named("mish"),
    "Neg": _activation(lambda importer, node: partial(layers.Rescaling, -1.0)),
    "PRelu": _prelu,
    "Relu": _activation(lambda importer, node: layers.ReLU),
    "Selu": _activation(_selu),
    "Shrink": _activation(_shrink),
    "Sigmoid": _named("sigmoid"),
    "Silu": _named("silu"),
    "Softmax": _over_channels(layers.Softmax),
    "Softplus": _named("softplus"),
    "Softsign": _named("softsign"),
    "Squareplus": _named("squareplus"),
    "Swish": _activation(_swish),
    "Tanh": _named("tanh"),
    "Threshold": _activation(_threshold),
    "ThresholdedRelu": _activation(lambda importer, node: partial(layers.ReLU, threshold=node.attrs.get("alpha", 1.0))),
}
