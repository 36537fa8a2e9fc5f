"""Architectures by name: functions of the image's shape and the number of classes.

Every model takes pixels 0..255 and scales them to 0..1 itself (``Rescaling``), so that a saved model needs no word
about how its images were prepared, and ends in a softmax.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Layer,
    MaxPooling2D,
    Rescaling,
)
from fastconv.models import Model, Sequential

__all__ = ["ARCHITECTURES", "build", "cnn", "mlp", "resnet20", "vgg"]

Shape = tuple[int, int, int]


def mlp(input_shape: Shape, classes: int) -> Model:
    """Two hidden layers of 256 and 128 units; sees no neighbourhoods, a baseline for the others."""
    return _chain(
        input_shape,
        Flatten(),
        Dense(256, activation="relu"),
        Dropout(0.2),
        Dense(128, activation="relu"),
        Dense(classes, activation="softmax"),
    )


def cnn(input_shape: Shape, classes: int) -> Model:
    """The small convolutional network of Keras's MNIST example, with "same" padding so that 8x8 digits fit too."""
    return _chain(
        input_shape,
        Conv2D(32, 3, padding="same", activation="relu"),
        MaxPooling2D(),
        Conv2D(64, 3, padding="same", activation="relu"),
        MaxPooling2D(),
        Flatten(),
        Dropout(0.5),
        Dense(classes, activation="softmax"),
    )


def vgg(input_shape: Shape, classes: int) -> Model:
    """Three stages of two 3x3 convolutions with batch normalization (after Simonyan and Zisserman 2015, arXiv:1409.1556)."""
    layers: list[Layer] = []
    for filters, rate in ((64, 0.2), (128, 0.3), (256, 0.4)):
        for _ in range(2):
            layers += [Conv2D(filters, 3, padding="same", use_bias=False), BatchNormalization(), Activation("relu")]
        layers += [MaxPooling2D(padding="same"), Dropout(rate)]
    return _chain(input_shape, *layers, GlobalAveragePooling2D(), Dense(classes, activation="softmax"))


def resnet20(input_shape: Shape, classes: int) -> Model:
    """ResNet-20 for small images (He et al. 2016, arXiv:1512.03385, section 4.2), with 1x1 convolutions as shortcuts
    where the shape changes (their option B)."""
    start = Input(input_shape)
    x = _normalized_conv(Rescaling(1 / 255)(start), 16)
    x = Activation("relu")(x)
    for filters in (16, 32, 64):
        for block in range(3):
            x = _residual_block(x, filters, strides=2 if filters > 16 and block == 0 else 1)
    return Model(start, Dense(classes, activation="softmax")(GlobalAveragePooling2D()(x)))


def _chain(input_shape: Shape, *layers: Layer) -> Model:
    model = Sequential()
    for layer in (Input(input_shape), Rescaling(1 / 255), *layers):
        model.add(layer)
    return model


def _normalized_conv(x: Any, filters: int, kernel_size: int = 3, strides: int = 1) -> Any:
    conv = Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal")
    return BatchNormalization()(conv(x))


def _residual_block(x: Any, filters: int, strides: int) -> Any:
    y = Activation("relu")(_normalized_conv(x, filters, strides=strides))
    y = _normalized_conv(y, filters)
    shortcut = x if x.shape[-1] == filters and strides == 1 else _normalized_conv(x, filters, 1, strides)
    return Activation("relu")(Add()([y, shortcut]))


ARCHITECTURES: dict[str, Callable[[Shape, int], Model]] = {"cnn": cnn, "mlp": mlp, "vgg": vgg, "resnet20": resnet20}


def build(name: str, input_shape: Shape, classes: int) -> Model:
    """A new model of the architecture ``name``, ready to compile.

    Args:
        name: "cnn", "mlp", "vgg" or "resnet20".
        input_shape: (H, W, C) of an image whose pixels are 0..255.
        classes: number of classes, at least 2.

    Raises:
        ValueError: for another name, or an image that is too small for the architecture.

    Example:
        >>> from fastconv import zoo
        >>> zoo.build("cnn", (8, 8, 1), 10).count_params()
        21386
    """
    if name not in ARCHITECTURES:
        raise ValueError(
            f"[zoo] architecture is not known: expected one of {', '.join(ARCHITECTURES)}, got name={name!r}."
        )
    height, width, channels = input_shape
    return ARCHITECTURES[name]((height, width, channels), classes)
