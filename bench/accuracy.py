"""Test accuracy and seconds per epoch of one recipe in fastconv and in PyTorch, several seeds, in turn.

    python bench/accuracy.py --dataset mnist --seeds 3
    python bench/accuracy.py --dataset cifar10 --epochs 1 --limit 2000 --skip-torch        a smoke test

The data sets are looked for as fastconv.datasets says (FASTCONV_DATA). Results go to bench/results/, after every seed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import fastconv
from fastconv import layers, models
from fastconv.callbacks import LambdaCallback

RESULTS = Path(__file__).with_name("results")
EPOCHS = {"mnist": 5, "fashion_mnist": 10, "cifar10": 10}
BATCH_SIZE = {"mnist": 128, "fashion_mnist": 128, "cifar10": 64}
CLASSES = 10

# One list per architecture, which both libraries build: (kind, number, ...).
# Keras's MNIST example, and the course's CIFAR-10 network. Glorot weights, Adam(0.001, epsilon=1e-7), pixels / 255.
KERAS_MNIST = (
    ("conv", 32, "valid"),
    ("pool",),
    ("conv", 64, "valid"),
    ("pool",),
    ("flatten",),
    ("dropout", 0.5),
    ("dense", CLASSES),
)
COURSE_CIFAR = (
    ("conv", 32, "same"),
    ("conv", 32, "valid"),
    ("pool",),
    ("dropout", 0.25),
    ("conv", 64, "same"),
    ("conv", 64, "valid"),
    ("pool",),
    ("dropout", 0.25),
    ("flatten",),
    ("dense", 512),
    ("dropout", 0.5),
    ("dense", CLASSES),
)
ARCHITECTURE = {"mnist": KERAS_MNIST, "fashion_mnist": KERAS_MNIST, "cifar10": COURSE_CIFAR}

Data = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load(dataset: str, limit: int | None) -> Data:
    """uint8 images (N, H, W, C) and labels (N,)."""
    module: Any = importlib.import_module(f"fastconv.datasets.{dataset}")
    parts = []
    for x, y in module.load_data():
        x, y = x[:limit], y[:limit].reshape(-1).astype(np.int64)
        parts.append((x[..., None] if x.ndim == 3 else x, y))
    return parts[0], parts[1]


def train_fastconv(data: Data, dataset: str, epochs: int, seed: int) -> tuple[float, list[float]]:
    """(test accuracy, seconds of each epoch)."""
    (x, y), (x_test, y_test) = data
    fastconv.random.seed(seed)
    model = models.Sequential()
    model.add(layers.Input(x.shape[1:]))
    model.add(layers.Rescaling(1 / 255))
    for layer in ARCHITECTURE[dataset]:
        model.add(_fastconv_layer(*layer))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    marks = [time.perf_counter()]
    clock = LambdaCallback(on_epoch_end=lambda epoch, logs: marks.append(time.perf_counter()))
    model.fit(x, y, batch_size=BATCH_SIZE[dataset], epochs=epochs, verbose=0, callbacks=[clock])
    accuracy = float(np.mean(model.predict(x_test, batch_size=256, verbose=0).argmax(-1) == y_test))
    return accuracy, np.diff(marks).tolist()


def _fastconv_layer(kind: str, number: Any = None, padding: str = "valid") -> Any:
    if kind == "conv":
        return layers.Conv2D(number, 3, padding=padding, activation="relu")
    if kind == "dense":
        return layers.Dense(number, activation="softmax" if number == CLASSES else "relu")
    if kind == "dropout":
        return layers.Dropout(number)
    return layers.MaxPooling2D() if kind == "pool" else layers.Flatten()


def train_torch(data: Data, dataset: str, epochs: int, seed: int) -> tuple[float, list[float]]:
    """The same recipe in PyTorch."""
    import torch

    torch.set_num_threads(fastconv.get_num_threads())
    torch.manual_seed(seed)
    (x, y), (x_test, y_test) = (
        (torch.from_numpy(np.ascontiguousarray(a.transpose(0, 3, 1, 2))), torch.from_numpy(b)) for a, b in data
    )
    model = _torch_model(torch, dataset, tuple(x.shape[1:]))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    loss_of = torch.nn.CrossEntropyLoss()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        model.train()
        for rows in torch.randperm(len(x)).split(BATCH_SIZE[dataset]):
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(x[rows].float().div_(255)), y[rows]).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    model.eval()
    with torch.no_grad():
        right = sum(
            int((model(a.float().div_(255)).argmax(1) == b).sum())
            for a, b in zip(x_test.split(256), y_test.split(256), strict=True)
        )
    return right / len(x_test), seconds


def _torch_model(torch: Any, dataset: str, shape: tuple[int, ...]) -> Any:
    nn = torch.nn
    model = nn.Sequential()
    for kind, *numbers in ARCHITECTURE[dataset]:
        if kind == "conv":
            channels = next((m.out_channels for m in reversed(model) if isinstance(m, nn.Conv2d)), shape[0])
            model.extend([nn.Conv2d(channels, numbers[0], 3, padding=numbers[1]), nn.ReLU()])
        elif kind == "dense":
            features = model(torch.zeros(1, *shape)).shape[1]
            model.append(nn.Linear(features, numbers[0]))
            if numbers[0] != CLASSES:
                model.append(nn.ReLU())
        elif kind == "dropout":
            model.append(nn.Dropout(numbers[0]))
        else:
            model.append(nn.MaxPool2d(2) if kind == "pool" else nn.Flatten())
    for module in model:
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return model


def environment() -> dict[str, Any]:
    """What a figure needs beside it to be worth anything."""
    versions = {"numpy": np.__version__, "fastconv": fastconv.__version__}
    if "torch" in sys.modules:
        versions["torch"] = sys.modules["torch"].__version__
    return {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cpu": _cpu_name(), "cpus": os.cpu_count(), "system": platform.platform()},
        "versions": versions,
        "fastconv": fastconv.show_config(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds; an epoch counts with the median of all."""
    return {
        "accuracy_mean": float(np.mean([run["accuracy"] for run in runs])),
        "accuracy_std": float(np.std([run["accuracy"] for run in runs])),
        "seconds_per_epoch_median": float(np.median([s for run in runs for s in run["seconds"]])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=tuple(EPOCHS), default="mnist")
    parser.add_argument("--epochs", type=int, help="default: 5 for mnist, 10 for the others")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0 (default: 3)")
    parser.add_argument("--limit", type=int, help="use only so many training and test images")
    parser.add_argument("--skip-torch", action="store_true", help="fastconv alone")
    parser.add_argument("--output", type=Path, help="default: bench/results/accuracy_DATASET.json")
    args = parser.parse_args()
    output = args.output or RESULTS / f"accuracy_{args.dataset}.json"
    epochs = args.epochs or EPOCHS[args.dataset]
    data = load(args.dataset, args.limit)
    trainers = {"fastconv": train_fastconv} | ({} if args.skip_torch else {"torch": train_torch})
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in trainers}
    for seed in range(args.seeds):
        for name, train in trainers.items():
            accuracy, seconds = train(data, args.dataset, epochs, seed)
            results[name].append({"seed": seed, "accuracy": accuracy, "seconds": [round(s, 3) for s in seconds]})
            print(f"{name:<9} seed {seed}: {accuracy:.4f}, {np.median(seconds):.2f} s per epoch", flush=True)
        recipe = {
            "dataset": args.dataset,
            "epochs": epochs,
            "batch_size": BATCH_SIZE[args.dataset],
            "limit": args.limit,
        }
        means = {name: summary(runs) for name, runs in results.items()}
        report = {**environment(), "recipe": recipe, "summary": means, "runs": results}
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"Wrote {output}")


if __name__ == "__main__":
    main()
