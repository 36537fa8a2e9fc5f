"""Losses, one value per sample: ``NAME(y_true, y_pred)`` has y_pred's shape without its last axis, as in Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _cpu
from fastconv.graph import Value, is_symbolic
from fastconv.ops import _devices, _numbers
from fastconv.ops.registry import (
    Call,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_shape,
    register,
    shape_of,
    wide,
)

__all__ = [
    "binary_crossentropy",
    "binary_crossentropy_backward",
    "categorical_crossentropy",
    "categorical_crossentropy_backward",
    "hinge",
    "hinge_backward",
    "huber",
    "huber_backward",
    "kl_divergence",
    "kl_divergence_backward",
    "mean_absolute_error",
    "mean_absolute_error_backward",
    "mean_absolute_percentage_error",
    "mean_absolute_percentage_error_backward",
    "mean_squared_error",
    "mean_squared_error_backward",
    "mean_squared_logarithmic_error",
    "mean_squared_logarithmic_error_backward",
    "poisson",
    "poisson_backward",
    "sparse_categorical_crossentropy",
    "sparse_categorical_crossentropy_backward",
]


def _spec(dtype: str, target: Shape | None, prediction: Shape | None, a: dict[str, Any]) -> Any:
    return _cpu.LossSpec.make(dtype, a["kind"], target, prediction, a["from_logits"], a["label_smoothing"], a["delta"])


def _kernel(kind: str, direction: str) -> str:
    return f"{'sparse_' if kind.startswith('sparse') else ''}loss_{direction}"


def _lower_forward(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    target, prediction = shapes
    spec = _spec(dtype, target, prediction, attrs)
    return Lowered(((spec.shape("loss"), wide(dtype)),), (Call(_kernel(attrs["kind"], "forward"), spec, (0, 1, 2)),))


def _lower_backward(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    dloss, target, prediction = shapes
    spec = _spec(dtype, target, prediction, attrs)
    expect_shape(attrs["kind"], "dy", dloss, spec.shape("loss"))
    call = Call(_kernel(attrs["kind"], "backward"), spec, (0, 1, 2, 3))
    return Lowered(((spec.shape("prediction"), dtype),), (call,))


def _lower_with_gradient(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    loss, gradient = _lower_forward(dtype, shapes[1:], **attrs), _lower_backward(dtype, shapes, **attrs)
    call = Call("sparse_loss_with_gradient", gradient.calls[0].spec, (0, 1, 2, 3, 4))
    return Lowered(loss.outputs + gradient.outputs, (call,))


def _gradient(op: OpDef) -> Any:
    return lambda g: (None, apply(op, g.dys[0], *g.inputs, **g.attrs))


_SUM_TOLERANCE = 1e-3  # of a row of class probabilities around 1
_LABELS: dict[str, tuple[str, ...]] = {"labels": ("int64",)}
BACKWARD = register(
    OpDef(
        "loss_backward",
        ("dloss", "y_true", "y_pred"),
        _lower_backward,
        title="{kind}_backward",
        check=lambda arrays, attrs: check_targets(attrs["kind"], "y_true", arrays[1]),
        wide=("dloss",),
    )
)
FORWARD = register(
    OpDef(
        "loss",
        ("y_true", "y_pred"),
        _lower_forward,
        _gradient(BACKWARD),
        title="{kind}",
        check=lambda arrays, attrs: check_targets(attrs["kind"], "y_true", arrays[0]),
    )
)
SPARSE_BACKWARD = register(
    OpDef(
        "sparse_loss_backward",
        ("dloss", "labels", "y_pred"),
        _lower_backward,
        dtypes=_LABELS,
        title="{kind}_backward",
        wide=("dloss",),
    )
)
SPARSE_WITH_GRADIENT = register(
    OpDef(
        "sparse_loss_with_gradient",
        ("dloss", "labels", "y_pred"),
        _lower_with_gradient,
        dtypes=_LABELS,
        title="{kind}",
        wide=("dloss",),
    )
)
SPARSE = register(
    OpDef(
        "sparse_loss", ("labels", "y_pred"), _lower_forward, _gradient(SPARSE_BACKWARD), dtypes=_LABELS, title="{kind}"
    )
)


def check_targets(kind: str, name: str, targets: np.ndarray, where: str = "") -> None:
    """ValueError naming the first target that a cross-entropy has no meaning for; other losses take any.

    Args:
        kind: the loss. name: the argument's. targets: its values. where: what messages begin with, the loss by default.
    """
    where = where or kind
    if kind == "binary_crossentropy":
        _refuse_target(where, name, targets, "probabilities")
    if kind == "categorical_crossentropy":
        _refuse_target(where, name, targets, "distributions over classes")
        sums = targets.sum(-1, dtype=np.float64)
        bad = np.abs(sums - 1) > _SUM_TOLERANCE
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(
                f"[{where}] {name} rows must be distributions over classes: expected values >= 0 that sum to 1, got {name} row "
                f"{row} sums to {sums.flat[row]:g}. One-hot encode the labels with utils.to_categorical."
            )


def _refuse_target(where: str, name: str, targets: np.ndarray, what: str) -> None:
    bad = ~((targets >= 0) & (targets <= 1))  # NaN is bad, too
    if bad.any():
        index = tuple(int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        raise ValueError(
            f"[{where}] {name} must hold {what}: expected values in [0, 1], got {name} value {targets[index]} at index "
            f"{index[0] if len(index) == 1 else index}. Scale or encode the targets."
        )


def _attrs(kind: str, from_logits: Any = False, label_smoothing: Any = 0.0, delta: Any = 1.0) -> dict[str, Any]:
    return {
        "kind": kind,
        "from_logits": _numbers.as_bool(kind, "from_logits", from_logits),
        "label_smoothing": _numbers.as_float(kind, "label_smoothing", label_smoothing),
        "delta": _numbers.as_float(kind, "delta", delta),
    }


def _backward(dy: Any, y_true: Any, y_pred: Any, attrs: dict[str, Any], needs: Any) -> tuple:
    op = SPARSE if attrs["kind"].startswith("sparse") else FORWARD
    wanted = all_needs(attrs["kind"], needs, ("y_true", "y_pred"), (False, True))
    return backward(op, dy, (y_true, y_pred), attrs, wanted)


_LOSS_ARGS = """
    Args:
        y_true: targets of y_pred's shape and dtype.
        y_pred: predictions (N, ..., D), float32 or float64.
        out: optional preallocated result.

    Returns:
        Loss of each sample, (N, ...).

    Raises:
        TypeError: for kinds and dtypes. ValueError: if the shapes differ (they never broadcast).
"""


def _plain_loss(name: str, summary: str) -> tuple[Any, Any]:
    """The public pair of a loss without settings."""
    attrs = _attrs(name)

    def forward(y_true: Any, y_pred: Any, *, out: Any = None) -> Any:
        return apply(FORWARD, y_true, y_pred, out=out, **attrs)

    def gradient(dy: Any, y_true: Any, y_pred: Any, *, needs: Any = None) -> tuple:
        return _backward(dy, y_true, y_pred, attrs, needs)

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = summary + "\n" + _LOSS_ARGS
    gradient.__name__ = gradient.__qualname__ = f"{name}_backward"
    gradient.__doc__ = f"Gradient of :func:`{name}`: ``(None, dy_pred)`` for a cotangent per sample."
    return forward, gradient


mean_squared_error, mean_squared_error_backward = _plain_loss(
    "mean_squared_error", "``mean((y_pred - y_true)²)`` over the last axis."
)
mean_absolute_error, mean_absolute_error_backward = _plain_loss(
    "mean_absolute_error",
    "``mean(|y_pred - y_true|)`` over the last axis; the gradient where they are equal is 0.",
)
hinge, hinge_backward = _plain_loss(
    "hinge",
    "``mean(max(1 - y_true * y_pred, 0))``; targets that are all 0 or 1 are read as -1 and 1, as in Keras.",
)
kl_divergence, kl_divergence_backward = _plain_loss(
    "kl_divergence", "``Σ y_true * log(y_true / y_pred)`` with both clipped to [1e-7, 1]."
)

poisson, poisson_backward = _plain_loss("poisson", "``mean(y_pred - y_true * log(y_pred + 1e-7))`` over the last axis.")
mean_absolute_percentage_error, mean_absolute_percentage_error_backward = _plain_loss(
    "mean_absolute_percentage_error",
    "``100 mean(|y_pred - y_true| / max(|y_true|, 1e-7))`` over the last axis; the gradient where they are equal is 0.",
)
mean_squared_logarithmic_error, mean_squared_logarithmic_error_backward = _plain_loss(
    "mean_squared_logarithmic_error",
    "``mean((log(1 + y_pred) - log(1 + y_true))²)`` over the last axis; numbers below 1e-7 count as that, and have no gradient.",
)


def huber(y_true: Any, y_pred: Any, *, delta: float = 1.0, out: Any = None) -> Any:
    """``mean(e²/2 if |e| <= delta else delta * (|e| - delta/2))`` with ``e = y_pred - y_true`` (Huber 1964).

    Args:
        y_true, y_pred: arrays of one shape (N, ..., D) and dtype.
        delta: where the parabola turns into lines.
        out: optional preallocated result.
    """
    return apply(FORWARD, y_true, y_pred, out=out, **_attrs("huber", delta=delta))


def huber_backward(dy: Any, y_true: Any, y_pred: Any, *, delta: float = 1.0, needs: Any = None) -> tuple:
    """Gradient of :func:`huber`: ``(None, dy_pred)``."""
    return _backward(dy, y_true, y_pred, _attrs("huber", delta=delta), needs)


def binary_crossentropy(
    y_true: Any, y_pred: Any, *, from_logits: bool = False, label_smoothing: float = 0.0, out: Any = None
) -> Any:
    """``mean(-t·log p - (1-t)·log(1-p))`` over the last axis.

    Args:
        y_true: targets in [0, 1] of y_pred's shape and dtype.
        y_pred: probabilities (clipped to [1e-7, 1 - 1e-7]), or logits.
        from_logits: y_pred are logits; the stable form is used.
        label_smoothing: targets are pulled this share towards 1/2.
        out: optional preallocated result.
    """
    attrs = _attrs("binary_crossentropy", from_logits, label_smoothing)
    return apply(FORWARD, y_true, y_pred, out=out, **attrs)


def binary_crossentropy_backward(
    dy: Any,
    y_true: Any,
    y_pred: Any,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    needs: Any = None,
) -> tuple:
    """Gradient of :func:`binary_crossentropy`: ``(None, dy_pred)``."""
    return _backward(dy, y_true, y_pred, _attrs("binary_crossentropy", from_logits, label_smoothing), needs)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, *, from_logits: bool = False, label_smoothing: float = 0.0, out: Any = None
) -> Any:
    """``-Σ t·log p`` over the last axis.

    Args:
        y_true: one-hot (or soft) targets of y_pred's shape and dtype.
        y_pred: probabilities (divided by their sum, clipped to [1e-7, 1 - 1e-7]), or logits.
        from_logits: y_pred are logits; the stable form is used, whose gradient is softmax - t.
        label_smoothing: targets are pulled this share towards 1/D.
        out: optional preallocated result.
    """
    attrs = _attrs("categorical_crossentropy", from_logits, label_smoothing)
    return apply(FORWARD, y_true, y_pred, out=out, **attrs)


def categorical_crossentropy_backward(
    dy: Any,
    y_true: Any,
    y_pred: Any,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    needs: Any = None,
) -> tuple:
    """Gradient of :func:`categorical_crossentropy`: ``(None, dy_pred)``."""
    return _backward(dy, y_true, y_pred, _attrs("categorical_crossentropy", from_logits, label_smoothing), needs)


def _as_labels(op: str, y_true: Any, y_pred: Any) -> Any:
    """Integer labels as int64 of y_pred's leading shape, each checked to be a class."""
    if isinstance(y_true, Value):
        return reshape_labels(y_true, y_pred)
    device = _devices.of(op, ("y_true", "y_pred"), (y_true, y_pred))
    labels = device.as_array(op, "y_true", y_true)
    shape = shape_of(op, "y_pred", y_pred)
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"[{op}] y_true must be integer class labels: expected an int array, got y_true.dtype={labels.dtype}. "
            "Convert it with .astype(np.int64), or use categorical_crossentropy for one-hot targets."
        )
    if shape and labels.shape == (*shape[:-1], 1):
        labels = labels.reshape(shape[:-1])
    expect_shape(op, "y_true", labels.shape, shape[:-1])
    result = device.empty(op, "y_true", labels.shape, np.int64)
    check_labels(op, labels, shape[-1] if shape else 0)
    result[...] = labels
    return result


def check_labels(op: str, labels: Any, classes: int, name: str = "y_true") -> None:
    """ValueError naming the first label that is no class; waits for labels on a GPU."""
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        index = int(bad.argmax())
        raise ValueError(
            f"[{op}] {name} must hold class labels: expected values in [0, {classes}), got {name} value "
            f"{labels.reshape(-1)[index]} at index {index} not in [0, {classes}). Use as many outputs as there are classes."
        )


def reshape_labels(labels: Value, y_pred: Value) -> Value:
    """A symbolic label tensor of y_pred's leading shape; its values are checked when they are fed."""
    expect_shape("sparse_categorical_crossentropy", "y_true", labels.shape, tuple(y_pred.shape[:-1]))
    return labels


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, *, from_logits: bool = False, out: Any = None) -> Any:
    """``-log p[label]`` over the last axis.

    Args:
        y_true: integer labels (N, ...) or (N, ..., 1), each in [0, D).
        y_pred: probabilities or logits (N, ..., D).
        from_logits: y_pred are logits; the stable form is used.
        out: optional preallocated result.

    Raises:
        ValueError: for a label that is no class; names the first and its index.
    """
    op = "sparse_categorical_crossentropy"
    if not is_symbolic(y_pred):
        y_pred = _devices.as_floats(op, "y_pred", y_pred)
    labels = _as_labels(op, y_true, y_pred)
    return apply(SPARSE, labels, y_pred, out=out, **_attrs(op, from_logits))


def sparse_categorical_crossentropy_backward(
    dy: Any, y_true: Any, y_pred: Any, *, from_logits: bool = False, needs: Any = None
) -> tuple:
    """Gradient of :func:`sparse_categorical_crossentropy`: ``(None, dy_pred)``."""
    op = "sparse_categorical_crossentropy"
    if not is_symbolic(y_pred):
        y_pred = _devices.as_floats(op, "y_pred", y_pred)
    return _backward(dy, _as_labels(op, y_true, y_pred), y_pred, _attrs(op, from_logits), needs)
