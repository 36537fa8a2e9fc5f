"""Odd surroundings: forks, signals, environments, shutdown, many threads. bad_inputs.md L, P16 to P20."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import fastconv
from fastconv import _cpu, layers, models, ops
from fastconv.testing.refusal import assert_refused


def run(script, timeout=30, expected="right", **keywords):
    """Runs ``script`` in a process of its own; it must end well and say so."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "FASTCONV_"))}
    environment.update(keywords.pop("env", {}))
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        check=False,
        **keywords,
    )
    assert result.returncode == 0, f"{result.returncode}: {result.stderr}"
    assert result.stdout.strip().splitlines()[-1] == expected, result.stdout
    return result


# L3. threads

THREADS = [
    (0, ValueError, "n must be between 1 and 1024.*0"),
    (-1, ValueError, "n must be between.*-1"),
    (2**31, ValueError, "n must be between"),
    (2**200, ValueError, "n must be between"),
    (-(2**200), ValueError, "n must be between"),
    (1.5, TypeError, "n must be an int.*1.5"),
    (None, TypeError, "n must be an int.*None"),
    ("2", TypeError, "n must be an int.*str"),
    (True, TypeError, "n must be an int.*bool"),
]


@pytest.mark.parametrize("n,error,words", THREADS, ids=[repr(t[0])[:12] for t in THREADS])
def test_set_num_threads(n, error, words):
    before = fastconv.get_num_threads()
    assert_refused(lambda: fastconv.set_num_threads(n), error, words)
    assert fastconv.get_num_threads() == before


def test_seed():
    for n in (1.0, None, "1", True):
        assert_refused(lambda n=n: fastconv.random.seed(n), TypeError, "n must be an int")
    fastconv.random.seed(-(2**200))
    fastconv.random.seed(np.uint64(3))


# L11. floating-point state


def _valid_calls():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 8, 8, 3)).astype(np.float32) * 100
    x[0, 0, 0] = [np.nan, np.inf, -np.inf]
    x[0, 1, 1] = [1e38, -1e38, 1e-45]
    w = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)
    rows = x.reshape(-1, 3)
    ones = np.ones(3, np.float32)
    yield lambda: ops.conv2d(x, w, padding=1)
    yield lambda: ops.conv2d(x[:, ::2], w, padding=2)
    yield lambda: ops.conv2d_backward(ops.conv2d(x, w), x, w)
    for name in ("relu", "gelu", "silu", "sigmoid", "tanh", "softplus", "elu", "selu", "softmax", "log_softmax"):
        yield lambda name=name: getattr(ops, name)(x)
        yield lambda name=name: getattr(ops, f"{name}_backward")(x, x)
    yield lambda: ops.max_pool2d(x)
    yield lambda: ops.avg_pool2d(x, padding=1)
    yield lambda: ops.dense(rows, w[0, 0])
    yield lambda: ops.batch_norm(x, ones, ones, ones, ones, training=True)
    yield lambda: ops.layer_norm(x, ones, ones)
    yield lambda: ops.multiply(x, x)
    yield lambda: ops.mean_squared_error(x, x[::-1])
    yield lambda: ops.kl_divergence(np.abs(x), np.abs(x))
    yield lambda: ops.sparse_categorical_crossentropy(np.zeros(len(rows), int), rows, from_logits=True)
    yield lambda: ops.categorical_crossentropy(np.eye(3, dtype=np.float32)[:2], rows[:2] * 1e-3)


def test_errstate_of_the_caller_does_not_matter(isa):
    """L11: no floating-point exception leaks, none is raised by us."""
    with np.errstate(all="raise"):
        for call in _valid_calls():
            call()
        model = models.Sequential([layers.Input((4,)), layers.Dense(3, "gelu"), layers.Dense(3, "softmax")])
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        x, y = np.full((8, 4), 1e-300), np.eye(3)[np.arange(8) % 3]
        model.fit(x, y, epochs=2, verbose=0)
        model.evaluate(x, y, verbose=0)
        model.predict(np.float32([[1e38] * 4, [np.nan] * 4]))


# L13, P14. many threads


def test_eight_threads_give_the_bits_of_one():
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(2, 9, 9, 3)).astype(np.float32), rng.normal(size=(3, 3, 3, 5)).astype(np.float32)
    model = models.Sequential([layers.Input((9, 9, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])

    def work():
        y = ops.conv2d(x, w, padding=1, activation="gelu")
        return [y, ops.max_pool2d(y), *ops.conv2d_backward(y, x, w, padding=1)[:2], model.predict(x)]

    expected = [a.tobytes() for a in work()]
    wrong, interval = [], sys.getswitchinterval()

    def repeat():
        try:
            for _ in range(40):
                if [a.tobytes() for a in work()] != expected:
                    wrong.append("other bits")
        except Exception as error:
            wrong.append(repr(error))

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=repeat) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


# Processes.

WORK = """
import numpy as np
import fastconv
from fastconv import layers, models, ops

x, w = np.ones((8, 64, 64, 8), np.float32), np.ones((3, 3, 8, 8), np.float32)

def work():
    assert abs(ops.conv2d(x, w)[0, 0, 0, 0] - 72) < 1e-3
    assert ops.relu(np.full(1 << 20, -1, np.float32)).sum() == 0
    model = models.Sequential([layers.Input((64, 64, 8)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(x, np.ones((8, 2)), verbose=0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_after_a_parallel_call():
    """L1, P16: the child works with a team of its own, and so does its child; the parent goes on with the old one."""
    run(
        WORK
        + textwrap.dedent("""
        import os, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork with threads
        fastconv.set_num_threads(2)
        work()
        for _ in range(3):
            child = os.fork()
            if child == 0:
                work()
                assert not os.path.isdir("/proc/self/task") or len(os.listdir("/proc/self/task")) == 2
                grandchild = os.fork()
                if grandchild == 0:
                    work()
                    os._exit(0)
                os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            work()
        print("right")
        """)
    )


ENVIRONMENTS = [
    *[{"OMP_NUM_THREADS": value} for value in ("abc", "0", "-1", "1,2", "", "99999999999999999999", "1.5")],
    {"FASTCONV_NUM_THREADS": "abc"},
    {"FASTCONV_NUM_THREADS": "-3"},
    {"OMP_DYNAMIC": "true", "OMP_NESTED": "nonsense", "OMP_SCHEDULE": "x,y", "OMP_STACKSIZE": "-1"},
    {"LC_ALL": "de_DE.UTF-8", "LANG": "nonsense"},
]


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=str)
def test_odd_environments(env):
    """L5: the import works and so do the ops."""
    run(
        "import numpy as np, fastconv\n"
        "assert 1 <= fastconv.get_num_threads() <= 1024\n"
        "assert fastconv.ops.relu(np.full(1 << 18, -1, np.float32)).sum() == 0\n"
        "print('right')",
        env=env,
    )


def test_an_isa_that_is_not_there_is_a_clear_error():
    """P21."""
    for isa in ("avx9000", "AVX2 ", ""):
        script = "import fastconv, numpy as np; fastconv.ops.relu(np.ones(2, np.float32)); print(fastconv._cpu.current_isa())"
        environment = {**os.environ, "FASTCONV_ISA": isa}
        result = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, env=environment, check=False
        )
        if isa == "":
            assert result.returncode == 0, result.stderr
        else:
            assert result.returncode == 1
            assert re.search(rf"ValueError: \[.+\] .*{_cpu.available_isas()[0]}.*{isa.strip()}", result.stderr)


def test_import_leaves_the_process_alone():
    """P17, P20: no thread, no floating-point mode, no handler, no filter, no random state is touched."""
    run(
        """
        import os, random, signal, sys, threading, warnings
        import numpy as np

        def state():
            return (
                np.geterr(),
                [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
                list(warnings.filters),
                random.getstate(),
                np.random.get_state()[1].tolist(),
                len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0,
                sys.getswitchinterval(),
                sys.getrecursionlimit(),
            )

        before = state()
        import fastconv
        from fastconv import layers, models, ops
        after = state()
        assert before == after, [i for i, (a, b) in enumerate(zip(before, after)) if a != b]
        assert float(np.float32(1e-40) * np.float32(1)) > 0  # subnormal numbers live
        assert "cupy" not in sys.modules and "torch" not in sys.modules and "matplotlib" not in sys.modules
        ops.gelu(np.ones(100, np.float32))
        assert float(np.float32(1e-40) * np.float32(1)) > 0
        print("right")
        """
    )


def test_calls_during_shutdown():
    """L9: in atexit, in __del__ of a global, in a daemon thread that is never joined."""
    run(
        WORK
        + textwrap.dedent("""
        import atexit, sys, threading

        class Late:
            def __init__(self):
                self.conv2d, self.x, self.w = ops.conv2d, x, w
            def __del__(self):
                try:
                    self.conv2d(self.x, self.w)
                except (ImportError, TypeError, AttributeError, NameError, RuntimeError):
                    pass  # the interpreter is half gone; a clean exception is fine

        late = Late()
        sys.modules["keeps it alive"] = late
        atexit.register(work)
        work()

        def forever():
            while True:
                ops.conv2d(x, w)

        threading.Thread(target=forever, daemon=True).start()
        print("right")
        """)
    )


NO_THREADS = """
#include <errno.h>
int pthread_create(void* thread, void* attributes, void* start, void* argument) { return EAGAIN; }
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs LD_PRELOAD and a C compiler")
def test_threads_that_cannot_start(tmp_path):
    """L7: where the system refuses threads (ulimit -u) a call runs serially; it never ends the process."""
    source, library = tmp_path / "no_threads.c", tmp_path / "no_threads.so"
    source.write_text(NO_THREADS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    run(
        """
        import numpy as np, fastconv
        fastconv.set_num_threads(4)
        assert fastconv.ops.relu(np.full(1 << 20, -1, np.float32)).sum() == 0
        print("right")
        """,
        env={"OPENBLAS_NUM_THREADS": "1", "LD_PRELOAD": str(library)},
    )


def test_ctrl_c_between_the_kernels_of_one_long_run():
    """P18: one call of the extension may take seconds; a signal is heard between its kernels."""
    run(
        """
        import signal, time
        import numpy as np
        from fastconv import layers, models

        def interrupt(*_):
            raise KeyboardInterrupt

        cells = 1 << 22
        scale = [layers.Rescaling(1.0, 1.0) for _ in range(500)]
        model = models.Sequential([layers.Input((cells,)), *scale])
        x = np.ones((1, cells), np.float32)
        signal.signal(signal.SIGALRM, interrupt)
        model.predict(x[:0])
        due = time.monotonic() + 0.3  # the handler itself would be late, so it cannot tell
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            while True:
                model.predict(x)
        except KeyboardInterrupt:
            late = time.monotonic() - due
        assert late < 0.3, late
        print("right")
        """
    )


def test_ctrl_c_from_the_keyboard_ends_fit(interruptible):
    """L, P18: a real SIGINT, from outside."""
    import signal
    import threading
    import time

    script = WORK + textwrap.dedent("""
        import signal
        from fastconv import optimizers
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
        model = models.Sequential([layers.Input((64, 64, 8)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
        model.compile(optimizers.SGD(1e-9), "mse")
        print("ready", flush=True)
        try:
            model.fit(x, np.ones((8, 2)), batch_size=2, epochs=10**6, verbose=0)
        except KeyboardInterrupt:
            assert all(np.isfinite(w).all() for w in model.get_weights())
            model.predict(x)
            print("right", flush=True)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(30, process.kill)
        guard.start()
        assert process.stdout.readline().strip() == "ready"
        time.sleep(0.2)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline().strip() == "right"
        late = time.monotonic() - start
        assert process.wait(10) == 0
        guard.cancel()
    assert late < 1.5
