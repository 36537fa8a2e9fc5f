"""Regularizers: penalties on weights or activations that are added to the loss. Keras's names, arguments and formulas.

A layer takes them as ``kernel_regularizer`` and so on, and for its output as ``activity_regularizer``. A training plan adds
their values to the loss and their gradients to those of the weights; ``evaluate`` reports them too, as Keras does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import _arguments, _lookup, ops
from fastconv.graph import Value
from fastconv.ops import _arrays

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "serialize"]

_NO_LENGTH = 1e-30  # far below the square of a length that counts; it makes 0 / 0 a 0


class Regularizer:
    """The base of regularizers: subclass it, and compute a penalty of shape (1,) with ``fastconv.ops`` in ``__call__``."""

    def __call__(self, x: Any) -> Any:
        """The penalty of ``x``: a value of a plan for one, a number for an array."""
        raise NotImplementedError(f"[{type(self).__name__}] a regularizer must define __call__(x).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"[{type(self).__name__}] a regularizer must define get_config() to be saved.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Regularizer:
        """The regularizer with those arguments."""
        return cls(**config)


class L1L2(Regularizer):
    """``l1 * Σ|x| + l2 * Σx²``.

    Args:
        l1, l2: factors, finite and >= 0; None is 0.

    Example:
        >>> import numpy as np
        >>> float(L1L2(l1=0.5, l2=0.25)(np.array([1.0, -2.0])))
        2.75
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1, self.l2 = _factor("L1L2", "l1", l1, 0.0), _factor("L1L2", "l2", l2, 0.0)

    def __call__(self, x: Any) -> Any:
        return _scalar(ops.penalty(x, l1=self.l1, l2=self.l2))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """``l1 * Σ|x|``: its gradient at 0 is 0.

    Args:
        l1: factor, finite and >= 0; None is 0.01.
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor("L1", "l1", l1, 0.01)

    def __call__(self, x: Any) -> Any:
        return _scalar(ops.penalty(x, l1=self.l1))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(Regularizer):
    """``l2 * Σx²``.

    Args:
        l2: factor, finite and >= 0; None is 0.01.
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor("L2", "l2", l2, 0.01)

    def __call__(self, x: Any) -> Any:
        return _scalar(ops.penalty(x, l2=self.l2))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """Draws the rows of a matrix, or its columns, apart: the mean cosine of their pairs, without signs, times ``factor``.

    ::

        factor * Σ_{i<j} |x_i · x_j| / (|x_i| |x_j|) / pairs             0 of a single row

    Args:
        factor: finite and >= 0.
        mode: "rows" or "columns"; of a Dense kernel (inputs, units), what leads away from an input, or to a unit.

    Raises:
        ValueError: if what it is called with has not two axes.

    Numerics: the products of all pairs come from one matrix product. Those of rows with themselves are part of it; what they
        add is subtracted, and their gradient with it.

    Example:
        >>> import numpy as np
        >>> round(float(OrthogonalRegularizer(factor=1.0)(np.array([[1.0, 0.0], [1.0, 1.0]]))), 6)
        0.707107
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _arguments.real("OrthogonalRegularizer", "factor", factor, least=0)
        self.mode = _arguments.choice("OrthogonalRegularizer", "mode", mode, ("rows", "columns"))

    def __call__(self, x: Any) -> Any:
        rank = x.ndim if isinstance(x, Value) else _arrays.as_array("OrthogonalRegularizer", "x", x).ndim
        if rank != 2:
            raise ValueError(
                f"[OrthogonalRegularizer] x must be a matrix: expected 2 axes, got x.shape={tuple(x.shape)}. Use it for kernels of "
                "Dense layers."
            )
        rows = ops.rms_norm(x if self.mode == "rows" else ops.transpose(x), epsilon=_NO_LENGTH)
        count, length = rows.shape  # of a row, squared: its mean square is 1
        mean = self.factor / (count * (count - 1) * length) if count > 1 else 0.0
        cosines = ops.penalty(ops.dense(rows, ops.transpose(rows)), l1=mean)
        return _scalar(ops.subtract(cosines, ops.penalty(rows, l2=mean)))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


def _factor(op: str, name: str, value: Any, default: float) -> float:
    return default if value is None else _arguments.real(op, name, value, least=0)


def _scalar(total: Any) -> Any:
    return total if isinstance(total, Value) else total[0]


# Keras's other names of the same classes.
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_KNOWN = _lookup.table([L1, L2, L1L2, OrthogonalRegularizer])


def get(identifier: Any) -> Any:
    """The regularizer that ``identifier`` means.

    Args:
        identifier: a name ("l1", "l2", "l1l2", "orthogonal_regularizer"), a config dict, a regularizer or its class, a function of ``fastconv.ops``
            that gives a penalty of shape (1,), or None, which stays None.

    Raises:
        ValueError: if the name is unknown. TypeError: if the identifier is of another kind.

    Example:
        >>> get("l2").get_config()
        {'l2': 0.01}
    """
    if identifier is None or isinstance(identifier, Regularizer):
        return identifier
    if isinstance(identifier, str):
        identifier = _lookup.by_name("regularizer", identifier, _KNOWN)
    if isinstance(identifier, Mapping):
        return _lookup.by_config("regularizer", identifier, _KNOWN)
    if isinstance(identifier, type) and issubclass(identifier, Regularizer):
        return identifier()
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    raise TypeError(
        f"[regularizer] cannot make a regularizer: expected a name, config, Regularizer or function, "
        f"got {identifier!r} ({type(identifier).__name__}). For example: 'l2' or L2(1e-4)."
    )


def serialize(regularizer: Any) -> dict[str, Any]:
    """``{"class_name": …, "config": …}``, which :func:`get` takes back."""
    return _lookup.to_config("regularizer", regularizer, _KNOWN)


deserialize = get
