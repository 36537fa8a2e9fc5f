"""``fastconv predict``: the class of each image file, with its probability."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fastconv.cli import data, options
from fastconv.cli.config_file import add_config
from fastconv.cli.run_folder import RunFolder
from fastconv.models import load_model

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("predict", help="classes of image files", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="model file, e.g. runs/digits-cnn/model.safetensors")
    parser.add_argument(
        "images",
        metavar="IMAGE",
        nargs="+",
        help="image files, or folders of such; they are resized to what the model takes",
    )
    parser.add_argument(
        "--top", type=options.natural, default=1, metavar="N", help="show the N most probable classes (default: 1)"
    )
    options.add_threads(parser)
    options.add_json(parser)
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    options.apply_threads(args)
    model = load_model(args.model, compile=False)
    shapes = model.input_shapes()
    if shapes is None or len(shapes) != 1 or len(shapes[0]) != 3:
        raise ValueError(f"[predict] the model must take images: expected one input (H, W, C), got {shapes}.")
    paths = data.image_files(args.images)
    pictures = np.stack([data.read_image(path, shapes[0]) for path in paths])
    probabilities = model.predict(pictures, verbose=0).reshape(len(pictures), -1)
    names = RunFolder.of_model(args.model).read_settings().get("class_names")
    if not isinstance(names, list) or len(names) != probabilities.shape[1]:
        names = [str(i) for i in range(probabilities.shape[1])]
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, : args.top]
    found = [
        (path, [(int(i), names[i], float(row[i])) for i in ranks])
        for path, row, ranks in zip(paths, probabilities, best, strict=True)
    ]
    if args.json:
        keys = ("number", "class", "probability")
        options.print_json(
            [{"image": path, "classes": [dict(zip(keys, c, strict=True)) for c in top]} for path, top in found]
        )
        return
    for path, top in found:
        print(f"{path}: " + ", ".join(f"{name} {100 * share:.1f} %" for _, name, share in top))
