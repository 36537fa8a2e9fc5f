"""Random calls of the public interface with arguments of a fuzzer: a right answer, or an error of ours, and never anything else.

    python bench/nightly calls
    python bench/nightly/calls.py 12345 777      calls 12345 and 777 again: arguments, outcome, traceback

Of the calls a third is right; in the others one or two arguments are spoilt. What is answered is compared with the NumPy
reference (ops), with a compiled program (layers), with the layers one by one (models); a model has to train on afterwards.
What is refused must be refused by the reference, too, and say where and what was wrong. Children do the calls, with 2 GiB of
addresses and 20 seconds for each, not counting what they wait for a core.
"""

from __future__ import annotations

import inspect
import re
import resource
import traceback
import warnings
from collections import Counter
from typing import Any

import _hostile
import _valid_layers
import _valid_models
import _valid_ops
import _valid_other
import _watch
import numpy as np
from _valid import Call, Rng

from fastconv.errors import CheckpointError, DatasetError, DeviceError, NonFiniteLossError
from fastconv.testing.refusal import TEMPLATE

COUNT = 200_000
_CHUNK = 5_000  # calls of one child
_ADDRESSES = 2 << 30
_SOURCES = (  # of 20 calls in a row
    *[_valid_ops.call] * 8,
    *[_valid_layers.layer] * 4,
    *[_valid_layers.loss, _valid_layers.metric, _valid_layers.metric, _valid_layers.part],
    *[_valid_models.call] * 2,
    *[_valid_other.call] * 2,
)
_OURS = (TypeError, ValueError, MemoryError, OSError, RuntimeError, ImportError)
_OURS_EXACTLY = {*_OURS, CheckpointError, DatasetError, DeviceError, NonFiniteLossError}
_BY_THE_SYSTEM = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, FileExistsError)


def run(scale: float) -> dict[str, Any]:
    """All calls; how each ended, and those that did not end as they should."""
    count = max(len(_SOURCES), round(COUNT * scale))
    outcomes, faults = Counter[str](), []
    for start in range(0, count, _CHUNK):
        for item, outcome in _watch.watch([__file__], range(start, min(start + _CHUNK, count))):
            kind = next(iter(outcome))
            outcomes[kind] += 1
            if kind not in ("compared", "answered", "refused", "refused in other words"):
                faults.append(f"{kind}: {outcome[kind]} (python bench/nightly/calls.py {item})")
                print(faults[-1], flush=True)
    return {
        "calls": count,
        "compared": outcomes["compared"],
        "answered": outcomes["answered"],
        "refused": outcomes["refused"] + outcomes["refused in other words"],
        "refused by the template": outcomes["refused"],
        "crashes": outcomes["died"],
        "hangs": outcomes["hung"],
        "disagreements": outcomes["differs"],
        "wrong exceptions": outcomes["wrong exception"],
        "found": faults,
    }


def _prepare(item: int) -> Call:
    """Call number ``item``: the same in every run."""
    rng = np.random.default_rng([20261122, item])
    call = _SOURCES[item % len(_SOURCES)](rng)
    if rng.random() < 1 / 3:
        return call
    call.spoilt = True
    for _ in range(rng.integers(1, 3)):
        _spoil(rng, call)
    return call


def _spoil(rng: Rng, call: Call) -> None:
    """One argument becomes another, goes, or is one too many."""
    draw, given = rng.random(), len(call.arguments) + len(call.keywords)
    if draw < 0.03 and call.arguments:
        call.arguments.pop()
    elif draw < 0.06:
        call.arguments.append(_hostile.anything(rng))
    elif draw < 0.08:
        call.keywords["nonsense"] = _hostile.anything(rng)
    elif draw < 0.2 or not given:
        _add_keyword(rng, call)
    else:
        at = int(rng.integers(given))
        if at < len(call.arguments):
            call.arguments[at] = _hostile.spoilt(rng, call.arguments[at], call.huge)
        else:
            name = list(call.keywords)[at - len(call.arguments)]
            call.keywords[name] = _hostile.spoilt(rng, call.keywords[name], call.huge)


def _add_keyword(rng: Rng, call: Call) -> None:
    """One that the function has and the call has not."""
    function = call.twin.args and getattr(_valid_ops.ops, call.twin.args[0]) if call.twin else call.function
    known = [p for p in inspect.signature(function).parameters.values() if p.kind == p.KEYWORD_ONLY]
    if known:
        chosen = known[int(rng.integers(len(known)))]
        call.keywords[chosen.name] = _hostile.spoilt(rng, chosen.default, call.huge)


def _outcome(call: Call) -> tuple[str, str]:
    """How a call ended, in a word or two and in a sentence."""
    try:
        result = call.function(*call.arguments, **call.keywords)
    except BaseException as error:
        return _judged(error, call)
    try:
        compared = call.check is not None and call.check(result, call)
    except AssertionError as error:
        return "differs", str(error)
    except MemoryError:  # the reference needs more than the kernels
        return "answered", "not compared: too large"
    except Exception as error:
        return "differs", f"taken, but the comparison fails: {type(error).__name__}: {error}"
    return ("compared" if compared else "answered"), ""


def _judged(error: BaseException, call: Call) -> tuple[str, str]:
    """Whether an exception is one that we have written for the purpose, and the reference agrees."""
    message = str(error)
    if isinstance(error, _hostile.OwnError) or _of_the_call_itself(error) or _of_a_callers_function(error, call):
        return "refused", ""
    ours = type(error) in _OURS_EXACTLY and _BEGINNING.match(message)
    if not ours and not isinstance(error, _BY_THE_SYSTEM):
        where = traceback.extract_tb(error.__traceback__)[-1]
        return (
            "wrong exception",
            f"{call.name}: {type(error).__name__}: {message[:300]} ({where.filename}:{where.lineno})",
        )
    refused = ("refused" if TEMPLATE.match(message) else "refused in other words", "")
    if call.twin is not None and type(error) in (TypeError, ValueError) and not _ALONE.search(message):
        try:
            call.twin(*call.arguments, **call.keywords)
        except Exception:
            return refused
        return "differs", f"{call.name}: the reference takes what is refused here: {message}"
    return refused


_BEGINNING = re.compile(r"(\[Errno \d+\] )?\[[^]]+\] .")
# What the reference cannot know of: results that are given, foreign bytes, objects that only pretend to be arrays.
_ALONE = re.compile(r"\] out |byte order|__array_interface__|DLPack|overlap|too large|needs")


def _of_the_call_itself(error: BaseException) -> bool:
    """Whether Python refused the call before any code of ours: names or numbers of arguments."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, TypeError) and "/fastconv/" not in frames[-1].filename and "argument" in str(error)


def _of_a_callers_function(error: BaseException, call: Call) -> bool:
    """Whether Python says that a function among the arguments takes no such arguments."""
    given = [*call.arguments, *call.keywords.values()]
    names = [getattr(value, "__name__", "") for value in given if callable(value)]
    return isinstance(error, TypeError) and any(f"{name}()" in str(error) for name in names if name)


def _check(item: int) -> dict[str, Any]:
    """One call in a child."""
    call = _prepare(item)
    kind, text = _outcome(call)
    if call.after is not None:
        try:
            call.after()
        except Exception as error:
            kind, text = "differs", f"{call.name}: afterwards {type(error).__name__}: {error}"
    return {kind: text}


def _replay(item: int) -> None:
    np.set_printoptions(threshold=20)
    call = _prepare(item)
    print(f"{item}: {call.name}\n  {call.arguments}\n  {call.keywords}")
    try:
        call.function(*call.arguments, **call.keywords)
    except BaseException:
        traceback.print_exc()
    print(_check(item))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    _watch.main(_check, _replay)
