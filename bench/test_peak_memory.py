"""Peak memory of training beside PyTorch's, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from test_training import STEPS

SCRIPT = Path(__file__).with_name("memory_step.py")


@pytest.mark.parametrize("name,batch", [step for step in STEPS if step[1] > 1])
def test_peak_memory(add_row: Callable[..., None], torch_ops: Any, name: str, batch: int) -> None:
    grown = {
        contestant: int(subprocess.check_output([sys.executable, SCRIPT, contestant, name, str(batch)]))
        for contestant in ("fastconv", *torch_ops.FORMATS)
    }
    add_row("peak memory", f"{name} batch {batch}", {who: [n] for who, n in grown.items()}, unit="bytes")
