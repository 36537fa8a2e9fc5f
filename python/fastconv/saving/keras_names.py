"""Where Keras's words differ from fastconv's: classes, arguments, and the names of groups in weight files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastconv import layers
from fastconv._lookup import snake_case
from fastconv.layers.recurrent import Recurrent

__all__ = [
    "NOT_SHARED",
    "OURS_ALONE",
    "SWITCHED_OFF",
    "file_kind",
    "is_own_class",
    "keras_class",
    "known_layers",
    "object_module",
    "weight_groups",
]

# Layers that Keras lacks or means otherwise, and what to do.
NOT_SHARED = {
    "MinPooling2D": "Keras has no minimum pooling",
    "SumPooling2D": "Keras has no sum pooling: use AveragePooling2D and Rescaling",
    "Resampling2D": "Keras has none of its choices: use Resizing",
    "RandomCrop": "in inference Keras resizes the image, and fastconv takes its middle",
}

# Arguments that Keras has and fastconv has not, with the values that change nothing. None changes nothing anywhere.
SWITCHED_OFF: dict[str, tuple[Any, ...]] = {
    "autocast": (True,),
    "implementation": (1, 2),
    "data_format": ("channels_last",),
    "optional": (False,),
    "ragged": (False,),
    "renorm": (False,),
    "renorm_momentum": (0.99,),
    "rms_scaling": (False,),
    "sparse": (False,),
    "synchronized": (False,),
    "zero_output_for_mask": (False, True),  # there are no masks
}

# Arguments that fastconv has and Keras has not, with the values that Keras's layers act on.
OURS_ALONE: dict[str, dict[str, Any]] = {
    "RandomFlip": {"alternate": False},
    **{f"{kind}Pooling2D": {"ceil_mode": False} for kind in ("Average", "Max")},
}

# Keras's layer that does what ours does under another name.
_KERAS_CLASS = {"GELU": "Activation", "Model": "Functional"}


def known_layers() -> dict[str, type[layers.Layer]]:
    """The layers that both libraries have, by name."""
    found = {name: getattr(layers, name) for name in layers.__all__}
    return {
        name: cls
        for name, cls in found.items()
        if isinstance(cls, type)
        and issubclass(cls, layers.Layer)
        and cls is not layers.Layer
        and name not in NOT_SHARED
        and name not in _KERAS_CLASS
    }


def weight_groups(layer: Any, path: str) -> Iterator[tuple[str, Any, list[Any]]]:
    """``(path, layer, weights)`` of the groups in a weight file that hold a layer's weights: a recurrent layer's are in its cell,
    those of layers around layers inside."""
    if isinstance(layer, Recurrent):
        yield f"{path}/cell", layer, layer.weights
    elif isinstance(layer, layers.Bidirectional):
        for name in ("forward_layer", "backward_layer"):
            yield from weight_groups(getattr(layer, name), f"{path}/{name}")
    elif isinstance(layer, layers.TimeDistributed):
        yield from weight_groups(layer.layer, f"{path}/layer")
    elif isinstance(layer, layers.SpectralNormalization):
        yield path, layer, layer.weights[:2]  # the kernel is in both groups
        yield from weight_groups(layer.layer, f"{path}/layer")
    else:
        yield path, layer, layer.weights


def object_module(argument: str) -> str | None:
    """Keras's module of the objects that an argument such as ``bias_initializer`` takes; None for other arguments."""
    kind = argument.rpartition("_")[2]
    return f"keras.{kind}s" if kind in ("initializer", "regularizer", "constraint") else None


def is_own_class(layer: Any) -> bool:
    """Whether a layer's class is one of fastconv's, not one derived from it elsewhere."""
    return type(layer).__module__.split(".")[0] == "fastconv"


def keras_class(layer: Any) -> str:
    """The name of the class that Keras makes of a layer or model."""
    kind = type(layer).__name__
    return _KERAS_CLASS.get(kind, kind)


def file_kind(layer: Any) -> str:
    """What a weight file calls a layer of this kind: Conv2DTranspose -> conv2d_transpose, PReLU -> p_re_lu."""
    return snake_case(keras_class(layer))
