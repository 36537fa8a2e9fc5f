"""Rows looked up in a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check

__all__ = ["embedding", "embedding_backward"]


_EXACT = 2**24  # rows that float32 can tell apart


def _rows(op: str, ids: Any, table: Any, **more: Any) -> tuple[np.ndarray, np.dtype]:
    """The rows that ids name, and the dtype of results."""
    dtype = _check.arrays(op, table=(table, ("rows", "width")), **more)
    _check.ndarray(op, "ids", ids)
    if ids.dtype.kind not in "iuf":
        got = f"ids.dtype={ids.dtype}"
        _check.fail(TypeError, op, "ids must be numbers of rows", "an int array", got, "Use .astype(np.int64).")
    if dtype.itemsize < 8 and len(table) > _EXACT:
        got = f"table.shape={table.shape}"
        _check.fail(ValueError, op, "ids must be exact in float32", f"at most {_EXACT} rows", got, "Use float64.")
    rows = np.trunc(ids.astype(np.float64)).astype(np.int64)
    if rows.size and not (rows.min() >= 0 and rows.max() < len(table)):
        got = f"{rows.min()} to {rows.max()}"
        _check.fail(ValueError, op, "ids must be rows of the table", f"0 <= ids < {len(table)}", got, "Use more rows.")
    return rows, dtype


def embedding(ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    """``y[...] = table[ids[...]]``; ids are ints, or floats whose fraction is dropped."""
    rows, dtype = _rows("embedding", ids, table)
    return _check.cast(table[rows], dtype)


def embedding_backward(
    dy: np.ndarray, ids: np.ndarray, table: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``(None, dtable)``, dtable[r] the sum of dy over the places of r."""
    rows, dtype = _rows("embedding_backward", ids, table, dy=(dy, None))
    _check.shape("embedding_backward", "dy", dy, (*ids.shape, table.shape[1]), "ids and the table's width")
    want = _check.needs("embedding_backward", needs, (False, True))
    dtable = np.zeros(table.shape)
    np.add.at(dtable, rows.reshape(-1), dy.reshape(-1, table.shape[1]).astype(np.float64))
    return None, _check.cast(dtable, dtype) if want[1] else None
