"""Constraints: what weights are changed to after every training step. Keras's names, arguments and formulas.

A layer takes them as ``kernel_constraint`` and so on; the compiled step applies them behind the optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastconv import _arguments, _cpu, _lookup

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "serialize"]

Axis = int | Sequence[int] | None


class Constraint:
    """The base of constraints: a kernel that changes a weight in place."""

    def __call__(self, w: Any) -> np.ndarray:
        """What a step makes of a float32 or float64 array, as a new array."""
        where = type(self).__name__
        w = _arguments.array(where, "w", w)
        if w.dtype.name not in ("float32", "float64"):
            raise TypeError(
                f"[{where}] w must be a weight: expected float32 or float64, got w.dtype={w.dtype}. Convert it with w.astype."
            )
        result = np.array(w, order="C")
        kernel, spec = self.lowered(result.dtype.name, result.shape)
        _cpu.run(kernel, spec, [result])
        return result

    def lowered(self, dtype: str, shape: tuple[int, ...]) -> tuple[str, Any]:
        """The kernel that does it, and its spec for a weight."""
        raise NotImplementedError(f"[{type(self).__name__}] a constraint must define lowered(dtype, shape).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Constraint:
        """The constraint with those arguments."""
        return cls(**config)


class NonNeg(Constraint):
    """``max(w, 0)``.

    Example:
        >>> import numpy as np
        >>> NonNeg()(np.array([1.0, -1.0])).tolist()
        [1.0, 0.0]
    """

    def lowered(self, dtype: str, shape: tuple[int, ...]) -> tuple[str, Any]:
        return "non_negative", _cpu.VectorSpec.make(dtype, "non_neg", shape)


class MinMaxNorm(Constraint):
    """Moves norms along some axes into a range.

    ::

        norm = sqrt(Σ w²)                                                          along axis
        w *= (rate * clip(norm, min_value, max_value) + (1 - rate) * norm) / (1e-7 + norm)

    Args:
        min_value, max_value: the range, 0 <= min_value <= max_value.
        rate: 1 to hold it strictly; below 1, 0 at least, weights move towards it step by step.
        axis: along which a norm is taken: 0 for the columns of a Dense kernel, [0, 1, 2] for the filters of a Conv2D;
            neighbouring axes, None for all.

    Example:
        >>> import numpy as np
        >>> MinMaxNorm(max_value=2.5)(np.array([[3.0], [4.0]])).round(3).ravel().tolist()
        [1.5, 2.0]
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        self.min_value = _arguments.real("MinMaxNorm", "min_value", min_value, least=0)
        self.max_value = _arguments.real("MinMaxNorm", "max_value", max_value, least=self.min_value)
        self.rate = _arguments.real("MinMaxNorm", "rate", rate, least=0, most=1)
        self.axis = _axis("MinMaxNorm", axis)

    def _range(self) -> tuple[float, float, float]:
        return self.min_value, self.max_value, self.rate

    def lowered(self, dtype: str, shape: tuple[int, ...]) -> tuple[str, Any]:
        axes = list(range(len(shape))) if self.axis is None else np.atleast_1d(self.axis).tolist()
        return "norm_constraint", _cpu.NormConstraintSpec.make(dtype, shape, axes, *self._range())

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


class MaxNorm(MinMaxNorm):
    """``w *= min(norm, max_value) / (1e-7 + norm)``, norms as in :class:`MinMaxNorm`.

    Args:
        max_value: >= 0. axis: see :class:`MinMaxNorm`.

    Source: Srivastava et al. 2014, Dropout.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = _arguments.real("MaxNorm", "max_value", max_value, least=0)
        self.axis = _axis("MaxNorm", axis)

    def _range(self) -> tuple[float, float, float]:
        return 0.0, self.max_value, 1.0

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class UnitNorm(MinMaxNorm):
    """``w /= 1e-7 + norm``, norms as in :class:`MinMaxNorm`.

    Args:
        axis: see :class:`MinMaxNorm`.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = _axis("UnitNorm", axis)

    def _range(self) -> tuple[float, float, float]:
        return 1.0, 1.0, 1.0

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


def _axis(op: str, axis: Any) -> int | list[int] | None:
    if isinstance(axis, (list, tuple)):
        return [_one_axis(op, one) for one in axis]
    return None if axis is None else _one_axis(op, axis)


def _one_axis(op: str, axis: Any) -> int:
    return _arguments.integer(op, "axis", axis, least=-64, most=63)  # NumPy's arrays have no more


# Keras's other names of the same classes.
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_KNOWN = _lookup.table([MaxNorm, MinMaxNorm, NonNeg, UnitNorm])


def get(identifier: Any) -> Any:
    """The constraint that ``identifier`` means.

    Args:
        identifier: a name ("max_norm", "non_neg", "unit_norm", "min_max_norm"), a config dict, a constraint or its class,
            or None, which stays None.

    Raises:
        ValueError: if the name is unknown. TypeError: if the identifier is of another kind; functions, too, since a
        compiled step runs kernels alone.

    Example:
        >>> get("max_norm").get_config()
        {'max_value': 2.0, 'axis': 0}
    """
    if identifier is None or isinstance(identifier, Constraint):
        return identifier
    if isinstance(identifier, str):
        identifier = _lookup.by_name("constraint", identifier, _KNOWN)
    if isinstance(identifier, Mapping):
        return _lookup.by_config("constraint", identifier, _KNOWN)
    if isinstance(identifier, type) and issubclass(identifier, Constraint):
        return identifier()
    raise TypeError(
        f"[constraint] cannot make a constraint: expected a name, config or Constraint, got {identifier!r} "
        f"({type(identifier).__name__}). For example: 'max_norm' or MaxNorm(3); a function can run in a callback."
    )


def serialize(constraint: Constraint) -> dict[str, Any]:
    """``{"class_name": …, "config": …}``, which :func:`get` takes back."""
    return _lookup.to_config("constraint", constraint, _KNOWN)


deserialize = get
