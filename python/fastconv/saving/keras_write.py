"""From a fastconv model to the description that Keras reads (``config.json``)."""

from __future__ import annotations

from typing import Any

from fastconv.layers.core import InputLayer
from fastconv.layers.recurrent import Recurrent
from fastconv.layers.spectral import SpectralNormalization
from fastconv.layers.symbolic import LayerCall, SymbolicTensor
from fastconv.layers.wrappers import Bidirectional, TimeDistributed
from fastconv.saving.keras_names import NOT_SHARED, OURS_ALONE, is_own_class, keras_class, known_layers, object_module

__all__ = ["described", "write_model"]

_PADDINGS = ("valid", "same", "causal")


def described(module: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """An object as Keras writes it."""
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def write_model(model: Any) -> dict[str, Any]:
    """Keras's description of a model.

    Raises:
        ValueError: naming everything that Keras does not have.
    """
    writer = _Writer()
    config = writer.any(model)
    if writer.problems:
        shown = "".join(f"\n  - {problem}" for problem in dict.fromkeys(writer.problems))
        raise ValueError(
            f"[save] the model holds what Keras does not have: expected layers and arguments of Keras, got{shown}\nReplace these, or "
            "save to a .safetensors file."
        )
    return config


class _Writer:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self._known = known_layers()
        self._seen: set[Any] = set()

    def any(self, layer: Any) -> dict[str, Any]:
        kind = keras_class(layer)
        if layer in self._seen:
            self.problems.append(f"{kind} {layer.name!r}: one layer in several models")
        self._seen.add(layer)
        if kind == "Sequential":
            return described("keras", kind, self._sequential(layer))
        if kind == "Functional":
            config = self._functional(layer)
            return {**described("keras.src.models.functional", kind, config), "registered_name": kind}
        return described("keras.layers", kind, self._layer(layer, kind))

    # Layers.

    def _layer(self, layer: Any, kind: str) -> dict[str, Any]:
        title = f"{type(layer).__name__} {layer.name!r}"
        if isinstance(layer, InputLayer):
            return {"name": layer.name, "dtype": layer.dtype, "batch_shape": list(layer.output.shape)}
        if kind in NOT_SHARED or not is_own_class(layer) or kind not in self._known:
            self.problems.append(f"{title}: {NOT_SHARED.get(kind, 'a layer class of your own')}")
            return {}
        try:
            config = layer.get_config()
        except (TypeError, ValueError) as error:  # a function of the user's
            self.problems.append(f"{title}: {error}")
            return {}
        for key, value in OURS_ALONE.get(kind, {}).items():
            if (given := config.pop(key)) != value:
                self.problems.append(f"{title}: {key}={given}")
        if config.pop("frozen_weights", None):
            self.problems.append(f"{title}: frozen_weights")
        if config.get("padding", "valid") not in _PADDINGS and not kind.startswith("ZeroPadding"):
            self.problems.append(f"{title}: padding={config['padding']}; use a ZeroPadding layer")
        config.pop("input_shape", None)
        if type(layer).__name__ == "GELU":
            if config.pop("approximate"):
                self.problems.append(f"{title}: approximate=True")
            config["activation"] = "gelu"
        for key, inner in _inner_layers(layer).items():
            config[key] = described("keras.layers", keras_class(inner), self._layer(inner, keras_class(inner)))
        if kind.startswith("SpatialDropout"):  # which Keras's constructor does not take
            config.pop("trainable")
        if kind in ("DepthwiseConv1D", "DepthwiseConv2D"):
            config["depthwise_initializer"] = config.pop("kernel_initializer")
        for key, value in config.items():
            module = object_module(key)
            if module is not None and value is not None:
                config[key] = described(module, value["class_name"], value["config"])
        return config

    # Models.

    def _sequential(self, model: Any) -> dict[str, Any]:
        layers = [self.any(layer) for layer in model.layers]
        start = described("keras.layers", "InputLayer", self._layer(model.inputs[0].layer, "InputLayer"))
        return {"name": model.name, "trainable": model.trainable, "layers": [start, *layers]}

    def _functional(self, model: Any) -> dict[str, Any]:
        if not is_own_class(model) or not model._calls:
            self.problems.append(f"{type(model).__name__} {model.name!r}: a model with code of its own")
            return {}
        numbers: dict[Any, int] = {}
        nodes: dict[Any, list[Any]] = {layer: [] for layer in model.layers}
        for call in model._calls:
            numbers[call] = len(nodes[call.layer])
            tensors = [_tensor(tensor, numbers) for tensor in call.inputs]
            nodes[call.layer].append(_node(call, tensors) if tensors else None)
        entries = []
        for layer in model.layers:
            called = [node for node in nodes[layer] if node is not None]
            entries.append({**self.any(layer), "name": layer.name, "inbound_nodes": called})
        outputs = [_end(tensor, numbers) for tensor in model.outputs]
        return {
            "name": model.name,
            "trainable": model.trainable,
            "layers": entries,
            "input_layers": [_end(tensor, numbers) for tensor in model.inputs],
            "output_layers": outputs[0] if model._single_output else outputs,
        }


def _inner_layers(layer: Any) -> dict[str, Any]:
    """By Keras's arguments, the layers that a layer is around."""
    if isinstance(layer, Bidirectional):
        return {"layer": layer.forward_layer, "backward_layer": layer.backward_layer}
    return {"layer": layer.layer} if isinstance(layer, (TimeDistributed, SpectralNormalization)) else {}


def _node(call: LayerCall, tensors: list[dict[str, Any]]) -> dict[str, Any]:
    """A call with its tensors; Keras's recurrent layers have an argument for their states."""
    if isinstance(call.layer, Recurrent) and len(tensors) > 1:
        return {"args": tensors[:1], "kwargs": {"initial_state": tensors[1:]}}
    return {"args": [tensors if call.as_list else tensors[0]], "kwargs": {}}


def _place(tensor: SymbolicTensor, numbers: dict[Any, int]) -> list[Any]:
    return [tensor.layer.name, numbers[tensor.call], tensor.call.outputs.index(tensor)]


def _tensor(tensor: SymbolicTensor, numbers: dict[Any, int]) -> dict[str, Any]:
    config = {"shape": list(tensor.shape), "dtype": tensor.dtype, "keras_history": _place(tensor, numbers)}
    return {"class_name": "__keras_tensor__", "config": config}


def _end(tensor: SymbolicTensor, numbers: dict[Any, int]) -> list[Any]:
    """An input or output of a model: here Keras counts the calls of a nested functional model from 1."""
    name, call, output = _place(tensor, numbers)
    return [name, call + (keras_class(tensor.layer) == "Functional"), output]
