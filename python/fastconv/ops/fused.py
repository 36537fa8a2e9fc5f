"""An op followed by an activation: in one kernel where there is one, as two ops otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv.graph import is_symbolic
from fastconv.ops import activation as act
from fastconv.ops import distribution
from fastconv.ops.registry import OpDef, apply, backward

# Activations over a row of outputs; no kernel takes them in.
_OVER_ROWS = {"softmax": distribution.SOFTMAX, "log_softmax": distribution.LOG_SOFTMAX}


def _over_rows(activation: Any) -> OpDef | None:
    return _OVER_ROWS.get(activation) if isinstance(activation, str) else None


def apply_activated(op: OpDef, inputs: Sequence[Any], activation: Any, out: Any, attrs: dict[str, Any]) -> Any:
    """``activation(op(inputs))`` for the name of an activation, or None."""
    over_rows = _over_rows(activation)
    if over_rows is not None:
        return apply(over_rows, apply(op, *inputs, **attrs), out=out)
    kind = act.parse_activation(op.name, activation)
    if kind == act.LINEAR:
        return apply(op, *inputs, out=out, **attrs)
    if any(is_symbolic(x) for x in inputs):
        return act.activate(apply(op, *inputs, **attrs), kind)  # the plan fuses the two
    return apply(op, *inputs, out=out, activation=kind, **attrs)


def activated_backward(
    op: OpDef, dy: Any, inputs: Sequence[Any], activation: Any, attrs: dict[str, Any], needs: Sequence[bool]
) -> tuple:
    """Gradients of :func:`apply_activated`: dy is taken back through the activation, then through the op."""
    over_rows = _over_rows(activation)
    if over_rows is not None:
        (dy,) = backward(over_rows, dy, (apply(op, *inputs, **attrs),), {}, (True,))
    else:
        kind = act.parse_activation(op.name, activation)
        if kind != act.LINEAR:
            (dy,) = backward(act.FORWARD, dy, (apply(op, *inputs, **attrs),), {"activation": kind}, (True,))
    return backward(op, dy, inputs, attrs, needs)
