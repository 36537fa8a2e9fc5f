"""What a process may rely on while fastconv computes: other threads run, few CPUs are enough, the bits repeat.
P7, P14, P17 and P25 of docs/reliability.md; what happens in odd surroundings is in test_bad_inputs_process.py."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import fastconv
from fastconv import models, ops, random
from fastconv.testing.cases import cases
from fastconv.testing.compare import backward, cotangent, forward, random_inputs
from fastconv.testing.networks import build, inputs_for, targets_for


def run(script, **environment):
    """What ``script`` prints in a process of its own, which must end well."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "FASTCONV_"))}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, **environment},
        check=False,
    )
    assert result.returncode == 0, f"{result.returncode}: {result.stderr}"
    return result.stdout.strip()


def test_other_threads_run_during_a_call():
    """P14: a call holds no interpreter lock while it computes; with the lock not one beat would fall into a call."""
    x, w = np.ones((8, 64, 64, 64), np.float32), np.ones((5, 5, 64, 64), np.float32)
    beats, stop = [], threading.Event()

    def beat():
        while not stop.is_set():
            beats.append(time.monotonic())
            time.sleep(0.001)

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        inside = 0
        for _ in range(10):
            start = time.monotonic()
            ops.conv2d(x, w)
            end = time.monotonic()
            inside += sum(start + 0.2 * (end - start) < t < end - 0.2 * (end - start) for t in beats)
            if inside > 3:
                break
    finally:
        stop.set()
        heart.join()
    assert inside > 3


def test_an_array_that_changes_during_a_call_never_crashes():
    """P14: the values are then anybody's guess. Ids and labels that pass the check and then change are the worst of it."""
    said = run(
        """
        import sys, threading, time
        import numpy as np
        from fastconv import ops

        sys.setswitchinterval(1e-6)
        ids, table = np.zeros(20_000, np.int64), np.ones((10, 16), np.float32)
        labels, logits = np.zeros(20_000, np.int64), np.ones((20_000, 10), np.float32)
        images = np.ones((4, 32, 32, 4), np.float32)
        stop = threading.Event()

        def change():
            while not stop.is_set():
                for bad in (1 << 60, -(1 << 60)):
                    ids[::7] = labels[::7] = bad
                    ids[:] = labels[:] = 0
                images[:] = np.nan
                images[:] = 1

        thread = threading.Thread(target=change)
        thread.start()
        end = time.monotonic() + 0.3
        done = 0
        while time.monotonic() < end:
            for call in (
                lambda: ops.embedding(ids, table),
                lambda: ops.embedding_backward(np.ones((20_000, 16), np.float32), ids, table),
                lambda: ops.sparse_categorical_crossentropy(labels, logits, from_logits=True),
                lambda: ops.sparse_categorical_crossentropy_backward(np.ones(20_000, np.float32), labels, logits, from_logits=True),
                lambda: ops.max_pool2d_backward(np.ones((4, 16, 16, 4), np.float32), images),
            ):
                try:
                    call()
                except ValueError:
                    pass
                done += 1
        stop.set()
        thread.join()
        print(done > 4)
        """
    )
    assert said == "True"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
def test_threads_are_those_that_the_process_may_use():
    """P17: one CPU of many, then what the environment says, most important first."""
    tell = "print(fastconv.get_num_threads())"
    one = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import fastconv; "
    assert run(one + tell) == "1"
    assert run(one + tell, OMP_NUM_THREADS="3") == "3"
    assert run(one + tell, OMP_NUM_THREADS="3", FASTCONV_NUM_THREADS="2") == "2"


def first_cases():
    return list({case.op: case.small() for case in reversed(cases())}.values())


@pytest.mark.parametrize("repeats", [10, pytest.param(100, marks=pytest.mark.nightly)])
def test_the_bits_of_every_op_repeat(repeats, threads):
    """P7: from call to call, whoever of the threads does which part."""
    threads(3)
    for case in first_cases():
        rng = np.random.default_rng(1)
        inputs = random_inputs(case, rng, np.float32)
        dy = cotangent(forward(ops, case, inputs), rng)

        def bits(case=case, inputs=inputs, dy=dy):
            y = forward(ops, case, inputs)
            results = [*(y if isinstance(y, tuple) else (y,)), *backward(ops, case, dy, inputs)]
            return [r.tobytes() for r in results if r is not None]

        expected = bits()
        assert all(bits() == expected for _ in range(repeats)), case


def test_training_goes_on_with_another_number_of_threads(tmp_path, threads):
    """P25: saved in the middle of an epoch by a process with one thread, gone on by one with two."""

    def steps(model, count):
        x, y = inputs_for(model, 16), targets_for(model, 16)
        return [model.train_on_batch(x[0], y[0]) for _ in range(count)]

    def compiled():
        model = build("cnn")
        model.compile("adam", "mse")
        random.seed(8)
        return model

    threads(1)
    straight, first = compiled(), compiled()
    random.seed(8)
    losses = steps(straight, 6)
    random.seed(8)
    begun = steps(first, 3)
    first.save(tmp_path / "m.safetensors")
    threads(2)
    resumed = models.load_model(tmp_path / "m.safetensors")
    assert fastconv.get_num_threads() == 2
    assert losses == begun + steps(resumed, 3)
    for a, b in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
