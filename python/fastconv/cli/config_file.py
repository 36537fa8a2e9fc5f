"""``--config FILE``: the options of a command from a file; those on the command line go before them."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["add_config", "with_config"]

_WRITTEN_BY_TRAIN = (
    "class_names",
    "finished",
)  # in run.json beside the options: so that an earlier training's file serves too


def add_config(parser: argparse.ArgumentParser) -> None:
    """``--config FILE``."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help='JSON or TOML file with options by name, e.g. {"epochs": 5}; the command line goes before it (default: none)',
    )


def with_config(parser: argparse.ArgumentParser, argv: Sequence[str], args: argparse.Namespace) -> argparse.Namespace:
    """``args`` with what the file says where the command line says nothing.

    Args:
        parser: of the whole program.
        argv: the command line, which begins with the command.
        args: what it says.

    Raises:
        OSError: if the file cannot be read. ValueError: if it is malformed, is TOML and nothing can read that, or names
            options that the command does not have. SystemExit: for values they do not take, as on the command line.
    """
    if getattr(args, "config", None) is None:
        return args
    given = [token for name, value in _read(args.config).items() for token in _tokens(args, name, value)]
    return parser.parse_args([argv[0], *given, *argv[1:]])


def _read(file: str) -> dict[str, Any]:
    path = Path(file)
    data = path.read_bytes()
    try:
        text = data.decode()
        entries = _toml().loads(text) if path.suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:  # the decoders' errors are ValueErrors
        raise ValueError(f"[config] {file} must be {'TOML' if path.suffix == '.toml' else 'JSON'}: {error}.") from None
    if not isinstance(entries, dict):
        raise ValueError(
            f"[config] {file} must hold options by name: expected an object, got {type(entries).__name__}."
        )
    return entries


def _toml() -> Any:
    for name in ("tomllib", "tomli"):
        with suppress(ImportError):
            return importlib.import_module(name)
    raise ValueError("[config] Python 3.10 does not read TOML by itself: pip install 'fastconv[cli]', or write JSON.")


def _tokens(args: argparse.Namespace, name: str, value: Any) -> list[str]:
    """An entry as it would stand on the command line; null and false stand for nothing."""
    option = f"--{name.replace('_', '-')}"
    if name in _WRITTEN_BY_TRAIN or value is None or value is False:
        return []
    if name.replace("-", "_") not in vars(args) or name == "config" or isinstance(value, (list, dict)):
        raise ValueError(
            f"[config] {args.config} must hold options of '{args.command}' with one value each: got {name}={value!r}. "
            f"See 'fastconv {args.command} --help'."
        )
    return [option] if value is True else [f"{option}={value}"]
