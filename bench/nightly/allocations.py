"""Every allocation of a call fails once: a MemoryError or a right result, the next call right, and nothing kept.

    python bench/nightly allocations
    python bench/nightly/allocations.py 7        needs LD_PRELOAD as this part sets it

tests/native/allocations.c, compiled here, makes the n-th allocation fail, for n = 0, 1, … until a call has no more of them.
"""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _watch
import numpy as np

from fastconv import _cpu, layers, models
from fastconv.testing.many_calls import good_calls
from fastconv.testing.memory import heap_bytes

SOURCE = Path(__file__).parents[2] / "tests/native/allocations.c"
_LIBRARIES = [
    "-Wl,--no-as-needed",
    "-lstdc++",
    "-ldl",
]  # the C++ library for all: its operator new is found behind ours
_KEPT = 64 << 10  # bytes that all failures of a call may keep: free lists, and messages of the last one
_Call = tuple[str, Callable[[], Any], Callable[[Any], None]]  # a name, the call, what its result must be


def run(scale: float) -> dict[str, Any]:
    """All calls; places where an allocation failed, and how these calls ended."""
    compiler = shutil.which("cc")
    if compiler is None:
        return {"skipped": "no C compiler", "found": []}
    calls = range(max(4, round(len(_calls()) * scale)))
    totals, found = Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "allocations.so"
        subprocess.run(
            [compiler, "-O1", "-fPIC", "-shared", "-fexceptions", SOURCE, "-o", library, *_LIBRARIES], check=True
        )
        # No arenas of threads, whose bytes nobody counts.
        environment = {"LD_PRELOAD": str(library), "MALLOC_ARENA_MAX": "1"}
        for item, outcome in _watch.watch([__file__], calls, hang=300, environment=environment):
            totals.update(outcome.get("counts", {}))
            faults = outcome["faults"] if "faults" in outcome else [str(outcome)]
            found += [f"{fault} (call {item})" for fault in faults]
            print(*found[-len(faults) :], sep="\n") if faults else None
    return {"calls": len(calls), "places": totals.total(), **totals, "found": found}


def _calls() -> list[_Call]:
    calls = _model_calls()
    for what, _, call in good_calls():
        calls.append((what, call, _same_as(call())))
    return calls


def _same_as(wanted: Any) -> Callable[[Any], None]:
    def check(result: Any) -> None:
        for a, w in zip(_tuple(result), _tuple(wanted), strict=True):
            assert w is None or np.array_equal(a, w, equal_nan=True), "another result than before"

    return check


def _tuple(result: Any) -> tuple:
    return result if isinstance(result, tuple) else (result,)


def _model_calls() -> list[_Call]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 6, 6, 2)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(3, size=8)]

    def made() -> Any:
        stack = [layers.Input((6, 6, 2)), layers.Conv2D(8, 3, activation="relu"), layers.BatchNormalization()]
        model = models.Sequential([*stack, layers.Flatten(), layers.Dense(3, activation="softmax")])
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return model

    model = made()
    model.fit(x, y, verbose=0)
    folder = tempfile.TemporaryDirectory()  # which goes when the calls that know it have gone
    model.save(f"{folder.name}/whole.safetensors")
    weights = model.get_weights()
    expected = model.predict(x, verbose=0)

    def trained() -> Any:
        model.set_weights(weights)
        return model.train_on_batch(x, y)

    def finite(result: Any) -> None:
        assert np.isfinite(np.asarray(result, np.float64)).all(), "not finite"

    def right(loaded: Any) -> None:
        assert np.allclose(loaded.predict(x, verbose=0), expected, rtol=1e-5), "another prediction"

    return [
        ("compile and predict", lambda: made().predict(x, verbose=0), finite),
        ("fit", lambda: made().fit(x, y, verbose=0).history["loss"], finite),
        ("train_on_batch", trained, finite),
        ("save", lambda: model.save(f"{folder.name}/saved.safetensors"), lambda result: None),
        ("load", lambda: models.load_model(f"{folder.name}/whole.safetensors"), right),
    ]


def _check(item: int) -> dict[str, Any]:
    """One call with each of its allocations failing once, twice over: what is kept is what the second time adds."""
    shim = ctypes.CDLL(None)
    shim.allocations_disarm.restype = ctypes.c_long
    shim.allocations_arm.argtypes = [ctypes.c_long]
    shim.allocations_watch(os.fsencode(_cpu.__file__))
    name, call, check = _calls()[item]
    counts, faults = Counter[str](), []
    _each_place(shim, call, check, counts, faults)
    gc.collect()
    before = heap_bytes() or 0
    _each_place(shim, call, check, Counter(), [])
    gc.collect()
    kept = (heap_bytes() or 0) - before
    if kept > _KEPT:
        faults.append(f"{kept} bytes kept")
    return {"counts": dict(counts), "faults": [f"{name}: {fault}" for fault in dict.fromkeys(faults)]}


def _each_place(
    shim: Any, call: Callable[[], Any], check: Callable[[Any], None], counts: Counter[str], faults: list[str]
) -> None:
    place = 0
    while True:
        kind, fault = _failing(shim, call, check, place)
        if not shim.allocations_failed():
            return
        counts[kind] += 1
        if fault:
            faults.append(f"allocation {place}: {fault}")
        try:
            check(call())
        except Exception as error:
            faults.append(f"after allocation {place}: {type(error).__name__}: {error}")
        place += 1


def _failing(shim: Any, call: Callable[[], Any], check: Callable[[Any], None], place: int) -> tuple[str, str]:
    shim.allocations_arm(place)
    try:
        result = call()
    except MemoryError as error:
        shim.allocations_disarm()
        return "refused", "" if "std::" not in str(error) else f"the message shows C++: {error}"
    except Exception as error:
        shim.allocations_disarm()
        if isinstance(error.__cause__, MemoryError):  # a file that asks for too much is told as a bad file
            return "refused", ""
        return "other exceptions", f"{type(error).__name__}: {error}"
    shim.allocations_disarm()
    try:
        check(result)
    except Exception as error:
        return "wrong results", str(error)
    return "went well", ""


if __name__ == "__main__":
    _watch.main(_check, lambda item: print(_check(item)))
