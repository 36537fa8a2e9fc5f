"""The problems of large.py: for every kernel that indexes memory, tensors whose elements or bytes pass 2^31 or 2^32."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from _large_others import others

from fastconv.testing.case import Case
from fastconv.testing.large import Local, Problem, Windowed

__all__ = ["problems"]

_MORE = 2**31 + 2**16  # elements


def _many(*cell: int) -> tuple[int, ...]:
    """The shape of so many cells that they have more than 2^31 elements."""
    size = 1
    for n in cell:
        size *= n
    return (_MORE // size + 7, *cell)


def problems() -> list[Any]:
    """All: they have a case, a name and ``check()``."""
    found = [*_convolutions(), *_pooling(), *_products(), *_rows(), *_elementwise(), *_images(), *others()]
    names = Counter(str(p) for p in found)
    twice = [name for name, times in names.items() if times > 1]
    assert not twice, f"two problems have one name: {twice}"
    return found


def _convolution(name: str, x: tuple[int, ...], w: tuple[int, ...], op: str = "conv2d", **kwargs: Any) -> Case:
    return Case(op, name, {"x": x, "w": w}, kwargs)


def _convolutions() -> list[Problem]:
    n = {
        "1x1": _convolution("1x1", _many(8, 8, 16), (1, 1, 16, 4)),
        "3x3": _convolution("3x3", _many(8, 8, 16), (3, 3, 16, 4), padding=1),
        "3x3 to many": _convolution("3x3 to many", (_MORE // (64 * 48) + 3, 8, 8, 3), (3, 3, 3, 48), padding=1),
        "5x5 strided": _convolution("5x5 strided", _many(9, 9, 16), (5, 5, 16, 4), stride=2, padding=2),
        "dilated": _convolution("dilated", _many(16, 16, 16), (3, 3, 16, 2), dilation=3, padding=3),
        "groups": _convolution("groups", _many(8, 8, 32), (3, 3, 16, 4), groups=2, padding=1),
        "depthwise": _convolution("depthwise", _many(8, 8, 24), (3, 3, 1, 24), groups=24, padding=1),
        "depthwise strided": _convolution("depthwise strided", _many(8, 8, 8), (3, 3, 1, 16), groups=8, stride=2),
    }
    tall = _convolution("tall", (1, _MORE // (16 * 8), 16, 8), (3, 3, 8, 4), padding=((0, 0), (1, 1)))
    wide = _convolution("wide", (1, 2, 2**28 + 999, 8), (3, 3, 8, 2), padding=((1, 1), (0, 0)))
    strided = _convolution("wide strided", (1, 3, 2**28 + 999, 4), (3, 3, 4, 4), stride=2)
    channels = 2**29 + 2**14 + 1
    depth = _convolution("many channels", (1, 2, 2, channels), (1, 1, 1, channels), groups=channels)
    up = {
        "2x2": _convolution("2x2", (_MORE // (256 * 4) + 3, 8, 8, 8), (2, 2, 4, 8), "conv2d_transpose", stride=2),
        "3x3": _convolution("3x3", _many(8, 8, 16), (3, 3, 4, 16), "conv2d_transpose", padding=1),
    }
    tall_up = _convolution("tall", (1, _MORE // (16 * 16), 8, 8), (2, 3, 4, 8), "conv2d_transpose", stride=(2, 1))
    return [
        *(Local(case) for case in n.values()),
        *(Local(n[name], isa="avx2") for name in ("1x1", "3x3", "3x3 to many", "groups", "depthwise")),
        *(Local(n[name], isa="avx512") for name in ("1x1", "3x3", "3x3 to many", "groups")),
        *(
            Local(n[name], precision="fast", conv2d="amx")
            for name in ("1x1", "3x3", "3x3 to many", "5x5 strided", "groups")
        ),
        *(Local(n[name], isa="avx512", precision="fast", conv2d="winograd") for name in ("3x3", "3x3 to many")),
        Local(replace(n["3x3"], name="float64", shapes={"x": _many(8, 8, 16), "w": (3, 3, 16, 4)}), dtype="float64"),
        Windowed(tall, axis=1, window=3),
        Windowed(tall, axis=1, window=3, isa="avx512"),
        Windowed(wide, axis=2, window=3),
        Windowed(wide, axis=2, window=3, isa="avx512"),
        Windowed(strided, axis=2, window=3, stride=2),
        Windowed(strided, axis=2, window=3, stride=2, isa="avx2"),
        Local(depth, axis=3, along=("x", "w")),
        *(Local(case) for case in up.values()),
        Windowed(tall_up, axis=1, window=2, stride=2, up=True),
        Local(Case("conv3d", "3x3x3", {"x": (_MORE // 1536, 4, 4, 4, 8), "w": (3, 3, 3, 8, 2)}, {"padding": 1})),
    ]


def _pool(kind: str, name: str, x: tuple[int, ...], size: Any, **kwargs: Any) -> Case:
    return Case(f"{kind}_pool2d", name, {"x": x}, {"pool_size": size, **kwargs})


def _pooling() -> list[Problem]:
    wide, channels = (1, 4, 2**26 + 999, 8), (1, 4, 4, 2**27 + 9999)
    return [
        *(Local(_pool(kind, "2x2", _many(8, 8, 16), 2)) for kind in ("max", "min", "avg", "sum")),
        *(Local(_pool(kind, "overlapping", _many(8, 8, 16), 3, stride=1, padding=1)) for kind in ("max", "avg")),
        Local(_pool("max", "large window", _many(24, 24, 3), 17, stride=3)),
        *(Local(_pool(kind, "many channels", channels, 2), axis=3) for kind in ("max", "sum")),
        *(Windowed(_pool(kind, "wide", wide, 2), axis=2, window=2, stride=2) for kind in ("max", "sum")),
        Windowed(_pool("max", "wide overlapping", wide, 3, stride=1), axis=2, window=3),
        Windowed(_pool("max", "tall", (1, _MORE // 32, 16, 2), 2), axis=1, window=2, stride=2),
        Local(Case("global_max_pool2d", "images", {"x": _many(8, 8, 16)})),
        Local(Case("global_avg_pool2d", "images", {"x": _many(8, 8, 16)})),
        Local(Case("max_pool3d", "volumes", {"x": _many(4, 4, 4, 8)}, {"pool_size": 2})),
    ]


def _products() -> list[Problem]:
    cases = [
        Case("dense", "many rows", {"x": _many(64), "w": (64, 3), "bias": (3,)}),
        Case("dense", "many rows to many columns", {"x": (_MORE // 96 + 7, 5), "w": (5, 96)}),
        Case("dense", "square result", {"x": (46_400, 8), "w": (8, 46_400)}),
    ]
    columns = Case("dense", "many columns", {"x": (5, 40), "w": (40, _MORE // 40 + 7)})
    row = Case("dense", "one row, many columns", {"x": (1, 40), "w": (40, _MORE // 40 + 7)})
    return [
        *(Local(case, isa=isa) for case in cases for isa in ("", "avx512", "avx2")),
        Local(cases[0], precision="fast"),
        *(Local(case, axis=1, along=("w",), isa=isa) for case in (columns, row) for isa in ("", "avx512")),
        Local(columns, axis=1, along=("w",), precision="fast"),
    ]


def _rows() -> list[Problem]:
    def norm(op: str, x: tuple[int, ...], *vectors: str, **kwargs: Any) -> Local:
        return Local(Case(op, "many rows", {"x": x, **dict.fromkeys(vectors, x[-1:])}, kwargs))

    def loss(op: str, classes: int, **kwargs: Any) -> Local:
        y_pred = _many(classes)
        y_true = y_pred[:1] if op.startswith("sparse") else y_pred
        return Local(
            Case(op, f"{classes} classes", {"y_true": y_true, "y_pred": y_pred}, kwargs), along=("y_true", "y_pred")
        )

    return [
        *(Local(Case(op, "many rows", {"x": _many(37)})) for op in ("softmax", "log_softmax", "sparsemax")),
        norm("batch_norm", _many(24), "gamma", "beta", "mean", "var", training=False),
        norm("layer_norm", _many(24), "gamma", "beta"),
        norm("rms_norm", _many(24), "gamma"),
        norm("group_norm", _many(4, 4, 8), "gamma", "beta", groups=2),
        loss("mean_squared_error", 3),
        loss("huber", 10),
        loss("binary_crossentropy", 10, from_logits=True),
        loss("categorical_crossentropy", 10, from_logits=True),
        loss("sparse_categorical_crossentropy", 10, from_logits=True),
        loss("sparse_categorical_crossentropy", 11),
        Local(Case("prelu", "many rows", {"x": _many(5), "alpha": (5,)})),
        Local(Case("embedding", "many ids", {"ids": (_MORE // 16,), "table": (50, 16)}), along=("ids",)),
        Local(Case("embedding", "wide table", {"ids": (5,), "table": (3, 2**30 + 999)}), axis=1, along=("table",)),
    ]


def _elementwise() -> list[Problem]:
    flat = (_MORE + 5,)
    two = {"a": flat, "b": flat}
    outer = {"a": (46_400, 1), "b": (46_400,)}
    return [
        *(Local(Case(op, "flat", {"x": flat})) for op in ("relu", "gelu", "tanh", "leaky_relu")),
        Local(Case("relu", "float64", {"x": flat}), dtype="float64"),
        Local(Case("relu", "flat", {"x": flat}), isa="avx2"),
        *(Local(Case(op, "flat", two), along=("a", "b")) for op in ("add", "multiply", "maximum")),
        *(Local(Case(op, "outer", outer), along=("a",)) for op in ("subtract", "multiply", "divide")),
        Local(Case("multiply", "rows by a column", {"a": _many(48), "b": (_MORE // 48 + 7, 1)}), along=("a", "b")),
        Local(Case("add", "rows and a row", {"a": _many(24), "b": (24,)}), along=("a",)),
        Local(Case("cast", "to float64", {"x": flat}, {"dtype": "float64"})),
        Local(Case("pad", "rows", {"x": _many(7)}, {"pad_width": ((0, 0), (1, 2))})),
        Local(Case("crop", "rows", {"x": _many(7)}, {"crop_width": ((0, 0), (1, 2))})),
        Local(Case("transpose", "cells", {"x": _many(5, 7)}, {"axes": (0, 2, 1)})),
    ]


def _images() -> list[Problem]:
    small = (_MORE // (256 * 3) + 7, 8, 8, 3)
    tall = Case("upsample", "tall", {"x": (1, 500_000, 16, 70)}, {"size": (2, 2)})
    return [
        Local(Case("upsample", "nearest", {"x": small}, {"size": 2})),
        Local(Case("resize2d", "bilinear", {"x": small}, {"size": (15, 13), "interpolation": "bilinear"})),
        Windowed(tall, axis=1, window=2, stride=2, up=True),
    ]
