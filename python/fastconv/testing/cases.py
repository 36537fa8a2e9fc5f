"""The named problems, one table for tests and benches: ``cases("conv2d", tag="hazard")``."""

from __future__ import annotations

from . import conv_cases, image_cases, other_cases, pool_cases, sequence_cases, volume_cases
from .case import Case
from .random_cases import random_cases, square_cases

__all__ = ["Case", "case_id", "cases", "ops", "random_cases", "square_cases"]

_ALL = (
    *conv_cases.CASES,
    *pool_cases.CASES,
    *image_cases.CASES,
    *other_cases.CASES,
    *sequence_cases.CASES,
    *volume_cases.CASES,
)


def cases(op: str | None = None, tag: str | None = None) -> list[Case]:
    """The problems of one op and with one tag; None means any."""
    return [case for case in _ALL if op in (None, case.op) and (tag is None or tag in case.tags)]


def ops() -> list[str]:
    """Every op that has named problems."""
    return list(dict.fromkeys(case.op for case in _ALL))


def case_id(case: Case) -> str:
    """The pytest id of a case."""
    return str(case)
