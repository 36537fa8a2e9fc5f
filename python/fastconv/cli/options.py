"""Kinds of command-line arguments, and the options that several commands share."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import fastconv

__all__ = ["add_json", "add_threads", "apply_threads", "natural", "non_negative", "positive_real", "print_json"]


def natural(text: str) -> int:
    """A whole number >= 1."""
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 1, got {text!r}")
    return number


def non_negative(text: str) -> int:
    """A whole number >= 0."""
    number = _whole(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 0, got {text!r}")
    return number


def positive_real(text: str) -> float:
    """A finite number > 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"expected a number > 0, got {text!r}")
    return number


def add_threads(parser: argparse.ArgumentParser) -> None:
    """``--threads N``."""
    parser.add_argument(
        "--threads", type=natural, metavar="N", help="threads of the kernels (default: the CPUs this process may use)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text (default: text)")


def print_json(value: Any) -> None:
    """What ``--json`` asks for, on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def apply_threads(args: argparse.Namespace) -> None:
    """Puts ``--threads`` into force."""
    if args.threads is not None:
        fastconv.set_num_threads(args.threads)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
