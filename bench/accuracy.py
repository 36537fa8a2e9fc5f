"""Trains the same network with fastconv and with PyTorch and writes accuracies and seconds per epoch as JSON.

    FASTCONV_DATA=DIR python bench/accuracy.py --dataset mnist --epochs 5 --seeds 3 [--device cuda]

Writes bench/results/accuracy_DATASET.json, for a GPU gpu_accuracy_DATASET.json.

MNIST and Fashion-MNIST: the CNN of Keras's example (conv32-pool-conv64-pool-dropout .5-dense10, batch 128). CIFAR-10: the
course's CNN (batch 64). Adam, pixels / 255, Glorot initialisation, cross-entropy in both. The libraries take turns epoch
by epoch, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

import environment
import fastconv
import networks
from fastconv import datasets

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load(name: str, limit: int | None) -> Arrays:
    """Images as float32 NHWC in 0..1 and int labels."""
    (x, y), (xt, yt) = getattr(datasets, name).load_data()
    parts = []
    for images, labels in ((x, y), (xt, yt)):
        images = images[:limit].reshape(*images[:limit].shape[:3], -1).astype(np.float32) / 255
        parts.append((images, labels[:limit].reshape(-1).astype(np.int64)))
    return parts[0], parts[1]


class Fastconv:
    """The network in fastconv."""

    def __init__(self, network: networks.Network, batch: int, seed: int, device: str) -> None:
        fastconv.set_device(device)
        fastconv.random.seed(seed)
        self.model = networks.build(network)
        self.model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        self.batch = batch

    def train_epoch(self, x: np.ndarray, y: np.ndarray) -> None:
        self.model.fit(x, y, batch_size=self.batch, epochs=1, verbose=0)

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        return float((self.model.predict_classes(x, 256) == y).mean())


class Torch:
    """The same network in PyTorch, channels_last (its faster mode for these)."""

    def __init__(self, network: networks.Network, batch: int, seed: int, device: str) -> None:
        import torch
        from torch import nn

        from peers import torch_nets

        torch.manual_seed(seed)
        torch.set_num_threads(fastconv.get_num_threads())
        net = torch_nets.build(network)
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.net = net.to(device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.net.parameters(), eps=1e-7)
        self.torch, self.batch, self.device = torch, batch, device

    def _tensor(self, x: np.ndarray) -> Any:
        return self.torch.from_numpy(x).to(self.device).permute(0, 3, 1, 2)  # NHWC memory is channels_last already

    def train_epoch(self, x: np.ndarray, y: np.ndarray) -> None:
        self.net.train()
        images, labels = self._tensor(x), self.torch.from_numpy(y).to(self.device)
        order = self.torch.randperm(len(x), device=self.device)
        for start in range(0, len(x), self.batch):
            rows = order[start : start + self.batch]
            loss = self.torch.nn.functional.cross_entropy(self.net(images[rows]), labels[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        self.net.eval()
        with self.torch.no_grad():
            chunks = [self.net(self._tensor(x[i : i + 256])).argmax(1).cpu().numpy() for i in range(0, len(x), 256)]
        return float((np.concatenate(chunks) == y).mean())


def run(
    dataset: str, epochs: int, seeds: int, batch: int, limit: int | None, device: str, kinds: list[Any]
) -> dict[str, Any]:
    """Accuracy after each epoch, and seconds of each, per library and seed."""
    (x, y), (xt, yt) = load(dataset, limit)
    network = networks.NETWORKS["cifar-cnn" if dataset == "cifar10" else "mnist-cnn"]
    runs: dict[str, list[dict[str, Any]]] = {kind.__name__.lower(): [] for kind in kinds}
    for seed in range(1, seeds + 1):
        learners = [kind(network, batch, seed, device) for kind in kinds]
        records = [{"seed": seed, "seconds": [], "accuracy": []} for _ in learners]
        for epoch in range(epochs):
            for learner, record in zip(learners, records, strict=True):
                started = time.perf_counter()
                learner.train_epoch(x, y)
                record["seconds"].append(round(time.perf_counter() - started, 3))
                record["accuracy"].append(learner.accuracy(xt, yt))
            told = ", ".join(
                f"{type(k).__name__.lower()} {r['accuracy'][-1]:.4f} in {r['seconds'][-1]:.1f} s"
                for k, r in zip(learners, records, strict=True)
            )
            print(f"{dataset} seed {seed} epoch {epoch + 1}/{epochs}: {told}", flush=True)
        for kind, record in zip(kinds, records, strict=True):
            runs[kind.__name__.lower()].append(record)
    return {
        "dataset": dataset,
        "epochs": epochs,
        "batch": batch,
        "device": device,
        "runs": runs,
        "summary": {name: _summary(records) for name, records in runs.items()},
    }


def _summary(records: list[dict[str, Any]]) -> dict[str, float]:
    seconds = [s for record in records for s in record["seconds"]]
    return {
        "mean_final_accuracy": statistics.fmean(record["accuracy"][-1] for record in records),
        "median_seconds_per_epoch": statistics.median(seconds),
        "min_seconds_per_epoch": min(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=("mnist", "fashion_mnist", "cifar10"), default="mnist")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, help="default: 128, and 64 for cifar10")
    parser.add_argument("--limit", type=int, help="only so many samples, for a quick try")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--skip-torch", action="store_true")
    args = parser.parse_args()
    batch = args.batch or (64 if args.dataset == "cifar10" else 128)
    kinds = [Fastconv] if args.skip_torch else [Fastconv, Torch]
    result = run(args.dataset, args.epochs, args.seeds, batch, args.limit, args.device, kinds)
    print(result["summary"])
    if args.limit is None:
        name = f"accuracy_{args.dataset}" if args.device == "cpu" else f"gpu_accuracy_{args.dataset}"
        print("written to", environment.write(name, result))


if __name__ == "__main__":
    main()
