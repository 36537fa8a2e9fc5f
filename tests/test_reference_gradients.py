"""Every gradient of the reference against central differences, in float64, over varied geometry."""

from functools import partial

import numpy as np
import pytest

from fastconv import reference
from fastconv.testing.cases import Case, case_id, cases, random_cases
from fastconv.testing.compare import random_inputs
from fastconv.testing.gradcheck import gradcheck

_MOST_ELEMENTS = 400  # finite differences call the op twice per element
_KINK = 1e-3


def _size(case: Case) -> int:
    shapes = [
        s for shape in case.shapes.values() for s in (shape if shape and isinstance(shape[0], tuple) else [shape])
    ]
    return sum(int(np.prod(s)) for s in shapes)


def _few(op: str, count: int) -> list[Case]:
    """Named cases small enough for finite differences, then random ones."""
    named = [case.small() for case in cases(op)]
    return [case for case in named if 0 < _size(case) <= _MOST_ELEMENTS][:count]


def _check(case: Case) -> None:
    rng = np.random.default_rng(1)
    inputs = random_inputs(case, rng, np.float64)
    names = list(inputs)
    arrays = [*inputs["arrays"]] if names == ["arrays"] else list(inputs.values())
    for x in arrays:  # away from the kinks of relu, hinge and their kin, and from ties
        if x.dtype == np.float64 and "y_true" not in names:
            x += np.where(np.abs(x) < _KINK, 2 * _KINK, 0.0)
    needs = (
        [name not in ("mean", "var", "y_true", "ids") for name in names]
        if names != ["arrays"]
        else [True] * len(arrays)
    )
    f, f_backward = getattr(reference, case.op), getattr(reference, f"{case.op}_backward")
    if names == ["arrays"]:
        gradcheck(lambda *xs: f(xs, **case.kwargs), lambda dy, *xs: f_backward(dy, xs, **case.kwargs), arrays, needs)
    elif "y_true" in names:  # labels are not differentiated, and may be integers
        (t, p), bind = arrays, case.kwargs
        gradcheck(lambda p: f(t, p, **bind), lambda dy, p: f_backward(dy, t, p, **bind)[1:], [p])
    else:
        gradcheck(partial(f, **case.kwargs), partial(f_backward, **case.kwargs), arrays, needs)


_OPS = sorted({case.op for case in cases()} - {"dropout"})
_CASES = [case for op in _OPS for case in _few(op, 24 if "2d" in op or op == "dense" else 6)]
_RANDOM = [
    case
    for op in ("conv2d", "conv2d_transpose", "max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d")
    for case in [c for c in random_cases(op, 400, seed=11) if 0 < _size(c) <= 150][:12]
]


@pytest.mark.parametrize("case", _CASES + _RANDOM, ids=case_id)
def test_gradient_is_the_slope_of_the_function(case):
    _check(case)


def test_dropout_gradient_uses_the_same_mask():
    x = np.random.default_rng(0).uniform(-1, 1, (5, 7))
    keywords = {"rate": 0.4, "seed": 99}
    gradcheck(partial(reference.dropout, **keywords), partial(reference.dropout_backward, **keywords), [x])


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "silu", "hard_swish", "softmax", "log_softmax", "selu"])
def test_gradient_through_an_activation(name):
    rng = np.random.default_rng(2)
    x, w, b = rng.uniform(-1, 1, (2, 4, 3, 2)), rng.uniform(-1, 1, (3, 2, 2, 3)), rng.uniform(-1, 1, 3)
    keywords = {"activation": name, "padding": 1}
    gradcheck(partial(reference.conv2d, **keywords), partial(reference.conv2d_backward, **keywords), [x, w, b])
    keywords = {"activation": name}
    gradcheck(partial(reference.dense, **keywords), partial(reference.dense_backward, **keywords), [x, w[0, 0], b])


def test_every_function_but_the_steps_has_a_gradient():
    for name in reference.__all__:
        if not name.endswith(("_backward", "_step")) and name not in (
            "adjust2d",
            "augment2d",
            "warp2d",
        ):  # which refuses to have one
            assert f"{name}_backward" in reference.__all__


@pytest.mark.parametrize("op", ["conv2d", "conv2d_transpose"])
def test_the_three_directions_are_adjoint(op):
    """``<f(x, w), g> = <x, dx> = <w, dw>``, exactly, in integers."""
    for case in random_cases(op, 60, seed=5):
        rng = np.random.default_rng(3)
        x, w = (rng.integers(-3, 4, case.shapes[name]).astype(np.float64) for name in ("x", "w"))
        y = getattr(reference, op)(x, w, **case.kwargs)
        g = rng.integers(-3, 4, y.shape).astype(np.float64)
        dx, dw, none = getattr(reference, f"{op}_backward")(g, x, w, **case.kwargs)
        assert none is None
        assert np.sum(y * g) == np.sum(x * dx) == np.sum(w * dw)


def test_needs_selects_gradients():
    x, w, b = np.ones((1, 3, 3, 2)), np.ones((2, 2, 2, 4)), np.ones(4)
    dy = np.ones((1, 2, 2, 4))
    dx, dw, db = reference.conv2d_backward(dy, x, w, b, needs=(False, True, False))
    assert dx is None and db is None and dw.shape == w.shape
    with pytest.raises(ValueError, match=r"\[conv2d_backward\] needs must have 3 bools"):
        reference.conv2d_backward(dy, x, w, b, needs=(True,))
    with pytest.raises(TypeError, match="needs must be a bool"):
        reference.conv2d_backward(dy, x, w, b, needs=(1, 1, 1))
