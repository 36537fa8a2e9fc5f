"""What every example here does when it is run: its arguments on the command line, its results as text and as JSON."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run(main: Callable[..., dict[str, Any]]) -> None:
    """Calls ``main`` with arguments of the command line: ``--NAME`` for each of its keywords, and ``--json FILE``."""
    parameters = inspect.signature(main).parameters.values()
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    for parameter in parameters:
        parser.add_argument(f"--{parameter.name}", type=type(parameter.default), default=parameter.default)
    parser.add_argument("--json", metavar="FILE", help="where to write the results")
    arguments = vars(parser.parse_args())
    path = arguments.pop("json")
    started = time.perf_counter()
    results = main(**arguments)
    print(json.dumps(results, indent=1))
    if path:
        script = Path(sys.argv[0]).name
        command = " ".join([f"python examples/{script}", *(f"--{k} {v}" for k, v in arguments.items())])
        record = {
            "results": results,
            "seconds": round(time.perf_counter() - started, 1),
            "command": command,
            **machine(),
        }
        Path(path).write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import numpy as np

    from fastconv import __version__, get_num_threads, show_config

    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if os.path.exists("/proc/cpuinfo") else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {
        "cpu": cpu,
        "isa": show_config()["isa"],
        "threads": get_num_threads(),
        "fastconv": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def percent(share: float) -> float:
    """As people read accuracies: 97.2."""
    return round(100 * float(share), 2)
