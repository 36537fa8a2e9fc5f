"""From Keras's description of a model (``config.json``) to fastconv's own.

A description is data: classes come from fastconv's list of layers and from the caller's ``custom_objects``; the modules that
a file names are compared with Keras's own and never imported. What fastconv lacks is collected, so that one error names all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastconv import dtype_policies
from fastconv.errors import CheckpointError
from fastconv.layers import base
from fastconv.saving.keras_names import NOT_SHARED, SWITCHED_OFF, known_layers, object_module
from fastconv.saving.malformed import Malformed
from fastconv.saving.model_file import layer_from_config

__all__ = ["ConfigReader", "part"]

_MODELS = ("Sequential", "Functional", "Model")
_AXES = ("BatchNormalization", "GroupNormalization", "LayerNormalization", "Softmax")

Tensor = tuple[str, int, int]  # name of a layer, number of its call, number of the output


def part(config: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """``config[key]``, which must be there and of this kind.

    Raises:
        Malformed: otherwise.
    """
    if not isinstance(config, dict) or not isinstance(config.get(key), kind):
        got = type(config.get(key)).__name__ if isinstance(config, dict) else type(config).__name__
        raise Malformed(f"config.json: {where} must have a {key!r}: got {got}")
    return config[key]


def _is_kerass(entry: dict[str, Any], *modules: str) -> bool:
    """Whether an object's module is one of Keras's: where it is exported, or where it is defined."""
    module = entry.get("module")
    defined = [f"keras.src.{name.removeprefix('keras').lstrip('.')}" for name in modules]
    return isinstance(module, str) and (module in modules or any(module.startswith(prefix) for prefix in defined))


class ConfigReader:
    """Translates one model.

    Args:
        custom_objects: the caller's own layer classes by name.

    Attributes:
        problems: what fastconv lacks, one line each.
    """

    def __init__(self, custom_objects: dict[str, Any] | None = None) -> None:
        self.custom_objects = custom_objects
        self.problems: list[str] = []
        self._known = known_layers()

    def read(self, entry: Any) -> dict[str, Any]:
        """fastconv's description of the model that ``entry`` describes.

        Raises:
            Malformed: if the description is not one. CheckpointError: naming everything that fastconv lacks.
        """
        kind = part(entry, "class_name", str, "the model")
        if kind not in _MODELS or not _is_kerass(entry, "keras", "keras.models"):
            raise Malformed(
                f"config.json must describe a Sequential or functional model of Keras: got {kind[:80]!r} of module "
                f"{str(entry.get('module'))[:80]!r}; a model with code of its own is not in the file"
            )
        config = self._any(entry)
        if self.problems:
            shown = "".join(f"\n  - {problem}" for problem in dict.fromkeys(self.problems))
            raise CheckpointError(
                f"[load] the model uses what fastconv does not have: expected known layers and arguments, got{shown}\nReplace these "
                "in Keras and save again; pass classes of your own in custom_objects={name: class}."
            )
        return config

    def _any(self, entry: Any) -> dict[str, Any]:
        kind = part(entry, "class_name", str, "a layer")
        config = part(entry, "config", dict, f"layer {kind[:80]!r}")
        if kind in _MODELS and _is_kerass(entry, "keras", "keras.models"):
            return self._sequential(config) if kind == "Sequential" else self._functional(config)
        return self._layer(entry, kind, config)

    # Layers.

    def _layer(self, entry: dict[str, Any], kind: str, config: dict[str, Any]) -> dict[str, Any]:
        title = f"{kind[:80]} {str(config.get('name'))[:80]!r}"
        custom = kind in (self.custom_objects or {})
        arguments: dict[str, Any] = {}
        described = {"class": kind, "config": arguments}
        if not custom and not (_is_kerass(entry, "keras.layers") and kind in self._known):
            self.problems.append(f"{title} of {str(entry.get('module'))[:80]}: {NOT_SHARED.get(kind, 'no such layer')}")
            return described
        cls = (self.custom_objects or {})[kind] if custom else self._known[kind]
        known, before = base._keywords_of(cls), len(self.problems)
        for key, value in config.items():
            if key in known:
                arguments[key] = self._value(title, key, value)
            elif key == "batch_shape" and isinstance(value, list) and value[:1] == [None] and None not in value[1:]:
                arguments["input_shape"] = value[1:]
            elif value is not None and key != "seed" and value not in SWITCHED_OFF.get(key, ()):
                self.problems.append(f"{title}: {key[:80]}={str(value)[:200]}")
        if kind in _AXES:
            self._set_axis(entry, arguments)
        if len(self.problems) == before:
            try:
                layer_from_config(described, self.custom_objects)
            except CheckpointError as error:
                self.problems.append(f"{title}: {str(error.__cause__ or error)[:400]}")
        return described

    def _value(self, title: str, key: str, value: Any) -> Any:
        """An argument: numbers and text as they are, the objects that Keras nests as fastconv spells them."""
        if not isinstance(value, dict):
            return value
        if key == "dtype" and value.get("class_name") == "DTypePolicy":
            name = value.get("config", {}).get("name") if isinstance(value.get("config"), dict) else None
            if name in dtype_policies.NAMES:
                return name
        elif key in ("layer", "backward_layer"):
            return self._any(value)
        elif (module := object_module(key)) is not None and _is_kerass(value, module):
            given = value.get("config")
            arguments = {k: v for k, v in given.items() if v is not None} if isinstance(given, dict) else given
            return {"class_name": value.get("class_name"), "config": arguments}
        self.problems.append(f"{title}: {key}={str(value)[:200]}")
        return None

    def _set_axis(self, entry: dict[str, Any], arguments: dict[str, Any]) -> None:
        """The last axis by its number (3 of an image) is the last axis."""
        axis = arguments.get("axis", -1)
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        built = entry.get("build_config")
        shape = built.get("input_shape") if isinstance(built, dict) else None
        arguments["axis"] = -1 if isinstance(shape, list) and axis == len(shape) - 1 else axis

    # Models.

    def _sequential(self, config: dict[str, Any]) -> dict[str, Any]:
        entries = part(config, "layers", list, "a Sequential")
        shape: Any = config.get("build_input_shape")
        if entries and isinstance(entries[0], dict) and entries[0].get("class_name") == "InputLayer":
            shape = [None, *self._any(entries[0])["config"].get("input_shape", ())]
            entries = entries[1:]
        described = {
            "name": part(config, "name", str, "a Sequential"),
            "trainable": config.get("trainable", True),
            "input_shape": shape[1:] if isinstance(shape, list) else None,
            "layers": [self._any(entry) for entry in entries],
        }
        return {"class": "Sequential", "config": described}

    def _functional(self, config: dict[str, Any]) -> dict[str, Any]:
        model = part(config, "name", str, "a functional model")
        entries = part(config, "layers", list, f"model {model[:80]!r}")
        names = [part(entry, "name", str, f"a layer of {model[:80]!r}") for entry in entries]
        if len(set(names)) < len(names):
            raise Malformed(f"config.json: the layers of {model[:80]!r} must have names of their own")
        layers = [self._any(entry) for entry in entries]
        calls = dict(call for entry in entries for call in self._calls(entry))
        inputs, outputs = (config.get(key) for key in ("input_layers", "output_layers"))
        kinds = {entry["name"]: entry["class_name"] for entry in entries}
        ends = [_ends(model, tensors, kinds) for tensors in (inputs, outputs)]
        order = _in_order(model, calls, [t for tensors in ends for t in tensors])
        numbers = {key: i for i, key in enumerate(order)}
        index = {name: i for i, name in enumerate(names)}

        def place(tensor: Tensor) -> list[int]:
            return [numbers[tensor[:2]], tensor[2]]

        described = {
            "name": model,
            "trainable": config.get("trainable", True),
            "layers": layers,
            "calls": [
                {"layer": index[key[0]], "inputs": [place(t) for t in calls[key][0]], "as_list": calls[key][1]}
                for key in order
            ],
            "inputs": [place(t) for t in ends[0]],
            "outputs": [place(t) for t in ends[1]],
            "single_output": isinstance(outputs, list) and bool(outputs) and isinstance(outputs[0], str),
        }
        return {"class": "Model", "config": described}

    def _is_idle(self, entry: dict[str, Any], keyword: str) -> bool:
        """Whether a layer does the same whatever a call says: Keras writes ``training`` of Resizing."""
        cls = self._known.get(entry["class_name"])
        return keyword == "training" and cls is not None and issubclass(cls, base.Layer) and not cls.takes_training()

    def _calls(self, entry: dict[str, Any]) -> Iterator[tuple[tuple[str, int], tuple[list[Tensor], bool]]]:
        """``((layer, number), (inputs, whether they were given as a list))`` of every call of a layer."""
        name, nodes = entry["name"], entry.get("inbound_nodes")
        if entry["class_name"] == "InputLayer":
            yield (name, 0), ([], False)
            return
        if not isinstance(nodes, list):
            raise Malformed(f"config.json: layer {name[:80]!r} must have 'inbound_nodes': got {type(nodes).__name__}")
        for i, node in enumerate(nodes):
            where = f"a call of {name[:80]!r}"
            arguments, keywords = part(node, "args", list, where), part(node, "kwargs", dict, where)
            states = keywords.get("initial_state", [])
            for key, value in keywords.items():
                known = key == "initial_state" or self._is_idle(entry, key)
                if not known and value is not None and (key, value) != ("training", False):
                    self.problems.append(
                        f"{entry['class_name'][:80]} {name[:80]!r} is called with {key[:80]}={str(value)[:80]}"
                    )
            tensors = arguments[0] if len(arguments) == 1 else arguments
            if states:  # our recurrent layers take them behind the sequence
                tensors = [tensors, *(states if isinstance(states, list) else [states])]
            as_list = isinstance(tensors, list)
            if as_list and len(arguments) > 1:
                self.problems.append(
                    f"{entry['class_name'][:80]} {name[:80]!r} is called with {len(arguments)} arguments"
                )
            yield (name, i), ([_tensor(t, where) for t in (tensors if as_list else [tensors])], as_list)


def _tensor(entry: Any, where: str) -> Tensor:
    config = part(entry, "config", dict, where)
    return _place(config.get("keras_history"), where)


def _place(value: Any, where: str) -> Tensor:
    if not isinstance(value, list) or [type(item) for item in value] != [str, int, int] or min(value[1:]) < 0:
        raise Malformed(f"config.json: {where} must name its tensors [layer, call, output]: got {str(value)[:80]}")
    return value[0], value[1], value[2]


def _ends(model: str, tensors: Any, kinds: dict[str, str]) -> list[Tensor]:
    """The inputs or outputs of a model. Here, and only here, Keras counts the calls of a nested functional model from 1."""
    single = isinstance(tensors, list) and bool(tensors) and isinstance(tensors[0], str)
    if not isinstance(tensors, list):
        raise Malformed(
            f"config.json: the inputs and outputs of {model[:80]!r} must be in a list: got {type(tensors).__name__}; fastconv has "
            "none by name"
        )
    places = [_place(tensor, f"model {model[:80]!r}") for tensor in ([tensors] if single else tensors)]
    return [(name, i - (kinds.get(name) in ("Functional", "Model")), output) for name, i, output in places]


Call = tuple[str, int]


def _in_order(model: str, calls: dict[Call, tuple[list[Tensor], bool]], ends: list[Tensor]) -> list[Call]:
    """The calls in an order of execution: each after those that it needs."""
    done: dict[Call, None] = {}
    for start in [tensor[:2] for tensor in ends] + list(calls):
        waiting, path = [start], set()
        while waiting:
            call = waiting[-1]
            if call not in calls:
                raise Malformed(f"config.json: model {model[:80]!r} needs a call that is not there: {str(call)[:80]}")
            needed = [t[:2] for t in calls[call][0] if t[:2] not in done]
            if call in done or not needed:
                done[waiting.pop()] = None
                path.discard(call)
            elif call in path:
                raise Malformed(
                    f"config.json: the calls of model {model[:80]!r} must form no circle: got {str(call)[:80]}"
                )
            else:
                path.add(call)
                waiting += needed
    return list(done)
