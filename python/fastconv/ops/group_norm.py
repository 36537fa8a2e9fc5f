"""Group normalisation: instance normalisation with a group per channel."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers
from fastconv.ops.registry import (
    Call,
    Gradient,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_shape,
    register,
    wide,
)

__all__ = ["group_norm", "group_norm_backward"]

_WIDE = ("gamma", "beta")


def _register_of(index: int, shape: Shape | None) -> int | None:
    return None if shape is None else index


def _lower(dtype: str, shapes: tuple[Shape | None, ...], *, groups: int, epsilon: float) -> Lowered:
    x, gamma, beta = shapes
    spec = _cpu.GroupNormSpec.make(dtype, x, groups, epsilon)
    for name, shape in (("gamma", gamma), ("beta", beta)):
        expect_shape("group_norm", name, shape, spec.shape(name))
    tensors = (0, _register_of(1, gamma), _register_of(2, beta), 3, 4)
    outputs = ((spec.shape("y"), dtype), (spec.shape("moments"), "float64"))
    return Lowered(outputs, (Call("group_norm_forward", spec, tensors),))


def _lower_backward(dtype: str, shapes: tuple[Shape | None, ...], *, groups: int, epsilon: float) -> Lowered:
    dy, x, gamma, _ = shapes
    spec = _cpu.GroupNormSpec.make(dtype, x, groups, epsilon)
    expect_shape("group_norm", "dy", dy, spec.shape("y"))
    outputs = ((spec.shape("x"), dtype), *((spec.shape(name), wide(dtype)) for name in ("gamma", "beta")))
    return Lowered(outputs, (Call("group_norm_backward", spec, (0, 1, _register_of(2, gamma), 3, 4, 5, 6)),))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    x, gamma, _ = g.inputs
    return apply(BACKWARD, g.dys[0], x, gamma, g.outputs()[1], **g.attrs)


FORWARD = register(OpDef("group_norm", ("x", "gamma?", "beta?"), _lower, _gradient, wide=_WIDE))
BACKWARD = register(
    OpDef(
        "group_norm_backward",
        ("dy", "x", "gamma?", "moments"),
        _lower_backward,
        dtypes={"moments": ("float64",)},
        wide=_WIDE,
    )
)


def _attrs(groups: Any, epsilon: Any) -> dict[str, Any]:
    return {
        "groups": _numbers.as_int("group_norm", "groups", groups),
        "epsilon": _numbers.as_float("group_norm", "epsilon", epsilon),
    }


def group_norm(x: Any, gamma: Any, beta: Any, groups: int, *, epsilon: float = 1e-3) -> Any:
    """``gamma * (x - mean) / sqrt(var + epsilon) + beta`` with each sample's and group's own statistics (Wu, He 2018).

    Args:
        x: (N, ..., C), float32 or float64, on CUDA float32, float16 or bfloat16.
        gamma, beta: (C,) or None; of x's dtype, but float32 where that has 16 bits.
        groups: how many groups of neighbouring channels; a divisor of C. C of them are instance normalisation, one is
            layer normalisation over all of a sample.
        epsilon: added to the biased variance.

    Returns:
        y of x's shape and dtype.

    Raises:
        TypeError: for kinds and dtypes. ValueError: for numbers and shapes.

    Numerics: two passes, sums in float64 in a fixed order; the same bits for any number of threads.
    """
    return apply(FORWARD, x, gamma, beta, **_attrs(groups, epsilon))[0]


def group_norm_backward(
    dy: Any, x: Any, gamma: Any, beta: Any, groups: int, *, epsilon: float = 1e-3, needs: Any = None
) -> tuple:
    """Gradients of :func:`group_norm`: ``(dx, dgamma, dbeta)``, None where not needed.

    dx is of x's dtype; dgamma and dbeta are float32 where that has 16 bits.
    """
    wanted = all_needs("group_norm", needs, ("x", "gamma", "beta"), (True, gamma is not None, beta is not None))
    return backward(FORWARD, (dy, None), (x, gamma, beta), _attrs(groups, epsilon), wanted)
