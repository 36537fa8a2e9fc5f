"""Named problems of volumes, of permuted axes and of group normalisation."""

from __future__ import annotations

from typing import Any

from .case import Case

# Operations without kernels of their own: what they are made of is tested on every instruction set and device.
COMPOSED = ("avg_pool3d", "conv3d", "max_pool3d", "min_pool3d", "sum_pool3d")

_TYPICAL, _TAIL, _HAZARD = (frozenset({tag}) for tag in ("typical", "tail", "hazard"))


def _transposes() -> list[Case]:
    orders: list[tuple[str, tuple, Any]] = [
        ("matrix", (37, 70), None),
        ("to_nchw", (2, 5, 6, 3), (0, 3, 1, 2)),
        ("to_nhwc", (2, 19, 5, 9), (0, 2, 3, 1)),
        ("filters", (3, 2, 4, 5, 8), (1, 2, 0, 3, 4)),
        ("shuffle", (2, 3, 4, 3, 5), (0, 1, 2, 4, 3)),
        ("last_stays", (4, 3, 17), (1, 0, -1)),
        ("same", (3, 4), (0, 1)),
        ("ones", (1, 5, 1, 7), (3, 2, 1, 0)),
        ("six", (2, 3, 2, 3, 2, 3), (5, 3, 1, 4, 2, 0)),
        ("squares", (2, 65, 33), (0, 2, 1)),
        ("scalar", (), ()),
        ("empty_batch", (0, 3, 4), (0, 2, 1)),
    ]
    return [Case("transpose", name, {"x": x}, {"axes": axes}, _TYPICAL) for name, x, axes in orders]


def _depth() -> list[Case]:
    windows: list[tuple[str, tuple, dict[str, Any], frozenset]] = [
        ("3", (2, 5, 3, 4, 3), {"taps": 3}, _TYPICAL),
        ("same", (1, 4, 3, 3, 8), {"taps": 3, "padding": "same"}, _TYPICAL),
        ("s2", (2, 7, 2, 3, 4), {"taps": 3, "stride": 2, "padding": 1}, _TYPICAL),
        ("dilation", (1, 7, 2, 2, 5), {"taps": 2, "dilation": 3}, _HAZARD),
        ("groups", (1, 4, 2, 3, 12), {"taps": 2, "groups": 3}, _TYPICAL),
        ("depthwise", (2, 4, 3, 1, 5), {"taps": 3, "groups": 5, "padding": (0, 2)}, _HAZARD),
        ("stride>taps", (1, 8, 2, 2, 16), {"taps": 2, "stride": 3}, _HAZARD),
        ("same_lower", (1, 5, 1, 1, 17), {"taps": 2, "stride": 2, "padding": "same_lower"}, _TAIL),
        ("one", (2, 1, 1, 1, 1), {"taps": 1}, _HAZARD),
        ("empty_batch", (0, 4, 2, 2, 3), {"taps": 2}, _HAZARD),
    ]
    cases = [Case("unfold_depth", name, {"x": x}, kwargs, tag) for name, x, kwargs, tag in windows]
    folds: list[tuple[str, tuple, dict[str, Any], frozenset]] = [
        ("3", (2, 3, 3, 4, 9), {"depth": 5, "taps": 3}, _TYPICAL),
        ("same", (1, 4, 3, 3, 24), {"depth": 4, "taps": 3, "padding": "same"}, _TYPICAL),
        ("s2", (2, 4, 2, 3, 12), {"depth": 7, "taps": 3, "stride": 2, "padding": 1}, _TYPICAL),
        ("left_over", (1, 2, 2, 2, 8), {"depth": 6, "taps": 2, "stride": 3}, _HAZARD),
        ("groups", (1, 3, 2, 3, 24), {"depth": 4, "taps": 2, "groups": 3}, _TYPICAL),
        ("dilation", (1, 4, 2, 2, 10), {"depth": 7, "taps": 2, "dilation": 3}, _HAZARD),
        ("c17", (1, 3, 1, 2, 34), {"depth": 7, "taps": 2, "stride": 2}, _TAIL),
        ("empty_batch", (0, 3, 2, 2, 6), {"depth": 4, "taps": 2}, _HAZARD),
    ]
    return cases + [Case("fold_depth", name, {"columns": x}, kwargs, tag) for name, x, kwargs, tag in folds]


def _convolutions() -> list[Case]:
    problems: list[tuple[str, tuple, tuple, bool, dict[str, Any], frozenset]] = [
        ("3x3x3", (2, 4, 5, 5, 3), (3, 3, 3, 3, 4), True, {}, _TYPICAL),
        ("same.s2", (1, 5, 6, 7, 4), (3, 3, 3, 4, 8), True, {"stride": 2, "padding": "same"}, _TYPICAL),
        ("uneven", (1, 6, 5, 4, 2), (2, 3, 1, 2, 5), False, {"stride": (2, 1, 3), "padding": (1, 1, 0)}, _HAZARD),
        ("dilation", (1, 6, 7, 7, 2), (2, 3, 3, 2, 3), True, {"dilation": (3, 1, 2)}, _HAZARD),
        ("one_slice", (1, 3, 5, 5, 4), (1, 3, 3, 4, 4), True, {"padding": "same"}, _TYPICAL),
        ("strided_slice", (1, 5, 3, 3, 4), (1, 1, 1, 4, 4), True, {"stride": (2, 1, 1)}, _HAZARD),
        ("asymmetric", (1, 3, 4, 4, 3), (2, 2, 2, 3, 2), True, {"padding": ((0, 2), (1, 0), (0, 0))}, _HAZARD),
        ("groups", (1, 4, 4, 4, 6), (2, 3, 3, 2, 9), True, {"groups": 3}, _TYPICAL),
        ("relu", (1, 3, 4, 4, 2), (3, 3, 3, 2, 4), True, {"activation": "relu", "padding": "same"}, _TYPICAL),
        ("empty_batch", (0, 3, 4, 4, 2), (2, 2, 2, 2, 3), True, {}, _HAZARD),
    ]
    return [
        Case("conv3d", name, {"x": x, "w": w, **({"bias": (w[4],)} if bias else {})}, kwargs, tag)
        for name, x, w, bias, kwargs, tag in problems
    ]


def _pools() -> list[Case]:
    windows: list[tuple[str, tuple, dict[str, Any], frozenset]] = [
        ("2x2x2", (2, 4, 4, 6, 3), {}, _TYPICAL),
        ("3.s2.same", (1, 5, 6, 7, 4), {"pool_size": 3, "stride": 2, "padding": "same"}, _TYPICAL),
        ("uneven", (1, 5, 6, 7, 5), {"pool_size": (2, 3, 1), "stride": (1, 2, 1)}, _HAZARD),
        ("pads", (1, 4, 4, 4, 2), {"pool_size": 3, "stride": 1, "padding": ((1, 0), (0, 1), (1, 1))}, _HAZARD),
        ("ceil", (1, 5, 5, 5, 3), {"ceil_mode": True}, _HAZARD),
        ("dilation", (1, 7, 6, 5, 3), {"stride": 1, "dilation": (3, 2, 1)}, _HAZARD),
        ("whole", (2, 3, 4, 2, 17), {"pool_size": (3, 4, 2)}, _TAIL),
        ("empty_batch", (0, 4, 4, 4, 3), {}, _HAZARD),
    ]
    return [
        Case(f"{kind}_pool3d", name, {"x": x}, {"pool_size": 2, **kwargs}, tag)
        for kind in ("max", "min", "avg", "sum")
        for name, x, kwargs, tag in windows
    ]


def _group_norms() -> list[Case]:
    problems: list[tuple[str, tuple, dict[str, Any], frozenset]] = [
        ("image", (3, 5, 6, 8), {"groups": 4}, _TYPICAL),
        ("instance", (2, 4, 5, 5), {"groups": 5}, _TYPICAL),
        ("one_group", (2, 3, 4, 6), {"groups": 1}, _TYPICAL),
        ("matrix", (4, 12), {"groups": 3}, _TYPICAL),
        ("volume", (2, 2, 3, 3, 4), {"groups": 2}, _TYPICAL),
        ("epsilon", (2, 7, 6), {"groups": 2, "epsilon": 1e-5}, _TYPICAL),
        ("many_rows", (2, 15, 20, 2), {"groups": 2}, _TAIL),
        *((f"c{c}", (2, 9, c), {"groups": g}, _TAIL) for c, g in ((1, 1), (9, 3), (17, 17), (33, 11), (64, 8))),
        ("one_cell", (3, 1, 1, 4), {"groups": 2}, _HAZARD),
        ("empty_batch", (0, 4, 6), {"groups": 3}, _HAZARD),
    ]
    return [
        Case("group_norm", name, {"x": x, "gamma": x[-1:], "beta": x[-1:]}, kwargs, tag)
        for name, x, kwargs, tag in problems
    ]


CASES = [*_transposes(), *_depth(), *_convolutions(), *_pools(), *_group_norms()]
