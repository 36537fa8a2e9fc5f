"""Recurrent layers: SimpleRNN, LSTM and GRU."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import initializers, ops
from fastconv.layers import activations
from fastconv.layers.base import Layer
from fastconv.ops import _numbers
from fastconv.ops.steps import check_activation
from fastconv.variables import Variable

__all__ = ["GRU", "LSTM", "Recurrent", "SimpleRNN"]


def _refuse(layer: str, name: str, value: Any, why: str) -> None:
    """ValueError for an argument of Keras that is not at its default."""
    if value:
        raise ValueError(f"[{layer}] {name} is not supported: expected {name}={type(value)()!r}, got {value!r}. {why}")


class Recurrent(Layer):
    """What the recurrent layers share; not a layer by itself."""

    gates = 1
    ruled_weights = ("kernel", ("recurrent", "recurrent_kernel"), "bias")

    def __init__(
        self,
        units: int,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        dropout: float,
        recurrent_dropout: float,
        return_sequences: bool,
        return_state: bool,
        go_backwards: bool,
        stateful: bool,
        unroll: bool,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.units = _numbers.as_count(self.name, "units", units)
        self.activation = activation
        self._kind = self._step_activation("activation", activation)
        self.use_bias = _numbers.as_bool(self.name, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.dropout = _numbers.as_float(self.name, "dropout", dropout)
        if not 0 <= self.dropout < 1:
            raise ValueError(
                f"[{self.name}] dropout must be in [0, 1): expected 0 <= dropout < 1, got dropout={dropout}. Use a smaller one."
            )
        _refuse(self.name, "recurrent_dropout", recurrent_dropout, "Use dropout, or a Dropout layer behind this one.")
        _refuse(self.name, "stateful", stateful, "Give the whole sequence at once, or the state as initial_state.")
        self.return_sequences = _numbers.as_bool(self.name, "return_sequences", return_sequences)
        self.return_state = _numbers.as_bool(self.name, "return_state", return_state)
        self.go_backwards = _numbers.as_bool(self.name, "go_backwards", go_backwards)
        self.unroll = _numbers.as_bool(self.name, "unroll", unroll)  # Keras's way to run; there is one here
        self.bias: Variable | None = None
        if self.dropout:
            self.seed = self.add_seed()

    def _step_activation(self, argument: str, value: Any) -> str | None:
        """The name by which the kernels know an activation."""
        name = activations.config_of(self.name, value)
        name = None if name == "linear" else name
        check_activation(self.name, argument, name)
        return name

    @property
    def state_count(self) -> int:
        """How many arrays the state is."""
        return 1

    def build(self, input_shape: Any) -> None:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        if len(shape) != 3:
            raise ValueError(
                f"[{self.name}] rank 3 expected, got {len(shape)}: expected sequences (N, T, D), got input of shape {shape}. "
                "Reshape the input, or set return_sequences=True in the layer before."
            )
        columns = self.gates * self.units
        self.kernel = self.add_weight((shape[-1], columns), self.kernel_initializer, "kernel")
        self.recurrent_kernel = self.add_weight((self.units, columns), self.recurrent_initializer, "recurrent_kernel")
        if self.use_bias:
            self.bias = self.add_weight(self._bias_shape(), self._first_bias(), "bias")

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _first_bias(self) -> Any:
        return self.bias_initializer

    def __call__(self, inputs: Any, training: bool | None = None, *, initial_state: Any = None) -> Any:
        """``initial_state``: an array (N, units), or a list of as many as the state has."""
        if initial_state is not None:
            states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
            inputs = [inputs, *states]
        return super().__call__(inputs, training)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.steps(inputs, training)

    def steps(self, inputs: Any, training: bool, aligned: bool = False) -> Any:
        """The layer's result; ``aligned`` as in ``ops``: what goes backwards is at the time of its inputs."""
        x, *states = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if states and len(states) != self.state_count:
            raise ValueError(
                f"[{self.name}] initial_state must be the whole state: expected {self.state_count} arrays, got {len(states)}. "
                "Pass what return_state=True returns behind the result."
            )
        if training and self.dropout:
            x = ops.multiply(x, self._mask(x))
        result = self._run(x, states, aligned)
        return list(result) if isinstance(result, tuple) else result

    def _mask(self, x: Any) -> Any:
        """(N, 1, D): as in Keras, a feature is dropped in all steps of a sample or in none."""
        first = ops.crop(x, ((0, 0), (0, x.shape[1] - 1), (0, 0)))
        return ops.dropout(ops.scale(first, 0.0, 1.0), self.dropout, seed=self.seed)

    def _run(self, x: Any, states: list[Any], aligned: bool) -> Any:
        raise NotImplementedError(f"[{self.name}] a recurrent layer must define _run: its kernel over all steps.")

    def _flags(self, aligned: bool) -> dict[str, bool]:
        return {
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "aligned": aligned,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.config_of(self.name, self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "dropout": self.dropout,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "unroll": self.unroll,
        }


class SimpleRNN(Recurrent):
    """``h[t] = activation(x[t] · kernel + h[t-1] · recurrent_kernel + bias)``.

    Args:
        units: size of the state.
        activation: whose slope its result tells: tanh, relu, sigmoid, hard_sigmoid, elu, selu, softplus or linear.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: names, instances or functions.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint, bias_constraint:
            names or objects of ``fastconv.regularizers`` and ``fastconv.constraints``.
        dropout: share of the inputs' features that a sample loses, in all steps alike.
        recurrent_dropout, stateful: 0 and False; there is no other.
        return_sequences: the results of all steps, not of the last.
        return_state: the state after the last step, too: the layer returns a list.
        go_backwards: begins at the end of the sequence; results are in the order of the steps.
        unroll: has no effect.

    Input shape: (N, T, D). Output shape: (N, units) or (N, T, units). Weights: kernel (D, units), recurrent_kernel
    (units, units), bias (units,). Called with ``initial_state=h``, it begins with this state instead of zeros.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **keywords: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            dropout,
            recurrent_dropout,
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            unroll,
            **keywords,
        )

    def _run(self, x: Any, states: list[Any], aligned: bool) -> Any:
        weights = (self.kernel, self.recurrent_kernel, self.bias, *states)
        return ops.simple_rnn(x, *weights, activation=self._kind, **self._flags(aligned))


class _Gated(Recurrent):
    """A recurrent layer whose gates have an activation of their own."""

    def __init__(self, *arguments: Any, recurrent_activation: Any, use_cudnn: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if use_cudnn not in ("auto", True, False):
            raise ValueError(
                f"[{self.name}] use_cudnn is Keras's choice of a kernel, and there is one here: expected 'auto' or a bool, got "
                f"{use_cudnn!r}. Leave it out."
            )
        self.recurrent_activation = recurrent_activation
        self._gate_kind = self._step_activation("recurrent_activation", recurrent_activation)

    def get_config(self) -> dict[str, Any]:
        name = activations.config_of(self.name, self.recurrent_activation)
        return {**super().get_config(), "recurrent_activation": name}


class LSTM(_Gated):
    """Long short-term memory; gates in the order i, f, c, o.

    Args:
        units: size of the state.
        activation, recurrent_activation: of the candidate and the result, and of the gates; as in SimpleRNN.
        unit_forget_bias: the forget gate's bias begins at 1.
        use_cudnn: has no effect.
        use_bias: and all other arguments (initializers, dropout, return_sequences, …) as in SimpleRNN.

    Input shape: (N, T, D). Output shape: (N, units) or (N, T, units); with ``return_state`` a list of it, h and c. Weights:
    kernel (D, 4 units), recurrent_kernel (units, 4 units), bias (4 units,).
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **keywords: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            dropout,
            recurrent_dropout,
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            unroll,
            recurrent_activation=recurrent_activation,
            use_cudnn=use_cudnn,
            **keywords,
        )
        self.unit_forget_bias = _numbers.as_bool(self.name, "unit_forget_bias", unit_forget_bias)

    @property
    def state_count(self) -> int:
        return 2

    def _first_bias(self) -> Any:
        return self._with_ones if self.unit_forget_bias else self.bias_initializer

    def _with_ones(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        u = self.units
        parts = [self.bias_initializer((u,), dtype), np.ones(u, dtype), self.bias_initializer((2 * u,), dtype)]
        return np.concatenate(parts)

    def _run(self, x: Any, states: list[Any], aligned: bool) -> Any:
        return ops.lstm(
            x,
            self.kernel,
            self.recurrent_kernel,
            self.bias,
            *states,
            activation=self._kind,
            recurrent_activation=self._gate_kind,
            **self._flags(aligned),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


class GRU(_Gated):
    """Gated recurrent unit; gates in the order z, r, h.

    Args:
        units: size of the state.
        activation, recurrent_activation: of the candidate, and of the gates; as in SimpleRNN.
        reset_after: the reset gate scales the recurrent product, which has a bias of its own; else the state before it.
        use_cudnn: has no effect.
        use_bias: and all other arguments (initializers, dropout, return_sequences, …) as in SimpleRNN.

    Input shape: (N, T, D). Output shape: (N, units) or (N, T, units); with ``return_state`` a list of it and h. Weights:
    kernel (D, 3 units), recurrent_kernel (units, 3 units), bias (2, 3 units), without ``reset_after`` (3 units,).
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **keywords: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            dropout,
            recurrent_dropout,
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            unroll,
            recurrent_activation=recurrent_activation,
            use_cudnn=use_cudnn,
            **keywords,
        )
        self.reset_after = _numbers.as_bool(self.name, "reset_after", reset_after)

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, *super()._bias_shape()) if self.reset_after else super()._bias_shape()

    def _run(self, x: Any, states: list[Any], aligned: bool) -> Any:
        return ops.gru(
            x,
            self.kernel,
            self.recurrent_kernel,
            self.bias,
            *states,
            activation=self._kind,
            recurrent_activation=self._gate_kind,
            reset_after=self.reset_after,
            **self._flags(aligned),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reset_after": self.reset_after}
