"""From a graph to a program: fusion, memory, execution."""

from fastconv.plan.execute import Plan, Update

__all__ = ["Plan", "Update"]
