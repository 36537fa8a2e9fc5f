"""Networks for :mod:`fastconv.testing.parity`, each a function of a library: ``k`` is fastconv or Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

IMAGE = (12, 10, 3)


def sequential(shape: tuple[int, ...], *layers: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``build`` of a Sequential; each layer is a function of the library's ``layers``."""
    return lambda k: k.Sequential([k.layers.Input(shape), *(make(k.layers) for make in layers)])


def dense_of(activations: list[str], last: str | None = None) -> Callable[[Any], Any]:
    hidden = [lambda la, name=name: la.Dense(7, activation=name) for name in activations]
    return sequential((6,), *hidden, lambda la: la.Dense(3, activation=last))


def activation_layers(k: Any) -> Any:
    la = k.layers
    x = la.Input(IMAGE)
    y = la.Conv2D(4, 3)(x)
    branches = [la.ReLU(), la.ReLU(6), la.ReLU(negative_slope=0.2), la.LeakyReLU(), la.ELU(0.7), la.Activation("tanh")]
    branches += [la.PReLU(), la.PReLU(shared_axes=[1, 2]), la.Softmax()]
    return k.Model(x, la.GlobalAveragePooling2D()(la.Concatenate()([layer(y) for layer in branches])))


def sequences(k: Any) -> Any:
    la = k.layers
    x = la.Input((20, 3))
    y = la.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="tanh")(la.ZeroPadding1D((2, 1))(x))
    y = la.Conv1D(6, 4, strides=2, padding="same", groups=2)(la.Cropping1D((1, 2))(y))
    pooled = [la.GlobalMaxPooling1D()(la.MaxPooling1D(2)(y)), la.GlobalAveragePooling1D()(la.AveragePooling1D(3)(y))]
    return k.Model(x, la.Dense(4, activation="softmax")(la.Concatenate()(pooled)))


def residual(k: Any) -> Any:
    la = k.layers
    x = la.Input(IMAGE)
    y = la.Conv2D(8, 3, padding="same", use_bias=False)(x)
    for filters, stride in ((8, 1), (12, 2)):
        z = la.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(y)
        z = la.Activation("relu")(la.BatchNormalization()(z))
        z = la.BatchNormalization()(la.Conv2D(filters, 3, padding="same", use_bias=False)(z))
        short = y if stride == 1 else la.BatchNormalization()(la.Conv2D(filters, 1, strides=stride, use_bias=False)(y))
        y = la.Activation("relu")(la.Add()([z, short]))
    return k.Model(x, la.Dense(5, activation="softmax")(la.GlobalAveragePooling2D()(y)))


def preactivated(k: Any) -> Any:
    la = k.layers
    x = la.Input(IMAGE)
    y = la.Conv2D(8, 3, padding="same")(x)
    for _ in range(2):
        z = la.Conv2D(8, 3, padding="same")(la.ReLU()(la.BatchNormalization(momentum=0.9)(y)))
        y = la.Add()([y, la.Conv2D(8, 3, padding="same")(la.ReLU()(la.BatchNormalization(epsilon=1e-5)(z)))])
    return k.Model(x, la.Dense(5)(la.GlobalMaxPooling2D()(y)))


def inverted_residual(k: Any) -> Any:
    la = k.layers
    x = la.Input(IMAGE)
    y = la.Conv2D(4, 3, strides=2, padding="same", activation="relu6")(x)
    z = la.BatchNormalization()(la.Conv2D(16, 1, activation="relu6")(y))
    z = la.ReLU(6)(la.BatchNormalization()(la.DepthwiseConv2D(3, padding="same", use_bias=False)(z)))
    y = la.Add()([y, la.Conv2D(4, 1)(z)])
    return k.Model(x, la.Dense(4, activation="softmax")(la.GlobalAveragePooling2D()(y)))


def densely_connected(k: Any) -> Any:
    la = k.layers
    x = la.Input(IMAGE)
    y = la.Conv2D(4, 3, padding="same")(x)
    for _ in range(3):
        y = la.Concatenate()([y, la.Conv2D(4, 3, padding="same", activation="elu")(la.BatchNormalization()(y))])
    return k.Model(x, la.Dense(3)(la.Flatten()(la.AveragePooling2D(2)(y))))


def inception(k: Any) -> Any:
    la = k.layers
    x = la.Input(IMAGE)
    wide = la.Conv2D(3, 5, padding="same", activation="relu")(la.Conv2D(2, 1)(x))
    pooled = la.Conv2D(2, 1)(la.MaxPooling2D(3, strides=1, padding="same")(x))
    y = la.Concatenate()([la.Conv2D(2, 1)(x), la.Conv2D(4, 3, padding="same", activation="relu")(x), wide, pooled])
    return k.Model(x, la.Dense(3, activation="softmax")(la.GlobalAveragePooling2D()(y)))


def squeeze_and_excite(k: Any) -> Any:
    la = k.layers
    x = la.Input(IMAGE)
    y = la.Conv2D(8, 3, activation="silu")(x)
    s = la.Conv2D(8, 1, activation="sigmoid")(
        la.Conv2D(2, 1, activation="relu")(la.GlobalAveragePooling2D(keepdims=True)(y))
    )
    return k.Model(x, la.Dense(3)(la.GlobalAveragePooling2D()(la.Multiply()([y, s]))))


def unet(k: Any) -> Any:
    la = k.layers
    x = la.Input((8, 8, 3))
    a = la.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = la.Conv2D(8, 3, padding="same", activation="relu")(la.MaxPooling2D()(a))
    up = la.Conv2DTranspose(4, 2, strides=2)(b)
    return k.Model(x, la.Conv2D(2, 1, activation="softmax")(la.Concatenate()([a, up])))


def segmentation(k: Any) -> Any:
    la = k.layers
    x = la.Input((8, 8, 3))
    y = la.Conv2D(6, 3, padding="same", activation="relu")(x)
    return k.Model(x, la.Conv2D(1, 3, padding="same", activation="sigmoid")(y))


def words(k: Any) -> Any:
    la = k.layers
    x = la.Input((7,))
    y = la.Bidirectional(la.LSTM(5, return_sequences=True))(la.Embedding(4, 6)(x))
    y = la.TimeDistributed(la.Dense(4, activation="tanh"))(y)
    y = la.Bidirectional(la.GRU(3), merge_mode="ave")(y)
    return k.Model(x, la.Dense(3, activation="softmax")(y))


def encoder_and_decoder(k: Any) -> Any:
    la = k.layers
    x = la.Input((6, 4))
    code, h, c = la.LSTM(5, return_state=True)(x)
    y = la.LSTM(5, return_sequences=True)(la.RepeatVector(3)(code), initial_state=[h, c])
    return k.Model(x, la.TimeDistributed(la.Dense(2))(y))


def upsampling(k: Any) -> Any:
    la = k.layers
    return k.Sequential(
        [
            la.Input((8, 8, 1)),
            la.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            la.Conv2D(3, 3, strides=2, padding="same", activation="relu"),
            la.UpSampling2D(),
            la.Conv2D(4, 3, padding="same", activation="relu"),
            la.UpSampling2D((2, 2), interpolation="bilinear"),
            la.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )


def upsampling_unet(k: Any) -> Any:
    la = k.layers
    x = la.Input((6, 12, 3))
    a = la.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = la.Conv2D(8, 3, padding="same", activation="relu")(la.MaxPooling2D((2, 3))(a))
    up = la.UpSampling2D((2, 3), interpolation="bilinear")(b)
    return k.Model(x, la.Conv2D(2, 1, activation="softmax")(la.Concatenate()([a, up])))


def resized(k: Any) -> Any:
    """Each kind of resizing of one image, which a convolution has made."""
    la = k.layers
    x = la.Input((9, 12, 3))
    y = la.Conv2D(3, 3, padding="same", activation="tanh")(x)
    branches = [
        la.Resizing(6, 7)(y),
        la.Resizing(6, 7, antialias=True)(y),
        la.Resizing(6, 7, interpolation="nearest")(y),
        la.Resizing(6, 7, crop_to_aspect_ratio=True)(y),
        la.Resizing(6, 7, pad_to_aspect_ratio=True, fill_value=0.5)(y),
        la.Resizing(6, 7, interpolation="bicubic", antialias=True)(y),
        la.CenterCrop(6, 7)(y),
        la.CenterCrop(6, 7)(la.CenterCrop(5, 13)(y)),
    ]
    return k.Model(x, la.Dense(2)(la.Flatten()(la.Concatenate()(branches))))


def noisy(k: Any) -> Any:
    la = k.layers
    x = la.Input((6, 6, 3))
    y = la.Conv2D(4, 3, activation="selu")(la.GaussianNoise(0.1, seed=1)(x))
    y = la.AlphaDropout(0.1)(la.SpatialDropout2D(0.2)(y))
    y = la.SpatialDropout1D(0.2)(la.Reshape((16, 4))(y))
    y = la.Dropout(0.2, noise_shape=(None, 1, None))(la.GaussianDropout(0.1)(y))
    return k.Model(x, la.Dense(2)(la.Flatten()(y)))


def siamese(k: Any) -> Any:
    la = k.layers
    tower = k.Sequential([la.Input(IMAGE), la.Conv2D(4, 3, activation="relu"), la.Flatten(), la.Dense(6)], name="tower")
    a, b = la.Input(IMAGE, name="left"), la.Input(IMAGE, name="right")
    return k.Model([a, b], la.Dense(1, activation="sigmoid")(la.Subtract()([tower(a), tower(b)])))


def shared_layers(k: Any) -> Any:
    """One layer at two depths: A(B(A(x)))."""
    la = k.layers
    x = la.Input((6,))
    shared, between = la.Dense(6, activation="tanh"), la.Dense(6)
    return k.Model(x, la.Dense(2)(shared(between(shared(x)))))


def two_inputs(k: Any) -> Any:
    la = k.layers
    image, numbers = la.Input(IMAGE), la.Input((4,))
    y = la.Concatenate()([la.Flatten()(la.Conv2D(3, 3, strides=3)(image)), la.Dense(5, activation="relu")(numbers)])
    return k.Model([image, numbers], la.Dense(1)(y))


def two_outputs(k: Any) -> Any:
    la = k.layers
    x = la.Input(IMAGE)
    y = la.GlobalAveragePooling2D()(la.Conv2D(6, 3, activation="relu")(x))
    return k.Model(x, [la.Dense(4, activation="softmax")(y), la.Dense(2)(la.Dense(5, activation="tanh")(y))])


def nested(k: Any) -> Any:
    la = k.layers
    x = la.Input((5, 5, 4))
    inner = k.Model(x, la.Add()([x, la.Conv2D(4, 3, padding="same", use_bias=False)(x)]), name="block")
    body = k.Sequential([la.Input((5, 5, 4)), inner, la.BatchNormalization()], name="body")
    z = la.Input((5, 5, 4))
    return k.Model(z, la.Dense(2)(la.Flatten()(la.ReLU()(body(z)))))


def fine_tuned(k: Any) -> Any:
    la = k.layers
    base = k.Sequential([la.Input(IMAGE), la.Conv2D(4, 3), la.BatchNormalization(), la.ReLU()], name="base")
    base.trainable = False
    x = la.Input(IMAGE)
    return k.Model(x, la.Dense(3, activation="softmax")(la.Dense(8)(la.Flatten()(base(x)))))


def mixer(k: Any) -> Any:
    la = k.layers
    x = la.Input((8, 8, 3))
    y = la.Reshape((16, 12))(la.Conv2D(12, 2, strides=2)(x))
    for _ in range(2):
        y = la.Add()([y, la.Dense(12)(la.Dense(20, activation="gelu")(la.LayerNormalization(epsilon=1e-5)(y)))])
    return k.Model(x, la.Dense(3, activation="softmax")(la.Flatten()(y)))


def regularized(k: Any) -> Any:
    """Every kind of regularizer, of every kind of weight, and of what layers give."""
    la, re = k.layers, k.regularizers
    x = la.Input(IMAGE)
    y = la.Conv2D(5, 3, activation="tanh", kernel_regularizer="l2", bias_regularizer=re.L1(0.02))(x)
    y = la.DepthwiseConv2D(
        3, use_bias=False, depthwise_regularizer=re.L1L2(0.01, 0.02), activity_regularizer=re.L2(1e-3)
    )(y)
    y = la.BatchNormalization(gamma_regularizer="l1", beta_regularizer=re.L2(0.1))(y)
    y = la.PReLU(shared_axes=[1, 2], alpha_regularizer=re.L2(0.1))(y)
    y = la.SeparableConv2D(6, 3, depthwise_regularizer="l2", pointwise_regularizer="l1")(y)
    y = la.ActivityRegularization(l1=0.01, l2=0.02)(la.LayerNormalization(gamma_regularizer="l2")(y))
    y = la.Dense(5, kernel_regularizer=re.OrthogonalRegularizer(0.1))(la.GlobalMaxPooling2D()(y))
    y = la.Dense(3, kernel_regularizer=re.OrthogonalRegularizer(0.2, mode="columns"))(y)
    y = la.Dense(4, kernel_regularizer=re.L1L2(0.01, 0.01), activity_regularizer="l1l2")(y)
    return k.Model(x, y)


def constrained(k: Any) -> Any:
    """Every kind of constraint, along the first, the middle and the last axes."""
    la, co = k.layers, k.constraints
    x = la.Input(IMAGE)
    y = la.Conv2D(
        5, 3, activation="tanh", kernel_constraint=co.MaxNorm(0.5, axis=[0, 1, 2]), bias_constraint="non_neg"
    )(x)
    y = la.DepthwiseConv2D(3, use_bias=False, depthwise_constraint=co.UnitNorm(axis=[0, 1]))(y)
    y = la.BatchNormalization(gamma_constraint=co.MinMaxNorm(0.5, 1.2, 0.7), beta_constraint="non_neg")(y)
    y = la.SeparableConv2D(6, 3, pointwise_constraint=co.MinMaxNorm(0.2, 0.9, rate=0.5, axis=2))(y)
    return k.Model(x, la.Dense(4, kernel_constraint=co.UnitNorm(axis=1))(la.GlobalMaxPooling2D()(y)))
