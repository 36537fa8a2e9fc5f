"""Inputs for a case and how close a result has to be to the reference's.

Two modes, as in oneDNN's benchdnn. *Exact*: the inputs are small integers, so every product and sum is exact
in float32, the order of summation cannot matter, and results must be equal: any difference is an indexing
bug. *Bounded*: real inputs and an element-wise bound that the reference computes itself (see bounds.py); no
tolerance set by hand.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from .case import Case

__all__ = [
    "EXACT_OPS",
    "assert_bounded",
    "assert_exact",
    "backward",
    "cotangent",
    "exact_inputs",
    "forward",
    "random_inputs",
]

EXACT_OPS = (
    "conv2d",
    "conv2d_transpose",
    "conv3d",
    "dense",
    "max_pool2d",
    "min_pool2d",
    "sum_pool2d",
    "max_pool3d",
    "min_pool3d",
    "sum_pool3d",
    "global_max_pool2d",
    "relu",
    "relu6",
    "prelu",
    "threshold",
    "penalty",
    "add",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "transpose",
    "unfold_depth",
    "fold_depth",
    "concatenate",
    "pad",
    "cast",
    "embedding",
    "crop",
    "flatten",
    "reshape",
    "resize2d",
    "upsample",
)
_EXACT_ACTIVATIONS = (None, "linear", "relu", "relu6", "threshold")
_LARGEST = 4  # |inputs| of the exact mode: a million products of at most 16 stay below 2^24

Inputs = dict[str, Any]


def is_exact(case: Case) -> bool:
    """Whether integer inputs give integer results through sums that float32 holds exactly."""
    if case.op in ("resize2d", "upsample") and case.kwargs.get("interpolation", "nearest") != "nearest":
        return False
    return case.op in EXACT_OPS and case.kwargs.get("activation") in _EXACT_ACTIVATIONS


def exact_inputs(case: Case, rng: np.random.Generator, dtype: Any) -> Inputs:
    """Small random integers for every array of the case, in the order of the op's arguments."""

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return rng.integers(-_LARGEST, _LARGEST, shape, endpoint=True).astype(dtype)

    inputs = {name: _each(draw, shape) for name, shape in case.shapes.items()}
    _draw_ids(case, inputs, rng)
    return inputs


def random_inputs(case: Case, rng: np.random.Generator, dtype: Any) -> Inputs:
    """Real-valued inputs in the domain of the op: proper labels, probabilities and variances."""

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return np.asarray(rng.uniform(-2.0, 2.0, shape), dtype=dtype)

    inputs = {name: _each(draw, shape) for name, shape in case.shapes.items()}
    _draw_ids(case, inputs, rng)
    if "recurrent_kernel" in inputs:
        inputs["recurrent_kernel"] /= len(inputs["recurrent_kernel"])  # so that errors do not grow with every step
    if "var" in inputs:
        inputs["var"] = np.abs(inputs["var"]) + dtype(0.1)
    if "y_true" in inputs:
        _draw_targets(case, inputs, rng, dtype)
    return inputs


def _draw_ids(case: Case, inputs: Inputs, rng: np.random.Generator) -> None:
    if "ids" in inputs:
        inputs["ids"] = rng.integers(case.shapes["table"][0], size=case.shapes["ids"])


def _draw_targets(case: Case, inputs: Inputs, rng: np.random.Generator, dtype: Any) -> None:
    shape = case.shapes["y_pred"]
    one_hot = np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])]
    if case.op.startswith("sparse"):
        inputs["y_true"] = rng.integers(shape[-1], size=shape[:-1])
    elif case.op.startswith("categorical"):
        inputs["y_true"] = one_hot.astype(dtype)
    elif case.op in ("hinge", "binary_crossentropy"):
        inputs["y_true"] = rng.integers(2, size=shape).astype(dtype)
    elif case.op == "kl_divergence":
        inputs["y_true"] = rng.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(dtype)
    elif case.op == "poisson":
        inputs["y_true"] = rng.integers(5, size=shape).astype(dtype)
        inputs["y_pred"] = rng.uniform(0.05, 4, shape).astype(dtype)
    if (case.op.endswith("crossentropy") and not case.kwargs.get("from_logits")) or case.op == "kl_divergence":
        inputs["y_pred"] = rng.uniform(0.05, 0.95, shape).astype(dtype)


def _each(draw: Any, shape: Any) -> Any:
    """One array, or a list of them for concatenate."""
    if shape and isinstance(shape[0], tuple):
        return [draw(s) for s in shape]
    return draw(shape)


def forward(ops: ModuleType, case: Case, inputs: Inputs) -> Any:
    """The case's op of ``ops`` (``fastconv.ops`` or the reference) on the inputs."""
    return getattr(ops, case.op)(*inputs.values(), **case.kwargs)


def backward(ops: ModuleType, case: Case, dy: np.ndarray, inputs: Inputs, needs: Any = None) -> tuple:
    """The case's gradients for ``dy``."""
    return getattr(ops, f"{case.op}_backward")(dy, *inputs.values(), **case.kwargs, needs=needs)


def cotangent(y: Any, rng: np.random.Generator, exact: bool = False) -> np.ndarray:
    """A random dy for a result: never all ones, which would hide permutations."""
    y = y[0] if isinstance(y, tuple) else y
    drawn = rng.integers(-_LARGEST, _LARGEST, y.shape, endpoint=True) if exact else rng.uniform(-2.0, 2.0, y.shape)
    return np.asarray(drawn, dtype=y.dtype)


def assert_exact(actual: np.ndarray, expected: np.ndarray, what: str = "result") -> None:
    """Same shape, same dtype, equal numbers; NaN equals NaN, and 0.0 equals -0.0."""
    _assert_alike(actual, expected, what)
    wrong = ~((actual == expected) | (np.isnan(actual) & np.isnan(expected)))
    if wrong.any():
        raise AssertionError(_report(actual, expected, wrong, what))


def assert_bounded(actual: np.ndarray, expected: np.ndarray, bound: Any, what: str = "result") -> None:
    """``|actual − expected| <= bound`` element by element; NaN where NaN is expected, infinities equal.

    Where anything but 0 is allowed, so is the smallest subnormal number: a rounding of half of it here, and one there.
    """
    _assert_alike(actual, expected, what)
    if expected.dtype.kind == "f":
        bound = np.where(np.greater(bound, 0), np.add(bound, np.finfo(expected.dtype).smallest_subnormal), bound)
    with np.errstate(all="ignore"):
        close = np.abs(actual.astype(np.float64) - expected.astype(np.float64)) <= bound
    wrong = ~(close | (actual == expected) | (np.isnan(actual) & np.isnan(expected)))
    if wrong.any():
        raise AssertionError(_report(actual, expected, wrong, what, bound))


def _assert_alike(actual: Any, expected: np.ndarray, what: str) -> None:
    if not isinstance(actual, np.ndarray) or actual.shape != expected.shape or actual.dtype != expected.dtype:
        got = f"{type(actual).__name__} {getattr(actual, 'shape', '')} {getattr(actual, 'dtype', '')}"
        raise AssertionError(f"{what}: expected an array {expected.shape} {expected.dtype}, got {got}")


def _report(actual: np.ndarray, expected: np.ndarray, wrong: np.ndarray, what: str, bound: Any = None) -> str:
    """The first few wrong elements, where they are, and by how much."""
    lines = [f"{what}: {np.count_nonzero(wrong)} of {wrong.size} elements differ"]
    limits = None if bound is None else np.broadcast_to(bound, wrong.shape)
    for at in map(tuple, np.argwhere(wrong)[:5]):
        limit = (
            "" if limits is None else f", off by {abs(float(actual[at]) - float(expected[at])):.3g} > {limits[at]:.3g}"
        )
        lines.append(f"  {tuple(map(int, at))}: got {actual[at]!r}, expected {expected[at]!r}{limit}")
    return "\n".join(lines)
