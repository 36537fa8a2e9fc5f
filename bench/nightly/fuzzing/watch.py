"""Reads one hostile file and says what was wrong with how that went: nothing, or a fault in words.

A fault is an exception that the reader does not document or whose words are not ours, more memory than the reader may take, an
import, compilation, process, socket or other file (an audit hook sees them), and a file that was changed. Crashes and hangs are
seen from outside.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Reader", "Tally", "Watch", "kind_of"]

Mutator = Callable[[bytes, Any], bytes]  # an input and a Mutation to another input

_LONGEST = 20  # seconds of a CPU for one input
_DETAIL = "; "  # before it stands what tells faults apart

# What Python tells of itself while it does nothing to the world outside.
_HARMLESS = (
    "builtins.id",
    "code.__new__",
    "gc.",
    "object.__",
    "os.listdir",
    "os.scandir",
    "sys._getframe",
    "array.__new__",
)
# What the library looks at before it takes much memory.
_MEMORY_FILES = ("/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current")


@dataclass(frozen=True)
class Reader:
    """A function that reads a file which may be anybody's.

    Attributes:
        says: what is read, by which function.
        file: the name of the file for an input.
        prepare: given the folder, the function that reads once.
        seeds: good files, and good files of unusual kinds.
        mutate: makes another input of one.
        refusals: the classes of exception it documents.
        memory: bytes it may take beyond twice the size of the file.
    """

    says: str
    file: Callable[[bytes], str]
    prepare: Callable[[Path], Callable[[], None]]
    seeds: Callable[[], list[bytes]]
    mutate: Mutator
    refusals: tuple[type[BaseException], ...]
    memory: int = 32 << 20


@dataclass
class Tally:
    """What was seen so far."""

    loaded: int = 0
    refused: int = 0
    slowest: float = 0.0
    hungriest: int = 0  # bytes beyond those before


class Watch:
    """Reads inputs in a folder of its own."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self._reader, self._folder = reader, folder
        self._read = reader.prepare(folder)
        self._before = self._files()
        self._events: list[str] = []
        self._path = ""
        self._on = False
        self.tally = Tally()

    def begin(self, seeds: list[bytes]) -> None:
        """Reads every good file once, so that what is made once is there; then listens to the audit hook."""
        for seed in seeds:
            self(seed)
        if 2 * self.tally.loaded < len(seeds):  # some are of kinds that are refused
            raise RuntimeError(
                f"[fuzzing] seeds must be good files: {self.tally.refused} were refused. Change the seeds."
            )
        self.tally = Tally()
        sys.addaudithook(self._hear)

    def __call__(self, data: bytes) -> str | None:
        """The fault that this input shows, if any."""
        path = self._folder / self._reader.file(data)
        path.write_bytes(data)
        self._path = str(path)
        self._events.clear()
        before = _reset_peak()
        start, fault = time.process_time(), None
        self._on = True
        try:
            self._read()
            self.tally.loaded += 1
        except self._reader.refusals as error:
            self._on = False
            self.tally.refused += 1
            fault = _bad_words(error)
        except Exception as error:
            self._on = False
            fault = f"undocumented {type(error).__name__} {_place(error)}{_DETAIL}{str(error)[:200]!a}"
        finally:
            self._on = False
        seconds = time.process_time() - start  # of this process: others are busy too
        self.tally.slowest = max(self.tally.slowest, seconds)
        grown = _peak() - before
        self.tally.hungriest = max(self.tally.hungriest, grown)
        changes = self._changes(path, data)
        if self._events:
            names = sorted({event.partition(" ")[0] for event in self._events})
            return f"heard {', '.join(names)}{_DETAIL}{self._events[0]}"
        if seconds > _LONGEST:
            return f"too slow{_DETAIL}{seconds:.0f} s for a file of {len(data)} bytes"
        if grown > 2 * len(data) + self._reader.memory:
            return f"too much memory{_DETAIL}{grown >> 20} MiB for a file of {len(data)} bytes"
        return changes or fault

    def _changes(self, path: Path, data: bytes) -> str | None:
        """What is another than before; the input is removed."""
        if path.read_bytes() != data:
            return "the file was changed"
        path.unlink()
        if path.name in self._before:
            path.write_bytes(self._before[path.name])
        after = self._files()
        if after != self._before:
            return f"files were changed{_DETAIL}{sorted(k for k in {*after, *self._before} if after.get(k) != self._before.get(k))}"
        return None

    def _files(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self._folder.iterdir() if p.is_file()}

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on or event.startswith(_HARMLESS):
            return
        if event == "mmap.__new__" and arguments[0] == -1:  # memory of no file
            return
        if event == "open":
            target = arguments[0]
            inside = isinstance(target, int) or str(target).startswith(str(self._folder)) or target in _MEMORY_FILES
            if inside:
                return
        self._on = False  # what follows may itself be heard
        self._events.append(f"{event} {str(arguments)[:120]}")
        self._on = True


def kind_of(fault: str) -> str:
    """The same for two inputs that show the same fault."""
    return fault.partition(_DETAIL)[0]


def _bad_words(error: BaseException) -> str | None:
    """A fault unless the message is one of ours, that a terminal and a log can show."""
    said = str(error)
    if isinstance(error, SystemExit):  # argparse has written its own
        return None if error.code == 2 else f"exit status {error.code}"
    try:
        said.encode()
    except UnicodeEncodeError:
        return f"message that cannot be printed {_place(error)}{_DETAIL}{said[:200]!a}"
    if not said.startswith("[") or "<class " in said or not said.rstrip().endswith((".", ")")):
        return f"message of another form {_place(error)}{_DETAIL}{said[:300]!a}"
    return None


def _place(error: BaseException) -> str:
    """Where it was raised, and by which line of the library: what tells faults apart."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "fastconv" in f.filename]
    named = [f"{'/'.join(Path(f.filename).parts[-2:])}:{f.name}:{f.lineno}" for f in (*own[-1:], *frames[-1:])]
    return "at " + " from ".join(dict.fromkeys(reversed(named)))


def _reset_peak() -> int:
    """Resident bytes now, from which the peak is counted again; Linux."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return _peak()


def _peak() -> int:
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
