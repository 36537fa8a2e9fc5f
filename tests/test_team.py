"""Threads that share loops, and how many a program uses, checked where Python cannot look: programs in tests/native."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("c++")

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler"),
    pytest.mark.skipif(not (ROOT / "csrc").is_dir(), reason="the C++ sources are not beside the tests"),
]


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_loops_callers_nesting_and_forks(tmp_path):
    sources = (ROOT / "tests/native/team_test.cpp", ROOT / "csrc/cpu/team.cpp")
    run(COMPILER, "-std=c++20", "-O2", f"-I{ROOT / 'csrc'}", *sources, "-pthread", "-o", tmp_path / "team_test")
    assert run(tmp_path / "team_test") == "team_test: passed\n"


def test_a_program_uses_as_many_threads_as_are_fastest(tmp_path):
    sources = (ROOT / "tests/native/thread_choice_test.cpp", ROOT / "csrc/core/thread_choice.cpp")
    run(COMPILER, "-std=c++20", f"-I{ROOT / 'csrc'}", *sources, "-o", tmp_path / "thread_choice_test")
    assert run(tmp_path / "thread_choice_test") == "thread_choice_test: passed\n"


def test_the_program_of_the_nightly_sanitizers_compiles():
    run(COMPILER, "-std=c++20", "-fsyntax-only", f"-I{ROOT / 'csrc'}", ROOT / "tests/native/kernels_test.cpp")


def test_threads_do_not_race():
    assert "team_test: passed" in run(ROOT / "tests/native/sanitize", "thread")
