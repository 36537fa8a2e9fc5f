"""``fastconv train``: trains an image classifier; writes the model, its history and pictures of both."""

from __future__ import annotations

import argparse
import importlib.util
import time
from typing import Any

import fastconv
from fastconv import optimizers, random, report, zoo
from fastconv.callbacks import CSVLogger, ModelCheckpoint
from fastconv.cli import data, options
from fastconv.cli.config_file import add_config
from fastconv.cli.run_folder import RunFolder
from fastconv.cli.scores import Scores, score
from fastconv.models import load_model
from fastconv.utils import train_val_test_split

__all__ = ["add_parser", "run"]

_VALIDATION_SHARE = 0.1
_RECIPES = {
    "digits": (60, 32),
    "mnist": (5, 128),
    "fashion_mnist": (10, 128),
    "cifar10": (20, 64),
}  # epochs, batch size
_OTHER_RECIPE = (20, 32)
_DEFAULTS = {"dataset": "digits", "model": "cnn", "optimizer": "adam", "seed": 0}
_FIXED = ("dataset", "image_size", "model", "batch_size", "optimizer", "learning_rate", "seed")  # on a resume


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a classifier on images",
        description="Trains an image classifier and writes model.safetensors, history.csv, learning_curve.png, "
        "confusion_matrix.png and, with --report, report.html. Without arguments: a small CNN on the handwritten digits that ship with fastconv.",
    )
    data.add_dataset(parser, "digits")
    parser.add_argument("--model", choices=tuple(zoo.ARCHITECTURES), help="architecture (default: cnn)")
    parser.add_argument(
        "--epochs", type=options.natural, metavar="N", help="passes over the data (default: fits the data set)"
    )
    parser.add_argument(
        "--batch-size", type=options.natural, metavar="N", help="images per step (default: fits the data set)"
    )
    parser.add_argument(
        "--optimizer", choices=("adam", "adamw", "sgd", "rmsprop", "adagrad"), help="optimizer (default: adam)"
    )
    parser.add_argument(
        "--learning-rate", type=options.positive_real, metavar="X", help="step size (default: the optimizer's)"
    )
    parser.add_argument(
        "--seed", type=options.non_negative, metavar="N", help="of weights, shuffles and dropout (default: 0)"
    )
    options.add_threads(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the training in the output folder, bit for bit (default: train anew)",
    )
    parser.add_argument(
        "--report", action="store_true", help="also write report.html, a page for a browser (default: no)"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors (default: progress and results)")
    add_config(parser)
    parser.add_argument(
        "--output", metavar="DIR", help="where the files go; earlier ones are replaced (default: runs/DATASET-MODEL)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    options.apply_threads(args)
    folder = RunFolder(args.output or _default_output(args))
    settings = _resumed(args, folder) if args.resume else _new(args)
    images = data.load(settings["dataset"], settings["image_size"])
    settings["class_names"] = list(images.class_names)
    say = _silent if args.quiet else print
    _announce(settings, images, say)
    if not args.resume:
        folder.forget_training()  # an older one's, which is not to be resumed with these settings
    folder.write_settings(settings)
    rate = _train(folder, settings, images, args.resume, 0 if args.quiet else "auto", say)
    model = load_model(folder.model, compile=False)
    scores = score(model, images.x_test, images.y_test)
    say(f"Test accuracy: {scores}")
    written = [folder.model.name, folder.history.name, *_draw(folder, settings, scores, say)]
    if args.report:
        _report(folder, settings, images, model, rate)
        written.append(folder.report.name)
    folder.write_settings({**settings, "finished": True})
    say(f"Wrote {folder.path}: {', '.join(written)}")


def _silent(*_: Any, **__: Any) -> None:
    """Instead of print."""


def _default_output(args: argparse.Namespace) -> str:
    label = data.dataset_label(args.dataset or str(_DEFAULTS["dataset"]))
    return f"runs/{label}-{args.model or _DEFAULTS['model']}"


def _new(args: argparse.Namespace) -> dict[str, Any]:
    settings = {name: getattr(args, name) for name in ("epochs", *_FIXED)}
    settings.update({name: value for name, value in _DEFAULTS.items() if settings[name] is None})
    recipe = _RECIPES.get(settings["dataset"], _OTHER_RECIPE)
    for name, value in zip(("epochs", "batch_size"), recipe, strict=True):
        if settings[name] is None:
            settings[name] = value
    return settings


def _resumed(args: argparse.Namespace, folder: RunFolder) -> dict[str, Any]:
    settings = folder.read_settings()
    if not settings:
        raise ValueError(f"[train] there is nothing to resume: expected {folder.settings}. Train without --resume.")
    for name in ("epochs", *_FIXED):
        given = getattr(args, name)
        if name not in settings or not _fits(name, settings[name]):
            raise ValueError(
                f"[train] {folder.settings} must hold {name!r} as --{name.replace('_', '-')} takes it: got "
                f"{str(settings.get(name))[:80]!a}. Train without --resume."
            )
        if name != "epochs" and given is not None and given != settings[name]:
            raise ValueError(
                f"[train] a training resumes with its own settings: expected --{name.replace('_', '-')} {settings[name]}, "
                f"got {given}. Leave it out, or train anew without --resume."
            )
    done = settings["epochs"] if settings.pop("finished", False) else 0
    if args.epochs is not None:
        settings["epochs"] = args.epochs
    if done >= settings["epochs"]:
        raise _nothing_left(folder, settings, done)
    return settings


def _nothing_left(folder: RunFolder, settings: dict[str, Any], done: int) -> ValueError:
    return ValueError(
        f"[train] there is nothing left to train: {folder.path} has {done} of {settings['epochs']} epochs. Raise --epochs."
    )


def _fits(name: str, value: Any) -> bool:
    """Whether a training may have written this: a file that says otherwise is damaged."""
    if value is None:
        return name in ("image_size", "learning_rate")
    if name in ("dataset", "model", "optimizer"):
        return isinstance(value, str) and bool(value)
    least = 0 if name == "seed" else 1
    return value > 0 if name == "learning_rate" and type(value) is float else type(value) is int and value >= least


def _announce(settings: dict[str, Any], images: data.Images, say: Any) -> None:
    config = fastconv.show_config()
    height, width, channels = images.shape
    say(
        f"{settings['dataset']}: {len(images.x_train):,} training and {len(images.x_test):,} test images of "
        f"{height}x{width}x{channels}, {len(images.class_names)} classes"
    )
    say(
        f"{settings['model']}: {settings['epochs']} epochs, batch size {settings['batch_size']}, "
        f"{settings['optimizer']}, seed {settings['seed']}, {config['threads']} threads, {config['isa']}",
        flush=True,
    )


def _train(
    folder: RunFolder, settings: dict[str, Any], images: data.Images, resume: bool, verbose: Any, say: Any
) -> float:
    """Trains, and returns images per second, validation included."""
    x, y = images.x_train, images.y_train
    shares = (1 - _VALIDATION_SHARE, _VALIDATION_SHARE, 0)
    train, validation, _ = train_val_test_split(x, y, shares, stratify=True, seed=0)
    steps = -(-len(train[0]) // settings["batch_size"])
    if resume and folder.model.exists():
        model = load_model(folder.model)
        done = _epochs_done(model, folder, settings, steps)
        folder.cut_history(done)
    else:
        random.seed(settings["seed"])
        model, done = _compiled(settings, images), 0
    start = time.perf_counter()
    try:
        model.fit(
            *train,
            batch_size=settings["batch_size"],
            epochs=settings["epochs"],
            initial_epoch=done,
            verbose=verbose,
            validation_data=validation if len(validation[0]) else None,
            callbacks=[CSVLogger(folder.history, append=done > 0), ModelCheckpoint(folder.model)],
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"continue with: fastconv train --resume --output {folder.path}") from None
    seconds = time.perf_counter() - start
    say(f"Trained in {seconds:.1f} s")
    return len(train[0]) * (settings["epochs"] - done) / max(seconds, 1e-9)


def _compiled(settings: dict[str, Any], images: data.Images) -> Any:
    optimizer = optimizers.get(settings["optimizer"])
    if settings["learning_rate"] is not None:
        optimizer.learning_rate = settings["learning_rate"]
    model = zoo.build(settings["model"], images.shape, len(images.class_names))
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _epochs_done(model: Any, folder: RunFolder, settings: dict[str, Any], steps: int) -> int:
    if not model.compiled:
        raise ValueError(f"[train] {folder.model} must hold the optimizer's state. Train without --resume.")
    done = model.optimizer.steps // steps
    if done > settings["epochs"]:
        raise _nothing_left(folder, settings, done)
    return done


def _draw(folder: RunFolder, settings: dict[str, Any], scores: Scores, say: Any) -> list[str]:
    """The names of the pictures; none where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        say("No pictures: they need matplotlib (pip install 'fastconv[plots]')")
        return []
    from fastconv import plots

    plots.learning_curve(folder.read_history(), folder.learning_curve, _title(settings))
    plots.confusion_matrix(scores.matrix, settings["class_names"], folder.confusion_matrix)
    return [folder.learning_curve.name, folder.confusion_matrix.name]


def _report(folder: RunFolder, settings: dict[str, Any], images: data.Images, model: Any, rate: float) -> None:
    report.write(
        folder.report,
        model,
        folder.read_history(),
        (images.x_test, images.y_test),
        train_data=(images.x_train, images.y_train),
        class_names=settings["class_names"],
        settings={name: value for name, value in settings.items() if name != "class_names"},
        images_per_second=rate,
        title=_title(settings),
    )


def _title(settings: dict[str, Any]) -> str:
    return f"{settings['model']} on {data.dataset_label(settings['dataset'])}"
