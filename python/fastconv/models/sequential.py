"""Sequential: layers one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv.layers.base import Layer
from fastconv.layers.core import Input, InputLayer
from fastconv.layers.symbolic import SymbolicTensor
from fastconv.models.functional import Model

__all__ = ["Sequential"]


class Sequential(Model):
    """Layers one after another. Weights are made once the input shape is known: from an ``Input``, from the first layer's
    ``input_shape`` or ``input_dim``, or from the first data.

    Args:
        layers: layers, optionally starting with ``layers.Input(shape)``.
        name: of the model.

    Example:
        >>> from fastconv.models import Sequential
        >>> from fastconv.layers import Dense
        >>> model = Sequential()
        >>> model.add(Dense(12, input_dim=8, activation="relu"))
        >>> model.add(Dense(1, activation="sigmoid"))
        >>> model.count_params()
        121
    """

    def __init__(self, layers: Sequence[Any] | None = None, name: str | None = None) -> None:
        self._added: list[Layer] = []
        super().__init__(name=name)
        if layers is not None and not isinstance(layers, (list, tuple)):
            raise TypeError(
                f"[{self.name}] layers must be a list: expected [layer, ...], got {type(layers).__name__}. Pass a list."
            )
        for i, layer in enumerate(layers or ()):
            self._add(layer, f"layers[{i}]")

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input."""
        return list(self._added)

    def add(self, layer: Any) -> None:
        """Appends a layer.

        Raises:
            TypeError: unless it is a layer. ValueError: if it does not fit the layers before it; the model is unchanged.
        """
        self._add(layer, "layer")

    def pop(self) -> Layer:
        """Removes the last layer and returns it."""
        if not self._added:
            raise ValueError(
                f"[{self.name}] there is no layer to remove: expected at least one, got none. Add one first."
            )
        removed = self._added.pop()
        if self.inputs:
            self._describe_from(self.inputs[0])
        return removed

    def build(self, input_shape: Any) -> None:
        if not self.inputs:
            self._describe_from(Input(tuple(input_shape[1:]), dtype=self._added[0].dtype if self._added else None))

    def _add(self, layer: Any, argument: str) -> None:
        if isinstance(layer, SymbolicTensor) and isinstance(layer.layer, InputLayer):
            layer = layer.layer
        if not isinstance(layer, Layer):
            hint = f"{layer.__name__}(...)" if isinstance(layer, type) else "a layer such as Dense(10)"
            raise TypeError(
                f"[{self.name}] {argument} must be a layer instance: expected Layer, got {layer!r} ({type(layer).__name__}). "
                f"Write {hint}."
            )
        if any(layer.name == other.name for other in self._added):
            raise ValueError(
                f"[{self.name}] layer names must be unique: expected another name, got two layers named {layer.name!r}. Rename one."
            )
        if isinstance(layer, InputLayer):
            if self.inputs or self._added:
                raise ValueError(
                    f"[{self.name}] an input must come first: expected no layer before {layer.name}, got some. Add it first."
                )
            self._describe_from(layer.output)
            return
        if not self.inputs and not self._added and layer.declared_input_shape is not None:
            self._describe_from(Input(layer.declared_input_shape[1:], dtype=layer.dtype))
        if self.inputs:
            self._extend(layer, len(self._added))
        self._added.append(layer)

    def _describe_from(self, start: SymbolicTensor) -> None:
        self.inputs, self.outputs = [start], [start]
        for i, layer in enumerate(self._added):
            self._extend(layer, i)
        self._finish()

    def _extend(self, layer: Layer, position: int) -> None:
        try:
            output = layer(self.outputs[0])
        except ValueError as error:
            raise ValueError(f"[{self.name}] layer {position} ({layer.name}) does not fit: {error}") from error
        if isinstance(output, list):
            raise ValueError(
                f"[{self.name}] layer {position} ({layer.name}) must have one output in a Sequential: expected 1, got "
                f"{len(output)}. Use Model."
            )
        self.outputs = [output]
        self._finish()

    def _finish(self) -> None:
        self._connect(self.inputs[0], self.outputs[0])
        self.reset_plans()

    def get_config(self) -> dict[str, Any]:
        """Layers with their configs, and the input shape once it is known."""
        from fastconv.saving.model_file import layer_config

        shape = list(self.inputs[0].shape[1:]) if self.inputs else None
        layers = [layer_config(layer) for layer in self._added]
        return {"name": self.name, "trainable": self.trainable, "input_shape": shape, "layers": layers}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Sequential:
        """A model built again from :meth:`get_config`'s result, with new weights."""
        from fastconv.saving.model_file import layer_from_config

        layers: list[Any] = [layer_from_config(c, custom_objects) for c in config["layers"]]
        if config["input_shape"] is not None:
            dtype = layers[0].dtype if layers else None
            layers.insert(0, Input(tuple(config["input_shape"]), dtype=dtype))
        model = cls(layers, name=config["name"])
        if not config.get("trainable", True):
            model.trainable = False
        return model
