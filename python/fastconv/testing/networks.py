"""Small networks that together use every layer, with data for them: what the tests of plans, gradients and threads walk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import layers, models
from fastconv.testing.numerics import SETTINGS

__all__ = ["ACTIVATIONS", "NETWORKS", "build", "inputs_for", "targets_for"]

ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "hard_sigmoid",
    "hard_swish",
    "relu6",
    "sigmoid",
    "tanh",
    "softplus",
    "celu",
    "exponential",
    "hard_shrink",
    "hard_tanh",
    "log_sigmoid",
    "mish",
    "soft_shrink",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh_shrink",
    "softmax",
    "log_softmax",
)


def _mlp() -> Any:
    x = layers.Input((6,))
    y = layers.Dense(8, activation="tanh")(x)
    y = layers.LayerNormalization()(y)
    y = layers.Dropout(0.3)(y)
    return models.Model(x, layers.Dense(3, activation="softmax")(y))


def _cnn() -> Any:
    return models.Sequential(
        [
            layers.Input((8, 7, 2)),
            layers.Rescaling(0.5, offset=0.1),
            layers.ZeroPadding2D(((1, 0), (0, 2))),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(momentum=0.8),
            layers.Conv2D(6, (3, 2), strides=2, padding="same", groups=2, use_bias=False),
            layers.PReLU(alpha_initializer="ones", shared_axes=[1, 2]),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(3),
            layers.Softmax(),
        ]
    )


def _augmented() -> Any:
    return models.Sequential(
        [
            layers.Input((8, 7, 2)),
            layers.RandomFlip(),
            layers.RandomCrop(6, 6, padding=1, fill_mode="mirror"),
            layers.RandomTranslation(0.2, (-0.1, 0.4)),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.2, (-0.1, 0.3)),
            layers.RandomShear(0.1),
            layers.RandomContrast(0.2, value_range=(-1, 1)),
            layers.RandomBrightness(0.1, value_range=(-1, 1)),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def _resized() -> Any:
    """Sizes and noise, each between weights."""
    return models.Sequential(
        [
            layers.Input((7, 6, 2)),
            layers.Normalization(mean=0.1, variance=0.5),
            layers.Conv2D(4, 3, activation="selu"),
            layers.AlphaDropout(0.2),
            layers.UpSampling2D((2, 3)),
            layers.SpatialDropout2D(0.3),
            layers.Conv2D(3, 3),
            layers.Resizing(5, 9, crop_to_aspect_ratio=True),
            layers.GaussianDropout(0.2),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.GaussianNoise(0.1),
            layers.CenterCrop(6, 7),
            layers.Conv2D(2, 3, strides=2),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def _depthwise() -> Any:
    return models.Sequential(
        [
            layers.Input((7, 6, 3)),
            layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
            layers.LeakyReLU(),
            layers.ActivityRegularization(l1=0.01),
            layers.AveragePooling2D(3, strides=2, padding="same"),
            layers.Conv2D(4, 2, dilation_rate=2, activation="silu"),
            layers.ELU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="sigmoid"),
        ]
    )


def _sequence() -> Any:
    return models.Sequential(
        [
            layers.Input((13, 4)),
            layers.ZeroPadding1D((1, 2)),
            layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
            layers.MaxPooling1D(2),
            layers.UpSampling1D(2),
            layers.SpatialDropout1D(0.2),
            layers.Conv1D(8, 2, strides=2, groups=2, use_bias=False),
            layers.AveragePooling1D(2, strides=1, padding="same"),
            layers.Cropping1D((1, 0)),
            layers.GlobalAveragePooling1D(keepdims=True),
            layers.Conv1D(5, 1),
            layers.GlobalMaxPooling1D(),
            layers.Dense(3),
        ]
    )


def _separable() -> Any:
    return models.Sequential(
        [
            layers.Input((9, 8, 3)),
            layers.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, activation="relu"),
            layers.Cropping2D(((1, 0), (2, 1))),
            layers.SeparableConv2D(4, (3, 2), strides=2, use_bias=False),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def _upsampling() -> Any:
    return models.Sequential(
        [
            layers.Input((12,)),
            layers.Dense(12),
            layers.Reshape((2, 2, 3)),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="gelu"),
            layers.Conv2DTranspose(3, 2, strides=(3, 2)),
            layers.GELU(approximate=True),
            layers.MinPooling2D(2, strides=1),
            layers.SumPooling2D((3, 2), ceil_mode=True),
            layers.Resampling2D(5, 4, "bicubic", False, "align_corners", cubic_coeff_a=-0.75, exclude_outside=False),
            layers.Activation("softplus"),
            layers.GlobalMaxPooling2D(keepdims=True),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


def _branches() -> Any:
    """Two inputs, two outputs, one layer used twice, every way of merging, a residual connection."""
    a, b = layers.Input((5,)), layers.Input((5,))
    shared = layers.Dense(4, activation="sigmoid")
    u, v = shared(a), shared(b)
    added = layers.Add()([u, v, layers.Dense(4)(a)])
    product = layers.Multiply()([added, layers.Subtract()([u, v])])
    joined = layers.Concatenate()([product, v])
    residual = layers.Add()([joined, layers.Dense(8, activation="relu")(joined)])
    return models.Model([a, b], [layers.Dense(3, activation="softmax")(residual), layers.Dense(2)(product)])


def _residual() -> Any:
    x = layers.Input((6, 6, 2))
    y = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    z = layers.BatchNormalization(scale=False)(layers.Conv2D(4, 3, padding="same", use_bias=False)(y))
    y = layers.ReLU(max_value=6)(layers.Add()([y, z]))
    return models.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(y)))


def _activations() -> Any:
    x = layers.Input((4,))
    parts = [layers.Activation(name)(layers.Dense(3)(x)) for name in ACTIVATIONS]
    return models.Model(x, layers.Dense(2)(layers.Concatenate()(parts)))


def _volumes() -> Any:
    x = layers.Input((4, 4, 5, 2))
    y = layers.Conv3D(4, (2, 3, 3), padding="same", activation="relu")(layers.ZeroPadding3D((0, 1, 0))(x))
    y = layers.SpatialDropout3D(0.25)(layers.MaxPooling3D((2, 1, 2))(y))
    up = layers.UpSampling3D((2, 1, 1))(layers.Conv3DTranspose(3, 2, strides=2)(layers.Cropping3D((0, 1, 0))(y)))
    pooled = [layers.GlobalMaxPooling3D()(up), layers.GlobalAveragePooling3D()(layers.AveragePooling3D(2)(up))]
    return models.Model(x, layers.Dense(2)(layers.Maximum()(pooled)))


def _joins() -> Any:
    x = layers.Input((8, 3))
    a = layers.SeparableConv1D(4, 3, padding="same")(x)
    b = layers.Permute((2, 1))(layers.Conv1DTranspose(8, 1)(layers.DepthwiseConv1D(5)(x)))
    a = layers.Flatten()(layers.GroupNormalization(2)(a))
    b = layers.Flatten()(layers.Identity()(b))
    joined = [layers.Average()([a, b]), layers.Minimum()([a, b]), layers.Dot(1)([a, b])]
    return models.Model(x, layers.Dense(3, activation="softmax")(layers.Concatenate()(joined)))


def _lengths() -> Any:
    x = layers.Input((5, 4))
    y = layers.UnitNormalization(axis=(1, 2))(layers.RMSNormalization()(layers.Dense(6)(x)))
    return models.Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(layers.UnitNormalization()(y))))


def _recurrent() -> Any:
    """Numbers from -1 to 1 become ids from 0 to 8."""
    x = layers.Input((5,))
    y = layers.Embedding(9, 4)(layers.Rescaling(4.49, offset=4.5)(x))
    y = layers.LSTM(3, return_sequences=True)(y)
    y = layers.TimeDistributed(layers.Dense(4, activation="tanh"))(y)
    y = layers.GRU(3, return_sequences=True, go_backwards=True)(y)
    y = layers.SimpleRNN(3, return_sequences=True)(y)
    y = layers.RepeatVector(2)(layers.Bidirectional(layers.LSTM(2))(y))
    return models.Model(x, layers.Dense(3, activation="softmax")(layers.GRU(3, reset_after=False)(y)))


NETWORKS: dict[str, Callable[[], Any]] = {
    "mlp": _mlp,
    "cnn": _cnn,
    "augmented": _augmented,
    "depthwise": _depthwise,
    "sequence": _sequence,
    "separable": _separable,
    "resized": _resized,
    "upsampling": _upsampling,
    "branches": _branches,
    "residual": _residual,
    "activations": _activations,
    "volumes": _volumes,
    "joins": _joins,
    "recurrent": _recurrent,
    "lengths": _lengths,
}


def build(name: str, dtype: str = "float32", seed: int = 0) -> Any:
    """The network called ``name``, weights drawn from ``seed`` in Keras's way, then moved off their round values."""
    from fastconv import config, random

    with SETTINGS.lock:
        before = config.dtype_policy()
        config.set_dtype_policy(dtype)
        random.seed(seed)
        try:
            model = NETWORKS[name]()
        finally:
            config.set_dtype_policy(before)
    rng = np.random.default_rng(seed)
    for weight in model.weights:  # biases of 0 and scales of 1 would hide mistakes
        weight.array[...] += rng.uniform(0.05, 0.3, weight.shape).astype(dtype)
    return model


def inputs_for(model: Any, samples: int, seed: int = 1) -> list[np.ndarray]:
    """One random array per input of a model."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, (samples, *shape)).astype(model.dtype) for shape in model.input_shapes()]


def targets_for(model: Any, samples: int, seed: int = 2) -> list[np.ndarray]:
    """One distribution over the last axis per output: a target that every loss of arrays takes."""
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.ones(t.shape[-1]), (samples, *t.shape[1:-1])).astype(model.dtype) for t in model.outputs]
