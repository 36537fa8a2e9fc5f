"""Trains a network to 94 % on CIFAR-10 as fast as it can: airbench94's recipe in fastconv, and beside it in PyTorch.

    python examples/cifar10_speedrun.py --device cuda --runs 5 --peer torch

The network and the recipe are K. Jordan's: "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498. README.md
says what the figures mean and which of them have been measured.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from typing import Any

import numpy as np
from _example import machine, percent
from cifar10_recipe import Recipe, accuracies, half_mirrored, standardised, synthetic, views, whitening_filters

import fastconv
from fastconv import callbacks, datasets, initializers, layers, losses, models, optimizers, schedules

TEST_BATCH = 2000


def augmentation(recipe: Recipe) -> list[layers.Layer]:
    """In training, mirrors all images in every other epoch, and moves each over its reflected borders."""
    return [
        layers.RandomFlip("horizontal", alternate=True),
        layers.RandomCrop(32, 32, padding=recipe.translation, fill_mode="mirror"),
    ]


def network(recipe: Recipe, first: Sequence[layers.Layer] = ()) -> models.Sequential:
    """A whitening layer whose filters stay, three blocks of two convolutions, a classifier with small outputs.

    Args:
        recipe: its widths.
        first: what happens to the images before.
    """
    uniform = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")  # within 1 / sqrt(fan_in), PyTorch's own
    through = initializers.Dirac(rest=uniform)

    def convolution(width: int) -> layers.Layer:
        return layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer=through)

    def norm() -> layers.Layer:
        return layers.BatchNormalization(momentum=recipe.norm_momentum, epsilon=recipe.norm_epsilon, scale=False)

    def block(width: int) -> list[layers.Layer]:
        first = [convolution(width), layers.MaxPooling2D(2), norm(), layers.GELU()]
        return [*first, convolution(width), norm(), layers.GELU()]

    return models.Sequential(
        [
            layers.Input((32, 32, 3)),
            *first,
            layers.Conv2D(24, 2, frozen_weights=["kernel"], name="whitening"),
            layers.GELU(),
            *(layer for width in recipe.widths for layer in block(width)),
            layers.MaxPooling2D(3),
            layers.Flatten(),
            layers.Dense(10, use_bias=False, kernel_initializer=uniform),
            layers.Rescaling(1 / 9),
        ]
    )


class SlowStep(schedules.LearningRateSchedule):
    """The slow weights go to meet the fast ones almost all the way at first, and less and less of it."""

    def __init__(self, recipe: Recipe, steps: int) -> None:
        self._recipe, self._steps = recipe, steps

    def __call__(self, step: int) -> float:
        return 1 - self._recipe.averaging(step, self._steps)


def optimizer(recipe: Recipe, steps: int) -> optimizers.Optimizer:
    """SGD with a triangular learning rate, 64 times as high for biases of batch normalisation, under Lookahead."""
    corners, shares = recipe.triangle(steps)

    def sgd(peak: float) -> optimizers.Optimizer:
        rate = schedules.PiecewiseLinear(corners, [peak * share for share in shares])
        return optimizers.TorchSGD(rate, recipe.momentum, nesterov=True, weight_decay=recipe.decay(peak))

    rates = optimizers.OptimizerMap(sgd(recipe.rate), {".*/beta": sgd(recipe.bias_rate)})
    return optimizers.Lookahead(
        optimizers.MultiOptimizer(rates), recipe.lookahead_period, SlowStep(recipe, steps), moving_statistics=True
    )


class Clock(callbacks.Callback):
    """When the first step was done: plans are made and kernels loaded by then."""

    async_safe = True

    def on_train_begin(self, logs: Any = None) -> None:
        self.first_step: float | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.first_step is None:
            self.first_step = time.perf_counter()


def train(data: Any, recipe: Recipe, seed: int) -> dict[str, float]:
    """One run: how long it took, from pixels in memory to predictions, and how good they are."""
    (images, labels), (test_images, test_labels) = data
    steps = recipe.total_steps(len(images))
    fastconv.utils.set_random_seed(seed)
    clock, begin = Clock(), time.perf_counter()

    pixels, per_epoch = standardised(images), recipe.steps_per_epoch(len(images))
    model = network(recipe, augmentation(recipe))
    filters = whitening_filters(pixels[:5000], recipe.whitening_epsilon)
    model.get_layer("whitening").kernel.assign(filters)
    loss = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer(recipe, steps), loss)
    history = model.fit(
        half_mirrored(pixels, seed),
        np.eye(10, dtype=np.float32)[labels],
        batch_size=recipe.batch_size,
        epochs=-(-steps // per_epoch),
        steps_per_epoch=per_epoch,
        callbacks=[callbacks.Freeze("whitening", recipe.whitening_epochs), callbacks.MaxSteps(steps), clock],
        verbose=0,
    )
    asked = views(standardised(test_images))
    answers = [(weight, model.predict(x, batch_size=TEST_BATCH, verbose=0)) for weight, x in asked]
    alone, together = accuracies(answers, test_labels)
    return {
        "steps": steps,
        "seconds": time.perf_counter() - begin,
        "first_step_seconds": clock.first_step - begin,
        "last_loss": history.history["loss"][-1],
        "accuracy_without_views": alone,
        "accuracy": together,
    }


def argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda; of both forms")
    parser.add_argument("--precision", default="float32", help="fastconv's dtype policy")
    parser.add_argument("--peer", choices=["torch"], help="also train in PyTorch, in turn")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--warm-up", action="store_true", help="one run before the others, not reported")
    parser.add_argument("--epochs", type=float, default=Recipe.epochs)
    parser.add_argument("--batch-size", type=int, default=Recipe.batch_size)
    parser.add_argument("--width", type=float, default=1.0, help="of the network, times the recipe's")
    parser.add_argument("--synthetic", type=int, metavar="N", help="N drawn images instead of CIFAR-10")
    parser.add_argument("--samples", type=int, help="train on the first so many images")
    parser.add_argument("--json", metavar="FILE", help="write all results to FILE")
    return parser


def main() -> None:
    arguments = argument_parser().parse_args()
    widths = tuple(max(8, round(width * arguments.width)) for width in Recipe.widths)
    recipe = replace(Recipe(), epochs=arguments.epochs, batch_size=arguments.batch_size, widths=widths)
    data = synthetic(arguments.synthetic) if arguments.synthetic else cifar10(arguments.samples)
    fastconv.set_device(arguments.device)
    fastconv.set_dtype_policy(arguments.precision)
    forms: dict[str, Callable[..., dict[str, float]]] = {"fastconv": train}
    if arguments.peer:
        import cifar10_speedrun_torch

        forms["torch"] = lambda *run: cifar10_speedrun_torch.train(*run, device=arguments.device)
    if arguments.warm_up:
        for form in forms.values():
            form(data, recipe, arguments.runs)
    runs = []
    for seed in range(arguments.runs):
        for name, form in forms.items():
            runs.append({"form": name, "seed": seed, **form(data, recipe, seed)})
            print(
                *(
                    f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                    for key, value in runs[-1].items()
                )
            )
    if arguments.json:
        report = {
            "results": {f"{run['form']}_{run['seed']}": percent(run["accuracy"]) for run in runs},
            "command": shlex.join(["python", "examples/cifar10_speedrun.py", *sys.argv[1:]]),
            **machine(),
            **({"gpu": gpu(arguments.device)} if arguments.device != "cpu" else {}),
            **({"torch": metadata.version("torch")} if arguments.peer else {}),
            "recipe": asdict(recipe),
            "runs": runs,
        }
        with open(arguments.json, "w", encoding="utf-8") as file:
            file.write(json.dumps(report, indent=1) + "\n")


def cifar10(samples: int | None) -> Any:
    """CIFAR-10 with labels (N,), the training set cut to ``samples``."""
    (images, labels), (test_images, test_labels) = datasets.cifar10.load_data()
    return (images[:samples], labels[:samples, 0]), (test_images, test_labels[:, 0])


def gpu(device: str) -> str:
    """Its name."""
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(fastconv.config.device_number(device))["name"].decode()


if __name__ == "__main__":
    main()
