"""``fastconv export``: writes a model in another program's format."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("export", help="write a model as ONNX or Keras", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="model file")
    parser.add_argument("--to", required=True, choices=("onnx", "keras"), help="the format")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    raise NotImplementedError(
        f"[export] this version writes .safetensors only: the {args.to} exporter does not exist yet. "
        "Read the weights with fastconv.models.load_model(path).get_weights()."
    )
