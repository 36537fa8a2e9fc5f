"""Layers around layers: Bidirectional and TimeDistributed."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv._arguments import choice
from fastconv.layers.base import Layer
from fastconv.layers.core import Dense
from fastconv.layers.recurrent import Recurrent

__all__ = ["Bidirectional", "TimeDistributed"]

_MERGE_MODES = ("concat", "sum", "mul", "ave", None)


def described(layer: Layer) -> dict[str, Any]:
    """What a config says of a layer inside."""
    return {"class": type(layer).__name__, "config": layer.get_config()}


def inner_layer(where: str, argument: str, value: Any) -> Layer:
    """A layer, or the layer of this library that a config describes."""
    if isinstance(value, dict):
        import fastconv.layers as known

        name = value.get("class")
        cls = getattr(known, name, None) if isinstance(name, str) and name in known.__all__ else None
        if isinstance(cls, type) and issubclass(cls, Layer) and isinstance(value.get("config"), dict):
            try:
                return cls.from_config(value["config"])
            except TypeError as error:
                raise TypeError(
                    f"[{where}] {argument} cannot be made from its config: expected the arguments of {name}, got {error}. Use "
                    "what get_config() returns."
                ) from error
    if not isinstance(value, Layer):
        raise TypeError(
            f"[{where}] {argument} must be a layer: expected one of fastconv.layers, got {argument}={value!r:.80}. Make it first."
        )
    return value


class Bidirectional(Layer):
    """Two recurrent layers, one of which begins at the end of the sequence.

    Args:
        layer: a SimpleRNN, LSTM or GRU; a new one is made of its config.
        merge_mode: what becomes of the two results: "concat", "sum", "mul", "ave", or None for a list of both.
        backward_layer: the second layer, with the other ``go_backwards``; by default it is made of the first's config, too.

    Input shape: (N, T, D). Output shape: the layer's, with twice the units where they are concatenated. Results of all steps
    are at the time of their inputs. With the layer's ``return_state`` a list: result, states forward, states backward.
    """

    def __init__(
        self, layer: Any, merge_mode: str | None = "concat", backward_layer: Any = None, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        given = inner_layer(self.name, "layer", layer)
        other = None if backward_layer is None else inner_layer(self.name, "backward_layer", backward_layer)
        for name, value in (("layer", given), ("backward_layer", given if other is None else other)):
            if not isinstance(value, Recurrent):
                raise TypeError(
                    f"[{self.name}] {name} must be recurrent: expected a SimpleRNN, LSTM or GRU, got {type(value).__name__}. Use one "
                    "of these."
                )
        self.merge_mode = choice(self.name, "merge_mode", merge_mode, _MERGE_MODES)
        self.forward_layer = self._renamed(given, "forward_")
        go_backwards = not self.forward_layer.go_backwards
        self.backward_layer: Any = other or self._renamed(given, "backward_", go_backwards=go_backwards)
        self._check()

    @staticmethod
    def _renamed(layer: Any, prefix: str, **changes: Any) -> Any:
        config = {**layer.get_config(), **changes}
        return type(layer).from_config({**config, "name": prefix + layer.name.removeprefix("forward_")})

    def _check(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                f"[{self.name}] the layers must go in different directions: expected go_backwards of one, got {forward.go_backwards} "
                "of both. Set it in backward_layer."
            )
        for name in ("return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(
                    f"[{self.name}] the layers must return the same: expected equal {name}, got {getattr(forward, name)} and "
                    f"{getattr(backward, name)}. Set it in both."
                )

    def build(self, input_shape: Any) -> None:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        self.forward_layer.ensure_built(shape)
        self.backward_layer.ensure_built(shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        y, *states = self._results(self.forward_layer, inputs, training)
        y_backward, *states_backward = self._results(self.backward_layer, inputs, training)
        merged = self._merge(y, y_backward)
        if not states:
            return merged
        return [*(merged if isinstance(merged, list) else [merged]), *states, *states_backward]

    def _results(self, layer: Any, inputs: Any, training: bool) -> list[Any]:
        # Keras turns the second layer's results around, whichever way that goes; so the first's are never.
        aligned = layer is self.backward_layer or not layer.go_backwards
        result = layer.steps(inputs, training, aligned=aligned)
        if layer.activity_regularizer is not None:
            layer._penalize(result)
        return result if isinstance(result, list) else [result]

    def _merge(self, a: Any, b: Any) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([a, b])
        if self.merge_mode == "mul":
            return ops.multiply(a, b)
        if self.merge_mode is None:
            return [a, b]
        return ops.add(a, b) if self.merge_mode == "sum" else ops.scale(ops.add(a, b), 0.5)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "layer": described(self.forward_layer), "merge_mode": self.merge_mode}
        return {**config, "backward_layer": described(self.backward_layer)}


class TimeDistributed(Layer):
    """Applies a layer to every step of a sequence.

    Args:
        layer: any layer of one input and output.

    Input shape: (N, T, ...). Output shape: (N, T, ...), the layer's for (N, ...). The steps are seen as one batch of N·T samples,
    so that a BatchNormalization inside sees them all at once.
    """

    def __init__(self, layer: Any, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.layer = inner_layer(self.name, "layer", layer)

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 3:
            raise ValueError(
                f"[{self.name}] rank 3 or more expected, got {len(input_shape)}: expected sequences (N, T, ...), got input of shape "
                f"{input_shape}. Give every sample its steps."
            )
        self.layer.ensure_built((None, *input_shape[2:]))

    def call(self, inputs: Any, training: bool = False) -> Any:
        if type(self.layer) is Dense and inputs.ndim == 3:
            return self.layer(inputs, training=training)  # which takes sequences as they are
        n, steps, *sample = inputs.shape
        y = self.layer(ops.reshape(inputs, (n * steps, *sample)), training=training)
        return ops.reshape(y, (n, steps, *y.shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": described(self.layer)}
