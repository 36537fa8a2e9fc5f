"""Finding a learning rate before the training begins."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv import _arguments, random
from fastconv.errors import NonFiniteLossError
from fastconv.models.batches import batch_of, is_iterable_of_batches
from fastconv.saving.training_state import restore, snapshot

__all__ = ["LearningRateSweep", "find_learning_rate"]


@dataclass(frozen=True, eq=False)
class LearningRateSweep:
    """How the loss went while the learning rate rose.

    Attributes:
        rates: float64 (steps,), rising.
        losses: float64 (steps,), of each batch before its step.
        smoothed: float64 (steps,), the mean of the losses so far, older ones counting less.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest over the logarithm of the rate, before it is lowest."""
        end = max(int(self.smoothed.argmin()) + 1, 2)
        slopes = np.gradient(self.smoothed[:end], np.log(self.rates[:end]))
        return float(self.rates[int(slopes.argmin())])

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """A picture of the sweep, with the suggestion.

        Args:
            path: where to write it; the ending chooses the format (.png .svg .pdf).

        Returns:
            A ``matplotlib.figure.Figure``.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError(
                "[find_learning_rate] a plot needs matplotlib: expected it to be installed. Run pip install 'fastconv[plots]'."
            ) from error
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, color="#c9ced6", lw=1, label="loss of a batch")
        axes.plot(self.rates, self.smoothed, color="#2563a8", lw=2, label="smoothed")
        axes.axvline(self.suggestion, color="#e07b28", ls="--", label=f"suggestion {self.suggestion:.2g}")
        low, high = self.smoothed.min(), max(self.smoothed[0], np.median(self.losses))
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(low - 0.1 * (high - low), 1.5 * high))
        axes.legend()
        if path is not None:
            figure.savefig(_arguments.path("find_learning_rate", "path", path), dpi=144)
        return figure


def find_learning_rate(
    model: Any,
    x: Any,
    y: Any = None,
    batch_size: int | None = None,
    min_rate: float = 1e-6,
    max_rate: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
    stop_factor: float = 4.0,
    sample_weight: Any = None,
) -> LearningRateSweep:
    """Train a few steps with rates that rise geometrically, and see where the loss falls fastest.

    The model comes back as it was, to the last bit: weights, the optimizer's state and rate, random numbers.

    Args:
        model: built and compiled, with an optimizer whose learning rate is a number.
        x, y, batch_size, sample_weight: as for ``fit``; samples are shuffled, and used again where they are too few.
        min_rate, max_rate: 0 < min_rate < max_rate.
        steps: 2 to a million, all of them; fewer are made if the loss grows too much.
        smoothing: share of the older losses in the smoothed one, 0 <= smoothing < 1.
        stop_factor: > 1: the sweep ends when the smoothed loss is that many times the lowest, or not finite.

    Raises:
        ValueError, TypeError: for arguments and data that do not fit. RuntimeError: before compile(), or without weights.

    Source: Smith 2017, Cyclical learning rates, arXiv 1506.01186, section 3.3; the suggestion is that of fastai.

    Example:
        >>> import numpy as np
        >>> from fastconv import layers, models
        >>> model = models.Sequential([layers.Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.eye(2, dtype=np.float32)
        >>> sweep = find_learning_rate(model, x, x[:, :1], steps=50)
        >>> 1e-6 < sweep.suggestion < 10
        True
    """
    op = "find_learning_rate"
    low = _arguments.real(op, "min_rate", min_rate, above=0)
    high = _arguments.real(op, "max_rate", max_rate, above=low)
    steps = _arguments.integer(op, "steps", steps, least=2, most=1_000_000)
    smoothing = _arguments.real(op, "smoothing", smoothing, least=0, below=1)
    stop_factor = _arguments.real(op, "stop_factor", stop_factor, above=1)
    _check_ready(model)
    batches = _batches(model, x, y, sample_weight, batch_size)
    before = snapshot(model)
    made: list[tuple[float, float, float]] = []
    mean = 0.0
    try:
        for step, (rate, batch) in enumerate(zip(np.geomspace(low, high, steps), batches, strict=False)):
            model.optimizer.learning_rate = float(rate)
            try:
                loss = model.train_on_batch(*batch, return_dict=True)["loss"]
            except NonFiniteLossError:
                break
            mean = smoothing * mean + (1 - smoothing) * loss
            made.append((float(rate), loss, mean / (1 - smoothing ** (step + 1))))
            if made[-1][2] > stop_factor * min(entry[2] for entry in made):
                break
    finally:
        restore(model, before)
    if len(made) < 2:
        raise ValueError(
            f"[{op}] the loss must be finite at first: expected at least 2 steps, got {len(made)} from min_rate={low}. Lower "
            "min_rate, scale the inputs, or look for NaN in the data."
        )
    return LearningRateSweep(*(np.array(column) for column in zip(*made, strict=True)))


def _check_ready(model: Any) -> None:
    if not hasattr(model, "train_on_batch"):
        raise TypeError(
            f"[find_learning_rate] model must be a model: expected one of fastconv.models, got {type(model).__name__}. Pass the "
            "model first, then its data."
        )
    if not model.compiled or not model.built:
        raise RuntimeError(
            "[find_learning_rate] the model must be built and compiled: expected layers.Input and compile() first, got a model "
            "without weights or loss. Call model.compile(optimizer, loss)."
        )
    try:
        model.optimizer.learning_rate = model.optimizer.learning_rate
    except (AttributeError, TypeError) as error:
        raise TypeError(
            "[find_learning_rate] the learning rate must be one number: expected an optimizer without schedule or parts, got "
            f"{type(model.optimizer).__name__}. Compile with a number, and make the schedule afterwards."
        ) from error


def _batches(model: Any, x: Any, y: Any, sample_weight: Any, batch_size: int | None) -> Iterator[Any]:
    if is_iterable_of_batches(x):
        if y is not None or sample_weight is not None:
            raise ValueError(
                "[find_learning_rate] an iterable gives its own targets and weights: expected x alone, got y or sample_weight "
                "too. Put them into the batches."
            )
        return _again_and_again(x)
    data = model._array_batches("find_learning_rate", x, y, sample_weight, None, batch_size)
    order = (random.generator().permutation(data.samples) for _ in itertools.count())
    return (_as_given(batch) for rows in order for batch in data.batches(rows))


def _again_and_again(batches: Any) -> Iterator[Any]:
    """Batches of an iterable, from its beginning when it ends; of one that can be read only once, those."""
    given = True
    while given:
        given = False
        for item in batches:
            given = True
            yield batch_of("find_learning_rate", item)


def _as_given(batch: Any) -> tuple[Any, Any, Any]:
    x, y, weights = batch
    return x[0] if len(x) == 1 else x, y[0] if len(y) == 1 else y, weights
