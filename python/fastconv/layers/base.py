"""The base of all layers: weights, names, building, and the three ways of being called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from inspect import signature
from typing import Any, ClassVar

import numpy as np

from fastconv import config, constraints, dtype_policies, initializers, ops, regularizers, variables
from fastconv._arguments import boolean, unknown_keywords
from fastconv._locks import ProcessLock
from fastconv._lookup import snake_case
from fastconv.graph import Value, is_symbolic, record_loss, tracing
from fastconv.layers._results import check_results
from fastconv.layers._rules import Ruled, WeightRules, rule_keywords
from fastconv.layers._sizes import check_size
from fastconv.layers.symbolic import (
    LayerCall,
    SymbolicTensor,
    declared_input_shape,
    open_shapes,
)
from fastconv.ops import _arrays, _numbers
from fastconv.ops.registry import wide
from fastconv.variables import Seed, Variable

__all__ = ["Layer"]

_FLOATS = ("float32", "float64", "float16", "bfloat16")

_name_counts: Counter[str] = Counter()
_naming = ProcessLock()


def _automatic_name(kind: str) -> str:
    """As Keras: conv2d, conv2d_1, …"""
    base = snake_case(kind)
    with _naming.lock:
        count = _name_counts[base]
        _name_counts[base] += 1
    return f"{base}_{count}" if count else base


def _keywords_of(cls: type) -> list[str]:
    """What the constructors of a layer class take, its bases' included."""
    names = ["input_shape", "input_dim", *rule_keywords(getattr(cls, "ruled_weights", ()))]
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            names += [p.name for p in signature(base).parameters.values() if p.kind is not p.VAR_KEYWORD]
    return list(dict.fromkeys(names))


class Layer:
    """What all layers share.

    A custom layer overrides ``build(input_shape)`` to make its weights with :meth:`add_weight`, and ``call(inputs)`` to
    compute with ``fastconv.ops``. Gradients follow from the ops.

    Floating-point inputs are cast to the type that the layer computes in. Under a mixed policy that has 16 bits on a GPU;
    weights are float32, and ops cast what they multiply with (parameters per channel they take as they are).

    Args:
        name: unique within a model; made from the class name when absent.
        trainable: whether the weights take part in training (read at compile).
        dtype: a dtype policy or its name: "float32", "float64", "mixed_bfloat16" or "mixed_float16"; that of
            :func:`fastconv.set_dtype_policy` when absent.
        frozen_weights: names of weights that take no part in training, e.g. ("kernel",) where only the bias shall. Keras has
            ``layer.kernel.trainable = False`` for it, which does the same to a layer that is built.
        activity_regularizer: a penalty of the layer's output that is added to the loss, divided by the batch size: a name,
            config or object of ``fastconv.regularizers``.
        input_shape: shape of one sample, for the first layer of a Sequential; ``input_dim=n`` is short for ``(n,)``.
    """

    autocast = True  # whether inputs are cast; containers leave that to the layers inside
    # Weights with arguments kernel_regularizer, kernel_constraint, …, see fastconv.layers._rules: names, or
    # ("recurrent", "recurrent_kernel") where the arguments begin otherwise.
    ruled_weights: ClassVar[Ruled] = ()

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        frozen_weights: Sequence[str] = (),
        activity_regularizer: Any = None,
        **keywords: Any,
    ) -> None:
        self._check_name(name)
        self.name = name or _automatic_name(type(self).__name__)
        self.trainable = _numbers.as_bool(self.name, "trainable", trainable)
        self.dtype_policy = dtype_policies.get(self.name, config.dtype_policy() if dtype is None else dtype)
        self._frozen = _names(self.name, "frozen_weights", frozen_weights)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._rules = WeightRules(self.ruled_weights, keywords)
        vars(self).update(self._rules.given)
        self.declared_input_shape = declared_input_shape(self.name, keywords)
        unknown_keywords(self.name, keywords, _keywords_of(type(self)))
        self.built = False
        self.built_shape: Any = None
        self._weights: list[Variable] = []  # parameters, then statistics
        self._statistics = 0  # how many are
        self._seeds: list[Seed] = []

    @property
    def dtype(self) -> str:
        """The type of the weights, as :attr:`variable_dtype`."""
        return self.dtype_policy.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """The type of the weights: "float32" or "float64"."""
        return self.dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The type that the layer computes in on a GPU; on the CPU, float32 where this has 16 bits."""
        return self.dtype_policy.compute_dtype

    @staticmethod
    def _check_name(name: Any) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(
                f"[layer] name must be a str: expected str, got name={name!r} ({type(name).__name__}). Pass a str."
            )
        if name is not None and (not name or "/" in name):
            raise ValueError(
                f"[layer] name must be a path's part: expected a str without '/', got name={name!r}. Rename it."
            )

    # What a subclass overrides.

    def build(self, input_shape: Any) -> None:
        """Makes the weights; ``input_shape`` is (None, ...) or a list of such."""

    def call(self, *inputs: Any, **keywords: Any) -> Any:
        """Computes the output with ``fastconv.ops``: ``call(inputs)`` or ``call(inputs, training=False)``."""
        raise TypeError(f"[{self.name}] call is not defined: expected {type(self).__name__}.call(inputs). Define it.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype_policy.name}
        if self.frozen_weights:
            config["frozen_weights"] = list(self.frozen_weights)
        if self.declared_input_shape is not None:
            config["input_shape"] = list(self.declared_input_shape[1:])
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return {**config, **self._rules.config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """A layer with the given constructor arguments."""
        return cls(**config)

    # Weights.

    def add_weight(
        self,
        shape: Sequence[int],
        initializer: Any = "glorot_uniform",
        name: str = "weight",
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Variable:
        """Makes a weight of this layer.

        Args:
            shape: extents.
            initializer: a name, an instance, or any ``f(shape, dtype) -> array``; None is "glorot_uniform", as in Keras.
            name: unique within the layer.
            trainable: False for statistics.
            regularizer, constraint: names or objects of ``fastconv.regularizers`` and ``fastconv.constraints``; of a weight in
                ``ruled_weights``, the layer's own arguments when absent.

        Raises:
            MemoryError: if the weight cannot be held (checked before anything is allocated).
        """
        extents = tuple(_numbers.as_int(self.name, f"shape of {name}", extent) for extent in shape)
        if variables.are_sizes_only():
            variable: Variable = variables.SizeOnly(extents, self.dtype, name, trainable)
        else:
            check_size(self.name, name, extents, self.dtype)
            make = initializers.get("glorot_uniform" if initializer is None else initializer)
            values = make(extents, dtype=self.dtype)
            variable = Variable(np.asarray(values, self.dtype), name, trainable)
        if name in self._frozen:
            variable.trainable = False
        variable.regularizer = regularizers.get(regularizer) or self._rules.of(name, "regularizer")
        variable.constraint = constraints.get(constraint) or self._rules.of(name, "constraint")
        self._weights.insert(len(self._weights) - self._statistics * trainable, variable)
        self._statistics += not trainable
        return variable

    @property
    def frozen_weights(self) -> tuple[str, ...]:
        """Names of the parameters that take no part in training, whatever ``trainable`` of the layer is."""
        if not self.built:
            return self._frozen
        parameters = self._weights[: len(self._weights) - self._statistics]
        return tuple(w.name for w in parameters if not w.trainable)

    def add_seed(self, seed: Seed | None = None) -> Seed:
        """A seed that the model renews before every training step."""
        self._seeds.append(Seed() if seed is None else seed)
        return self._seeds[-1]

    def sublayers(self) -> list[Layer]:
        """Layers kept in attributes (or in lists in attributes), in the order they were set."""
        found: list[Layer] = []
        for value in vars(self).values():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(item, Layer) and item not in found:
                    found.append(item)
        return found

    @property
    def weights(self) -> list[Variable]:
        """All weights in Keras's order: parameters before statistics within a layer, then those of sublayers."""
        return self._weights + [w for layer in self.sublayers() for w in layer.weights]

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights an optimizer may change."""
        if not self.trainable:
            return []
        return [w for w in self._weights if w.trainable] + [w for s in self.sublayers() for w in s.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        trainable = set(self.trainable_weights)
        return [w for w in self.weights if w not in trainable]

    @property
    def seeds(self) -> list[Seed]:
        """Seeds of this layer and its sublayers."""
        return self._seeds + [seed for layer in self.sublayers() for seed in layer.seeds]

    def count_params(self) -> int:
        """Number of weight elements."""
        return sum(w.size for w in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, in Keras's order."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrites all weights, or none: every array is checked before the first is written.

        Raises:
            ValueError: for a wrong number, shape or a value that is not finite. TypeError: for a dtype.
        """
        variables = self.weights
        if not isinstance(weights, (list, tuple)) or len(weights) != len(variables):
            got = len(weights) if isinstance(weights, (list, tuple)) else type(weights).__name__
            raise (ValueError if isinstance(got, int) else TypeError)(
                f"[set_weights] weights must be the model's: expected a list of {len(variables)} arrays, got {got}. "
                "Use get_weights() of a model of the same architecture."
            )
        checked = []
        for i, (variable, value) in enumerate(zip(variables, weights, strict=True)):
            try:
                checked.append(variable.checked(value))
            except (ValueError, TypeError) as error:
                got = getattr(value, "shape", type(value).__name__)
                message = f"[set_weights] weight {i} expected {variable.shape}, got {got}: {error}"
                raise type(error)(message) from None
        for variable, array in zip(variables, checked, strict=True):
            variable.array[...] = array

    # Being called.

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """On symbolic tensors: describes a model. On a plan's values or on arrays: computes."""
        leaves = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        if not leaves:
            raise TypeError(
                f"[{self.name}] inputs must not be empty: expected a tensor, got {inputs!r}. Pass the data."
            )
        if any(isinstance(x, SymbolicTensor) for x in leaves):
            return self._describe(inputs, leaves)
        ready = self._as_computed if any(isinstance(x, Value) for x in leaves) else self._as_array
        inputs = [ready(x) for x in leaves] if isinstance(inputs, (list, tuple)) else ready(inputs)
        self.ensure_built(open_shapes(inputs))
        train = training is not None and boolean(self.name, "training", training)
        outputs = self.call(inputs, training=train) if self.takes_training() else self.call(inputs)
        check_results(self.name, f"{type(self).__name__}.call", outputs, any(map(is_symbolic, leaves)))
        if self.activity_regularizer is not None:
            self._penalize(outputs)
        return outputs

    def add_loss(self, loss: Any) -> None:
        """Adds to the loss of the training or evaluation that is being compiled; for ``call`` of a custom layer.

        Args:
            loss: of shape (1,), e.g. ``ops.penalty(x, l2=0.1)``. Arrays, of calls outside of a plan, are of no account.
        """
        if isinstance(loss, Value):
            if loss.shape != (1,):
                raise ValueError(
                    f"[{self.name}] a loss must be one number: expected shape (1,), got {loss.shape}. Sum it, e.g. with "
                    "ops.weighted_total."
                )
            record_loss(loss)

    def _penalize(self, outputs: Any) -> None:
        for output in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
            if isinstance(output, Value):
                penalty = self.activity_regularizer(output)
                if not isinstance(penalty, Value):
                    raise TypeError(
                        f"[{self.name}] activity_regularizer must give one number: expected a value of shape (1,), got {penalty}. "
                        "Compute it with fastconv.ops, e.g. ops.penalty(x, l2=0.1)."
                    )
                self.add_loss(ops.scale(penalty, 1 / max(output.shape[0], 1)))

    @property
    def losses(self) -> list[float]:
        """The penalties of the trainable weights as they are now, one number for each regularizer of a weight.

        What a batch adds, from ``activity_regularizer`` and :meth:`add_loss`, is in the loss that ``fit`` and ``evaluate``
        report.
        """
        weights = dict.fromkeys(self.trainable_weights)
        return [float(np.asarray(w.regularizer(w.array)).item()) for w in weights if w.regularizer is not None]

    def ensure_built(self, input_shape: Any) -> None:
        """Builds the layer once, for this input shape."""
        if not self.built:
            self.build(input_shape)
            self._check_frozen()
            self.built = True
            self.built_shape = input_shape

    def _check_frozen(self) -> None:
        names = [w.name for w in self._weights]
        for name in self._frozen:
            if name not in names:
                raise ValueError(
                    f"[{self.name}] frozen_weights must name weights of the layer: expected some of {names}, got {name!r}. "
                    "Correct the name, or leave it out."
                )

    @classmethod
    def takes_training(cls) -> bool:
        """Whether ``call`` has an argument ``training``."""
        return "training" in signature(cls.call).parameters

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape(s) of the output for shape(s) with an open batch axis."""
        self.ensure_built(input_shape)
        with tracing():
            several = isinstance(input_shape, list)
            values = [Value((1, *shape[1:]), self.dtype) for shape in (input_shape if several else [input_shape])]
            outputs = self(values if several else values[0])
        return open_shapes(outputs)

    def _describe(self, inputs: Any, leaves: list[Any]) -> Any:
        for i, x in enumerate(leaves):
            if not isinstance(x, SymbolicTensor):
                raise TypeError(
                    f"[{self.name}] all inputs must be symbolic: expected SymbolicTensor, got {type(x).__name__} at {i}. "
                    "Start from layers.Input."
                )
        as_list = isinstance(inputs, (list, tuple))
        output = self.compute_output_shape([x.shape for x in leaves] if as_list else leaves[0].shape)
        call = LayerCall(self, tuple(leaves), as_list)
        if isinstance(output, list):
            return [SymbolicTensor(shape, self.dtype, call) for shape in output]
        return SymbolicTensor(output, self.dtype, call)

    def _as_computed(self, x: Any) -> Any:
        """A plan's value in the type that this layer computes in on the plan's device."""
        if not (self.autocast and isinstance(x, Value) and x.dtype in _FLOATS):
            return x
        return ops.cast(x, wide(self.compute_dtype) if config.device() == "cpu" else self.compute_dtype)

    def _as_array(self, x: Any) -> np.ndarray:
        given = _arrays.as_numbers(self.name, "inputs", x)
        if given.dtype == self.dtype:
            return given
        array = _arrays.empty(self.name, "inputs", given.shape, self.dtype)
        _arrays.assign(self.name, "inputs", array, given)
        return array

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name!r}>"


def _names(where: str, argument: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        raise TypeError(
            f"[{where}] {argument} must be names: expected a list of str, got {argument}={value!r}. For example ('kernel',)."
        )
    return tuple(value)
