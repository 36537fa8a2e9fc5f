"""Fixtures that many tests share."""

import gc
import importlib
import os
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from fastconv import _cpu
from fastconv.testing.interpreter import has_global_lock


def pytest_collection_finish(session):
    """What pytest has collected, 30,000 tests, stays: those that collect garbage need not go through it every time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=_cpu.available_isas())
def isa(request):
    """Runs a test once per instruction set that this machine has."""
    before = _cpu.current_isa()
    _cpu.select_isa(request.param)
    yield request.param
    _cpu.select_isa(before)


@pytest.fixture(params=["reference", *_cpu.available_isas()])
def lib(request):
    """The reference, and the ops on each instruction set."""
    from fastconv import ops, reference

    before = _cpu.current_isa()
    if request.param != "reference":
        _cpu.select_isa(request.param)
    yield reference if request.param == "reference" else ops
    _cpu.select_isa(before)


@pytest.fixture
def generator():
    """Random numbers, the same for every test."""
    return np.random.default_rng(7)


@pytest.fixture
def interruptible():
    """Children get SIGINT also where the tests are a shell's background job, which inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """An empty folder to work in; errors of the command are told as users see them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTCONV_DEBUG", raising=False)
    return tmp_path


@pytest.fixture
def small_set(in_tmp):
    """An .npz of 60 images of 6x6 in two classes that one glance tells apart."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.integers(0, 60, (60, 6, 6)).astype(np.uint8)
    x[y == 1, :3] += 180
    np.savez(in_tmp / "small.npz", x=x, y=y)
    return "small.npz"


@pytest.fixture
def guarded_results():
    """Makes ops allocate results that are full of NaN and end at a page nobody may touch."""
    from fastconv.testing import memory

    with memory.guarded_results():
        yield


@pytest.fixture
def threads():
    """Sets the number of threads for a test and puts it back afterwards."""
    import fastconv

    before = fastconv.get_num_threads()
    yield fastconv.set_num_threads
    fastconv.set_num_threads(before)


@pytest.fixture
def strict():
    """Runs a test in strict precision."""
    from fastconv.testing.numerics import numerics

    with numerics("strict"):
        yield


@pytest.fixture
def prefer():
    """``prefer("winograd")`` makes convolutions take an algorithm wherever they can, however small they are."""
    yield _cpu.prefer_conv2d
    _cpu.prefer_conv2d("automatic")


@pytest.fixture(scope="session")
def emulated_module():
    """The CUDA kernels compiled for the host; skips where there is nothing to compile with.

    FASTCONV_SANITIZE in the environment (tests/native/sanitize cuda) compiles them with sanitizers, elsewhere.
    """
    if not has_global_lock():
        pytest.skip("the CUDA module does not claim to work without the interpreter's lock")
    missing = [tool for tool in ("cmake", "c++") if shutil.which(tool) is None]
    if missing:
        pytest.skip(
            f"the emulated CUDA kernels need a C++ compiler and CMake to be built: {', '.join(missing)} not found"
        )
    pytest.importorskip("pybind11", reason="the emulated CUDA kernels are bound with it; pip install pybind11")
    from fastconv.testing import emulation

    root, sanitize = Path(__file__).parents[1], os.environ.get("FASTCONV_SANITIZE", "")
    folder = root / ("build/sanitize/emulated" if sanitize else "build/emulated")
    return emulation.load(emulation.build(root / "tests/native/cuda_emulation", folder, sanitize))


def _orders():
    """What stands for a GPU: the emulation, with CUDA threads taking turns in two orders, and a GPU where there is one."""
    from fastconv import _gpu
    from fastconv.errors import DeviceError

    try:
        _gpu.load("[tests]")
    except DeviceError:
        return ["forward", "reversed"]
    return ["forward", "reversed", "device"]


def _cupy_in(order, request):
    if order == "device":
        return nullcontext(pytest.importorskip("cupy", reason="arrays on a GPU"))
    from fastconv.testing.emulation import emulated_gpu

    return emulated_gpu(request.getfixturevalue("emulated_module"), order)


@pytest.fixture(params=_orders())
def gpu(request):
    """CuPy on a GPU, or a stand-in for it whose arrays run on the emulated one."""
    with _cupy_in(request.param, request) as cupy:
        yield cupy


@pytest.fixture
def any_gpu(request):
    """As ``gpu``, once: a real one if there is one."""
    with _cupy_in(_orders()[-1], request) as cupy:
        yield cupy


@pytest.fixture(params=["cpu", _orders()[-1]])
def device(request):
    """fastconv.set_device to the CPU, then to a GPU, emulated where there is none; for whole models."""
    import fastconv

    name = "cpu" if request.param == "cpu" else "cuda"
    with nullcontext() if name == "cpu" else _cupy_in(request.param, request):
        fastconv.set_device(name)
        yield name
        fastconv.set_device("cpu")


@pytest.fixture(params=["late", "early", "random", *(order for order in _orders() if order == "device")])
def streaming_gpu(request):
    """CuPy, or the stand-in for it whose streams do their work as late as they can, at once, or now and then."""
    if request.param == "device":
        yield pytest.importorskip("cupy", reason="arrays on a GPU")
        return
    from fastconv.testing.emulation import emulated_gpu

    with emulated_gpu(request.getfixturevalue("emulated_module"), progress=request.param) as cupy:
        yield cupy


@pytest.fixture
def on_gpu(gpu):
    """Models live on a GPU, emulated or real; device and dtype policy are put back afterwards."""
    import fastconv

    fastconv.set_device("cuda")
    yield gpu
    fastconv.set_device("cpu")
    fastconv.set_dtype_policy("float32")


@pytest.fixture
def cuda_module(gpu):
    """The extension module whose kernels take the arrays of ``gpu``."""
    from fastconv import _gpu

    return _gpu.load("[tests]")[1]


def _hopper_orders():
    """The emulation in three orders and, where there is one, a GPU of compute capability 9.0."""
    from fastconv import _gpu
    from fastconv.errors import DeviceError

    orders = ["forward", "reversed", "shuffled"]
    try:
        cupy, module = _gpu.load("[tests]")
    except DeviceError:
        return orders
    hopper = module.devices()[cupy.cuda.Device().id]["compute_capability"] == (9, 0)
    return [*orders, "device"] if hopper else orders


@pytest.fixture(params=_hopper_orders())
def hopper(request):
    """As ``gpu``, where the kernels for compute capability 9.0 run."""
    if request.param == "device":
        yield pytest.importorskip("cupy", reason="arrays on a GPU")
        return
    from fastconv.testing.emulation import emulated_gpu

    module = request.getfixturevalue("emulated_module")
    with emulated_gpu(module, request.param) as cupy:
        module.set_capability(90)
        yield cupy
        module.set_capability(80)


_results = {}


@pytest.fixture
def examples(monkeypatch):
    """``examples("iris")`` is the module examples/iris.py; skips where the examples are not."""
    folder = Path(__file__).parents[1] / "examples"

    def module(name):
        if not (folder / f"{name}.py").exists():
            pytest.skip("the examples are not in the package")
        monkeypatch.syspath_prepend(str(folder))
        return importlib.import_module(name)

    return module


@pytest.fixture
def example(examples):
    """``example("iris", epochs=3)`` runs examples/iris.py, once, and gives its results."""

    def run(name, **arguments):
        module, key = examples(name), (name, *arguments.items())
        if key not in _results:
            _results[key] = module.main(**arguments)
        return _results[key]

    return run


@pytest.fixture
def needs_data():
    """``needs_data("mnist")`` skips unless FASTCONV_DATA has this folder or file."""

    def need(name):
        if not (Path(os.environ.get("FASTCONV_DATA") or "/nowhere") / name).exists():
            pytest.skip(f"real data: FASTCONV_DATA is not set or holds no {name}")

    return need
