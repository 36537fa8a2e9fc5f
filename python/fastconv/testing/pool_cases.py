"""Named poolings."""

from __future__ import annotations

from typing import Any

from .case import Case

_SLIDING = ("max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d")
_GLOBAL = ("global_max_pool2d", "global_avg_pool2d")


def _windows() -> list[tuple[str, tuple, dict[str, Any], str]]:
    return [
        ("2x2", (2, 8, 8, 3), {}, "typical"),
        ("3x3.s2", (2, 9, 9, 4), {"pool_size": 3, "stride": 2}, "typical"),
        ("3x3.s1.p1", (2, 6, 7, 4), {"pool_size": 3, "stride": 1, "padding": 1}, "typical"),
        ("2x2.same", (2, 7, 5, 3), {"padding": "same"}, "typical"),
        ("2x3", (1, 8, 9, 5), {"pool_size": (2, 3), "stride": (1, 2)}, "typical"),
        *((f"c{c}", (1, 6, 5, c), {"pool_size": 3, "stride": 2}, "tail") for c in (1, 2, 3, 7, 8, 9, 15, 16, 17, 33)),
        ("ceil", (2, 5, 5, 3), {"ceil_mode": True}, "hazard"),
        (
            "ceil.3x3.s2.p1",
            (1, 8, 6, 3),
            {"pool_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
            "hazard",
        ),
        (
            "ceil.in_pad",
            (1, 4, 5, 3),
            {"pool_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
            "hazard",
        ),
        ("asymmetric", (1, 6, 6, 3), {"pool_size": 3, "padding": ((0, 2), (1, 0))}, "hazard"),
        ("same.s3", (1, 10, 8, 3), {"pool_size": 5, "stride": 3, "padding": "same"}, "hazard"),
        ("same_lower", (1, 7, 8, 3), {"pool_size": 2, "padding": "same_lower"}, "hazard"),
        ("dilation", (1, 9, 8, 3), {"pool_size": 3, "stride": 1, "dilation": (2, 3)}, "hazard"),
        ("dilation.p", (1, 7, 7, 3), {"pool_size": 2, "stride": 2, "dilation": 3, "padding": 2}, "hazard"),
        ("stride>window", (1, 9, 11, 3), {"pool_size": 2, "stride": (3, 5)}, "hazard"),
        ("one_pixel", (2, 1, 1, 3), {"pool_size": 1}, "hazard"),
        ("one_pixel.p1", (2, 1, 1, 3), {"pool_size": 3, "padding": 1}, "hazard"),
        ("whole_image", (2, 4, 5, 3), {"pool_size": (4, 5)}, "hazard"),
        ("empty_batch", (0, 6, 6, 3), {}, "hazard"),
        ("lenet.p2", (64, 28, 28, 6), {}, "network"),
        ("cifar_vgg.p1", (32, 32, 32, 64), {}, "network"),
        ("resnet18.p1", (1, 112, 112, 64), {"pool_size": 3, "stride": 2, "padding": 1}, "network"),
    ]


def _sliding() -> list[Case]:
    cases = [
        Case(op, name, {"x": x}, {"pool_size": 2, **kwargs}, frozenset({tag}))
        for op in _SLIDING
        for name, x, kwargs, tag in _windows()
    ]
    cases += [
        Case(
            "avg_pool2d",
            f"include.{case.name}",
            case.shapes,
            {**case.kwargs, "count_include_pad": True},
            case.tags,
        )
        for case in cases
        if case.op == "avg_pool2d" and ("padding" in case.kwargs or "ceil_mode" in case.kwargs)
    ]
    return cases


def _global() -> list[Case]:
    shapes = [
        ("8x8", (2, 8, 8, 16), "typical"),
        ("7x7", (2, 7, 7, 5), "typical"),
        ("one_pixel", (3, 1, 1, 4), "hazard"),
        ("one_channel", (2, 5, 6, 1), "hazard"),
        ("row", (2, 1, 17, 3), "hazard"),
        ("column", (2, 33, 1, 9), "tail"),
        ("c17", (1, 4, 3, 17), "tail"),
        ("empty_batch", (0, 4, 4, 3), "hazard"),
        ("resnet18.gap", (4, 7, 7, 512), "network"),
    ]
    return [Case(op, name, {"x": x}, {}, frozenset({tag})) for op in _GLOBAL for name, x, tag in shapes]


CASES = [*_sliding(), *_global()]
