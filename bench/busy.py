"""A training step alone and beside one busy process, on one thread and on all: bench/results/busy.json.

python bench/busy.py        about half a minute on a machine with nothing else to do

A thread that spins while it waits loses its claim to the processor, and a loop that waits for a thread without one loses a
scheduler tick. So the step on all threads must not be slower beside a busy process than on one thread.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

import environment
import fastconv
import networks
from fastconv import _cpu

_SECONDS = 1.0
_BUSY = [sys.executable, "-c", "while True: pass"]


@contextlib.contextmanager
def busy_process() -> Iterator[None]:
    """A process that wants a whole processor while the block runs."""
    process = subprocess.Popen(_BUSY)
    try:
        time.sleep(0.2)  # it is running by then
        yield
    finally:
        process.kill()
        process.wait()


def _training(name: str, batch: int) -> Callable[[], object]:
    model = networks.build(networks.NETWORKS[name])
    model.compile("adam", "sparse_categorical_crossentropy")
    generator = np.random.default_rng(0)
    # Many batches: one alone is soon learnt by heart, and subnormal gradients are slow.
    x = generator.random((64 if batch == 1 else 2, batch, *model.input_shapes()[0]), np.float32)
    y = generator.integers(0, 10, x.shape[:2])
    turn = iter(range(sys.maxsize))

    def step() -> None:
        i = next(turn) % len(x)
        model.train_on_batch(x[i], y[i])

    return step


def _small_kernels() -> Callable[[], object]:
    """100 loops of about 4 microseconds each: what starting and ending a loop costs."""
    x, y = np.ones(40_000, np.float32), np.ones(40_000, np.float32)
    program = _cpu.Program()
    spec = _cpu.ActivationSpec.make("float32", x.shape, ("relu", 0.0, 0.0))
    for _ in range(100):
        program.add("activation_forward", spec, [x, y])
    return program.run


def _milliseconds(step: Callable[[], object]) -> dict[str, float]:
    for _ in range(3):
        step()
    times = []
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end or len(times) < 10:
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    return {"min": min(times), "median": float(np.median(times)), "mean": float(np.mean(times))}


def main() -> None:
    threads = fastconv.get_num_threads()
    cases = {
        "MNIST CNN, batch 128": _training("mnist-cnn", 128),
        "MNIST CNN, batch 1": _training("mnist-cnn", 1),
        "CIFAR CNN, batch 64": _training("cifar-cnn", 64),
        "CIFAR CNN, batch 1": _training("cifar-cnn", 1),
        "100 small kernels": _small_kernels(),
    }
    rows = []
    print(f"{'milliseconds, median':<24} {'alone':>8} {'beside':>8}")
    for name, step in cases.items():
        for n in (1, threads):
            fastconv.set_num_threads(n)
            alone = _milliseconds(step)
            with busy_process():
                beside = _milliseconds(step)
            rows.append({"case": name, "threads": n, "alone": alone, "beside a busy process": beside})
            print(f"{name} on {n:<2} {alone['median']:8.3f} {beside['median']:8.3f}", flush=True)
    fastconv.set_num_threads(threads)
    print(environment.write("busy", {"unit": "ms", "rows": rows}))


if __name__ == "__main__":
    main()
