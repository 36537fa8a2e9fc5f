"""Named problems of everything but convolution and pooling."""

from __future__ import annotations

from typing import Any

from .case import Case

_TYPICAL, _TAIL, _HAZARD = (frozenset({tag}) for tag in ("typical", "tail", "hazard"))
_LENGTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33)


def _dense() -> list[Case]:
    sizes = [
        ("mlp.1", (16, 784), 32, _TYPICAL),
        ("mlp.2", (16, 32), 10, _TYPICAL),
        ("sequence", (2, 5, 6), 4, _TYPICAL),
        ("vector", (7,), 3, _HAZARD),
        ("one_row", (1, 9), 17, _HAZARD),
        ("one_unit", (9, 8), 1, _HAZARD),
        ("one_feature", (9, 1), 8, _HAZARD),
        ("empty_batch", (0, 4), 3, _HAZARD),
        *((f"n{n}", (n, n), n, _TAIL) for n in _LENGTHS),
        *((f"few_rows.{m}", (m, 37), 70, _TAIL) for m in (1, 3, 5, 8)),
        ("one_row.few_units", (1, 300), 10, _TAIL),
    ]
    cases = [Case("dense", name, {"x": x, "w": (x[-1], u), "bias": (u,)}, {}, tag) for name, x, u, tag in sizes]
    cases.append(Case("dense", "no_bias", {"x": (4, 6), "w": (6, 5)}, {}, _TYPICAL))
    for name in ("relu", "sigmoid", "softmax"):
        shapes = {"x": (4, 6), "w": (6, 5), "bias": (5,)}
        cases.append(Case("dense", name, shapes, {"activation": name}, _TYPICAL))
    return cases


_ELEMENTWISE: dict[str, list[dict[str, Any]]] = {
    "relu": [{}],
    "relu6": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.01}],
    "elu": [{}, {"alpha": 0.5}],
    "selu": [{}],
    "gelu": [{}, {"approximate": True}],
    "silu": [{}],
    "hard_sigmoid": [{}],
    "hard_swish": [{}],
    "sigmoid": [{}],
    "tanh": [{}],
    "softplus": [{}],
    "threshold": [{}, {"value": 0.25}],
    "clip": [{"low": -1.0, "high": 1.0}, {"low": 0.5, "high": 1.25}],
    "exponential": [{}],
    "mish": [{}],
    "softsign": [{}],
    "squareplus": [{}, {"b": 0.5}],
    "shrink": [{}, {"threshold": 0.75, "bias": 0.75}],
    "sparse_plus": [{}],
}


_RARE = ("clip", "exponential", "mish", "softsign", "squareplus", "shrink", "sparse_plus")
_FEW = ("n1", "n7", "n17", "n33", "matrix", "image", "scalar", "empty_batch")


def _activations() -> list[Case]:
    shapes = [
        *((f"n{n}", (n,), _TAIL) for n in _LENGTHS),
        ("matrix", (4, 10), _TYPICAL),
        ("image", (2, 5, 6, 3), _TYPICAL),
        ("scalar", (), _HAZARD),
        ("empty_batch", (0, 4), _HAZARD),
    ]
    cases = [
        Case(op, n, {"x": x}, kw[0], tag)
        for op, kw in _ELEMENTWISE.items()
        for n, x, tag in shapes
        if op not in _RARE or n in _FEW
    ]
    for op, keywords in _ELEMENTWISE.items():
        for kw in keywords[1:]:
            name = ".".join(f"{k}={v}" for k, v in kw.items())
            cases.append(Case(op, name, {"x": (3, 37)}, kw, _TYPICAL))
    cases += [
        Case(op, n, {"x": x}, {}, tag) for op in ("softmax", "log_softmax", "sparsemax") for n, x, tag in shapes if x
    ]
    cases += [Case("sparsemax", f"wide{n}", {"x": (2, n)}, {}, _TAIL) for n in (300, 2100)]
    alphas = [
        ("channel", (2, 5, 6, 3), (3,)),
        ("one", (2, 5, 6, 3), (1,)),
        ("scalar", (2, 7), ()),
        ("shared_axes", (2, 5, 6, 3), (1, 1, 3)),
        ("whole", (2, 4, 5), (4, 5)),
        ("c17", (3, 17), (17,)),
        ("c1", (4, 1), (1,)),
        ("empty_batch", (0, 4), (4,)),
    ]
    return cases + [Case("prelu", n, {"x": x, "alpha": a}, {}, _TYPICAL) for n, x, a in alphas]


def _norms() -> list[Case]:
    shapes = [
        ("image", (4, 5, 6, 8), _TYPICAL),
        ("matrix", (16, 10), _TYPICAL),
        ("c1", (4, 5, 5, 1), _HAZARD),
        ("one_row", (1, 3, 3, 4), _HAZARD),
        ("empty_batch", (0, 4), _HAZARD),
        *((f"c{c}", (3, 4, c), _TAIL) for c in (2, 3, 7, 9, 16, 17, 33)),
    ]
    cases = []
    for name, x, tag in shapes:
        vectors = dict.fromkeys(("gamma", "beta", "mean", "var"), x[-1:])
        for training in (False, True):
            mode = "training" if training else "inference"
            cases.append(Case("batch_norm", f"{name}.{mode}", {"x": x, **vectors}, {"training": training}, tag))
        cases.append(Case("layer_norm", name, {"x": x, "gamma": x[-1:], "beta": x[-1:]}, {}, tag))
        cases.append(Case("rms_norm", name, {"x": x, "gamma": x[-1:]}, {}, tag))
    cases.append(Case("layer_norm", "epsilon", {"x": (3, 8), "gamma": (8,), "beta": (8,)}, {"epsilon": 1e-5}, _TYPICAL))
    return cases


def _dropout() -> list[Case]:
    cases = [Case("dropout", f"n{n}", {"x": (n,)}, {"rate": 0.5, "seed": 1}, _TAIL) for n in (1, 3, 4, 5, 8, 9, 33)]
    cases += [
        Case("dropout", f"rate={r}", {"x": (6, 37)}, {"rate": r, "seed": 7}, _TYPICAL) for r in (0.0, 0.2, 0.9, 1.0)
    ]
    cases.append(Case("dropout", "big_seed", {"x": (6, 37)}, {"rate": 0.5, "seed": 2**64 - 1}, _HAZARD))
    shared = [
        ("channels", (2, 5, 6, 3), (2, 1, 1, 3)),
        ("steps", (4, 7, 5), (None, 1, None)),
        ("samples", (9, 17), (9, 1)),
        ("all", (3, 5), (1, 1)),
        ("whole", (3, 5), (3, 5)),
    ]
    for name, x, mask in shared:
        kwargs = {"rate": 0.4, "seed": 5, "noise_shape": mask}
        cases.append(Case("dropout", f"shared.{name}", {"x": x}, kwargs, _TYPICAL))
    cases.append(Case("dropout", "empty_batch", {"x": (0, 3)}, {"rate": 0.5, "seed": 1}, _HAZARD))
    return cases


def _noise() -> list[Case]:
    shapes = [
        *((f"n{n}", (n,), _TAIL) for n in (1, 3, 4, 33)),
        ("matrix", (6, 37), _TYPICAL),
        ("image", (2, 5, 6, 3), _TYPICAL),
        ("empty_batch", (0, 3), _HAZARD),
    ]
    cases = [
        Case("gaussian_noise", name, {"x": x}, {"stddev": 0.3, "seed": 7, "multiply": i % 2 == 1}, tag)
        for i, (name, x, tag) in enumerate(shapes)
    ]
    return [*cases, Case("gaussian_noise", "big_seed", {"x": (5, 9)}, {"stddev": 2.0, "seed": 2**64 - 1}, _HAZARD)]


_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")


def _arithmetic() -> list[Case]:
    pairs = [
        ("same", (4, 5), (4, 5)),
        ("image", (2, 5, 6, 3), (2, 5, 6, 3)),
        ("channel", (2, 5, 6, 3), (3,)),
        ("gate", (2, 5, 6, 3), (2, 1, 1, 3)),
        ("outer", (5, 1), (1, 7)),
        ("scalar", (3, 4), ()),
        ("left", (3,), (4, 3)),
        ("n17", (17,), (17,)),
        ("n33", (33,), (1,)),
        ("empty_batch", (0, 3), (3,)),
    ]
    return [Case(op, n, {"a": a, "b": b}, {}, _TYPICAL) for op in _BINARY for n, a, b in pairs]


def _moves() -> list[Case]:
    joins = [
        ("channels", ((2, 4, 5, 3), (2, 4, 5, 7)), {}),
        ("three", ((2, 3), (2, 1), (2, 5)), {"axis": 1}),
        ("batch", ((2, 3), (4, 3)), {"axis": 0}),
        ("rows", ((2, 3, 4, 2), (2, 5, 4, 2)), {"axis": -3}),
        ("one", ((2, 3),), {}),
        ("vectors", ((3,), (17,)), {}),
        ("c1", ((2, 4, 4, 1), (2, 4, 4, 1), (2, 4, 4, 1)), {}),
        ("empty_batch", ((0, 3), (0, 2)), {}),
    ]
    cases = [Case("concatenate", n, {"arrays": shapes}, kw, _TYPICAL) for n, shapes, kw in joins]
    pads = [
        ("image", (2, 4, 5, 3), ((0, 0), (1, 2), (3, 0), (0, 0))),
        ("channels", (2, 4, 5, 3), ((0, 0), (0, 0), (0, 0), (0, 5))),
        ("int", (3, 4), 2),
        ("none", (3, 4), 0),
        ("vector", (7,), ((1, 0),)),
        ("c17", (2, 3, 3, 17), ((0, 0), (1, 1), (1, 1), (0, 0))),
        ("batch", (2, 3), ((1, 1), (0, 0))),
        ("empty_batch", (0, 3), ((0, 0), (1, 1))),
    ]
    cases += [Case("pad", n, {"x": x}, {"pad_width": width}, _TYPICAL) for n, x, width in pads]
    cases.append(Case("pad", "value", {"x": (2, 3)}, {"pad_width": 1, "value": -2.0}, _TYPICAL))
    crops = [
        ("image", (2, 5, 6, 3), ((0, 0), (1, 2), (3, 0), (0, 0))),
        ("channels", (2, 4, 5, 7), ((0, 0), (0, 0), (0, 0), (0, 5))),
        ("int", (7, 6), 2),
        ("none", (3, 4), 0),
        ("vector", (7,), ((1, 0),)),
        ("to_one_cell", (4, 3), ((3, 0), (1, 1))),
        ("c17", (2, 5, 5, 17), ((0, 0), (1, 1), (1, 1), (0, 0))),
        ("batch", (5, 3), ((1, 1), (0, 0))),
        ("empty_batch", (0, 3), ((0, 0), (1, 1))),
    ]
    cases += [Case("crop", n, {"x": x}, {"crop_width": width}, _TYPICAL) for n, x, width in crops]
    flats = ((2, 4, 5, 3), (2, 3), (5,), (1, 1, 1, 1), (3, 17), (2, 3, 4), (7, 1, 9), (0, 4, 4, 3))
    cases += [Case("flatten", "x".join(map(str, x)), {"x": x}, {}, _TYPICAL) for x in flats]
    cases += [
        Case("cast", "x".join(map(str, x)), {"x": x}, {"dtype": "float64"}, _TYPICAL) for x in (*flats, (33,), (4100,))
    ]
    reshapes = [
        ((2, 12), (2, 3, 4)),
        ((2, 3, 4), (2, -1)),
        ((6,), (3, 2)),
        ((3, 2), (-1,)),
        ((1,), ()),
        ((), (1, 1)),
        ((2, 4, 4, 3), (2, 16, 3)),
        ((0, 4), (0, 2, 2)),
    ]
    return cases + [
        Case("reshape", f"{a}->{b}".replace(" ", ""), {"x": a}, {"shape": b}, _TYPICAL) for a, b in reshapes
    ]


_LOSSES: dict[str, list[dict[str, Any]]] = {
    "mean_squared_error": [{}],
    "mean_absolute_error": [{}],
    "huber": [{}, {"delta": 0.3}],
    "hinge": [{}],
    "kl_divergence": [{}],
    "poisson": [{}],
    "mean_absolute_percentage_error": [{}],
    "mean_squared_logarithmic_error": [{}],
    "binary_crossentropy": [{}, {"from_logits": True}, {"label_smoothing": 0.1}],
    "categorical_crossentropy": [{}, {"from_logits": True}, {"label_smoothing": 0.1, "from_logits": True}],
    "sparse_categorical_crossentropy": [{}, {"from_logits": True}],
}


def _losses() -> list[Case]:
    shapes = ((4, 10), (1, 3), (7, 1), (2, 3, 5), (33, 17), (5, 8), (3, 1000), (9, 2), (0, 4))
    cases = []
    for op, keywords in _LOSSES.items():
        for kw in keywords:
            for p in shapes:
                t = p[:-1] if op.startswith("sparse") else p
                name = ".".join(["x".join(map(str, p)), *(f"{k}={v}" for k, v in kw.items())])
                cases.append(Case(op, name, {"y_true": t, "y_pred": p}, kw, _TYPICAL))
    return cases


def _penalties() -> list[Case]:
    shapes = [
        *((f"n{n}", (n,), _TAIL) for n in _LENGTHS),
        ("kernel", (3, 3, 16, 32), _TYPICAL),
        ("blocks", (4099,), _TAIL),
        ("scalar", (), _HAZARD),
        ("empty", (0, 4), _HAZARD),
    ]
    factors = [{"l1": 0.5}, {"l2": 0.25}, {"l1": 0.5, "l2": 0.25}]
    cases = [Case("penalty", n, {"x": x}, factors[i % 3], tag) for i, (n, x, tag) in enumerate(shapes)]
    return [*cases, Case("penalty", "nothing", {"x": (5,)}, {}, _HAZARD)]


CASES = [
    *_dense(),
    *_activations(),
    *_norms(),
    *_dropout(),
    *_noise(),
    *_arithmetic(),
    *_moves(),
    *_losses(),
    *_penalties(),
]
