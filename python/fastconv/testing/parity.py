"""Networks that the same function builds with fastconv and with Keras, and how their numbers are compared.

Together they use every layer that both libraries have. ``k`` is either library: ``import fastconv as k``. A convolution before a
batch normalization has no bias: its gradient would be rounding alone, which Adam makes as large as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv.testing import parity_graphs as graphs
from fastconv.testing import parity_volumes
from fastconv.testing.parity_graphs import IMAGE

__all__ = ["OPTIMIZERS", "PARITY", "Network", "difference", "pair"]

BATCH = 8

OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": 0.05}),
    "momentum": ("SGD", {"learning_rate": 0.02, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}),
    "weight decay": ("SGD", {"learning_rate": 0.02, "weight_decay": 0.1}),
    "adam": ("Adam", {}),
    "adam, other numbers": ("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}),
    "adamw": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.05}),
    "amsgrad": ("Adam", {"amsgrad": True, "learning_rate": 0.01, "beta_2": 0.5}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop centered": ("RMSprop", {"learning_rate": 0.002, "centered": True, "momentum": 0.5}),
    "adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "ema": ("SGD", {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7}),
    "clipvalue": ("SGD", {"learning_rate": 0.1, "clipvalue": 0.01}),
    "clipnorm": ("SGD", {"learning_rate": 0.1, "clipnorm": 0.05}),
    "global_clipnorm": ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.05}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0, "rho": 0.9, "weight_decay": 0.02}),
    "adafactor": ("Adafactor", {"learning_rate": 0.02, "weight_decay": 0.05, "clip_threshold": 0.7}),
    "adamax": ("Adamax", {"learning_rate": 0.005, "weight_decay": 0.05}),
    "nadam": ("Nadam", {"learning_rate": 0.005}),
    "ftrl": ("Ftrl", {"learning_rate": 0.05, "l1_regularization_strength": 0.001, "beta": 0.1}),
    "ftrl, other power": ("Ftrl", {"learning_rate_power": -0.3, "l2_shrinkage_regularization_strength": 0.1}),
    "lamb": ("Lamb", {"learning_rate": 0.01, "weight_decay": 0.05}),
    "muon": ("Muon", {"learning_rate": 0.01, "exclude_layers": ["nothing"]}),
    "muon, other numbers": (
        "Muon",
        {
            "nesterov": False,
            "ns_steps": 3,
            "rms_rate": None,
            "adam_lr_ratio": 0.3,
            "momentum": 0.8,
            "global_clipnorm": 0.1,
        },
    ),
    "accumulated": ("Adam", {"gradient_accumulation_steps": 3, "learning_rate": 0.01, "clipnorm": 0.5}),
    "accumulated, with averages": (
        "SGD",
        {"gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    ),
}


@dataclass(frozen=True)
class Network:
    """How a network is built, and what it is trained for.

    Attributes:
        build: ``build(k)`` gives a model of library ``k``.
        loss: one name, or one per output.
        ids: whether the inputs are whole numbers from 0 to 3.
        dropout: whether training draws random numbers (masks, flips), so that no two libraries take the same steps.
    """

    build: Callable[[Any], Any]
    loss: Any
    dropout: bool = False
    ids: bool = False

    def data(self, model: Any, seed: int = 0) -> tuple[Any, Any]:
        """A batch of inputs and targets; ``model`` is fastconv's."""
        rng = np.random.default_rng(seed)
        shapes = [(BATCH, *t.shape[1:]) for t in model.inputs]
        x = [(rng.integers(4, size=s) if self.ids else rng.normal(size=s)).astype(np.float32) for s in shapes]
        losses = self.loss if isinstance(self.loss, list) else [self.loss] * len(model.outputs)
        y = [_targets(rng, loss, t.shape[1:]) for loss, t in zip(losses, model.outputs, strict=True)]
        return (x if len(x) > 1 else x[0]), (y if len(y) > 1 else y[0])


def _targets(rng: np.random.Generator, loss: str, shape: Any) -> np.ndarray:
    """Targets that a loss can take, for predictions of ``shape``."""
    size = (BATCH, *shape)
    if loss == "sparse_categorical_crossentropy":
        return rng.integers(shape[-1], size=size[:-1])
    if loss in ("categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge"):
        return np.eye(shape[-1], dtype=np.float32)[rng.integers(shape[-1], size=size[:-1])]
    if loss == "kl_divergence":
        return rng.dirichlet(np.ones(shape[-1]), size[:-1]).astype(np.float32)
    if loss in ("poisson", "mean_squared_logarithmic_error"):
        return rng.integers(5, size=size).astype(np.float32)
    if loss == "mean_absolute_percentage_error":
        return rng.uniform(0.5, 2, size).astype(np.float32)
    if loss in ("binary_crossentropy", "binary_focal_crossentropy", "hinge", "squared_hinge", "dice", "tversky"):
        return rng.integers(2, size=size).astype(np.float32)
    return rng.normal(size=size).astype(np.float32)


def pair(build: Callable[[Any], Any], ours: Any, theirs: Any, seed: int = 0) -> tuple[Any, Any]:
    """A model of each library with the same weights: fastconv's, those that start as constants (biases, statistics) moved up."""
    models = build(ours), build(theirs)
    rng = np.random.default_rng(seed)
    weights = [
        w + rng.uniform(0.01, 0.1, w.shape).astype(np.float32) if np.ptp(w) == 0 else w for w in models[0].get_weights()
    ]
    for model in models:
        model.set_weights(weights)
    return models


def difference(actual: Any, expected: Any) -> float:
    """The largest difference of two arrays, or lists of them, relative to the largest number expected (at least 1)."""
    if isinstance(actual, (list, tuple)):
        return max(difference(a, e) for a, e in zip(actual, expected, strict=True))
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    return float(np.abs(actual - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1))


PARITY = {
    "linear regression": Network(graphs.sequential((5,), lambda la: la.Dense(1)), "mean_squared_error"),
    "logistic regression": Network(
        graphs.sequential((5,), lambda la: la.Dense(1, activation="sigmoid")), "binary_crossentropy"
    ),
    "softmax regression": Network(
        graphs.sequential(
            (6, 6), lambda la: la.Flatten(), lambda la: la.Dense(4, activation="softmax", use_bias=False)
        ),
        "categorical_crossentropy",
    ),
    "perceptron with hinge": Network(graphs.dense_of(["relu"], "tanh"), "hinge"),
    "relu, tanh, sigmoid": Network(graphs.dense_of(["relu", "tanh", "sigmoid"], "softmax"), "categorical_crossentropy"),
    "elu, selu, softplus": Network(graphs.dense_of(["elu", "selu", "softplus"]), "mean_absolute_error"),
    "gelu, silu, log_softmax": Network(graphs.dense_of(["gelu", "silu", "swish", "log_softmax"]), "huber"),
    "relu6, leaky_relu, hard_sigmoid, hard_silu": Network(
        graphs.dense_of(["relu6", "leaky_relu", "hard_sigmoid", "hard_silu", "linear"], "softmax"), "kl_divergence"
    ),
    "layers of activations": Network(graphs.activation_layers, "mean_squared_error"),
    "dropout": Network(
        graphs.sequential(
            (6,), lambda la: la.Dense(9, activation="relu"), lambda la: la.Dropout(0.4), lambda la: la.Dense(3)
        ),
        "mean_squared_error",
        dropout=True,
    ),
    "augmentation": Network(
        graphs.sequential(
            IMAGE,
            lambda la: la.RandomFlip("horizontal", seed=3),
            lambda la: la.RandomTranslation(0.1, (-0.2, 0.1), fill_mode="nearest"),
            lambda la: la.Conv2D(4, 3, activation="relu"),
            lambda la: la.GlobalAveragePooling2D(),
        ),
        "mean_squared_error",
        dropout=True,
    ),
    "lenet": Network(
        graphs.sequential(
            (28, 28, 1),
            lambda la: la.Rescaling(1 / 127.5, -1),
            lambda la: la.Conv2D(6, 5, padding="same", activation="tanh"),
            lambda la: la.AveragePooling2D(2),
            lambda la: la.Conv2D(16, 5, activation="tanh"),
            lambda la: la.AveragePooling2D(2),
            lambda la: la.Flatten(),
            lambda la: la.Dense(20, activation="tanh"),
            lambda la: la.Dense(10, activation="softmax"),
        ),
        "sparse_categorical_crossentropy",
    ),
    "mnist_convnet of keras.io": Network(
        graphs.sequential(
            (28, 28, 1),
            lambda la: la.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            lambda la: la.MaxPooling2D(pool_size=(2, 2)),
            lambda la: la.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            lambda la: la.MaxPooling2D(pool_size=(2, 2)),
            lambda la: la.Flatten(),
            lambda la: la.Dropout(0.5),
            lambda la: la.Dense(10, activation="softmax"),
        ),
        "categorical_crossentropy",
        dropout=True,
    ),
    "vgg with batch normalization": Network(
        graphs.sequential(
            IMAGE,
            *[
                make
                for filters in (6, 8)
                for make in (
                    lambda la, f=filters: la.Conv2D(
                        f, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
                    ),
                    lambda la: la.BatchNormalization(),
                    lambda la: la.Activation("relu"),
                    lambda la: la.MaxPooling2D(),
                )
            ],
            lambda la: la.Flatten(),
            lambda la: la.Dense(5, activation="softmax"),
        ),
        "sparse_categorical_crossentropy",
    ),
    "strides instead of pooling": Network(
        graphs.sequential(
            IMAGE,
            lambda la: la.Conv2D(6, 4, strides=2, padding="same", activation="leaky_relu"),
            lambda la: la.Conv2D(6, (3, 2), strides=(2, 1), activation="leaky_relu"),
            lambda la: la.Reshape((-1, 6)),
            lambda la: la.Dense(4),
        ),
        "mean_squared_error",
    ),
    "dilation": Network(
        graphs.sequential(
            IMAGE,
            lambda la: la.Conv2D(4, 3, dilation_rate=2, padding="same", activation="relu"),
            lambda la: la.Conv2D(3, 3, dilation_rate=(1, 3), activation="sigmoid"),
        ),
        "binary_crossentropy",
    ),
    "groups": Network(
        graphs.sequential(
            (8, 8, 4),
            lambda la: la.Conv2D(8, 3, groups=4, activation="relu"),
            lambda la: la.Conv2D(6, 3, groups=2, use_bias=False),
            lambda la: la.GlobalMaxPooling2D(),
        ),
        "mean_squared_error",
    ),
    "depthwise separable": Network(
        graphs.sequential(
            IMAGE,
            lambda la: la.DepthwiseConv2D(3, depth_multiplier=2, padding="same", depthwise_initializer="he_uniform"),
            lambda la: la.Conv2D(8, 1, activation="relu"),
            lambda la: la.DepthwiseConv2D(3, strides=2, activation="relu6"),
            lambda la: la.GlobalAveragePooling2D(),
            lambda la: la.Dense(3, activation="softmax"),
        ),
        "categorical_crossentropy",
    ),
    "separable": Network(
        graphs.sequential(
            IMAGE,
            lambda la: la.Cropping2D(((1, 0), (2, 1))),
            lambda la: la.SeparableConv2D(8, 3, padding="same", depth_multiplier=2, activation="relu"),
            lambda la: la.SeparableConv2D(4, 3, strides=2, use_bias=False, pointwise_initializer="he_normal"),
            lambda la: la.GlobalAveragePooling2D(),
        ),
        "mean_squared_error",
    ),
    "sequences": Network(graphs.sequences, "categorical_crossentropy"),
    "simple recurrent network": Network(
        graphs.sequential(
            (8, 5),
            lambda la: la.SimpleRNN(
                7, return_sequences=True, activation="relu", recurrent_initializer="glorot_uniform"
            ),
            lambda la: la.SimpleRNN(6, go_backwards=True),
            lambda la: la.Dense(3, activation="softmax"),
        ),
        "sparse_categorical_crossentropy",
    ),
    "lstm, gru": Network(
        graphs.sequential(
            (6, 5),
            lambda la: la.LSTM(8, return_sequences=True, go_backwards=True),
            lambda la: la.GRU(7, return_sequences=True, recurrent_activation="hard_sigmoid"),
            lambda la: la.GRU(6, reset_after=False),
            lambda la: la.Dense(3, activation="softmax"),
        ),
        "categorical_crossentropy",
    ),
    "words": Network(graphs.words, "sparse_categorical_crossentropy", ids=True),
    "encoder and decoder": Network(graphs.encoder_and_decoder, "mean_squared_error"),
    "inverted residuals": Network(graphs.inverted_residual, "sparse_categorical_crossentropy"),
    "residuals": Network(graphs.residual, "categorical_crossentropy"),
    "residuals, activated before": Network(graphs.preactivated, "mean_squared_error"),
    "densely connected": Network(graphs.densely_connected, "mean_squared_error"),
    "inception": Network(graphs.inception, "categorical_crossentropy"),
    "squeeze and excite": Network(graphs.squeeze_and_excite, "mean_squared_error"),
    "unet": Network(graphs.unet, "categorical_crossentropy"),
    "convolutional autoencoder": Network(
        graphs.sequential(
            (12, 12, 1),
            lambda la: la.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            lambda la: la.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
            lambda la: la.ZeroPadding2D(((1, 0), (0, 1))),
            lambda la: la.Conv2D(1, 2, activation="sigmoid"),
        ),
        "binary_crossentropy",
    ),
    "upsampling autoencoder": Network(graphs.upsampling, "binary_crossentropy"),
    "unet with upsampling": Network(graphs.upsampling_unet, "categorical_crossentropy"),
    "upsampling of sequences": Network(
        graphs.sequential(
            (5, 3),
            lambda la: la.Conv1D(4, 3, padding="same", activation="relu"),
            lambda la: la.UpSampling1D(3),
            lambda la: la.Conv1D(2, 3, activation="tanh"),
            lambda la: la.Flatten(),
            lambda la: la.Dense(2),
        ),
        "mean_squared_error",
    ),
    "resized images": Network(graphs.resized, "mean_squared_error"),
    "normalized data": Network(
        graphs.sequential(
            (6, 6, 3),
            lambda la: la.Normalization(mean=[0.5, -0.2, 0.1], variance=[1.0, 0.04, 9.0]),
            lambda la: la.Conv2D(3, 3, activation="relu"),
            lambda la: la.Normalization(axis=None, mean=0.1, variance=0.5, invert=True),
            lambda la: la.Flatten(),
            lambda la: la.Dense(3),
        ),
        "mean_squared_error",
    ),
    "noise": Network(graphs.noisy, "mean_squared_error", dropout=True),
    "random geometry and colours": Network(
        graphs.sequential(
            (8, 8, 3),
            lambda la: la.RandomRotation(0.1, fill_mode="nearest", seed=3),
            lambda la: la.RandomZoom((-0.2, 0.1), 0.1, interpolation="nearest"),
            lambda la: la.RandomShear(0.1, 0.2),
            lambda la: la.RandomContrast(0.2, value_range=(0, 1)),
            lambda la: la.RandomBrightness((-0.1, 0.2), value_range=(0, 1)),
            lambda la: la.Conv2D(4, 3, activation="relu"),
            lambda la: la.GlobalAveragePooling2D(),
        ),
        "mean_squared_error",
        dropout=True,
    ),
    "siamese towers": Network(graphs.siamese, "binary_crossentropy"),
    "a layer at two depths": Network(graphs.shared_layers, "mean_squared_error"),
    "two inputs": Network(graphs.two_inputs, "huber"),
    "two outputs": Network(graphs.two_outputs, ["categorical_crossentropy", "mean_squared_error"]),
    "models in models": Network(graphs.nested, "mean_squared_error"),
    "fine-tuning": Network(graphs.fine_tuned, "sparse_categorical_crossentropy"),
    "mixer with layer normalization": Network(graphs.mixer, "categorical_crossentropy"),
    "volumes": Network(parity_volumes.volumes, "categorical_crossentropy"),
    "transposed volumes": Network(parity_volumes.transposed_volumes, "mean_squared_error"),
    "sequences, separable and transposed": Network(parity_volumes.more_sequences, "mean_squared_error"),
    "group normalization": Network(parity_volumes.group_norms, "categorical_crossentropy"),
    "dropped channels of volumes": Network(parity_volumes.dropped_channels, "mean_squared_error", dropout=True),
    "joining": Network(parity_volumes.merging, "mean_squared_error"),
    "more activations": Network(parity_volumes.activations_by_name, "mean_squared_error"),
    "more layers of activations": Network(parity_volumes.more_activation_layers, "mean_squared_error"),
    "regularized": Network(graphs.regularized, "mean_squared_error"),
    "constrained": Network(graphs.constrained, "mean_squared_error"),
    "margins": Network(graphs.dense_of(["relu"], "tanh"), "squared_hinge"),
    "margins of classes": Network(graphs.dense_of(["tanh"]), "categorical_hinge"),
    "smooth absolute error": Network(graphs.dense_of(["relu"]), "log_cosh"),
    "directions": Network(graphs.dense_of(["tanh"]), "cosine_similarity"),
    "focus on what is wrong": Network(graphs.dense_of(["tanh"], "sigmoid"), "binary_focal_crossentropy"),
    "normalized lengths": Network(parity_volumes.lengths, "mean_squared_error"),
    "spectral normalization": Network(parity_volumes.spectral, "mean_squared_error"),
    "counts": Network(graphs.dense_of(["tanh"], "softplus"), "poisson"),
    "per cent": Network(graphs.dense_of(["tanh"]), "mean_absolute_percentage_error"),
    "orders of magnitude": Network(graphs.dense_of(["tanh"], "softplus"), "mean_squared_logarithmic_error"),
    "regions": Network(graphs.segmentation, "dice"),
    "regions, weighted": Network(graphs.segmentation, "tversky"),
    "focus on classes": Network(graphs.dense_of(["tanh"], "softmax"), "categorical_focal_crossentropy"),
}
