"""``fastconv evaluate``: accuracy of a saved model on the test part of a data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastconv import report
from fastconv.cli import data, options
from fastconv.cli.config_file import add_config
from fastconv.cli.run_folder import RunFolder
from fastconv.cli.scores import score
from fastconv.models import load_model

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="test accuracy of a saved model", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="model file, e.g. runs/digits-cnn/model.safetensors")
    data.add_dataset(parser, "the one it was trained on")
    parser.add_argument(
        "--confusion-matrix", metavar="FILE", help="also draw the confusion matrix (.png, .svg, .pdf; default: none)"
    )
    parser.add_argument("--report", metavar="FILE", help="also write an HTML report of the model (default: none)")
    options.add_threads(parser)
    options.add_json(parser)
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    options.apply_threads(args)
    model = load_model(args.model, compile=False)
    settings = RunFolder.of_model(args.model).read_settings()
    dataset = args.dataset or settings.get("dataset")
    if not dataset:
        raise ValueError("[evaluate] the model's folder does not say what it was trained on. Give --dataset.")
    images = data.load(dataset, args.image_size or settings.get("image_size"))
    scores = score(model, images.x_test, images.y_test)
    names = images.class_names if len(images.class_names) == len(scores.matrix) else None
    if args.json:
        numbers = {"images": scores.total, "right": scores.right, "accuracy": scores.right / max(scores.total, 1)}
        matrix = {"class_names": names, "confusion_matrix": scores.matrix.tolist()}
        options.print_json({"model": args.model, "dataset": dataset, **numbers, **matrix})
    else:
        print(f"Test accuracy: {scores}")
    if args.confusion_matrix:
        from fastconv import plots

        plots.confusion_matrix(scores.matrix, names, args.confusion_matrix)
    if args.report:
        test, title = (images.x_test, images.y_test), f"{Path(args.model).name} on {data.dataset_label(dataset)}"
        report.write(args.report, model, test_data=test, class_names=names, settings=settings, title=title)
