"""evaluate and predict."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from fastconv._arguments import boolean, unknown_keywords
from fastconv.models.batches import (
    ArrayBatches,
    at_least,
    batch_size_of,
    check_lengths,
    is_iterable_of_batches,
    is_on_gpu,
)
from fastconv.models.compiled import Compiled
from fastconv.models.device_data import plan_key
from fastconv.models.pipeline import Finished, Pipeline
from fastconv.models.repeating import Repeating
from fastconv.ops import _arrays, _devices

__all__ = ["Scoring"]


class Scoring(Compiled):
    """What runs a model without changing it."""

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **unknown: Any,
    ) -> Any:
        """Loss and metrics on data, in inference mode.

        Returns:
            ``[loss, metrics...]``, the loss alone where there are no metrics, or a dict.
        """
        unknown_keywords("evaluate", unknown, list(inspect.signature(Scoring.evaluate).parameters)[1:-1])
        boolean("evaluate", "return_dict", return_dict)
        self._need_compile("evaluate")
        steps = None if steps is None else at_least("evaluate", "steps", steps, 1)
        with self._lock:
            data = x
            if not is_iterable_of_batches(x):
                data = self._array_batches("evaluate", x, y, sample_weight, None, batch_size)
                data.limit("evaluate", "steps", steps)
                if any(
                    is_on_gpu(array) for array in data.x
                ):  # of the host's every sample is needed once: batch by batch
                    data = self._stored(data)
            elif y is not None or sample_weight is not None:
                raise ValueError(
                    "[evaluate] an iterable gives its own targets and weights: expected x alone, got y or sample_weight too. Put "
                    "them into the batches."
                )
            from fastconv.callbacks import CallbackList

            count = len(data) if hasattr(data, "__len__") else steps
            hooks = CallbackList(callbacks, add_progbar=True, model=self, steps=count, verbose=verbose)
            with self._meters_aside():
                return as_result(self._evaluate(data, steps, hooks), return_dict)

    @contextmanager
    def _meters_aside(self) -> Iterator[None]:
        """Lets a callback evaluate without touching the sums of the epoch under way."""
        meters = self._meters
        if self._fitting:
            self._meters = copy.deepcopy(meters)
        try:
            yield
        finally:
            self._meters = meters

    def _evaluate(self, data: Any, steps: int | None, hooks: Any) -> dict[str, float]:
        assert self._meters is not None
        if isinstance(data, ArrayBatches):
            batches: Iterator[Any] = data.batches()
        else:
            batches = (self._checked_batch("evaluate", item) for item in Repeating(data, steps).epoch())
        self._meters.reset()
        hooks.on_test_begin()
        with closing(self._evaluation_runs(batches, hooks)) as runs:
            for run in runs:
                step, (_, _, weights) = run.note
                self._meters.update(run.arrays, weights)
                hooks.on_test_batch_end(step, self._meters.results())
        logs = self._meters.results()
        hooks.on_test_end(logs)
        return logs

    def _evaluation_runs(self, batches: Iterator[Any], hooks: Any) -> Generator[Finished, None, None]:
        with Pipeline(waits=hooks.looks_at_batches("on_test_batch_begin", "on_test_batch_end")) as runs:
            for step, batch in enumerate(batches):
                hooks.on_test_batch_begin(step)
                yield from runs.turn_to(self._plan("evaluate", *plan_key(batch[0])))
                self._load(runs.arrays, *batch)
                runs.queue((step, batch))
                yield from runs.due()
            yield from runs.rest()

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch, in inference mode.

        Returns:
            As :meth:`evaluate`.
        """
        boolean("test_on_batch", "return_dict", return_dict)
        self._need_compile("test_on_batch")
        with self._lock, self._meters_aside():
            data = self._array_batches("test_on_batch", x, y, sample_weight, None, None)
            inputs, targets, weights = self._one_batch(data.x, data.y, data.weights)
            plan = self._plan("evaluate", *plan_key(inputs))
            self._load(plan, inputs, targets, weights)
            plan.run()
            assert self._meters is not None
            self._meters.reset()
            self._meters.update(plan, weights)
            return as_result(self._meters.results(), return_dict)

    @property
    def metrics(self) -> list[Any]:
        """The metrics of ``compile``, in the order of the logs; none before the first batch, which says which "accuracy"
        means."""
        return [] if self._meters is None else self._meters.made()

    @property
    def metrics_names(self) -> list[str]:
        """The keys of the logs: "loss", then the metrics."""
        return [] if self._meters is None else list(self._meters.results())

    def get_metrics_result(self) -> dict[str, float]:
        """Loss and metrics of what was trained on or evaluated last: an epoch, an evaluation, a batch.

        Raises:
            RuntimeError: before compile().
        """
        self._need_compile("get_metrics_result")
        assert self._meters is not None
        return self._meters.results()

    def reset_metrics(self) -> None:
        """Forgets what :meth:`get_metrics_result` gives. ``fit``, ``evaluate`` and the methods for one batch do it themselves."""
        if self._meters is not None:
            self._meters.reset()

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        **unknown: Any,
    ) -> Any:
        """The model's outputs for samples, in inference mode.

        Args:
            x: an array (or a list with one per input), or an iterable of batches of x. CuPy arrays (uint8 or the model's
                dtype) give CuPy arrays where the model runs on the GPU.
            batch_size: samples per run, 32 by default; results do not depend on it, to the last bit.
            verbose: 1 a progress bar, 2 lines; "auto" and 0 are silent.
            steps: batches, of arrays the first ones; None for all.
            callbacks: with hooks for predictions.

        Returns:
            An array (N, ...), or a list with one per output. No samples give an empty array.
        """
        unknown_keywords("predict", unknown, ["x", "batch_size", "verbose", "steps", "callbacks"])
        size = batch_size_of("predict", batch_size)
        steps = None if steps is None else at_least("predict", "steps", steps, 1)
        from fastconv.callbacks import CallbackList

        hooks = CallbackList(callbacks, add_progbar=_shows(verbose), model=self, steps=steps, verbose=verbose)
        with self._lock:
            hooks.on_predict_begin()
            if is_iterable_of_batches(x):
                chunks = []
                for step, item in enumerate(Repeating(x, steps).epoch()):
                    hooks.on_predict_batch_begin(step)
                    chunks.append(self._predict_arrays(item[0] if isinstance(item, tuple) else item, size))
                    hooks.on_predict_batch_end(step, {"outputs": chunks[-1]})
                if not chunks:
                    raise ValueError(
                        "[predict] the iterable must give batches: expected at least 1, got none. Check its source."
                    )
                outputs = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
            else:
                outputs = self._predict_arrays(x, size, hooks, steps)
            hooks.on_predict_end()
        return outputs[0] if len(outputs) == 1 else outputs

    def _predict_arrays(self, x: Any, batch_size: int, hooks: Any = None, steps: int | None = None) -> list[np.ndarray]:
        data = ArrayBatches(self._prepare_inputs("predict", x, may_be_stored=True), None, None, batch_size)
        check_lengths("predict", data.x, None, None)
        data.limit("predict", "steps", steps)
        if any(is_on_gpu(array) for array in data.x):
            return self._predict_stored(data, hooks)
        samples = min(data.samples, len(data) * batch_size)
        shapes = [(samples, *shape) for shape in self._output_shapes()]
        outputs = [_arrays.empty("predict", "the result", shape, self.dtype) for shape in shapes]
        done = 0
        with closing(self._prediction_runs(data, hooks)) as runs:
            for step, run in enumerate(runs):
                for output, part in zip(outputs, run.arrays.outputs, strict=True):
                    output[done : done + len(part)] = part
                done += len(run.arrays.outputs[0])
                if hooks is not None:
                    hooks.on_predict_batch_end(step, {"outputs": run.arrays.outputs})
        return outputs

    def _predict_stored(self, data: ArrayBatches, hooks: Any) -> list[Any]:
        """Outputs on the GPU where the inputs are; no batch of them is looked at."""
        if hooks is not None and hooks.looks_at_batches("on_predict_batch_begin", "on_predict_batch_end"):
            raise ValueError(
                "[predict] batches on a GPU are not looked at: expected no callback with hooks for batches, got one. Pass x as a "
                "NumPy array."
            )
        samples = min(data.samples, len(data) * data.batch_size)
        device = _devices.cuda("[predict] x is on a GPU")
        outputs = [
            device.empty("predict", "the result", (samples, *one.shape[1:]), one.dtype)
            for one in self._predict_plan(1).outputs
        ]
        done = 0
        with Pipeline() as runs:
            for batch in self._stored(data).batches():
                plan, end = self._predict_plan(len(batch[0]), stored=batch[0].data.dtypes), done + len(batch[0])
                runs.turn_to(plan)
                self._load(runs.arrays, *batch)
                runs.queue(batch)
                plan.keep([output[done:end] for output in outputs])
                runs.due()
                done = end
        return outputs

    def _prediction_runs(self, data: ArrayBatches, hooks: Any) -> Generator[Finished, None, None]:
        waits = hooks is not None and hooks.looks_at_batches("on_predict_batch_begin", "on_predict_batch_end")
        with Pipeline(waits=waits) as runs:
            for step, batch in enumerate(data.batches()):
                if hooks is not None:
                    hooks.on_predict_batch_begin(step)
                yield from runs.turn_to(self._predict_plan(len(batch[0][0])))
                self._load(runs.arrays, *batch)
                runs.queue(batch)
                yield from runs.due()
            yield from runs.rest()

    def predict_on_batch(self, x: Any) -> Any:
        """:meth:`predict` of one batch, as fast as it goes: in fast precision a few samples may give other last bits."""
        with self._lock:
            arrays = self._prepare_inputs("predict_on_batch", x)
            check_lengths("predict_on_batch", arrays, None, None)
            if len(arrays[0]) == 0:
                return self.predict(x)
            plan = self._predict_plan(len(arrays[0]), streams=True)
            self._load(plan, arrays, None, None)
            plan.run()
            outputs = [output.copy() for output in plan.outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    def predict_classes(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """The most probable class of each sample: argmax, or ``> 0.5`` for a single output."""
        y = self.predict(x, batch_size)
        return (y[..., 0] > 0.5).astype(np.int64) if y.shape[-1] == 1 else y.argmax(-1)


def _shows(verbose: Any) -> bool:
    """Whether predict shows its progress; what is no setting is refused where it is shown."""
    return not isinstance(verbose, (str, int)) or verbose not in ("auto", 0)


def as_result(logs: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
