"""Batches for training: shuffled, mapped and prefetched, the same for the same seed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from .. import _html, random
from .._arguments import function
from .._memory import take_rows
from ..utils._checks import as_array, as_int, same_rows
from ._prefetch import prefetched

__all__ = ["Dataset"]

_STEP = 0xD1342543DE82EF95  # odd, so that every pass of one seed gets its own 64-bit seed


class _Augmented:
    """A function of x and of random numbers that belong to one element of one pass."""

    def __init__(self, fn: Callable[..., Any], seed: int) -> None:
        self._fn, self.seed = fn, seed

    def __call__(self, x: Any, epoch: int, number: int) -> Any:
        rng = random.generator(random.seed_of(self.seed + epoch * _STEP, number))
        return _returned("augment", "x", self._fn(x, rng))


def _returned(method: str, what: str, result: Any) -> Any:
    """``result`` of a caller's function, which does not forget to return."""
    if result is None:
        raise TypeError(f"[Dataset.{method}] fn must return {what}: expected {what}, got None. End it with return.")
    return result


class Dataset:
    """An iterable over samples ``x`` with labels ``y``; each method returns a new Dataset, nothing is copied.

    ``Dataset(x, y).shuffle(seed=0).batch(32).map(augment).prefetch(2)`` yields ``(x_batch, y_batch)`` pairs,
    and can be given to ``fit``. Without ``batch`` it yields single samples. Without ``y`` it yields x alone
    instead of pairs.

    Args:
        x: samples (N, ...); an array, or what becomes one. A ``np.memmap`` stays on disk.
        y: labels or targets (N, ...), or None.

    Attributes:
        class_names: names of the classes, where they are known, as of a folder of pictures; else None.
        epoch: how many passes were begun; each pass of a shuffled Dataset has its own order, which depends on
            the seed and this number only. Set it to resume; ``fit`` with BackupAndRestore does.

    Example:
        >>> import numpy as np
        >>> from fastconv.datasets import Dataset
        >>> data = Dataset(np.arange(5), np.arange(5) % 2).batch(2).map(lambda x, y: (x * 10, y))
        >>> [x.tolist() for x, y in data]
        [[0, 10], [20, 30], [40]]
        >>> len(data)
        3
    """

    def __init__(self, x: Any, y: Any = None) -> None:
        self._arrays = [as_array("Dataset", "x", x)]
        if y is not None:
            self._arrays.append(as_array("Dataset", "y", y, "biufUS", "labels or targets"))
        same_rows("Dataset", self._arrays[0], self._arrays[-1])
        self._seed: int | None = None
        self._batch_size: int | None = None
        self._drop_remainder = False
        self._functions: tuple[Callable[..., Any], ...] = ()
        self._depth = 0
        self._first = 0
        self._count: int | None = None
        self._repeats = 1
        self.class_names: tuple[str, ...] | None = None
        self.epoch = 0

    def shuffle(self, seed: int | None = None) -> Dataset:
        """Visit all samples in a new random order on each pass; None draws a seed from fastconv.random."""
        number = random.next_seed() if seed is None else as_int("Dataset.shuffle", "seed", seed)
        return self._with(_seed=number)

    def batch(self, batch_size: int, drop_remainder: bool = False) -> Dataset:
        """Yield ``batch_size`` samples at a time; a smaller last batch is kept unless ``drop_remainder``."""
        size = as_int("Dataset.batch", "batch_size", batch_size, low=1)
        if self._first or self._count is not None:
            raise RuntimeError(
                "[Dataset.batch] batch must come before take and skip, which count batches then. Write "
                "dataset.batch(n).take(k)."
            )
        if self._functions:
            raise RuntimeError(
                "[Dataset.batch] batch must come before map, so that functions see whole batches. "
                "Write dataset.batch(n).map(fn)."
            )
        return self._with(_batch_size=size, _drop_remainder=bool(drop_remainder))

    def map(self, fn: Callable[..., Any]) -> Dataset:
        """Replace each element by ``fn(x, y)`` (or ``fn(x)`` without y); it returns a pair (or x) again."""
        return self._with(_functions=(*self._functions, function("Dataset.map", "fn", fn, "fn(x, y)")))

    def augment(self, fn: Callable[..., Any], seed: int | None = None) -> Dataset:
        """Replace x by ``fn(x, rng)``, y stays; ``rng`` is a NumPy generator of the element's own.

        It depends on ``seed``, the pass and the element's number alone: the same for the same seed, however far ahead
        :meth:`prefetch` runs, and another one on every pass. Layers such as ``RandomFlip`` belong in the model instead, where
        they run only in training.
        """
        function("Dataset.augment", "fn", fn, "fn(x, rng)")
        number = random.next_seed() if seed is None else as_int("Dataset.augment", "seed", seed)
        return self._with(_functions=(*self._functions, _Augmented(fn, number)))

    def take(self, count: int) -> Dataset:
        """Only the first ``count`` elements (batches, once :meth:`batch` was called) of each pass."""
        count = as_int("Dataset.take", "count", count, low=0)
        self._only_once("take")
        return self._with(_count=count if self._count is None else min(count, self._count))

    def skip(self, count: int) -> Dataset:
        """All but the first ``count`` elements (batches, once :meth:`batch` was called) of each pass."""
        count = as_int("Dataset.skip", "count", count, low=0)
        self._only_once("skip")
        left = None if self._count is None else max(self._count - count, 0)
        return self._with(_first=self._first + count, _count=left)

    def repeat(self, count: int) -> Dataset:
        """``count`` passes one after the other, each in an order of its own, as one. For ``fit``, epochs do that."""
        return self._with(_repeats=self._repeats * as_int("Dataset.repeat", "count", count, low=1))

    def prefetch(self, buffer_size: int = 2) -> Dataset:
        """Prepare up to ``buffer_size`` elements ahead in a background thread; values and order stay."""
        return self._with(_depth=as_int("Dataset.prefetch", "buffer_size", buffer_size, low=1))

    def get_state(self) -> dict[str, Any]:
        """Which pass comes next, for a checkpoint: its number, and the seeds that were given or drawn."""
        seeds = [fn.seed for fn in self._functions if isinstance(fn, _Augmented)]
        return {"epoch": self.epoch, "seeds": [self._seed, *seeds]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on with that pass; also in a Dataset that was made again by the same code.

        Raises:
            ValueError: for the state of a Dataset that was made by other calls.
        """
        augmented = [fn for fn in self._functions if isinstance(fn, _Augmented)]
        shuffle, *seeds = state["seeds"]
        if len(seeds) != len(augmented) or (shuffle is None) != (self._seed is None):
            raise ValueError(
                f"[Dataset.set_state] the Dataset must be made by the same calls: expected {len(augmented)} augment and "
                f"{'no' if self._seed is None else 'a'} shuffle, got a state of {len(seeds)} and "
                f"{'no' if shuffle is None else 'a'} shuffle. Make it as before."
            )
        self.epoch, self._seed = int(state["epoch"]), shuffle
        for fn, seed in zip(augmented, seeds, strict=True):
            fn.seed = seed

    def _repr_html_(self) -> str:
        """The arrays and what happens to them, for notebooks."""
        arrays = zip("xy", self._arrays, strict=False)
        rows = [(name, " × ".join(map(str, array.shape)), str(array.dtype)) for name, array in arrays]
        how = [f"{len(self):,} elements"]
        how += [f"batches of {self._batch_size}"] if self._batch_size else ["single samples"]
        how += ["shuffled"] if self._seed is not None else []
        how += [f"{len(self._functions)} mapped"] if self._functions else []
        how += [f"{self._depth} prefetched"] if self._depth else []
        return _html.table(("Dataset", "shape", "dtype"), rows, ", ".join(how), (0, 2))

    def __len__(self) -> int:
        """Number of elements per pass: batches, or samples without :meth:`batch`."""
        return self._repeats * len(self._numbers())

    def __iter__(self) -> Iterator[Any]:
        """One pass over the data; begins a new epoch."""
        epoch, self.epoch = self.epoch, self.epoch + self._repeats
        elements = chain.from_iterable(self._elements(epoch + i) for i in range(self._repeats))
        return prefetched(elements, self._depth) if self._depth else elements

    def _elements(self, epoch: int) -> Iterator[Any]:
        n, size = len(self._arrays[0]), self._batch_size
        order = None if self._seed is None else random.generator(self._seed + epoch * _STEP).permutation(n)
        for i in self._numbers():
            if size is None:
                which: Any = i if order is None else order[i]
            else:
                which = slice(i * size, (i + 1) * size)
                which = which if order is None else order[which]
            element = tuple(take_rows(array, which) for array in self._arrays)
            for fn in self._functions:
                if isinstance(fn, _Augmented):
                    element = (fn(element[0], epoch, i), *element[1:])
                else:
                    element = self._checked(fn(*element))
            yield element if len(self._arrays) == 2 else element[0]

    def _numbers(self) -> range:
        """The elements of a pass by their numbers: those that take and skip leave."""
        n, size = len(self._arrays[0]), self._batch_size or 1
        every = range(n // size if self._drop_remainder else -(-n // size))
        return every[self._first :][: self._count]

    def _only_once(self, method: str) -> None:
        if self._repeats != 1:
            raise RuntimeError(
                f"[Dataset.{method}] {method} must come before repeat: it counts the elements of one pass. Write "
                f"dataset.{method}(n).repeat(k)."
            )

    def describe(self) -> Any:
        """What is in the samples and labels, before maps: see :func:`fastconv.datasets.describe`."""
        from .describing import describe

        x, *labels = self._arrays
        return describe(x, labels[0] if labels else None, self.class_names)

    def _checked(self, result: Any) -> tuple[Any, ...]:
        if len(self._arrays) == 1:
            return (_returned("map", "x", result),)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise TypeError(
                f"[Dataset.map] fn must return a pair: expected (x, y), got {type(result).__name__}. Return both."
            )
        return tuple(result)

    def _with(self, **changes: Any) -> Dataset:
        other = copy.copy(self)
        vars(other).update(changes, epoch=0)
        return other
