"""What threads draw from one source: each gets its own, also where they run truly at once."""

import os
import signal
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

import fastconv
from fastconv import layers
from fastconv._locks import ProcessLock, Serial
from fastconv.saving.lock import FolderLock

pytestmark = pytest.mark.thread_unsafe(reason="counts what the whole process draws")


@pytest.fixture
def hasty():
    """Threads of an interpreter with its lock take turns after a microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work, threads=8):
    """What ``work(barrier)`` returns in each of them."""
    barrier = threading.Barrier(threads)
    with ThreadPoolExecutor(threads) as pool:
        return [f.result() for f in [pool.submit(work, barrier) for _ in range(threads)]]


def drawn(draw, times=500):
    def work(barrier):
        barrier.wait()
        return [draw() for _ in range(times)]

    return [one for several in in_threads(work) for one in several]


def test_a_number_is_drawn_once(hasty):
    serial = Serial()
    assert sorted(drawn(lambda: next(serial))) == list(range(4000))


def test_a_seed_is_drawn_once(hasty):
    before = fastconv.random.get_state()[1]
    assert len(set(drawn(fastconv.random.next_seed))) == 4000
    assert fastconv.random.get_state()[1] == before + 4000


def test_a_name_is_given_once(hasty):
    assert len(set(drawn(lambda: layers.Flatten().name))) == 4000


def test_a_folder_is_locked_once(hasty, tmp_path):
    def work(barrier):
        barrier.wait()
        try:
            return FolderLock(str(tmp_path))
        except RuntimeError as error:
            assert "one training at a time" in str(error)

    held = [lock for lock in in_threads(work) if lock is not None]
    assert len(held) == 1
    held[0].release()


def test_the_child_of_a_fork_finds_a_lock_open():
    lock, held, done = ProcessLock(), threading.Event(), threading.Event()

    def hold():
        with lock.lock:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork with threads
        child = os.fork()
    if child == 0:
        signal.alarm(20)  # instead of waiting for ever
        with lock.lock:
            os._exit(17)
    done.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17


def test_the_thread_that_holds_a_lock_may_enter_again():
    mine = ProcessLock()
    with mine.lock, mine.lock:
        pass


class Interrupted(Exception):
    """What a signal's handler raises."""


def test_an_interrupt_leaves_no_lock_behind():
    """The handler raises wherever it comes: also between the taking of a lock and what is done while it is held."""
    mine = ProcessLock()

    def interrupt(number, frame):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for i in range(2000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * (i % 50 + 1))
                while True:
                    with mine.lock:
                        pass
            except Interrupted:
                pass
            free = in_threads(lambda barrier: mine.lock.acquire(blocking=False) and (mine.lock.release() or True), 1)
            assert free == [True], i
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
