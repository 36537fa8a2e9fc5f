"""The table that model.summary() prints."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.models import plans

__all__ = ["summary_text"]


def summary_text(model: Any, batch_size: int) -> str:
    """Layers with kinds, output shapes and parameter counts, the totals, and the memory of a batch."""
    shapes = {call.layer: call.outputs[0].shape for call in getattr(model, "_calls", [])}
    rows = [
        (f"{layer.name} ({type(layer).__name__})", str(shapes.get(layer, "?")), f"{layer.count_params():,}")
        for layer in model.layers
    ]
    header = ("Layer (type)", "Output shape", "Params")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(3)]
    line = "  ".join("-" * width for width in widths)

    def text(row: tuple[str, str, str]) -> str:
        return f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}"

    weights = model.weights
    total = sum(w.size for w in weights)
    trainable = sum(w.size for w in model.trainable_weights)
    biases = sum(w.size for w in weights if w.name in ("bias", "beta"))
    nbytes = sum(w.size * np.dtype(w.dtype).itemsize for w in weights)
    return "\n".join(
        [
            f'Model: "{model.name}"',
            line,
            text(header),
            line,
            *map(text, rows),
            line,
            f"Total params: {total:,} ({nbytes / 1024:,.1f} KiB), weights {total - biases:,}, biases {biases:,}",
            f"Trainable params: {trainable:,}",
            f"Non-trainable params: {total - trainable:,}",
            f"Depth: {len(model.layers)} layers",
            *_memory_lines(model, batch_size),
        ]
    )


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
