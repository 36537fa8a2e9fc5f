"""P18: Ctrl-C within one kernel that runs for long, and handlers of signals that compute themselves."""

import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from fastconv import layers, models, ops

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers"),
    pytest.mark.skipif(
        threading.current_thread() is not threading.main_thread(), reason="signals are the main thread's"
    ),
]


@contextmanager
def alarm(handler, seconds, every=0):
    """Calls ``handler`` as a signal's, so many seconds from now, once or again and again."""
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    signal.setitimer(signal.ITIMER_REAL, seconds, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ones(*shape):
    return np.ones(shape, np.float32)


def wide(*shape):
    return np.ones(shape)  # float64: matrix tiles would make seconds of it short


# Shapes of operands: 8e11 and 2.7e11 operations, seconds of a core.
LONG = {
    "conv2d": ((2, 256, 256, 64), (31, 31, 64, 64)),
    "conv2d_backward": ((2, 226, 226, 64), (2, 256, 256, 64), (31, 31, 64, 64)),
    "dense": ((8192, 4096), (4096, 4096)),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("op", LONG)
def test_ctrl_c_within_a_kernel(op, count, threads):
    """It would take seconds to minutes more; the next calls are right."""
    threads(count)

    def interrupt():
        raise KeyboardInterrupt

    operands = [wide(*shape) for shape in LONG[op]]
    start = time.process_time()  # what others make of this machine is not the question
    with pytest.raises(KeyboardInterrupt), alarm(interrupt, 0.2):
        while True:  # on a machine for which this is not long
            getattr(ops, op)(*operands)
    assert time.process_time() - start < 1.2
    assert np.all(ops.conv2d(ones(2, 9, 9, 3), ones(2, 2, 3, 5)) == 12)


def test_a_handler_may_compute_within_a_call(strict, threads):
    """On the memory of the call that it interrupts, the handler's would leave other numbers, or nothing at all."""
    threads(2)
    inside, seen = [], []

    def compute():
        seen.append((bool(inside), ops.conv2d(ones(2, 99, 99, 16), ones(5, 5, 16, 40))))

    size = 64
    while not any(within for within, _ in seen):
        x, w = ones(2, size, size, 16), ones(31, 31, 16, 16)
        with alarm(compute, 0.01):
            inside.append(True)
            y = ops.conv2d(x, w)
            inside.clear()
            time.sleep(0.02)
        assert np.all(y == 31 * 31 * 16)
        size *= 2
    assert all(np.all(y == 5 * 5 * 16) for _, y in seen)


def test_a_handler_cannot_call_the_model_that_it_interrupts():
    """Its arrays hold half of another result then; before, the interrupted call went on with those of the handler."""
    model = models.Sequential([layers.Input((1 << 22,)), *[layers.Rescaling(1.0, 1.0) for _ in range(60)]])
    x = ones(1, 1 << 22)
    assert np.all(model.predict(x) == 61)
    with (
        pytest.raises(RuntimeError, match="one thing at a time: expected it to rest"),
        alarm(lambda: model.predict(x), 0.05, every=0.3),
    ):
        while True:
            model.predict(x)
    assert np.all(model.predict(x) == 61)
