"""Rows looked up in a table."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.graph import is_symbolic
from fastconv.ops import _devices
from fastconv.ops.registry import (
    Call,
    Gradient,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_shape,
    register,
    wide,
)

__all__ = ["embedding", "embedding_backward"]


def _lower(dtype: str, shapes: tuple[Shape | None, ...]) -> Lowered:
    spec = _cpu.EmbeddingSpec.make(dtype, *shapes)
    return Lowered(((spec.shape("y"), dtype),), (Call("embedding", spec, (0, 1, 2)),))


def _lower_backward(dtype: str, shapes: tuple[Shape | None, ...], *, table_shape: Shape) -> Lowered:
    dy, ids = shapes
    spec = _cpu.EmbeddingSpec.make(dtype, ids, table_shape)
    expect_shape("embedding", "dy", dy, spec.shape("y"))
    return Lowered(((spec.shape("table"), wide(dtype)),), (Call("embedding_backward", spec, (0, 1, 2)),))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    ids, table = g.inputs
    return None, apply(BACKWARD, g.dys[0], ids, table_shape=tuple(table.shape)) if g.needs[1] else None


FORWARD = register(OpDef("embedding", ("ids", "table"), _lower, _gradient, wide=("ids",)))
BACKWARD = register(OpDef("embedding_backward", ("dy", "ids"), _lower_backward, wide=("ids",)))


def _as_ids(ids: Any, table: Any) -> Any:
    """Ids as floats of the type that stands beside the table's, each checked to name a row."""
    if is_symbolic(ids) or is_symbolic(table):
        return ids
    device = _devices.of("embedding", ("ids", "table"), (ids, table))
    given = device.as_array("embedding", "ids", ids)
    rows = device.as_array("embedding", "table", getattr(table, "array", table))
    device.check_dtype("embedding", "table", rows, device.floats)
    if given.dtype.kind not in "iuf":
        raise TypeError(
            f"[embedding] ids must be numbers of rows: expected an int array, got ids.dtype={given.dtype}. Convert it with "
            ".astype(np.int64)."
        )
    # First: what cannot be held is not searched.
    result = device.empty("embedding", "ids", given.shape, wide(device.dtype_name(rows)))
    check_ids(given, rows.shape[0] if rows.ndim else 0)
    result[...] = given
    return result


def check_ids(ids: Any, rows: int, where: str = "embedding") -> None:
    """ValueError naming the first id that is no row of the table; waits for ids on a GPU."""
    bad = (ids < 0) | (ids >= rows)
    if ids.dtype.kind == "f":
        bad = bad | (ids != ids)  # NaN
    if bad.any():
        index = int(bad.argmax())
        raise ValueError(
            f"[{where}] ids must be rows of the table: expected values in [0, {rows}), got {ids.reshape(-1)[index]} at index "
            f"{index}. Use a table (input_dim) with as many rows as there are ids."
        )


def embedding(ids: Any, table: Any, *, out: Any = None) -> Any:
    """``y[...] = table[ids[...]]``.

    Args:
        ids: ints of any shape, each in [0, rows); floats, as models are fed, lose their fraction.
        table: (rows, width), float32 or float64; on CUDA float32, float16 or bfloat16. At most 2^24 rows but in float64.
        out: optional preallocated result.

    Returns:
        y (..., width) of the table's dtype.

    Raises:
        ValueError: for an id that is no row; names the first and its index. In a plan such an id gives a row of NaN, so that
            no training step follows from it. TypeError: for kinds and dtypes.

    Example:
        >>> import numpy as np, fastconv
        >>> fastconv.ops.embedding(np.array([2, 0]), np.float32([[1, 2], [3, 4], [5, 6]]))
        array([[5., 6.],
               [1., 2.]], dtype=float32)
    """
    return apply(FORWARD, _as_ids(ids, table), table, out=out)


def embedding_backward(dy: Any, ids: Any, table: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`embedding`: ``(None, dtable)``, where a row sums the dy of its ids in their order.

    dtable is float32 where the table has 16 bits.
    """
    wanted = all_needs("embedding", needs, ("ids", "table"), (False, True))
    return backward(FORWARD, dy, (_as_ids(ids, table), table), {}, wanted)
