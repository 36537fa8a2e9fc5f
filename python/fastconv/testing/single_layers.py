"""Every layer alone, in each of its settings that a converter to another format has to get right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastconv import layers, models
from fastconv.testing.networks import ACTIVATIONS

__all__ = ["LAYERS", "build"]

_IMAGE = (9, 8, 4)
_STEPS = (7, 4)
_VOLUME = (5, 6, 7, 2)
_TRANSPOSED = ((3, 2, 0), (3, 2, 1), (4, 2, 1), (2, 3, 2), (5, 3, (0, 2)), (1, 2, 1))  # kernel, stride, output padding
_POOLING: dict[str, dict[str, Any]] = {
    "valid": {},
    "same": {"pool_size": 3, "strides": 2, "padding": "same"},
    "same lower": {"pool_size": 2, "strides": (2, 3), "padding": "same_lower"},
    "numbers": {"pool_size": (3, 2), "strides": (1, 3), "padding": ((2, 0), (1, 1))},
    "ceil": {"pool_size": 3, "strides": 2, "padding": ((1, 0), (0, 1)), "ceil_mode": True},
    "whole": {"pool_size": (9, 8)},
}

LAYERS: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    "dense": ((5,), lambda: layers.Dense(3)),
    "dense on steps": ((4, 5), lambda: layers.Dense(3, activation="tanh")),
    "dense without bias": ((5,), lambda: layers.Dense(3, use_bias=False)),
    "conv valid": (_IMAGE, lambda: layers.Conv2D(6, 3)),
    "conv same": (_IMAGE, lambda: layers.Conv2D(6, (3, 2), padding="same")),
    "conv same lower": (_IMAGE, lambda: layers.Conv2D(6, (4, 2), padding="same_lower")),
    "conv same stride": (_IMAGE, lambda: layers.Conv2D(2, 4, padding="same", strides=(2, 3))),
    "conv numbers": (_IMAGE, lambda: layers.Conv2D(2, 3, padding=((2, 0), (1, 3)), strides=2)),
    "conv dilated": (_IMAGE, lambda: layers.Conv2D(3, 3, dilation_rate=2, padding="same")),
    "conv groups": (_IMAGE, lambda: layers.Conv2D(6, 3, groups=2, activation="relu")),
    "conv no bias": (_IMAGE, lambda: layers.Conv2D(3, 1, strides=2, use_bias=False)),
    "depthwise": (_IMAGE, lambda: layers.DepthwiseConv2D(3)),
    "depthwise multiplier": (_IMAGE, lambda: layers.DepthwiseConv2D(3, depth_multiplier=3, padding="same")),
    "depthwise of one channel": ((5, 5, 1), lambda: layers.DepthwiseConv2D(3, depth_multiplier=2)),
    "transposed": (_IMAGE, lambda: layers.Conv2DTranspose(3, 3)),
    "transposed stride": (_IMAGE, lambda: layers.Conv2DTranspose(3, 3, strides=2)),
    "transposed same": (_IMAGE, lambda: layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="relu")),
    "transposed no bias": (_IMAGE, lambda: layers.Conv2DTranspose(3, 5, strides=3, padding="same", use_bias=False)),
    "transposed small kernel": (_IMAGE, lambda: layers.Conv2DTranspose(2, 2, strides=3)),
    "transposed dilated": (_IMAGE, lambda: layers.Conv2DTranspose(2, 3, dilation_rate=2)),
    **{
        f"transposed {padding} kernel {k} stride {s} output padding {o}": (
            _IMAGE,
            partial(layers.Conv2DTranspose, 2, k, strides=s, padding=padding, output_padding=o),
        )
        for padding in ("valid", "same")
        for k, s, o in _TRANSPOSED
    },
    "batch norm": (_IMAGE, lambda: layers.BatchNormalization(epsilon=0.01)),
    "batch norm of vectors": ((5,), lambda: layers.BatchNormalization()),
    "batch norm of steps": ((4, 5), lambda: layers.BatchNormalization()),
    "batch norm plain": (_IMAGE, lambda: layers.BatchNormalization(center=False, scale=False)),
    "layer norm": ((4, 5), lambda: layers.LayerNormalization()),
    "layer norm of images": (_IMAGE, lambda: layers.LayerNormalization(center=False, epsilon=1e-5)),
    "layer norm plain": ((5,), lambda: layers.LayerNormalization(center=False, scale=False)),
    **{
        f"{kind.__name__} {name}": (_IMAGE, partial(kind, **keywords))
        for kind in (layers.MaxPooling2D, layers.AveragePooling2D, layers.MinPooling2D, layers.SumPooling2D)
        for name, keywords in _POOLING.items()
    },
    "conv 3d": (_VOLUME, lambda: layers.Conv3D(4, (2, 3, 3), activation="relu")),
    "conv 3d same stride": (_VOLUME, lambda: layers.Conv3D(4, 3, strides=(2, 1, 2), padding="same", groups=2)),
    "conv 3d of slices": (_VOLUME, lambda: layers.Conv3D(3, (1, 3, 2), use_bias=False)),
    "conv 3d numbers": (_VOLUME, lambda: layers.Conv3D(2, 2, dilation_rate=2, padding=((1, 0), (0, 2), (1, 1)))),
    "transposed 3d": (_VOLUME, lambda: layers.Conv3DTranspose(3, (2, 3, 2), strides=(2, 1, 3))),
    "transposed 3d same": (_VOLUME, lambda: layers.Conv3DTranspose(2, 3, strides=2, padding="same")),
    "transposed 3d output padding": (
        _VOLUME,
        lambda: layers.Conv3DTranspose(2, 3, strides=3, padding="same", output_padding=(1, 2, 0)),
    ),
    "max pooling 3d": (_VOLUME, lambda: layers.MaxPooling3D((2, 3, 2), padding="same")),
    "average pooling 3d": (_VOLUME, lambda: layers.AveragePooling3D(3, strides=(1, 2, 2), padding="same")),
    "global max 3d": (_VOLUME, lambda: layers.GlobalMaxPooling3D()),
    "global average 3d": (_VOLUME, lambda: layers.GlobalAveragePooling3D(keepdims=True)),
    "padding 3d": (_VOLUME, lambda: layers.ZeroPadding3D(((1, 0), (0, 2), (1, 1)))),
    "cropping 3d": (_VOLUME, lambda: layers.Cropping3D(((1, 0), (0, 2), (1, 1)))),
    "upsampling 3d": (_VOLUME, lambda: layers.UpSampling3D((2, 1, 3))),
    "transposed 1d": (_STEPS, lambda: layers.Conv1DTranspose(3, 3, strides=2)),
    "depthwise 1d": (_STEPS, lambda: layers.DepthwiseConv1D(3, depth_multiplier=2, padding="same")),
    "separable 1d": (_STEPS, lambda: layers.SeparableConv1D(5, 3, activation="tanh")),
    "group norm": (_IMAGE, lambda: layers.GroupNormalization(2)),
    "group norm of steps": (_STEPS, lambda: layers.GroupNormalization(1, center=False)),
    "instance norm": (_IMAGE, lambda: layers.GroupNormalization(-1, scale=False)),
    "permute": (_IMAGE, lambda: layers.Permute((3, 1, 2))),
    "permute rows": (_IMAGE, lambda: layers.Permute((2, 1, 3))),
    "spectral norm": (_IMAGE, lambda: layers.SpectralNormalization(layers.Conv2D(3, 3))),
    "softmax of rows": (_STEPS, lambda: layers.Softmax(axis=1)),
    "relu with a slope": (_IMAGE, lambda: layers.ReLU(0.9, negative_slope=0.1)),
    "identity": (_IMAGE, lambda: layers.Identity()),
    "global max": (_IMAGE, lambda: layers.GlobalMaxPooling2D()),
    "global average": (_IMAGE, lambda: layers.GlobalAveragePooling2D(keepdims=True)),
    "flatten": (_IMAGE, lambda: layers.Flatten()),
    "reshape": (_IMAGE, lambda: layers.Reshape((-1, 6))),
    "reshape to images": ((24,), lambda: layers.Reshape((2, 3, 4))),
    "dropout": (_IMAGE, lambda: layers.Dropout(0.5)),
    "zero padding": (_IMAGE, lambda: layers.ZeroPadding2D(((1, 0), (2, 3)))),
    "cropping": (_IMAGE, lambda: layers.Cropping2D(((1, 0), (2, 3)))),
    "cropping nothing": (_IMAGE, lambda: layers.Cropping2D(0)),
    "separable": (_IMAGE, lambda: layers.SeparableConv2D(3, 3, depth_multiplier=2, padding="same")),
    "random crop": (_IMAGE, lambda: layers.RandomCrop(5, 6)),
    "upsampling": (_IMAGE, lambda: layers.UpSampling2D((2, 3))),
    "upsampling bilinear": (_IMAGE, lambda: layers.UpSampling2D(2, interpolation="bilinear")),
    "upsampling 1d": (_STEPS, lambda: layers.UpSampling1D(3)),
    "resizing": (_IMAGE, lambda: layers.Resizing(5, 11)),
    "resizing bicubic": (_IMAGE, lambda: layers.Resizing(11, 5, "bicubic", crop_to_aspect_ratio=True)),
    "resizing nearest": (_IMAGE, lambda: layers.Resizing(9, 4, "nearest", pad_to_aspect_ratio=True)),
    **{
        f"resampling {kind} {coordinates}": (
            _IMAGE,
            partial(
                layers.Resampling2D, 11, 13, kind, coordinates=coordinates, cubic_coeff_a=-0.75, exclude_outside=False
            ),
        )
        for kind in ("bilinear", "bicubic", "nearest")
        for coordinates in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
    },
    **{
        f"resizing {kind}{' antialias' if antialias else ''}": (
            _IMAGE,
            partial(layers.Resizing, 5, 11, kind, antialias=antialias),
        )
        for kind in ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5")
        for antialias in (False, True)
    },
    "resizing areas of whole cells": (_IMAGE, lambda: layers.Resizing(3, 2, "area")),
    "resampling scales": (_IMAGE, lambda: layers.Resampling2D(13, 12, coordinates="asymmetric", scales=(1.5, 1.6))),
    "center crop": (_IMAGE, lambda: layers.CenterCrop(4, 5)),
    "normalization": (_IMAGE, lambda: layers.Normalization()),
    "normalization of cells": (_IMAGE, lambda: layers.Normalization(axis=(1, 2, 3))),
    "normalization given": (_IMAGE, lambda: layers.Normalization(mean=[0.1, 0.2, 0.3, 0], variance=[1, 2, 3, 4])),
    "normalization inverted": (_IMAGE, lambda: layers.Normalization(axis=None, invert=True)),
    "conv 1d": (_STEPS, lambda: layers.Conv1D(5, 3, padding="same", activation="relu")),
    "conv 1d causal": (_STEPS, lambda: layers.Conv1D(4, 2, padding="causal", dilation_rate=2, groups=2)),
    "max 1d": (_STEPS, lambda: layers.MaxPooling1D(3, strides=2, padding="same")),
    "average 1d": (_STEPS, lambda: layers.AveragePooling1D(2)),
    "global max 1d": (_STEPS, lambda: layers.GlobalMaxPooling1D()),
    "global average 1d": (_STEPS, lambda: layers.GlobalAveragePooling1D(keepdims=True)),
    "borders 1d": (_STEPS, lambda: models.Sequential([layers.ZeroPadding1D((1, 2)), layers.Cropping1D((0, 1))])),
    "simple rnn": (_STEPS, lambda: layers.SimpleRNN(3)),
    "simple rnn sequences": (_STEPS, lambda: layers.SimpleRNN(3, activation="relu", return_sequences=True)),
    "lstm": (_STEPS, lambda: layers.LSTM(3)),
    "lstm backwards": (_STEPS, lambda: layers.LSTM(3, go_backwards=True, use_bias=False)),
    "lstm sequences": (_STEPS, lambda: layers.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid")),
    "gru": (_STEPS, lambda: layers.GRU(3)),
    "gru reset before": (_STEPS, lambda: layers.GRU(3, reset_after=False)),
    "gru sequences": (_STEPS, lambda: layers.GRU(3, return_sequences=True, go_backwards=True)),
    "recurrent layers": (
        _STEPS,
        lambda: models.Sequential([layers.GRU(3, return_sequences=True), layers.LSTM(4), layers.RepeatVector(2)]),
    ),
    **{
        f"bidirectional {mode}": (
            _STEPS,
            partial(layers.Bidirectional, layers.LSTM(3, return_sequences=True), merge_mode=mode),
        )
        for mode in ("concat", "sum", "mul", "ave")
    },
    "bidirectional last": (_STEPS, lambda: layers.Bidirectional(layers.GRU(3))),
    "time distributed": (_STEPS, lambda: layers.TimeDistributed(layers.Dense(3, activation="tanh"))),
    "rescaling": (_IMAGE, lambda: layers.Rescaling(1 / 127.5, offset=-1)),
    "relu 6": (_IMAGE, lambda: layers.ReLU(6)),
    "relu slope": (_IMAGE, lambda: layers.ReLU(negative_slope=0.1)),
    "leaky": (_IMAGE, lambda: layers.LeakyReLU()),
    "prelu": (_IMAGE, lambda: layers.PReLU()),
    "prelu shared": (_IMAGE, lambda: layers.PReLU(shared_axes=[1, 2])),
    "prelu of vectors": ((5,), lambda: layers.PReLU()),
    "elu": (_IMAGE, lambda: layers.ELU(0.7)),
    "gelu tanh": (_IMAGE, lambda: layers.GELU(approximate=True)),
    "softmax": (_IMAGE, lambda: layers.Softmax()),
    **{
        name: (_IMAGE, partial(layers.Activation, name))
        for name in (*ACTIVATIONS, "sparsemax", "glu", "threshold", "linear")
    },
    **{f"{name} of vectors": ((5,), partial(layers.Activation, name)) for name in ("softmax", "log_softmax")},
}


def build(name: str, seed: int = 0) -> Any:
    """A model of that one layer; its weights are random, positive where they are variances."""
    shape, make = LAYERS[name]
    model = models.Sequential([layers.Input(shape), make()])
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.05, 0.8, w.shape).astype(np.float32) for w in model.weights])
    return model
