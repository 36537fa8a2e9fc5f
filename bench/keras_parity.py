"""The same networks in Keras 3 and in fastconv, with the same weights: how far their numbers are apart.

    python bench/keras_parity.py        writes bench/results/keras_parity.json and docs/keras_parity.md

Needs Keras with its PyTorch backend. The networks: fastconv.testing.parity; tests/test_keras_parity.py holds the bounds.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

import fastconv
from fastconv import random
from fastconv.saving.keras_names import NOT_SHARED, known_layers
from fastconv.testing.numerics import numerics
from fastconv.testing.parity import OPTIMIZERS, PARITY, Network, difference, pair

ROOT = Path(__file__).parents[1]
STEPS = 20
TRAINED = ("vgg with batch normalization", "two outputs")  # by every optimizer


DIFFERENCES = """
Where the two differ:

- Random numbers: the same seed gives other weights, masks and flips; `RandomCrop` draws a place for every image here, and one
  for a batch in Keras; in inference it takes the middle here, and Keras resizes the image.
- `AveragePooling2D(padding="same")` with uneven padding averages what lies in the image, as Keras on TensorFlow and JAX; Keras
  on PyTorch counts repeated edges.
- `interpolation="bicubic"` without `antialias` has the weights of TensorFlow and JAX (Keys's kernel with -0.5, cells beyond the
  image left out); Keras on PyTorch has -0.75, and repeats edges. Lanczos is here, too, which Keras lacks on PyTorch.
- `RandomContrast(0.2)` draws factors between 0.8 and 1.2, as Keras's documentation says; Keras 3.15 draws between 1 and 1.2.
- `Normalization` divides by sqrt(variance + 1e-14), Keras by the larger of sqrt(variance) and 1e-7; its axes must be the last ones.
- `sparsemax` is that of the paper, whose rows sum to 1; Keras 3.15's threshold adds up cumulative sums, and [0.5, 0.4] gives
  [0.3, 0.2] there.
- Random rotations, zooms and the like have no gradient: what comes before them has no weights. `fill_mode="mirror"` is ours.
- Training minimises the mean of a loss over samples whatever its `reduction`; a `.keras` file with `reduction="sum"` is refused.
- Layers inside: the normalisations work along the last axis, `Dot` takes vectors and does not normalise them, input extents are
  fixed, and constraints take norms along neighbouring axes: one error lists all that a `.keras` file asks for. A regularizer
  is one of Keras's or a function, which no file can hold.
- Where inputs of `Maximum` or `Minimum` are equal, the gradient goes to the first; Keras on PyTorch halves it.
- `ScheduleFreeAdamW` follows its formula, as Keras does where arrays are immutable; Keras on PyTorch takes the new momentum for the
  old one, since its variables change in place.
- Keras 3.15 forgets `Huber`'s `delta` when it writes a file; fastconv's own `.keras` files keep it.
- A `.keras` file holds no random state, so that training goes on with other masks and shuffles; a `.safetensors` file does.
"""


def models(network: Network) -> tuple[Any, Any]:
    """Ours and Keras's, with the same weights."""
    random.seed(1)
    return pair(network.build, fastconv, keras)


def keras_gradients(model: Any, x: Any, y: Any) -> list[np.ndarray]:
    """Gradients of the loss, in inference mode, by PyTorch."""
    for weight in model.trainable_weights:
        weight.value.grad = None
    loss = model.compute_loss(x, y, model(x, training=False))
    loss.backward()
    return [weight.value.grad.cpu().numpy() for weight in model.trainable_weights]


def predictions(ours: Any, theirs: Any, x: Any) -> float:
    return difference(ours.predict(x), keras.tree.map_structure(np.asarray, theirs.predict(x, verbose=0)))


def gradients(network: Network, ours: Any, theirs: Any) -> float:
    x, y = network.data(ours)
    for model in (ours, theirs):
        model.compile("sgd", network.loss)
    _, found = ours.gradients(x, y)
    paths = {variable: path for path, variable in ours.weights_by_path().items()}
    return difference([found[paths[v]] for v in ours.trainable_weights], keras_gradients(theirs, x, y))


def steps(network: Network, ours: Any, theirs: Any, optimizer: str) -> float:
    """The difference of the weights after ``STEPS`` steps on batches of their own, in strict precision."""
    kind, settings = OPTIMIZERS[optimizer]
    for k, model in ((fastconv, ours), (keras, theirs)):
        model.compile(getattr(k.optimizers, kind)(**settings), network.loss)
    with numerics("strict"):
        for step in range(STEPS):
            x, y = network.data(ours, seed=step)
            ours.train_on_batch(x, y)
            theirs.train_on_batch(x, y)
    return difference(ours.get_weights(), theirs.get_weights())


def layers_of(model: Any) -> set[str]:
    """The kinds of layers in a model and in the models inside it."""
    found = set()
    for layer in model.layers:
        found |= layers_of(layer) if hasattr(layer, "layers") else {type(layer).__name__}
    return found


def optimizer_of(name: str) -> str:
    """The optimizer that trains a network: they take turns."""
    return list(OPTIMIZERS)[list(PARITY).index(name) % len(OPTIMIZERS)]


def measure() -> dict[str, Any]:
    networks = {}
    for name, network in PARITY.items():
        ours, theirs = models(network)
        row: dict[str, Any] = {"parameters": ours.count_params(), "layers": sorted(layers_of(ours))}
        row["predictions"] = predictions(ours, theirs, network.data(ours)[0])
        row["gradients"] = gradients(network, ours, theirs)
        if not network.dropout:
            row["optimizer"] = optimizer_of(name)
            row["weights"] = steps(network, ours, theirs, row["optimizer"])
        networks[name] = row
        print(name, row, flush=True)
    trained = {
        optimizer: {name: steps(PARITY[name], *models(PARITY[name]), optimizer) for name in TRAINED}
        for optimizer in OPTIMIZERS
    }
    ours, theirs = {"InputLayer", *known_layers()}, set(dir(keras.layers))
    lacking = sorted(
        name
        for name in theirs - ours - {"Layer", "Wrapper"}
        if isinstance(getattr(keras.layers, name), type) and getattr(keras.layers, name).__name__ == name
    )
    return {
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "networks": networks,
        "optimizers": trained,
        "layers both have": sorted(ours),
        "layers of Keras that fastconv lacks": lacking,
        "optimizers of Keras that fastconv lacks": sorted(
            name
            for name in dir(keras.optimizers)
            if isinstance(getattr(keras.optimizers, name), type)
            and name not in ("Optimizer", "LossScaleOptimizer")
            and not hasattr(fastconv.optimizers, name)
        ),
        "layers of fastconv that Keras lacks or means otherwise": [*NOT_SHARED, "GELU"],
    }


def page(results: dict[str, Any]) -> str:
    """The table for people."""
    lines = [
        "# Beside Keras",
        "",
        f"Written by `python bench/keras_parity.py` with Keras {results['keras']} on {results['backend']}. The same functions build each "
        "network with Keras and with fastconv, the weights are copied, and the largest difference is shown, relative to the "
        "largest number expected (at least 1). `tests/test_keras_parity.py` holds the bounds: predictions 1e-5, gradients 1e-4, "
        f"weights after {STEPS} steps 1e-4. Steps are in strict "
        "precision: an error of 1e-6, which fast precision allows, is enough to push a cell over the kink of a ReLU. A network with dropout or random flips takes no "
        "steps: its random numbers are each library's own.",
        "",
        "| network | parameters | predictions | gradients | optimizer | weights |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for name, row in results["networks"].items():
        trained = f"{row['optimizer']} | {row['weights']:.0e}" if "optimizer" in row else "- | -"
        lines.append(
            f"| {name} | {row['parameters']:,} | {row['predictions']:.0e} | {row['gradients']:.0e} | {trained} |"
        )
    lines += ["", f"Every optimizer, {STEPS} steps:", "", "| optimizer | " + " | ".join(TRAINED) + " |"]
    lines.append("|---|" + "---:|" * len(TRAINED))
    for name, row in results["optimizers"].items():
        lines.append(f"| {name} | " + " | ".join(f"{row[network]:.0e}" for network in TRAINED) + " |")
    for title in (
        "layers both have",
        "layers of Keras that fastconv lacks",
        "layers of fastconv that Keras lacks or means otherwise",
        "optimizers of Keras that fastconv lacks",
    ):
        lines += ["", f"{title[0].upper()}{title[1:]} ({len(results[title])}): {', '.join(results[title]) or 'none'}."]
    return "\n".join(lines) + "\n" + DIFFERENCES


def main() -> None:
    results = measure()
    (ROOT / "bench/results/keras_parity.json").write_text(json.dumps(results, indent=1) + "\n")
    (ROOT / "docs/keras_parity.md").write_text(page(results))


if __name__ == "__main__":
    main()
