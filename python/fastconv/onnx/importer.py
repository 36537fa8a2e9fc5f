"""Turns the nodes of a graph into layers, and knows in which order each tensor's axes are.

ONNX keeps channels second, fastconv last. A tensor of the file is a symbolic tensor here and the order in which the file
counts its axes; a Transpose changes that order and needs no layer. Weights are transposed once, when a layer takes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv import initializers
from fastconv.layers.base import Layer
from fastconv.layers.borders import Cropping1D, Cropping2D, Cropping3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from fastconv.layers.core import Reshape
from fastconv.layers.rearranging import Permute
from fastconv.layers.symbolic import SymbolicTensor
from fastconv.onnx.reading import OnnxNode
from fastconv.onnx.writer import channels_first

__all__ = ["BATCH", "Importer", "Refused", "Tensor"]

# Stands for the open batch size where a file computes with shapes; a prime, so that products of it are told apart.
BATCH = 2_147_483_647

Shape = tuple[int | None, ...]

# The layers that change the borders of sequences, images and volumes, by that for images.
_BORDERS: dict[tuple[type[Layer], int], Any] = {
    (kinds[1], 1 + i): kind
    for kinds in ((Cropping1D, Cropping2D, Cropping3D), (ZeroPadding1D, ZeroPadding2D, ZeroPadding3D))
    for i, kind in enumerate(kinds)
}


class Refused(ValueError):
    """Why a node cannot become a layer."""


@dataclass(eq=False)
class Tensor:
    """A tensor of the file.

    Attributes:
        symbol: what computes it here.
        order: axis i of the file is axis order[i] of ``symbol``.
        cells: (C, H, W) where the file has flattened channels first what is flattened channels last here.
    """

    symbol: SymbolicTensor
    order: tuple[int, ...]
    cells: tuple[int, ...] | None = None

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.order)

    @property
    def shape(self) -> Shape:
        """Extents in the file's order; None for the batch."""
        return tuple(self.symbol.shape[axis] for axis in self.order)

    def like(self, symbol: SymbolicTensor) -> Tensor:
        """Another tensor whose axes mean the same."""
        return Tensor(symbol, self.order, self.cells)


class Importer:
    """The layers made so far, and the tensors and constants of the file by name."""

    def __init__(
        self,
        dtype: str,
        batches: set[int],
        constants: dict[str, np.ndarray],
        consumers: dict[str, list[OnnxNode]],
        outputs: set[str],
    ) -> None:
        self.dtype = dtype
        self.batches = {-1, 1, BATCH, *batches}  # what a shape may give for the batch
        self.constants = constants
        self.tensors: dict[str, Tensor] = {}
        self.consumers = consumers
        self.outputs = outputs
        self._shared: dict[Any, Layer] = {}
        self._names: set[str] = set()
        self._before: dict[int, SymbolicTensor] = {}  # what reshaped() has made, by id, and of what
        self._kept: list[SymbolicTensor] = []  # those, so that no other has their id

    # What handlers ask for.

    def tensor(self, node: OnnxNode, place: int = 0) -> Tensor:
        """An input that depends on the model's input."""
        name = node.inputs[place] if place < len(node.inputs) else ""
        if name not in self.tensors:
            raise Refused(f"input {place} must depend on the model's input: got {'a constant' if name else 'nothing'}")
        return self.tensors[name]

    def constant(self, node: OnnxNode, place: int, what: str) -> np.ndarray:
        """An input whose contents the file holds."""
        found = self.optional(node, place, what)
        if found is None:
            raise Refused(f"the {what} must be given: expected input {place}, got none")
        return found

    def optional(self, node: OnnxNode, place: int, what: str) -> np.ndarray | None:
        """As :meth:`constant`, or None where it is left out."""
        name = node.inputs[place] if place < len(node.inputs) else ""
        if not name:
            return None
        if name not in self.constants:
            raise Refused(f"the {what} must be a constant: got a tensor that the model computes")
        if self.constants[name].dtype.kind == "c":
            raise Refused(f"the {what} must be real numbers: got {self.constants[name].dtype}")
        return self.constants[name]

    def integers(self, node: OnnxNode, name: str, place: int = 1) -> list[int] | None:
        """A list that was an attribute in older opsets and is an input in newer ones."""
        given = self.optional(node, place, name)
        if given is None:
            given = node.attrs.get(name)
        if given is None:
            return None
        numbers = np.asarray(given).ravel()
        if numbers.size and numbers.dtype.kind not in "iu":
            raise Refused(f"{name or f'input {place}'} must hold integers: got {numbers.dtype}")
        return [int(i) for i in numbers]

    def image(self, tensor: Tensor) -> SymbolicTensor:
        """The tensor with its channels last, for a node that has them second."""
        return self._arranged(tensor, (0, *range(2, tensor.rank), 1))

    def plain(self, tensor: Tensor) -> SymbolicTensor:
        """The tensor with its axes, and the cells of a flattened image, in the file's order."""
        return self._arranged(tensor, tuple(range(tensor.rank)))

    def _arranged(self, tensor: Tensor, axes: tuple[int, ...]) -> SymbolicTensor:
        """A symbolic tensor whose axis i is axis ``axes[i]`` of the file's: as it is, reshaped, or permuted."""
        if tensor.cells is not None:
            channels, *spatial = tensor.cells
            image = self.reshaped(tensor.symbol, (*spatial, channels))
            first = Tensor(image, channels_first(image.ndim))
            return self.reshaped(self.plain(first), tensor.shape[1:])
        order = tuple(tensor.order[axis] for axis in axes)
        if order == tuple(range(tensor.rank)):
            return tensor.symbol
        if order[0] != 0:
            raise Refused("the batch must be first but at recurrent operators")
        moved = [axis for axis in order if tensor.symbol.shape[axis] != 1]
        if moved == sorted(moved):
            return self.reshaped(tensor.symbol, tuple(tensor.symbol.shape[axis] for axis in order[1:]))
        return Permute(order[1:], name=self.unique("permute"), dtype=self.dtype)(tensor.symbol)

    def reshaped(self, symbol: SymbolicTensor, shape: Shape) -> SymbolicTensor:
        """The cells of ``symbol`` in samples of another shape."""
        source = self._before.get(id(symbol), symbol)
        if source.shape[1:] == tuple(shape):
            return source
        layer = Reshape(tuple(e or 1 for e in shape), name=self.unique("reshape"), dtype=self.dtype)
        reshaped = layer(source)
        self._before[id(reshaped)] = source
        self._kept.append(reshaped)
        return reshaped

    def bordered(self, symbol: SymbolicTensor, kind: type[Layer], widths: Sequence[tuple[int, int]]) -> SymbolicTensor:
        """``symbol`` with cells added or removed by ZeroPadding or Cropping ``kind``, before and after every axis but the
        batch. The layers leave the last axis alone: where it changes, it is the one before a last axis of one cell."""
        if not any(map(any, widths)):
            return symbol
        shape = tuple(extent or 1 for extent in symbol.shape[1:])
        whole = symbol if not any(widths[-1]) else self.reshaped(symbol, (*shape, 1))
        sides = list(widths) if any(widths[-1]) else list(widths[:-1])
        found = _BORDERS.get((kind, len(sides)))
        if found is None:
            raise Refused(f"no layer does this to {symbol.ndim} axes")
        argument: Any = sides[0] if len(sides) == 1 else tuple(sides)
        y = found(argument, name=self.unique(found.__name__.lower()), dtype=self.dtype)(whole)
        return self.reshaped(y, y.shape[1:-1]) if any(widths[-1]) else y

    def cut(self, symbol: SymbolicTensor, axis: int, start: int, stop: int) -> SymbolicTensor:
        """``symbol`` from ``start`` to ``stop`` along one axis."""
        widths = [(0, 0)] * (symbol.ndim - 1)
        widths[axis - 1] = (start, (symbol.shape[axis] or 1) - stop)
        return self.bordered(symbol, Cropping2D, widths)

    def add(
        self,
        node: OnnxNode,
        make: Callable[..., Layer],
        inputs: SymbolicTensor | list[SymbolicTensor],
        weights: list[np.ndarray] | None = None,
        form: Any = None,
    ) -> SymbolicTensor:
        """The output of a new layer on ``inputs``; or of one made before, where a node has the same weights and settings.

        Args:
            make: the layer's class with its settings, short of name and dtype.
            weights: of the layer, in its order.
            form: what besides the node's attributes decides the weights.
        """
        names = tuple(name for name in node.inputs if name in self.constants)
        key = (node.op, repr(sorted(node.attrs.items())), names, form)
        layer = self._shared.get(key) if weights else None
        if layer is not None:
            return layer(inputs)
        layer = make(name=self.unique(_layer_name(node, names)), dtype=self.dtype)
        if not weights:
            return layer(inputs)
        with _no_random_weights(layer):
            output = layer(inputs)
        layer.set_weights([np.asarray(w, self.dtype) for w in weights])
        self._shared[key] = layer
        return output

    def unique(self, name: str) -> str:
        """``name`` for a layer, with a number where it is taken."""
        name = re.sub(r"[^\w.-]+", "_", name).strip("_")[:100] or "layer"
        candidate, count = name, 0
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._names.add(candidate)
        return candidate


@contextmanager
def _no_random_weights(layer: Layer) -> Iterator[None]:
    """Builds a layer with zeros: its weights come from the file, and drawing millions of others first takes seconds."""
    own = {name: value for name, value in vars(layer).items() if name.endswith("_initializer")}
    vars(layer).update(dict.fromkeys(own, initializers.get("zeros")))
    try:
        yield
    finally:
        vars(layer).update(own)


def _layer_name(node: OnnxNode, weights: tuple[str, ...]) -> str:
    """The path of the node's weights where they have one ("conv2d/kernel", "features.0.weight"), else the node's name."""
    for name in weights:
        owner = re.sub(r"[/.][^/.]+$", "", name)
        if owner != name:
            return owner
    return node.name or node.op.lower()
