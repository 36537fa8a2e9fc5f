"""What every metric is: a state that batches are added to, and a result that may be read at any time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from fastconv import _arguments
from fastconv._arguments import array

__all__ = ["Mean", "MeanMetricWrapper", "Metric", "PerSample", "Sum", "broadcast_weight"]


class Metric:
    """Base class: a subclass defines ``update_state``, ``result`` and ``reset_state``.

    Sums are kept in float64, so a result does not depend on how the samples were split into batches beyond
    rounding. An empty batch changes nothing; the result before the first sample is 0.

    Args:
        name: the key in ``history.history``; default: the class's own.
        dtype: kept for Keras configs; results are Python floats (or float64 arrays) whatever it is.

    Example:
        >>> from fastconv.metrics import BinaryAccuracy
        >>> m = BinaryAccuracy()
        >>> m.update_state([[1.0], [0.0]], [[0.8], [0.7]])
        >>> m.result()
        0.5
    """

    default_name: ClassVar[str]
    direction: ClassVar[str] = "up"  # which way is better; callbacks with mode="auto" follow it

    def __init__(self, name: str | None = None, dtype: Any = None):
        self.name = self.default_name if name is None else _arguments.text(type(self).__name__, "name", name)
        self.dtype = dtype
        self.reset_state()

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Args:
            y_true: targets.
            y_pred: predictions.
            sample_weight: None, or weights of shape (N,), or of any leading part of the values' shape.

        Raises:
            ValueError: if the shapes do not fit each other.
        """
        raise NotImplementedError(f"[{type(self).__name__}] a metric must define update_state.")

    def result(self) -> Any:
        """The metric over all samples since the last reset: a float, or float64 (several,)."""
        raise NotImplementedError(f"[{type(self).__name__}] a metric must define result.")

    def reset_state(self) -> None:
        """Forget all samples."""
        raise NotImplementedError(f"[{type(self).__name__}] a metric must define reset_state.")

    def get_state(self) -> dict[str, Any]:
        """What the samples so far have left, for a checkpoint in the middle of an epoch: the attributes that are numbers and
        arrays. A subclass that keeps other things overrides this and :meth:`set_state`."""
        own = vars(self).items()
        return {name: _copied(value) for name, value in own if isinstance(value, (int, float, np.ndarray))}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from :meth:`get_state`'s result.

        Raises:
            ValueError: for anything else.
        """
        if set(state) != set(self.get_state()):
            raise ValueError(
                f"[{type(self).__name__}] the state must be this metric's: expected {', '.join(self.get_state())}, got "
                f"{', '.join(state)}. Load that of the same metric."
            )
        vars(self).update((name, _copied(value)) for name, value in state.items() if name in vars(self))

    def __call__(self, *batch: Any, **keywords: Any) -> Any:
        """``update_state(...)``, then ``result()``."""
        self.update_state(*batch, **keywords)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON types."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Metric:
        """The metric with those arguments."""
        return cls(**config)


def _copied(value: Any) -> Any:
    """Arrays are changed in place by some metrics."""
    return value.copy() if isinstance(value, np.ndarray) else value


class Mean(Metric):
    """The weighted mean of the values it is given: ``sum(w * value) / sum(w)``.

    Example:
        >>> m = Mean()
        >>> m.update_state([1.0, 3.0], sample_weight=[3, 1])
        >>> m.result()
        1.5
    """

    default_name = "mean"

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]  # one array, no pair
        """Add values (N, …) with weights (N,) or of a longer leading part of their shape."""
        op = type(self).__name__
        total, weight = _weighted_sum(op, np.atleast_1d(array(op, "values", values)), sample_weight)
        self.total += total
        self.count += weight

    def result(self) -> float:
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        self.total = 0.0
        self.count = 0.0


class Sum(Metric):
    """The weighted sum of the values it is given: ``sum(w * value)``.

    Example:
        >>> m = Sum()
        >>> m.update_state([1.0, 3.0], sample_weight=[3, 1])
        >>> m.result()
        6.0
    """

    default_name = "sum"

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]  # one array, no pair
        """Add values (N, …) with weights (N,) or of a longer leading part of their shape."""
        values = np.atleast_1d(array(type(self).__name__, "values", values)).astype(np.float64)
        if sample_weight is not None:
            weight = broadcast_weight(type(self).__name__, sample_weight, values.shape)
            values = values * weight.reshape(weight.shape + (1,) * (values.ndim - weight.ndim))
        self.total += float(values.sum())

    def result(self) -> float:
        return self.total

    def reset_state(self) -> None:
        self.total = 0.0


class MeanMetricWrapper(Mean):
    """The mean of a function ``fn(y_true, y_pred, **keywords) -> values``.

    Args:
        fn: takes two arrays, returns one value per sample, (N,) or (N, …).
        name: default: the function's name.
        dtype: see :class:`Metric`.
        keywords: passed on to ``fn``.
    """

    direction = "down"  # an unknown function is taken for an error or a loss

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **keywords: Any):
        _arguments.function("MeanMetricWrapper", "fn", fn, "fn(y_true, y_pred)")
        super().__init__(getattr(fn, "__name__", type(fn).__name__) if name is None else name, dtype)
        self.fn = fn
        self.keywords = keywords

    def update_state(  # type: ignore[override]  # the pair again
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        values = self.fn(
            array(type(self).__name__, "y_true", y_true), array(type(self).__name__, "y_pred", y_pred), **self.keywords
        )
        super().update_state(values, sample_weight)


class PerSample(Mean):
    """The mean of ``_values(y_true, y_pred)``, which a subclass defines."""

    def update_state(  # type: ignore[override]  # the pair again
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        with np.errstate(all="ignore"):  # an infinite or NaN score is a result, whatever the caller's settings
            values = self._values(
                array(type(self).__name__, "y_true", y_true), array(type(self).__name__, "y_pred", y_pred)
            )
        super().update_state(values, sample_weight)

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"[{type(self).__name__}] a metric must define _values.")


def _weighted_sum(op: str, values: np.ndarray, sample_weight: Any) -> tuple[float, float]:
    """``(sum(w * value), sum(w))`` of one value and one weight per sample, means over the other axes."""
    samples = values.shape[0]
    if values.size == 0:
        return 0.0, 0.0
    if sample_weight is None:
        return float(values.sum(dtype=np.float64)) * samples / values.size, float(samples)
    weight = broadcast_weight(op, sample_weight, values.shape)
    values = values.mean(axis=tuple(range(weight.ndim, values.ndim)), dtype=np.float64)
    share = samples / weight.size
    return float((values * weight).sum()) * share, float(weight.sum()) * share


def broadcast_weight(op: str, sample_weight: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The weights as float64 with a leading part of ``shape``; a further last axis of extent 1 is dropped."""
    weight = array(op, "sample_weight", sample_weight).astype(np.float64)
    if weight.ndim > 1 and weight.shape[-1] == 1 and weight.shape != shape[: weight.ndim]:
        weight = weight[..., 0]
    if weight.ndim and weight.shape == shape[: weight.ndim]:
        return weight
    raise ValueError(
        f"[{op}] sample_weight must weigh the samples: expected shape {shape[:1]} or another leading part of "
        f"{shape}, got sample_weight.shape={weight.shape}. Pass one weight per sample."
    )
