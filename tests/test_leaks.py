"""P19: calls that end well, calls that are refused, and whole lives of models keep no memory and no reference.

bench/nightly/memory.py makes many more of these calls.
"""

import gc
import sys

import pytest

from fastconv.testing.interpreter import has_global_lock
from fastconv.testing.many_calls import good_calls, life, refused_calls
from fastconv.testing.memory import heap_bytes

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or heap_bytes() is None, reason="needs Linux and glibc 2.33"),
    pytest.mark.thread_unsafe(reason="counts the memory of the whole process"),
]


def look():
    """Bytes of malloc and objects of Python; free lists, in which Python keeps up to 2000 dead tuples, are emptied before."""
    gc.collect()
    return heap_bytes(), sys.getallocatedblocks()


def growth(call, count):
    """Bytes and objects that ``count`` calls have kept."""
    before = look()
    for _ in range(count):
        call()
    return [now - then for now, then in zip(look(), before, strict=True)]


COUNTS = [50 << i for i in range(8)]


def keeps_nothing(calls, most=1, counts=COUNTS):
    """A leak shows however many calls there are; a cache that fills and a thread that starts do not. Each may keep less than
    ``most`` bytes, and no object of Python."""
    gc.collect()
    gc.freeze()  # so that looking is quick: what is there already is not searched
    gc.disable()
    try:
        for what, arrays, call in calls:
            references = [sys.getrefcount(a) for a in arrays]
            for count in counts:
                kept, objects = growth(call, count)
                if kept < most * count and objects < count // 2:
                    break
            else:
                raise AssertionError(f"{what}: {kept} bytes, {objects} objects in {count} calls")
            assert [sys.getrefcount(a) for a in arrays] == references, what
    finally:
        gc.enable()
        gc.unfreeze()


def test_a_call_keeps_no_memory_and_no_reference():
    calls = list(good_calls())
    assert len(calls) > 80
    keeps_nothing(calls)


def test_a_refused_call_keeps_none_either():
    calls = list(refused_calls())
    assert len(calls) > 150
    keeps_nothing(calls)


@pytest.mark.skipif(not has_global_lock(), reason="a free-threaded Python frees later; some hundred blocks come and go")
@pytest.mark.parametrize("network", ["mlp", "cnn"])
def test_a_model_keeps_nothing_when_it_is_forgotten(network, tmp_path):
    """64 bytes each, or an object, would show."""
    for _ in range(3):
        life(tmp_path, network)
    keeps_nothing([(network, [], lambda: life(tmp_path, network))], most=64, counts=[20] * 12)


@pytest.mark.parametrize("leak", [object, lambda: bytes(4096)], ids=["an object", "a block of malloc"])
def test_what_a_model_keeps_shows(leak, tmp_path):
    kept = []

    def life_that_leaves_something():
        life(tmp_path)
        kept.append(leak())

    life_that_leaves_something()
    with pytest.raises(AssertionError, match="in 10 calls"):
        keeps_nothing([("a life", [], life_that_leaves_something)], most=64, counts=[5, 5, 10])
