"""``import fastconv`` is quick, starts nothing and changes nothing."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import fastconv

ROOT = str(Path(fastconv.__file__).parent.parent)


def python(code):
    """What a fresh interpreter prints, as JSON."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *filter(None, sys.path)])}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(result.stdout)


STATE = """
import ctypes, json, locale, platform, random, signal, sys, threading, warnings
import numpy as np

def floating_point_control():
    # x87's control word and MXCSR without its sticky flags, from glibc's fenv_t
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    environment = (ctypes.c_uint32 * 8)()
    ctypes.CDLL("libm.so.6").fegetenv(environment)
    return [environment[0] & 0xFFFF, environment[7] & ~0x3F]

def state():
    status = open("/proc/self/status").read() if sys.platform == "linux" else ""
    return {
        "filters": [str(f) for f in warnings.filters],
        "geterr": np.geterr(),
        "numpy random": str(np.random.get_state()),
        "random": hash(random.getstate()),
        "signals": {str(s): str(signal.getsignal(s)) for s in signal.valid_signals()},
        "locale": locale.setlocale(locale.LC_ALL),
        "threads": [line for line in status.splitlines() if line.startswith("Threads")] or threading.active_count(),
        "excepthook": sys.excepthook is sys.__excepthook__,
        "floating-point control": floating_point_control(),
        "subnormals": float(np.float32(1e-40) * np.float32(0.5)) > 0,
        "print options": str(np.get_printoptions()),
    }
"""


def test_import_changes_nothing_in_the_process():
    before, after = python(STATE + "before = state()\nimport fastconv\nprint(json.dumps([before, state()]))")
    assert before == after
    assert before["subnormals"]


def test_using_models_changes_no_settings_either():
    """Threads may run then; everything else is as before."""
    before, after = python(
        STATE
        + """
before = state()
import fastconv
from fastconv import layers, models
model = models.Sequential([layers.Input((4,)), layers.Dense(3)])
model.compile("adam", "mse")
model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
print(json.dumps([before, state()]))
"""
    )
    before.pop("threads"), after.pop("threads")
    assert before == after


def test_optional_and_heavy_packages_stay_unloaded():
    code = (
        "import json, sys, numpy\nbefore = set(sys.modules)\n{}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    bare = python(code.format("import fastconv"))
    heavy = (
        "matplotlib",
        "PIL",
        "tqdm",
        "scipy",
        "torch",
        "keras",
        "pandas",
        "multiprocessing",
        "urllib.request",
        "asyncio",
    )
    assert not [m for m in bare if m.split(".")[0] in heavy or m in heavy]
    assert not [m for m in bare if m.startswith(("fastconv.layers", "fastconv.models", "fastconv.reference"))]
    whole = python(code.format("import fastconv.models, fastconv.callbacks, fastconv.datasets, fastconv.layers"))
    assert not [m for m in whole if m.split(".")[0] in ("matplotlib", "PIL", "tqdm", "scipy", "torch", "keras")]


def test_every_name_of_the_package_can_be_had():
    for name in fastconv.__all__:
        assert getattr(fastconv, name) is not None
    assert set(fastconv.__all__) <= set(dir(fastconv))


def test_a_star_imports_all_that_needs_no_extra():
    extras = ("matplotlib", "PIL", "tqdm", "onnx", "h5py", "sklearn")
    without = (
        f"import sys; sys.modules.update(dict.fromkeys({extras})); from fastconv import *; import fastconv, json; "
    )
    names = python(without + "print(json.dumps([n for n in fastconv.__all__ if n not in globals()]))")
    assert names == []


def test_import_time(capsys):
    """At most 60 ms over NumPy's on a quiet machine; the test allows for a busy one."""
    code = "import time, numpy\nstart = time.perf_counter()\nimport fastconv\nprint(time.perf_counter() - start)"
    python(code)  # writes the byte code
    milliseconds = 1000 * statistics.median(python(code) for _ in range(5))
    with capsys.disabled():
        print(f" [import fastconv: {milliseconds:.0f} ms over NumPy] ", end="")
    assert milliseconds < 150
