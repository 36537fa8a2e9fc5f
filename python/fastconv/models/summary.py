"""The table that model.summary() prints, and that a notebook shows of a model."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from fastconv import _html
from fastconv.graph import Value, nodes_behind, tracing
from fastconv.models import plans

__all__ = ["summary_html", "summary_table", "summary_text"]

_LEFT = ("Layer (type)", "Output shape", "Connected to", "Trainable")


def summary_text(
    model: Any,
    batch_size: int,
    line_length: int | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """Layers with kinds, output shapes, parameter counts and operations, the totals, and the memory of a batch."""
    layers = _in_range(model, layer_range)
    header, rows = _table(model, layers, expand_nested, show_trainable)
    widths = _widths(header, rows, line_length)
    line = "  ".join("-" * width for width in widths)

    def text(row: Sequence[str]) -> list[str]:
        cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
        lines = []
        for k in range(max(map(len, cells))):
            parts = zip(header, cells, widths, strict=True)
            shown = (f"{c[k] if k < len(c) else '':{'<' if name in _LEFT else '>'}{w}}" for name, c, w in parts)
            lines.append("  ".join(shown).rstrip())
        return lines

    body = [one for row in rows for one in text(row)]
    return "\n".join([f'Model: "{model.name}"', line, *text(header), line, *body, line, *_totals(model, batch_size)])


def summary_html(model: Any) -> str:
    """The table and the graph, for a notebook."""
    from fastconv.diagram import graph_svg

    graph = ""
    if getattr(model, "_calls", None):
        graph = f"<details><summary>Graph</summary>{graph_svg(model)}</details>"
    return f"<div>{summary_table(model)}{graph}</div>"


def summary_table(model: Any) -> str:
    """The table and the totals as HTML."""
    header, rows = _table(model, model.layers, False, False)
    left = [i for i, name in enumerate(header) if name in _LEFT]
    totals = "<br>".join(escape(line) for line in _totals(model, 32))
    return f"{_html.table(header, rows, f'{type(model).__name__} {model.name}', left)}<p>{totals}</p>"


def _table(
    model: Any, layers: Sequence[Any], expand_nested: bool, show_trainable: bool
) -> tuple[list[str], list[list[str]]]:
    header = ["Layer (type)", "Output shape", "Params", "FLOPs"]
    connected = not _is_chain(getattr(model, "_calls", []))
    header += ["Connected to"] * connected + ["Trainable"] * show_trainable
    return header, list(_rows(model, layers, header, expand_nested, 0))


def _rows(model: Any, layers: Sequence[Any], header: list[str], expand_nested: bool, depth: int) -> Any:
    calls: dict[Any, list[Any]] = {}
    for call in getattr(model, "_calls", []):
        calls.setdefault(call.layer, []).append(call)
    for layer in layers:
        own = calls.get(layer, [])
        shapes = dict.fromkeys(str(t.shape) for call in own for t in call.outputs)
        cells = {
            "Layer (type)": f"{'  ' * depth}{layer.name} ({type(layer).__name__})",
            "Output shape": ", ".join(shapes) or "?",
            "Params": f"{layer.count_params():,}",
            "FLOPs": f"{sum(map(_flops, own)):,}" if own else "?",
            "Connected to": ", ".join(t.layer.name for call in own for t in call.inputs) or "-",
            "Trainable": ("yes" if layer.trainable else "no") if layer.weights else "-",
        }
        yield [cells[name] for name in header]
        if expand_nested and hasattr(layer, "layers"):
            yield from _rows(layer, layer.layers, header, True, depth + 1)


def _flops(call: Any) -> int:
    """Floating-point operations of one sample in inference, as the kernels' specs count them."""
    if not call.inputs:
        return 0
    with tracing():
        values = [Value((1, *t.shape[1:]), t.dtype) for t in call.inputs]
        outputs = call.layer(values if call.as_list else values[0])
    nodes = nodes_behind(plans.as_list(outputs))
    return round(sum(one.spec.flops(one.kernel) for node in nodes for one in node.lowered.calls))


def _is_chain(calls: Sequence[Any]) -> bool:
    """Whether each call takes what the one before it gives, so that it need not be said."""
    return all(later.inputs == tuple(earlier.outputs) for earlier, later in pairwise(calls))


def _in_range(model: Any, layer_range: Sequence[str] | None) -> Sequence[Any]:
    """The layers from the first whose name matches the first pattern to the last that matches the second."""
    layers = model.layers
    if layer_range is None:
        return layers
    if isinstance(layer_range, str) or len(layer_range) != 2:
        raise ValueError(
            f"[summary] layer_range must be the names of two layers, or patterns: expected (first, last), got {layer_range!r}."
        )
    found = [[i for i, layer in enumerate(layers) if re.match(pattern, layer.name)] for pattern in layer_range]
    if not all(found):
        raise ValueError(
            f"[summary] layer_range must name layers: expected two of {[layer.name for layer in layers]}, got {layer_range!r}."
        )
    bounds = sorted((found[0][0], found[1][-1]))
    return layers[bounds[0] : bounds[1] + 1]


def _widths(header: list[str], rows: list[list[str]], line_length: int | None) -> list[int]:
    """What the cells need; with a line length the widest columns give way."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    if line_length is not None:
        while sum(widths) + 2 * (len(widths) - 1) > line_length and max(widths) > 8:
            widths[widths.index(max(widths))] -= 1
    return widths


def _totals(model: Any, batch: int) -> list[str]:
    weights = model.weights
    total = sum(w.size for w in weights)
    trainable = sum(w.size for w in model.trainable_weights)
    biases = sum(w.size for w in weights if w.name in ("bias", "beta"))
    nbytes = sum(w.size * np.dtype(w.dtype).itemsize for w in weights)
    lines = [
        f"Total params: {total:,} ({nbytes / 1024:,.1f} KiB), weights {total - biases:,}, biases {biases:,}",
        f"Trainable params: {trainable:,}",
        f"Non-trainable params: {total - trainable:,}",
        f"Depth: {len(model.layers)} layers",
    ]
    calls = getattr(model, "_calls", [])
    if calls:
        lines.append(f"Operations for a sample: {sum(map(_flops, calls)):,} FLOP")
    return lines + _memory_lines(model, batch)


def _memory_lines(model: Any, batch: int) -> list[str]:
    """What a batch needs beside weights and optimizer state, as far as the model knows its inputs and its loss."""
    shapes = model.input_shapes()
    if shapes is None or not model.built:
        return []
    parts = [f"inference {_mebibytes(plans.predict_bytes(model, shapes, batch))}"]
    if model.compiled and model.trainable_weights:
        parts.append(f"training step {_mebibytes(plans.train_bytes(model, model._losses, shapes, batch))}")
    return [f"Memory for a batch of {batch}: {', '.join(parts)}"]


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.2f} MiB"
