"""Named problems of recurrent layers and of embeddings."""

from __future__ import annotations

from typing import Any

from .case import Case

_TYPICAL, _TAIL, _HAZARD = (frozenset({tag}) for tag in ("typical", "tail", "hazard"))
_GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def _shapes(
    op: str, n: int, t: int, d: int, u: int, states: int = 0, bias: bool = True, after: bool = True
) -> dict[str, Any]:
    gates = _GATES[op] * u
    shapes: dict[str, Any] = {"x": (n, t, d), "kernel": (d, gates), "recurrent_kernel": (u, gates)}
    if bias:
        shapes["bias"] = (2, gates) if op == "gru" and after else (gates,)
    return shapes | dict.fromkeys(("h0", "c0")[:states], (n, u))


def _recurrent(op: str) -> list[Case]:
    sizes = [
        ("typical", (3, 4, 5, 6), _TYPICAL),
        ("one_step", (3, 1, 4, 5), _HAZARD),
        ("one_unit", (2, 3, 1, 1), _HAZARD),
        ("empty_batch", (0, 3, 2, 4), _HAZARD),
        ("n7_u9", (7, 2, 3, 9), _TAIL),
        ("n13_u17", (13, 2, 3, 17), _TAIL),
        ("u70", (2, 2, 3, 70), _TAIL),
    ]
    cases = [Case(op, name, _shapes(op, *size), {}, tag) for name, size, tag in sizes]
    states = 2 if op == "lstm" else 1
    settings: list[dict[str, Any]] = [
        {"return_sequences": True, "return_state": True, "go_backwards": True},
        {"return_sequences": True, "return_state": True, "go_backwards": True, "aligned": True},
        {"return_state": True, "go_backwards": True, "aligned": True},
        {"activation": None},
        {"activation": "hard_sigmoid"} if op == "simple_rnn" else {"recurrent_activation": "hard_sigmoid"},
    ]
    for keywords in settings:
        name = ".".join(f"{key}={value}" for key, value in keywords.items())
        cases.append(Case(op, name, _shapes(op, 2, 3, 2, 3, states), keywords, _TYPICAL))
    cases.append(Case(op, "no_bias", _shapes(op, 2, 3, 2, 3, bias=False), {}, _TYPICAL))
    return cases


def _reset_before() -> list[Case]:
    """The other form of gru."""
    keywords = {"reset_after": False}
    sizes = [(2, 3, 2, 3), (0, 2, 3, 4), (13, 2, 3, 17)]
    cases = [
        Case("gru", "before." + "x".join(map(str, s)), _shapes("gru", *s, states=1, after=False), keywords, _TYPICAL)
        for s in sizes
    ]
    other = keywords | {"return_sequences": True, "go_backwards": True}
    cases.append(Case("gru", "before.no_bias", _shapes("gru", 2, 3, 2, 3, bias=False), keywords, _TYPICAL))
    return [*cases, Case("gru", "before.backwards", _shapes("gru", 2, 3, 2, 3, after=False), other, _TYPICAL)]


def _embedding() -> list[Case]:
    problems = [
        ("text", (2, 5), (11, 4), _TYPICAL),
        ("scalar", (), (3, 4), _HAZARD),
        ("empty_batch", (0, 5), (3, 4), _HAZARD),
        ("one_row", (7,), (1, 5), _HAZARD),
        ("one_column", (9,), (5, 1), _HAZARD),
        ("many_of_few", (4, 25), (3, 17), _TAIL),
        ("few_of_many", (3,), (70, 8), _TAIL),
        ("wide", (2, 3), (5, 70), _TAIL),
        ("cube", (2, 3, 4), (6, 9), _TYPICAL),
    ]
    return [Case("embedding", name, {"ids": ids, "table": table}, {}, tag) for name, ids, table, tag in problems]


CASES = [*(case for op in _GATES for case in _recurrent(op)), *_reset_before(), *_embedding()]
