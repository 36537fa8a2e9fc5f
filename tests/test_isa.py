"""Instruction sets: each has every kernel, none leaks into another, and the environment chooses or raises."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import _cpu, ops

BUILD = Path(__file__).parent.parent / "build"


def test_every_entry_of_the_table_is_filled(isa):
    assert _cpu.current_isa() == isa
    assert _cpu.missing_kernels() == ["conv2d_pool_forward"]  # a GPU's: fastconv.plan.pooling says why


def test_the_best_instruction_set_is_the_last_one():
    assert _cpu.available_isas()[0] == "baseline"
    assert set(_cpu.available_isas()) <= {"baseline", "avx2", "avx512", "amx", "neon"}


def test_selecting_an_unknown_instruction_set_changes_nothing():
    before = _cpu.current_isa()
    with pytest.raises(ValueError, match="expected one of baseline"):
        _cpu.select_isa("mmx")
    assert _cpu.current_isa() == before


def python(code, **environment):
    """A fresh interpreter."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FASTCONV_")}
    inherited["PYTHONPATH"] = os.pathsep.join([str(Path(fastconv.__file__).parent.parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **environment}, capture_output=True, text=True, timeout=60
    )


PRINT_ISA = "import fastconv; print(fastconv.show_config()['isa'])"


def test_the_environment_forces_an_instruction_set():
    for isa in _cpu.available_isas():
        assert python(PRINT_ISA, FASTCONV_ISA=isa).stdout.strip() == isa
    assert python(PRINT_ISA, FASTCONV_ISA="").stdout.strip() == _cpu.available_isas()[-1]
    assert python(PRINT_ISA).stdout.strip() == _cpu.available_isas()[-1]


@pytest.mark.parametrize("bad", ["mmx", "AVX2 ", "sse9", "9"])
def test_a_bad_value_in_the_environment_raises(bad):
    """At the first use, with the choices; import itself stays harmless."""
    result = python(PRINT_ISA, FASTCONV_ISA=bad)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: [FASTCONV_ISA]")
    assert repr(bad)[1:-1] in last
    assert "baseline" in last


def test_results_of_integers_are_equal_on_all_instruction_sets(strict):
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (2, 9, 10, 7)).astype(np.float32)
    w = rng.integers(-4, 5, (3, 3, 7, 13)).astype(np.float32)
    before, found = _cpu.current_isa(), []
    try:
        for isa in _cpu.available_isas():
            _cpu.select_isa(isa)
            found.append(ops.conv2d(x, w, padding="same"))
    finally:
        _cpu.select_isa(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def kernel_objects():
    """Object files of the kernels, the newest build's, by instruction set."""
    builds = sorted(BUILD.glob("*/CMakeFiles/fastconv_baseline.dir"), key=lambda p: p.stat().st_mtime)
    if not builds:
        return {}
    folder = builds[-1].parent
    return {
        target.name.removeprefix("fastconv_").removesuffix(".dir"): sorted(target.rglob("*.o"))
        for target in folder.glob("fastconv_*.dir")
        if target.name not in ("fastconv_core.dir", "fastconv_hopper.dir")
    }


# Defined weakly: V, v (objects), W, w (functions), u (unique to the process).
WEAK = re.compile(r"^\S*\s+[VWu]\s+(.*)$", re.MULTILINE)
PERSONALITY = "DW.ref.__gxx_personality_v0"  # a pointer to the runtime's exception handler, the same everywhere


def test_no_symbol_of_one_instruction_set_can_serve_another():
    """A weak function compiled for AVX-512 could become the copy that the linker keeps for all (numpy#25274)."""
    objects = kernel_objects()
    if not objects or shutil.which("nm") is None:
        pytest.skip("needs a build folder (cmake -B build/dev) and nm")
    for isa, files in objects.items():
        assert files
        names = subprocess.run(
            ["nm", "--defined-only", *map(str, files)], capture_output=True, text=True, check=True
        ).stdout
        weak = set(WEAK.findall(names)) - {PERSONALITY}
        leaks = [name for name in weak if f"2fc3cpu{len(isa)}{isa}" not in name]  # fc::cpu::isa, mangled
        assert leaks == [], isa


SMALL_STACK = """
import threading
import numpy as np
from fastconv import _cpu, ops

def run():
    x, w = np.ones((16, 30, 30, 32), np.float64), np.ones((3, 3, 32, 32), np.float64)
    row, matrix = np.ones((1, 4096)), np.ones((4096, 512))
    for isa in _cpu.available_isas():
        _cpu.select_isa(isa)
        for dtype in (np.float32, np.float64):
            operands = x.astype(dtype), w.astype(dtype)
            ops.conv2d_backward(ops.conv2d(*operands), *operands)
            operands = row.astype(dtype), matrix.astype(dtype)
            ops.dense_backward(ops.dense(*operands), *operands)
    print("done")

threading.stack_size(128 << 10)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_kernels_run_on_a_small_stack():
    """128 KiB is what threads get where musl is the C library; partial sums are added on the caller's."""
    assert python(SMALL_STACK).stdout.strip() == "done"
