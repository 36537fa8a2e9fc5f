"""P19: calls that end well, calls that are refused, and whole lives of models keep no memory and no reference."""

import gc
import sys

import numpy as np
import pytest

from fastconv import models, ops
from fastconv.testing.cases import cases
from fastconv.testing.compare import backward, cotangent, forward, random_inputs
from fastconv.testing.memory import heap_bytes, resident_bytes
from fastconv.testing.networks import build, inputs_for, targets_for

pytestmark = pytest.mark.skipif(sys.platform != "linux" or heap_bytes() is None, reason="needs Linux and glibc 2.33")

MIB = 1 << 20


def smallest_cases():
    """One case per op of the registry: of those without an empty array, the one with the least to compute."""
    smallest = {}
    for case in (case.small() for case in cases()):
        sizes = [a.size for a in arrays_of(random_inputs(case, np.random.default_rng(0), np.float32))]
        if min(sizes) > 0 and sum(sizes) < smallest.get(case.op, (np.inf, None))[0]:
            smallest[case.op] = sum(sizes), case
    return [case for _, case in smallest.values()]


def arrays_of(inputs):
    return [a for value in inputs.values() for a in (value if isinstance(value, list) else [value])]


def good_calls():
    """``(what, its arrays, call)``: forward and backward of every op."""
    rng = np.random.default_rng(20261122)
    for case in smallest_cases():
        inputs = random_inputs(case, rng, np.float32)
        dy = cotangent(forward(ops, case, inputs), rng)
        yield case.op, arrays_of(inputs), lambda case=case, inputs=inputs: forward(ops, case, inputs)
        yield (
            f"{case.op}_backward",
            [dy, *arrays_of(inputs)],
            lambda case=case, inputs=inputs, dy=dy: backward(ops, case, dy, inputs),
        )


def refused_calls():
    """The same calls, each time with one argument that is wrong: its dtype, its layout of axes, its kind."""
    rng = np.random.default_rng(20261123)
    for case in smallest_cases():
        inputs = random_inputs(case, rng, np.float32)
        for name, value in inputs.items():
            if isinstance(value, list):
                continue
            for wrong in (value.astype(complex), value[None, None, None], None):
                spoilt = {**inputs, name: wrong}

                def call(case=case, spoilt=spoilt):
                    try:
                        forward(ops, case, spoilt)
                    except (TypeError, ValueError):
                        return True
                    return False

                if call():  # an op of any rank takes more axes, an optional argument takes None
                    yield f"{case.op} {name}", [a for a in arrays_of(spoilt) if a is not None], call


def lives():
    """A model is built, trained, saved, loaded and forgotten."""

    def life(folder):
        model = build("mlp")
        model.compile("adam", "mse")
        x, y = inputs_for(model, 8)[0], targets_for(model, 8)[0]
        model.fit(x, y, verbose=0)
        model.save(folder / "m.safetensors")
        models.load_model(folder / "m.safetensors").predict(x, verbose=0)

    return life


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


def keeps_nothing(calls):
    """A leak shows however many calls there are; a cache that fills and a thread that starts do not."""
    gc.collect()
    gc.freeze()  # so that looking is quick: what is there already is not searched
    gc.disable()
    try:
        for what, arrays, call in calls:
            references = [sys.getrefcount(a) for a in arrays]
            for count in COUNTS:
                kept, objects = growth(call, count)
                if kept < count and objects < count // 2:
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


def test_a_model_keeps_nothing_when_it_is_forgotten(tmp_path):
    life = lives()
    for _ in range(5):
        life(tmp_path)
    gc.collect()
    before = heap_bytes()
    for _ in range(10):
        life(tmp_path)
    gc.collect()
    assert heap_bytes() - before < 64 << 10  # one of them has more


@pytest.mark.nightly
@pytest.mark.parametrize("kind, count", [("good_calls", 10_000), ("refused_calls", 1_000)])
def test_memory_stays_flat_over_many_calls(kind, count, capsys):
    """At most 1 MiB of the process's memory per op over 10,000 calls, and per error path over 1,000."""
    grown = {}
    for i, (what, _, call) in enumerate(globals()[kind]()):
        for _ in range(200):
            call()
        before = resident_bytes()
        for _ in range(count):
            call()
        grown[f"{what} ({i})"] = resident_bytes() - before
    with capsys.disabled():
        print(f" [{len(grown)} {kind}, {count} each: at most {max(grown.values()) / MIB:.2f} MiB] ", end="")
    assert max(grown.values()) <= MIB, {what: n for what, n in grown.items() if n > MIB}


@pytest.mark.nightly
def test_memory_stays_flat_over_200_lives_of_a_model(tmp_path, capsys):
    life = lives()
    for _ in range(20):
        life(tmp_path)
    gc.collect()
    before = resident_bytes()
    for _ in range(200):
        life(tmp_path)
    gc.collect()
    with capsys.disabled():
        print(f" [200 lives: {(resident_bytes() - before) / MIB:.2f} MiB] ", end="")
    assert resident_bytes() - before <= MIB
