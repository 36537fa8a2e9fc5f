"""fit: epochs of training steps."""

from __future__ import annotations

import inspect
import math
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import numpy as np

from fastconv import random
from fastconv._arguments import boolean, unknown_keywords
from fastconv.errors import NonFiniteLossError
from fastconv.models.batches import (
    ArrayBatches,
    at_least,
    class_factors,
    is_iterable_of_batches,
)
from fastconv.models.compiled import already_training
from fastconv.models.device_data import plan_key
from fastconv.models.pipeline import Finished, Pipeline, UpdateCount
from fastconv.models.plans import ModelPlan, StepArrays
from fastconv.models.position import Position, ResumePoint
from fastconv.models.raw_pixels import warn_of_raw_pixels
from fastconv.models.repeating import Repeating
from fastconv.models.scoring import Scoring, as_result
from fastconv.ops import _numbers

__all__ = ["Fitting", "ResumePoint"]


class _Step(NamedTuple):
    """What is remembered of a training step while it is under way."""

    number: int
    inputs: Any
    weights: np.ndarray | None
    random_state: tuple[int, int]


class Fitting(Scoring):
    """What changes a model's weights."""

    position: Position | None = None  # of the fit that is under way
    resume_from: ResumePoint | None = None  # set by a callback's on_train_begin, for one fit

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        **unknown: Any,
    ) -> Any:
        """Trains the model.

        Args:
            x: samples: an array, a list with one per input, or an iterable of batches ``(x, y)`` or ``(x, y, weight)``.
                Ints, bool and float64 are converted to the model's dtype batch by batch, without scaling. On a GPU, arrays
                that fit half of its free memory are copied there once (uint8 stays uint8), and CuPy arrays (uint8 or the
                model's dtype) are read where they are; y is also kept on the host, for checks and metrics.
            y: targets for arrays; (N,) is taken for a model with one output.
            batch_size: samples per step, 32 by default; the last batch of an epoch may be smaller.
            epochs: when to stop, counted from 0; ``initial_epoch`` is where to start.
            verbose: 0 silent, 1 progress bar, 2 a line per epoch, "auto" a bar on a terminal.
            callbacks: list of ``fastconv.callbacks.Callback``.
            validation_split: share of the last samples to validate on.
            validation_data: ``(x, y)`` or ``(x, y, weight)``, or an iterable of batches.
            shuffle: draw the samples in another order each epoch (by ``fastconv.random``).
            class_weight: factor of each class's samples in training. sample_weight: factor of each sample, also of those that
                validation_split takes.
            steps_per_epoch, validation_steps: batches per epoch of an iterable.

        Returns:
            A ``History``: ``history.history["loss"]`` and so on, one value per epoch.

        Raises:
            RuntimeError: before compile(), or within another fit. NonFiniteLossError: if the loss becomes NaN or infinite;
            the weights are those before that step. ValueError, TypeError: for data that do not fit.
        """
        unknown_keywords("fit", unknown, list(inspect.signature(Fitting.fit).parameters)[1:-1])
        self._need_compile("fit")
        epochs = at_least("fit", "epochs", epochs, 0)
        initial_epoch = at_least("fit", "initial_epoch", initial_epoch, 0)
        validation_freq = at_least("fit", "validation_freq", validation_freq, 1)
        steps = None if steps_per_epoch is None else at_least("fit", "steps_per_epoch", steps_per_epoch, 1)
        if validation_batch_size is None:
            validation_batch_size = batch_size
        else:
            at_least("fit", "validation_batch_size", validation_batch_size, 1)
        if validation_steps is not None:
            validation_steps = at_least("fit", "validation_steps", validation_steps, 1)
        split = _numbers.as_float("fit", "validation_split", validation_split)
        if not 0 <= split < 1:
            raise ValueError(
                f"[fit] validation_split must be in [0, 1): expected 0 <= validation_split < 1, got validation_split={split}. "
                "Use a share such as 0.2."
            )
        with self._training_alone():
            data: Any
            if is_iterable_of_batches(x):
                if y is not None or split or class_weight is not None or sample_weight is not None:
                    raise ValueError(
                        "[fit] an iterable gives its own targets and weights: expected x alone, got y, validation_split, "
                        "class_weight or sample_weight too. Put them into the batches."
                    )
                data = x
            else:
                data = self._array_batches("fit", x, y, sample_weight, None, batch_size)
                warn_of_raw_pixels(self, data.x)
                if split:
                    data, validation_data = data.split(split)
                if class_weight is not None:  # of the samples that are trained on, as in Keras
                    data.weigh(class_factors("fit", data.y[0], class_weight))
                data.limit("fit", "steps_per_epoch", steps)
            validation = self._validation(validation_data, validation_batch_size)
            if isinstance(validation, ArrayBatches):
                validation.limit("fit", "validation_steps", validation_steps)
            return self._run_epochs(
                self._stored(data),
                self._stored(validation),
                epochs=epochs,
                initial_epoch=initial_epoch,
                verbose=verbose,
                callbacks=callbacks,
                shuffle=_numbers.as_bool("fit", "shuffle", shuffle),
                steps=steps,
                validation_steps=validation_steps,
                validation_freq=validation_freq,
            )

    @contextmanager
    def _training_alone(self) -> Iterator[None]:
        """One fit at a time; predict and evaluate from its callbacks are fine."""
        if self._fitting:
            raise already_training("fit")
        with self._lock:
            self._fitting = True
            try:
                yield
            finally:
                self._fitting = False

    def _validation(self, data: Any, batch_size: int | None) -> Any:
        if data is None or isinstance(data, ArrayBatches):
            return data
        if not isinstance(data, (tuple, list)):
            if is_iterable_of_batches(data):
                return data
            raise TypeError(
                f"[fit] validation_data must be (x, y): expected a tuple, got {type(data).__name__}. Pass both."
            )
        if not 2 <= len(data) <= 3:
            raise ValueError(
                f"[fit] validation_data must be (x, y) or (x, y, sample_weight): expected 2 or 3 parts, got {len(data)}. "
                "Pass (x, y)."
            )
        try:
            return self._array_batches("fit", data[0], data[1], data[2] if len(data) == 3 else None, None, batch_size)
        except (ValueError, TypeError) as error:
            raise type(error)(
                f"[fit] validation_data does not fit the model, {str(error).removeprefix('[fit] ')}"
            ) from None

    def _run_epochs(self, data: Any, validation: Any, *, verbose: Any, callbacks: Any, **how: Any) -> Any:
        from fastconv.callbacks import CallbackList

        steps = how["steps"] if how["steps"] is not None else len(data) if hasattr(data, "__len__") else None
        hooks = CallbackList(
            callbacks,
            add_history=True,
            add_progbar=True,
            model=self,
            epochs=how["epochs"],
            steps=steps,
            verbose=verbose,
            initial_epoch=how["initial_epoch"],
        )
        self.history = hooks.history
        self.stop_training = False
        self.resume_from = None
        iterator = None if isinstance(data, ArrayBatches) else Repeating(data, how["steps"])
        self.position = Position(self, hooks.callbacks, iterator, validation)
        try:
            hooks.on_train_begin()
            first = how["initial_epoch"] if self.resume_from is None else self.resume_from.epoch
            logs: dict[str, float] = {}
            for epoch in range(first, how["epochs"]):
                hooks.on_epoch_begin(epoch)
                batches = self._epoch_batches(data, iterator, how["shuffle"])
                logs = self._train_epoch(batches, epoch, hooks)
                if validation is not None and (epoch + 1) % how["validation_freq"] == 0:
                    scores = self._evaluate(validation, how["validation_steps"], hooks)
                    logs.update({f"val_{name}": value for name, value in scores.items()})
                hooks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            assert self._optimizer_state is not None
            self._optimizer_state.finish()
            hooks.on_train_end(logs)
            return self.history
        finally:
            self.position = None
            for callback in hooks.callbacks:
                callback.release()

    def _epoch_batches(self, data: Any, iterator: Any, shuffle: bool) -> Iterator[Any]:
        if iterator is not None:
            return (self._checked_batch("fit", item) for item in iterator.epoch())
        order = random.generator().permutation(data.samples) if shuffle else None
        return data.batches(order)

    def _skip(self, batches: Iterator[Any]) -> tuple[int, dict[str, float]]:
        """Passes over the batches of an epoch that were trained on before an interruption: how many, and their logs."""
        point, self.resume_from = self.resume_from, None
        if point is None or not point.batch:
            return 0, {}
        assert self._meters is not None
        for _ in range(point.batch):
            next(batches, None)
        random.set_state(point.random_state)
        if point.meters is None:
            return point.batch, {}
        self._meters.set_state(point.meters)
        return point.batch, dict(point.meters["results"])

    def _train_epoch(self, batches: Iterator[Any], epoch: int, hooks: Any) -> dict[str, float]:
        assert self._meters is not None
        self._meters.reset()
        self._epoch = epoch
        first, logs = self._skip(batches)
        if first and self.stop_training:  # by the last batch before the interruption
            batches = iter(())
        with closing(self._epoch_steps(batches, hooks, first)) as steps:
            for done in steps:
                step: _Step = done.note
                try:
                    self._judge(done.arrays, done.passed, f" in epoch {epoch + 1}, batch {step.number + 1}")
                except NonFiniteLossError:
                    random.set_state(step.random_state)  # steps that came to nothing have drawn nothing
                    if not hooks.handles_nonfinite_loss:
                        raise
                    logs = {**logs, "loss": float("nan")}
                    hooks.on_train_batch_end(step.number, logs)
                    break
                self._meters.update(done.arrays, step.weights)
                logs = self._meters.results()
                hooks.on_train_batch_end(step.number, logs)
        return logs

    def _judge(self, arrays: StepArrays, taken: bool, where: str) -> None:
        """NonFiniteLossError after a step that ends the training; one that a loss scale skipped does not."""
        assert arrays.total is not None and self._optimizer_state is not None
        loss = float(arrays.total[0])
        if not self._optimizer_state.settle_step(taken, loss):
            if math.isfinite(loss):
                raise NonFiniteLossError(
                    f"[fit] gradients of the scaled loss must stay finite: expected numbers, got overflow at loss={loss}{where}, with "
                    f"loss_scale_factor={self.optimizer.loss_scale}. Use a smaller one, or LossScaleOptimizer, which finds it."
                )
            raise NonFiniteLossError(
                f"[fit] the loss must stay finite: expected a number, got loss={loss}{where}. The weights are those before that "
                "step. Lower the learning rate, scale the inputs, or look for NaN in the data."
            )

    def _epoch_steps(self, batches: Iterator[Any], hooks: Any, first: int) -> Generator[Finished, None, None]:
        """The finished steps of an epoch, in order. Where nobody looks, the next one is under way by then."""
        waits = hooks.looks_at_batches("on_train_batch_begin", "on_train_batch_end")
        with Pipeline(waits or self.optimizer.waits_for_verdict, UpdateCount(self.optimizer)) as steps:
            try:
                for number, (x, y, weights) in enumerate(batches, first):
                    hooks.on_train_batch_begin(number)
                    plan = self._plan("train", *plan_key(x))
                    yield from steps.turn_to(plan)
                    self._fill(plan, steps.arrays, x, y, weights)
                    steps.queue(_Step(number, x, weights, random.get_state()))
                    yield from steps.due()
                    if self.stop_training:
                        break
            except Exception:  # of a batch that cannot be had or filled in: what came before it comes first
                yield from steps.rest()
                raise
            yield from steps.rest()

    def _fill(self, plan: ModelPlan, arrays: StepArrays, x: Any, y: Any, weights: np.ndarray | None) -> None:
        """Everything that a training step reads from the host."""
        self._load(arrays, x, y, weights)
        for seed in plan.seeds:
            seed.renew(self.optimizer.steps, self._epoch)
        assert self._optimizer_state is not None
        self._optimizer_state.prepare_step()

    def swap_averages(self) -> None:
        """Exchanges the weights and the averages that the optimizer keeps of them, where there are any; again, and they
        are back. ``fit`` ends with the averages in the model in either case."""
        self._need_compile("swap_averages")
        assert self._optimizer_state is not None
        self._optimizer_state.swap_averages()

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One optimizer step on one batch.

        Returns:
            The loss and metrics of this batch: a list, a single number where there are no metrics, or a dict.
        """
        boolean("train_on_batch", "return_dict", return_dict)
        if self._fitting:
            raise already_training("train_on_batch")
        with self._lock:
            inputs, targets, weights = self._weighted_batch("train_on_batch", x, y, sample_weight, class_weight)
            assert self._meters is not None
            self._meters.reset()
            x, y, weights = self._one_batch(inputs, targets, weights)
            plan = self._plan("train", *plan_key(x))
            self._fill(plan, plan, x, y, weights)
            passed = plan.run()
            self._judge(plan, passed, "")
            self.optimizer.steps += passed
            self._meters.update(plan, weights)
            return as_result(self._meters.results(), return_dict)
