"""The ``fastconv`` command: train, evaluate, predict, info, bench, export, completion.

Every failure is one line on stderr and a non-zero exit status: 2 for a wrong command line, 130 for Ctrl-C, 1 for
everything else. ``FASTCONV_DEBUG=1`` shows the traceback instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import fastconv
from fastconv.cli import bench, completion, evaluate, export, info, predict, train
from fastconv.cli.config_file import with_config

__all__ = ["main"]

_COMMANDS = (train, evaluate, predict, info, bench, export, completion)
_EXIT = "exit status: 0 success, 1 failure (one line on stderr says why), 2 wrong command line, 130 Ctrl-C"


class _Parser(argparse.ArgumentParser):
    """argparse, with its errors on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {_one_line(message)} (see '{self.prog} --help')\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; ``argv`` defaults to ``sys.argv[1:]``."""
    argv = sys.argv[1:] if argv is None else argv
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        args = with_config(parser, argv, args)
        args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        return _fail(args.command, f"interrupted{_explained(interrupt)}", 130)
    except BrokenPipeError:  # the reader of our output has gone, as in `fastconv info | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("FASTCONV_DEBUG"):
            raise
        return _fail(args.command, f"error: {_message(error)}", 1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastconv", description="Train and use small image classifiers.", epilog=_EXIT)
    parser.add_argument("--version", action="version", version=f"fastconv {fastconv.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.add_parser(commands)
    return parser


def _fail(command: str, text: str, status: int) -> int:
    if sys.stdout.isatty():
        print()  # leaves the line of a progress bar
    print(f"fastconv {command}: {_one_line(text)}", file=sys.stderr)
    return status


def _explained(interrupt: KeyboardInterrupt) -> str:
    return f": {interrupt}" if str(interrupt) else ""


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {os.fsdecode(error.filename)}"
    return str(error) or type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())
