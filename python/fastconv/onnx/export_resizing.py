"""How images in another size are written: as a Resize, or by the matrices of its weights where no opset's Resize has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv.graph import Node, Value
from fastconv.onnx.resizing import axis_weights
from fastconv.onnx.writer import FIRST, GraphWriter
from fastconv.ops.registry import wide

__all__ = ["EXPORTERS"]

_MODES = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}


def _resize2d(writer: GraphWriter, node: Node) -> None:
    (x,), (y,) = node.inputs, node.outputs
    a = node.attrs
    assert x is not None
    if a["antialias"] and a["interpolation"] in ("nearest", "area"):
        a = {**a, "antialias": False}  # which have no kernel to stretch
    factors = [out / n for out, n in zip(y.shape[1:3], x.shape[1:3], strict=True)]
    window = [1 / factor for factor in factors]
    if a["interpolation"] == "area" and all(extent.is_integer() for extent in window):
        size = [int(extent) for extent in window]
        name = writer.emit("AveragePool", [writer.get(x, FIRST)], "resize", kernel_shape=size, strides=size)
    elif _has_operator(writer, a, factors):
        name = _operator(writer, x, y, a, factors)
    else:
        name = _matrices(writer, x, y, a)
    writer.bind(y, name, FIRST)


def _has_operator(writer: GraphWriter, a: dict[str, Any], factors: list[float]) -> bool:
    """Whether the opset's Resize has such weights, and onnxruntime computes them: of cubic ones it makes images smaller only
    with antialiasing, once it has moved a Transpose behind the Resize."""
    if a["interpolation"] not in _MODES or (a["antialias"] and writer.opset < 18):
        return False
    if a["coordinates"] == "half_pixel_symmetric" and writer.opset < 19:
        return False
    return a["antialias"] or a["interpolation"] != "bicubic" or min(factors) >= 1


def _operator(writer: GraphWriter, x: Value, y: Value, a: dict[str, Any], factors: list[float]) -> str:
    kind = a["interpolation"]
    repeats = kind == "nearest" and a["coordinates"] == "half_pixel" and all(f.is_integer() for f in factors)
    attributes = {
        "mode": _MODES[kind],
        # Whole factors are exact in float32 too when nothing is added to them.
        "coordinate_transformation_mode": "asymmetric" if repeats else a["coordinates"],
        "nearest_mode": "floor" if repeats else a["rounding"] if kind == "nearest" else None,
        "cubic_coeff_a": a["cubic_coeff_a"] if kind == "bicubic" else None,
        "exclude_outside": 1 if a["exclude_outside"] and (kind == "bicubic" or a["antialias"]) else None,
        "antialias": 1 if a["antialias"] else None,
    }
    name = writer.get(x, FIRST)
    if a["scales"] != (0.0, 0.0):
        return writer.emit("Resize", [name, "", writer.floats((1, 1, *a["scales"]))], "resize", **attributes)
    shape = writer.emit("Shape", [name], "resize/shape")  # the batch is open
    batch = writer.emit("Slice", [shape, *map(writer.integers, ([0], [1]))], "resize/batch")
    sizes = writer.emit("Concat", [batch, writer.integers([y.shape[3], *y.shape[1:3]])], "resize/sizes", axis=0)
    return writer.emit("Resize", [name, "", "", sizes], "resize", **attributes)


def _matrices(writer: GraphWriter, x: Value, y: Value, a: dict[str, Any]) -> str:
    """Rows (H', H) times images times columns (W, W')."""
    settings = {key: value for key, value in a.items() if key not in ("size", "scales")}
    scales = [(scale, 1.0) if scale else None for scale in a["scales"]]
    rows, columns = (axis_weights(x.shape[1 + i], y.shape[1 + i], scales=scales[i], **settings) for i in (0, 1))
    dtype = wide(x.dtype)
    name = writer.emit("MatMul", [writer.store("resize/rows", rows.astype(dtype)), writer.get(x, FIRST)], "resize/rows")
    return writer.emit("MatMul", [name, writer.store("resize/columns", columns.T.astype(dtype))], "resize/columns")


EXPORTERS: dict[str, Callable[[GraphWriter, Node], None]] = {"resize2d": _resize2d}
