"""The table of problems and the tools around it: what tests and benches rely on."""

import ast
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fastconv import reference as ref
from fastconv.testing.bounds import backward_bounds, forward_bounds
from fastconv.testing.cases import Case, case_id, cases, ops, random_cases
from fastconv.testing.compare import (
    assert_bounded,
    assert_exact,
    backward,
    cotangent,
    exact_inputs,
    forward,
    is_exact,
    random_inputs,
)
from fastconv.testing.gradcheck import gradcheck
from fastconv.testing.memory import guarded, guarded_empty, poisoned
from fastconv.testing.random_cases import HAZARDS

_GEOMETRIES = ("conv2d", "conv2d_transpose", "max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d", "dense")


def _results(result):
    return result if isinstance(result, tuple) else (result,)


def test_every_op_has_eight_cases_with_names_of_their_own():
    functions = {n for n in ref.__all__ if not n.endswith(("_backward", "_step"))}
    assert set(ops()) == functions - {"adjust2d", "augment2d", "warp2d"}  # of seeds: test_augmentation.py, test_warp.py
    assert min(Counter(case.op for case in cases()).values()) >= 8
    assert max(Counter(str(case) for case in cases()).values()) == 1
    assert len(cases(tag="bench")) == 20


@pytest.mark.parametrize("case", [c for c in cases() if "network" in c.tags], ids=case_id)
def test_small_keeps_what_matters(case):
    small = case.small()
    x, reduced = case.shapes["x"], small.shapes["x"]
    assert len(x) == len(reduced) and x[-1] == reduced[-1]
    assert all(a >= b for a, b in zip(x, reduced, strict=True))
    assert small.kwargs == case.kwargs and small.name == case.name


def _naive_float32(case, inputs):
    """A 1x1 convolution with float32 inside, summed in another order: what a plain kernel computes."""
    x, w = inputs["x"], inputs["w"]
    y = np.zeros((*x.shape[:-1], w.shape[-1]), np.float32)
    for d in reversed(range(x.shape[-1])):
        y += x[..., d : d + 1] * w[0, 0, d]
    return y + inputs["bias"] if "bias" in inputs else y


@pytest.mark.parametrize(
    "case", [c.small() for c in cases("conv2d", "network") if c.shapes["w"][:2] == (1, 1)], ids=case_id
)
def test_bounds_admit_float32_and_notice_an_error(case, strict):
    rng = np.random.default_rng(0)
    inputs = random_inputs(case, rng, np.float32)
    stride = case.kwargs.get("stride", 1)
    y, (bound,) = forward(ref, case, inputs), forward_bounds(case, inputs)
    naive = _naive_float32(case, inputs | {"x": inputs["x"][:, ::stride, ::stride]})
    assert_bounded(naive, y, bound)
    wrong = y.copy()
    wrong.flat[3] += 0.01
    with pytest.raises(AssertionError, match="1 of"):
        assert_bounded(wrong, y, bound)


@pytest.mark.parametrize("case", [c for c in cases() if c.shapes.get("w", (0,))[-2:] != (512, 512)], ids=case_id)
def test_bounds_have_the_shapes_of_the_results(case):
    case = case.small()
    rng = np.random.default_rng(0)
    inputs = random_inputs(case, rng, np.float32)
    y = forward(ref, case, inputs)
    dy = cotangent(y, rng)
    pairs = [
        *zip(_results(y), forward_bounds(case, inputs), strict=True),
        *zip(backward(ref, case, dy, inputs), backward_bounds(case, dy, inputs), strict=True),
    ]
    for result, bound in pairs:
        assert (result is None) == (bound is None)
        if result is not None:
            assert np.broadcast_shapes(np.shape(bound), result.shape) == result.shape
            assert np.all(np.isfinite(bound)) and np.all(np.asarray(bound) >= 0)


@pytest.mark.parametrize("op", _GEOMETRIES)
def test_random_cases_are_valid_repeatable_and_varied(op):
    drawn = random_cases(op, 150, seed=4)
    assert drawn == random_cases(op, 150, seed=4)
    assert drawn != random_cases(op, 150, seed=5)
    for case in drawn:
        rng = np.random.default_rng(0)
        inputs = exact_inputs(case, rng, np.float32)
        y = forward(ref, case, inputs)
        gradients = backward(ref, case, cotangent(y, rng, exact=True), inputs)
        if is_exact(case):
            assert_exact(np.rint(y), y)
            for gradient in gradients:
                assert gradient is None or np.array_equal(np.rint(gradient), gradient)
    batches = {case.shapes["x"][0] for case in drawn}
    assert batches == {0, 1, 2, 7}


def test_random_convolutions_include_the_hazards():
    drawn = random_cases("conv2d", 600, seed=8)
    for name, is_one in HAZARDS.items():
        assert sum(map(is_one, drawn)) >= 5, name


@pytest.mark.parametrize("shape", [(1,), (3, 5), (1024,), (4097,), (0, 3), ()])
@pytest.mark.parametrize("edge", ["end", "start"])
def test_guarded_arrays_are_ordinary_inside(shape, edge):
    x = guarded_empty(shape, np.float32, edge)
    assert x.shape == shape and np.all(np.isnan(x))
    x[...] = 1
    copy = guarded(x, edge)
    np.testing.assert_array_equal(copy, 1)
    assert copy.flags.c_contiguous and copy.flags.writeable


@pytest.mark.parametrize("edge,offset", [("end", 3), ("start", -1)])
def test_one_element_too_far_is_a_fault(edge, offset):
    script = f"""
import ctypes, numpy as np
from fastconv.testing.memory import guarded
x = guarded(np.ones(3, np.float32), {edge!r})
ctypes.c_float.from_address(x.ctypes.data + 8 if {offset} > 0 else x.ctypes.data).value
print("inside", flush=True)
ctypes.c_float.from_address(x.ctypes.data + 4 * {offset}).value
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "inside\n"
    assert done.returncode < 0, done.stderr  # ended by SIGSEGV


def test_poisoned():
    assert np.all(np.isnan(poisoned((2, 3), np.float64)))
    assert poisoned((2,), np.int64).tolist() == [-(2**63)] * 2


def test_gradcheck_notices_a_wrong_gradient():
    x = np.linspace(-1, 1, 5)
    gradcheck(lambda x: x**3, lambda dy, x: (3 * x**2 * dy,), [x])
    with pytest.raises(AssertionError, match="gradient 0"):
        gradcheck(lambda x: x**3, lambda dy, x: (2 * x**2 * dy,), [x])
    with pytest.raises(AssertionError, match="gradient 0"):  # a permutation, which a cotangent of ones would miss
        gradcheck(lambda x: x**3, lambda dy, x: ((3 * x**2 * dy)[::-1],), [x])
    with pytest.raises(AssertionError, match="missing"):
        gradcheck(lambda x: x, lambda dy, x: (None,), [x])


def test_reference_imports_numpy_alone():
    for file in Path(ref.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                inside = node.level == 1
                assert inside or node.module.split(".")[0] in sys.stdlib_module_names, (
                    file.name,
                    node.module,
                )
            elif isinstance(node, ast.Import):
                assert all(a.name in ("numpy", *sys.stdlib_module_names) for a in node.names), file.name


def test_case_names_read_as_sorted_problems():
    case = Case("conv2d", "x", {"x": (1, 2, 3, 4)}, {}, frozenset({"typical"}))
    assert str(case) == "conv2d-x" and case.small() is case
    sizes = [c.shapes["x"][3] for c in cases("conv2d", "tail") if c.name.startswith("depthwise")]
    assert all(a < b for a, b in pairwise(sizes))
