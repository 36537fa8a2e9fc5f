"""Callbacks that watch one number: whether it is there, and whether it got better."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastconv import _arguments
from fastconv.callbacks.base import Callback, Logs
from fastconv.metrics import MeanMetricWrapper

__all__ = ["MonitorCallback"]

# What names of metrics end in or contain when nothing else tells which way is better.
_UP = ("acc", "auc", "precision", "recall", "f1", "true_")
_DOWN = ("loss", "error", "entropy", "false_", "mse", "mae")


class MonitorCallback(Callback):
    """Base of the callbacks that act on an improvement.

    Args:
        monitor: a key of the epoch's logs, such as "val_loss".
        mode: "min", "max", or "auto": from the metric of that name, else from the name.
        baseline: the best value so far, or None for the first one seen.
        min_delta: a smaller change is no improvement.
    """

    def __init__(self, monitor: str, mode: str = "auto", baseline: float | None = None, min_delta: float = 0.0):
        super().__init__()
        op = type(self).__name__
        self.monitor = _arguments.text(op, "monitor", monitor)
        self.mode = _arguments.choice(op, "mode", mode, ("auto", "min", "max"))
        self.baseline = None if baseline is None else _arguments.real(op, "baseline", baseline)
        self.min_delta = abs(_arguments.real(op, "min_delta", min_delta))
        self._restart()

    def _restart(self) -> None:
        self.best: float | None = None
        self._warned = False

    _remembered: ClassVar[tuple[str, ...]] = ("best",)

    def get_state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._remembered}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for name in self._remembered:
            setattr(self, name, state[name])

    def on_train_begin(self, logs: Logs = None) -> None:
        self._restart()

    def monitored(self, logs: Logs) -> float | None:
        """The watched number, or None (with one warning per training) if the logs do not have it."""
        value = (logs or {}).get(self.monitor)
        if value is not None and np.ndim(value) == 0:
            return float(value)
        if not self._warned:
            self._warned = True
            reason = "is not in the logs" if value is None else "is not a single number"
            warnings.warn(
                f"[{type(self).__name__}] monitor={self.monitor!r} {reason}: expected one of "
                f"{', '.join(logs or {})}. Monitor one of them, or pass validation_data to fit().",
                stacklevel=3,
            )
        return None

    def improved(self, value: float, reference: float | None) -> bool:
        """Whether ``value`` is better than ``reference`` by more than min_delta; NaN never is."""
        if math.isnan(value):
            return False
        if reference is None or math.isnan(reference):
            return True
        return (value - reference) * self._sign() > self.min_delta

    def _sign(self) -> int:
        """1 if greater is better, -1 if less is."""
        if self.mode != "auto":
            return 1 if self.mode == "max" else -1
        name = self.monitor.removeprefix("val_")
        for metric in getattr(self.model, "metrics", ()):
            if type(metric) is MeanMetricWrapper:  # a function of the caller's: its name may tell
                continue
            if getattr(metric, "name", None) == name and hasattr(metric, "direction"):
                return 1 if metric.direction == "up" else -1
        if any(word in name for word in _DOWN):
            return -1
        if any(word in name for word in _UP):
            return 1
        raise ValueError(
            f"[{type(self).__name__}] cannot tell which way {self.monitor!r} is better: expected "
            f"mode 'min' or 'max', got mode='auto'. Pass one of them."
        )
