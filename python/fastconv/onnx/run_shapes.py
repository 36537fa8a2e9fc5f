"""ONNX's operators that shape, repeat and convert tensors: NumPy, without arithmetic worth a kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import _memory
from fastconv.onnx._package import onnx_package
from fastconv.onnx.reading import OnnxNode

__all__ = ["PLUMBING", "ints"]

Arrays = list[Any]


def ints(node: OnnxNode, inputs: Arrays, name: str, place: int = 1) -> list[int] | None:
    """A list that was an attribute once and is an input since; None if it is not given."""
    if len(inputs) > place and inputs[place] is not None:
        return [int(i) for i in np.asarray(inputs[place]).ravel()]
    given = node.attrs.get(name)
    return None if given is None else [int(i) for i in given]


def _reshape(node: OnnxNode, inputs: Arrays) -> Any:
    x, target = inputs[0], ints(node, inputs, "shape") or []
    if not node.attrs.get("allowzero", 0):
        target = [x.shape[i] if extent == 0 else extent for i, extent in enumerate(target)]
    return x.reshape(target)


def _transpose(node: OnnxNode, inputs: Arrays) -> Any:
    return inputs[0].transpose(node.attrs.get("perm"))


def _flatten(node: OnnxNode, inputs: Arrays) -> Any:
    (x,) = inputs
    axis = node.attrs.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _squeeze(node: OnnxNode, inputs: Arrays) -> Any:
    axes = ints(node, inputs, "axes")
    return np.squeeze(inputs[0], None if axes is None else tuple(axes))


def _unsqueeze(node: OnnxNode, inputs: Arrays) -> Any:
    return np.expand_dims(inputs[0], tuple(ints(node, inputs, "axes") or ()))


def _concat(node: OnnxNode, inputs: Arrays) -> Any:
    return np.concatenate(inputs, node.attrs.get("axis", 1))


def _shape(node: OnnxNode, inputs: Arrays) -> Any:
    return np.array(inputs[0].shape[node.attrs.get("start", 0) : node.attrs.get("end")], np.int64)


def _constant(node: OnnxNode, inputs: Arrays) -> Any:
    kinds = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}
    for name, value in node.attrs.items():
        if name == "value":
            return value
        if name in kinds:
            return np.array(value, kinds[name])
    raise ValueError(f"value must be a dense tensor of numbers: got {sorted(node.attrs)}")


def _constant_of_shape(node: OnnxNode, inputs: Arrays) -> Any:
    value = node.attrs.get("value", np.zeros(1, np.float32))
    shape = tuple(int(i) for i in inputs[0])
    if any(extent < 0 for extent in shape):
        raise ValueError(f"extents must be at least 0: got {shape}")
    _memory.check_free("ConstantOfShape", "y", shape, math.prod(shape) * value.itemsize)
    return np.full(shape, value.reshape(-1)[0], value.dtype)


def _expand(node: OnnxNode, inputs: Arrays) -> Any:
    x, shape = inputs[0], tuple(int(i) for i in inputs[1])
    whole = np.broadcast_shapes(x.shape, shape)
    _memory.check_free("Expand", "y", whole, math.prod(whole) * x.itemsize)
    return np.broadcast_to(x, whole).copy()


def _tile(node: OnnxNode, inputs: Arrays) -> Any:
    repeats = [int(i) for i in inputs[1]]
    whole = tuple(extent * count for extent, count in zip(inputs[0].shape, repeats, strict=True))
    _memory.check_free("Tile", "y", whole, math.prod(whole) * inputs[0].itemsize)
    return np.tile(inputs[0], repeats)


def _pad(node: OnnxNode, inputs: Arrays) -> Any:
    x = inputs[0]
    pads = ints(node, inputs, "pads") or ints(node, [], "paddings") or []
    axes = ints(node, inputs, "axes", 3)
    widths = [(0, 0)] * x.ndim
    half = len(pads) // 2
    for i, axis in enumerate(axes or range(x.ndim)):
        widths[axis] = (pads[i], pads[half + i])
    cut = tuple(slice(max(-a, 0), extent - max(-b, 0)) for extent, (a, b) in zip(x.shape, widths, strict=True))
    widths = [(max(a, 0), max(b, 0)) for a, b in widths]
    mode = node.attrs.get("mode", "constant")
    if mode != "constant":
        modes: dict[str, Any] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
        return np.pad(x[cut], widths, mode=modes[mode])
    value = inputs[2] if len(inputs) > 2 and inputs[2] is not None else node.attrs.get("value", 0)
    return np.pad(x[cut], widths, constant_values=np.asarray(value, x.dtype).reshape(()))


def _cast_to(x: np.ndarray, dtype: Any) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        return x.astype(dtype)


_NUMBERS = {"bfloat16", "float16", "float32", "float64", "bool"}
_NUMBERS |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def _cast(node: OnnxNode, inputs: Arrays) -> Any:
    onnx = onnx_package("onnx")
    wanted = node.attrs["to"]
    if isinstance(wanted, str):  # opset 6 began with numbers; names are older
        wanted = getattr(onnx.TensorProto, wanted)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(wanted)
    if dtype.name not in _NUMBERS or inputs[0].dtype.name not in _NUMBERS:
        raise ValueError(f"dtypes must be NumPy's own, or bfloat16: got {inputs[0].dtype} to {dtype}")
    return _cast_to(inputs[0], dtype)


def _cast_like(node: OnnxNode, inputs: Arrays) -> Any:
    if any(x.dtype.name not in _NUMBERS for x in inputs):
        raise ValueError(f"dtypes must be NumPy's own, or bfloat16: got {inputs[0].dtype} to {inputs[1].dtype}")
    return _cast_to(inputs[0], inputs[1].dtype)


def _dropout(node: OnnxNode, inputs: Arrays) -> Any:
    x = inputs[0]
    training = len(inputs) > 2 and inputs[2] is not None and bool(inputs[2])
    ratio = float(inputs[1]) if len(inputs) > 1 and inputs[1] is not None else node.attrs.get("ratio", 0.5)
    if training and ratio:
        raise ValueError("random masks differ from library to library: expected inference, got training_mode=1")
    return (x, np.ones(x.shape, bool))[: len(node.outputs)] if len(node.outputs) > 1 else x


def _depth_to_space(node: OnnxNode, inputs: Arrays) -> Any:
    (x,) = inputs
    n, c, h, w = x.shape
    block = node.attrs["blocksize"]
    depth = c // block**2
    if node.attrs.get("mode", "DCR") == "DCR":
        parts = x.reshape(n, block, block, depth, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, depth, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, depth, h * block, w * block)


def _space_to_depth(node: OnnxNode, inputs: Arrays) -> Any:
    (x,) = inputs
    n, c, h, w = x.shape
    block = node.attrs["blocksize"]
    parts = x.reshape(n, c, h // block, block, w // block, block)
    parts = parts.transpose((0, 3, 5, 1, 2, 4) if node.attrs.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4))
    return parts.reshape(n, c * block**2, h // block, w // block)


def _range(node: OnnxNode, inputs: Arrays) -> Any:
    start, stop, step = (x.reshape(()) for x in inputs)
    count = max(math.ceil((stop - start) / step), 0)
    _memory.check_free("Range", "y", (count,), count * start.itemsize)
    return (start + np.arange(count) * step).astype(start.dtype)


PLUMBING: dict[str, Callable[[OnnxNode, Arrays], Any]] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Dropout": _dropout,
    "Expand": _expand,
    "Flatten": _flatten,
    "Identity": lambda node, inputs: inputs[0],
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": lambda node, inputs: np.array(inputs[0].size, np.int64),
    "SpaceToDepth": _space_to_depth,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
