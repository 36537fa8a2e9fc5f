"""The CUDA back end on the host: builds the emulated kernels and puts them where a GPU's would be."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from fastconv import _gpu

from . import fake_cupy

__all__ = ["build", "emulated_gpu", "load"]

_NAME = "_cuda_emulated"


def build(source: Path, folder: Path, sanitize: str = "") -> Path:
    """Compiles the kernels in ``folder`` (only what has changed) and returns the extension module's path.

    Raises:
        RuntimeError: with the tail of the compiler's output, if that fails.
    """
    import pybind11

    configure = ["cmake", "-S", str(source), "-B", str(folder), f"-DPython_EXECUTABLE={sys.executable}"]
    configure += [f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DFASTCONV_SANITIZE={sanitize}"]
    if shutil.which("ninja"):
        configure += ["-G", "Ninja"]
    if shutil.which("ccache"):
        configure += ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
    for command in (configure, ["cmake", "--build", str(folder), "--parallel", "2"]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return folder / f"{_NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"


def load(path: Path) -> ModuleType:
    """The module at ``path``; once loaded, the same one for the rest of the process."""
    name = f"fastconv.{_NAME}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


@contextmanager
def emulated_gpu(module: ModuleType, order: str = "forward") -> Iterator[ModuleType]:
    """Inside the block, arrays of :mod:`~fastconv.testing.fake_cupy` run the emulated kernels.

    Args:
        module: of :func:`load`.
        order: in which CUDA threads and blocks take turns: "forward", "reversed" or "shuffled".
    """
    before = _gpu._loaded
    _gpu._loaded = (fake_cupy, module)
    module.set_order(order)
    try:
        yield fake_cupy
    finally:
        module.set_order("forward")
        _gpu._loaded = before
