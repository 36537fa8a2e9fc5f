"""Named problems of resizing."""

from __future__ import annotations

from typing import Any

from .case import Case

_TYPICAL, _TAIL, _HAZARD = (frozenset({tag}) for tag in ("typical", "tail", "hazard"))


def _resizes() -> list[Case]:
    sizes: list[tuple[str, tuple[int, ...], Any, Any]] = [
        ("larger", (2, 5, 6, 3), (11, 9), _TYPICAL),
        ("smaller", (2, 11, 9, 3), (4, 5), _TYPICAL),
        ("much_smaller", (1, 37, 23, 2), (3, 2), _HAZARD),
        ("same", (2, 4, 5, 3), (4, 5), _HAZARD),
        ("one_pixel", (2, 1, 1, 5), (3, 4), _HAZARD),
        ("to_one_pixel", (2, 5, 4, 1), (1, 1), _HAZARD),
        *((f"c{c}", (1, 4, 3, c), (7, 5), _TAIL) for c in (1, 7, 16, 33)),
        ("empty_batch", (0, 4, 4, 3), (8, 2), _HAZARD),
    ]
    kinds = [(kind, anti) for kind in ("bilinear", "bicubic", "lanczos3") for anti in (False, True)]
    kinds += [("nearest", False), ("area", False), ("lanczos5", True)]
    cases = []
    for i, (name, x, size, tag) in enumerate(sizes):
        for kind, anti in (
            kinds if i < 2 else (kinds[i % 8], kinds[(i + 5) % 8])
        ):  # every kind, then two of them in turn
            kwargs = {"size": size, "interpolation": kind, "antialias": anti}
            label = f"{name}.{kind}{'.antialias' if anti else ''}"
            cases.append(Case("resize2d", label, {"x": x}, kwargs, tag))
    for coordinates in ("asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"):
        kwargs = {"size": (7, 3), "coordinates": coordinates, "scales": (1.45, 0.6), "exclude_outside": False}
        settings = {**kwargs, "interpolation": "bicubic", "cubic_coeff_a": -0.75}
        cases.append(Case("resize2d", coordinates, {"x": (2, 5, 6, 3)}, settings, _TYPICAL))
    for rounding in ("round_prefer_floor", "floor", "ceil"):
        kwargs = {"size": (3, 9), "interpolation": "nearest", "rounding": rounding}
        cases.append(Case("resize2d", rounding, {"x": (2, 6, 6, 3)}, kwargs, _TYPICAL))
    return cases


def _upsamplings() -> list[Case]:
    shapes = [
        ("image", (2, 5, 6, 3), 2, _TYPICAL),
        ("rows", (2, 5, 6, 3), (3, 1), _TYPICAL),
        ("none", (2, 4, 5, 2), 1, _HAZARD),
        ("c16", (1, 3, 3, 16), (2, 5), _TAIL),
        ("c17", (1, 3, 4, 17), 2, _TAIL),
        ("c1", (3, 4, 4, 1), 4, _TAIL),
        ("row", (2, 1, 7, 5), (1, 2), _HAZARD),
        ("empty_batch", (0, 4, 4, 3), 2, _HAZARD),
    ]
    return [
        Case("upsample", name, {"x": x}, {"size": size, "interpolation": ("nearest", "bilinear")[i % 2]}, tag)
        for i, (name, x, size, tag) in enumerate(shapes)
    ]


CASES = [*_resizes(), *_upsamplings()]
