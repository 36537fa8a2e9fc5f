"""What a compiled model holds, and how data become batches of its plans."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastconv import losses as loss_module
from fastconv import optimizers
from fastconv._arguments import boolean, choice, integer, unknown_keywords
from fastconv.layers.base import Layer
from fastconv.models import plans
from fastconv.models.batches import (
    ArrayBatches,
    Batch,
    as_data,
    as_inputs,
    batch_of,
    batch_size_of,
    check_lengths,
    check_not_empty,
    class_factors,
    is_on_gpu,
    load_sample_weight,
    on_host,
)
from fastconv.models.device_data import Rows, on_device
from fastconv.models.ids import id_limits
from fastconv.models.meters import Meters
from fastconv.models.optimizer_state import OptimizerState
from fastconv.models.plans import ModelPlan, PlanCache, StepArrays, as_list
from fastconv.ops import _arrays, _numbers
from fastconv.ops.embedding import check_ids

__all__ = ["Compiled"]


class Compiled(Layer):
    """compile, the plans per batch size, and the checks of what a caller gives as data."""

    autocast = False

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        if self.activity_regularizer is not None:
            raise ValueError(
                f"[{self.name}] a model leaves regularizers to its layers: expected no activity_regularizer, got one. Give it to the "
                "last layer, or add layers.ActivityRegularization."
            )
        self.optimizer: Any = None
        self.stop_training = False
        self.history: Any = None
        self._losses: list[Any] | None = None
        self._meters: Meters | None = None
        self._optimizer_state: OptimizerState | None = None
        self._data_shapes: list[tuple[int, ...]] | None = None
        self._lock = threading.RLock()  # the arrays of a plan serve one call at a time
        self._fitting = False
        self._plans: dict[str, PlanCache] = {}
        self._epoch = 0  # of the last fit
        self.reset_plans()

    def reset_training(self) -> None:
        """Forgets compiled training steps, so that the next ones change the weights that are trainable now.

        What Keras needs a new ``compile`` for; the optimizer's state stays. Also from a callback, between two epochs.
        """
        self._plans["train"] = PlanCache()

    def reset_plans(self) -> None:
        """Forgets compiled programs; they are made again when needed."""
        self._plans |= {"train": PlanCache(), "evaluate": PlanCache(), "predict": PlanCache()}
        self._known_output_shapes: list[tuple[int, ...]] | None = None
        self._id_limits: dict[int, int] | None = None
        # (shape, dtype) of the last x, and of the last x and y, that passed every check; none where values have to, too.
        self._accepted_x: Any = None
        self._accepted: Any = None

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

    # Weights.

    def weights_by_path(self) -> dict[str, Any]:
        """Every weight by its path, e.g. "conv2d/kernel"."""
        return dict(_paths(self, ""))

    # compile.

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        **unknown: Any,
    ) -> None:
        """Says how the model is trained.

        Args:
            optimizer: a name or an object of ``fastconv.optimizers``.
            loss: a name, an object or a function, for every output; or a list with one per output (None for none).
            loss_weights: factor of each output's loss.
            metrics: list of names or objects; they look at the first output (a list of lists: one list per output), and at
                every sample alike.
            weighted_metrics: the same, and sample weights and class weights count.
            run_eagerly, steps_per_execution: refused unless they are False and 1. jit_compile: either way a model is one program.
            auto_scale_loss: with layers whose policy is mixed_float16, wrap the optimizer in a
                :class:`~fastconv.optimizers.LossScaleOptimizer`, unless it has a loss scale.

        Raises:
            ValueError, TypeError: for what is not known.
        """
        unknown_keywords("compile", unknown, list(inspect.signature(Compiled.compile).parameters)[1:-1])
        eager = boolean("compile", "run_eagerly", run_eagerly)
        if eager or integer("compile", "steps_per_execution", steps_per_execution) != 1:
            raise ValueError(
                f"[compile] a step is one compiled program: expected run_eagerly=False, steps_per_execution=1, got "
                f"{run_eagerly}, {steps_per_execution}. Leave them out; model.activations(x) shows what is inside."
            )
        choice("compile", "jit_compile", jit_compile, ("auto", True, False))
        if self._fitting:
            raise already_training("compile")
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
        scales = _numbers.as_bool("compile", "auto_scale_loss", auto_scale_loss) and plans.is_mixed(
            self, "mixed_float16"
        )
        if scales and chosen.loss_scale is None:
            chosen = optimizers.LossScaleOptimizer(chosen)
        self.optimizer = chosen
        self._losses = found
        self._loss_weights = weights
        self._meters = Meters(found, metrics, weighted_metrics)
        self._optimizer_state = OptimizerState(chosen, self.weights_by_path)
        if self.built:
            plans.gather_weights(self)
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

    def _prepare_inputs(self, where: str, x: Any, may_be_stored: bool = False) -> list[Any]:
        """x as one array per input, on the host; on a GPU only where it ``may_be_stored``."""
        layout = (x.shape, x.dtype) if type(x) is np.ndarray else None
        if layout is not None and layout == self._accepted_x:
            return [x]
        shapes = self.input_shapes() or self._data_shapes
        arrays = as_inputs(where, x, shapes, self.dtype if may_be_stored else None)
        if shapes is None:
            self._data_shapes = [tuple(a.shape[1:]) for a in arrays]
        if not self.built:
            batch_shapes = [(None, *a.shape[1:]) for a in arrays]
            self.ensure_built(batch_shapes if len(batch_shapes) > 1 else batch_shapes[0])
            plans.predict_plan(self, self._sample_shapes(), 1)  # builds the layers inside
        if self._id_limits is None:
            self._id_limits = id_limits(self, self._sample_shapes())
        for i, rows in self._id_limits.items():
            if not is_on_gpu(arrays[i]):  # looking at those would wait for the device; wrong ones give NaN
                check_ids(arrays[i], rows, where)
        self._accepted_x = None if self._id_limits else layout
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
        if self._known_output_shapes is None:
            self._known_output_shapes = [a.shape[1:] for a in self._predict_plan(1).outputs]
        return self._known_output_shapes

    def _predict_plan(self, batch: int, streams: bool = False, stored: tuple[str, ...] = ()) -> ModelPlan:
        return self._plans["predict"].get(
            (batch, streams, stored), lambda: plans.predict_plan(self, self._sample_shapes(), batch, streams, stored)
        )

    def _plan(self, purpose: str, batch: int, stored: tuple[str, ...] = ()) -> ModelPlan:
        """The plan for a batch size; ``stored`` are the element types of the data sets that its rows are taken from."""
        losses = self._need_compile(purpose)
        if purpose == "train":
            state = self._optimizer_state
            assert state is not None
            return self._plans[purpose].get(
                (batch, stored), lambda: plans.train_plan(self, losses, self._sample_shapes(), batch, state, stored)
            )
        return self._plans[purpose].get(
            (batch, stored), lambda: plans.loss_plan(self, losses, self._sample_shapes(), batch, stored)
        )

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
        inputs, targets, weights = self._weighted_batch(where, x, y, sample_weight, class_weight)
        return ArrayBatches(inputs, targets, weights, batch_size_of(where, batch_size))

    def _stored(self, data: Any) -> Any:
        """Batches of arrays, with the arrays on the device where the model runs if that has memory of its own for them."""
        if not isinstance(data, ArrayBatches):
            return data
        used = [loss for loss in self._losses or () if loss is not None]
        return on_device(data, self.dtype, [loss.takes_labels for loss in used] if data.y is not None else [])

    def _one_batch(self, inputs: Sequence[Any], targets: Any, weights: Any) -> Batch:
        """A batch of its own; rows of a data set if it is on a GPU already."""
        if not any(is_on_gpu(array) for array in inputs):
            return inputs, targets, weights
        return next(self._stored(ArrayBatches(inputs, targets, weights, inputs[0].shape[0])).batches())

    def _weighted_batch(
        self, where: str, x: Any, y: Any, sample_weight: Any, class_weight: Any
    ) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray | None]:
        alone = sample_weight is None and class_weight is None and type(x) is type(y) is np.ndarray
        layout = (x.shape, x.dtype, y.shape, y.dtype) if alone else None
        if alone and layout == self._accepted:
            return [x], self._prepare_targets(where, y), None  # their values alone are still to be checked
        if y is None:
            raise ValueError(
                f"[{where}] y must be given with arrays: expected targets for every row of x, got y=None. Pass y."
            )
        y, sample_weight = on_host(where, "y", y), on_host(where, "sample_weight", sample_weight)
        arrays = self._prepare_inputs(where, x, may_be_stored=where != "gradients")
        parts = as_list(y) if isinstance(y, (list, tuple)) and len(self._need_compile(where)) > 1 else [y]
        check_lengths(where, arrays, [as_data(where, "y", part) for part in parts], None)
        targets = self._prepare_targets(where, y)
        weights = load_sample_weight(where, sample_weight)
        check_lengths(where, arrays, targets, weights)
        check_not_empty(where, arrays)
        if len(arrays) == len(targets) == 1 and not self._id_limits:
            self._accepted = layout
        if class_weight is not None:
            weights = class_factors(where, targets[0], class_weight) * (1.0 if weights is None else weights)
        return arrays, targets, weights

    def _load(
        self,
        plan: StepArrays,
        x: Sequence[np.ndarray] | Rows,
        y: Sequence[np.ndarray] | None,
        weights: np.ndarray | None,
    ) -> None:
        """Copies a batch into a plan's memory, converting to its dtype; of rows of a data set on the device, their numbers."""
        if isinstance(x, Rows):
            assert plan.rows is not None
            plan.rows[...] = x.numbers
            for place, address in zip(plan.addresses, x.data.addresses, strict=True):
                place[0] = address
        else:
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

    def _checked_batch(self, where: str, item: Any) -> Batch:
        x, y, sample_weight = batch_of(where, item)
        y, sample_weight = on_host(where, "y", y), on_host(where, "sample_weight", sample_weight)
        inputs = self._prepare_inputs(where, x, may_be_stored=True)
        targets = self._prepare_targets(where, y)
        weights = load_sample_weight(where, sample_weight)
        check_lengths(where, inputs, targets, weights)
        check_not_empty(where, inputs)
        return self._one_batch(inputs, targets, weights)


def already_training(where: str) -> RuntimeError:
    return RuntimeError(
        f"[{where}] this model is already training: expected one fit at a time, got {where} during another. Wait for that fit to "
        "end, or train another model."
    )


def _paths(layer: Layer, prefix: str) -> Iterator[tuple[str, Any]]:
    yield from ((f"{prefix}{w.name}", w) for w in layer._weights)
    for sub in layer.sublayers():
        yield from _paths(sub, f"{prefix}{sub.name}/")
