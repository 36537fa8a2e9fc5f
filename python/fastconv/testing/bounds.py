"""How far a correct kernel's result may be from the reference's, element by element.

With u = eps/2 of the dtype, a sum of n products computed in any order, with or without fma, is within ``(n +
2) · u · Σ|terms|`` of the exact one (Higham 2002, section 3.1); the reference on absolute values gives
Σ|terms|, and one more u covers the reference's own rounding to the dtype. Functions of one number are
computed by kernels within a few units of ``u · (|y| + |x|)``. Composites (norms, softmax, losses) use the
same n-term bound on the magnitudes that occur inside them; these are looser than the others, since a short
formula has to cover every way of computing them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _cpu, reference
from ._resize_bounds import resize_error, resize_weights
from ._roundoff import LIBM, unit_roundoff
from .case import Case
from .compare import Inputs

__all__ = ["SPLIT_L2", "SPLIT_MAX", "WINOGRAD_L2", "WINOGRAD_MAX", "backward_bounds", "forward_bounds"]

# What minimal filtering promises: ‖error‖ / ‖result‖, and the largest error over the largest result.
WINOGRAD_L2, WINOGRAD_MAX = 5e-6, 3e-5
# The same for products of two bfloat16 parts each, of numbers without a pattern; any result is within 2^-15 · Σ|terms|.
SPLIT_L2, SPLIT_MAX = 1e-5, 3e-5

_LINEAR = (
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "dense",
    "avg_pool2d",
    "avg_pool3d",
    "fold_depth",
    "sum_pool2d",
    "sum_pool3d",
    "global_avg_pool2d",
    "unfold_depth",
)
_PRODUCTS = ("add", "subtract", "multiply", "divide", "prelu", "dropout", "leaky_relu", "penalty")
_CHOICES = (
    "max_pool2d",
    "min_pool2d",
    "max_pool3d",
    "min_pool3d",
    "global_max_pool2d",
    "maximum",
    "minimum",
    "transpose",
    "relu",
    "relu6",
    "threshold",
    "concatenate",
    "pad",
    "cast",
    "crop",
    "embedding",
    "flatten",
    "reshape",
)
_NORMS = ("batch_norm", "layer_norm", "group_norm")
_RECURRENT = ("simple_rnn", "lstm", "gru")
_GELU_SLOPE = 4  # x²·φ(x) and the tanh form's cubic amplify the argument's rounding


def _abs64(v: Any) -> Any:
    """Magnitudes to which u is relative: subnormal numbers lie as far apart as the smallest normal ones."""
    if isinstance(v, list):
        return [_abs64(item) for item in v]
    if v.dtype.kind != "f":
        return v
    size = np.asarray(np.abs(v.astype(np.float64)))
    return np.where(size == 0, 0.0, np.maximum(size, float(np.finfo(v.dtype).tiny)))


def _dtype(inputs: Inputs) -> Any:
    last = list(inputs.values())[-1]
    return (last[0] if isinstance(last, list) else last).dtype


def forward_bounds(case: Case, inputs: Inputs) -> tuple[Any, ...]:
    """One bound per result of the op (batch_norm in training has three)."""
    u = unit_roundoff(_dtype(inputs))
    if case.op in _CHOICES:
        return (0.0,)
    kwargs = {k: v for k, v in case.kwargs.items() if k != "activation"}
    magnitudes = {name: _abs64(v) for name, v in inputs.items()}
    if case.op in _LINEAR:
        total = getattr(reference, case.op)(*magnitudes.values(), **kwargs)
        bound = _sum_error(case, u, _terms(case) + 2, total, _pixels(case))
        activation = case.kwargs.get("activation")
        if activation in (None, "relu"):
            return (bound,)
        # An activation's slope is at most 1.2 here; it adds its own rounding.
        return (1.2 * bound + LIBM * u * (1 + total),)
    if case.op in _PRODUCTS:
        if case.op in ("add", "subtract"):
            return (2 * u * (magnitudes["a"] + magnitudes["b"]),)
        return (4 * u * np.abs(_float64(case, inputs)),)
    if case.op in _RECURRENT:
        return (_steps_error(magnitudes, u),) * len(_results(_float64(case, inputs)))
    if case.op in _NORMS:
        return _norm_forward(case, inputs, u)
    if case.op == "rms_norm":  # a sum of squares does not cancel
        return ((case.shapes["x"][-1] + LIBM) * u * np.abs(_float64(case, inputs)),)
    if case.op == "sparsemax":  # of numbers that are at most 1 below the largest
        return ((case.shapes["x"][-1] + LIBM) * u * (1 + magnitudes["x"].max(axis=-1, keepdims=True, initial=0.0)),)
    if case.op in ("softmax", "log_softmax"):
        x = magnitudes["x"]
        scale = 1 + 2 * x.max(axis=-1, keepdims=True, initial=0.0)
        y = np.abs(_float64(case, inputs))
        return ((x.shape[-1] + LIBM) * u * scale * (y if case.op == "softmax" else 1 + y),)
    if case.op in ("resize2d", "upsample"):
        return (resize_error(u, magnitudes["x"], *resize_weights(case)),)
    if case.op == "gaussian_noise":
        return (u * (2 * np.abs(_float64(case, inputs)) + magnitudes["x"]) + _noise_error(case, inputs["x"]),)
    if "y_pred" in inputs:
        return (_loss_forward(case, inputs, u),)
    if case.op == "adjust2d":  # a cell is made of its image's mean and of products with it
        return (LIBM * u * (np.abs(_float64(case, inputs)) + magnitudes["x"].max(initial=0)),)
    if case.op == "warp2d":  # places are rounded relative to the extents, and cells differ by as much as there is
        return (LIBM * u * sum(inputs["x"].shape[1:3]) * magnitudes["x"].max(initial=0),)
    return (LIBM * u * (np.abs(_float64(case, inputs)) + _steepness(case) * magnitudes["x"]),)


def backward_bounds(case: Case, dy: np.ndarray, inputs: Inputs) -> tuple[Any, ...]:
    """One bound per array of the op; None where there is no gradient."""
    u = unit_roundoff(dy.dtype)
    magnitudes = {name: _abs64(v) for name, v in inputs.items()}
    dy64 = _abs64(dy)
    kwargs = {k: v for k, v in case.kwargs.items() if k != "activation"}
    f_backward = getattr(reference, f"{case.op}_backward")
    if case.op == "embedding":
        return None, (dy.size + 2) * u * f_backward(dy64, *_widened(inputs).values())[1]
    if case.op in _RECURRENT:
        return _steps_gradient_errors(case, dy64, magnitudes, u)
    if case.op in _LINEAR:
        totals = f_backward(dy64, *magnitudes.values(), **kwargs)
        n = _gradient_terms(case, dy)
        if case.kwargs.get("activation") in (None, "relu"):
            first = _pixels(case)[0]
            axes = ((first, first + 1), (first - 1, first), ())
            return tuple(None if t is None else _sum_error(case, u, n[i] + 4, t, axes[i]) for i, t in enumerate(totals))
        # The slope at a rounded z: relative to the whole of dy, with one more forward sum inside it.
        inside = 1 + _terms(case) + 4 * LIBM
        row = dy64 + dy64.sum(axis=-1, keepdims=True)  # softmax mixes the channels of a pixel
        z = getattr(reference, case.op)(*magnitudes.values(), **kwargs)
        totals = f_backward(row * (1 + z), *magnitudes.values(), **kwargs)
        return tuple(None if t is None else (n[i] + inside) * u * t for i, t in enumerate(totals))
    if case.op in ("maximum", "minimum"):
        totals = f_backward(dy64, *_widened(inputs).values())
        return tuple((dy.size / max(1, t.size) + 4) * u * t for t in totals)
    if "pool_size" in case.kwargs and case.op in _CHOICES:
        # A cell may win several windows; their dy are summed in any order.
        windows = _window(case)
        return ((windows + 2) * u * f_backward(dy64, inputs["x"].astype(np.float64), **kwargs)[0],)
    if case.op in _CHOICES:
        return (0.0,) * (len(inputs["arrays"]) if "arrays" in inputs else 1)
    if case.op in _PRODUCTS:
        totals = f_backward(dy64, *magnitudes.values(), **kwargs)
        if case.op == "prelu":  # the sum over x <= 0, which absolute values would empty
            alpha = reference.multiply_backward(dy64, magnitudes["x"], magnitudes["alpha"])[1]
            totals = (dy64 * np.maximum(1.0, magnitudes["alpha"]), alpha)
        if case.op == "leaky_relu":
            totals = (dy64,)
        return tuple((dy.size / max(1, np.size(t)) + 4) * u * np.abs(t) for t in totals)
    if case.op in _NORMS:
        return _norm_backward(case, dy64, inputs, u)
    if case.op == "rms_norm":
        return _rms_norm_backward(dy64, magnitudes, u)
    if case.op == "sparsemax":
        return ((dy.shape[-1] + LIBM) * u * (dy64 + dy64.max(axis=-1, keepdims=True, initial=0.0)),)
    if case.op in ("softmax", "log_softmax"):
        x = magnitudes["x"]
        scale = 1 + 2 * x.max(axis=-1, keepdims=True, initial=0.0)
        y = reference.softmax(inputs["x"].astype(np.float64))
        n = x.shape[-1] + LIBM
        if case.op == "softmax":
            return (n * u * scale * y * (dy64 + (dy64 * y).sum(axis=-1, keepdims=True)),)
        return (n * u * scale * (dy64 + y * dy64.sum(axis=-1, keepdims=True)),)
    if case.op in ("resize2d", "upsample"):
        rows, columns = resize_weights(case)
        return (resize_error(u, dy64, rows.T, columns.T),)
    if case.op == "gaussian_noise":
        return (2 * u * np.abs(f_backward(dy64, inputs["x"].astype(np.float64), **kwargs)[0]) + _noise_error(case, dy),)
    if "y_pred" in inputs:
        n = inputs["y_pred"].shape[-1]
        slope = np.abs(f_backward(np.ones(dy.shape), *_widened(inputs).values(), **kwargs)[1])
        inner = slope * (1 + magnitudes["y_pred"] + n * slope) + 1 / n
        return None, (n + LIBM) * u * dy64[..., None] * inner
    factor = _GELU_SLOPE if case.op == "gelu" else _steepness(case)
    return (factor * LIBM * u * dy64 * (1 + magnitudes["x"]),)


def _growth(magnitudes: Inputs) -> float:
    """What an error of the first step may have become in the last: every step multiplies with the recurrent weights, and a
    gate with another number."""
    through = 2 + magnitudes["recurrent_kernel"].sum(axis=0).max()
    return float(through ** magnitudes["x"].shape[1])


def _largest_sum(magnitudes: Inputs) -> float:
    """Of the numbers that a step adds up, states being of the size of 1 or of their initial values."""
    state = 1 + max((m.max(initial=0.0) for name, m in magnitudes.items() if name in ("h0", "c0")), default=0.0)
    inputs = (magnitudes["x"] @ magnitudes["kernel"]).max(initial=0.0)
    bias = magnitudes["bias"].max() if "bias" in magnitudes else 0.0
    return float(inputs + bias + state * magnitudes["recurrent_kernel"].sum(axis=0).max())


def _steps_error(magnitudes: Inputs, u: float) -> float:
    terms = len(magnitudes["kernel"]) + len(magnitudes["recurrent_kernel"]) + 4 * LIBM
    return terms * u * (1 + _largest_sum(magnitudes)) * _growth(magnitudes)


def _steps_gradient_errors(case: Case, dy: np.ndarray, magnitudes: Inputs, u: float) -> tuple[Any, ...]:
    """Loose: the error of the states, by all of dy, by all that it is multiplied with on the way."""
    largest = 1 + max(m.max(initial=0.0) for m in magnitudes.values())
    error = dy.size * u + _steps_error(magnitudes, u)
    bound = error * (1 + dy.sum()) * largest**2 * _growth(magnitudes)
    names = ("x", "kernel", "recurrent_kernel", "bias", "h0", "c0")[: 6 if case.op == "lstm" else 5]
    return tuple(bound if name in case.shapes else None for name in names)


# --- helpers ------------------------------------------------------------------------------------------------


def _steepness(case: Case) -> float:
    """How much a function of one number enlarges what it is given."""
    return max(1.0, abs(case.kwargs.get("alpha", 1.0)))


def _window(case: Case) -> int:
    """Cells of a pooling's window."""
    size = case.kwargs["pool_size"]
    return size ** (len(case.shapes["x"]) - 2) if isinstance(size, int) else math.prod(size)


def _pixels(case: Case) -> tuple[int, int]:
    """The axes of an image, or of a volume's slices."""
    return (2, 3) if len(case.shapes.get("x", ())) == 5 else (1, 2)


def _results(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _sum_error(case: Case, u: float, n: int, total: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The error of sums of ``n`` products, ``total`` being Σ|terms|. Minimal filtering adds pixels (or taps) up to four
    times their size, also those that only ever meet padding, so that an element's error is relative to the largest sum. What AMX tiles
    leave out: amx_tile.h."""
    error = n * u
    if u == unit_roundoff(np.float32) and case.op.startswith(("conv", "dense")):
        fast = _cpu.numerics()[0] == "fast"
        if _cpu.current_isa() == "amx":
            error += 2**-15 if fast else 12 * u
        if fast and axes and case.op.startswith("conv") and case.shapes.get("w", (0,))[-4:-2] in ((3, 3), (5, 5)):
            total = 4 * total.max(initial=0.0)
    return np.asarray(error * total)


def _terms(case: Case) -> int:
    """How many terms one result sums, bias included."""
    if "w" in case.shapes:
        w = case.shapes["w"]
        inner = w[:-1] if case.op != "conv2d_transpose" else (*w[:2], w[3] // case.kwargs.get("groups", 1))
        return math.prod(inner) + 1
    if "pool_size" in case.kwargs:
        return _window(case) + 1
    if "taps" in case.kwargs:
        return int(case.kwargs["taps"])
    return math.prod(case.shapes["x"][1:3]) + 1


def _gradient_terms(case: Case, dy: np.ndarray) -> tuple[int, ...]:
    """The same for every gradient."""
    if "w" not in case.shapes:
        return (_terms(case),)
    w, x = case.shapes["w"], case.shapes["x"]
    groups = case.kwargs.get("groups", 1)
    inner = math.prod(w[:-2]) * (w[-2] if case.op == "conv2d_transpose" else w[-1] // groups)
    rows = math.prod(dy.shape[:-1])
    return inner, max(rows, math.prod(x[:-1])), rows


def _noise_error(case: Case, values: np.ndarray) -> Any:
    """Normal numbers have float32's precision for both types, and are smaller than 6."""
    scale = np.abs(values.astype(np.float64)) if case.kwargs.get("multiply") else 1.0
    return 6 * LIBM * unit_roundoff(np.float32) * case.kwargs["stddev"] * scale


def _widened(inputs: Inputs) -> Inputs:
    return {
        name: [a.astype(np.float64) for a in v]
        if isinstance(v, list)
        else v.astype(np.float64)
        if v.dtype.kind == "f"
        else v
        for name, v in inputs.items()
    }


def _float64(case: Case, inputs: Inputs) -> Any:
    return getattr(reference, case.op)(*_widened(inputs).values(), **case.kwargs)


def _norm_parts(case: Case, inputs: Inputs) -> tuple[Any, ...]:
    """How to reduce over what shares statistics, how many numbers do, 1/σ, x̂ and the magnitude (|x| + mean|x|)/σ."""
    x = inputs["x"].astype(np.float64)
    axes: Any = {"layer_norm": -1, "group_norm": (1, 3)}.get(case.op, tuple(range(x.ndim - 1)))
    groups = case.kwargs.get("groups", 1)
    shape = (len(x), -1, groups, x.shape[-1] // groups) if case.op == "group_norm" else x.shape

    def over(reduce: Any, v: Any) -> Any:
        v = np.broadcast_to(v, x.shape).reshape(shape)
        return np.broadcast_to(reduce(v, axis=axes, keepdims=True), v.shape).reshape(x.shape)

    epsilon = case.kwargs.get("epsilon", 1e-3)
    if x.size == 0:
        return over, 1, 1.0, x, x
    if case.op == "batch_norm" and not case.kwargs.get("training"):
        mean, var = inputs["mean"].astype(np.float64), inputs["var"].astype(np.float64)
        scale = 1 / np.sqrt(var + epsilon)
        return over, 1, scale, (x - mean) * scale, (np.abs(x) + np.abs(mean)) * scale
    mean, scale = over(np.mean, x), 1 / np.sqrt(over(np.var, x) + epsilon)
    n = int(over(np.sum, 1.0).flat[0])
    return over, n, scale, (x - mean) * scale, (np.abs(x) + over(np.mean, np.abs(x))) * scale


def _norm_forward(case: Case, inputs: Inputs, u: float) -> tuple[Any, ...]:
    _, n, _, x_hat, magnitude = _norm_parts(case, inputs)
    gamma, beta = np.abs(inputs["gamma"]), np.abs(inputs["beta"])
    bound = (n + LIBM) * u * (gamma * magnitude * (1 + np.abs(x_hat)) + beta)
    if not case.kwargs.get("training"):
        return (bound,)
    x = np.abs(inputs["x"].astype(np.float64))
    largest = x.max(axis=tuple(range(x.ndim - 1)), initial=0.0)
    mean, var = np.abs(inputs["mean"]), np.abs(inputs["var"])
    return bound, (n + LIBM) * u * (mean + largest), (n + LIBM) * u * (var + 4 * largest**2)


def _norm_backward(case: Case, dy: np.ndarray, inputs: Inputs, u: float) -> tuple[Any, ...]:
    over, n, scale, x_hat, magnitude = _norm_parts(case, inputs)
    rows = tuple(range(dy.ndim - 1))
    count = math.prod(dy.shape[:-1])
    inside = 1 + magnitude * (1 + np.abs(x_hat))  # how much a rounded x̂ may be off, in units of (n + 8) u
    dx_hat = dy * np.abs(inputs["gamma"])
    total = dx_hat
    if dy.size and (case.op != "batch_norm" or case.kwargs.get("training")):
        along = over(np.mean, dx_hat * inside)
        along_x_hat = along * over(np.max, np.abs(x_hat))
        total = dx_hat + along + inside * along_x_hat
    dx = (n + LIBM) * u * scale * total * inside
    dgamma = (n + count + LIBM) * u * (dy * inside).sum(axis=rows)
    dbeta = (count + LIBM) * u * dy.sum(axis=rows)
    return (dx, dgamma, dbeta, None, None) if case.op == "batch_norm" else (dx, dgamma, dbeta)


def _rms_norm_backward(dy: np.ndarray, magnitudes: Inputs, u: float) -> tuple[Any, ...]:
    """On magnitudes what is taken out is added; the scale is of squares, and stays."""
    x, gamma = magnitudes["x"], magnitudes["gamma"]
    dx, dgamma = reference.rms_norm_backward(dy, x, gamma)
    x_hat = reference.rms_norm(x, np.ones_like(gamma))
    scale = x_hat.max(axis=-1, keepdims=True, initial=0.0) / np.maximum(
        x.max(axis=-1, keepdims=True, initial=0.0), 1e-30
    )
    taken_out = 2 * x_hat * (dy * gamma * x_hat).sum(axis=-1, keepdims=True) / x.shape[-1]
    n, count = x.shape[-1] + LIBM, math.prod(dy.shape[:-1])
    return n * u * (dx + 2 * scale * taken_out), (n + count) * u * dgamma


def _loss_forward(case: Case, inputs: Inputs, u: float) -> Any:
    p = np.abs(inputs["y_pred"].astype(np.float64))
    loss = np.abs(_float64(case, inputs))
    slope = np.abs(
        getattr(reference, f"{case.op}_backward")(np.ones(loss.shape), *_widened(inputs).values(), **case.kwargs)[1]
    )
    return (p.shape[-1] + LIBM) * u * (2 + loss + (p * slope).sum(axis=-1) + 2 * p.max(axis=-1))
