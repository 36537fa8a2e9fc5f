"""From a graph to a program: fusion, memory, execution."""

from fastconv.plan.execute import Plan, Update, arena_bytes

__all__ = ["Plan", "Update", "arena_bytes"]
