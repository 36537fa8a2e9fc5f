"""Which inputs of a model are looked up in a table, so that what is no row of it is refused before any step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv.graph import Value, nodes_behind, tracing
from fastconv.layers.base import Layer
from fastconv.layers.embedding import Embedding

__all__ = ["id_limits"]


def id_limits(model: Any, shapes: Sequence[tuple[int, ...]]) -> dict[int, int]:
    """Number of an input: rows of the smallest table that its numbers name rows of, as they are or in another shape."""
    if not _looks_up(model):
        return {}
    with tracing():
        inputs = [Value((1, *shape), model.dtype) for shape in shapes]
        outputs = model.trace(inputs if len(inputs) > 1 else inputs[0], False)
    limits: dict[int, int] = {}
    for node in nodes_behind(outputs if isinstance(outputs, (list, tuple)) else [outputs]):
        if node.op.name == "embedding":
            source, table = node.inputs
            while source is not None and source.node is not None and source.node.op.name in ("cast", "reshape"):
                source = source.node.inputs[0]
            if source in inputs and table is not None:
                i = inputs.index(source)
                limits[i] = min(table.shape[0], limits.get(i, table.shape[0]))
    return limits


def _looks_up(layer: Layer) -> bool:
    return isinstance(layer, Embedding) or any(map(_looks_up, layer.sublayers()))
