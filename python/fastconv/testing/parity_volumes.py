"""Networks for :mod:`fastconv.testing.parity` over volumes and sequences, and of the layers that join and rearrange."""

from __future__ import annotations

from typing import Any

__all__ = [
    "activations_by_name",
    "dropped_channels",
    "group_norms",
    "merging",
    "more_activation_layers",
    "more_sequences",
    "transposed_volumes",
    "volumes",
]


def volumes(k: Any) -> Any:
    la = k.layers
    x = la.Input((6, 8, 7, 2))
    y = la.Conv3D(6, (3, 3, 2), padding="same", activation="relu")(la.ZeroPadding3D(((1, 0), (0, 1), (1, 1)))(x))
    a = la.Conv3D(4, 3, strides=(2, 1, 2), groups=2, activation="tanh")(y)
    b = la.Conv3D(4, (2, 1, 3), dilation_rate=(2, 1, 1), use_bias=False)(la.Cropping3D((1, 2, (0, 1)))(y))
    c = la.Conv3D(3, (1, 3, 3), strides=2, padding="same")(la.AveragePooling3D((2, 3, 2), strides=(1, 2, 1))(y))
    pooled = [la.GlobalMaxPooling3D()(la.MaxPooling3D()(a)), la.GlobalAveragePooling3D()(b)]
    pooled.append(la.Flatten()(la.GlobalMaxPooling3D(keepdims=True)(la.MaxPooling3D(3, 2, "same")(c))))
    return k.Model(x, la.Dense(4, activation="softmax")(la.Concatenate()(pooled)))


def transposed_volumes(k: Any) -> Any:
    la = k.layers
    x = la.Input((3, 4, 5, 2))
    y = la.Conv3DTranspose(4, 3, strides=2, padding="same", activation="relu")(x)
    y = la.Conv3DTranspose(3, (2, 3, 1), strides=(3, 1, 2))(la.Cropping3D()(y))
    y = la.Conv3D(3, 3, strides=(3, 2, 2))(y)
    return k.Model(x, la.Conv3DTranspose(2, 2, dilation_rate=(2, 1, 1), use_bias=False)(la.UpSampling3D((1, 2, 3))(y)))


def more_sequences(k: Any) -> Any:
    la = k.layers
    x = la.Input((18, 3))
    y = la.SeparableConv1D(6, 4, strides=2, padding="same", depth_multiplier=2, activation="relu")(x)
    y = la.DepthwiseConv1D(3, depth_multiplier=2, dilation_rate=2, activation="tanh")(y)
    y = la.Conv1DTranspose(4, 3, strides=2, padding="same", activation="relu")(la.Permute((2, 1))(y))
    return k.Model(x, la.Conv1DTranspose(2, 2, strides=3, output_padding=1)(la.DepthwiseConv1D(2, padding="same")(y)))


def group_norms(k: Any) -> Any:
    la = k.layers
    x = la.Input((9, 8, 4))
    y = la.GroupNormalization(2)(la.Conv2D(8, 3, padding="same")(x))
    y = la.Conv2D(6, 3, activation="relu")(la.GroupNormalization(-1, epsilon=1e-5)(y))
    y = la.GroupNormalization(3, center=False)(y)
    return k.Model(
        x, la.Dense(3, activation="softmax")(la.GlobalAveragePooling2D()(la.GroupNormalization(1, scale=False)(y)))
    )


def merging(k: Any) -> Any:
    la = k.layers
    x = la.Input((6,))
    a, b, c = (la.Dense(5)(x) for _ in range(3))
    joined = [la.Maximum()([a, b, c]), la.Minimum()([a, b]), la.Average()([a, b, c]), la.Dot(axes=1)([a, b])]
    return k.Model(x, la.Dense(2)(la.Identity()(la.Concatenate()(joined))))


def dropped_channels(k: Any) -> Any:
    la = k.layers
    x = la.Input((3, 4, 5, 2))
    y = la.SpatialDropout3D(0.3)(la.Conv3D(6, 2, activation="relu")(x))
    return k.Model(x, la.Dense(2)(la.GlobalAveragePooling3D()(y)))


def activations_by_name(k: Any) -> Any:
    la = k.layers
    names: tuple[str, ...] = ("celu", "exponential", "hard_shrink", "hard_tanh", "log_sigmoid", "mish")
    names += ("soft_shrink", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink")
    x = la.Input((6,))
    return k.Model(x, la.Dense(3)(la.Concatenate()([la.Dense(4, activation=name)(x) for name in names])))


def lengths(k: Any) -> Any:
    la = k.layers
    x = la.Input((6, 5, 3))
    y = la.RMSNormalization(epsilon=1e-3)(la.Conv2D(8, 3, activation="tanh")(x))
    branches = [la.UnitNormalization()(y), la.UnitNormalization(axis=(1, 2))(y), la.UnitNormalization(axis=1)(y)]
    branches += [la.Softmax(axis=(1, 2))(y), la.RMSNormalization()(y)]
    return k.Model(x, la.Dense(3)(la.Flatten()(la.concatenate([la.add(branches[:2]), *branches[2:]]))))


def spectral(k: Any) -> Any:
    la = k.layers
    x = la.Input((6, 5, 3))
    y = la.SpectralNormalization(la.Conv2D(6, 3, activation="relu"))(x)
    return k.Model(x, la.SpectralNormalization(la.Dense(3), power_iterations=3)(la.GlobalAveragePooling2D()(y)))


def more_activation_layers(k: Any) -> Any:
    la = k.layers
    x = la.Input((5, 4, 6))
    y = la.Dense(4)(la.Reshape((20, 6))(x))
    branches = [la.ReLU(0.7), la.ReLU(0.5, negative_slope=0.2), la.ReLU(threshold=0.3), la.Softmax(axis=1)]
    branches += [la.ReLU(0.9, 0.1, 0.2), la.ReLU(6, threshold=0.1), la.ReLU(negative_slope=0.3, threshold=0.2)]
    return k.Model(x, la.Dense(2)(la.Flatten()(la.Concatenate()([layer(y) for layer in branches]))))
