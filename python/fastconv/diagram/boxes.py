"""What the picture of a model says: a box for each call of a layer, edges where tensors go, drawings inside for models inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Box", "Drawing", "Shown", "drawing_of", "shape_text"]


@dataclass(frozen=True)
class Shown:
    """What boxes tell beside the layer's type, and whether models inside are opened. Keras's names."""

    shapes: bool = True
    dtype: bool = False
    layer_names: bool = True
    layer_activations: bool = False
    trainable: bool = False
    params: bool = True
    expand_nested: bool = False


@dataclass(frozen=True)
class Box:
    """A layer's call. ``kind`` chooses the colour; ``shared`` says that other boxes use the same weights."""

    title: str
    lines: tuple[str, ...]
    kind: str
    shared: bool
    inner: Drawing | None


@dataclass(frozen=True)
class Drawing:
    """Boxes in an order of execution, and edges between their numbers."""

    boxes: list[Box]
    edges: list[tuple[int, int]]


def drawing_of(model: Any, shown: Shown) -> Drawing:
    """The graph of a model as boxes.

    Raises:
        ValueError: for a model whose graph is not known: with a call of its own, or without an input shape.
    """
    calls = getattr(model, "_calls", None)
    if not calls:
        raise ValueError(
            f"[plot_model] the graph of {model.name!r} must be known: expected Model(inputs, outputs) or a Sequential with an "
            "input shape, got neither. Add layers.Input(shape), or call the model on data."
        )
    numbers = {call: i for i, call in enumerate(calls)}
    layers = [call.layer for call in calls]
    edges = [(numbers[t.call], i) for i, call in enumerate(calls) for t in call.inputs]
    return Drawing([_box(call, layers.count(call.layer) > 1, shown) for call in calls], edges)


def _box(call: Any, shared: bool, shown: Shown) -> Box:
    layer = call.layer
    opened = shown.expand_nested and getattr(layer, "_calls", None)
    title = type(layer).__name__
    lines = []
    if shown.layer_names:
        lines.append(layer.name + (" (shared)" if shared else ""))
    if shown.layer_activations and getattr(layer, "activation", None) is not None:
        lines.append(f"activation: {_name(layer.activation)}")
    if shown.shapes:
        lines.append(" + ".join(shape_text(t.shape) for t in call.outputs))
    if shown.dtype:
        lines.append(layer.dtype_policy.name)
    if shown.params and layer.count_params():
        lines.append(f"{layer.count_params():,} parameters")
    if shown.trainable and layer.weights:
        lines.append("trainable" if layer.trainable else "not trainable")
    return Box(title, tuple(lines), _kind(layer), shared, drawing_of(layer, shown) if opened else None)


def shape_text(shape: Any) -> str:
    """(None, 28, 28, 1) as 28 × 28 × 1: the batch goes without saying. One number stands for itself."""
    return " × ".join("?" if extent is None else str(extent) for extent in shape[1:]) or "1"


def _name(activation: Any) -> str:
    return str(getattr(activation, "__name__", activation))


_KINDS = (
    ("input", ("InputLayer",)),
    ("weights", ("Conv", "Dense", "Embedding", "LSTM", "GRU", "RNN")),
    ("pooling", ("Pool",)),
    ("normalization", ("Normalization", "Dropout", "Noise")),
    ("activation", ("Activation", "ReLU", "ELU", "GELU", "Softmax")),
    ("merging", ("Add", "Multiply", "Concatenate", "Subtract", "Average", "Maximum", "Minimum", "Dot")),
)


def _kind(layer: Any) -> str:
    if hasattr(layer, "_calls"):
        return "model"
    name = type(layer).__name__
    return next((kind for kind, words in _KINDS if any(word in name for word in words)), "other")
