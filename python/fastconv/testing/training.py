"""Training loops in NumPy: three networks written with the reference's ops, beside the same networks in layers.

A second opinion on everything between the ops and a loss curve: tracing, differentiation, plans, optimizers. It knows
nothing of graphs; a :class:`Tape` remembers the calls and walks them backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv import reference

__all__ = ["NETWORKS", "Tape", "TrainedNetwork", "reference_losses"]

Updates = dict[int, np.ndarray]  # new moving statistics, by their place among the weights


class Tape:
    """Calls of the reference's ops, remembered so that gradients can be taken back through them."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, tuple[Any, ...], dict[str, Any], np.ndarray]] = []

    def __call__(self, op: str, *arrays: Any, **keywords: Any) -> Any:
        result = getattr(reference, op)(*arrays, **keywords)
        self._calls.append((op, arrays, keywords, result[0] if isinstance(result, tuple) else result))
        return result

    def gradients(self, dy: np.ndarray, wrt: list[np.ndarray]) -> list[np.ndarray]:
        """The gradient of ``Σ dy · last result`` for each array; an array is known by its identity."""
        arrived = {id(self._calls[-1][3]): dy}
        for op, arrays, keywords, result in reversed(self._calls):
            cotangent = arrived.pop(id(result), None)
            if cotangent is None:
                continue
            found = getattr(reference, f"{op}_backward")(cotangent, *arrays, **keywords)
            for array, gradient in zip(arrays, found, strict=False):
                if gradient is not None:
                    arrived[id(array)] = arrived.get(id(array), 0) + gradient
        return [arrived[id(array)] for array in wrt]


@dataclass(frozen=True)
class TrainedNetwork:
    """One network, twice.

    Attributes:
        build: makes it of layers; takes ``fastconv``, or any module with Keras's ``layers`` and ``Model``.
        forward: computes its output with a tape from ``x`` and the weights in ``get_weights`` order.
        loss: name of the loss, and of the reference's op.
        optimizer: name, and the keywords of its class.
        trainable: places of the trainable weights.
        input_shape, classes: of the data; 0 classes are one real target.
    """

    build: Callable[[Any], Any]
    forward: Callable[[Tape, np.ndarray, list[np.ndarray]], tuple[np.ndarray, Updates]]
    loss: str
    optimizer: tuple[str, dict[str, Any]]
    trainable: tuple[int, ...]
    input_shape: tuple[int, ...]
    classes: int

    def data(self, samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets that have something to do with each other."""
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, (samples, *self.input_shape)).astype(np.float32)
        means = x.reshape(samples, -1)[:, : max(self.classes, 1)]
        if not self.classes:
            return x, means.astype(np.float32)
        labels = means.argmax(-1)
        return x, labels if self.loss.startswith("sparse") else np.eye(self.classes, dtype=np.float32)[labels]


def _mlp(k: Any) -> Any:
    x = k.layers.Input((10,))
    y = k.layers.Dense(16, activation="relu")(x)
    y = k.layers.Dropout(0.0)(k.layers.Dense(8, activation="tanh")(y))
    return k.Model(x, k.layers.Dense(4, activation="softmax")(y))


def _mlp_forward(op: Tape, x: np.ndarray, w: list[np.ndarray]) -> tuple[np.ndarray, Updates]:
    y = op("relu", op("dense", x, w[0], w[1]))
    y = op("tanh", op("dense", y, w[2], w[3]))
    return op("softmax", op("dense", y, w[4], w[5])), {}


def _cnn(k: Any) -> Any:
    x = k.layers.Input((8, 8, 2))
    y = k.layers.Conv2D(6, 3, activation="relu")(x)
    y = k.layers.Flatten()(k.layers.MaxPooling2D(2)(y))
    return k.Model(x, k.layers.Dense(3, activation="softmax")(y))


def _cnn_forward(op: Tape, x: np.ndarray, w: list[np.ndarray]) -> tuple[np.ndarray, Updates]:
    y = op("max_pool2d", op("relu", op("conv2d", x, w[0], w[1])), 2)
    return op("softmax", op("dense", op("flatten", y), w[2], w[3])), {}


def _hourglass(k: Any) -> Any:
    """Batch normalisation, a stride with "same" padding, a transposed convolution, and a residual connection."""
    x = k.layers.Input((7, 7, 2))
    y = k.layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    y = k.layers.Activation("relu")(k.layers.BatchNormalization(momentum=0.9)(y))
    z = k.layers.Conv2D(5, 3, strides=3, padding="valid", activation="sigmoid")(y)
    z = k.layers.Conv2DTranspose(4, 3, strides=2, padding="valid")(z)
    z = k.layers.ZeroPadding2D(1)(z)
    y = k.layers.GlobalAveragePooling2D()(k.layers.Add()([y, z]))
    return k.Model(x, k.layers.Dense(1)(y))


def _hourglass_forward(op: Tape, x: np.ndarray, w: list[np.ndarray]) -> tuple[np.ndarray, Updates]:
    y = op("conv2d", x, w[0], None, padding="same")
    y, mean, variance = op("batch_norm", y, *w[1:5], epsilon=1e-3, training=True, momentum=0.9)
    y = op("relu", y)
    z = op("sigmoid", op("conv2d", y, w[5], w[6], stride=3))
    z = op("pad", op("conv2d_transpose", z, w[7], w[8], stride=2), ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = op("global_avg_pool2d", op("add", y, z))
    return op("dense", y, w[9], w[10]), {3: mean, 4: variance}


NETWORKS = {
    "mlp": TrainedNetwork(
        _mlp,
        _mlp_forward,
        "categorical_crossentropy",
        ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
        tuple(range(6)),
        (10,),
        4,
    ),
    "cnn": TrainedNetwork(
        _cnn,
        _cnn_forward,
        "sparse_categorical_crossentropy",
        ("Adam", {"learning_rate": 0.01}),
        tuple(range(4)),
        (8, 8, 2),
        3,
    ),
    "hourglass": TrainedNetwork(
        _hourglass,
        _hourglass_forward,
        "mean_squared_error",
        ("RMSprop", {"learning_rate": 0.003, "momentum": 0.5}),
        (0, 1, 2, *range(5, 11)),
        (7, 7, 2),
        0,
    ),
}


def _initial_state(optimizer: str, w: np.ndarray) -> list[np.ndarray]:
    slots = {"SGD": 1, "Adam": 2, "RMSprop": 3}[optimizer]
    return [np.zeros_like(w) for _ in range(slots)]


def reference_losses(
    network: TrainedNetwork, weights: list[np.ndarray], batches: Iterator[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[float], list[np.ndarray]]:
    """The loss before each step, and the weights after the last one, all in float64.

    Args:
        network: one of :data:`NETWORKS`.
        weights: in ``get_weights`` order.
        batches: one ``(x, y)`` per step.
    """
    w = [np.asarray(array, np.float64) for array in weights]
    name, settings = network.optimizer
    step_of = getattr(reference, f"{name.lower()}_step")
    state = {i: _initial_state(name, w[i]) for i in network.trainable}
    losses = []
    for step, (x, y) in enumerate(batches, 1):
        tape = Tape()
        prediction, updates = network.forward(tape, x.astype(np.float64), w)
        target = y if network.loss.startswith("sparse") else y.astype(np.float64)
        per_sample = getattr(reference, network.loss)(target, prediction)
        losses.append(float(per_sample.mean()))
        backward = getattr(reference, f"{network.loss}_backward")
        _, dy = backward(np.full(per_sample.shape, 1 / per_sample.size), target, prediction)
        found = tape.gradients(dy, [w[i] for i in network.trainable])
        more = {"step": step} if name == "Adam" else {}
        for i, gradient in zip(network.trainable, found, strict=True):
            w[i], *state[i] = step_of(w[i], gradient, *state[i], **settings, **more)
        for i, new in updates.items():
            w[i] = new
    return losses, w
