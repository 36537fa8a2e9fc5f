"""One ONNX node on arrays: which function computes it, and in which dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.onnx import (
    resizing,
    run_convolution,
    run_dense,
    run_elementwise,
    run_images,
    run_losses,
    run_selection,
    run_shapes,
    run_training,
)
from fastconv.onnx.reading import OnnxNode

__all__ = ["KERNELS", "PLUMBING", "UnsupportedNode", "compute"]

# Computed by fastconv's kernels, NumPy only arranging their arrays; and computed by NumPy alone.
_PARTS = (run_convolution, run_images, run_dense, run_elementwise, run_losses, run_training, resizing)
KERNELS = {op: run for part in _PARTS for op, run in part.KERNELS.items()}
PLUMBING = {**run_elementwise.PLUMBING, **run_shapes.PLUMBING, **run_selection.PLUMBING}

_BY_WAY_OF_FLOAT32 = {"float16", "bfloat16", "uint8", "int8"}  # float32 holds each of their values


class UnsupportedNode(ValueError):
    """A node that this version does not compute."""


def compute(node: OnnxNode, inputs: list[Any]) -> tuple[Any, ...]:
    """The outputs of a node.

    Raises:
        UnsupportedNode: for an operator, attribute, dtype or shape without an implementation here.
    """
    run = KERNELS.get(node.op)
    if run is None and node.op not in PLUMBING:
        raise UnsupportedNode(f"[onnx] {node}: the operator must be a known one. See docs/onnx.md for the list.")
    try:
        results = _by_kernel(run, node, inputs) if run is not None else PLUMBING[node.op](node, inputs)
    except UnsupportedNode:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnsupportedNode(f"[onnx] {node} cannot be computed: {error}") from error
    return tuple(np.asarray(y) for y in (results if isinstance(results, (tuple, list)) else [results]))


def _by_kernel(run: Any, node: OnnxNode, inputs: list[Any]) -> Any:
    """Runs a kernel; dtypes it has not are taken through float32 and back."""
    dtype = next(x.dtype for x in inputs if x is not None)
    if node.op in run_elementwise.KERNELS and dtype.kind in "iu":
        return run(node, inputs)  # exact in NumPy
    if dtype.name not in _BY_WAY_OF_FLOAT32:
        return run(node, inputs)
    converted = [x.astype(np.float32) if x is not None and x.dtype == dtype else x for x in inputs]
    results = run(node, converted)
    several = isinstance(results, (tuple, list))
    back = [y.astype(dtype) if y.dtype == np.float32 else y for y in (results if several else [results])]
    return tuple(back) if several else back[0]
