"""``fastconv bench``: images per second of the architectures on this machine, in training and in inference."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fastconv
from fastconv import zoo
from fastconv.cli import options
from fastconv.cli.config_file import add_config

__all__ = ["add_parser", "run"]

_SHAPES = {"mlp": (28, 28, 1), "cnn": (28, 28, 1), "vgg": (32, 32, 3), "resnet20": (32, 32, 3)}
_CLASSES = 10


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("bench", help="images per second on this machine", description=__doc__)
    parser.add_argument("--model", choices=tuple(zoo.ARCHITECTURES), help="one architecture (default: all)")
    parser.add_argument(
        "--batch-size", type=options.natural, default=128, metavar="N", help="images per step (default: 128)"
    )
    parser.add_argument(
        "--seconds", type=options.positive_real, default=1.0, metavar="S", help="time per figure (default: 1)"
    )
    options.add_threads(parser)
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    options.apply_threads(args)
    config = fastconv.show_config()
    print(f"fastconv {config['fastconv']}, {config['isa']}, {config['threads']} threads, batch size {args.batch_size}")
    print(f"{'model':<10} {'image':<10} {'training':>16} {'inference':>16}")
    for name in [args.model] if args.model else _SHAPES:
        shape = _SHAPES[name]
        model = zoo.build(name, shape, _CLASSES)
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        rng = np.random.default_rng(0)
        x = rng.integers(0, 256, (args.batch_size, *shape)).astype(np.float32)
        y = rng.integers(0, _CLASSES, args.batch_size)
        train = _median_seconds(partial(model.train_on_batch, x, y), args.seconds)
        infer = _median_seconds(partial(model.predict_on_batch, x), args.seconds)
        image = "x".join(map(str, shape))
        rates = [f"{args.batch_size / seconds:>10,.0f} img/s" for seconds in (train, infer)]
        print(f"{name:<10} {image:<10} {rates[0]:>16} {rates[1]:>16}", flush=True)


def _median_seconds(step: Callable[[], Any], budget: float) -> float:
    """Median time of a step over about ``budget`` seconds, after one step that compiles and warms up."""
    step()
    times: list[float] = []
    while not times or sum(times) < budget:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
