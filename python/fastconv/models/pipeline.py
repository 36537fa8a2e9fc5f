"""Runs of plans, queued one after another: the host makes the next one ready while a device computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fastconv.models.plans import ModelPlan, StepArrays

__all__ = ["Finished", "Pipeline", "UpdateCount"]


class Finished(NamedTuple):
    """A run that has ended.

    Attributes:
        note: what the caller gave with it.
        arrays: with its inputs and results, until the next run is queued.
        passed: False where a guard stopped it.
    """

    note: Any
    arrays: StepArrays
    passed: bool


class UpdateCount:
    """Keeps ``optimizer.steps`` equal to the updates that have happened, however a training ends."""

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer

    def begin(self, plan: ModelPlan) -> None:
        """Runs of ``plan`` are to come; none is under way."""
        self._start, self._runs = plan.plan.updates, 0
        self._mark = self._optimizer.steps, 0

    def expect(self) -> None:
        """One more run is about to be queued: counted now, since the numbers of the next depend on it."""
        self._mark = self._optimizer.steps, self._runs  # what a callback may have set, and for which run
        self._runs += 1
        self._optimizer.steps += 1

    def correct(self, plan: ModelPlan) -> None:
        """No run of ``plan`` is under way any more: those that were expected and did not happen do not count."""
        iterations, runs = self._mark
        happened = plan.plan.updates - self._start
        if happened != self._runs:
            self._optimizer.steps = iterations + happened - runs
        self.begin(plan)


class Pipeline:
    """Queues runs, and gives them back finished in the same order: each at once, or one later.

        with Pipeline() as runs:
            for batch in batches:
                yield from runs.turn_to(plan)
                fill(runs.arrays, batch)
                runs.queue(note)
                yield from runs.due()
            yield from runs.rest()

    On leaving its ``with`` block, also by an exception, nothing is under way. What a caller sees is what it would see
    if it waited for every run: after one that was refused the others in the queue have changed nothing and are forgotten.

    Args:
        waits: whether a run is to be finished before the next is queued.
        updates: told of plans that begin and end.
    """

    def __init__(self, waits: bool = False, updates: UpdateCount | None = None) -> None:
        self._waits = waits
        self._updates = updates
        self._plan: ModelPlan | None = None
        self._slots = 1
        self._under_way: deque[tuple[int, Any]] = deque()
        self._next = 0

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *unused: Any) -> None:
        self._end()
        self._under_way.clear()

    def turn_to(self, plan: ModelPlan) -> Sequence[Finished]:
        """Says which plan runs next. Runs of several do not overlap: gives what another has under way."""
        if plan is self._plan:
            return ()
        finished = list(self.rest())
        self._end()
        self._plan, self._slots = plan, 1 if self._waits else plan.plan.slots
        if self._updates is not None:
            self._updates.begin(plan)
        return finished

    @property
    def arrays(self) -> StepArrays:
        """Those of the next run, to be filled."""
        assert self._plan is not None
        return self._plan.slot(self._next)

    def queue(self, note: Any) -> None:
        """Begins a run; the note is kept until it has finished, as what the run reads must be."""
        assert self._plan is not None
        if self._updates is not None:
            self._updates.expect()
        self._plan.plan.queue(self._next)
        self._under_way.append((self._next, note))
        self._next = (self._next + 1) % self._slots

    def due(self) -> Sequence[Finished]:
        """What has to be looked at before the next run is queued."""
        return (self._finish(),) if len(self._under_way) >= self._slots else ()

    def rest(self) -> Iterator[Finished]:
        """Gives all that is under way."""
        while self._under_way:
            yield self._finish()

    def _finish(self) -> Finished:
        assert self._plan is not None
        slot, note = self._under_way.popleft()
        passed = self._plan.plan.finish(slot)
        if not passed:
            self._under_way.clear()
            if self._updates is not None:
                self._updates.correct(self._plan)
        return Finished(note, self._plan.slot(slot), passed)

    def _end(self) -> None:
        if self._plan is not None:
            self._plan.plan.settle()
            if self._updates is not None:
                self._updates.correct(self._plan)
        self._plan, self._next = None, 0
