"""Gradients of a model's outputs for what goes into it, or for what a layer inside gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import autodiff
from fastconv._arguments import array, boolean
from fastconv.graph import Value, tracing
from fastconv.models.plans import as_list
from fastconv.ops import _arrays, activation, distribution
from fastconv.plan import Plan
from fastconv.plan.fuse import widened

__all__ = ["input_gradients"]


def input_gradients(model: Any, x: Any, dy: Any, layer: str | None, logits: bool) -> Any:
    """:meth:`Model.input_gradients <fastconv.models.Model.input_gradients>`, which says what the arguments mean."""
    boolean("input_gradients", "logits", logits)
    with model._lock:
        arrays = model._prepare_inputs("input_gradients", x)
        record: dict[str, Any] = {}
        with tracing():
            inputs = [Value(a.shape, model.dtype) for a in arrays]
            given = inputs if len(inputs) > 1 else inputs[0]
            called = model.trace(given, False) if layer is None else model.replay(given, False, record)
            outputs = [widened(_before_activation(v) if logits else v) for v in as_list(called)]
            wrt = inputs if layer is None else as_list(_recorded(record, layer))
            cotangents = [Value(v.shape, v.dtype) for v in outputs]
            found = autodiff.gradients(outputs, cotangents, wrt)
        weights = _cotangents(dy, outputs)
        needed = [value for value in found if value is not None]
        plan = Plan([*inputs, *cotangents], needed)
        for value, array in zip([*inputs, *cotangents], [*arrays, *weights], strict=True):
            _arrays.assign("input_gradients", "x", plan.array(value), array)
        plan.run()
        results = [
            np.zeros(value.shape, value.dtype) if dx is None else plan.array(dx).copy()
            for value, dx in zip(wrt, found, strict=True)
        ]
    return results[0] if len(results) == 1 else results


def _before_activation(value: Value) -> Value:
    """What a last softmax or sigmoid is applied to; other values as they are."""
    node = value.node
    if node is None:
        return value
    sigmoid = node.op is activation.FORWARD and node.attrs["activation"][0] == "sigmoid"
    before = node.inputs[0] if node.op is distribution.SOFTMAX or sigmoid else None
    return value if before is None else before


def _recorded(record: dict[str, Any], layer: str) -> Any:
    if not isinstance(layer, str) or layer not in record:
        raise (ValueError if isinstance(layer, str) else TypeError)(
            f"[input_gradients] no layer has this name: expected one of {list(record)}, got layer={layer!r}. See summary()."
        )
    return record[layer]


def _cotangents(dy: Any, outputs: list[Value]) -> list[np.ndarray]:
    given = (
        [np.ones(v.shape, v.dtype) for v in outputs]
        if dy is None
        else [array("input_gradients", "dy", d) for d in as_list(dy)]
    )
    shapes = [v.shape for v in outputs]
    if [d.shape for d in given] != shapes:
        raise ValueError(
            f"[input_gradients] dy must weight every cell of the outputs: expected shapes {shapes}, got "
            f"{[d.shape for d in given]}. Pass an array like model(x)."
        )
    return given
