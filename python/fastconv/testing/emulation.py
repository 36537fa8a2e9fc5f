"""The CUDA back end on the host: builds the emulated kernels and puts them where a GPU's would be."""

from __future__ import annotations

import fcntl
import functools
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from fastconv import _gpu

from . import fake_cupy, fake_streams

__all__ = ["build", "emulated_gpu", "load"]

_NAME = "_cuda_emulated"


def build(source: Path, folder: Path, sanitize: str = "") -> Path:
    """Compiles the kernels in ``folder`` (only what has changed) and returns the extension module's path.

    One process at a time: the others wait, and find everything done.

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
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
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


class _Program:
    """A program of the emulated module whose runs wait their turn in a stream."""

    def __init__(self, program: Any) -> None:
        self._program = program

    def __getattr__(self, name: str) -> Any:
        return getattr(self._program, name)

    def run(self, workspace: int, proceed: int, stream: int) -> None:
        fake_streams.by_ptr(stream).put(lambda: self._program.run(workspace, proceed, stream))

    def replay(self, stream: int) -> None:
        fake_streams.by_ptr(stream).put(lambda: self._program.replay(stream))


class _Module:
    """The emulated module with streams."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def Program(self) -> _Program:
        return _Program(self._module.Program())

    def run(self, kernel: str, spec: Any, tensors: Any, workspace: int, stream: int) -> None:
        """At once, after what the stream has before it: the workspace is the caller's until this returns."""
        fake_streams.by_ptr(stream).synchronize()
        self._module.run(kernel, spec, tensors, workspace, stream)


@functools.lru_cache(1)
def _with_streams(module: Any) -> _Module:
    return _Module(module)


@contextmanager
def emulated_gpu(module: ModuleType, order: str = "forward", progress: str = "late") -> Iterator[ModuleType]:
    """Inside the block, arrays of :mod:`~fastconv.testing.fake_cupy` run the emulated kernels.

    Args:
        module: of :func:`load`.
        order: in which CUDA threads and blocks take turns: "forward", "reversed" or "shuffled".
        progress: how soon streams do their work: "late", "early" or "random" (:mod:`~fastconv.testing.fake_streams`).
    """
    before = _gpu._loaded
    _gpu._loaded = (fake_cupy, _with_streams(module))
    module.set_order(order)
    try:
        with fake_streams.progress(progress):
            yield fake_cupy
    finally:
        module.set_order("forward")
        _gpu._loaded = before
