"""The picture of a model's graph, by Keras's name."""

from __future__ import annotations

import os
from typing import Any

from fastconv._arguments import boolean, choice, path

__all__ = ["plot_model"]


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    *,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    show_params: bool = False,
) -> None:
    """Writes the graph of a model as SVG. Needs neither graphviz nor pydot.

    Keras's function, which writes PNG by graphviz: its ``dpi`` and ``splines`` have no meaning here. A layer that is called
    several times has a dashed box for each call.

    Args:
        model: a ``Sequential`` with an input shape, or ``Model(inputs, outputs)``.
        to_file: the file, ``*.svg``.
        show_shapes: the shape of one sample behind each layer.
        show_dtype: the dtype policies.
        show_layer_names: names beside types.
        rankdir: "TB", inputs at the top, or "LR", at the left.
        expand_nested: draw what is inside of models inside.
        show_layer_activations: the activations of layers that have one.
        show_trainable: whether the weights of a layer take part in training.
        show_params: how many weights a layer has.

    Raises:
        ValueError: for another file ending, or a model without a graph of layers. TypeError: for what is no model.
        OSError: if the file cannot be written.
    """
    from fastconv.diagram import Shown, graph_svg

    file = path("plot_model", "to_file", to_file)
    if not file.endswith(".svg"):
        raise ValueError(
            f"[plot_model] the picture is SVG: expected to_file=*.svg, got {file!r}. Browsers and editors convert it."
        )
    if not hasattr(model, "layers"):
        raise TypeError(
            f"[plot_model] model must be a model: expected Sequential or Model, got {type(model).__name__}."
        )
    shown = Shown(
        shapes=boolean("plot_model", "show_shapes", show_shapes),
        dtype=boolean("plot_model", "show_dtype", show_dtype),
        layer_names=boolean("plot_model", "show_layer_names", show_layer_names),
        layer_activations=boolean("plot_model", "show_layer_activations", show_layer_activations),
        trainable=boolean("plot_model", "show_trainable", show_trainable),
        params=boolean("plot_model", "show_params", show_params),
        expand_nested=boolean("plot_model", "expand_nested", expand_nested),
    )
    text = graph_svg(model, shown, choice("plot_model", "rankdir", rankdir, ("TB", "LR")))
    with open(file, "w", encoding="utf-8") as out:
        out.write(text)
