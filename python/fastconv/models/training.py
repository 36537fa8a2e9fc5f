"""compile, fit, evaluate, predict: the training API that every model has."""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastconv import losses as loss_module
from fastconv import optimizers, random
from fastconv.errors import NonFiniteLossError
from fastconv.layers.base import Layer, unknown_keywords
from fastconv.models import plans
from fastconv.models.batches import (
    ArrayBatches,
    as_data,
    as_inputs,
    batch_of,
    check_lengths,
    check_not_empty,
    is_iterable_of_batches,
    load_sample_weight,
)
from fastconv.models.meters import Meters
from fastconv.models.plans import ModelPlan, OptimizerState, PlanCache, as_list
from fastconv.ops import _arrays, _numbers

__all__ = ["Trainable"]


class Trainable(Layer):
    """The training API; :class:`~fastconv.models.Model` adds the graph of layers."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.optimizer: Any = None
        self.stop_training = False
        self.history: Any = None
        self._losses: list[Any] | None = None
        self._meters: Meters | None = None
        self._optimizer_state: OptimizerState | None = None
        self._data_shapes: list[tuple[int, ...]] | None = None
        self._lock = threading.RLock()  # the arrays of a plan serve one call at a time
        self._fitting = False
        self.reset_plans()

    def reset_plans(self) -> None:
        """Forgets compiled programs; they are made again when needed."""
        self._plans = {"train": PlanCache(), "evaluate": PlanCache(), "predict": PlanCache()}

    # Hooks of Model.

    def input_shapes(self) -> list[tuple[int, ...]] | None:
        """Shape of one sample of each input, where the model knows it before it has seen data."""
        return None

    def output_count(self) -> int | None:
        """Number of outputs, where the model knows it before it has seen data."""
        return None

    def trace(self, inputs: Any, training: bool) -> Any:
        """The model's outputs on a plan's values."""
        return self(inputs, training=training)

    # compile.

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        **unknown: Any,
    ) -> None:
        """Says how the model is trained.

        Args:
            optimizer: a name or an object of ``fastconv.optimizers``.
            loss: a name, an object or a function, for every output; or a list with one per output (None for none).
            metrics: list of names or objects; they look at the first output (a list of lists: one list per output).
            loss_weights: factor of each output's loss.

        Raises:
            ValueError, TypeError: for what is not known.
        """
        unknown_keywords("compile", unknown, ["optimizer", "loss", "metrics", "loss_weights"])
        if self._fitting:
            raise _already_training("compile")
        if loss is None or (isinstance(loss, (list, tuple)) and not any(loss)):
            raise ValueError(
                f"[compile] loss must be given: expected a name, an object or a function, got loss={loss!r}. For example 'mse'."
            )
        chosen = optimizers.get(optimizer)
        outputs = self.output_count()
        entries = as_list(loss) if isinstance(loss, (list, tuple)) else [loss] * (outputs or 1)
        if outputs is not None and len(entries) != outputs:
            raise ValueError(
                f"[compile] loss must have one entry per output: expected {outputs}, got {len(entries)}. Use None for an output "
                "without a loss."
            )
        found = [None if entry is None else loss_module.get(entry) for entry in entries]
        weights = [1.0] * len(found)
        if loss_weights is not None:
            weights = [_numbers.as_float("compile", "loss_weights", w) for w in as_list(loss_weights)]
        if len(weights) != len(found):
            raise ValueError(
                f"[compile] loss_weights must match loss: expected {len(found)} numbers, got {len(weights)}. Pass a list."
            )
        self.optimizer = chosen
        self._losses = found
        self._loss_weights = weights
        self._meters = Meters(found, metrics)
        self._optimizer_state = OptimizerState(chosen)
        self.reset_plans()

    @property
    def compiled(self) -> bool:
        """Whether compile() has been called."""
        return self._losses is not None

    def _need_compile(self, where: str) -> list[Any]:
        if self._losses is None:
            raise RuntimeError(
                f"[{where}] the model must be compiled: expected compile() first, got a model without a loss. Call "
                "model.compile(optimizer, loss)."
            )
        return self._losses

    # Shapes and plans.

    def _prepare_inputs(self, where: str, x: Any) -> list[np.ndarray]:
        arrays = as_inputs(where, x, self.input_shapes() or self._data_shapes)
        if self.input_shapes() is None and self._data_shapes is None:
            self._data_shapes = [tuple(a.shape[1:]) for a in arrays]
        if not self.built:
            shapes = [(None, *a.shape[1:]) for a in arrays]
            self.ensure_built(shapes if len(shapes) > 1 else shapes[0])
            plans.predict_plan(self, self._sample_shapes(), 1)  # builds the layers inside
        return arrays

    def _sample_shapes(self) -> list[tuple[int, ...]]:
        shapes = self.input_shapes() or self._data_shapes
        if shapes is None:
            raise RuntimeError(
                f"[{self.name}] the input shape is not known yet: expected an Input or data, got neither. Add "
                "layers.Input(shape) first, or call the model on data."
            )
        return shapes

    def _output_shapes(self) -> list[tuple[int, ...]]:
        outputs = self._predict_plan(1).outputs
        return [tuple(a.shape[1:]) for a in outputs]

    def _predict_plan(self, batch: int) -> ModelPlan:
        return self._plans["predict"].get(batch, lambda: plans.predict_plan(self, self._sample_shapes(), batch))

    def _plan(self, purpose: str, batch: int) -> ModelPlan:
        losses = self._need_compile(purpose)
        if purpose == "train":
            return self._plans[purpose].get(
                batch, lambda: plans.train_plan(self, losses, self._sample_shapes(), batch, self._optimizer_state)
            )
        return self._plans[purpose].get(batch, lambda: plans.loss_plan(self, losses, self._sample_shapes(), batch))

    # Data.

    def _prepare_targets(self, where: str, y: Any) -> list[np.ndarray]:
        losses = self._need_compile(where)
        shapes = self._output_shapes()
        if len(losses) != len(shapes):
            raise ValueError(
                f"[{where}] compile must give one loss per output: expected {len(shapes)}, got {len(losses)}. Pass a list."
            )
        used = [(loss, shape) for loss, shape in zip(losses, shapes, strict=True) if loss is not None]
        parts = as_list(y) if len(used) > 1 else [y]
        if len(parts) != len(used):
            raise ValueError(
                f"[{where}] y must hold one array per loss: expected {len(used)} arrays, got {len(parts)}. Pass a list."
            )
        prepared = []
        for i, ((loss, shape), part) in enumerate(zip(used, parts, strict=True)):
            name = "y" if len(used) == 1 else f"y[{i}]"
            prepared.append(loss.prepare(name, as_data(where, name, part), shape))
        return prepared

    def _array_batches(
        self, where: str, x: Any, y: Any, sample_weight: Any, class_weight: Any, batch_size: int | None
    ) -> ArrayBatches:
        if y is None:
            raise ValueError(
                f"[{where}] y must be given with arrays: expected targets for every row of x, got y=None. Pass y."
            )
        arrays = self._prepare_inputs(where, x)
        parts = as_list(y) if isinstance(y, (list, tuple)) and len(self._need_compile(where)) > 1 else [y]
        check_lengths(where, arrays, [as_data(where, "y", part) for part in parts], None)
        targets = self._prepare_targets(where, y)
        weights = load_sample_weight(where, sample_weight)
        check_lengths(where, arrays, targets, weights)
        check_not_empty(where, arrays)
        if class_weight is not None:
            weights = _class_factors(where, targets[0], class_weight) * (1.0 if weights is None else weights)
        return ArrayBatches(arrays, targets, weights, _batch_size(where, batch_size))

    def _load(
        self, plan: ModelPlan, x: Sequence[np.ndarray], y: Sequence[np.ndarray] | None, weights: np.ndarray | None
    ) -> None:
        """Copies a batch into a plan's memory, converting to its dtype."""
        for array, given in zip(plan.inputs, x, strict=True):
            _arrays.assign(self.name, "x", array, given)
        if y is None:
            return
        used = [w for w, loss in zip(self._loss_weights, self._losses or (), strict=True) if loss is not None]
        for array, given, factor, loss_weight in zip(plan.targets, y, plan.weights, used, strict=True):
            _arrays.assign(self.name, "y", array, given)
            mean = loss_weight / max(factor.size, 1)
            if weights is None:
                factor[...] = mean
            else:
                factor[...] = (weights * mean).reshape(-1, *(1,) * (factor.ndim - 1))

    # fit.

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
                Ints, bool and float64 are converted to the model's dtype batch by batch, without scaling.
            y: targets for arrays; (N,) is taken for a model with one output.
            batch_size: samples per step, 32 by default; the last batch of an epoch may be smaller.
            epochs: when to stop, counted from 0; ``initial_epoch`` is where to start.
            verbose: 0 silent, 1 progress bar, 2 a line per epoch, "auto" a bar on a terminal.
            callbacks: list of ``fastconv.callbacks.Callback``.
            validation_split: share of the last samples to validate on.
            validation_data: ``(x, y)`` or ``(x, y, weight)``, or an iterable of batches.
            shuffle: draw the samples in another order each epoch (by ``fastconv.random``).
            class_weight: factor of each class's samples. sample_weight: factor of each sample.
            steps_per_epoch, validation_steps: batches per epoch of an iterable.

        Returns:
            A ``History``: ``history.history["loss"]`` and so on, one value per epoch.

        Raises:
            RuntimeError: before compile(), or within another fit. NonFiniteLossError: if the loss becomes NaN or infinite;
            the weights are those before that step. ValueError, TypeError: for data that do not fit.
        """
        unknown_keywords("fit", unknown, list(inspect.signature(Trainable.fit).parameters)[1:-1])
        self._need_compile("fit")
        epochs = _at_least("fit", "epochs", epochs, 0)
        initial_epoch = _at_least("fit", "initial_epoch", initial_epoch, 0)
        validation_freq = _at_least("fit", "validation_freq", validation_freq, 1)
        steps = None if steps_per_epoch is None else _at_least("fit", "steps_per_epoch", steps_per_epoch, 1)
        if validation_batch_size is None:
            validation_batch_size = batch_size
        else:
            _at_least("fit", "validation_batch_size", validation_batch_size, 1)
        if validation_steps is not None:
            validation_steps = _at_least("fit", "validation_steps", validation_steps, 1)
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
                data = self._array_batches("fit", x, y, sample_weight, class_weight, batch_size)
                if split:
                    data, validation_data = data.split(split)
                data.limit("fit", "steps_per_epoch", steps)
            validation = self._validation(validation_data, validation_batch_size)
            if isinstance(validation, ArrayBatches):
                validation.limit("fit", "validation_steps", validation_steps)
            return self._run_epochs(
                data,
                validation,
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
            raise _already_training("fit")
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
        hooks.on_train_begin()
        iterator = None if isinstance(data, ArrayBatches) else _Repeating(data, how["steps"])
        logs: dict[str, float] = {}
        for epoch in range(how["initial_epoch"], how["epochs"]):
            hooks.on_epoch_begin(epoch)
            batches = self._epoch_batches(data, iterator, how["shuffle"])
            logs = self._train_epoch(batches, epoch, hooks)
            if validation is not None and (epoch + 1) % how["validation_freq"] == 0:
                scores = self._evaluate(validation, how["validation_steps"], hooks)
                logs.update({f"val_{name}": value for name, value in scores.items()})
            hooks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        hooks.on_train_end(logs)
        return self.history

    def _epoch_batches(self, data: Any, iterator: Any, shuffle: bool) -> Iterator[Any]:
        if iterator is not None:
            return (self._checked_batch("fit", item) for item in iterator.epoch())
        order = random.generator().permutation(data.samples) if shuffle else None
        return data.batches(order)

    def _checked_batch(self, where: str, item: Any) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray | None]:
        x, y, sample_weight = batch_of(where, item)
        inputs = self._prepare_inputs(where, x)
        targets = self._prepare_targets(where, y)
        weights = load_sample_weight(where, sample_weight)
        check_lengths(where, inputs, targets, weights)
        check_not_empty(where, inputs)
        return inputs, targets, weights

    def _train_epoch(self, batches: Iterator[Any], epoch: int, hooks: Any) -> dict[str, float]:
        assert self._meters is not None
        self._meters.reset()
        logs: dict[str, float] = {}
        for step, (x, y, weights) in enumerate(batches):
            hooks.on_train_batch_begin(step)
            try:
                plan = self._train_step(x, y, weights, epoch, step)
            except NonFiniteLossError:
                if not hooks.handles_nonfinite_loss:
                    raise
                logs = {**logs, "loss": float("nan")}
                hooks.on_train_batch_end(step, logs)
                break
            self._meters.update(plan, weights)
            logs = self._meters.results()
            hooks.on_train_batch_end(step, logs)
            if self.stop_training:
                break
        return logs

    def _train_step(
        self,
        x: Sequence[np.ndarray],
        y: Sequence[np.ndarray],
        weights: np.ndarray | None,
        epoch: int | None = None,
        step: int | None = None,
    ) -> ModelPlan:
        plan = self._plan("train", len(x[0]))
        self._load(plan, x, y, weights)
        for seed in self.seeds:
            seed.array[0] = random.next_seed()
        assert self._optimizer_state is not None
        self._optimizer_state.prepare_step()
        if not plan.run():
            where = "" if epoch is None or step is None else f" in epoch {epoch + 1}, batch {step + 1}"
            assert plan.total is not None
            raise NonFiniteLossError(
                f"[fit] the loss must stay finite: expected a number, got loss={plan.total[0]}{where}. The weights are those "
                "before that step. Lower the learning rate, scale the inputs, or look for NaN in the data."
            )
        self.optimizer.iterations += 1
        return plan

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One optimizer step on one batch.

        Returns:
            The loss and metrics of this batch: a list, a single number where there are no metrics, or a dict.
        """
        if self._fitting:
            raise _already_training("train_on_batch")
        with self._lock:
            data = self._array_batches("train_on_batch", x, y, sample_weight, class_weight, None)
            assert self._meters is not None
            self._meters.reset()
            plan = self._train_step(data.x, data.y or [], data.weights)
            self._meters.update(plan, data.weights)
            return _as_result(self._meters.results(), return_dict)

    # evaluate and predict.

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
        unknown_keywords("evaluate", unknown, list(inspect.signature(Trainable.evaluate).parameters)[1:-1])
        self._need_compile("evaluate")
        steps = None if steps is None else _at_least("evaluate", "steps", steps, 1)
        with self._lock:
            data = x
            if not is_iterable_of_batches(x):
                data = self._array_batches("evaluate", x, y, sample_weight, None, batch_size)
                data.limit("evaluate", "steps", steps)
            elif y is not None or sample_weight is not None:
                raise ValueError(
                    "[evaluate] an iterable gives its own targets and weights: expected x alone, got y or sample_weight too. Put "
                    "them into the batches."
                )
            from fastconv.callbacks import CallbackList

            count = len(data) if hasattr(data, "__len__") else steps
            hooks = CallbackList(callbacks, add_progbar=True, model=self, steps=count, verbose=verbose)
            with self._meters_aside():
                return _as_result(self._evaluate(data, steps, hooks), return_dict)

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
            batches = (self._checked_batch("evaluate", item) for item in _Repeating(data, steps).epoch())
        self._meters.reset()
        hooks.on_test_begin()
        for step, (x, y, weights) in enumerate(batches):
            hooks.on_test_batch_begin(step)
            plan = self._plan("evaluate", len(x[0]))
            self._load(plan, x, y, weights)
            plan.run()
            self._meters.update(plan, weights)
            hooks.on_test_batch_end(step, self._meters.results())
        logs = self._meters.results()
        hooks.on_test_end(logs)
        return logs

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None, **unknown: Any
    ) -> Any:
        """The model's outputs for samples, in inference mode.

        Args:
            x: an array (or a list with one per input), or an iterable of batches of x.
            batch_size: samples per run, 32 by default; results do not depend on it, to the last bit.

        Returns:
            An array (N, ...), or a list with one per output. No samples give an empty array.
        """
        unknown_keywords("predict", unknown, ["x", "batch_size", "verbose", "steps"])
        size = _batch_size("predict", batch_size)
        steps = None if steps is None else _at_least("predict", "steps", steps, 1)
        with self._lock:
            if is_iterable_of_batches(x):
                items = _Repeating(x, steps).epoch()
                chunks = [self._predict_arrays(i[0] if isinstance(i, tuple) else i, size) for i in items]
                if not chunks:
                    raise ValueError(
                        "[predict] the iterable must give batches: expected at least 1, got none. Check its source."
                    )
                outputs = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
            else:
                outputs = self._predict_arrays(x, size)
        return outputs[0] if len(outputs) == 1 else outputs

    def _predict_arrays(self, x: Any, batch_size: int) -> list[np.ndarray]:
        data = ArrayBatches(self._prepare_inputs("predict", x), None, None, batch_size)
        check_lengths("predict", data.x, None, None)
        shapes = [(data.samples, *shape) for shape in self._output_shapes()]
        outputs = [_arrays.empty("predict", "the result", shape, self.dtype) for shape in shapes]
        done = 0
        for inputs, _, _ in data.batches():
            plan = self._predict_plan(len(inputs[0]))
            self._load(plan, inputs, None, None)
            plan.run()
            for output, part in zip(outputs, plan.outputs, strict=True):
                output[done : done + len(part)] = part
            done += len(inputs[0])
        return outputs

    def predict_on_batch(self, x: Any) -> Any:
        """:meth:`predict` of one batch."""
        arrays = self._prepare_inputs("predict_on_batch", x)
        return self.predict(arrays if len(arrays) > 1 else arrays[0], batch_size=max(len(arrays[0]), 1))

    def predict_classes(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """The most probable class of each sample: argmax, or ``> 0.5`` for a single output."""
        y = self.predict(x, batch_size)
        return (y[..., 0] > 0.5).astype(np.int64) if y.shape[-1] == 1 else y.argmax(-1)

    # Looking inside.

    def gradients(self, x: Any, y: Any, sample_weight: Any = None, training: bool = False) -> tuple[float, dict]:
        """Loss and its gradient for every trainable weight; nothing is changed.

        Returns:
            ``(loss, {"layer/weight": array})``.
        """
        with self._lock:
            data = self._array_batches("gradients", x, y, sample_weight, None, None)
            losses = self._need_compile("gradients")
            plan = plans.train_plan(self, losses, self._sample_shapes(), data.samples, None, training)
            self._load(plan, data.x, data.y, data.weights)
            plan.run()
            assert plan.total is not None
            paths = {variable: path for path, variable in self.weights_by_path().items()}
            return float(plan.total[0]), {paths[v]: g.copy() for v, g in plan.gradients.items()}

    def activations(self, x: Any) -> dict[str, Any]:
        """Every layer's output for a batch, by the layer's name, in inference mode."""
        from fastconv.graph import Value, tracing
        from fastconv.plan import Plan

        with self._lock:
            arrays = self._prepare_inputs("activations", x)
            record: dict[str, Any] = {}
            with tracing():
                inputs = [Value(a.shape, self.dtype) for a in arrays]
                self.replay(inputs if len(inputs) > 1 else inputs[0], False, record)  # type: ignore[attr-defined]
            values = [v for entry in record.values() for v in as_list(entry)]
            plan = Plan(inputs, values, fuse=False)
            for value, array in zip(inputs, arrays, strict=True):
                plan.array(value)[...] = array
            plan.run()
            return {
                name: [plan.array(v).copy() for v in entry] if isinstance(entry, list) else plan.array(entry).copy()
                for name, entry in record.items()
            }

    def weights_by_path(self) -> dict[str, Any]:
        """Every weight by its path, e.g. "conv2d/kernel"."""
        return dict(_paths(self, ""))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer called ``name``, or at ``index``."""
        layers = self.sublayers()
        if index is not None:
            number = _numbers.as_int("get_layer", "index", index)
            if not -len(layers) <= number < len(layers):
                raise ValueError(
                    f"[get_layer] index must be that of a layer: expected index < {len(layers)}, got index={number}. Count from 0."
                )
            return layers[number]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"[get_layer] no layer has this name: expected one of {[la.name for la in layers]}, got {name!r}. "
            "See summary()."
        )

    def summary(self, print_fn: Any = print) -> None:
        """Prints layers, output shapes and parameter counts."""
        from fastconv.models.summary import summary_text

        print_fn(summary_text(self))

    # Files.

    def save(self, path: Any, include_optimizer: bool = True) -> None:
        """Writes config, weights and, if compiled, the optimizer's state to one file, atomically."""
        from fastconv.saving.model_file import save_model

        save_model(self, path, include_optimizer)

    def save_weights(self, path: Any) -> None:
        """Writes the weights alone."""
        from fastconv.saving.model_file import save_weights

        save_weights(self, path)

    def load_weights(self, path: Any) -> None:
        """Reads weights that :meth:`save` or :meth:`save_weights` wrote; all of them fit, or none is changed."""
        from fastconv.saving.model_file import load_weights

        load_weights(self, path)


def _paths(layer: Layer, prefix: str) -> Iterator[tuple[str, Any]]:
    own = [w for w in layer._weights if w.trainable] + [w for w in layer._weights if not w.trainable]
    yield from ((f"{prefix}{w.name}", w) for w in own)
    for sub in layer.sublayers():
        yield from _paths(sub, f"{prefix}{sub.name}/")


def _as_result(logs: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def _batch_size(where: str, batch_size: Any) -> int:
    if batch_size is None:
        return 32
    return _at_least(where, "batch_size", batch_size, 1)


def _at_least(where: str, name: str, value: Any, least: int) -> int:
    number = _numbers.as_int(where, name, value)
    if number < least:
        raise ValueError(
            f"[{where}] {name} must be at least {least}: expected {name} >= {least}, got {name}={number}. Use {least} or more."
        )
    return number


def _already_training(where: str) -> RuntimeError:
    return RuntimeError(
        f"[{where}] this model is already training: expected one fit at a time, got {where} during another. Wait for that fit to "
        "end, or train another model."
    )


def _class_factors(where: str, targets: np.ndarray, class_weight: Any) -> np.ndarray:
    """Each sample's factor by its class."""
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"[{where}] class_weight must be a dict: expected {{class: factor}}, got {type(class_weight).__name__}. "
            "Pass one factor per class."
        )
    single = targets.ndim == 1 or targets.shape[-1] == 1
    labels = targets.reshape(len(targets)) if single else targets.argmax(-1)
    missing = sorted(set(np.unique(labels).tolist()) - set(class_weight))
    if missing:
        raise ValueError(
            f"[{where}] class_weight must name every class: expected a factor for each in y, got none for {missing}. Add them."
        )
    factors = np.zeros(len(labels))
    for label, factor in class_weight.items():
        number = _numbers.as_float(where, "class_weight", factor)
        if number < 0:
            raise ValueError(
                f"[{where}] class_weight must not be negative: expected factors >= 0, got {number} for class {label}. Use 0 or more."
            )
        factors[labels == label] = number
    return factors


class _Repeating:
    """An iterable of batches, an epoch at a time: all of it, or ``steps`` batches, starting over when it runs out."""

    def __init__(self, source: Any, steps: int | None) -> None:
        self._source = source
        self._steps = steps
        self._iterator: Iterator[Any] | None = None

    def epoch(self) -> Iterator[Any]:
        if self._steps is None:
            count = 0
            for item in self._source:
                count += 1
                yield item
            if count == 0:
                raise ValueError(
                    "[fit] the iterable must give batches: expected at least 1, got none. Check its source."
                )
            return
        for _ in range(self._steps):
            if self._iterator is None:
                self._iterator = iter(self._source)
            item = next(self._iterator, self)
            if item is self:
                self._iterator = iter(self._source)
                item = next(self._iterator, self)
            if item is self:
                raise ValueError(
                    f"[fit] the iterable ran out of batches: expected {self._steps} steps per epoch, got fewer. Use fewer steps, "
                    "or an iterable that starts again."
                )
            yield item
