"""From a graph to a program: fusion, memory, execution."""

from fastconv.plan.execute import Plan, arena_bytes

__all__ = ["Plan", "arena_bytes"]
