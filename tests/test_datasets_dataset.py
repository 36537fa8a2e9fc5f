"""Dataset: order, batches, maps, and a prefetch thread that always ends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from itertools import islice

import numpy as np
import pytest

import fastconv.random
from fastconv.datasets import Dataset, _prefetch


def values(dataset):
    return [np.asarray(x).tolist() for x, _ in dataset]


def flat(dataset):
    return np.concatenate([x for x, _ in dataset]).tolist()


def pairs(n=10):
    return Dataset(np.arange(n), np.arange(n) * 2)


def prefetch_threads():
    return [t for t in threading.enumerate() if t.name == "fastconv-prefetch"]


def wait_for(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def idle_threads_end_soon(monkeypatch):
    monkeypatch.setattr(_prefetch, "_IDLE", 0.05)


@pytest.mark.parametrize("n, size, drop, sizes", [(10, 4, False, [4, 4, 2]), (10, 4, True, [4, 4])])
def test_batches(n, size, drop, sizes):
    data = pairs(n).batch(size, drop_remainder=drop)
    assert [len(v) for v in values(data)] == sizes and len(data) == len(sizes)
    assert all((y == 2 * x).all() for x, y in data)


def test_every_sample_once_in_an_order_of_seed_and_epoch():
    data = pairs(100).shuffle(seed=7).batch(8)
    first, second = flat(data), flat(data)
    assert sorted(first) == sorted(second) == list(range(100)) and first != second != list(range(100))
    again = pairs(100).shuffle(7).batch(8)
    assert flat(again) == first
    again.epoch = 1  # resume
    assert flat(again) == second
    assert flat(pairs(100).shuffle(8).batch(8)) != first


def test_shuffle_follows_the_global_seed():
    orders = []
    for _ in range(2):
        fastconv.random.seed(3)
        orders.append(values(pairs().shuffle()))
    assert orders[0] == orders[1]


def test_samples_x_alone_maps_and_immutability():
    base = Dataset(np.arange(3))
    doubled = base.map(lambda x: x * 2).map(lambda x: x + 1)
    assert list(base) == [0, 1, 2] and list(doubled) == [1, 3, 5]
    assert [b.tolist() for b in base.batch(2)] == [[0, 1], [2]]
    assert list(Dataset(np.empty((0, 3)), []).batch(2).prefetch()) == []
    texts = Dataset([1, 2], ["a", "b"]).batch(2)
    assert next(iter(texts))[1].tolist() == ["a", "b"]


@pytest.mark.parametrize("depth", [1, 2, 50])
def test_prefetch_changes_nothing(depth):
    data = pairs(37).shuffle(1).batch(5).map(lambda x, y: (x + 1, y))
    ahead = pairs(37).shuffle(1).batch(5).map(lambda x, y: (x + 1, y)).prefetch(depth)
    assert [values(data), values(data)] == [values(ahead), values(ahead)]
    wait_for(lambda: not prefetch_threads())


def test_two_iterators_of_one_dataset_do_not_mix():
    data = pairs(20).batch(2).prefetch()
    assert [x.tolist() for (x, _), _ in zip(data, data, strict=True)] == values(data)


def test_prefetch_runs_ahead_but_not_further():
    wait_for(lambda: not prefetch_threads())
    seen = []
    iterator = iter(Dataset(np.arange(100)).map(lambda x: seen.append(x) or x).prefetch(3))
    assert not prefetch_threads() and next(iterator) == 0
    wait_for(lambda: len(seen) >= 4)
    time.sleep(0.02)
    assert len(seen) <= 5  # one taken, three waiting, one in the producer's hand
    iterator.close()


def test_prefetch_thread_ends_when_the_iterator_is_dropped():
    iterator = iter(pairs(10**6).batch(1).prefetch())
    next(iterator)
    assert prefetch_threads()
    del iterator
    gc.collect()
    wait_for(lambda: not prefetch_threads())
    for _ in pairs(10**6).batch(1).prefetch():
        break
    gc.collect()
    wait_for(lambda: not prefetch_threads())


@pytest.mark.parametrize("taken", [None, 1], ids=["to the end", "left early"])
def test_one_prefetch_thread_serves_epoch_after_epoch(taken, monkeypatch):
    """Two that overlap would have two heaps in the C library, which it keeps."""
    monkeypatch.setattr(_prefetch, "_IDLE", 5.0)
    monkeypatch.setattr(_prefetch, "_LEAVING", 5.0)
    threads = []
    data = pairs().map(lambda x, y: threads.append(threading.current_thread()) or (x, y)).prefetch(2)
    for _ in range(200):
        assert len(list(islice(data, taken))) == (taken or 10)
    assert len(set(threads)) == 1


def test_iterators_at_the_same_time_have_threads_of_their_own():
    threads = []
    data = pairs().map(lambda x, y: threads.append(threading.current_thread()) or (x, y)).prefetch(2)
    assert [a == b for a, b in zip(data, data, strict=True)] == [True] * 10
    assert len(set(threads)) == 2


def test_leaving_does_not_wait_for_a_slow_element():
    slow = threading.Event()
    iterator = iter(pairs().map(lambda x, y: (x, y) if x == 0 else slow.wait()).prefetch(2))
    next(iterator)
    iterator.close()  # would never return
    assert flat(pairs().batch(2).prefetch()) == list(range(10))
    slow.set()
    wait_for(lambda: not prefetch_threads())


def test_an_iterator_sees_nothing_of_what_the_one_before_set_for_its_thread():
    setting = ContextVar("setting", default=0)
    seen = []

    def note(x, y):
        seen.append(setting.get())
        setting.set(x + 1)
        return x, y

    for _ in range(3):
        list(pairs(2).map(note).prefetch(2))
    assert seen == [0, 1] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_a_thread_of_its_own():
    code = (
        "import os, numpy as np; from fastconv.datasets import Dataset\n"
        "data = Dataset(np.arange(5)).prefetch(2); list(data)\n"
        "child = os.fork()\n"
        "print(sum(data), flush=True)\n"
        "if child: os.waitpid(child, 0)"
    )
    quiet = "ignore::DeprecationWarning"  # Python 3.12 warns of every fork beside threads
    result = subprocess.run([sys.executable, "-W", quiet, "-c", code], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stdout, result.stderr) == (0, "10\n10\n", "")


def test_errors_reach_the_consumer_after_the_elements_before():
    def fail_at_3(x, y):
        if x == 3:
            raise KeyError("three")
        return x, y

    got = []
    with pytest.raises(KeyError, match="three"):
        got.extend(x for x, _ in pairs().map(fail_at_3).prefetch(2))
    wait_for(lambda: not prefetch_threads())
    iterator = iter(pairs().map(fail_at_3).prefetch(2))
    assert [next(iterator)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(iterator)
    with pytest.raises(StopIteration):
        next(iterator)


def test_a_held_iterator_does_not_keep_the_process_alive():
    code = (
        "import numpy as np; from fastconv.datasets import Dataset\n"
        "it = iter(Dataset(np.arange(1000)).prefetch(2)); print(next(it))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stdout, result.stderr) == (0, "0\n", "")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: Dataset(np.arange(3), np.arange(2)), ValueError, "3 rows in x"),
        (lambda: Dataset(3), TypeError, "int"),
        (lambda: Dataset(np.float32(1)), ValueError, "dimension"),
        (lambda: Dataset(None), TypeError, "NoneType"),
        (lambda: Dataset([object()]), TypeError, "object"),
        (lambda: pairs().batch(0), ValueError, "batch_size >= 1"),
        (lambda: pairs().batch(2.0), TypeError, "batch_size"),
        (lambda: pairs().batch(True), TypeError, "batch_size"),
        (lambda: pairs().prefetch(0), ValueError, "buffer_size"),
        (lambda: pairs().shuffle("a"), TypeError, "seed"),
        (lambda: pairs().map(3), TypeError, "fn"),
        (lambda: pairs().map(lambda x, y: (x, y)).batch(2), RuntimeError, "before map"),
        (lambda: list(pairs().map(lambda x, y: x)), TypeError, "pair"),
        (lambda: list(pairs().map(lambda x, y: (x,)).prefetch()), TypeError, "pair"),
    ],
)
def test_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()
