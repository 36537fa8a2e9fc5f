"""What layers are called on when a functional model is described: a shape with an open batch axis and where it comes from."""

from __future__ import annotations

import numbers
from typing import Any

from fastconv._locks import Serial

__all__ = ["LayerCall", "SymbolicTensor", "as_batch_shape", "declared_input_shape", "open_shapes"]

BatchShape = tuple[int | None, ...]

_serial = Serial()


class LayerCall:
    """One call of a layer in a model that is being described."""

    def __init__(self, layer: Any, inputs: tuple[SymbolicTensor, ...], as_list: bool) -> None:
        self.serial = next(_serial)  # grows in the order of description, which is a valid order of execution
        self.layer = layer
        self.inputs = inputs
        self.as_list = as_list
        self.outputs: list[SymbolicTensor] = []


class SymbolicTensor:
    """The output of a layer in a model that is being described.

    Attributes:
        shape: extents; the first, the batch, is None.
        dtype: NumPy's name of the element type.
        call: the call that makes it.
    """

    def __init__(self, shape: BatchShape, dtype: str, call: LayerCall) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self.call = call
        call.outputs.append(self)

    @property
    def layer(self) -> Any:
        """The layer that makes it."""
        return self.call.layer

    @property
    def ndim(self) -> int:
        """Number of axes, the batch included."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<SymbolicTensor {self.layer.name} {self.dtype}{list(self.shape)}>"

    # Arithmetic describes a layer that does it.

    __array_ufunc__ = None  # NumPy's numbers leave it to us

    def __add__(self, other: Any) -> Any:
        return _combined("+", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return _combined("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _combined("+", _combined("*", self, -1.0), other)

    def __mul__(self, other: Any) -> Any:
        return _combined("*", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return _combined("/", self, other)

    def __neg__(self) -> Any:
        return _combined("*", self, -1.0)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError(
            f"[{self.layer.name}] a symbolic tensor has no values: expected an array. Use a layer (e.g. layers.Add) instead of "
            "a NumPy function, or call the model on data."
        )


def _combined(sign: str, x: SymbolicTensor, other: Any) -> Any:
    """``x + other`` and its kin as layers: Add, Subtract, Multiply of two tensors, Rescaling with a number."""
    from fastconv.layers import core, merging  # they know layers, which know this

    if isinstance(other, SymbolicTensor) and sign != "/":
        return {"+": merging.Add, "-": merging.Subtract, "*": merging.Multiply}[sign]()([x, other])
    if isinstance(other, bool) or not isinstance(other, numbers.Real) or (sign == "/" and other == 0):
        raise TypeError(
            f"[{x.layer.name}] {sign} needs a symbolic tensor or a number: expected one of these"
            f"{' but 0' if sign == '/' else ''}, got {other!r} ({type(other).__name__}). Hold arrays in a layer's weights."
        )
    number = float(other)
    scale, offset = {"+": (1.0, number), "-": (1.0, -number), "*": (number, 0.0), "/": (1 / (number or 1), 0.0)}[sign]
    return core.Rescaling(scale, offset)(x)


def as_batch_shape(op: str, shape: Any) -> BatchShape:
    """``shape`` with an open batch axis, every other extent an int >= 1."""
    if not isinstance(shape, (tuple, list)) or not shape or shape[0] is not None:
        raise ValueError(
            f"[{op}] input_shape must start with an open batch axis: expected (None, ...), got {shape!r}. Put None first."
        )
    for extent in shape[1:]:
        if isinstance(extent, bool) or not hasattr(extent, "__index__"):
            raise TypeError(
                f"[{op}] input_shape must hold ints: expected int, got {extent!r} in {tuple(shape)}. Pass whole numbers."
            )
        if extent < 1:
            raise ValueError(
                f"[{op}] input_shape must be positive: expected extents >= 1, got {tuple(shape)}. Only the batch is open."
            )
    return (None, *(int(extent) for extent in shape[1:]))


def open_shapes(values: Any) -> Any:
    """Shapes with the batch axis open."""
    if isinstance(values, (list, tuple)):
        return [(None, *v.shape[1:]) for v in values]
    return (None, *values.shape[1:])


def declared_input_shape(name: str, keywords: dict[str, Any]) -> BatchShape | None:
    """The shape that a layer was made with, which its keywords lose: Keras's ``input_shape`` or ``input_dim``."""
    if "input_dim" in keywords:
        return as_batch_shape(name, (None, keywords.pop("input_dim")))
    if "input_shape" in keywords:
        shape = keywords.pop("input_shape")
        if not isinstance(shape, (tuple, list)):
            shape = (shape,)
        return as_batch_shape(name, (None, *shape))
    return None
