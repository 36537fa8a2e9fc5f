"""``fastconv info``: versions, instruction sets, threads and optional packages of this installation."""

from __future__ import annotations

import argparse
import importlib.util
from typing import Any

import fastconv
from fastconv.cli import options

__all__ = ["add_parser", "run"]

_EXTRAS = {"images": "PIL", "plots": "matplotlib", "progress": "tqdm", "onnx": "onnx", "keras": "h5py", "cuda": "cupy"}


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("info", help="versions, instruction sets, threads", description=__doc__)
    options.add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    rows = dict(fastconv.show_config())
    rows["cuda"] = rows["cuda"] or "not built"
    rows["extras"] = {
        name: "yes" if importlib.util.find_spec(module) else f"no (pip install 'fastconv[{name}]')"
        for name, module in _EXTRAS.items()
    }
    if args.json:
        options.print_json(rows)
        return
    for name, value in rows.items():
        print(f"{name + ':':<20} {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {entry}" for key, entry in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
